"""Values → the target's type: exactly, or with a reason, or marked as lossy. Never silently.

`convert` gives the array in the target's layout. Failed rows are NULL in it; lossy rows hold the rounded or cut
value, and the caller decides what becomes of them (`lossy`: error | quarantine | allow).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.model import Kind, Type
from migrate.transform import convert_numbers, convert_texts, convert_times
from migrate.transform.conversion import Conversion, Failure
from migrate.transform.values import Mask, Values, emptied, nulls_of, texts_of

NUMBERS = frozenset({Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.BOOL})
TEXTS = frozenset({Kind.TEXT, Kind.JSON, Kind.UUID, Kind.OPAQUE})
DATES = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


@dataclass(frozen=True)
class Converted:
    """`array` in the layout of the target type. `lossy`: rows whose value is not the whole value."""

    array: pa.Array[Any]
    failures: tuple[Failure, ...] = ()
    lossy: Mask | None = None
    lossy_code: str = "lossy"
    lossy_detail: str = ""


def impossible(source: Kind, target: Type) -> str | None:
    """Why values of `source` can never become `target`, in plain words, or None."""
    kind = target.kind
    if kind is source or kind is Kind.MIXED or (source in (Kind.MIXED, Kind.TEXT) and kind is not Kind.ARRAY):
        return None
    if kind is Kind.TEXT:
        return None if source not in (Kind.ARRAY,) else "a list has no text of its own"
    if (kind in NUMBERS and source in NUMBERS) or (kind is Kind.JSON and source in NUMBERS):
        return None
    if kind is Kind.OPAQUE and source in NUMBERS | DATES | {Kind.TIME}:
        return None
    if kind is Kind.DATE and source is Kind.TIMESTAMPTZ:
        return "a moment has no date without a zone"
    if kind in DATES and source in DATES:
        return None
    if kind in (Kind.TEXT, Kind.JSON, Kind.UUID, Kind.OPAQUE, Kind.BYTES) and source in TEXTS:
        return None
    return f"{source.value} never becomes {kind.value}"


def convert(values: Values, target: Type, *, zone: str | None = None, nul_allowed: bool = False) -> Converted:
    """`zone`: of local times without one. `nul_allowed`: whether the target's text takes NUL (PostgreSQL's does not)."""
    done = _convert(values, target, zone, nul_allowed)
    arrow = layout(target)
    series = done.series
    for failure in done.failures:
        series = emptied(series, failure.mask) if isinstance(series, pl.Series) else series
    array = to_arrow(series, arrow)
    return Converted(array, done.failures, done.lossy, done.lossy_code, done.lossy_detail)


def to_arrow(series: pl.Series | pa.Array[Any], arrow: pa.DataType) -> pa.Array[Any]:
    array: pa.Array[Any] = series if isinstance(series, pa.Array) else series.to_arrow()
    return array if array.type == arrow else array.cast(arrow)


def _convert(values: Values, target: Type, zone: str | None, nul_allowed: bool) -> Conversion:
    kind = target.kind
    if values.series.dtype == pl.Null:
        values = Values(pl.Series("", [None] * len(values.series), dtype=pl.String), Type(Kind.TEXT))
    if kind is Kind.BOOL:
        return convert_numbers.to_boolean(values)
    if kind is Kind.INT:
        return convert_numbers.to_integer(values, target.bits or 64)
    if kind is Kind.FLOAT:
        return convert_numbers.to_float(values, target.bits or 64)
    if kind is Kind.DECIMAL:
        return convert_numbers.to_decimal(values, target)
    if kind is Kind.DATE:
        return convert_times.to_date(values)
    if kind is Kind.TIME:
        return convert_times.to_time(values)
    if kind is Kind.TIMESTAMP:
        return convert_times.to_timestamp(values, zone)
    if kind is Kind.TIMESTAMPTZ:
        return convert_times.to_moment(values, zone)
    if kind is Kind.BYTES:
        return convert_texts.to_bytes(values)
    if kind is Kind.UUID:
        return convert_texts.to_uuid(values)
    if kind is Kind.JSON:
        return convert_texts.to_json(values, textual=target.textual, nul_allowed=nul_allowed)
    if kind is Kind.MIXED:
        return Conversion(convert_texts.to_mixed(values))
    if kind is Kind.ARRAY:
        return _to_array(values, target)
    return convert_texts.to_text(Values(texts_of(values), Type(Kind.TEXT)), target, nul_allowed=nul_allowed)


def _to_array(values: Values, target: Type) -> Conversion:
    """Lists pass as they are where the items fit their declared layout, each whole list or not at all."""
    if values.kind is not Kind.ARRAY:
        return Conversion.refused(values, layout(target), "not a list")
    try:
        return Conversion(values.series.to_arrow().cast(layout(target)))
    except pa.ArrowInvalid:
        fits = [_fits(item, layout(target)) for item in values.series.to_list()]
        mask = ~pl.Series(fits, dtype=pl.Boolean).to_numpy() & ~nulls_of(values.series)
        kept = emptied(values.series, mask)
        return Conversion(
            kept.to_arrow().cast(layout(target)), (Failure(mask, "type", "an item does not fit the list"),)
        )


def _fits(item: object, arrow: pa.DataType) -> bool:
    try:
        pa.array([item], arrow)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return False
    return True
