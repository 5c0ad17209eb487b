"""`date` and `timestamp`: formats, Excel's serial numbers, epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import polars as pl

from migrate.arrow import TIMESTAMP_INFINITY
from migrate.mapping.dates import has_zone
from migrate.model import Kind
from migrate.transform.calendar import (
    DAY,
    FIRST_DAY,
    ISO_DATE,
    LAST_DAY,
    Ints,
    dates_of,
    localised,
    read_format,
    read_iso_timestamp,
    timestamps_of,
)
from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.values import (
    DATE,
    TIMESTAMP,
    TIMESTAMPTZ,
    WHITE,
    Mask,
    Outcome,
    Values,
    as_series,
    emptied,
    mask_of,
    texts_of,
)

Arguments = Mapping[str, Any]
TWO_READINGS = "two formats read it differently"
_UNREAD = "no format reads it"
_DAY_FIRST = {
    True: ("D/M/YYYY", "D.M.YYYY", "D-M-YYYY", ISO_DATE),
    False: ("M/D/YYYY", "M.D.YYYY", "M-D-YYYY", ISO_DATE),
}
_NUMBERS = (Kind.INT, Kind.FLOAT, Kind.DECIMAL)
_PLAIN_NUMBER = r"\A-?[0-9]+(?:\.[0-9]+)?\z"


@dataclass(frozen=True)
class Surroundings:
    """What a field's place says: the source's zone, and whether the target column holds moments."""

    timezone: str | None = None
    wants_moment: bool = False


@dataclass(frozen=True)
class Readings:
    """All formats over one column. `micros`: local µs, or UTC where `zoned`. `twice`: two formats disagree."""

    ok: Mask
    micros: Ints
    zoned: Mask
    twice: Mask


def read_all(texts: pl.Series, formats: Sequence[str], years_from: int = 1969) -> Readings:
    """Every format over trimmed texts; `formats` empty: ISO 8601. A text that two formats read differently is not ok."""
    size = len(texts)
    ok: Mask = np.zeros(size, dtype=np.bool_)
    zoned, twice, micros = ok.copy(), ok.copy(), np.zeros(size, dtype=np.int64)
    for format_ in formats or ("",):
        read = read_format(texts, format_, years_from) if format_ else read_iso_timestamp(texts)
        fine = read.ok & ~read.cut
        mine = read.moments
        twice |= ok & fine & ((micros != mine) | (zoned != read.zoned))
        first = fine & ~ok
        micros = np.where(first, mine, micros)
        zoned = np.where(first, read.zoned, zoned)
        ok |= fine
    return Readings(ok & ~twice, micros, zoned, twice)


def _stripped(values: Values) -> pl.Series:
    texts = texts_of(values).str.strip_chars(WHITE)
    return emptied(texts, mask_of(texts == ""))


def _formats(arguments: Arguments, *, times: bool) -> tuple[str, ...]:
    if arguments.get("formats"):
        return tuple(arguments["formats"])
    if arguments.get("day_first") is not None:
        dates = _DAY_FIRST[bool(arguments["day_first"])]
        return tuple(d + t for d in dates for t in (("", " HH:mm", " HH:mm:ss") if times else ("",)))
    return ()


def _counted(texts: pl.Series, arguments: Arguments) -> tuple[Mask, Ints, Mask]:
    """Rows that are plain numbers where a serial or an epoch is stated: mask, µs since 1970, refused."""
    serial, epoch = arguments.get("excel_serial"), arguments.get("epoch")
    nothing = np.zeros(len(texts), dtype=np.int64)
    if not serial and not epoch:
        return nothing.astype(np.bool_), nothing, nothing.astype(np.bool_)
    numbers = mask_of(texts.str.contains(_PLAIN_NUMBER))
    read = _from_epoch(str(epoch)) if epoch else _from_serial(str(serial))
    micros, refused = by_distinct(emptied(texts, ~numbers), read, pl.Int64)
    return numbers, micros.fill_null(0).to_numpy(), refused


def _from_serial(calendar: str) -> Any:
    def one(text: str) -> int:
        number = Decimal(text)
        if calendar == "1904":
            start = -24107
        elif number >= 61:
            start = -25569
        elif 1 <= number < 60:
            start = -25568
        else:
            raise Refused  # day 60 is the 29 February 1900 that never was, day 0 is no day
        if number < 0 or number > 2958466:
            raise Refused
        # Excel's clock ticks in milliseconds; the digits after them are noise of its floating point.
        return start * DAY + int((number * 86_400_000).to_integral_value(ROUND_HALF_EVEN)) * 1000

    return one


def _from_epoch(unit: str) -> Any:
    factor = {"seconds": 1_000_000, "milliseconds": 1000, "microseconds": 1}[unit]

    def one(text: str) -> int:
        number = Decimal(text) * factor
        if number != number.to_integral_value() or not FIRST_DAY * DAY <= number < (LAST_DAY + 1) * DAY:
            raise Refused
        return int(number)

    return one


def date(values: Values, arguments: Arguments, around: Surroundings) -> Outcome:
    if values.kind is Kind.DATE:
        return Outcome(values)
    if values.kind is Kind.TIMESTAMP:
        return _date_of_timestamp(values)
    if values.kind is Kind.TIMESTAMPTZ:
        return Outcome(
            Values(pl.Series("", [None] * len(values.series), dtype=pl.Date), DATE),
            mask_of(values.series.is_not_null()),
            "a moment has no date without a zone",
        )
    texts = _stripped(values)
    counted, counts, refused = _counted(texts, arguments)
    read = read_all(
        emptied(texts, counted), _formats(arguments, times=False) or (ISO_DATE,), arguments["years_from"]
    )
    micros = np.where(counted, counts, read.micros)
    ok = (read.ok | (counted & ~refused)) & (micros % DAY == 0)
    series = emptied(pl.Series(np.where(ok, micros // DAY, 0).astype(np.int32)).cast(pl.Date), ~ok)
    failed = mask_of(texts.is_not_null()) & ~ok
    return Outcome(
        Values(series, DATE),
        failed,
        TWO_READINGS if read.twice.any() and (read.twice == failed).all() else _UNREAD,
    )


def _date_of_timestamp(values: Values) -> Outcome:
    physical = values.series.to_physical()
    infinite = mask_of(physical.abs() == TIMESTAMP_INFINITY)
    micros = physical.fill_null(0).to_numpy()
    ok = mask_of(values.series.is_not_null()) & ((micros % DAY == 0) | infinite)
    days = np.where(infinite, np.sign(micros) * (2**31 - 1), micros // DAY)
    series = emptied(pl.Series(np.where(ok, days, 0).astype(np.int32)).cast(pl.Date), ~ok)
    return Outcome(
        Values(series, DATE), mask_of(values.series.is_not_null()) & ~ok, "it has a time that is not midnight"
    )


def timestamp(values: Values, arguments: Arguments, around: Surroundings) -> Outcome:
    formats = _formats(arguments, times=True)
    zone = arguments.get("timezone") or around.timezone
    moment = bool(
        arguments.get("epoch")
        or arguments.get("timezone")
        or any(has_zone(f) for f in formats)
        or around.wants_moment
    )
    if values.kind is Kind.TIMESTAMPTZ:
        return Outcome(values)
    if values.kind is Kind.TIMESTAMP and not (moment and zone):
        return Outcome(values)
    if values.kind in (Kind.TIMESTAMP, Kind.DATE):
        series = values.series if values.kind is Kind.TIMESTAMP else timestamps_of_dates(values.series)
        if not (moment and zone):
            return Outcome(Values(series, TIMESTAMP))
        moments, failed = localised(series, zone)
        return Outcome(Values(moments, TIMESTAMPTZ), failed, f"no such local time, or twice, in {zone}")
    return _read_timestamp(_stripped(values), arguments, formats, zone, moment)


def timestamps_of_dates(series: pl.Series) -> pl.Series:
    """Midnight of every date; infinity stays infinity."""
    physical = series.to_physical().cast(pl.Int64)
    frame = pl.DataFrame({"d": physical})
    infinite = pl.col("d").abs() == 2**31 - 1
    return frame.select(
        pl.when(infinite)
        .then(pl.col("d").sign() * TIMESTAMP_INFINITY)
        .otherwise(pl.col("d").clip(-(10**8), 10**8) * DAY)
        .cast(pl.Datetime("us"))
    ).to_series()


def _read_timestamp(
    texts: pl.Series, arguments: Arguments, formats: tuple[str, ...], zone: str | None, moment: bool
) -> Outcome:
    counted, counts, refused = _counted(texts, arguments)
    read = read_all(emptied(texts, counted), formats, arguments["years_from"])
    given = mask_of(texts.is_not_null())
    ok = read.ok | (counted & ~refused)
    micros = np.where(counted, counts, read.micros)
    # An epoch counts in UTC; Excel's serials are local times.
    zoned = read.zoned | (counted if arguments.get("epoch") else counted & False)
    detail = TWO_READINGS if read.twice.any() and not (given & ~ok & ~read.twice).any() else _UNREAD
    if not moment:
        # A value that names a zone cannot become a plain timestamp without a shift that nobody asked for.
        plain = ok & ~zoned
        if (ok & zoned).any():
            detail = "it names a zone, the target has none"
        return Outcome(Values(timestamps_of(micros, plain), TIMESTAMP), given & ~plain, detail)
    local = ok & ~zoned
    if local.any():
        if zone is None:
            return Outcome(
                Values(timestamps_of(micros, ok & zoned, utc=True), TIMESTAMPTZ),
                given & ~(ok & zoned),
                "it names no zone and the source has none",
            )
        moments, skipped = localised(timestamps_of(micros, local), zone)
        micros = np.where(local, moments.to_physical().fill_null(0).to_numpy(), micros)
        ok = ok & ~skipped
        if skipped.any():
            detail = f"no such local time, or twice, in {zone}"
    return Outcome(Values(timestamps_of(micros, ok, utc=True), TIMESTAMPTZ), given & ~ok, detail)


__all__ = ["Surroundings", "as_series", "date", "dates_of", "read_all", "timestamp", "timestamps_of_dates"]
