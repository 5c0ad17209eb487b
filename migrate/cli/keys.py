"""Source keys as people type them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def same_key(stored: Any, typed: str) -> bool:
    """Whether `typed` names the stored source key, a JSON array of canonical texts (as text or as a list).

    A key of one column may be typed plainly: 17 is ["17"]."""
    if isinstance(stored, str):
        if stored == typed:
            return True
        try:
            stored = json.loads(stored)
        except ValueError:
            return False
    if not isinstance(stored, list):
        return str(stored) == typed
    try:
        as_array = json.loads(typed)
    except ValueError:
        as_array = None
    texts = [str(part) for part in stored]
    return texts == [typed] or (isinstance(as_array, list) and texts == [str(part) for part in as_array])


def line_of(row: Mapping[str, Any]) -> str:
    """Where a quarantined row stands, as `quarantine show` is asked for it: `line:101`, of a table of several files
    `people-02.csv:101`; empty for rows of a database."""
    if row.get("line") is None:
        return ""
    return f"{row.get('file') or 'line'}:{row['line']}"


def one_key(parts: Sequence[str]) -> str:
    """The parts of a key as one: a single one as it was typed, several as a JSON array."""
    return parts[0] if len(parts) == 1 else json.dumps(list(parts), separators=(",", ":"), ensure_ascii=False)


def named_rows(words: Sequence[str], entity: str | None) -> list[Callable[[Mapping[str, Any]], bool]]:
    """What these words may mean: the parts of a key; where no entity is given otherwise, also an entity before or behind
    them. Each tells whether a quarantined row is the one."""

    def meaning(of: str | None, parts: Sequence[str]) -> Callable[[Mapping[str, Any]], bool]:
        key = one_key(parts)
        return lambda row: (
            of in (None, row.get("entity"))
            and (same_key(row.get("key"), key) or key in (line_of(row), row.get("place")))
        )

    meanings = [meaning(entity, words)]
    if entity is None and len(words) > 1:
        meanings += [meaning(words[0], words[1:]), meaning(words[-1], words[:-1])]
    return meanings
