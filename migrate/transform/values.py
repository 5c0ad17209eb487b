"""One field's values on their way from source to target, and their texts.

Working layout by kind: BOOL Boolean · INT Int64 · FLOAT Float64 · DECIMAL String (plain notation, exact) ·
TEXT, UUID, JSON, OPAQUE String · BYTES Binary · DATE Date · TIME Time · TIMESTAMP Datetime µs ·
TIMESTAMPTZ Datetime µs UTC · ARRAY List. Infinite dates and timestamps keep their sentinels
(`migrate.arrow`). MIXED never gets here: it becomes text by value first (`mixed.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate.arrow import TIMESTAMP_INFINITY
from migrate.model import Kind, Type

Mask = npt.NDArray[np.bool_]

TEXT = Type(Kind.TEXT)
INTEGER = Type(Kind.INT, bits=64)
DECIMAL = Type(Kind.DECIMAL)
FLOAT = Type(Kind.FLOAT, bits=64)
BOOLEAN = Type(Kind.BOOL)
DATE = Type(Kind.DATE)
TIME = Type(Kind.TIME)
TIMESTAMP = Type(Kind.TIMESTAMP)
TIMESTAMPTZ = Type(Kind.TIMESTAMPTZ)

# White space of Unicode, and three characters that look like nothing.
WHITE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
)


@dataclass(frozen=True)
class Values:
    """A series in the working layout of `type.kind`."""

    series: pl.Series
    type: Type

    @property
    def kind(self) -> Kind:
        return self.type.kind


@dataclass(frozen=True)
class Outcome:
    """What a function gives: the values, and the rows that it refuses (None: none; their values are NULL)."""

    values: Values
    failed: Mask | None = None
    detail: str = ""


def mask_of(series: pl.Series) -> Mask:
    """A boolean series as numpy; NULL counts as false."""
    return series.fill_null(False).to_numpy().astype(np.bool_, copy=False)


def as_series(mask: Mask) -> pl.Series:
    return pl.Series(mask, dtype=pl.Boolean)


def emptied(series: pl.Series, mask: Mask | None) -> pl.Series:
    """The series with NULL where the mask is true."""
    if mask is None or not mask.any():
        return series
    return _pick(~mask, series, pl.Series([None], dtype=series.dtype))


def replaced(series: pl.Series, mask: Mask, by: pl.Series) -> pl.Series:
    """The series with the values of `by` (one value, or as long) where the mask is true."""
    return _pick(mask, by, series) if mask.any() else series


def _pick(mask: Mask, yes: pl.Series, no: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"m": as_series(mask)})
    return frame.select(
        pl.when(pl.col("m"))
        .then(pl.lit(yes) if len(yes) != 1 else pl.lit(yes.item(), dtype=yes.dtype))
        .otherwise(pl.lit(no) if len(no) != 1 else pl.lit(no.item(), dtype=no.dtype))
        .alias("v")
    )["v"]


def nulls_of(series: pl.Series) -> Mask:
    return mask_of(series.is_null())


def values_of(array: pa.Array | pa.ChunkedArray, type_: Type) -> Values:
    """From the Arrow layout of `type_` (not MIXED)."""
    if type_.kind is Kind.DECIMAL:
        return Values(_decimal_texts(array), type_)
    series = pl.Series("", pl.from_arrow(array))
    if type_.kind is Kind.INT:
        series = series.cast(pl.Int64)
    elif type_.kind is Kind.FLOAT and series.dtype == pl.Float32:
        # 0.1 stored in 32 bits is 0.1 to its owner, so the widening goes over the shortest text.
        series = series.cast(pl.String).cast(pl.Float64)
    return Values(series, type_)


def _decimal_texts(array: pa.Array | pa.ChunkedArray) -> pl.Series:
    if pa.types.is_decimal128(array.type):
        return pl.Series("", pl.from_arrow(array)).cast(pl.String)
    if pa.types.is_decimal256(array.type):
        return pl.Series(
            "", [None if v is None else format(v, "f") for v in array.to_pylist()], dtype=pl.String
        )
    return pl.Series("", pl.from_arrow(array))


def texts_of(values: Values) -> pl.Series:
    """Canonical text of every value: 17, 12.50 (scale kept), 0.1 (shortest), true, 2024-02-29, 2024-02-29 10:30:00.25,
    and with +00:00 for moments. BYTES must be UTF-8 (checked where they enter)."""
    kind, series = values.kind, values.series
    if series.dtype == pl.String:
        return series
    if kind is Kind.FLOAT:
        return float_texts(series)
    if kind is Kind.DATE:
        return _with_infinity(series, series.to_physical().abs() == 2**31 - 1, lambda s: s.cast(pl.String))
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        infinite = series.to_physical().abs() == TIMESTAMP_INFINITY
        zone = "+00:00" if kind is Kind.TIMESTAMPTZ else ""
        return _with_infinity(series, infinite, lambda s: _timestamp_texts(s, zone))
    if kind is Kind.TIME:
        return _cut_fraction(series.dt.strftime("%H:%M:%S%.6f"))
    if kind is Kind.ARRAY:
        return pl.Series("", [None if v is None else str(v) for v in series.to_list()], dtype=pl.String)
    return series.cast(pl.String)


def float_texts(series: pl.Series) -> pl.Series:
    """Shortest text that reads back as the same double; whole numbers without a point, never an exponent
    where Python writes none."""
    texts = series.cast(pl.String)
    odd = mask_of(texts.str.contains(r"[eNi]"))
    texts = texts.str.strip_suffix(".0")
    if odd.any():
        fixed = [_float_text(v) for v in series.filter(as_series(odd)).to_list()]
        texts = scattered(texts, odd, fixed)
    return texts


def _float_text(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def scattered(series: pl.Series, mask: Mask, new: list[str | None] | list[str] | pl.Series) -> pl.Series:
    """The series with `new` (one item per true row) put in the true rows."""
    items = new if isinstance(new, pl.Series) else pl.Series("", new, dtype=series.dtype)
    places = np.cumsum(mask) - 1
    spread = items.gather(np.where(mask, places, 0)) if len(items) else series
    return _pick(mask, spread, series) if len(series) > 1 else (items if mask.any() else series)


def _timestamp_texts(series: pl.Series, zone: str) -> pl.Series:
    naive = series.dt.replace_time_zone(None) if zone else series
    return _cut_fraction(naive.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")) + zone


def _cut_fraction(texts: pl.Series) -> pl.Series:
    return (
        texts.str.strip_chars_end("0").str.strip_suffix(".")
        if not texts.str.ends_with(".000000").all()
        else texts.str.head(-7)
    )


def _with_infinity(
    series: pl.Series, infinite: pl.Series, write: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    mask = mask_of(infinite)
    texts = write(emptied(series, mask))
    if not mask.any():
        return texts
    signs = series.to_physical().filter(as_series(mask)).to_list()
    return scattered(texts, mask, ["infinity" if sign > 0 else "-infinity" for sign in signs])
