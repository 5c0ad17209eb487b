"""Source keys as people give them, and as runs know them."""

from __future__ import annotations

import json
from collections.abc import Sequence


def source_key(given: str) -> str:
    """The key as the crosswalk has it, from the bare value or from a JSON array of values."""
    if given.startswith("["):
        try:
            parts = json.loads(given)
        except ValueError:
            parts = [given]
    else:
        parts = [given]
    return key_text([str(part) for part in parts])


def key_text(parts: Sequence[str]) -> str:
    """The JSON array of canonical texts."""
    return json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))
