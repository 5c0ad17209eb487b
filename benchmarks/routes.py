"""The reference shape over other roads: SQLite → SQLite and MariaDB → PostgreSQL, a whole verified run each."""

from __future__ import annotations

import csv
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from reference_shape import LOCAL, TABLE, databases, fill, measure

MARIADB = "mariadb://root@127.0.0.1:3306/test"
COLUMNS = "id, account_id, first_name, last_name, email, phone, title, lead_source, street, city, country, amount, opted_in, created_at, updated_at, birth, notes"
_SQLITE = (
    "CREATE TABLE contact(id INTEGER PRIMARY KEY, account_id INTEGER, first_name TEXT, last_name TEXT, email TEXT, phone TEXT, title TEXT, "
    "lead_source TEXT, street TEXT, city TEXT, country TEXT, amount NUMERIC, opted_in INTEGER, created_at TEXT, updated_at TEXT, birth TEXT, notes TEXT)"
)
_MARIADB = (
    "CREATE TABLE contact(id bigint PRIMARY KEY, account_id bigint, first_name varchar(80), last_name varchar(80), email varchar(120), phone varchar(40), "
    "title varchar(80), lead_source varchar(40), street varchar(120), city varchar(80), country char(2), amount decimal(12,2), opted_in tinyint, "
    "created_at datetime(6), updated_at datetime(6), birth date, notes text) CHARACTER SET utf8mb4"
)


@contextmanager
def filled(rows: int) -> Iterator[tuple[str, str]]:
    """PostgreSQL's source and target databases, the source full: the rows of every road come out of it."""
    with databases(os.environ.get("MIGRATE_TEST_POSTGRES") or LOCAL) as (source, target):
        fill(source, rows)
        yield source, target


def as_csv(source: str, path: Path) -> None:
    with path.open("wb") as file, psycopg.connect(source) as connection, connection.cursor() as cursor:
        connection.execute("SET TimeZone = 'UTC'")
        sql = f"SELECT {COLUMNS.replace('opted_in', 'opted_in::int').replace('created_at', 'created_at::timestamp')} FROM contact"
        with cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT csv)") as copy:
            for data in copy:
                file.write(data)


def sqlite_to_sqlite(rows: int) -> dict[str, float]:
    with filled(rows) as (source, _), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_csv(source, folder / "rows.csv")
        for place in ("source.db", "target.db"):
            with sqlite3.connect(folder / place) as connection:
                connection.execute(_SQLITE)
        with (
            sqlite3.connect(folder / "source.db") as connection,
            (folder / "rows.csv").open(newline="") as file,
        ):
            lines = ([None if v == "" else v for v in line] for line in csv.reader(file))
            connection.executemany(f"INSERT INTO contact VALUES ({', '.join('?' * 17)})", lines)
        urls = [f"sqlite:///{folder}/{place}" for place in ("source.db", "target.db")]
        return _figures("from SQLite", measure(urls[0], urls[1], folder, table=False))


def mariadb_to_postgres(rows: int) -> dict[str, float]:
    import pymysql

    url = urlsplit(os.environ.get("MIGRATE_TEST_MARIADB") or MARIADB)
    database = f"bench_{secrets.token_hex(4)}"
    with filled(rows) as (source, target), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        as_csv(source, folder / "rows.csv")
        server = pymysql.connect(
            host=url.hostname or "127.0.0.1", port=url.port or 3306, user=url.username or "root",
            password=url.password or "", local_infile=True, autocommit=True, charset="utf8mb4",
        )  # fmt: skip
        try:
            with server.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {database}")
                cursor.execute(f"USE {database}")
                cursor.execute(_MARIADB)
                variables = ", ".join(f"@v{i}" for i in range(17))
                sets = ", ".join(f"{c} = nullif(@v{i}, '')" for i, c in enumerate(COLUMNS.split(", ")))
                cursor.execute(
                    f"LOAD DATA LOCAL INFILE '{folder}/rows.csv' INTO TABLE contact CHARACTER SET utf8mb4 "
                    f"FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ({variables}) SET {sets}"
                )
            netloc = url.netloc or "root@127.0.0.1:3306"
            with psycopg.connect(target, autocommit=True) as connection:
                connection.execute(
                    TABLE.replace("timestamptz", "timestamp").replace("opted_in boolean", "opted_in smallint")
                )
            mine = f"mariadb://{netloc}/{database}"
            return _figures("from MariaDB", measure(mine, target, folder, table=False, scratch=mine))
        finally:
            with server.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS {database}")
            server.close()


def _figures(name: str, run: Mapping[str, Any]) -> dict[str, float]:
    if run["state"] != "verified":
        raise RuntimeError(f"the run ended {run['state']} with {run['balance']}")
    stages = {f"  {name}: {s['stage']}": s["seconds"] for s in run["stages"]}
    return {f"{name}: verified run": run["seconds"], **stages, f"{name}: peak MB": run["peak_mb"]}


ROUTES: Mapping[str, Callable[[int], dict[str, float]]] = {
    "sqlite": sqlite_to_sqlite,
    "mariadb": mariadb_to_postgres,
}
