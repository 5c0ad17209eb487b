"""`bands`: a number becomes the value of the first upper bound that it does not exceed."""

from __future__ import annotations

from bisect import bisect_left
from decimal import Decimal

import numpy as np
import polars as pl

from migrate.mapping.model import Bands
from migrate.model import Kind
from migrate.transform.convert_numbers import plain_numbers
from migrate.transform.distinct import by_distinct
from migrate.transform.values import TEXT, WHITE, Mask, Values, as_series, emptied, mask_of, texts_of

_NEAR = 1e-9  # of a bound's size: doubles tell two numbers apart that differ by more


def numbers_of(values: Values) -> tuple[pl.Series, Mask]:
    """Plain decimal texts, NULL where the value is empty; and the rows that hold no number (also NaN and infinity)."""
    if values.kind in (Kind.INT, Kind.FLOAT, Kind.DECIMAL):
        return plain_numbers(values)
    texts = texts_of(values).str.strip_chars(WHITE)
    return plain_numbers(Values(emptied(texts, mask_of(texts == "")), TEXT))


def banded(numbers: pl.Series, bands: Bands) -> tuple[pl.Series, Mask]:
    """The bands' texts for plain decimal texts (NULL stays NULL), and the rows that no band takes, which are NULL.

    Exact at the bounds, whatever a double would make of them."""
    exact = [Decimal(bound) for bound, _ in bands.limits]
    bounds = np.array([float(bound) for bound in exact])
    floats = numbers.cast(pl.Float64, strict=False).fill_null(0.0).to_numpy()
    place = np.searchsorted(bounds, floats, side="left")
    near: Mask = np.zeros(len(floats), dtype=np.bool_)
    for bound in bounds:
        near |= np.abs(floats - bound) <= max(abs(bound), 1.0) * _NEAR
    near &= mask_of(numbers.is_not_null())
    if near.any():
        some = numbers.filter(as_series(near))
        exactly, _ = by_distinct(some, lambda text: bisect_left(exact, Decimal(text)), pl.Int64)
        place[near] = exactly.to_numpy()
    results = pl.Series("", [value for _, value in bands.limits] + [bands.above], dtype=pl.String)
    mapped = results.gather(place)
    empty = mask_of(numbers.is_null())
    beyond = (place == len(exact)) & ~empty & (not bands.has_above)
    return emptied(mapped, empty), beyond
