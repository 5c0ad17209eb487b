"""Rows out of MySQL and MariaDB, exactly: the expression each column is read by, its decoding, and the snapshot."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute

from migrate import failpoints
from migrate.arrow import arrow_schema, layout
from migrate.connectors.mysql import pieces as dividing
from migrate.connectors.mysql.catalog import read_schema
from migrate.connectors.mysql.errors import SqlError, condition, raised
from migrate.connectors.mysql.locks import holders_named
from migrate.connectors.mysql.pieces import WHOLE, Together, key_of, mark_sql, pieces_of, within
from migrate.connectors.mysql.session import Session, literal, quote, translated
from migrate.connectors.mysql.types import as_text, as_wide, base_name, is_unsigned_big, labels_of
from migrate.connectors.mysql.url import mask
from migrate.connectors.mysql.violations import violations
from migrate.connectors.mysql.wire import Columns
from migrate.errors import Drift, UsageError
from migrate.model import Column, FileRef, Kind, Schema, Table, Type

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
_BATCH_LIMIT = 16 << 20
_LOCK_SECONDS = 2  # the longest that writers of this server may have to wait for us
_NO_LOCK = (1044, 1142, 1227, 1205, 1213, 1317)  # the right, or the lock in time, was not to be had
# Character sets whose every text comes back as the same bytes after its way through utf8mb4.
_FAITHFUL = frozenset({"ascii", "latin1", "utf8", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf16le", "utf32"})


def read_expression(name: str, type_: Type) -> str:
    """SQL that reads a column in the form which `decode` takes."""
    if type_.kind is Kind.FLOAT and type_.bits == 32:
        return f"CAST({name} AS DOUBLE)"  # as it is printed it has 6 digits
    return f"{name}+0" if base_name(type_) == "bit" else name


def select_list(columns: Sequence[Column], *, prefix: str = "") -> str:
    """`prefix` is "t." where rows come out of a join."""
    return ", ".join(f"{read_expression(prefix + quote(c.name), c.type)} AS {quote(c.name)}" for c in columns)


def decode(block: Columns, columns: Sequence[Column], table: str) -> pa.RecordBatch:
    """The server's texts in our layout. Raises UsageError where a value has no place in it."""
    arrays = []
    for column, array in zip(columns, block, strict=True):
        try:
            arrays.append(_decode(array, column.type))
        except pa.ArrowInvalid:
            raise UsageError(
                "a value does not fit the column's declared type (a zero date, or a number beyond 2^63?)",
                where=f"{table}.{column.name}",
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))


def _decode(array: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    wanted = layout(type_)
    if type_.kind is Kind.BYTES:
        return array
    text = array.cast(pa.string())
    if type_.kind is Kind.BOOL:
        return text.cast(pa.int8()).cast(wanted)
    if type_.kind is Kind.TIMESTAMPTZ:
        return text.cast(pa.timestamp("us")).cast(wanted)
    if type_.kind is Kind.TIME:  # Arrow reads no text as a time of day, but as a moment
        moments = pc.binary_join_element_wise("1970-01-01", text, " ").cast(pa.timestamp("us"))
        time: pa.Array[Any] = moments.view(pa.int64()).view(wanted)
        return time
    return text if wanted == pa.string() else text.cast(wanted)


def bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Slices of at most ~16 MB each."""
    pieces = min(batch.num_rows, -(-batch.nbytes // _BATCH_LIMIT)) or 1
    step = -(-batch.num_rows // pieces) or 1
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def read_table(session: Session, sql: str, columns: Sequence[Column], table: str) -> pa.Table:
    """The result of `sql`, whose select list is `select_list(columns)`, in our layout."""
    batches = [decode(block, columns, table) for block in session.stream(sql)]
    return pa.Table.from_batches(batches, schema=arrow_schema(columns))


class MysqlSnapshot:
    """`migrate.connectors.protocol.Snapshot` and `Divided`, over one transaction or several of the same moment."""

    def __init__(
        self,
        url: str,
        reader: Session,
        tables: Sequence[str],
        *,
        beside: Sequence[Session] = (),
        alone: str = "",
    ) -> None:
        """`beside`: further sessions that see the same. `alone`: why there are none, though some were asked for."""
        self._url, self._reader, self._names = url, reader, tuple(tables)
        self._together, self.alone = Together([reader, *beside]), alone
        at = reader.value("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')")
        self.taken_at = str(at)
        self.id = f"{reader.server.name.lower()}-{reader.id}-{at}"
        failpoints.hit("mysql.snapshot.begun")
        self._declared = read_schema(reader, tables)
        self._signature = _signature(read_schema(reader, tables, positions=False))
        self._counts: dict[str, int] = {}
        self.schema = replace(self._declared, tables=tuple(self._look(t) for t in self._declared.tables))

    def _look(self, table: Table) -> Table:
        """One scan: the count, and which columns hold what their layout cannot."""
        checks = [(c, f"MAX({sql})") for c in table.columns for sql in _surprises(quote(c.name), c)]
        sql = f"SELECT {', '.join(['COUNT(*)', *(s for _, s in checks)])} FROM {quote(table.name)}"
        with translated("reading a table", where=table.name, grant=_grant(self._reader, table.name)):
            (row,) = self._reader.rows(sql)
        self._counts[table.name] = int(row[0])
        found = {c.name for (c, _), hit in zip(checks, row[1:], strict=True) if hit not in (None, "0")}
        self._refuse(table, [c for c in table.columns if c.name in found])
        return replace(
            table,
            columns=tuple(replace(c, type=_changed(c.type)) if c.name in found else c for c in table.columns),
        )

    @staticmethod
    def _refuse(table: Table, found: Sequence[Column]) -> None:
        """Values that have no exact form here under any type."""
        wrong = [c for c in found if _changed(c.type) == c.type]
        if wrong:
            raise UsageError(
                "these columns hold texts that cannot be carried exactly: an enum's error value, or characters that "
                "their character set maps to another one",
                where=", ".join(f"{table.name}.{c.name}" for c in wrong),
                hint="Correct the values, or convert the column to utf8mb4.",
            )

    def count(self, table: str) -> int:
        return self._counts[table]

    def read(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        declared = self.schema.table(table)
        wanted = declared.columns if columns is None else tuple(declared.column(c) for c in columns)
        failpoints.hit("mysql.snapshot.read")
        yield from self._rows(table, wanted, "")

    def _rows(self, table: str, wanted: Sequence[Column], where: str) -> Iterator[pa.RecordBatch]:
        sql = f"SELECT {select_list(wanted)} FROM {quote(table)}{where}"
        with self._together.session() as session:
            try:
                for block in session.stream(sql):
                    yield from bounded(decode(block, wanted, table))
            except SqlError as error:
                raise raised(error, "reading a table", where=table, grant=_grant(session, table)) from None

    # -- Divided ------------------------------------------------------------------------------------

    def pieces(self, table: str, known: Sequence[str] = ()) -> Sequence[str]:
        """Ranges of the primary key. Their bounds are found by one walk along it, and kept as long as a capture is."""
        declared = self.schema.table(table)
        key, rows = key_of(declared), self._counts[table]
        if not key:
            return (WHOLE,)
        with (
            self._together.session() as session,
            translated("reading a table", where=table, grant=_grant(self._reader, table)),
        ):
            size = bytes_of(session, [table])
            if not known and size < 2 * dividing.PIECE_BYTES:
                return (WHOLE,)
            each = max(1, rows * dividing.PIECE_BYTES // max(size, dividing.PIECE_BYTES))
            return pieces_of(session, declared, key, each, known)

    def read_piece(self, table: str, piece: str) -> Iterator[pa.RecordBatch]:
        declared = self.schema.table(table)
        failpoints.hit("mysql.snapshot.read_piece")
        yield from self._rows(table, declared.columns, within(key_of(declared), piece))

    def mark(self, table: str, piece: str) -> str:
        declared = self.schema.table(table)
        failpoints.hit("mysql.snapshot.mark")
        with (
            self._together.session() as session,
            translated("reading a table", where=table, grant=_grant(self._reader, table)),
        ):
            ((rows, hashed, low, high),) = session.rows(mark_sql(declared, key_of(declared), piece))
            doubtful = session.warnings or hashed != rows
        if doubtful:  # the server could not hash a value, so this says nothing: no other mark is equal to it
            return f"my-text-none:{secrets.token_hex(16)}"
        return f"my-text-2:{rows}:{low}:{high}"

    def originals(self) -> Sequence[FileRef]:
        return ()

    def violations(self) -> Sequence[str] | None:
        return violations(self._reader, self._declared)

    def verify_unchanged(self) -> None:
        with Session(self._url) as fresh:
            now = _signature(read_schema(fresh, self._names, positions=False))
        if now != self._signature:
            changed = sorted(n for n in self._names if now.get(n) != self._signature.get(n))
            raise Drift(
                "the schema changed while it was read",
                where=", ".join(changed),
                kept="Nothing that was read is used.",
                hint="Run the same command again when nobody alters these tables.",
            )


def _changed(type_: Type) -> Type:
    """The type under which a column travels whose rows do not fit the declared one; the same where there is none."""
    if type_.kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return as_text(type_)
    return as_wide(type_) if is_unsigned_big(type_) else type_


def bytes_of(session: Session, tables: Sequence[str]) -> int:
    """Of the largest of the tables, as it lies on the server's disk; an estimate of the server's."""
    names = ", ".join(literal(t) for t in tables) or "NULL"
    found = session.value(
        "SELECT COALESCE(MAX(DATA_LENGTH), 0) FROM information_schema.TABLES "
        f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME IN ({names})"
    )
    return int(found)


def _signature(schema: Schema) -> Mapping[str, Table]:
    """What a table's declaration is, per table."""
    return {t.name: t for t in schema.tables}


def _grant(session: Session, table: str) -> str:
    return f"GRANT SELECT ON {quote(session.database)}.{quote(table)} TO {account(session.user)}"


def account(user: str) -> str:
    """`name@host`, as the server says it, quoted for a GRANT."""
    name, _, host = user.rpartition("@")
    return f"'{name}'@'{host}'"


def _surprises(name: str, column: Column) -> Iterator[str]:
    """Conditions under which a column cannot be read in the plain way."""
    type_ = column.type
    if type_.kind in (Kind.DATE, Kind.TIMESTAMP):
        # the zero date and year, zero months and days, and days like February 30
        yield f"{name} < '0001-01-01' OR DAYOFMONTH({name}) = 0 OR MONTH({name}) = 0 OR DAYOFMONTH({name}) > DAYOFMONTH(LAST_DAY({name}))"
    elif type_.kind is Kind.TIMESTAMPTZ:
        yield f"{name} < '1970-01-01'"
    elif type_.kind is Kind.TIME:
        yield f"{name} < '00:00:00' OR {name} >= '24:00:00'"
    elif is_unsigned_big(type_):
        yield f"{name}+0 > 9223372036854775807"
    elif type_.labels:
        yield f"{name}+0 = 0" + (f" AND {name} = ''" if "" in labels_of(type_.native) else "")
    elif type_.kind in (Kind.TEXT, Kind.JSON) and column.collation:
        charset = column.collation.partition("_")[0]
        if charset not in _FAITHFUL and charset.isalnum():
            yield f"HEX({name}) <> HEX(CONVERT(CONVERT({name} USING utf8mb4) USING {charset}))"


class Readers:
    """Sessions that snapshots are read by, used again. One whose snapshot ended well holds no transaction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: list[Session] = []

    @contextmanager
    def snapshot(self, tables: Sequence[str], readers: int = 1) -> Iterator[MysqlSnapshot]:
        """A REPEATABLE READ snapshot in which each table is touched at once: the metadata lock that this takes keeps
        ALTER, DROP and TRUNCATE away until the end, for these do not keep to snapshots.

        Begun under FLUSH TABLES WITH READ LOCK where that is to be had within 2 s, so that nothing happens between
        the snapshot and those locks, and so that as many transactions as `readers` see the same, if a table is large.
        Without it one connection's snapshot is as consistent for InnoDB's rows (other engines are refused), and a
        table altered in between is an error of the server's, never rows of another time.
        Raises Unreachable, Drift (a table is gone), UsageError (a type or an engine that cannot travel)."""
        reader = self._session()
        beside: list[Session] = []
        usable = False
        try:
            with translated("opening a snapshot", where=mask(self._url)):
                if readers > 1 and bytes_of(reader, tables) >= 2 * dividing.PIECE_BYTES:
                    beside = [self._session() for _ in range(readers - 1)]
                for session in (reader, *beside):
                    session.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                with _still(self._url) as refused:
                    for session in (reader, *(() if refused else beside)):
                        session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                    for table in tables:
                        with (
                            holders_named(self._url, table),
                            translated(
                                f"reading {table}", where=mask(self._url), grant=_grant(reader, table)
                            ),
                        ):
                            reader.rows(f"SELECT 1 FROM {quote(table)} LIMIT 0")
            with translated("reading a snapshot", where=mask(self._url)):
                yield MysqlSnapshot(
                    self._url,
                    reader,
                    tables,
                    beside=() if refused else beside,
                    alone=refused if beside else "",
                )
            with suppress(SqlError):
                for session in (reader, *beside):
                    session.execute("ROLLBACK")
                usable = not any(s.broken for s in (reader, *beside))
        finally:
            for session in (reader, *beside):
                if usable:
                    self._idle.append(session)
                else:
                    session.close()

    def _session(self) -> Session:
        while self._idle:
            session = self._idle.pop()
            try:
                session.execute("DO 1")
            except SqlError:  # lost while it waited
                session.close()
            else:
                return session
        return Session(self._url)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


@contextmanager
def _still(url: str) -> Iterator[str]:
    """Nobody writes on the server meanwhile, if we have the right to ask for that and get it in time; a moment only.
    Gives what kept it from us, nothing where it is held."""
    with Session(url) as locker:
        refused = ""
        try:
            locker.execute(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
            locker.execute("FLUSH TABLES WITH READ LOCK")
        except SqlError as error:
            if error.number not in _NO_LOCK:
                raise
            refused = _why(error, locker)
        yield refused
        if not refused:
            with suppress(SqlError):  # the lock goes with its connection in any case
                locker.execute("UNLOCK TABLES")


def _why(error: SqlError, locker: Session) -> str:
    if error.number == 1205:
        return f"FLUSH TABLES WITH READ LOCK was not to be had within {_LOCK_SECONDS} s"
    return (
        f"FLUSH TABLES WITH READ LOCK was refused ({error.number} {condition(error.number)}); "
        f"GRANT RELOAD ON *.* TO {account(locker.user)} allows it"
    )
