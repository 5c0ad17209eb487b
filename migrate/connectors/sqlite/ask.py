"""One question to a SQLite file that nothing may write."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from migrate.connectors.question import Answer, checked, not_answered
from migrate.connectors.sqlite.connect import connect
from migrate.connectors.sqlite.errors import error_name

_LOOKED_EVERY = 10_000  # virtual machine instructions between two looks at the clock
_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
# These messages are made of names and of the statement's own text.
_SAYABLE = re.compile(
    r'^(?:no such |ambiguous |near "|incomplete input|wrong number of|misuse of|unrecognized token)'
)


def first_rows(path: Path, sql: str, *, rows: int, seconds: float) -> Answer:
    """The first `rows` rows. Raises UsageError where SQLite refuses the statement, or does not end it in time."""
    text = checked(sql)
    ends = time.monotonic() + seconds
    with closing(connect(path, write=False)) as connection:
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
        )
        connection.set_progress_handler(lambda: time.monotonic() > ends, _LOOKED_EVERY)
        try:
            return [tuple(row) for row in connection.execute(text).fetchmany(rows)]
        except sqlite3.Error as error:
            raise not_answered(_why(error, seconds)) from None


def _why(error: sqlite3.Error, seconds: float) -> str:
    name = error_name(error)
    if name == "SQLITE_INTERRUPT":
        return f"it did not end within {seconds:g} seconds"
    if name == "SQLITE_AUTH":
        return "it does more than read"
    text = " ".join(str(error).split())
    return text[:200] if _SAYABLE.match(text) else name or type(error).__name__
