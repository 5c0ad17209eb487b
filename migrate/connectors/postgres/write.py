"""Arrow rows as PostgreSQL takes them: straight through COPY where that is exact, else by way of a staging table.

ADBC's COPY writer sends bytes as they are, whatever the column's type (an int64 into a double column stores
garbage), so a row set is only ever sent in the layout that the catalogue declares.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from migrate.arrow import DATE_INFINITY, TIMESTAMP_INFINITY
from migrate.connectors.postgres.types import sql_type, travels_as_string
from migrate.model import Column, Kind, Type

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
ORDINAL = "migrate_ordinal"
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_TIMES = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_FIRST = {Kind.DATE: -2440588, Kind.TIMESTAMP: -210866803200000000, Kind.TIMESTAMPTZ: -210866803200000000}
_PLAIN = (Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.BYTES, Kind.TIME)


@dataclass(frozen=True)
class Staged:
    """One column of a staging table: what is sent, and the SQL that makes the target's value of it."""

    arrays: tuple[tuple[str, str, pa.Array[Any]], ...]  # name, SQL type, values
    value: str
    key: str  # the same for comparing with the target's column


def direct(columns: Sequence[Column], rows: pa.Table) -> pa.Table | None:
    """`rows` as COPY takes them into the target itself; None if a column needs a cast in SQL."""
    arrays = [_direct(one_array(rows.column(i)), column.type) for i, column in enumerate(columns)]
    if any(a is None for a in arrays):
        return None
    return pa.table(arrays, names=[c.name for c in columns])


_PIECE = 4 << 20  # bytes that the driver encodes at once: it holds a whole batch in wire form besides


def in_pieces(rows: pa.Table) -> pa.RecordBatchReader:
    """`rows` as batches of a few megabytes."""
    pieces = max(1, -(-rows.nbytes // _PIECE))
    return rows.to_reader(max_chunksize=max(1, -(-rows.num_rows // pieces)))


def one_array(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    whole: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # no chunk at all
        whole = pa.array([], column.type)
    array: pa.Array[Any] = whole
    return array


def _direct(array: pa.Array[Any], type_: Type) -> pa.Array[Any] | None:
    if type_.kind in _PLAIN or type_.kind is Kind.TEXT:
        return array
    if type_.kind is Kind.DECIMAL:
        return None if travels_as_string(type_) else array
    if type_.kind in _TIMES:
        return None if _any(_infinite(array)) else array
    if type_.kind is Kind.UUID:
        return _uuid_bytes(array)
    if type_.kind is Kind.JSON:
        return array if type_.textual else _jsonb(array)
    if type_.kind is Kind.ARRAY and type_.item is not None and _plain_item(type_.item):
        return None if type_.item.kind in _TIMES and _any(_infinite(pc.list_flatten(array))) else array
    return None


def _plain_item(item: Type) -> bool:
    return (
        item.kind in _PLAIN
        or item.kind in _TIMES
        or (item.kind is Kind.TEXT and not item.labels and item.native in ("text", ""))
    )


def _any(mask: pa.Array[Any]) -> bool:
    return bool(pc.any(mask).as_py())


def _integers(array: pa.Array[Any]) -> pa.Array[Any]:
    return array.view(pa.int32() if pa.types.is_date32(array.type) else pa.int64())


def _infinite(array: pa.Array[Any]) -> pa.Array[Any]:
    """Which values of a date or timestamp array are ±infinity (never null)."""
    numbers = _integers(array)
    limit = DATE_INFINITY if pa.types.is_date32(array.type) else TIMESTAMP_INFINITY
    found: pa.Array[Any] = pc.fill_null(pc.or_(pc.equal(numbers, limit), pc.equal(numbers, -limit)), False)
    return found


def _uuid_bytes(array: pa.Array[Any]) -> pa.Array[Any] | None:
    """Text → 16 bytes; None if any value is not a uuid in our spelling."""
    if len(array) == array.null_count:
        return pa.nulls(len(array), pa.binary(16))
    if not pc.all(pc.match_substring_regex(array, _UUID)).as_py():
        return None
    text = pc.replace_substring(pc.fill_null(array, "0" * 32), "-", "")
    text = pa.concat_arrays([text])  # from offset 0
    digits = np.frombuffer(text.buffers()[2], np.uint8, count=32 * len(text))
    nibbles = np.where(digits >= ord("a"), digits - (ord("a") - 10), digits - ord("0")).astype(np.uint8)
    packed = nibbles[0::2] << 4 | nibbles[1::2]
    made: pa.Array[Any] = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(text), [None, pa.py_buffer(packed.tobytes())]
    )
    if array.null_count:
        made = pc.if_else(pc.is_valid(array), made, pa.scalar(None, pa.binary(16)))
    return made


def _jsonb(array: pa.Array[Any]) -> pa.Array[Any]:
    """jsonb's wire form: a version byte, then the text."""
    made: pa.Array[Any] = pc.binary_join_element_wise(pa.scalar(b"\x01"), array.cast(pa.binary()), b"")
    return made


def staged(index: int, column: Column, array: pa.Array[Any]) -> Staged:
    """How one column goes through a staging table, whose columns are never narrower than the value."""
    type_, name = column.type, f"c{index}"
    if type_.kind in _TIMES:
        return _staged_time(name, type_, array)
    if type_.kind is Kind.ARRAY:
        assert type_.item is not None
        if not _plain_item(type_.item) or type_.item.kind in _TIMES:
            array = array.cast(pa.list_(pa.string()))
            return _simple(name, "text[]", array, without_limits(sql_type(type_)), cast=True)
        return _simple(name, without_limits(sql_type(type_)), array, "")
    if type_.kind in _PLAIN or (type_.kind is Kind.DECIMAL and not travels_as_string(type_)):
        return _simple(name, without_limits(sql_type(type_)), array, "")
    native = without_limits(sql_type(type_))
    if type_.kind is Kind.TEXT:
        # an explicit cast to varchar(n) would cut the value silently, the assignment refuses it
        plain = native in ("text", "character varying")
        return Staged(
            ((name, "text", array),),
            f"s.{name}::{native}" if type_.labels else f"s.{name}",
            f"s.{name}" if plain else f"s.{name}::{native}",
        )
    if type_.kind is Kind.UUID and (packed := _uuid_bytes(array)) is not None:
        return _simple(name, "uuid", packed, "")
    return _simple(name, "text", array, native, cast=True)


def _simple(name: str, staging_type: str, array: pa.Array[Any], target: str, *, cast: bool = False) -> Staged:
    value = f"s.{name}::{target}" if cast else f"s.{name}"
    return Staged(((name, staging_type, array),), value, value)


def _staged_time(name: str, type_: Type, array: pa.Array[Any]) -> Staged:
    native = {Kind.DATE: "date", Kind.TIMESTAMP: "timestamp", Kind.TIMESTAMPTZ: "timestamptz"}[type_.kind]
    infinite = _infinite(array)
    if not _any(infinite):
        return _simple(name, native, array, "")
    sign = pc.if_else(infinite, pc.sign(_integers(array)), pa.scalar(0, pa.int8())).cast(pa.int16())
    finite = pc.if_else(infinite, pa.scalar(None, array.type), array)
    value = f"CASE s.{name}f WHEN 1 THEN 'infinity' WHEN -1 THEN '-infinity' ELSE s.{name} END"
    return Staged(((name, native, finite), (f"{name}f", "int2", sign)), value, value)


def without_limits(native: str) -> str:
    """The type without lengths: a cast to it never cuts or rounds, the assignment to the column judges."""
    bare = re.sub(r"\(\s*-?\d+(\s*,\s*-?\d+)?\s*\)", "", native)
    if bare.startswith("interval"):
        return "interval[]" if bare.endswith("[]") else "interval"
    bare = re.sub(r"^bit(?! varying)", "bit varying", bare)
    return re.sub(r"^character(?! varying)", "bpchar", bare)


def unstorable(columns: Sequence[Column], rows: pa.Table) -> pa.Array[Any]:
    """Rows that PostgreSQL cannot even receive: a NUL byte in a text, a moment outside its calendar."""
    bad = pa.array(np.zeros(rows.num_rows, dtype=bool))
    for column, values in zip(columns, rows.columns, strict=True):
        array, kind = one_array(values), column.type.kind
        if pa.types.is_string(array.type):
            found = pc.match_substring(array, "\0")
        elif kind in _TIMES:
            numbers = _integers(array)
            last = 2145042905 if kind is Kind.DATE else TIMESTAMP_INFINITY
            out = pc.or_(pc.less(numbers, _FIRST[kind]), pc.greater(numbers, last))
            found = pc.and_not(out, _infinite(array))
        elif kind is Kind.TIME:
            numbers = array.view(pa.int64())
            found = pc.or_(pc.less(numbers, 0), pc.greater(numbers, 86_400_000_000))
        elif pa.types.is_list(array.type) and pa.types.is_string(array.type.value_type):
            hit = pc.match_substring(pc.list_flatten(array), "\0")
            places = pc.list_parent_indices(array).filter(pc.fill_null(hit, False))
            mask = np.zeros(rows.num_rows, dtype=bool)
            mask[places.to_numpy()] = True
            found = pa.array(mask)
        else:
            continue
        bad = pc.or_(bad, pc.fill_null(found, False))
    return bad
