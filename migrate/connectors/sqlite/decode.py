"""What SQLite hands out → Arrow in the layout of a declared type. Undecodable: GateClosed, never a guess."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from migrate.arrow import MIXED, layout
from migrate.canon.decimals import decimal_text
from migrate.connectors.sqlite.encode import NAN
from migrate.errors import GateClosed
from migrate.model import Kind, Type

pc: Any = pyarrow.compute  # the stubs' overloads refuse valid calls

_ALLOWED: dict[Kind, frozenset[type]] = {
    Kind.BOOL: frozenset({int}),
    Kind.INT: frozenset({int}),
    Kind.FLOAT: frozenset({int, float, str}),  # text only where it says NaN
    Kind.DECIMAL: frozenset({int, float, str}),
    Kind.BYTES: frozenset({bytes}),
    Kind.JSON: frozenset({int, float, str}),
}
_TEXT = frozenset({str})
_NONE = type(None)
_CLASS_NAMES = {int: "integers", float: "reals", str: "text", bytes: "blobs"}

_TIMESTAMP = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?"
_SHAPES = {
    Kind.DATE: r"^\d{4}-\d\d-\d\d$",
    Kind.TIMESTAMP: _TIMESTAMP + "$",
    Kind.TIMESTAMPTZ: _TIMESTAMP + r"(Z|[+-]\d\d:?\d\d)$",
    Kind.TIME: r"^\d\d:\d\d:\d\d(\.\d{1,6})?$",
    Kind.UUID: r"^[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}$",
}


def decode(values: Sequence[object], type_: Type, where: str) -> Any:
    """Values of one column (None, int, float, str, bytes) in the layout of `type_`.

    Raises GateClosed naming `where` (table.column) if one cannot be decoded by the declared type.
    """
    found = set(map(type, values)) - {_NONE}
    allowed = _ALLOWED.get(type_.kind, _TEXT)
    if not found <= allowed:
        names = ", ".join(sorted(_CLASS_NAMES.get(k, k.__name__) for k in found - allowed))
        raise _refused(type_, where, f"it holds {names}")
    try:
        return _decode(values, found, type_, where)
    except (pa.ArrowException, ValueError, OverflowError):
        raise _refused(type_, where, "a value does not fit") from None


def from_stored(array: Any, stored: Type, declared: Type, where: str) -> Any:
    """A column of the faithful reading in the layout of its declared type. Raises GateClosed as `decode`."""
    if stored.kind is declared.kind and array.type == layout(declared):
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), layout(declared))  # type: ignore[call-overload]  # stubs list types one by one
    if stored.kind is Kind.MIXED:
        values = _mixed_values(array, where)
        return decode(values, declared, where)
    if declared.kind is Kind.MIXED:
        return _as_mixed(array, stored)
    found = {_STORED_CLASSES[stored.kind]} if stored.kind in _STORED_CLASSES else set()
    if declared.kind in (Kind.DECIMAL, Kind.JSON, Kind.ARRAY) or not found <= _ALLOWED.get(
        declared.kind, _TEXT
    ):
        return decode(array.to_pylist(), declared, where)
    try:
        return _decode(array, found, declared, where)
    except (pa.ArrowException, ValueError, OverflowError):
        raise _refused(declared, where, "a value does not fit") from None


_STORED_CLASSES: dict[Kind, type] = {Kind.INT: int, Kind.FLOAT: float, Kind.TEXT: str, Kind.BYTES: bytes}
_TAGS = {Kind.INT: (1, "int"), Kind.FLOAT: (2, "real"), Kind.TEXT: (3, "bytes"), Kind.BYTES: (4, "bytes")}


def _mixed_values(array: Any, where: str) -> list[object]:
    rows = array.to_pylist()
    try:
        return [
            None if row is None or not row["tag"]
            else row["int"] if row["tag"] == 1
            else row["real"] if row["tag"] == 2
            else row["bytes"].decode() if row["tag"] == 3
            else row["bytes"]
            for row in rows
        ]  # fmt: skip
    except UnicodeDecodeError:
        raise GateClosed("a text is not valid UTF-8", where=where) from None


def _as_mixed(array: Any, stored: Type) -> Any:
    tag, name = _TAGS[stored.kind]
    tags = pc.if_else(pc.is_null(array), pa.scalar(0, pa.int8()), pa.scalar(tag, pa.int8()))
    fields = [MIXED.field(i) for i in range(4)]
    children = [tags] + [
        pc.cast(array, f.type) if f.name == name else pa.nulls(len(array), f.type) for f in fields[1:]
    ]
    return pa.StructArray.from_arrays(children, fields=fields)


def mixed(classes: Any, values: Sequence[object]) -> Any:
    """The struct of MIXED; `classes` are typeof(), text comes as bytes."""
    tags = pc.fill_null(pc.index_in(pa.array(classes, pa.string()), _CLASSES), 0)
    size = len(values)
    columns: dict[int, Any] = {
        1: pa.array([v if type(v) is int else None for v in values], pa.int64()),
        2: pa.array([v if type(v) is float else None for v in values], pa.float64()),
        3: pa.array([v if type(v) is bytes else None for v in values], pa.binary()),
    }
    assert len(tags) == size
    return pa.StructArray.from_arrays(
        [pc.cast(tags, pa.int8()), columns[1], columns[2], columns[3]],
        fields=[MIXED.field(i) for i in range(4)],
    )


_CLASSES = pa.array(["null", "integer", "real", "text", "blob"])


def _decode(values: Sequence[object], found: set[type], type_: Type, where: str) -> Any:
    target: Any = layout(type_)
    kind = type_.kind
    if not found:
        return pa.nulls(len(values), target)
    if kind is Kind.BOOL:
        numbers = pa.array(values, pa.int64())
        if pc.any(pc.or_(pc.less(numbers, 0), pc.greater(numbers, 1))).as_py():
            raise _refused(type_, where, "a value is neither 0 nor 1")
        return pc.cast(numbers, pa.bool_())
    if kind is Kind.INT:
        return pa.array(values, target)
    if kind is Kind.FLOAT:
        if str in found:
            values = [math.nan if v == NAN else v for v in values]
        return pc.cast(pa.array(values, pa.float64()), target)
    if kind is Kind.DECIMAL:
        return _decimal(values, found, target)
    if kind is Kind.BYTES:
        return pa.array(values, target)
    if kind is Kind.JSON:
        return pa.array([v if v is None or type(v) is str else json.dumps(v) for v in values], target)
    text = pa.array(values, pa.string())
    if kind is Kind.ARRAY:
        return _array(values, type_)
    shape = _SHAPES.get(kind)
    if shape and not pc.all(pc.match_substring_regex(text, shape)).as_py():
        raise _refused(type_, where, "a value is not written as that type")
    if kind is Kind.UUID:
        bare = pc.replace_substring(pc.ascii_lower(text), "-", "")
        return pc.replace_substring_regex(bare, r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", r"\1-\2-\3-\4-\5")
    if kind is Kind.TIMESTAMPTZ:
        return pc.cast(pc.replace_substring_regex(text, r"([+-]\d\d)(\d\d)$", r"\1:\2"), target)
    if kind is Kind.TIME:  # Arrow reads no times, but timestamps; hour 24 and the like are refused there
        return pc.cast(
            pc.cast(pc.binary_join_element_wise("1970-01-01", text, " "), pa.timestamp("us")), target
        )
    return pc.cast(text, target)


def _decimal(values: Sequence[object], found: set[type], target: pa.DataType) -> Any:
    if found == {int}:
        text: Any = pc.cast(pa.array(values, pa.int64()), pa.string())
    elif found == {str}:
        text = pa.array(values, pa.string())
    else:  # the shortest text that names the same double, as for any number of ≤ 15 digits that was stored
        text = pa.array([v if v is None or type(v) is str else repr(v) for v in values], pa.string())
    text = decimal_text(text)
    return text if pa.types.is_string(target) else pc.cast(text, target)


def _array(values: Sequence[object], type_: Type) -> Any:
    assert type_.item is not None
    lists = [None if v is None else json.loads(str(v)) for v in values]
    item = layout(type_.item)
    if pa.types.is_list(item):
        return pa.array(lists, pa.list_(item))
    flat = [x for items in lists if items is not None for x in items]
    wanted = type_.item.kind
    if wanted in (Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.TEXT, Kind.JSON, Kind.OPAQUE):
        child = pa.array(flat, item)
    else:
        child = pc.cast(pa.array(flat, pa.string()), item)
    lengths: Any = pa.array([None if items is None else len(items) for items in lists], pa.int32())
    offsets = pc.cumulative_sum(pc.fill_null(lengths, 0))
    ends = pa.concat_arrays([pa.array([0], pa.int32()), pc.cast(offsets, pa.int32())])
    return pa.ListArray.from_arrays(ends, child, mask=pc.is_null(lengths))


def _refused(type_: Type, where: str, why: str) -> GateClosed:
    name = type_.native or type_.kind.value
    return GateClosed(
        f"the column is declared {name} ({type_.kind}), but {why}",
        where=where,
        hint="Read it faithfully and cast it in the mapping, or mend the values.",
    )
