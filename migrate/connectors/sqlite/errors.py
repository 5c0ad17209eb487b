"""SQLite's errors as ours: no driver error leaves the connector, no message carries values."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from migrate.connectors.bisect import Refusal
from migrate.errors import Corrupt, Drift, GateClosed, MigrateError, Unreachable, UsageError

_CODES = {
    "SQLITE_CONSTRAINT_UNIQUE": "db_unique",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "db_unique",
    "SQLITE_CONSTRAINT_ROWID": "db_unique",
    "SQLITE_CONSTRAINT_NOTNULL": "db_not_null",
    "SQLITE_CONSTRAINT_CHECK": "db_check",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "db_foreign_key",
    "SQLITE_CONSTRAINT_DATATYPE": "db_value",
    "SQLITE_MISMATCH": "db_value",
    "SQLITE_TOOBIG": "db_value",
}
# Only these messages are made of names; a trigger's RAISE text may hold anything.
_NAMES_ONLY = re.compile(r"^(?:UNIQUE|NOT NULL|CHECK) constraint failed: (.*)$", re.DOTALL)

_UNREACHABLE = {
    "SQLITE_BUSY": ("the database is locked by another process", "Close what writes to it, then run the same command again."),
    "SQLITE_LOCKED": ("a table of the database is locked", "Close what reads or writes it, then run the same command again."),
    "SQLITE_FULL": ("no space is left for the database", "Free space (or raise max_page_count), then run the same command again."),
    "SQLITE_READONLY": ("the database cannot be written: permission on the file or its folder is missing", "Give write permission on both."),
    "SQLITE_PERM": ("no permission on the database file", "Give permission on the file and its folder."),
    "SQLITE_AUTH": ("the database refuses this operation", ""),
    "SQLITE_CANTOPEN": ("the database file cannot be opened", "Check the path, and permission on the file and its folder."),
    "SQLITE_IOERR": ("reading or writing the database file failed", "Check the disk, then run the same command again."),
    "SQLITE_NOMEM": ("SQLite ran out of memory", ""),
    "SQLITE_INTERRUPT": ("the statement was interrupted", "Run the same command again."),
    "SQLITE_PROTOCOL": ("the database's lock protocol failed", "Run the same command again."),
}  # fmt: skip


def error_name(error: sqlite3.Error) -> str:
    """The extended error name, e.g. SQLITE_CONSTRAINT_UNIQUE; empty for errors of the Python module."""
    return getattr(error, "sqlite_errorname", None) or ""


def refusal(error: sqlite3.Error) -> Refusal | None:
    """Why a row was refused; None if the error is not about a row."""
    name = error_name(error)
    code = _CODES.get(name) or ("db_other" if name.startswith("SQLITE_CONSTRAINT") else None)
    if code is None:
        return None
    match = _NAMES_ONLY.match(str(error))
    return Refusal(code, match[1] if match else "")


def translate(error: sqlite3.Error, where: str) -> MigrateError:
    """The error of ours that says what `error` means; `where` names table or file."""
    name = error_name(error)
    base = "_".join(name.split("_")[:2])
    if base in _UNREACHABLE:
        message, hint = _UNREACHABLE[base]
        return Unreachable(f"{message} ({name})", where=where, hint=hint)
    if base in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return Corrupt(f"the file is damaged or not an SQLite database ({name})", where=where)
    if base == "SQLITE_SCHEMA" or (base == "SQLITE_ERROR" and str(error).startswith("no such")):
        return Drift(
            "a table or column is no longer there",
            where=where,
            hint="Read the schema again: run `migrate plan`.",
        )
    if base == "SQLITE_TOOBIG" or isinstance(error, sqlite3.DataError):
        return UsageError("a value is longer than SQLite can hold", where=where)
    found = refusal(error)
    if found is not None:
        return GateClosed(
            f"a constraint refuses the change ({found.code} {found.constraint})".replace(" )", ")"),
            where=where,
        )
    return Unreachable(f"SQLite failed ({name or type(error).__name__})", where=where)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Any sqlite3 error inside becomes one of ours, without the driver's text in the chain."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, where) from None
    except OSError as error:
        raise Unreachable(f"the file system refused ({error.strerror or 'I/O error'})", where=where) from None
