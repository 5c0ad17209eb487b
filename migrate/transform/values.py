"""One field's values on their way from source to target, and their texts.

Working layout by kind: BOOL Boolean · INT Int64 · FLOAT Float64 · DECIMAL String (plain notation, exact) ·
TEXT, UUID, JSON, OPAQUE String · BYTES Binary · DATE Date · TIME Time · TIMESTAMP Datetime µs ·
TIMESTAMPTZ Datetime µs UTC · ARRAY List. Infinite dates and timestamps keep their sentinels
(`migrate.arrow`). MIXED never gets here: it becomes text by value first (`mixed.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from migrate.canon import canonical_text
from migrate.model import Kind, Type

_DAY = 86_400_000_000  # µs
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

READ_AS: dict[str, Type] = {
    "text": TEXT,
    "integer": INTEGER,
    "decimal": DECIMAL,
    "float": FLOAT,
    "boolean": BOOLEAN,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "timestamptz": TIMESTAMPTZ,
    "time": TIME,
}

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
    return series.zip_with(as_series(~mask), pl.Series([None], dtype=series.dtype))


def replaced(series: pl.Series, mask: Mask, by: pl.Series) -> pl.Series:
    """The series with the values of `by` (one value, or as long) where the mask is true."""
    return (
        by.zip_with(as_series(mask), series)
        if len(by) == len(series)
        else series.zip_with(as_series(~mask), by)
    )


def nulls_of(series: pl.Series) -> Mask:
    return mask_of(series.is_null())


def values_of(array: pa.Array[Any] | pa.ChunkedArray[Any], type_: Type) -> Values:
    """From the Arrow layout of `type_` (not MIXED)."""
    if type_.kind is Kind.DECIMAL:
        return Values(_decimal_texts(array), type_)
    if type_.kind is Kind.TIME and _has_hour_24(array):
        # Polars has no 24:00 (it would be NULL): these travel as text, and what wants a time refuses that one by name
        return Values(pl.Series("", pl.from_arrow(canonical_text(array, type_))), TEXT)
    series = pl.Series("", pl.from_arrow(array))
    if type_.kind is Kind.INT:
        series = series.cast(pl.Int64)
    elif type_.kind is Kind.FLOAT and series.dtype == pl.Float32:
        # 0.1 stored in 32 bits is 0.1 to its owner, so the widening goes over the shortest text.
        series = series.cast(pl.String).cast(pl.Float64)
    return Values(series, type_)


def _has_hour_24(array: pa.Array[Any] | pa.ChunkedArray[Any]) -> bool:
    last = pc.max(array.cast(pa.int64())).as_py()
    return last is not None and last >= _DAY


def _decimal_texts(array: pa.Array[Any] | pa.ChunkedArray[Any]) -> pl.Series:
    if pa.types.is_decimal128(array.type):
        return pl.Series("", pl.from_arrow(array)).cast(pl.String)
    if pa.types.is_decimal256(array.type):
        return pl.Series(
            "", [None if v is None else format(v, "f") for v in array.to_pylist()], dtype=pl.String
        )
    return pl.Series("", pl.from_arrow(array))


def texts_of(values: Values) -> pl.Series:
    """The text of every value, as `migrate.canon.canonical_text` writes it, but decimals keep their scale (12.50) and
    JSON its spelling."""
    series = values.series
    if series.dtype == pl.String:
        return series
    if values.kind is Kind.FLOAT:
        return float_texts(series)
    if values.kind in (Kind.INT, Kind.BOOL):
        return series.cast(pl.String)
    return pl.Series("", pl.from_arrow(canonical_text(series.to_arrow(), values.type)))


def float_texts(series: pl.Series) -> pl.Series:
    """Shortest text that reads back as the same double, without exponent; whole numbers without a point."""
    texts = series.cast(pl.String)
    odd = mask_of(texts.str.contains(r"e|\A-0\.0\z|[Nn]"))
    texts = texts.str.strip_suffix(".0")
    if odd.any():
        odd_ones = pl.from_arrow(canonical_text(series.filter(as_series(odd)).to_arrow(), FLOAT))
        texts = scattered(texts, odd, pl.Series("", odd_ones))
    return texts


def scattered(series: pl.Series, mask: Mask, items: pl.Series) -> pl.Series:
    """The series with `items` (one per true row, in order) put in the true rows."""
    if not mask.any():
        return series
    places = np.where(mask, np.cumsum(mask) - 1, 0)
    return items.gather(places).zip_with(as_series(mask), series)
