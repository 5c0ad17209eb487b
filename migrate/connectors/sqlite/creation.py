"""What SQLite has of its own where tables are created; see `migrate.connectors.creation`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from migrate.connectors.sqlite.connect import connect
from migrate.connectors.sqlite.errors import translate, translated
from migrate.connectors.sqlite.names import ours, quote
from migrate.connectors.sqlite.types import declared_type, native
from migrate.model import Column, Kind, Type

DIALECT = "sqlite"
ALTERS_REFERENCES = False
NAME_LENGTH = 200  # SQLite itself has no limit
TABLE_OPTIONS: Mapping[str, Any] = {}


def declared(type_: Type, version: str) -> Type:
    del version
    return declared_type(native(type_))


def spelled(column: Column) -> str:
    return column.type.native


def fitted(column: Column, parts: int, version: str) -> Column:
    del parts, version
    return column


def referring(column: Column, to: Column) -> Column:
    del to
    return column


def key_column(table: str, column: Column, *, numbered: bool) -> Column:
    """An INTEGER PRIMARY KEY is the rowid: SQLite numbers it, whoever else gives its values."""
    del table, numbered
    identity = "by default" if column.type.kind is Kind.INT else None
    return replace(column, nullable=False, identity=identity)


def place(table: str) -> tuple[str | None, str]:
    return None, table


def prefixes(connection: sa.Connection, referred: Sequence[str]) -> list[str]:
    del connection, referred
    return []


def lock(connection: sa.Connection, table: str) -> None:
    """The transaction holds the whole file already (BEGIN IMMEDIATE)."""


def used_by(connection: sa.Connection, table: str, column: str | None) -> list[str]:
    """A view or trigger whose text names the table (and the column) counts as one that needs it."""
    found = []
    for kind, name, text in connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master"):
        if kind == "table" and name != table and not ours(name):
            keys = connection.exec_driver_sql(f"PRAGMA foreign_key_list({quote(name)})").fetchall()
            if any(k[2].lower() == table.lower() and column in (None, k[4]) for k in keys):
                found.append(f"table {name}")
        elif kind in ("view", "trigger") and all(_names(text or "", n) for n in (table, column) if n):
            found.append(f"{kind} {name}")
    return found


def _names(sql: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE) is not None


@contextmanager
def changing(path: Path) -> Iterator[sa.Connection]:
    """A transaction that makes or drops tables. Driver errors become ours."""
    engine = sa.create_engine(
        "sqlite://", creator=lambda: connect(path, write=True), poolclass=sa.pool.NullPool
    )
    sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    sa.event.listen(engine, "connect", _settings)
    try:
        with translated(str(path)), engine.begin() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        orig = error.orig
        assert orig is not None
        raise translate(orig, str(path)) from None  # type: ignore[arg-type]
    finally:
        engine.dispose()


def _settings(connection: object, _record: object) -> None:
    for pragma in ("foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]
