"""What a person may ask of a restored copy: one SELECT. The databases' own read-only transactions do the rest."""

from __future__ import annotations

import re

from migrate.errors import UsageError

Answer = list[tuple[object, ...]]

_BEFORE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*(?!!).*?\*/|\()*", re.DOTALL)
_ASKING = ("select", "with", "values", "table")
_INTO_A_FILE = re.compile(r"\binto\s+(?:out|dump)file\b", re.IGNORECASE)


def refused(sql: str) -> str:
    """Empty, or why this text is no question. A first look only: whoever carries it out allows no writing either."""
    start = _BEFORE.match(sql)
    word = re.match(r"[A-Za-z]+", sql[start.end() if start else 0 :])
    if "\0" in sql:
        return "it holds a NUL byte"
    if word is None or word[0].lower() not in _ASKING:
        return "it does not begin with SELECT or WITH"
    if _INTO_A_FILE.search(sql):
        return "it writes a file"
    return ""


def checked(sql: str) -> str:
    """The text without a closing semicolon. Raises UsageError."""
    why = refused(sql)
    if why:
        raise not_answered(why)
    return sql.strip().rstrip(";").rstrip()


def not_answered(why: str) -> UsageError:
    """`why` holds names at most, never values."""
    return UsageError(f"the query cannot be asked: {why}", kept="The copy was not changed.")
