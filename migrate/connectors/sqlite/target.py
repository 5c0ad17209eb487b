"""SQLite as source and as target: implements `Target`."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema, layout
from migrate.connectors.protocol import COUNTED, DdlText
from migrate.connectors.sqlite import references
from migrate.connectors.sqlite.catalog import check_version, read_schema
from migrate.connectors.sqlite.connect import connect, path_of
from migrate.connectors.sqlite.ddl import create_indexes, create_table
from migrate.connectors.sqlite.decode import from_stored
from migrate.connectors.sqlite.errors import translated
from migrate.connectors.sqlite.names import FENCE, KEYS, META_PREFIX, quote
from migrate.connectors.sqlite.snapshot import SqliteSnapshot, open_snapshot
from migrate.connectors.sqlite.transaction import SqliteTransaction
from migrate.errors import Busy, Unreachable, UsageError
from migrate.model import Schema, Table

if TYPE_CHECKING:
    import sqlalchemy as sa

LOCK_SUFFIX = ".migrate-lock"
_LARGEST = 2**63 - 1


def open_database(url: str, *, base: Path | None = None, work: Path | None = None) -> SqliteTarget:
    """Open `sqlite:///path` (relative to `base`); snapshots go into private folders under `work`.

    Raises UsageError (URL), Unreachable (missing file, no permission), Corrupt (not SQLite).
    """
    check_version()
    return SqliteTarget(path_of(url, base), work=work)


class SqliteTarget:
    """One SQLite file. Connections are opened per snapshot and per transaction, so nothing is held in between."""

    engine = "sqlite"
    parallel_writers = False

    def __init__(self, path: Path, *, work: Path | None = None) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._work = work
        self._held: int | None = None
        connect(path, write=False).close()

    # --- reading ---

    def schema(self, tables: Sequence[str] | None = None) -> Schema:
        with closing(connect(self.path, write=False)) as connection, translated(str(self.path)):
            connection.execute("BEGIN")  # one view of the catalogue
            return read_schema(connection, tables)

    @contextmanager
    def snapshot(
        self, tables: Sequence[str], declared: bool = False, *, readers: int = 1
    ) -> Iterator[SqliteSnapshot]:
        """`declared`: read() decodes by declared type, in the layout of `schema()`; else what is stored."""
        del readers  # one file, one stream
        with open_snapshot(self.path, tables, declared=declared, work=self._work) as snapshot:
            yield snapshot

    def ddl_text(self, tables: Sequence[str], folder: Path) -> DdlText:
        from migrate.connectors.sqlite.native import ddl_text

        del folder
        return ddl_text(self.path, tables)

    def others(self, known: Sequence[str]) -> dict[str, int | None]:
        with closing(connect(self.path, write=False)) as connection, translated(str(self.path)):
            connection.execute("BEGIN")
            names = [n for n in read_schema(connection).table_names if n not in known]
            return {name: _rows(connection, name) for name in names}

    def close(self) -> None:
        """Nothing is open between calls."""

    # --- writing ---

    def meta(self, name: str) -> str:
        return META_PREFIX + name

    def create_tables(self, tables: Sequence[Table], *, constraints: bool = True) -> None:
        with self._writing() as connection:
            for table in tables:
                failpoints.hit("sqlite.create.table")
                with translated(table.name):
                    connection.execute(create_table(table, constraints=constraints, if_missing=True))
                    for statement in create_indexes(table) if constraints else ():
                        connection.execute(statement)

    def changing(self) -> AbstractContextManager[sa.Connection]:
        from migrate.connectors.sqlite.creation import changing  # sqlalchemy, wanted only here

        return changing(self.path)

    def check_rights(self, new: Sequence[str], changed: Sequence[str], referred: Sequence[str]) -> None:
        del new, changed, referred
        if not os.access(self.path, os.W_OK):
            raise Unreachable(
                "the database cannot be written, so no table can be created in it",
                where=self.url,
                kept="Nothing was read or changed.",
                hint="Give write permission on the file and its folder.",
            )

    @contextmanager
    def hold(self) -> Iterator[None]:
        """A lock file beside the database; the operating system frees it when the process ends."""
        where = str(self.path) + LOCK_SUFFIX
        with translated(where):
            handle = os.open(
                os.path.realpath(self.path) + LOCK_SUFFIX, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
            )
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    "another run holds this database",
                    where=self.url,
                    hint="Wait for it to end; if it was killed, the lock is free already.",
                ) from None
            self._held = handle
            yield
        finally:
            self._held = None
            os.close(handle)

    def raise_fence(self, run: str) -> int:
        self._must_hold("raise_fence")
        with self._writing() as connection, translated(FENCE):
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {FENCE} (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL, run TEXT)"
            )
            connection.execute(
                f"INSERT INTO {FENCE} VALUES (1, 1, ?) ON CONFLICT (id) DO UPDATE SET value = value + 1, run = excluded.run",
                (run,),
            )
            failpoints.hit("sqlite.fence.raised")
            return int(connection.execute(f"SELECT value FROM {FENCE}").fetchone()[0])

    def begin(self) -> SqliteTransaction:
        return SqliteTransaction(connect(self.path, write=True), str(self.path))

    def as_declared(self, rows: pa.Table, stored: Table, declared: Table) -> pa.Table:
        """Decodes storage classes by declared type. GateClosed naming table.column where a value is not of it."""
        columns = []
        for name in rows.schema.names:
            was, now = stored.column(name).type, declared.column(name).type
            where = f"{declared.name}.{name}"
            chunks = [from_stored(chunk, was, now, where) for chunk in rows.column(name).chunks]
            kind: Any = layout(now)
            columns.append(pa.chunked_array(chunks, kind))
        return pa.Table.from_arrays(
            columns, schema=arrow_schema([declared.column(n) for n in rows.schema.names])
        )

    def reserve_keys(self, table: Table, column: str, count: int) -> Any:
        """As the protocol says. What was handed out is written down in `_migrate_keys`, so a killed run's keys stay its own."""
        self._must_hold("reserve_keys")
        name, where = quote(table.name), f"{table.name}.{column}"
        with self._writing() as connection, translated(where):
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {KEYS} (tab TEXT NOT NULL, col TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (tab, col))"
            )
            last = _integer(
                connection.execute(f"SELECT max({quote(column)}) FROM {name}").fetchone()[0], where
            )
            row = connection.execute(
                f"SELECT last FROM {KEYS} WHERE tab = ? AND col = ?", (table.name, column)
            ).fetchone()
            last = max(last, row[0] if row else 0)
            counted = "AUTOINCREMENT" in table.options
            if counted:
                row = connection.execute(
                    "SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,)
                ).fetchone()
                last = max(last, _integer(row[0] if row else None, where))
            upto = last + count
            if upto > _LARGEST:
                raise UsageError("no integer keys are left", where=where)
            failpoints.hit("sqlite.keys.reserve")
            connection.execute(
                f"INSERT INTO {KEYS} VALUES (?, ?, ?) ON CONFLICT (tab, col) DO UPDATE SET last = excluded.last",
                (table.name, column, upto),
            )
            if (
                counted
                and not connection.execute(
                    "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (upto, table.name)
                ).rowcount
            ):
                connection.execute(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table.name, upto)
                )
        return pa.array(np.arange(last + 1, upto + 1, dtype=np.int64))

    def references_to(self, table: Table, key: Sequence[str], keys: pa.Table) -> pa.Table:
        with closing(connect(self.path, write=False)) as connection, translated(table.name):
            return references.references_to(connection, table, key, keys)

    # --- inside ---

    def _must_hold(self, what: str) -> None:
        if self._held is None:
            raise Busy(f"{what} needs the lock of `hold`", where=self.url)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A short transaction of its own; rolled back as a whole on any error."""
        with closing(connect(self.path, write=True)) as connection, translated(str(self.path)):
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                if not connection.in_transaction:
                    raise Unreachable("SQLite rolled the transaction back by itself", where=str(self.path))
                failpoints.hit("sqlite.commit.before")
                connection.execute("COMMIT")
                failpoints.hit("sqlite.commit.after")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def _integer(value: object, where: str) -> int:
    if value is None:
        return 0
    if not isinstance(value, int):
        raise UsageError("the largest key is not an integer, so none can be reserved above it", where=where)
    return max(0, value)


def _rows(connection: sqlite3.Connection, table: str) -> int:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {quote(table)} LIMIT {COUNTED})"
    return int(connection.execute(sql).fetchone()[0])
