"""Texts → dates and times by date formats, and local times → moments. Vectorised; nothing is guessed.

A date is days since 1970-01-01 and never made from a timestamp; a time of day is µs since midnight.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from migrate.arrow import TIMESTAMP_INFINITY
from migrate.mapping.dates import pieces
from migrate.transform.values import Mask, as_series, emptied, mask_of

Ints = npt.NDArray[np.int64]
DAY = 86_400_000_000
FIRST_DAY, LAST_DAY = -719162, 2932896  # 0001-01-01, 9999-12-31
ISO_DATE = "YYYY-MM-DD"

_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_REGEX = {
    "YYYY": "(?<year>[0-9]{4})", "YY": "(?<short>[0-9]{2})", "MM": "(?<month>[0-9]{2})", "M": "(?<month>[0-9]{1,2})",
    "MMMM": f"(?<name>(?i:{'|'.join(_MONTHS)}))", "MMM": f"(?<name>(?i:{'|'.join(m[:3] for m in _MONTHS)}))",
    "DD": "(?<day>[0-9]{2})", "D": "(?<day>[0-9]{1,2})",
    "dddd": f"(?i:{'|'.join(_WEEKDAYS)})", "ddd": f"(?i:{'|'.join(d[:3] for d in _WEEKDAYS)})",
    "HH": "(?<hour>[0-9]{2})", "H": "(?<hour>[0-9]{1,2})", "hh": "(?<half_hour>[0-9]{2})", "h": "(?<half_hour>[0-9]{1,2})",
    "mm": "(?<minute>[0-9]{2})", "m": "(?<minute>[0-9]{1,2})", "ss": "(?<second>[0-9]{2})", "s": "(?<second>[0-9]{1,2})",
    "SSS": "(?<fraction>[0-9]{1,6})", "A": r"(?<half>(?i:a\.?m\.?|p\.?m\.?))",
    "Z": "(?<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)",
}  # fmt: skip
_ISO_TIMESTAMP = (
    r"\A(?<year>[0-9]{4})-(?<month>[0-9]{2})-(?<day>[0-9]{2})"
    r"(?:[T ](?<hour>[0-9]{2}):(?<minute>[0-9]{2})(?::(?<second>[0-9]{2})(?:\.(?<fraction>[0-9]{1,12}))?)?"
    r" ?(?<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\z"
)
_ISO_TIME = (
    r"\A(?<hour>[0-9]{2}):(?<minute>[0-9]{2})(?::(?<second>[0-9]{2})(?:\.(?<fraction>[0-9]{1,12}))?)?\z"
)


@dataclass(frozen=True)
class Read:
    """What was read: `ok` rows only have meaning. `zoned`: rows that named their distance from UTC (`offset`, minutes).
    `cut`: rows with more than six digits of a second that are not zero."""

    ok: Mask
    days: Ints
    micros: Ints
    zoned: Mask
    offset: Ints
    cut: Mask

    @property
    def moments(self) -> Ints:
        """µs since 1970 of the local time, or UTC where the row is zoned."""
        return self.days * DAY + self.micros - np.where(self.zoned, self.offset * 60_000_000, 0)


@lru_cache(maxsize=256)
def _pattern(format_: str) -> str:
    body = "".join(
        _REGEX[p.token] if p.token else re.escape(p.literal).replace(r"\ ", " ") for p in pieces(format_)
    )
    return rf"\A{body}\z"


def read_format(texts: pl.Series, format_: str, years_from: int = 1969) -> Read:
    """Reads texts by one date format; the whole text must be of that form."""
    if format_ == ISO_DATE:
        return _read_iso_date(texts)
    return _read(texts, _pattern(format_), years_from)


def read_iso_timestamp(texts: pl.Series) -> Read:
    """`YYYY-MM-DD`, T or a blank, `HH:mm[:ss[.fraction]]`, Z or a distance from UTC; the time may be missing."""
    return _read(texts, _ISO_TIMESTAMP, 1969)


def read_iso_time(texts: pl.Series) -> Read:
    """`HH:mm[:ss[.fraction]]` as time of day."""
    return _read(texts, _ISO_TIME, 1969)


def _read_iso_date(texts: pl.Series) -> Read:
    shaped = mask_of(texts.str.contains(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"))
    dates = emptied(texts, ~shaped).str.to_date("%Y-%m-%d", strict=False)
    days = dates.to_physical().cast(pl.Int64).fill_null(-(10**9)).to_numpy()
    nothing = np.zeros(len(texts), dtype=np.int64)
    none = np.zeros(len(texts), dtype=np.bool_)
    return Read(days >= FIRST_DAY, days, nothing, none, nothing, none)


def _read(texts: pl.Series, pattern: str, years_from: int) -> Read:
    size = len(texts)
    groups = texts.str.extract_groups(pattern).struct.unnest()
    names = groups.columns
    none, nothing = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.int64)
    key = "day" if "day" in names else "hour"
    ok = mask_of(groups[key].is_not_null())

    def number(name: str) -> Ints:
        if name not in names:
            return nothing
        return groups[name].cast(pl.Int64, strict=False).fill_null(0).to_numpy()

    days = nothing
    if "day" in names:
        days, valid = _days(
            _years(groups, names, number, years_from), _months(groups, names, number), number("day")
        )
        ok = ok & valid
    hours = number("hour")
    if "half_hour" in names:
        twelve = number("half_hour")
        ok = ok & (twelve >= 1) & (twelve <= 12)
        afternoon = mask_of(groups["half"].str.to_lowercase().str.starts_with("p"))
        hours = twelve % 12 + np.where(afternoon, 12, 0)
    minutes, seconds = number("minute"), number("second")
    ok = ok & (hours <= 23) & (minutes <= 59) & (seconds <= 59)
    fraction, cut = nothing, none
    if "fraction" in names:
        digits = groups["fraction"]
        fraction = digits.str.head(6).str.pad_end(6, "0").cast(pl.Int64, strict=False).fill_null(0).to_numpy()
        cut = mask_of(digits.str.slice(6).str.contains("[1-9]"))
    zoned, offset = none, nothing
    if "zone" in names:
        zoned = mask_of(groups["zone"].is_not_null())
        if zoned.any():
            offset, fine = _offsets(groups["zone"])
            ok = ok & (fine | ~zoned)
    micros = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction
    return Read(ok, days, micros, zoned & ok, offset, cut & ok)


def _years(groups: pl.DataFrame, names: list[str], number: object, years_from: int) -> Ints:
    assert callable(number)
    if "year" in names:
        years: Ints = number("year")
        return years
    short: Ints = number("short")
    return years_from + (short - years_from) % 100


def _months(groups: pl.DataFrame, names: list[str], number: object) -> Ints:
    assert callable(number)
    if "month" in names:
        months: Ints = number("month")
        return months
    first = groups["name"].str.to_lowercase().str.head(3)
    found = first.replace_strict(
        [m[:3] for m in _MONTHS], list(range(1, 13)), default=0, return_dtype=pl.Int64
    )
    return found.fill_null(0).to_numpy()


def _days(years: Ints, months: Ints, days: Ints) -> tuple[Ints, Mask]:
    """Days since 1970-01-01 of civil dates, and which of them exist (years 1 to 9999)."""
    valid = (years >= 1) & (years <= 9999) & (months >= 1) & (months <= 12) & (days >= 1)
    month = np.where(valid, (years - 1970) * 12 + months - 1, 0).astype("datetime64[M]")
    first = month.astype("datetime64[D]").astype(np.int64)
    following = (month + 1).astype("datetime64[D]").astype(np.int64)
    result = first + days - 1
    return result, valid & (result < following)


def _offsets(zones: pl.Series) -> tuple[Ints, Mask]:
    parts = zones.str.extract_groups(
        r"\A(?<sign>[+-])(?<hours>[0-9]{2}):?(?<minutes>[0-9]{2})?\z"
    ).struct.unnest()
    hours = parts["hours"].cast(pl.Int64).fill_null(0).to_numpy()
    minutes = parts["minutes"].cast(pl.Int64).fill_null(0).to_numpy()
    signs = np.where(mask_of(parts["sign"] == "-"), -1, 1)
    return signs * (hours * 60 + minutes), (hours <= 15) & (minutes <= 59)


def dates_of(read: Read, keep: Mask) -> pl.Series:
    """Date series; NULL where `keep` is false."""
    return emptied(pl.Series(np.where(keep, read.days, 0).astype(np.int32)).cast(pl.Date), ~keep)


def timestamps_of(micros: Ints, keep: Mask, *, utc: bool = False) -> pl.Series:
    """Datetime µs series (UTC moments if `utc`); NULL where `keep` is false."""
    series = pl.Series(np.where(keep, micros, 0)).cast(pl.Datetime("us"))
    return emptied(series.dt.replace_time_zone("UTC") if utc else series, ~keep)


def times_of(micros: Ints, keep: Mask) -> pl.Series:
    return emptied(pl.Series(np.where(keep, micros, 0) * 1000).cast(pl.Time), ~keep)


def localised(series: pl.Series, zone: str) -> tuple[pl.Series, Mask]:
    """Local times of `zone` → moments (UTC). A time that the zone skips or has twice is NULL and marked.
    Infinity stays infinity."""
    infinite = mask_of(series.to_physical().abs() == TIMESTAMP_INFINITY)
    finite = emptied(series, infinite)
    moments = finite.dt.replace_time_zone(zone, ambiguous="null", non_existent="null").dt.convert_time_zone(
        "UTC"
    )
    failed = mask_of(moments.is_null() & finite.is_not_null())
    if infinite.any():
        physical = moments.to_physical()
        frame = pl.DataFrame({"m": as_series(infinite), "a": series.to_physical(), "b": physical})
        merged = frame.select(pl.when("m").then("a").otherwise("b").alias("v"))["v"]
        moments = merged.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return moments, failed
