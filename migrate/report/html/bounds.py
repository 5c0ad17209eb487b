"""How much of a document a page shows at most; what is cut says how much was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


ENTITIES, COLUMNS, KINDS, LINES, PICTURES, YEARS = 120, 600, 150, 200, 12, 60  # at most, in the whole page


def cut(found: Sequence[Any], most: int) -> dict[str, Any]:
    """`shown`: at most `most`; `more`: how many are not shown."""
    return {"shown": list(found[:most]), "more": max(0, len(found) - most)}
