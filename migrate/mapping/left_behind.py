"""`left_behind`: what a mapping leaves at the source, decided and named."""

from __future__ import annotations

import fnmatch

from migrate.mapping.model import LeftBehind, Mapping


def left_behind(mapping: Mapping, *names: str) -> LeftBehind | None:
    """The first pattern that fits one of the names; letter case does not count, and only * and ? are wild."""
    for item in mapping.left_behind:
        pattern = item.pattern.lower().replace("[", "[[]")
        if any(fnmatch.fnmatchcase(name.lower(), pattern) for name in names):
            return item
    return None
