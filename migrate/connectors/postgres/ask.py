"""One question to a PostgreSQL database, in a transaction that can write nothing."""

from __future__ import annotations

from itertools import islice

import psycopg

from migrate.connectors.postgres.errors import condition
from migrate.connectors.postgres.session import connect, translated
from migrate.connectors.question import Answer, checked, not_answered
from migrate.errors import MigrateError

_SAYABLE = (
    "42601",
    "42703",
    "42P01",
    "42883",
    "42702",
    "42803",
    "3F000",
)  # made of names and of the statement's text


def first_rows(url: str, sql: str, *, rows: int, seconds: float) -> Answer:
    """The first `rows` rows. Raises UsageError where the server refuses the statement, or does not end it in time."""
    text = checked(sql)
    with connect(url) as connection:
        with translated("asking the restored copy"):
            connection.execute("BEGIN READ ONLY")
            connection.execute(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}".encode())
        try:
            # a stream goes by the extended protocol, which takes one statement and no more
            with connection.cursor() as cursor:
                return [tuple(row) for row in islice(cursor.stream(text.encode()), rows)]
        except psycopg.Error as error:
            if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
                with translated("asking the restored copy"):
                    raise
            raise _refused(error, seconds) from None


def _refused(error: psycopg.Error, seconds: float) -> MigrateError:
    state = error.sqlstate or ""
    if state == "57014":
        return not_answered(f"it did not end within {seconds:g} seconds")
    if state == "25006":
        return not_answered("it does more than read")
    said = " ".join((error.diag.message_primary or "").split())[:200]
    return not_answered(said if state in _SAYABLE and said else f"{state} {condition(state)}")
