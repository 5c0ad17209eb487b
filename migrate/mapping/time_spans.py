"""Spans of time as people write them: 45s, 30m, 26h, 2d."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from migrate.mapping.shapes import Reading, Schema, Shape, one_line, place
from migrate.mapping.tree import Node, Path_, Text

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PATTERN = r"^([0-9]{1,6})\s*([smhd])$"


@dataclass
class Span(Shape):
    """Gives seconds."""

    words: str = "a span of time such as 30m, 26h or 2d"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        found = re.fullmatch(_PATTERN, node.value)
        if found is None or int(found[1]) == 0:
            return reading.wrong(
                "wrong_value",
                node.at,
                f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words}',
            )
        return float(int(found[1]) * _UNITS[found[2]])

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": "string", "pattern": _PATTERN}
