"""canon-1 in plain Python, one value at a time: the definition to test and to port from, not to use.

Standard library only, and nothing shared with the vectorised code. Values come as: bool, int (INT;
DATE in days; TIME, TIMESTAMP, TIMESTAMPTZ in µs), float, Decimal or str (DECIMAL), str, bytes, list
(ARRAY), {"tag", "int", "real", "bytes"} (MIXED); None is NULL.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from migrate.model import Kind, Type

_WRAP = 2**64 - 1
_TAGS = [
    "null",
    "bool",
    "int",
    "float",
    "decimal",
    "text",
    "bytes",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "json",
    "json-text",
    "array",
    "opaque",
]


def value_bytes(value: Any, type_: Type) -> tuple[int, bytes]:
    """(tag, canonical bytes) of one value."""
    kind = type_.kind
    if value is None:
        return 0, b""
    if kind is Kind.MIXED:
        return _mixed(value)
    if kind is Kind.JSON:
        canonical = None if type_.textual else _json(value)
        return (12, canonical) if canonical is not None else (13, value.encode())
    if kind is Kind.ARRAY:
        assert type_.item is not None
        content = len(value).to_bytes(8, "little")
        for element in value:
            tag, data = value_bytes(element, type_.item)
            content += bytes([tag]) + len(data).to_bytes(8, "little") + data
        return 14, content
    tag = _TAGS.index(kind.value)
    if kind is Kind.BOOL:
        return tag, b"\x01" if value else b"\x00"
    if kind is Kind.FLOAT:
        return tag, struct.pack("<d", value) if not math.isnan(value) else bytes.fromhex("000000000000f87f")
    if kind is Kind.DECIMAL:
        return tag, decimal_text(Decimal(value)).encode()
    if kind is Kind.BYTES:
        return tag, value
    if isinstance(value, int):
        return tag, struct.pack("<q", value)
    return tag, (value.rstrip(" ") if type_.fixed else value).encode()


def _mixed(value: Mapping[str, Any]) -> tuple[int, bytes]:
    match value["tag"]:
        case 1:
            return value_bytes(value["int"], Type(Kind.INT))
        case 2:
            return value_bytes(value["real"], Type(Kind.FLOAT))
        case 3:
            return 5, value["bytes"]
        case 4:
            return 6, value["bytes"]
    return 0, b""


def decimal_text(value: Decimal) -> str:
    if value.is_nan():
        return "NaN"
    if value.is_infinite():
        return "-Infinity" if value < 0 else "Infinity"
    if value == 0:
        return "0"
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    kept = "".join(map(str, digits)).lstrip("0")
    while kept.endswith("0"):
        kept, exponent = kept[:-1], exponent + 1
    if abs(exponent) > 200_000:
        return f"{'-' * sign}{kept}E{exponent}"
    return f"{Decimal((sign, tuple(map(int, kept)), exponent)):f}"


class _Raw(str):
    __slots__ = ()


def _json(text: str) -> bytes | None:
    def refuse(name: str) -> Any:
        raise ValueError(name)

    def number(digits: str) -> _Raw:
        if len(digits.lower().partition("e")[2].lstrip("+-")) > 18:
            raise ValueError("exponent")
        return _Raw(decimal_text(Decimal(digits)))

    def write(value: Any) -> str:
        if isinstance(value, _Raw):
            return str(value)
        if isinstance(value, dict):
            return "{" + ",".join(write(k) + ":" + write(value[k]) for k in sorted(value)) + "}"
        if isinstance(value, list):
            return "[" + ",".join(write(item) for item in value) + "]"
        if isinstance(value, str):
            return "".join(
                f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c
                for c in json.dumps(value, ensure_ascii=False)
            )
        return json.dumps(value)

    def depth(value: Any) -> int:
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    try:
        parsed = json.loads(text, parse_int=number, parse_float=number, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return write(parsed).encode() if depth(parsed) <= 200 else None


def value_hash(column: str, tag: int, data: bytes) -> tuple[int, int]:
    """(low, high) lanes of one value."""
    seed = hashlib.sha256(b"canon-1\0" + bytes([tag]) + column.encode()).digest()
    body = hashlib.sha256(data).digest() if len(data) > 1024 else data
    lanes = []
    for start, multiplier in ((0, 0x9E3779B97F4A7C15), (8, 0xC2B2AE3D27D4EB4F)):
        state = int.from_bytes(seed[start : start + 8], "little")
        for at in range(0, len(body), 8):
            state ^= int.from_bytes(body[at : at + 8], "little")
            state ^= state >> 29
            state = state * multiplier & _WRAP
            state ^= state >> 32
        lanes.append(_avalanche(state + len(data) & _WRAP))
    return lanes[0], lanes[1]


def _avalanche(state: int) -> int:
    state = state * 0xBF58476D1CE4E5B9 & _WRAP
    state ^= state >> 27
    state = state * 0x94D049BB133111EB & _WRAP
    return state ^ state >> 31


def row_hash(row: Mapping[str, Any], types: Mapping[str, Type]) -> tuple[int, int]:
    """(low, high) lanes of one row: columns in any order."""
    hashes = [value_hash(name, *value_bytes(value, types[name])) for name, value in row.items()]
    sums = (sum(lane) & _WRAP for lane in zip(*hashes, strict=True))
    low, high = (_avalanche(s ^ s >> 30) for s in sums)
    return low, high


def digest_text(rows: Iterable[Mapping[str, Any]], types: Mapping[str, Type]) -> str:
    """`canon-1:ROWS:HEX32` of a table."""
    count = low = high = 0
    for row in rows:
        more_low, more_high = row_hash(row, types)
        count, low, high = count + 1, low + more_low & _WRAP, high + more_high & _WRAP
    return f"canon-1:{count}:{high:016x}{low:016x}"
