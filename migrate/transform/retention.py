"""Retention: rows that are too old to be moved, by the date in a column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from migrate.mapping.decision_model import Retention
from migrate.mapping.durations import parse_duration
from migrate.transform.calendar import DAY
from migrate.transform.convert import DATES
from migrate.transform.functions.dates import read_all
from migrate.transform.quality.dates import moments_of
from migrate.transform.quality.found import About
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import WHITE, Mask, emptied, mask_of, nulls_of, texts_of

ARCHIVED, DROPPED = "retention: archived", "retention: dropped"  # reasons for which rows are left out
_REASONS = {"archive": ARCHIVED, "drop": DROPPED}
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Retained:
    """`left_out`: the reason of every row that is (NULL: it stays); `unread`: rows that stay for their date cannot be read;
    `undated`: rows without a date that are to be quarantined."""

    left_out: pl.Series
    unread: Mask
    undated: Mask

    @property
    def gone(self) -> Mask:
        return ~nulls_of(self.left_out)


def retained(rule: Retention, rows: SourceRows, today: date, formats: dict[str, tuple[str, ...]]) -> Retained:
    """`formats`: how the texts of a column are read, where the source says so; else as ISO 8601 has them. Of several
    columns the latest date counts, and a date that cannot be read makes the row one that stays."""
    size = len(rows)
    latest = np.full(size, np.iinfo(np.int64).min, dtype=np.int64)
    dated = np.zeros(size, dtype=np.bool_)
    unread = np.zeros(size, dtype=np.bool_)
    for column in rule.by:
        days, given, bad = _days(column, rows, formats.get(column, ()))
        latest = np.where(given, np.maximum(latest, days), latest)
        dated |= given
        unread |= bad
    span = parse_duration(rule.keep)
    assert span is not None, "the loader lets no other text pass"
    old = dated & ~unread & (latest < (span.before(today) - _EPOCH).days)
    undated = ~dated & ~unread
    reasons: pl.Series = pl.Series("", [None] * size, dtype=pl.String)
    for mask, then in ((old, rule.then), (undated, rule.if_empty)):
        if then in _REASONS:
            reasons = reasons.zip_with(pl.Series(~mask), pl.Series([_REASONS[then]]))
    return Retained(reasons, unread, undated & (rule.if_empty == "quarantine"))


def _days(column: str, rows: SourceRows, formats: tuple[str, ...]) -> tuple[np.ndarray, Mask, Mask]:
    """Days since 1970, where there is a date, and where there is something that is none."""
    values, bad = rows.column(column)
    strange = np.zeros(len(rows), dtype=np.bool_) if bad is None else bad
    if values.kind in DATES:
        moments = moments_of(values, About())
        return moments.micros // DAY, moments.given, strange
    texts = texts_of(values).str.strip_chars(WHITE)
    texts = emptied(texts, mask_of(texts == ""))
    filled = ~nulls_of(texts)
    if formats:
        read = read_all(texts, formats)
        given = read.ok & ~read.twice & filled
        return np.where(given, read.micros // DAY, 0), given, strange | (filled & ~given)
    days = texts.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    given = ~nulls_of(days)
    return days.to_physical().cast(pl.Int64).fill_null(0).to_numpy(), given, strange | (filled & ~given)
