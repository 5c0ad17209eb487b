"""To dates, times of day, plain timestamps and moments. A DATE stays a date: it never goes over a timestamp."""

from __future__ import annotations

import numpy as np
import polars as pl

from migrate.arrow import TIMESTAMP_INFINITY
from migrate.model import Kind
from migrate.transform.calendar import (
    DAY,
    ISO_DATE,
    dates_of,
    localised,
    read_format,
    read_iso_time,
    read_iso_timestamp,
    times_of,
    timestamps_of,
)
from migrate.transform.conversion import Conversion, failures
from migrate.transform.functions.dates import timestamps_of_dates
from migrate.transform.values import Values, emptied, mask_of, nulls_of, texts_of

_FINER = "finer than a microsecond"


def to_date(values: Values) -> Conversion:
    if values.kind is Kind.DATE:
        return Conversion(values.series)
    if values.kind is Kind.TIMESTAMP:
        return _date_of_timestamp(values.series)
    texts = texts_of(values)
    read = read_format(texts, ISO_DATE)
    bad = ~nulls_of(texts) & ~read.ok
    return Conversion(dates_of(read, read.ok), failures((bad, "type", "not a date YYYY-MM-DD")))


def _date_of_timestamp(series: pl.Series) -> Conversion:
    """Lossy where the time is not midnight."""
    physical = series.to_physical()
    infinite = mask_of(physical.abs() == TIMESTAMP_INFINITY)
    micros = physical.fill_null(0).to_numpy()
    given = ~nulls_of(series)
    days = np.where(infinite, np.sign(micros) * (2**31 - 1), micros // DAY)
    lossy = given & ~infinite & (micros % DAY != 0)
    dates = emptied(pl.Series(days.astype(np.int32)).cast(pl.Date), ~given)
    return Conversion(dates, (), lossy if lossy.any() else None, lossy_detail="a time that is not midnight")


def to_time(values: Values) -> Conversion:
    if values.kind is Kind.TIME:
        return Conversion(values.series)
    texts = texts_of(values)
    read = read_iso_time(texts)
    bad = ~nulls_of(texts) & ~read.ok
    return Conversion(
        times_of(read.micros, read.ok),
        failures((bad, "type", "not a time HH:MM:SS")),
        read.cut if read.cut.any() else None,
        lossy_detail=_FINER,
    )


def to_timestamp(values: Values, zone: str | None) -> Conversion:
    """Plain timestamps. A moment becomes local time of `zone`, which is lossy: which zone it was is gone."""
    series = values.series
    if values.kind is Kind.TIMESTAMP:
        return Conversion(series)
    if values.kind is Kind.DATE:
        return Conversion(timestamps_of_dates(series))
    if values.kind is Kind.TIMESTAMPTZ:
        return _local_of_moment(series, zone)
    texts = texts_of(values)
    read = read_iso_timestamp(texts)
    given = ~nulls_of(texts)
    plain = read.ok & ~read.zoned
    return Conversion(
        timestamps_of(read.moments, plain),
        failures(
            (given & ~read.ok, "type", "not a timestamp YYYY-MM-DD HH:MM:SS"),
            (read.ok & read.zoned, "type", "it names a zone, the target has none"),
        ),
        read.cut & plain if (read.cut & plain).any() else None,
        lossy_detail=_FINER,
    )


def _local_of_moment(series: pl.Series, zone: str | None) -> Conversion:
    given = ~nulls_of(series)
    infinite = mask_of(series.to_physical().abs() == TIMESTAMP_INFINITY)
    finite = emptied(series, infinite)
    local = finite.dt.convert_time_zone(zone or "UTC").dt.replace_time_zone(None)
    micros = np.where(
        infinite, series.to_physical().fill_null(0).to_numpy(), local.to_physical().fill_null(0).to_numpy()
    )
    lossy = given & ~infinite
    return Conversion(
        timestamps_of(micros, given), (), lossy if lossy.any() else None, lossy_detail="its zone is lost"
    )


def to_moment(values: Values, zone: str | None) -> Conversion:
    """Moments. Local times are those of `zone`; without one they fail, and so do times that the zone skips or has twice."""
    series = values.series
    if values.kind is Kind.TIMESTAMPTZ:
        return Conversion(series)
    if values.kind in (Kind.TIMESTAMP, Kind.DATE):
        local = series if values.kind is Kind.TIMESTAMP else timestamps_of_dates(series)
        if zone is None:
            infinite = mask_of(local.to_physical().abs() == TIMESTAMP_INFINITY)
            kept = emptied(local, ~infinite).dt.replace_time_zone("UTC")
            return Conversion(
                kept,
                failures((~nulls_of(series) & ~infinite, "type", "it names no zone and the source has none")),
            )
        moments, failed = localised(local, zone)
        return Conversion(moments, failures((failed, "type", f"no such local time, or twice, in {zone}")))
    texts = texts_of(values)
    read = read_iso_timestamp(texts)
    ok, micros = read.ok, read.moments
    naive = ok & ~read.zoned
    given = ~nulls_of(texts)
    reasons = [(given & ~ok, "type", "not a timestamp YYYY-MM-DD HH:MM:SS")]
    if naive.any() and zone is None:
        reasons.append((naive, "type", "it names no zone and the source has none"))
        ok = ok & ~naive
    elif naive.any():
        moments, skipped = localised(timestamps_of(micros, naive), zone or "UTC")
        micros = np.where(naive, moments.to_physical().fill_null(0).to_numpy(), micros)
        reasons.append((skipped, "type", f"no such local time, or twice, in {zone}"))
        ok = ok & ~skipped
    cut = read.cut & ok
    return Conversion(
        timestamps_of(micros, ok, utc=True),
        failures(*reasons),
        cut if cut.any() else None,
        lossy_detail=_FINER,
    )
