"""`check: not_before`, `not_after`, `fresh`: dates held against today, a date, or another column.

By days where one of the two is a date; by moments where both have a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from migrate.mapping.durations import Duration
from migrate.mapping.function_spec import FromColumn
from migrate.model import Kind
from migrate.transform.convert import DATES, convert
from migrate.transform.quality.found import About, Broken
from migrate.transform.values import DATE, TIMESTAMP, TIMESTAMPTZ, Mask, Values, nulls_of, texts_of

_DAY = 86_400_000_000  # µs
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Moments:
    """`micros` since 1970 (those of a day: its beginning); `given`: where there is a date at all."""

    micros: npt.NDArray[np.int64]
    given: Mask
    of_days: bool


def moments_of(values: Values, about: About) -> Moments:
    """What is no date, and cannot be read as one, is not given."""
    if values.kind not in DATES:
        texts = Values(texts_of(values), values.type)
        as_days = convert(texts, DATE, zone=about.zone)
        series = pl.Series("", pl.from_arrow(as_days.array))
        if series.null_count() == len(series) and series.null_count() > nulls_of(values.series).sum():
            kind = TIMESTAMPTZ if about.target.kind is Kind.TIMESTAMPTZ else TIMESTAMP
            series = pl.Series("", pl.from_arrow(convert(texts, kind, zone=about.zone or "UTC").array))
    else:
        series = values.series
    days = series.dtype == pl.Date
    numbers = series.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    # Infinity stays beyond every date.
    scaled = np.clip(numbers, -(2**62) // _DAY, 2**62 // _DAY) * _DAY if days else numbers
    return Moments(scaled, ~nulls_of(series), days)


def not_before(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    mine, limit, words = _both(arguments["limit"], values, about)
    return [Broken(mine.given & limit.given & _less(mine, limit), "not_before", f"before {words}")]


def not_after(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    mine, limit, words = _both(arguments["limit"], values, about)
    return [Broken(mine.given & limit.given & _less(limit, mine), "not_after", f"after {words}")]


def fresh(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    span: Duration = arguments["within"]
    mine = moments_of(values, about)
    oldest = _of_day(span.before(about.today), len(values.series))
    return [Broken(mine.given & _less(mine, oldest), "fresh", f"longer ago than {span.number} {span.unit}")]


def stale(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    closed = about.conditions.get(arguments["open"])
    if closed is None:
        return []
    size = len(values.series)
    mine = moments_of(values, about)
    mask = mine.given & _less(mine, _of_day(about.today, size))
    touched, span = arguments["touched"], arguments["untouched"]
    if isinstance(touched, FromColumn) and isinstance(span, Duration) and about.alike is not None:
        last = moments_of(about.alike(touched.from_), about)
        mask = mask | (last.given & _less(last, _of_day(span.before(about.today), size)))
    return [Broken(mask & ~closed, "stale", "an open deal past its date, or untouched for long")]


def _both(limit: object, values: Values, about: About) -> tuple[Moments, Moments, str]:
    mine = moments_of(values, about)
    if isinstance(limit, FromColumn) and about.alike is not None:
        return mine, moments_of(about.alike(limit.from_), about), f'"{limit.from_}"'
    day = about.today if limit == "today" else date.fromisoformat(str(limit))
    return mine, _of_day(day, len(values.series)), str(limit)


def _of_day(day: date, size: int) -> Moments:
    micros = np.full(size, (day - _EPOCH).days * _DAY, dtype=np.int64)
    return Moments(micros, np.ones(size, dtype=np.bool_), of_days=True)


def _less(one: Moments, other: Moments) -> Mask:
    if one.of_days or other.of_days:
        found: Mask = one.micros // _DAY < other.micros // _DAY
        return found
    less: Mask = one.micros < other.micros
    return less
