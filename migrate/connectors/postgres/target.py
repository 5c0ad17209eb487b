"""PostgreSQL as a place to read from and to write to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pyarrow as pa

from migrate import failpoints
from migrate.connectors.declared import as_declared
from migrate.connectors.postgres import ddl
from migrate.connectors.postgres.catalog import META, read_schema, table_names
from migrate.connectors.postgres.errors import SqlError
from migrate.connectors.postgres.read import PostgresSnapshot, Readers
from migrate.connectors.postgres.referring import no_references, references_to, referring
from migrate.connectors.postgres.session import (
    Session,
    alive,
    connect,
    grantee,
    mask,
    quote,
    quote_table,
    translated,
)
from migrate.connectors.postgres.transaction import FENCE, PostgresTransaction
from migrate.connectors.protocol import COUNTED, DdlText
from migrate.connectors.sessions import Idle, Keeper
from migrate.errors import UsageError
from migrate.model import Column, Kind, Schema, Table

if TYPE_CHECKING:
    import sqlalchemy as sa

KEYS = f"{META}.keys"
# An entry that is written again finds room beside itself: its index is left as it is, at half the server's time.
_FILL = {f"{META}.crosswalk": 50}
_HOLD = 0x6D69677261746531  # "migrate1": advisory locks are numbers, one space per database
_PATIENCE = 2.0  # seconds: the server may not have noticed yet that the one who had the lock is dead
_CREATE = _HOLD + 1


def open_database(url: str, *, base: Path | None = None) -> PostgresTarget:
    """Connects. Raises Unreachable (wrong password, host, database …), UsageError (a URL libpq cannot read)."""
    return PostgresTarget(url)


def _by_bytes(table: Table) -> Table:
    """One of our own tables, whose texts are compared as bytes: quicker than by the rules of a language, and an index over
    them does not depend on the version of the system's rules, which a server may change under it."""
    return replace(
        table,
        columns=tuple(
            replace(c, collation='pg_catalog."C"') if c.type.kind is Kind.TEXT else c for c in table.columns
        ),
    )


class PostgresTarget:
    """`migrate.connectors.protocol.Target`; as a Source only its reading half is used."""

    engine = "postgresql"
    parallel_writers = True

    def __init__(self, url: str) -> None:
        self._url, self.url = url, mask(url)
        self._connection: psycopg.Connection[Any] | None = connect(url)
        self._sessions = Idle(lambda: Session(url), _answers)
        self._readers = Readers(url)
        self._keeper = Keeper(self.url, lambda: connect(url), self._lock, _has_lock)
        self._asking = Lock()  # several threads may ask who refers to rows

    def _side(self) -> psycopg.Connection[Any]:
        """The session for catalogue and small statements; a lost one is opened anew (it holds no state)."""
        if self._connection is None or not alive(self._connection):
            self._connection = connect(self._url)
        return self._connection

    # -- reading ----------------------------------------------------------------------------------

    def schema(self, tables: Sequence[str] | None = None) -> Schema:
        return read_schema(self._side(), tables)

    def snapshot(
        self, tables: Sequence[str], *, readers: int = 1
    ) -> AbstractContextManager[PostgresSnapshot]:
        del readers  # sessions join an exported snapshot when they are needed
        return self._readers.snapshot(tables)

    def ddl_text(self, tables: Sequence[str], folder: Path) -> DdlText:
        from migrate.connectors.postgres.native import ddl_text

        return ddl_text(self._url, tables, folder)

    def others(self, known: Sequence[str]) -> dict[str, int | None]:
        connection = self._side()
        return {name: _rows(connection, name) for name in table_names(connection) if name not in known}

    def close(self) -> None:
        self._sessions.close()
        self._readers.close()
        if self._connection is not None:
            self._connection.close()

    # -- our own tables ---------------------------------------------------------------------------

    def meta(self, name: str) -> str:
        return f"{META}.{name}"

    def create_tables(self, tables: Sequence[Table], *, constraints: bool = True) -> None:
        statements = []
        for table in tables:
            fill = _FILL.get(table.name, 100)
            made = _by_bytes(table) if table.name.startswith(f"{META}.") else table
            statements.append(
                ddl.create_table(made, if_missing=True, trusted=True, key=constraints, fill=fill)
            )
            if constraints:
                statements += [self._index(table, ddl.index(table, i, trusted=True)) for i in table.indexes]
        self._create(ddl.schemas([t.name for t in tables]), statements)
        if constraints:
            self._add_constraints(tables)

    @staticmethod
    def _index(table: Table, sql: str) -> str:
        return sql.replace("INDEX ", "INDEX IF NOT EXISTS ", 1) if "IF NOT EXISTS" not in sql else sql

    def _add_constraints(self, tables: Sequence[Table]) -> None:
        wanted = [
            (table, name, sql)
            for table in tables
            for name, sql in (
                *((u.name, ddl.unique(table, u, trusted=True)) for u in table.uniques),
                *((f.name, ddl.foreign_key(table, f)) for f in table.foreign_keys),
            )
        ]
        side = self._side()
        with translated("adding constraints", where=self.url):
            for table, name, sql in wanted:
                there = side.execute(
                    "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s",
                    [quote_table(table.name), name],
                ).fetchone()
                if there is None:
                    side.execute(sql.encode())

    def _create(self, schemas: Sequence[str], statements: Sequence[str]) -> None:
        side = self._side()
        user = quote(str(side.info.user))
        grant = f"GRANT CREATE ON DATABASE {quote(str(side.info.dbname))} TO {user}"
        with translated("creating our own tables", where=self.url, grant=grant), side.transaction():
            side.execute(
                "SELECT pg_advisory_xact_lock(%s)", [_CREATE]
            )  # IF NOT EXISTS alone races with itself
            for name in schemas:
                row = side.execute("SELECT to_regnamespace(%s) IS NULL", [quote(name)]).fetchone()
                if (
                    row is not None and row[0]
                ):  # asked first: IF NOT EXISTS needs the right even where it does nothing
                    side.execute(f"CREATE SCHEMA {quote(name)}".encode())
            failpoints.hit("postgres.create.before")
            for sql in statements:
                side.execute(sql.encode())
            failpoints.hit("postgres.create.done")
        failpoints.hit("postgres.create.committed")

    def changing(self) -> AbstractContextManager[sa.Connection]:
        from migrate.connectors.postgres.creation import changing  # sqlalchemy, wanted only here

        return changing(self._url)

    def check_rights(self, new: Sequence[str], changed: Sequence[str], referred: Sequence[str]) -> None:
        from migrate.connectors.postgres.creation import check_rights

        with translated("looking at rights", where=self.url):
            check_rights(self._side(), new, changed, referred)

    # -- one run at a time ------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """A session lock: it goes with the process, without anybody's help."""
        with self._keeper.holding():
            failpoints.hit("postgres.hold.taken")
            yield

    def _lock(self, keeper: psycopg.Connection[Any]) -> bool:
        patient_until = time.monotonic() + _PATIENCE
        while True:
            with translated("taking the target's lock", where=self.url):
                row = keeper.execute("SELECT pg_try_advisory_lock(%s)", [_HOLD]).fetchone()
            if row is not None and row[0]:
                return True
            if time.monotonic() >= patient_until:
                return False
            time.sleep(0.1)

    def raise_fence(self, run: str) -> int:
        keeper = self._keeper.session("the fence can only be raised")
        self._create(
            [META],
            [
                f"CREATE TABLE IF NOT EXISTS {FENCE} (one boolean PRIMARY KEY DEFAULT true CHECK (one), value bigint NOT NULL, "
                "run text NOT NULL, raised_at timestamptz NOT NULL DEFAULT now())"
            ],
        )
        failpoints.hit("postgres.fence.before")
        with translated("raising the fence", where=FENCE):
            # on the connection that has the lock: where that is lost meanwhile, so is this
            row = keeper.execute(
                f"INSERT INTO {FENCE} AS f (value, run) VALUES (1, %s) "
                "ON CONFLICT (one) DO UPDATE SET value = f.value + 1, run = excluded.run, raised_at = now() RETURNING value".encode(),
                [run],
            ).fetchone()
        failpoints.hit("postgres.fence.raised")
        assert row is not None
        return int(row[0])

    # -- writing ----------------------------------------------------------------------------------

    def begin(self) -> PostgresTransaction:
        return PostgresTransaction(self._sessions.take(), self._sessions.give_back)

    def _session(self) -> AbstractContextManager[Session]:
        """A session for statements of its own, outside any transaction."""
        return self._sessions.lent()

    def as_declared(self, rows: pa.Table, stored: Table, declared: Table) -> pa.Table:
        return as_declared(
            rows,
            stored,
            declared,
            "NaN in a sized numeric, or an array of arrays",
            unreadable=(Kind.ARRAY,),  # nested or with infinities: text that only the server can read
        )

    def reserve_keys(self, table: Table, column: str, count: int) -> pa.Array[Any]:
        """Values that no row has and nobody gets again: from the sequence, whose position is never set back,
        or above both max(column) and what was ever reserved (kept in a table of ours)."""
        declared = table.column(column)
        if declared.type.kind is not Kind.INT:
            raise UsageError("only integer keys can be reserved", where=f"{table.name}.{column}")
        kind = {16: pa.int16(), 32: pa.int32()}.get(declared.type.bits or 64, pa.int64())
        if count <= 0:
            return pa.array([], kind)
        failpoints.hit("postgres.keys.before")
        if declared.sequence is None:
            values = self._above(table, declared, count)
        else:
            values = self._from_sequence(table, declared, count)
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            raise UsageError("the key's type has no values left", where=f"{table.name}.{column}") from None

    def _from_sequence(self, table: Table, column: Column, count: int) -> pa.Array[Any]:
        assert column.sequence is not None
        name = quote_table(column.sequence)
        free = f"NOT EXISTS (SELECT FROM {quote_table(table.name)} t WHERE t.{quote(column.name)} = s.value)"
        pieces: list[pa.Array[Any]] = []
        missing, draw = count, count
        with (
            translated(
                "reserving keys",
                where=table.name,
                grant=f"GRANT USAGE ON SEQUENCE {name} TO {grantee(self._url)}",
            ),
            self._session() as session,
        ):
            while missing:
                # the column's rows may be ahead of their sequence (rows written with their own keys): those are passed over
                found = session.query(
                    f"SELECT value FROM (SELECT nextval({_text(name)}::regclass) AS value FROM generate_series(1, {draw}) OFFSET 0) s WHERE {free} ORDER BY value"
                )["value"].combine_chunks()
                pieces.append(found.slice(0, missing))
                missing -= min(missing, len(found))
                draw = max(missing, draw * 2 if not len(found) else missing)
        return pa.concat_arrays(pieces)

    def _above(self, table: Table, column: Column, count: int) -> pa.Array[Any]:
        self._create(
            [META],
            [
                f"CREATE TABLE IF NOT EXISTS {KEYS} (table_name text, column_name text, upto bigint NOT NULL, "
                "PRIMARY KEY (table_name, column_name))"
            ],
        )
        highest = f"greatest(coalesce((SELECT max({quote(column.name)})::int8 FROM {quote_table(table.name)}), 0), 0)"
        with translated("reserving keys", where=table.name):
            row = (
                self._side()
                .execute(
                    f"INSERT INTO {KEYS} AS k VALUES (%(table)s, %(column)s, {highest} + %(count)s) "
                    f"ON CONFLICT (table_name, column_name) DO UPDATE SET upto = greatest(k.upto, {highest}) + %(count)s RETURNING upto".encode(),
                    {"table": table.name, "column": column.name, "count": count},
                )
                .fetchone()
            )
        assert row is not None
        return pa.array(np.arange(int(row[0]) - count + 1, int(row[0]) + 1))

    # -- undo -------------------------------------------------------------------------------------

    def references_to(self, table: Table, key: Sequence[str], keys: pa.Table) -> pa.Table:
        if not keys.num_rows:
            return no_references()
        with self._asking:
            found = referring(self._side(), table)
        return references_to(found, self._session, table, key, keys)


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _rows(connection: psycopg.Connection[Any], table: str) -> int | None:
    """None where this user may not read it, or its rows are hidden from him."""
    sql = f"SELECT count(*) FROM (SELECT FROM {quote_table(table)} LIMIT {COUNTED}) AS t"
    with translated("counting rows", where=table):
        try:
            with connection.transaction():
                connection.execute("SET LOCAL row_security = off")
                found = connection.execute(sql.encode()).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            return None
    return int(found[0]) if found else None


def _answers(session: Session) -> bool:
    with suppress(SqlError):
        session.query("SELECT 1")
        return True
    return False


def _has_lock(keeper: psycopg.Connection[Any]) -> bool:
    try:
        found = keeper.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() AND objsubid = 1 "
            "AND classid::bigint = %s AND objid::bigint = %s",
            [_HOLD >> 32, _HOLD & 0xFFFFFFFF],
        )
        return found.fetchone() is not None
    except psycopg.Error:
        return False
