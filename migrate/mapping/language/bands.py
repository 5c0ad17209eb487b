"""`bands: {1: 1, 10: 10, above: 500}`: upper bounds and the text of what is not larger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from migrate.mapping.model import Bands
from migrate.mapping.shapes import BAD, Bad, Reading, Schema, Shape, Words, one_line
from migrate.mapping.tree import Node, Pairs, Path_

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_VALUE = Words("a text, or null for nothing", null=True, raw=True, may_be_empty=True)


@dataclass
class BandsShape(Shape):
    words: str = "a map of upper bounds, such as {10: small, 50: medium, above: large}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        limits: list[tuple[str, str | None]] = []
        above: dict[str, Any] = {}
        good = True
        for key, inner in node.pairs:
            here = (*path, key.value)
            reading.keys[here], reading.values[here] = key.at, inner.at
            value = _VALUE.read(inner, reading, here)
            good = good and not isinstance(value, Bad)
            if key.value == "above":
                above = {"above": value, "has_above": True}
            elif not _NUMBER.fullmatch(key.value):
                reading.wrong(
                    "wrong_value",
                    key.at,
                    f'"{one_line(key.value)}" is no upper bound',
                    "bounds are plain numbers, and `above` is for what is larger than all of them",
                )
                good = False
            elif limits and Decimal(limits[-1][0]) >= Decimal(key.value):
                reading.wrong(
                    "wrong_value",
                    key.at,
                    f"the bound {key.value} stands after {limits[-1][0]}",
                    "upper bounds rise from one to the next",
                )
                good = False
            else:
                limits.append((key.value, value))
        if good and not limits:
            return reading.wrong("empty", node.at, "`bands` has no upper bound", f"expected {self.words}")
        return Bands(limits=tuple(limits), **above) if good else BAD

    def inner(self) -> tuple[Shape, ...]:
        return (_VALUE,)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        value = _VALUE.schema(definitions)
        return {
            "type": "object",
            "properties": {"above": value | {"description": "What is larger than all bounds."}},
            "patternProperties": {f"^{_NUMBER.pattern}$": value},
            "additionalProperties": False,
            "minProperties": 1,
        }
