"""One question to a MySQL or MariaDB database, in a transaction that can write nothing."""

from __future__ import annotations

import pymysql
from pymysql.cursors import SSCursor

from migrate.connectors.mysql.session import Session, literal
from migrate.connectors.mysql.url import parameters
from migrate.connectors.question import Answer, checked, not_answered
from migrate.errors import Transient

_SAYABLE = (1054, 1064, 1109, 1146, 1305, 1052, 1140)  # made of names and of the statement's own text
_TOO_LONG = (1969, 3024)
_WRITES = (1792, 1290, 1836)


def first_rows(url: str, sql: str, *, rows: int, seconds: float) -> Answer:
    """The first `rows` rows. Raises UsageError where the server refuses the statement, or does not end it in time."""
    text = checked(sql)
    with Session(
        url
    ) as session:  # says in our words what is wrong with the connection, and which server it is
        maria = session.server.maria
    limit = f"max_statement_time = {seconds:g}" if maria else f"max_execution_time = {int(seconds * 1000)}"
    try:
        # the driver's own decoders: numbers come as numbers
        connection = pymysql.connect(**parameters(url), charset="utf8mb4", cursorclass=SSCursor)
        cursor = connection.cursor()
        try:
            cursor.execute(f"SET SESSION {limit}, SESSION time_zone = {literal('+00:00')}")
            cursor.execute("START TRANSACTION READ ONLY")
            cursor.execute(text)
            found = [tuple(row) for row in cursor.fetchmany(rows)]
        finally:
            # what is left of a long answer is not read: the connection goes
            cursor.connection = None
            if connection._result is not None:
                connection._result.unbuffered_active = False
            connection._force_close()
        return found
    except pymysql.MySQLError as error:
        number = int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0
        if number in (0, 2003, 2006, 2013):
            raise Transient("the server broke off while the restored copy was asked") from None
        if number in _TOO_LONG:
            raise not_answered(f"it did not end within {seconds:g} seconds") from None
        if number in _WRITES:
            raise not_answered("it does more than read") from None
        said = " ".join(str(error.args[1]).split())[:200] if len(error.args) > 1 else ""
        raise not_answered(said if number in _SAYABLE and said else f"error {number}") from None
