"""The ledger's SQLite file: opened privately, upgraded, and used by one writer at a time.

A transaction that reads first and writes later cannot be upgraded while another process writes:
SQLite reports "locked" at once, whatever the time-out. So every writing transaction is BEGIN IMMEDIATE,
which waits, and inside this process one lock serialises all use of the one connection.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from migrate import durable, failpoints
from migrate.errors import Busy, Corrupt, MigrateError, Unreachable, UsageError
from migrate.ledger import tables
from migrate.ledger.tables import HEAD

BUSY_SECONDS = 15.0


class LedgerDatabase:
    """One SQLite file with transactions; knows nothing of runs. Use from any thread."""

    def __init__(self, path: Path) -> None:
        """Opens or creates; raises UsageError (newer ledger), Corrupt, Busy, Unreachable."""
        self.path = path
        self._lock = threading.RLock()
        durable.make_private_folder(path.parent)
        if path.is_symlink():
            raise UsageError("the ledger is a symbolic link.", where=str(path))
        with durable.disk_errors("Opening the ledger", path):
            path.touch(mode=0o600, exist_ok=True)
            path.chmod(0o600)
        self._engine = sa.create_engine(
            f"sqlite:///{path}",
            poolclass=sa.pool.StaticPool,
            connect_args={"check_same_thread": False, "isolation_level": None, "timeout": BUSY_SECONDS},
        )
        sa.event.listen(self._engine, "connect", _set_pragmas)
        sa.event.listen(self._engine, "begin", _begin)
        try:
            with self._translated():
                self._check_and_upgrade()
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def transaction(self, point: str) -> Iterator[sa.Connection]:
        """Commits at the end, rolls back on any error; passes `ledger.{point}.written` and `.committed`.

        Raises Unreachable (disk full or failing), Corrupt, Busy (another process writes for too long)."""
        with self._lock, self._translated():
            with self._engine.begin() as connection:
                yield connection
                failpoints.hit(f"ledger.{point}.written")
            failpoints.hit(f"ledger.{point}.committed")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A view that takes no write lock; raises as `transaction`."""
        with self._lock, self._translated(), self._engine.connect() as connection:
            connection = connection.execution_options(reading=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        with self._lock:
            self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise durable.disk_error(error, "Writing the ledger", self.path) from error
        except sa.exc.DBAPIError as error:
            raise _ledger_error(error.orig, self.path) from None  # its text holds the statement's parameters

    def _check_and_upgrade(self) -> None:
        with self._engine.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
            if found != ["ok"]:
                raise Corrupt("the ledger's file is damaged.", where=str(self.path), hint=_REBUILD)
            revision = _revision(connection)
        if revision == HEAD:
            return
        if revision is None:
            if not self._create():
                self._check_and_upgrade()
            return
        from migrate.ledger import upgrade  # alembic costs 0.4 s, wanted only here

        if not upgrade.known(revision):
            raise UsageError(
                f"the ledger has layout {revision}, this program knows {HEAD} and older.",
                where=str(self.path),
                hint="Use the newer program, or another --home.",
            )
        self._copy_before_upgrade(revision)
        with self._engine.begin() as connection:
            if _revision(connection) != HEAD:  # another process may have been faster
                upgrade.upgrade(connection)
                failpoints.hit("ledger.upgrade.written")
        failpoints.hit("ledger.upgrade.committed")

    def _create(self) -> bool:
        """False where another process was faster."""
        with self._engine.begin() as connection:
            if _revision(connection) is not None:
                return False
            tables.create(connection)
            failpoints.hit("ledger.create.written")
        failpoints.hit("ledger.create.committed")
        return True

    def _copy_before_upgrade(self, revision: str) -> Path:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        copy = self.path.with_name(f"{self.path.name}.before-{HEAD}-from-{revision}-{stamp}")
        with durable.atomic_file(copy, point="ledger.copy") as temporary:
            source = sqlite3.connect(self.path)
            target = sqlite3.connect(temporary)
            with closing(source), closing(target):
                source.backup(target)
        return copy


_REBUILD = "Put it back from a copy. What target and vault have on record shows `migrate report RUN --rebuild MAPPING` (or the target's URL)."


def _ledger_error(error: BaseException | None, path: Path) -> MigrateError:
    """SQLite's error as one of ours, without its text where that could hold values."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    where = str(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy("another process has been writing to the ledger for too long.", where=where)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Corrupt("the ledger's file is damaged.", where=where, hint=_REBUILD)
    if code == sqlite3.SQLITE_FULL:
        return Unreachable(
            "the disk is full: the ledger cannot be written.",
            where=where,
            hint="Free some space and run again.",
        )
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return Unreachable(f"the ledger cannot be read or written ({name}).", where=where)
    return MigrateError(f"the ledger refused a statement ({name}).", where=where)


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _revision(connection: sa.Connection) -> str | None:
    """Layout revision; None for an empty file. A SQLite file that is something else is refused."""
    tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if "alembic_version" in tables:
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if tables:
        raise UsageError(
            "the file is a database, but not a ledger.", where=str(connection.engine.url.database)
        )
    return None
