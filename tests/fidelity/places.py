"""The databases that the matrix is tried on: how tables are made there, and what the engine itself says is in them."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from tests import mariadb
from tests.fidelity import postgres
from tests.fidelity.case import Case
from tests.fidelity.files import PARQUET
from tests.services import has_extension

SETTINGS = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3; SET bytea_output = 'hex'"


class Sqlite:
    engine = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"sqlite:///{path}"

    def run(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def prepare(self) -> None:
        self.run("VACUUM")

    def without(self) -> frozenset[str]:
        return frozenset()

    def said(self, table: str, column: str) -> dict[int, str | None]:
        """id → the value as text, exactly."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.text_factory = bytes
            rows = connection.execute(f'SELECT id, "{column}" FROM "{table}"').fetchall()
        return {int(i): _plain(v) for i, v in rows}

    def kept(self, table: str, column: str) -> dict[int, Any]:
        """id → storage class and literal: what a faithful copy has the same of."""
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute(f'SELECT id, typeof("{column}"), hex("{column}"), CASE typeof("{column}") WHEN \'text\' THEN NULL ELSE quote("{column}") END FROM "{table}"')  # fmt: skip
            return {int(row[0]): row[1:] for row in rows}


def _plain(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return None if value is None else repr(value)


class Postgres:
    engine = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def prepare(self) -> None:
        missing = self.without()
        self.run(
            *postgres.PREPARE, *(f"CREATE EXTENSION {e}" for e in postgres.EXTENSIONS if e not in missing)
        )

    def without(self) -> frozenset[str]:
        """What this server's build has not got: extensions, and the values of xml."""
        missing = {name for name in postgres.EXTENSIONS if not has_extension(self.url, name)}
        with psycopg.connect(self.url) as connection:
            try:
                connection.execute("SELECT '<a/>'::xml")
            except psycopg.errors.FeatureNotSupported:
                missing.add("xml")
        return frozenset(missing)

    def said(self, table: str, column: str) -> dict[int, str | None]:
        with psycopg.connect(self.url) as connection:
            connection.execute(SETTINGS)
            rows: Sequence[tuple[int, str | None, str]] = connection.execute(
                f'SELECT id, "{column}"::text, pg_typeof("{column}")::text FROM "{table}"'.encode()
            ).fetchall()
        # the cast of a plain address adds its length, which PostgreSQL itself does not show
        return {i: v.removesuffix("/128").removesuffix("/32") if v and t == "inet" else v for i, v, t in rows}

    kept = said


class Mysql:
    engine = "mysql"

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *statements: str) -> None:
        """With standard quotes; any value may be stored."""
        modes = "SET SESSION sql_mode = 'ANSI_QUOTES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"
        mariadb.execute(self.url, modes, "SET SESSION time_zone = '+00:00'", *statements)

    def prepare(self) -> None: ...

    def without(self) -> frozenset[str]:
        return frozenset()

    def said(self, table: str, column: str) -> dict[int, str | None]:
        kind = mariadb.query(
            self.url,
            "SELECT DATA_TYPE AS kind, COLUMN_TYPE AS whole FROM information_schema.COLUMNS "
            f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' AND COLUMN_NAME = '{column}'",
        )[0]
        exact = {"float": f"CAST({column} AS DOUBLE)", "bit": f"{column}+0"}.get(kind["kind"], column)
        if "binary" in kind["kind"] or "blob" in kind["kind"]:
            exact = f"CONCAT('\\\\x', LOWER(HEX({column})))"
        rows = mariadb.query(self.url, f"SELECT id, CONCAT({exact}) AS said FROM {table}", plain=True)
        zone = "+00" if kind["kind"] == "timestamp" else ""
        return {int(r["id"]): None if r["said"] is None else str(r["said"]) + zone for r in rows}

    kept = said


class Files:
    """A folder with one file, `things`, of one kind: csv, jsonl or parquet."""

    engine = "files"

    def __init__(self, folder: Path, kind: str) -> None:
        self.path, self.kind = folder / f"things.{kind}", kind
        folder.mkdir()
        self.url = f"files:{folder}"
        self._texts: dict[str, dict[int, str | None]] = {}

    def prepare(self) -> None: ...

    def without(self) -> frozenset[str]:
        return frozenset()

    def write(self, columns: dict[str, tuple[tuple[int, ...], Case]]) -> None:
        """Column → the ids of the rows that hold the case's values, in their order."""
        self._texts = {
            name: {
                i: _content(v) if self.kind == "jsonl" else v for i, v in zip(ids, case.values, strict=True)
            }
            for name, (ids, case) in columns.items()
        }
        if self.kind == "parquet":
            self._parquet(columns)
            return
        rows = {i: (name, v) for name, (ids, case) in columns.items() for i, v in zip(ids, case.values, strict=True)}  # fmt: skip
        if self.kind == "csv":
            with self.path.open("w", newline="", encoding="utf-8") as file:
                out = csv.writer(file)
                out.writerow(["id", *columns])
                out.writerows(
                    [i, *(v if n == name else "" for n in columns)] for i, (name, v) in rows.items()
                )
        else:
            lines = (f'{{"id": {i}, "{name}": {value}}}\n' for i, (name, value) in rows.items())
            self.path.write_text("".join(lines), encoding="utf-8")

    def _parquet(self, columns: dict[str, tuple[tuple[int, ...], Case]]) -> None:
        size = max(i for ids, _ in columns.values() for i in ids)
        arrays: dict[str, Any] = {"id": pa.array(range(1, size + 1), pa.int64())}
        for name, (ids, case) in columns.items():
            typed = next(t for t in PARQUET if (t.case.type, t.case.values) == (case.type, case.values))
            values: list[Any] = [None] * size
            for i, value in zip(ids, typed.values, strict=True):
                values[i - 1] = value
            arrays[name] = pa.array(values, typed.arrow)
        pq.write_table(pa.table(arrays), self.path, version="2.6")

    def said(self, table: str, column: str) -> dict[int, str | None]:
        del table
        return self._texts[column]


def _content(value: str) -> str:
    """The text of a string of JSON, anything else as it is written."""
    return str(json.loads(value)) if value.startswith('"') else value


Server = Sqlite | Postgres | Mysql
Place = Server | Files
