"""PostgreSQL's errors as ours: by SQLSTATE only, never with the server's DETAIL or values.

A message of the server may quote a value ("invalid input syntax for type integer: …") and its DETAIL
quotes whole rows, so neither is ever shown; the condition's name, the constraint and the table are.
"""

from __future__ import annotations

import adbc_driver_manager
import psycopg
from psycopg import errors as conditions

from migrate.connectors.locked import Locked
from migrate.errors import Drift, GateClosed, MigrateError, Transient, Unreachable

REJECTS = {
    "23505": "db_unique",
    "23503": "db_foreign_key",
    "23514": "db_check",
    "23502": "db_not_null",
}


class SqlError(Exception):
    """What one failed statement said, without values. `state` is empty where the connection itself failed."""

    def __init__(self, state: str, constraint: str = "", table: str = "", *, lost: bool = False) -> None:
        super().__init__(state)
        self.state, self.constraint, self.table, self.lost = state, constraint, table, lost

    def __str__(self) -> str:
        return f"{self.state} {condition(self.state)}".strip()


def condition(state: str) -> str:
    """The name of an SQLSTATE in plain words, e.g. "unique violation"."""
    try:
        name = conditions.lookup(state).__name__
    except KeyError:
        return "error"
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def reject_code(state: str) -> str | None:
    """Our stable code if `state` is a refusal of the row itself, None if it concerns the whole statement."""
    if state in REJECTS:
        return REJECTS[state]
    # 54000: a row too wide for its page, a value too long for its index
    if state.startswith("22") or state == "54000":
        return "db_value"
    # 23xxx: exclusion and the like; P0xxx: a trigger's RAISE; 44000: a view's or policy's check option
    return "db_other" if state[:2] in ("23", "P0", "44") else None


def _plain(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def from_adbc(error: adbc_driver_manager.Error) -> SqlError:
    fields = {_plain(name): _plain(value) for name, value in (error.details or ())}
    place = fields.get("PG_DIAG_CONSTRAINT_NAME") or fields.get("PG_DIAG_COLUMN_NAME", "")
    state = error.sqlstate or ""
    # without a state nothing came from the server: the connection failed (IO), or the driver refused by itself
    lost = error.status_code == adbc_driver_manager.AdbcStatusCode.IO and (not state or state[:2] == "08")
    return SqlError(state, place, fields.get("PG_DIAG_TABLE_NAME", ""), lost=lost)


def from_psycopg(error: psycopg.Error) -> SqlError:
    place = error.diag.constraint_name or error.diag.column_name or ""
    return SqlError(
        error.sqlstate or "",
        place,
        error.diag.table_name or "",
        lost=isinstance(error, psycopg.OperationalError) and not error.sqlstate,
    )


_PASSING = ("40001", "40P01", "53300")  # the same work may go through in a moment
_WHOLE = {
    "53100": "The server's disk is full: make room, then run the same command again.",
    "53200": "The server is out of memory: run the same command again when it has recovered.",
    "53300": "The server has no free connection: raise max_connections or close others, then run again.",
    "55P03": "Another session holds a lock on it for longer than is waited here: run the same command again later.",
    "40P01": "The server broke a deadlock with another session: run the same command again.",
    "40001": "Another session wrote the same rows: run the same command again.",
    "57014": "The statement was cancelled or timed out: run the same command again.",
    "57P04": "The database was dropped: check the URL.",
    "25006": "The server is read-only (a standby?): point the URL at the primary.",
}


def raised(error: SqlError, doing: str, *, where: str = "", grant: str = "") -> MigrateError:
    """The error to raise for a statement that failed as a whole. `grant` is the right that `doing` needs."""
    state, name = error.state, condition(error.state)
    if error.lost or (state.startswith(("57P", "08")) and state != "57P04"):
        return Transient(
            f"the connection to PostgreSQL was lost while {doing}",
            where=where,
            kept="What was committed stays; the open transaction is rolled back by the server.",
            hint="Run the same command again to resume.",
        )
    if state == "42501":
        hint = f"Let an administrator run: {grant}" if grant else "Its user lacks a right that this needs"
        return Unreachable(f"PostgreSQL does not allow {doing}", where=where, hint=f"{hint}.")
    if state in _WHOLE or state.startswith(("53", "54", "58")):
        kind = Transient if state in _PASSING else Locked if state == "55P03" else Unreachable
        return kind(
            f"PostgreSQL could not go on while {doing} ({state} {name})",
            where=where,
            hint=_WHOLE.get(state, ""),
        )
    if state in ("42P01", "42703", "3F000", "42704", "42P18"):
        return Drift(
            f"a table, column or type is not there any more ({state} {name}) while {doing}", where=where
        )
    if state == "23503":
        return GateClosed(
            f"rows elsewhere refer to these: foreign key {error.constraint} refused it while {doing}",
            where=where,
        )
    if reject_code(state) is not None:
        place = f" of {error.constraint}" if error.constraint else ""
        return GateClosed(f"PostgreSQL refused the data{place} ({state} {name}) while {doing}", where=where)
    said = f"PostgreSQL refused a statement ({state} {name})" if state else "the PostgreSQL driver failed"
    return Unreachable(f"{said} while {doing}", where=where)
