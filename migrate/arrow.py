"""The one Arrow layout of every logical type, and Parquet files of parts.

| kind | Arrow | note |
|---|---|---|
| INT | int16/int32/int64 by `bits` | |
| FLOAT | float32/float64 by `bits` | |
| DECIMAL | decimal128/256(p, s); string where precision is None or > 76 | canonical decimal text |
| TEXT, UUID, JSON, OPAQUE | string | uuid: lower case with hyphens |
| BYTES | binary | |
| DATE | date32 | ±2147483647 = ±infinity (as DuckDB) |
| TIME | time64[us] | |
| TIMESTAMP / TIMESTAMPTZ | timestamp[us] / timestamp[us, UTC] | ±9223372036854775807 = ±infinity |
| ARRAY | list of the item's layout | |
| MIXED | struct{tag int8, int int64, real float64, bytes binary} | tag: 0 null 1 integer 2 real 3 text 4 blob |
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from migrate.model import Column, Kind, Type

DATE_INFINITY = 2**31 - 1
TIMESTAMP_INFINITY = 2**63 - 1
MIXED = pa.struct([("tag", pa.int8()), ("int", pa.int64()), ("real", pa.float64()), ("bytes", pa.binary())])

_SIMPLE: dict[Kind, pa.DataType] = {
    Kind.BOOL: pa.bool_(),
    Kind.TEXT: pa.string(),
    Kind.UUID: pa.string(),
    Kind.JSON: pa.string(),
    Kind.OPAQUE: pa.string(),
    Kind.BYTES: pa.binary(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    Kind.MIXED: MIXED,
}


def layout(type_: Type) -> pa.DataType:
    """The Arrow type in which values of `type_` travel and are stored."""
    if type_.kind is Kind.INT:
        return {16: pa.int16(), 32: pa.int32()}.get(type_.bits or 64, pa.int64())
    if type_.kind is Kind.FLOAT:
        return pa.float32() if type_.bits == 32 else pa.float64()
    if type_.kind is Kind.DECIMAL:
        if type_.precision is None or type_.precision > 76:
            return pa.string()
        make: Any = pa.decimal128 if type_.precision <= 38 else pa.decimal256
        decimal: pa.DataType = make(type_.precision, type_.scale or 0)
        return decimal
    if type_.kind is Kind.ARRAY:
        assert type_.item is not None
        return pa.list_(layout(type_.item))
    return _SIMPLE[type_.kind]


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([pa.field(c.name, layout(c.type)) for c in columns])


def use_frugal_memory() -> None:
    """Arrow's memory for a long run: the pool that gives pages back as soon as nobody needs them, where it is built in."""
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())
        pa.jemalloc_set_decay_ms(1000)


def give_back_memory() -> None:
    """What a stage used and no longer needs goes back to the system before the next one begins."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":  # drivers and DuckDB use the C library's memory; not every one has this
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
