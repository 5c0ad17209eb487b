"""Canonical JSON: the value of a document, not its spelling.

Members sorted by name (by code points), the last of equal names wins as in jsonb, no white space,
numbers as exact canonical decimals (1.0, 1 and 10e-1 are equal; 0.1 + 1e-30 is not 0.1).
"""

from __future__ import annotations

import json
import re
from json.encoder import ESCAPE, ESCAPE_DCT
from typing import Any

from migrate.canon.decimals import plain

DEEPEST = 200  # levels; the parser's own limit depends on the caller's stack, this one does not

_SURROGATE = re.compile("[\ud800-\udfff]")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class _Number(str):
    __slots__ = ()


def canonical_json(text: str) -> str | None:
    """Canonical text of a JSON document; None if it is not JSON or nested deeper than 200 levels."""
    if not _shallow(text):
        return None
    try:
        value = json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_refuse)
    except ValueError:
        return None
    return _write(value)


def _number(text: str) -> _Number:
    return _Number(plain(text))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _shallow(text: str) -> bool:
    if text.count("[") + text.count("{") <= DEEPEST:
        return True
    depth = deepest = 0
    for token in _STRING_OR_BRACKET.findall(text):
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest <= DEEPEST


def quote(text: str) -> str:
    """A JSON string as `json.dumps(text, ensure_ascii=False)` writes it; a lone surrogate as \\udxxx."""
    escaped = ESCAPE.sub(lambda m: ESCAPE_DCT[m[0]], text)
    return '"' + _SURROGATE.sub(lambda m: "\\u" + format(ord(m[0]), "04x"), escaped) + '"'


def _write(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{quote(name)}:{_write(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value]
