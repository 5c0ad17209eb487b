"""A scratch database for restore tests: a fresh private file with a marker; only such files are ever removed."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from migrate import failpoints
from migrate.connectors.sqlite.ask import first_rows
from migrate.connectors.sqlite.batch import bound_columns, parameters
from migrate.connectors.sqlite.catalog import check_version, read_schema, tokens_of, unquoted
from migrate.connectors.sqlite.connect import connect, path_of
from migrate.connectors.sqlite.ddl import create_table, expressions_of
from migrate.connectors.sqlite.errors import error_name, translate, translated
from migrate.connectors.sqlite.names import MARKER, quote, quoted
from migrate.connectors.sqlite.target import LOCK_SUFFIX, SqliteTarget
from migrate.connectors.sqlite.types import Affinity, column_affinity
from migrate.connectors.sqlite.unfit import LOOKS_NUMERIC
from migrate.connectors.sqlite.violations import violations
from migrate.errors import GateClosed, MigrateError, Unfit, Unreachable, UsageError
from migrate.model import Kind, Schema, Table, Type

pc: Any = pyarrow.compute  # the stubs' overloads refuse valid calls

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SUFFIX = ".sqlite"


def open_scratch(url: str | None, *, folder: Path, name: str, run: str) -> SqliteScratch:
    """A new file `name`.sqlite, mode 0600, in `folder`, or where `url` says (a folder, or beside that file).

    The name must be in the ledger before this is called (F27). Raises Unreachable if it exists.
    """
    check_version()
    if url is not None:
        folder = place_of(url, folder)
    path = _file(folder, name)
    with translated(str(folder)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        failpoints.hit("sqlite.scratch.create")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        except FileExistsError:
            raise Unreachable("the place for the scratch database is taken", where=str(path)) from None
    with closing(connect(path, write=True)) as connection, translated(str(path)):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            f"CREATE TABLE {MARKER} (name TEXT NOT NULL, run TEXT NOT NULL, created_at TEXT NOT NULL)"
        )
        connection.execute(
            f"INSERT INTO {MARKER} VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))", (name, run)
        )
        connection.execute("COMMIT")
    failpoints.hit("sqlite.scratch.marked")
    return SqliteScratch(path, name)


def place_of(url: str, folder: Path) -> Path:
    """The folder that a scratch URL names: itself, or that of the file it names; relative to `folder`."""
    place = path_of(url, folder)
    return place if place.is_dir() else place.parent


def drop_leftovers(folder: Path, names: Sequence[str]) -> list[str]:
    """Remove scratch files of these names that carry our marker and that no living process uses. Returns the
    names that are gone now, also those that were not there any more."""
    removed = []
    for name in names:
        path = _file(folder, name)
        if not os.path.lexists(path):
            removed.append(name)
            continue
        if path.is_symlink() or not path.is_file():
            continue
        handle = os.open(str(path) + LOCK_SUFFIX, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            # A process killed between creating the file and marking it leaves it empty: nothing is in it.
            if path.stat().st_size == 0 or _marked(path, name):
                _remove(path)
                removed.append(name)
        finally:
            os.close(handle)
    return removed


class SqliteScratch(SqliteTarget):
    """Implements `Scratch`. `not_restored` lists by name what could not be restored faithfully."""

    synchronous = "OFF"  # a scratch that dies is made anew

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path)
        self.name = name
        self.not_restored: list[str] = []
        self.around: frozenset[str] = frozenset()
        self._alive = self._lock()
        self._connection: sqlite3.Connection | None = None
        self._trusted = False

    def _lock(self) -> int:
        """Says as long as it is held that this scratch is in use."""
        handle = os.open(str(self.path) + LOCK_SUFFIX, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle

    def restore_schema(self, schema: Schema, trusted: bool = True) -> None:
        """Tables with all that SQLite can only declare inside them (keys, uniques, checks), foreign keys off.

        `trusted` (F26): the manifest is this ledger's own or signed, so the CREATE TABLE texts may run;
        otherwise DDL is generated without expressions and `not_restored` names them. Indexes and
        sequence positions come with `restore_constraints`.
        """
        self._prove_empty()
        connection = self._writer()
        for table in schema.tables:
            failpoints.hit("sqlite.restore.table")
            with _going_in(table.name):
                connection.execute(self._ddl(table, schema.engine, trusted))
        with closing(connect(self.path, write=False)) as reader, translated(str(self.path)):
            made = set(read_schema(reader).table_names)
        missing = [t.name for t in schema.tables if t.name not in made]
        if missing:
            raise Unfit(f"tables were not created: {', '.join(missing)}", where=str(self.path))
        self._trusted = trusted

    def _prove_empty(self) -> None:
        with closing(connect(self.path, write=False)) as reader, translated(str(self.path)):
            if read_schema(reader).tables:
                raise GateClosed("the scratch database is not empty", where=str(self.path))

    def _ddl(self, table: Table, engine: str, trusted: bool) -> str:
        if engine != "sqlite":
            plain = _floats_as_they_are(table) if engine == "files" else table
            return create_table(plain, constraints=engine != "files", keep_native=False)
        if trusted and table.sql:
            words = tokens_of(table.sql)
            named = [unquoted(w) for w in words[2:3]]
            if [w.upper() for w in words[:2]] != ["CREATE", "TABLE"] or named != [table.name]:
                raise Unfit("the stored text does not create this table", where=table.name)
            return table.sql
        if not trusted:
            self.not_restored += expressions_of(table)
        return create_table(table, keep_native=True, expressions=trusted)

    def restore_rows(self, table: Table, batches: Iterator[pa.RecordBatch]) -> int:
        """Values as they were stored. A value whose storage class the declared affinity would change is
        restored as SQLite makes it, and named in `not_restored`."""
        connection = self._writer()
        names = [c.name for c in table.columns if not c.generated]
        sql = f"INSERT OR ABORT INTO main.{quote(table.name)} ({quoted(names)})"
        written = 0
        with _going_in(table.name):
            connection.execute("BEGIN IMMEDIATE")
            try:
                for batch in batches:
                    failpoints.hit("sqlite.restore.rows")
                    self._note_changed(table, batch)
                    written += self._write(
                        connection, sql, table, pa.Table.from_batches([batch]).select(names)
                    )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return written

    def _write(self, connection: sqlite3.Connection, sql: str, table: Table, rows: pa.Table) -> int:
        expressions, lists = parameters(bound_columns(_stored_as_is(table), rows))
        connection.executemany(f"{sql} VALUES ({expressions})", zip(*lists, strict=True))
        return rows.num_rows

    def _note_changed(self, table: Table, batch: pa.RecordBatch) -> None:
        for column in table.columns:
            if column.generated or column.name not in batch.schema.names:
                continue
            affinity = column_affinity(column.type.native, strict="STRICT" in table.options)
            if _changes(affinity, column.type.kind, batch.column(column.name)):
                note = f"{table.name}.{column.name}: storage class changed by its affinity ({affinity})"
                if note not in self.not_restored:
                    self.not_restored.append(note)

    def restore_constraints(self, schema: Schema) -> None:
        connection = self._writer()
        for table in schema.tables:
            for index in table.indexes if schema.engine == "sqlite" and self._trusted else ():
                failpoints.hit("sqlite.restore.index")
                self._index(connection, table, index.sql, index.name)
        self._sequences(connection, schema)

    def _index(self, connection: sqlite3.Connection, table: Table, sql: str, name: str) -> None:
        words = [w.upper() for w in tokens_of(sql)[:3]]
        if words[:2] != ["CREATE", "INDEX"] and words != ["CREATE", "UNIQUE", "INDEX"]:
            raise Unfit("the stored text does not create an index", where=f"{table.name}: index {name}")
        with _going_in(name):
            try:
                connection.execute(sql)
            except sqlite3.IntegrityError as error:
                raise GateClosed(
                    f"the rows do not satisfy a unique index ({error_name(error)})",
                    where=f"{table.name}: index {name}",
                ) from None

    def _sequences(self, connection: sqlite3.Connection, schema: Schema) -> None:
        """Positions of AUTOINCREMENT as they were, also where they lie above every key."""
        counted = {t.name for t in schema.tables if "AUTOINCREMENT" in t.options}
        with _going_in("sqlite_sequence"):
            for sequence in schema.sequences:
                if sequence.name not in counted:
                    continue
                connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (sequence.name,))
                if sequence.last_value is not None:
                    connection.execute(
                        "INSERT INTO sqlite_sequence VALUES (?, ?)", (sequence.name, sequence.last_value)
                    )

    def ask(self, sql: str, *, rows: int, seconds: float) -> list[tuple[object, ...]]:
        return first_rows(self.path, sql, rows=rows, seconds=seconds)

    def violations(self) -> list[str]:
        with closing(connect(self.path, write=True)) as connection:
            with translated(str(self.path)):
                schema = read_schema(connection)
            return violations(connection, schema)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1

    def drop(self) -> None:
        """Removes the file; GateClosed if the marker in it is not ours."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self.path.exists():
            if not _marked(self.path, self.name):
                raise GateClosed(
                    "the file lacks this scratch's marker, so it is not removed", where=str(self.path)
                )
            failpoints.hit("sqlite.scratch.drop")
            _remove(self.path)
        self.close()

    def _writer(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self.path, write=True)
            with translated(str(self.path)):
                self._connection.execute(
                    "PRAGMA foreign_keys = OFF"
                )  # faithful copies keep the source's violations
                self._connection.execute("PRAGMA ignore_check_constraints = ON")
                self._connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        return self._connection


@contextmanager
def _going_in(what: str) -> Iterator[None]:
    """As `translated`; that a statement made of the backup's own texts is none is a verdict on the backup."""
    try:
        yield
    except sqlite3.Error as error:
        if error_name(error) == "SQLITE_ERROR":
            raise Unfit("SQLite refuses what the backup declares", where=what) from None
        raise translate(error, what) from None


def _stored_as_is(table: Table) -> Table:
    """The same table with columns that take any value: what is stored already needs no check of its type."""
    return replace(
        table,
        options="",
        columns=tuple(replace(c, type=Type(c.type.kind, "", bits=c.type.bits)) for c in table.columns),
    )


def _floats_as_they_are(table: Table) -> Table:
    """Without affinity a real keeps the sign of its zero, and NaN can be said, as text: files hold both."""
    return replace(
        table,
        columns=tuple(
            replace(c, type=Type(Kind.MIXED)) if c.type.kind is Kind.FLOAT else c for c in table.columns
        ),
    )


def _changes(affinity: Affinity, kind: Kind, values: Any) -> bool:
    """Whether `affinity` would give any of these stored values another storage class."""
    tag, text, real = None, None, None
    if kind is Kind.MIXED and pa.types.is_struct(values.type):
        tag = pc.fill_null(values.field("tag"), 0)
        text = pc.filter(values.field("bytes"), pc.equal(tag, 3))
        real = pc.filter(values.field("real"), pc.equal(tag, 2))
        numbers = bool(pc.any(pc.or_(pc.equal(tag, 1), pc.equal(tag, 2))).as_py())
    else:
        numbers = kind in (Kind.INT, Kind.FLOAT) and values.null_count < len(values)
        text = values if kind is Kind.TEXT else None
        real = values if kind is Kind.FLOAT else None
    if affinity is Affinity.TEXT:
        return numbers
    if not affinity.numeric:
        return False
    if text is not None and len(text) and bool(pc.any(pc.match_substring_regex(text, LOOKS_NUMERIC)).as_py()):
        return True
    if affinity is not Affinity.REAL and real is not None and len(real):
        whole = pc.and_(pc.equal(pc.floor(real), real), pc.less(pc.abs(real), float(2**63)))
        return bool(pc.any(whole).as_py())
    return False


def _file(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError("a scratch name is letters, digits, '_', '-' and '.'", where=name)
    return folder / (name + _SUFFIX)


def _marked(path: Path, name: str) -> bool:
    """Whether the file carries the marker of the scratch `name`."""
    try:
        with closing(connect(path, write=False)) as connection, translated(str(path)):
            rows = connection.execute(f"SELECT name FROM {MARKER}").fetchall()
    except MigrateError:
        return False  # not readable as ours: never dropped
    return rows == [(name,)]


def _remove(path: Path) -> None:
    with translated(str(path)):
        for suffix in ("-journal", "-wal", "-shm", LOCK_SUFFIX, ""):
            Path(str(path) + suffix).unlink(missing_ok=True)
