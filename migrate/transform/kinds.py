"""Types of what SQL gives back."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from migrate.model import Kind, Type
from migrate.transform.values import BOOLEAN, DATE, FLOAT, INTEGER, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ


def type_of_arrow(array: pa.ChunkedArray[Any]) -> tuple[pa.ChunkedArray[Any], Type]:
    """The array in one of our layouts, and its type. What has no layout of ours becomes text."""
    arrow = array.type
    if pa.types.is_boolean(arrow):
        return array, BOOLEAN
    if pa.types.is_integer(arrow) and arrow != pa.uint64():
        return array.cast(pa.int64()), INTEGER
    if pa.types.is_unsigned_integer(arrow):
        return array.cast(pa.decimal128(20, 0)), Type(Kind.DECIMAL, precision=20, scale=0)
    if pa.types.is_floating(arrow):
        return array, FLOAT
    if pa.types.is_decimal(arrow):
        return array, Type(Kind.DECIMAL, precision=arrow.precision, scale=arrow.scale)
    if pa.types.is_date32(arrow):
        return array, DATE
    if pa.types.is_time(arrow):
        return array.cast(pa.time64("us")), TIME
    if pa.types.is_timestamp(arrow):
        return (
            (array.cast(pa.timestamp("us", "UTC")), TIMESTAMPTZ)
            if arrow.tz
            else (array.cast(pa.timestamp("us")), TIMESTAMP)
        )
    if pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow):
        return array.cast(pa.binary()), Type(Kind.BYTES)
    return array.cast(pa.string()), TEXT
