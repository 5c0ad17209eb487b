"""Scratch databases for restore tests: made on a server, marked inside, dropped only with the mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from migrate import failpoints
from migrate.connectors import leftovers
from migrate.connectors.declared import checked
from migrate.connectors.mysql import ddl
from migrate.connectors.mysql.ask import first_rows
from migrate.connectors.mysql.catalog import META_PREFIX
from migrate.connectors.mysql.encode import LOAD_FORMAT, file_of
from migrate.connectors.mysql.errors import SqlError, raised
from migrate.connectors.mysql.read import account
from migrate.connectors.mysql.scratch_database import MARKER, MysqlScratchDatabase
from migrate.connectors.mysql.session import Session, literal, quote, translated
from migrate.connectors.mysql.target import MysqlTarget
from migrate.connectors.mysql.types import base_name, is_text
from migrate.connectors.mysql.url import mask, with_database
from migrate.connectors.mysql.violations import violations
from migrate.connectors.mysql.write import insert_rows
from migrate.errors import GateClosed, Unfit, Unreachable, UsageError
from migrate.model import Column, Schema, Table

_AS_TEXT = "CONVERT({} USING utf8mb4)"
_AS_NUMBER = "CAST({} AS UNSIGNED)"
_FROM_FILES = {
    "bit": _AS_NUMBER,
    "year": _AS_NUMBER,
    "uuid": _AS_TEXT,
    "inet4": _AS_TEXT,
    "inet6": _AS_TEXT,
    "json": _AS_TEXT,  # MySQL's; MariaDB's is a longtext
}
# A faithful copy keeps what its source broke (F25); what is broken is counted on both sides.
_COPYING = (
    ("foreign_key_checks", "0"),
    ("check_constraint_checks", "0"),
    ("explicit_defaults_for_timestamp", "1"),
)


def open_scratch(url: str | None, *, folder: Path, name: str, run: str) -> MysqlScratch:
    """CREATE DATABASE `name` on the server of `url`. Raises Unreachable where it is not allowed, UsageError without a server."""
    del folder
    if url is None:
        raise UsageError(
            "a scratch database for MySQL or MariaDB needs a server", hint="Set scratch: to a mysql:// URL."
        )
    with Session(url) as server:
        failpoints.hit("mysql.scratch.before")
        try:
            server.execute(f"CREATE DATABASE {quote(name)} CHARACTER SET utf8mb4")
        except SqlError as error:
            if error.number in (1044, 1142, 1227):
                raise Unreachable(
                    "the user may not make a scratch database on this server",
                    where=mask(url),
                    hint=rf"Let an administrator run GRANT ALL ON `migrate\_scratch\_%`.* TO {account(server.user)}, "
                    "or set scratch: to a server where it may.",
                ) from None
            if error.number == 1007:
                raise Unreachable("a database of the scratch's name is there already", where=name) from None
            raise raised(error, "making the scratch database", where=mask(url)) from None
    failpoints.hit("mysql.scratch.created")
    inside = with_database(url, name)
    with Session(inside) as first, translated("marking the scratch database", where=name):
        # in one statement, for DDL commits: a table with its row
        first.execute(
            f"CREATE TABLE {MARKER} ENGINE=InnoDB AS SELECT {literal(run)} AS run, UTC_TIMESTAMP() AS created"
        )
    failpoints.hit("mysql.scratch.marked")
    return MysqlScratch(inside, server_url=url, name=name, run=run)


def drop_leftovers(url: str, names: Iterable[str]) -> tuple[str, ...]:
    """As `leftovers.drop_leftovers` says, on the server of `url`."""
    with Session(url) as server:
        return leftovers.drop_leftovers(MysqlScratchDatabase(server, name) for name in names)


class MysqlScratch(MysqlTarget):
    """`migrate.connectors.protocol.Scratch`. `not_restored` names what was left out, and why it could not be made."""

    def __init__(self, url: str, *, server_url: str, name: str, run: str) -> None:
        super().__init__(url)
        self.name = name
        self.url = f"{mask(server_url)} ({name})" if run else mask(server_url)
        self.not_restored: list[str] = []
        self.around: frozenset[str] = frozenset()
        self._trusted = False
        self._server_url, self._run = server_url, run
        self._plain: set[tuple[str, str]] = set()  # generated columns restored as ordinary ones

    # -- the schema -------------------------------------------------------------------------------

    def restore_schema(self, schema: Schema, trusted: bool = True) -> None:
        """`trusted` (F26): SQL expressions of the schema (defaults, generated columns, checks, later indexes) may run;
        otherwise `not_restored` names them."""
        self._trusted = trusted
        self._prove_empty()
        with self._copying() as session:
            for table in schema.tables:
                self._make_table(session, table)
        failpoints.hit("mysql.scratch.tables")

    def _prove_empty(self) -> None:
        side = self._side()
        with translated("proving that the scratch is empty", where=self.name):
            there = side.value(
                "SELECT COUNT(*) FROM information_schema.TABLES "
                f"WHERE TABLE_SCHEMA = DATABASE() AND LEFT(TABLE_NAME, {len(META_PREFIX)}) <> {literal(META_PREFIX)}"
            )
        if there != "0":
            raise GateClosed(
                "the scratch database is not empty, nothing is restored into it", where=self.name
            )

    def _make_table(self, session: Session, table: Table) -> None:
        expressions = [
            f"{table.name}.{c.name}: {'generated column' if c.generated else 'default'}"
            for c in table.columns
            if c.generated is not None or c.default is not None
        ] + [f"{table.name}: check {c.name}" for c in table.checks]
        if self._trusted:
            try:
                session.execute(ddl.create_table(table, session.server, trusted=True))
            except SqlError as error:
                if error.lost:
                    raise raised(error, "restoring into the scratch database", where=table.name) from None
            else:
                return
        with self._naming(table.name):
            session.execute(ddl.create_table(table, session.server))
        self._plain |= {(table.name, c.name) for c in table.columns if c.generated is not None}
        self.not_restored += expressions

    # -- the rows ---------------------------------------------------------------------------------

    def restore_rows(self, table: Table, batches: Iterator[pa.RecordBatch]) -> int:
        """Straight into the table: that it then holds what was sent is not believed, it is read again (L5)."""
        columns = [c for c in table.columns if c.generated is None or (table.name, c.name) in self._plain]
        names = [c.name for c in columns]
        written = 0
        with self._copying() as session, self._naming(table.name):
            session.execute("SET SESSION unique_checks = 0")
            session.execute("START TRANSACTION")
            for batch in batches:
                if not batch.num_rows:
                    continue
                rows = pa.Table.from_batches([batch]).select(names)
                checked(table, rows)
                written += self._restore(session, table, columns, rows)
                failpoints.hit("mysql.scratch.batch")
            session.execute("COMMIT")
        failpoints.hit("mysql.scratch.rows")
        return written

    @staticmethod
    def _restore(session: Session, table: Table, columns: list[Column], rows: pa.Table) -> int:
        types = [c.type for c in columns]
        if session.takes_files:
            fields, sets = _fields(columns)
            sql = f"LOAD DATA LOCAL INFILE 'migrate' INTO TABLE {quote(table.name)} {LOAD_FORMAT} ({fields}){sets}"
            written = session.load(sql, file_of(rows, types))
        else:
            written = insert_rows(
                session,
                f"INSERT INTO {quote(table.name)} ({ddl.columns([c.name for c in columns])}) VALUES ",
                rows,
                types,
            )
        if session.warnings:
            raise GateClosed(
                f"the server changed {session.warnings} values of the copy while it stored them",
                where=table.name,
            )
        return written

    # -- the constraints --------------------------------------------------------------------------

    def restore_constraints(self, schema: Schema) -> None:
        inside = {*schema.table_names, *self.around}
        with self._copying() as session:
            for table in schema.tables:
                adds = []
                for name, sql in ddl.later_indexes(table, trusted=self._trusted):
                    if sql:
                        adds.append(f"ADD {sql}")
                    else:
                        self.not_restored.append(f"{table.name}: index {name}")
                self._alter(session, table, adds)
            for table in schema.tables:
                adds = []
                for key in table.foreign_keys:
                    if key.ref_table in inside:
                        adds.append(f"ADD {ddl.foreign_key(table, key)}")
                    else:
                        self.not_restored.append(
                            f"{table.name}: {key.name} (it refers to {key.ref_table}, which is not among the tables)"
                        )
                self._alter(session, table, adds)
            for sequence in schema.sequences:
                owner = next((t.name for t in schema.tables if sequence.name.startswith(f"{t.name}.")), None)
                if owner is not None and sequence.last_value is not None:
                    with self._naming(sequence.name):
                        session.execute(
                            f"ALTER TABLE {quote(owner)} AUTO_INCREMENT = {sequence.last_value + 1}"
                        )
        failpoints.hit("mysql.scratch.constraints")

    def _alter(self, session: Session, table: Table, adds: list[str]) -> None:
        """In one pass over the rows."""
        if adds:
            with self._naming(table.name):
                session.execute(f"ALTER TABLE {quote(table.name)} {', '.join(adds)}")

    def ask(self, sql: str, *, rows: int, seconds: float) -> list[tuple[object, ...]]:
        return first_rows(self._url, sql, rows=rows, seconds=seconds)

    def violations(self) -> list[str]:
        return violations(self._side(), self.schema())

    def drop(self) -> None:
        """Idempotent. Raises GateClosed if the database there does not carry this run's mark."""
        self.close()
        with Session(self._server_url) as server:
            leftovers.drop_own(MysqlScratchDatabase(server, self.name), self._run)

    # -- helpers ----------------------------------------------------------------------------------

    @contextmanager
    def _copying(self) -> Iterator[Session]:
        with Session(self._url) as session:
            for name, value in _COPYING:
                try:
                    session.execute(f"SET SESSION {name} = {value}")
                except SqlError as error:
                    if error.lost:
                        raise raised(error, "restoring into the scratch database", where=self.name) from None
            yield session

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        try:
            yield
        except SqlError as error:
            found = raised(error, "restoring into the scratch database", where=what)
            if isinstance(found, GateClosed | Unreachable):
                raise found from None
            raise Unfit(f"the scratch database refused it: {found.message}", where=what) from None


def _fields(columns: list[Column]) -> tuple[str, str]:
    """The columns of a file, and what is made of those that take a number, or a text, but no plain bytes."""
    fields, sets = [], []
    for i, column in enumerate(columns):
        how = _FROM_FILES.get(base_name(column.type))
        if is_text(column.type) and not (column.collation or "").startswith("utf8mb4_"):
            how = _AS_TEXT  # the bytes of the file are UTF-8, whatever the column's own are
        if column.identity:  # beside a SET, a 0 in the file itself would be taken for "the next one"
            how = _AS_NUMBER if "unsigned" in column.type.native else "CAST({} AS SIGNED)"
        fields.append(f"@v{i}" if how else quote(column.name))
        if how:
            sets.append(f"{quote(column.name)} = {how.format(f'@v{i}')}")
    return ", ".join(fields), f" SET {', '.join(sets)}" if sets else ""
