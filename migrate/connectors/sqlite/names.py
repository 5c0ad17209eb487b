"""Names in SQLite's SQL, and which tables are ours."""

from __future__ import annotations

from collections.abc import Iterable

META_PREFIX = "_migrate_"
FENCE = META_PREFIX + "fence"
KEYS = META_PREFIX + "keys"
MARKER = META_PREFIX + "scratch"
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


def quote(name: str) -> str:
    """An identifier as SQLite reads it back unchanged."""
    return '"' + name.replace('"', '""') + '"'


def quoted(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + quote(name) for name in names)


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def ours(table: str) -> bool:
    """Our own tables and SQLite's, which no catalogue shows."""
    lowered = table.lower()
    return lowered.startswith((META_PREFIX, "sqlite_"))


def rowid_name(columns: Iterable[str]) -> str | None:
    """A name for the rowid that no column takes; None if all three are taken."""
    taken = {c.lower() for c in columns}
    return next((name for name in _ROWID_NAMES if name not in taken), None)
