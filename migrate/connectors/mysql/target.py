"""MySQL and MariaDB as a place to read from and to write to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrate import failpoints
from migrate.arrow import layout
from migrate.connectors.declared import as_declared
from migrate.connectors.mysql import ddl, references
from migrate.connectors.mysql.catalog import META_PREFIX, read_schema, table_names
from migrate.connectors.mysql.errors import SqlError, raised
from migrate.connectors.mysql.read import MysqlSnapshot, Readers, account
from migrate.connectors.mysql.session import WRITING, Session, literal, quote, translated
from migrate.connectors.mysql.transaction import FENCE, MysqlTransaction
from migrate.connectors.mysql.url import mask
from migrate.connectors.protocol import COUNTED, DdlText
from migrate.connectors.sessions import Idle, Keeper
from migrate.errors import UsageError
from migrate.model import Kind, Schema, Table

if TYPE_CHECKING:
    import sqlalchemy as sa

KEYS = f"{META_PREFIX}keys"
_LARGEST = 2**63 - 1
_SETTING_SECONDS = 2
_NO_RIGHT = (1142, 1143)

_PATIENCE = 2  # seconds: the server may not have noticed yet that the one who had the lock is dead


def open_database(url: str, *, base: Path | None = None) -> MysqlTarget:
    """Connects. Raises Unreachable (wrong password, host, database …), UsageError (a URL that cannot be read)."""
    del base
    return MysqlTarget(url)


class MysqlTarget:
    """`migrate.connectors.protocol.Target`; as a Source only its reading half is used."""

    engine = "mysql"
    parallel_writers = True

    def __init__(self, url: str) -> None:
        self._url, self.url = url, mask(url)
        self._session: Session | None = Session(url)
        self._sessions = Idle(self._writer, _answers, lambda session: session.broken)
        self._readers = Readers(url)
        self._keeper = Keeper(self.url, lambda: Session(url), self._lock, _has_lock)

    def _side(self) -> Session:
        """The session for catalogue and small statements; a lost one is opened anew (it holds no state)."""
        if self._session is not None:
            with suppress(SqlError):
                self._session.execute("DO 1")
            if not self._session.broken:
                return self._session
        self._session = Session(self._url)
        return self._session

    # -- reading ----------------------------------------------------------------------------------

    def schema(self, tables: Sequence[str] | None = None) -> Schema:
        return read_schema(self._side(), tables)

    def snapshot(self, tables: Sequence[str], *, readers: int = 1) -> AbstractContextManager[MysqlSnapshot]:
        return self._readers.snapshot(tables, readers)

    def ddl_text(self, tables: Sequence[str], folder: Path) -> DdlText:
        from migrate.connectors.mysql.native import ddl_text

        return ddl_text(self._url, tables, folder)

    def others(self, known: Sequence[str]) -> dict[str, int | None]:
        session = self._side()
        return {name: _rows(session, name) for name in table_names(session) if name not in known}

    def close(self) -> None:
        self._sessions.close()
        self._readers.close()
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- our own tables ---------------------------------------------------------------------------

    def meta(self, name: str) -> str:
        return META_PREFIX + name

    def create_tables(self, tables: Sequence[Table], *, constraints: bool = True) -> None:
        side = self._side()
        for table in tables:
            failpoints.hit("mysql.create.before")
            self._create(
                ddl.create_table(
                    table, side.server, if_missing=True, trusted=True, key=constraints, whole=constraints
                )
            )
        failpoints.hit("mysql.create.done")

    def _create(self, sql: str) -> None:
        side = self._side()
        grant = f"GRANT CREATE ON {quote(side.database)}.* TO {account(side.user)}"
        with translated("creating our own tables", where=self.url, grant=grant):
            side.execute(sql)

    def changing(self) -> AbstractContextManager[sa.Connection]:
        from migrate.connectors.mysql.creation import changing  # sqlalchemy, wanted only here

        return changing(self._url)

    def check_rights(self, new: Sequence[str], changed: Sequence[str], referred: Sequence[str]) -> None:
        from migrate.connectors.mysql.creation import check_rights

        with translated("looking at rights", where=self.url):
            check_rights(self._side(), new, changed, referred)

    # -- one run at a time ------------------------------------------------------------------------

    @contextmanager
    def hold(self) -> Iterator[None]:
        """A session lock: it goes with the process, without anybody's help."""
        with self._keeper.holding():
            failpoints.hit("mysql.hold.taken")
            yield

    def _lock(self, keeper: Session) -> bool:
        with translated("taking the target's lock", where=self.url):
            got = keeper.value(f"SELECT GET_LOCK({literal(_lock_name(keeper.database))}, {_PATIENCE})")
        return bool(got == "1")

    def raise_fence(self, run: str) -> int:
        keeper = self._keeper.session("the fence can only be raised")
        self._create(
            f"CREATE TABLE IF NOT EXISTS {FENCE} (one tinyint NOT NULL PRIMARY KEY, value bigint NOT NULL, "
            "run varchar(200) NOT NULL, raised_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP) "
            "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"
        )
        failpoints.hit("mysql.fence.before")
        # in the session that has the lock: where that is lost meanwhile, so is this
        with translated("raising the fence", where=FENCE), _transaction(keeper):
            found = keeper.rows(f"SELECT value FROM {FENCE} WHERE one = 1 FOR UPDATE")
            value = int(found[0][0]) + 1 if found else 1
            if found:
                keeper.execute(
                    f"UPDATE {FENCE} SET value = {value}, run = {literal(run)}, raised_at = CURRENT_TIMESTAMP WHERE one = 1"
                )
            else:
                keeper.execute(f"INSERT INTO {FENCE} (one, value, run) VALUES (1, {value}, {literal(run)})")
        failpoints.hit("mysql.fence.raised")
        return value

    # -- writing ----------------------------------------------------------------------------------

    def begin(self) -> MysqlTransaction:
        return MysqlTransaction(self._sessions.take(), self._sessions.give_back)

    def _writer(self) -> Session:
        session = Session(self._url, WRITING)
        with translated("pinning the session's settings", where=self.url):
            # what PostgreSQL does too; a binary log that is kept by statement allows only the default
            if (
                session.value("SELECT @@log_bin") != "1"
                or session.value("SELECT @@binlog_format") != "STATEMENT"
            ):
                session.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return session

    def as_declared(self, rows: pa.Table, stored: Table, declared: Table) -> pa.Table:
        return as_declared(rows, stored, declared, "a zero date, a time beyond a day, a number beyond 2^63")

    def reserve_keys(self, table: Table, column: str, count: int) -> pa.Array[Any]:
        """Values that no row has and nobody gets again: above max(column), above AUTO_INCREMENT, and above what was
        ever reserved, which a table of ours keeps. AUTO_INCREMENT is then pushed beyond them by an insert that is
        rolled back, for it never goes back itself, so that others who insert meanwhile take other keys."""
        self._keeper.session("keys are reserved")
        declared, where = table.column(column), f"{table.name}.{column}"
        if declared.type.kind is not Kind.INT:
            raise UsageError("only integer keys can be reserved", where=where)
        kind = layout(declared.type)
        if count <= 0:
            return pa.array([], kind)
        self._create(
            f"CREATE TABLE IF NOT EXISTS {KEYS} (tab varchar(200) NOT NULL, col varchar(200) NOT NULL, "
            f"upto bigint NOT NULL, PRIMARY KEY (tab, col)) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 "
            f"COLLATE {self._side().server.bytewise}"
        )
        failpoints.hit("mysql.keys.before")
        upto = self._reserve(table, column, count, where)
        if declared.identity:
            self._push(table, column, upto)
        failpoints.hit("mysql.keys.reserved")
        try:
            return pa.array(np.arange(upto - count + 1, upto + 1)).cast(kind)
        except pa.ArrowInvalid:
            raise UsageError("the key's type has no values left", where=where) from None

    def _reserve(self, table: Table, column: str, count: int, where: str) -> int:
        """The last of the values; written down and committed before anybody gets them."""
        mine = f"tab = {literal(table.name)} AND col = {literal(column)}"
        with (
            self._sessions.lent() as session,
            translated("reserving keys", where=where),
            _transaction(session),
        ):
            before = session.rows(f"SELECT upto FROM {KEYS} WHERE {mine} FOR UPDATE")
            highest = session.value(f"SELECT MAX({quote(column)}) FROM {quote(table.name)}")
            next_ = session.value(
                "SELECT AUTO_INCREMENT FROM information_schema.TABLES "
                f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {literal(table.name)}"
            )
            last = max(0, int(before[0][0]) if before else 0, int(highest or 0), int(next_ or 1) - 1)
            upto = last + count
            if upto > _LARGEST:
                raise UsageError("no integer keys are left", where=where)
            if before:
                session.execute(f"UPDATE {KEYS} SET upto = {upto} WHERE {mine}")
            else:
                session.execute(
                    f"INSERT INTO {KEYS} VALUES ({literal(table.name)}, {literal(column)}, {upto})"
                )
        return upto

    def _push(self, table: Table, column: str, upto: int) -> None:
        """The row is refused or rolled back; either way it is not there. Where a trigger or a check (MySQL has no way
        around those) refuses it before InnoDB sees it, AUTO_INCREMENT is set as a part of the table, if there is a
        right to do so, and nobody works with it just now; else it stays, and a clash with a row that somebody inserts
        meanwhile is a reject."""
        if self._pushed_by_row(table, column, upto):
            return
        with Session(self._url) as session, suppress(SqlError):
            session.execute(f"SET SESSION lock_wait_timeout = {_SETTING_SECONDS}")
            session.execute(f"ALTER TABLE {quote(table.name)} AUTO_INCREMENT = {upto + 1}")

    def _pushed_by_row(self, table: Table, column: str, upto: int) -> bool:
        with Session(self._url) as session:
            session.execute(
                "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
            )  # columns without a default get one
            if session.server.maria:
                session.execute("SET SESSION check_constraint_checks = 0")
            session.execute("START TRANSACTION")
            # the rows that it refers to are of no account, for it never stays
            session.execute("SET SESSION foreign_key_checks = 0")
            try:
                session.execute(f"INSERT INTO {quote(table.name)} ({quote(column)}) VALUES ({upto})")
            except SqlError as error:
                if error.lost:
                    raise raised(error, "reserving keys", where=table.name) from None
                return False
            session.execute("ROLLBACK")
            return True

    # -- undo -------------------------------------------------------------------------------------

    def references_to(self, table: Table, key: Sequence[str], keys: pa.Table) -> pa.Table:
        with self._sessions.lent() as session:
            return references.references_to(session, self._side(), table, key, keys)


def _answers(session: Session) -> bool:
    with suppress(SqlError):
        session.execute("DO 1")
        return True
    return False


def _has_lock(keeper: Session) -> bool:
    try:
        found = keeper.value(f"SELECT IS_USED_LOCK({literal(_lock_name(keeper.database))}) = CONNECTION_ID()")
    except SqlError:
        return False
    return bool(found == "1")


def _lock_name(database: str) -> str:
    """Names of locks are the server's, and short."""
    return f"migrate:{hashlib.sha256(database.encode()).hexdigest()[:40]}"


@contextmanager
def _transaction(session: Session) -> Iterator[None]:
    session.execute("START TRANSACTION")
    try:
        yield
        session.execute("COMMIT")
    except BaseException:
        with suppress(SqlError):
            session.execute("ROLLBACK")
        raise


def _rows(session: Session, table: str) -> int | None:
    """None where this user may not read it."""
    with translated("counting rows", where=table):
        try:
            return int(
                session.value(f"SELECT COUNT(*) FROM (SELECT 1 FROM {quote(table)} LIMIT {COUNTED}) AS t")
            )
        except SqlError as error:
            if error.number in _NO_RIGHT:
                return None
            raise
