"""A MariaDB database with SQL in it, read and restored; shared by the tests of the connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from migrate import canon
from migrate.connectors.mysql.scratch import MysqlScratch, open_scratch
from migrate.connectors.mysql.target import MysqlTarget, open_database
from migrate.model import Type

from tests import mariadb

LENIENT = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'"
Open = Callable[[str], MysqlTarget]


@contextmanager
def opened(url: str) -> Iterator[MysqlTarget]:
    target = open_database(url)
    try:
        yield target
    finally:
        target.close()


@contextmanager
def scratch_of(url: str) -> Iterator[MysqlScratch]:
    name = f"{mariadb.name_of(url)}_s"
    scratch = open_scratch(url, folder=Path(), name=name, run="run")
    try:
        yield scratch
    finally:
        scratch.drop()


def filled(url: str, *statements: str) -> None:
    """Statements of one session in which any value may be stored."""
    mariadb.execute(url, LENIENT, "SET SESSION time_zone = '+00:00'", *statements)


def values(target: MysqlTarget, table: str, column: str) -> tuple[Type, list[Any]]:
    """The type that a column travels under, and its values in the order of `id`."""
    with target.snapshot([table]) as snapshot:
        rows = pa.Table.from_batches(list(snapshot.read(table, ["id", column]))).sort_by("id")
        return snapshot.schema.table(table).column(column).type, rows[column].to_pylist()


def assert_restored(source: MysqlTarget, scratch: MysqlScratch, tables: list[str]) -> None:
    """The whole of the catalogue and every value are the same again."""
    with source.snapshot(tables) as snapshot:
        scratch.restore_schema(snapshot.schema)
        for table in snapshot.schema.tables:
            assert scratch.restore_rows(table, snapshot.read(table.name)) == snapshot.count(table.name)
        scratch.restore_constraints(snapshot.schema)
        assert scratch.not_restored == []
        with scratch.snapshot(tables) as copy:
            assert copy.schema.tables == snapshot.schema.tables
            assert copy.schema.sequences == snapshot.schema.sequences
            for name in tables:
                types = snapshot.schema.table(name).types
                key: Any = [(c, "ascending") for c in snapshot.schema.table(name).primary_key]
                found, expected = (
                    pa.Table.from_batches(list(s.read(name))).sort_by(key).to_pylist()
                    for s in (copy, snapshot)
                )
                assert found == expected
                assert canon.digest(copy.read(name), types) == canon.digest(snapshot.read(name), types)
        assert scratch.violations() == list(snapshot.violations() or ())
