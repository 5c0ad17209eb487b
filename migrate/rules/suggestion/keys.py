"""By what the rows of a source table are told apart."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.model import Table
from migrate.rules.suggestion.facts import Seen
from migrate.rules.suggestion.names import words

LINE = "line"


def key_of(table: Table, seen: Mapping[str, Seen]) -> tuple[str, ...] | str:
    """The declared key; else the first column that tells all rows apart and is called so; else any that does."""
    if table.primary_key:
        return table.primary_key
    unique = [name for name, column in seen.items() if column.unique]
    called = [name for name in unique if "id" in words(name)]
    plain = [name for name in unique if "email" not in words(name) and "phone" not in words(name)]
    nearly = [name for name, column in seen.items() if "id" in words(name) and column.nearly_unique]
    chosen = [*called, *plain, *nearly]
    return (chosen[0],) if chosen else LINE
