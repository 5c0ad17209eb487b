"""MySQL's and MariaDB's errors as ours: by number, never with the server's own text, which quotes values.

From the text only the name of a constraint, key or column is taken, from the place where the server puts it.
"""

from __future__ import annotations

import re
from functools import cache

import pymysql
from pymysql.constants import ER

from migrate.connectors.locked import Locked
from migrate.errors import Drift, GateClosed, MigrateError, Transient, Unreachable

_CODES = {
    "db_unique": (1022, 1062, 1169, 1557, 1586),
    "db_foreign_key": (1216, 1217, 1451, 1452, 1761, 1762),
    "db_check": (3819, 4025),
    "db_not_null": (1048, 1138, 1263, 1364),
    "db_value": (
        139,
        1118,
        1264,
        1265,
        1292,
        1366,
        1367,
        1406,
        1411,
        1426,
        1441,
        1690,
        1916,
        1977,
        3140,
        3141,
        3156,
        3157,
        4038,
    ),
    "db_other": (1369, 1644),  # a view's check option; a trigger's SIGNAL
}
_REJECTS = {number: code for code, numbers in _CODES.items() for number in numbers}
_LOST = frozenset(
    {0, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031}
)
_DENIED = frozenset({1044, 1045, 1095, 1142, 1143, 1227, 1370, 1698})
_GONE = frozenset({1049, 1051, 1054, 1109, 1146, 1412, 1932})
_OF_COLUMN = re.compile(
    r".*for column (?:`(?:[^`]|``)*`\.`(?:[^`]|``)*`\.)?[`']([^`']+)[`'] at row \d+$", re.DOTALL
)
# Where the server puts a name, by our code: each pattern ends or begins where no value can stand.
_PLACES: dict[str, tuple[re.Pattern[str], ...]] = {
    "db_unique": (re.compile(r".*for key '(?:[^'.]*\.)?([^'.]+)'$", re.DOTALL),),
    "db_foreign_key": (re.compile(r"[^(]*\(.*, CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY", re.DOTALL),),
    "db_check": (
        re.compile(r"CONSTRAINT `((?:[^`]|``)+)` failed for"),
        re.compile(r"Check constraint '([^']+)' is violated"),
    ),
    "db_not_null": (
        re.compile(r"Column '([^']+)' cannot be null$"),
        re.compile(r"Field '([^']+)' doesn't have a default"),
    ),
    "db_value": (
        re.compile(r"(?:Data too long|Out of range value|Data truncated) for column '([^']+)' at"),
        _OF_COLUMN,
    ),
}


class SqlError(Exception):
    """What one failed statement said, without values. `lost`: the connection itself failed."""

    def __init__(
        self, number: int, place: str = "", *, state: str = "", lost: bool = False, server: str = "MySQL"
    ) -> None:
        super().__init__(number)
        self.number, self.place, self.state, self.lost, self.server = number, place, state, lost, server

    def __str__(self) -> str:
        return f"{self.number} {condition(self.number)}".strip()


@cache
def _names() -> dict[int, str]:
    return {v: k for k, v in vars(ER).items() if isinstance(v, int) and not k.startswith("ERROR_")}


def condition(number: int) -> str:
    """The name of an error in plain words, e.g. "dup entry"."""
    return _names().get(number, "error").lower().replace("_", " ")


def from_driver(error: Exception, server: str) -> SqlError:
    """Of what pymysql raises; anything that is no answer of the server means that the connection is of no more use."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else ""
    answered = isinstance(error, pymysql.MySQLError) and number not in _LOST
    state = getattr(error, "sqlstate", None)
    return SqlError(number, _place(number, text), state=state or "", lost=not answered, server=server)


def _place(number: int, text: str) -> str:
    for pattern in _PLACES.get(_REJECTS.get(number, ""), ()):
        if found := pattern.match(text):
            return found[1].replace("``", "`").rpartition(".")[2]
    return ""


def reject_code(error: SqlError) -> str | None:
    """Our stable code if the error refuses the row itself, None if it concerns the whole statement."""
    if error.number in _REJECTS:
        return _REJECTS[error.number]
    if error.state.startswith("22"):
        return "db_value"
    return "db_other" if error.state == "45000" else None


LOCK_WAIT = 1205  # of rows and of tables alike
_PASSING = frozenset({1020, 1040, 1203, 1213})  # the same work may go through in a moment
_WHOLE = {
    1020: "Another session wrote the same rows: run the same command again.",
    1021: "The server's disk is full: make room, then run the same command again.",
    1037: "The server is out of memory: run the same command again when it has recovered.",
    1038: "The server is out of memory: run the same command again when it has recovered.",
    1040: "The server has no free connection: raise max_connections or close others, then run again.",
    1041: "The server is out of memory: run the same command again when it has recovered.",
    1114: "A table or the server's disk is full: make room, then run the same command again.",
    1153: "A row is larger than the server's max_allowed_packet: raise that, or allow local_infile.",
    1203: "The user has too many connections: raise max_user_connections or close others, then run again.",
    1205: "Another session holds a lock on it for too long: run the same command again later.",
    1213: "The server broke a deadlock with another session: run the same command again.",
    1290: "The server is read-only (a replica?): point the URL at the primary.",
    1317: "The statement was cancelled: run the same command again.",
    1665: "The server's binary log is kept by statement: set binlog_format to MIXED or ROW.",
    1836: "The server is read-only (a replica?): point the URL at the primary.",
    1969: "The statement timed out: run the same command again.",
    3024: "The statement timed out: run the same command again.",
}


def raised(error: SqlError, doing: str, *, where: str = "", grant: str = "") -> MigrateError:
    """The error to raise for a statement that failed as a whole. `grant` is the right that `doing` needs."""
    number, name, server = error.number, condition(error.number), error.server
    if error.lost:
        return Transient(
            f"the connection to {server} was lost while {doing}",
            where=where,
            kept="What was committed stays; the open transaction is rolled back by the server.",
            hint="Run the same command again to resume.",
        )
    if number in _DENIED:
        right = grant or "the GRANT that this needs"
        return Unreachable(
            f"{server} does not allow {doing}", where=where, hint=f"Let an administrator run: {right}."
        )
    if number in _WHOLE:
        kind = Transient if number in _PASSING else Locked if number == LOCK_WAIT else Unreachable
        return kind(
            f"{server} could not go on while {doing} ({number} {name})", where=where, hint=_WHOLE[number]
        )
    if number in _GONE:
        return Drift(f"a table or column is not there any more ({number} {name}) while {doing}", where=where)
    if number in (1217, 1451):
        return GateClosed(
            f"rows elsewhere refer to these: foreign key {error.place or 'of another table'} refused it while {doing}",
            where=where,
        )
    if reject_code(error) is not None:
        place = f" of {error.place}" if error.place else ""
        return GateClosed(f"{server} refused the data{place} ({number} {name}) while {doing}", where=where)
    return Unreachable(f"{server} refused a statement ({number} {name}) while {doing}", where=where)
