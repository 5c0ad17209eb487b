"""Rows out of PostgreSQL, exactly: the expression each column is read by, its decoding, and the snapshot.

What ADBC's binary reader gets wrong is never asked of it: infinite dates and timestamps come as integers,
nested arrays and NaN in a sized numeric as text (decided once per snapshot by one scan), everything that it
would hand out as wire bytes as the server's own text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute

from migrate import failpoints
from migrate.arrow import DATE_INFINITY, TIMESTAMP_INFINITY, arrow_schema, layout
from migrate.connectors.postgres.catalog import read_both, read_schema
from migrate.connectors.postgres.errors import SqlError
from migrate.connectors.postgres.locks import holders_named
from migrate.connectors.postgres.pieces import WHOLE, Beside, mark_sql, pieces_of, within
from migrate.connectors.postgres.session import (
    READING,
    Session,
    connect,
    grant_of,
    mask,
    quote,
    quote_table,
    translated,
)
from migrate.connectors.postgres.types import as_text, travels_as_string
from migrate.connectors.postgres.violations import violations
from migrate.errors import Drift, UsageError
from migrate.model import Column, FileRef, Kind, Schema, Table, Type

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
TIMES = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_BATCH_LIMIT = 16 << 20
# 2^63 - 1 µs after 1970; PostgreSQL goes on to 294276-12-31. Later ones have no place in the layout.
_LAST_TIMESTAMP = {
    Kind.TIMESTAMP: "timestamp '294247-01-10 04:00:54.775806'",
    Kind.TIMESTAMPTZ: "timestamptz '294247-01-10 04:00:54.775806+00'",
}
_NATIVE_ITEMS = (Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.BYTES, Kind.TIME, *TIMES)


def read_expression(name: str, type_: Type, *, infinite: bool = True) -> str:
    """SQL that reads a column in the form which `decode` takes; `infinite`: dates may be ±infinity."""
    if type_.kind is Kind.DATE and infinite:
        return (
            f"CASE {name} WHEN 'infinity' THEN {DATE_INFINITY} WHEN '-infinity' THEN -{DATE_INFINITY} "
            f"ELSE {name} - date '1970-01-01' END::int4"
        )
    if type_.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and infinite:
        # two steps, both in integers: extract(epoch) as a double loses microseconds on old servers
        return (
            f"CASE {name} WHEN 'infinity' THEN {TIMESTAMP_INFINITY} WHEN '-infinity' THEN -{TIMESTAMP_INFINITY} "
            f"ELSE extract(epoch FROM date_trunc('minute', {name}))::int8 * 1000000 + extract(microseconds FROM {name})::int8 END"
        )
    if type_.kind is Kind.ARRAY:
        assert type_.item is not None
        plain = type_.item.kind in _NATIVE_ITEMS or (
            type_.item.kind is Kind.TEXT and type_.item.native in ("text", "character varying")
        )
        return name if plain else f"{name}::text[]"
    if type_.kind is Kind.TEXT:
        # text(char(n)) drops the padding, which is not content; enums and citext become text
        return (
            name
            if type_.native in ("", "text") or type_.native.startswith("character varying")
            else f"{name}::text"
        )
    if type_.kind is Kind.OPAQUE and type_.native == "inet":
        return f"textin(inet_out({name}))"  # a cast would add /32 to a plain address, which nobody writes
    return f"{name}::text" if type_.kind in (Kind.UUID, Kind.JSON, Kind.OPAQUE) else name


def select_list(columns: Sequence[Column], *, prefix: str = "", finite: frozenset[str] = frozenset()) -> str:
    """`prefix` is "t." where rows come out of a join; `finite` names time columns known to hold no infinity."""
    return ", ".join(
        f"{read_expression(prefix + quote(c.name), c.type, infinite=c.name not in finite)} AS {quote(c.name)}"
        for c in columns
    )


def decode(batch: pa.RecordBatch, columns: Sequence[Column], table: str) -> pa.RecordBatch:
    """The driver's batch in our layout. Raises UsageError where a value has no place in it."""
    arrays = []
    for column, array in zip(columns, batch.columns, strict=True):
        try:
            arrays.append(_decode(array, column.type))
        except pa.ArrowInvalid:
            raise UsageError(
                "a value does not fit the column's declared type (NaN?)", where=f"{table}.{column.name}"
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))


def _decode(array: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    wanted = layout(type_)
    if array.type.equals(wanted):
        return _named(array) if travels_as_string(type_) else array
    if type_.kind in TIMES and pa.types.is_integer(array.type):
        return array.view(wanted)
    if travels_as_string(type_):
        return _named(array.cast(pa.string()))
    return array.cast(wanted)


def _named(array: pa.Array[Any]) -> pa.Array[Any]:
    """NaN and infinities as PostgreSQL spells them (the driver says nan, inf)."""
    if not pc.any(pc.is_in(array, value_set=pa.array(["nan", "inf", "-inf"]))).as_py():
        return array
    for found, spelled in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")):
        array = pc.if_else(pc.equal(array, found), spelled, array)
    return array


def bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of at most ~16 MB each."""
    pieces = min(batch.num_rows, -(-batch.nbytes // _BATCH_LIMIT)) or 1
    step = -(-batch.num_rows // pieces) or 1
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


class PostgresSnapshot:
    """`migrate.connectors.protocol.Snapshot` over one exported snapshot."""

    def __init__(
        self, url: str, coordinator: psycopg.Connection[Any], reader: Session, tables: Sequence[str]
    ) -> None:
        self._url, self._coordinator, self._reader = url, coordinator, reader
        self._beside = Beside(url)
        row = coordinator.execute(
            "SELECT pg_export_snapshot(), to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        ).fetchone()
        assert row is not None
        self.id, self.taken_at = str(row[0]), str(row[1])
        failpoints.hit("postgres.snapshot.exported")
        self._declared, unplaced = read_both(coordinator, tables)
        self._signature = _signature(unplaced)
        with translated("joining the snapshot"):
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            reader.execute(f"SET TRANSACTION SNAPSHOT '{self.id}'")
        self._counts: dict[str, int] = {}
        self._finite: dict[str, frozenset[str]] = {}
        self.schema = replace(self._declared, tables=tuple(self._look(t) for t in self._declared.tables))

    def _look(self, table: Table) -> Table:
        """One scan: the count, and which columns hold what their layout cannot."""
        checks: list[tuple[Column, str]] = []
        for column in table.columns:
            name = quote(column.name)
            checks += [(column, f"bool_or({condition})") for condition in _surprises(name, column.type)]
        with _reading(table.name, self._url):
            row = self._coordinator.execute(
                f"SELECT {', '.join(['count(*)', *(sql for _, sql in checks)])} FROM {_source(table)}"
            ).fetchone()
        assert row is not None
        self._counts[table.name] = int(row[0])
        found = {column.name for (column, _), surprise in zip(checks, row[1:], strict=True) if surprise}
        self._finite[table.name] = frozenset(
            c.name for c in table.columns if c.type.kind in TIMES and c.name not in found
        )
        late = [
            c.name
            for c in table.columns
            if c.name in found and c.type.kind in _LAST_TIMESTAMP and self._too_late(table, c)
        ]
        if late:
            raise UsageError(
                "timestamps after the year 294246 cannot be carried exactly",
                where=", ".join(f"{table.name}.{name}" for name in late),
                hint="They are nearly always a mistake: correct them, or store 'infinity'.",
            )
        return replace(
            table,
            columns=tuple(
                replace(c, type=as_text(c.type))
                if c.name in found and c.type.kind in (Kind.DECIMAL, Kind.ARRAY)
                else c
                for c in table.columns
            ),
        )

    def _too_late(self, table: Table, column: Column) -> bool:
        name = quote(column.name)
        with translated("reading a table", where=table.name):
            row = self._coordinator.execute(
                f"SELECT EXISTS (SELECT FROM {_source(table)} WHERE {name} > {_LAST_TIMESTAMP[column.type.kind]} AND isfinite({name}))"
            ).fetchone()
        assert row is not None
        return bool(row[0])

    def count(self, table: str) -> int:
        return self._counts[table]

    def read(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        declared = self.schema.table(table)
        wanted = declared.columns if columns is None else tuple(declared.column(c) for c in columns)
        failpoints.hit("postgres.snapshot.read")
        yield from self._rows(self._reader, declared, wanted, "")

    def _rows(
        self, session: Session, table: Table, wanted: Sequence[Column], where: str
    ) -> Iterator[pa.RecordBatch]:
        sql = f"SELECT {select_list(wanted, finite=self._finite[table.name])} FROM {_source(table)}{where}"
        with _reading(table.name, self._url):
            for batch in session.stream(sql):
                yield from bounded(decode(batch, wanted, table.name))

    # -- Divided ------------------------------------------------------------------------------------

    alone = ""  # sessions can always join

    def pieces(self, table: str, known: Sequence[str] = ()) -> Sequence[str]:
        """Pieces are ranges of the table's pages, fixed in size: they cost no sort and no random reads, and any table
        has them. A row lies in one of them in any snapshot; one that moved since changes the marks of both."""
        del known  # pages are where they were
        declared = self.schema.table(table)
        if declared.options == "partitioned" or self._coordinator.info.server_version < 140000:
            return (WHOLE,)  # without scans by ranges of pages every piece would read the whole table
        with _reading(table, self._url):
            row = self._coordinator.execute(
                "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int8",
                [quote_table(table)],
            ).fetchone()
        return pieces_of(int(row[0]) if row else 0)

    def read_piece(self, table: str, piece: str) -> Iterator[pa.RecordBatch]:
        declared = self.schema.table(table)
        failpoints.hit("postgres.snapshot.read_piece")
        with self._beside.session(self.id) as session:
            yield from self._rows(session, declared, declared.columns, within(piece))

    def mark(self, table: str, piece: str) -> str:
        declared = self.schema.table(table)
        failpoints.hit("postgres.snapshot.mark")
        with self._beside.session(self.id) as session, _reading(table, self._url):
            found = session.query(mark_sql(_source(declared), piece)).to_pylist()[0]
        return f"pg-text-2:{found['rows']}:{found['low']}:{found['high']}"

    def leave(self) -> None:
        """Sessions that read beside the first one go."""
        self._beside.close()

    def originals(self) -> Sequence[FileRef]:
        return ()

    def violations(self) -> Sequence[str] | None:
        return violations(self._coordinator, self._declared)

    def verify_unchanged(self) -> None:
        names = self._declared.table_names
        with connect(self._url) as fresh:
            now = _signature(read_schema(fresh, names, positions=False))
        if now != self._signature:
            changed = sorted(n for n in names if now.get(n) != self._signature.get(n)) or [
                "types or sequences"
            ]
            raise Drift(
                "the schema changed while it was read",
                where=", ".join(changed),
                kept="Nothing that was read is used.",
                hint="Run the same command again when nobody alters these tables.",
            )


def _reading(table: str, url: str) -> AbstractContextManager[None]:
    """Errors while a table is read, with the right that may be missing."""
    return translated("reading a table", where=table, grant=grant_of("SELECT", table, url))


def _signature(schema: Schema) -> Mapping[str, object]:
    """What a table's declaration is, per table; "" holds what belongs to none."""
    return {**{t.name: t for t in schema.tables}, "": (schema.sequences, dict(schema.enums))}


def _source(table: Table) -> str:
    """A table with inheritance children is read without them, they are tables of their own."""
    return quote_table(table.name) if table.options == "partitioned" else f"ONLY {quote_table(table.name)}"


def _surprises(name: str, type_: Type) -> Iterator[str]:
    """Conditions under which a column cannot be read in the plain way."""
    if type_.kind is Kind.DATE:
        yield f"NOT isfinite({name})"
    elif type_.kind in _LAST_TIMESTAMP:
        yield f"{name} > {_LAST_TIMESTAMP[type_.kind]} OR {name} = '-infinity'"
    elif type_.kind is Kind.DECIMAL and not travels_as_string(type_):
        yield f"{name} = 'NaN'"
    elif type_.kind is Kind.ARRAY:
        assert type_.item is not None
        yield f"array_ndims({name}) > 1 OR array_lower({name}, 1) <> 1"
        if type_.item.kind in TIMES:
            yield f"{name}::text ~ 'infinity|\\d{{6}}-'"
        elif type_.item.kind is Kind.DECIMAL:
            yield f"{name}::text ~ 'NaN|Infinity'"


class Readers:
    """Pairs of sessions that snapshots are read by, used again: a driver's session costs 50 ms of CPU to open.

    A pair whose snapshot ended well holds no transaction and waits for the next one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[tuple[psycopg.Connection[Any], Session]] = []

    @contextmanager
    def snapshot(self, tables: Sequence[str]) -> Iterator[PostgresSnapshot]:
        """REPEATABLE READ READ ONLY; tables are locked before the first SELECT, for TRUNCATE and rewriting ALTERs
        do not keep to snapshots. Raises Unreachable, Drift (a table is gone), UsageError (a type cannot travel)."""
        coordinator, reader = self._pair()
        usable = False
        try:
            with translated("opening a snapshot", where=mask(self._url)):
                coordinator.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for table in tables:
                with (
                    holders_named(self._url, table),
                    translated(
                        f"reading {table}",
                        where=mask(self._url),
                        grant=grant_of("SELECT", table, self._url),
                    ),
                ):
                    coordinator.execute(f"LOCK TABLE {quote_table(table)} IN ACCESS SHARE MODE")
            with translated("reading a snapshot", where=mask(self._url)):
                snapshot = PostgresSnapshot(self._url, coordinator, reader, tables)
                try:
                    yield snapshot
                finally:
                    snapshot.leave()
            usable = _ended(coordinator, reader)
        finally:
            if usable:
                self._idle.append((coordinator, reader))
            else:
                _close(coordinator, reader)

    def _pair(self) -> tuple[psycopg.Connection[Any], Session]:
        while self._idle:
            coordinator, reader = self._idle.pop()
            try:
                coordinator.execute("SELECT 1")
                reader.execute("SELECT 1")
            except (psycopg.Error, SqlError):  # lost while it waited
                _close(coordinator, reader)
            else:
                return coordinator, reader
        coordinator = connect(self._url, extra=READING)
        try:
            return coordinator, Session(self._url, settings=READING)
        except BaseException:
            coordinator.close()
            raise

    def close(self) -> None:
        while self._idle:
            _close(*self._idle.pop())


def _ended(coordinator: psycopg.Connection[Any], reader: Session) -> bool:
    """Both transactions are over. What was read does not depend on it."""
    try:
        reader.finish()
        reader.execute("ROLLBACK")
        coordinator.execute("ROLLBACK")
    except (psycopg.Error, SqlError):
        return False
    return True


def _close(coordinator: psycopg.Connection[Any], reader: Session) -> None:
    reader.close()
    coordinator.close()


def read_table(session: Session, sql: str, columns: Sequence[Column], table: str) -> pa.Table:
    """The result of `sql`, whose select list is `select_list(columns)`, in our layout."""
    batches = [decode(batch, columns, table) for batch in session.stream(sql)]
    return pa.Table.from_batches(batches, schema=arrow_schema(columns))
