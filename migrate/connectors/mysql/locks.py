"""Who holds a lock that was waited for in vain, as far as the server says.

Whoever has locked rows or the table itself holds the table's metadata lock until the end of the transaction. MySQL tells of those
in performance_schema, MariaDB too where that is on, or in its plugin METADATA_LOCK_INFO. Without them there are only the open transactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from migrate.connectors.locked import Locked
from migrate.connectors.mysql.errors import SqlError
from migrate.connectors.mysql.session import Row, Session, literal, open_here
from migrate.errors import MigrateError

# Readers stand in nobody's way but of those who change a table's declaration.
_READING = ("SHARED_READ", "SHARED", "SHARED_HIGH_PRIO", "SHARED_READ_ONLY")
_SCHEMA = """
SELECT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST, t.PROCESSLIST_COMMAND, t.PROCESSLIST_TIME, GROUP_CONCAT(DISTINCT m.LOCK_TYPE)
FROM performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID
WHERE m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = DATABASE() AND m.OBJECT_NAME = {table} AND m.LOCK_STATUS = 'GRANTED'
  AND m.LOCK_TYPE NOT IN ({reading}) AND t.PROCESSLIST_ID NOT IN ({ours})
GROUP BY 1, 2, 3, 4, 5 ORDER BY 5 DESC LIMIT 5"""
_PLUGIN = """
SELECT m.THREAD_ID, p.USER, p.HOST, p.COMMAND, p.TIME, GROUP_CONCAT(DISTINCT REPLACE(m.LOCK_MODE, 'MDL_', ''))
FROM information_schema.METADATA_LOCK_INFO m LEFT JOIN information_schema.PROCESSLIST p ON p.ID = m.THREAD_ID
WHERE m.TABLE_SCHEMA = DATABASE() AND m.TABLE_NAME = {table} AND m.LOCK_TYPE LIKE 'Table metadata%'
  AND REPLACE(m.LOCK_MODE, 'MDL_', '') NOT IN ({reading}) AND m.THREAD_ID NOT IN ({ours})
GROUP BY 1, 2, 3, 4, 5 ORDER BY 5 DESC LIMIT 5"""
_TRANSACTIONS = """
SELECT x.trx_mysql_thread_id, p.USER, p.HOST, p.COMMAND, p.TIME, ''
FROM information_schema.INNODB_TRX x JOIN {processes} p ON p.ID = x.trx_mysql_thread_id
WHERE x.trx_tables_locked + x.trx_rows_locked > 0 AND p.DB = DATABASE() AND p.ID NOT IN ({ours}) ORDER BY x.trx_started LIMIT 5"""
_UNTIL = "Let that end, then run the same command again."


def name_holders(error: Locked, url: str, table: str, *, declaring: bool = False) -> None:
    """Puts those who hold locks on the table into the hint, or that they are not seen. `declaring`: the table itself was
    to be changed, where readers are in the way too."""
    try:
        with Session(url) as session:
            error.hint = _hint(session, table, declaring)
    except (SqlError, MigrateError):
        return  # the server cannot be asked now: the error stands as it is


def _hint(session: Session, table: str, declaring: bool) -> str:
    ours = ", ".join(str(n) for n in open_here(session))
    reading = ", ".join(literal(mode) for mode in (() if declaring else _READING)) or "''"
    told = _locks(session, table=literal(table), reading=reading, ours=ours)
    if told:
        return f"{table} is locked by {'; '.join(map(_said, told))}. {_UNTIL}"
    processes = ("information_schema" if session.server.maria else "performance_schema") + ".PROCESSLIST"
    may = _answer(session, _TRANSACTIONS.format(processes=processes, ours=ours)) or []
    if told is None and may:
        return f"This server does not tell who holds the lock on {table}; it may be {'; or '.join(map(_said, may))}. {_UNTIL}"
    if told is None:
        return (
            f"Who holds the lock on {table} is not seen: that takes performance_schema or MariaDB's plugin METADATA_LOCK_INFO, and "
            "GRANT PROCESS ON *.*. Run the same command again later."
        )
    return (
        f"{table} was locked, but no session besides ours is seen to hold it now: run the same command again."
    )


def _locks(session: Session, **of: str) -> list[Row] | None:
    """None: this server, or this user, cannot tell."""
    for name, sql in (("performance_schema.metadata_locks", _SCHEMA), ("METADATA_LOCK_INFO", _PLUGIN)):
        if name == "METADATA_LOCK_INFO":
            if not session.server.maria:
                continue
        elif session.value("SELECT @@performance_schema") != "1" or not _instrumented(session):
            continue
        found = _answer(session, sql.format(**of))
        if found is not None:
            return found
    return None


def _instrumented(session: Session) -> bool:
    """MariaDB has the instrument off, also where performance_schema is on."""
    found = _answer(
        session,
        "SELECT 1 FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl' AND ENABLED = 'YES'",
    )
    return bool(found)


def _answer(session: Session, sql: str) -> list[Row] | None:
    """None where the server has no such table, or does not show it to this user."""
    try:
        return session.rows(sql)
    except SqlError as error:
        if error.lost:
            raise
        return None


def _said(row: Row) -> str:
    number, user, host, command, seconds, modes = row
    who = f"{user}@{str(host).partition(':')[0]}" if user else "another user"
    state = "idle" if command == "Sleep" else "running a statement" if command else "state not shown"
    age = f"{state} for {seconds} s" if seconds is not None else state
    return f"connection {number} ({', '.join(v for v in (who, modes, age) if v)})"


@contextmanager
def holders_named(url: str, table: str, *, declaring: bool = False) -> Iterator[None]:
    """A lock on `table` that is not to be had inside names its holders."""
    try:
        yield
    except Locked as error:
        name_holders(error, url, table, declaring=declaring)
        raise
