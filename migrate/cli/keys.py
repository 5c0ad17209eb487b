"""Source keys as people type them."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
