"""Dates over time: how many rows a column has in each year, without telling of any single row.

A year in which fewer than FEWEST rows lie is not told (who is the one born in 1931?), only that there are such rows.
At most MOST years are told, the fullest; so a report stays small whatever stands in a column.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrate.model import Kind
from migrate.rules.profiling_engine import Engine

FEWEST = 5
MOST = 60
DATES = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
LOOKS_LIKE_DATES = 0.5  # of a text column's filled rows, from which on they are read as dates
# Only what has one meaning: the year is the part of four digits, first or last. Two digits are of no known century.
_YEAR_OF_TEXT = (
    "coalesce(try_cast(nullif(regexp_extract(v, '^([0-9]{4})[-/.][0-9]{1,2}[-/.]', 1), '') AS INTEGER), "
    "try_cast(nullif(regexp_extract(v, '^[0-9]{1,2}[-/.][0-9]{1,2}[-/.]([0-9]{4})([^0-9]|$)', 1), '') AS INTEGER))"
)


@dataclass(frozen=True)
class Years:
    """`told`: (year, rows) in the order of time; `rare`: rows with a year that is not told."""

    told: tuple[tuple[int, int], ...] = ()
    rare: int = 0


def rows_by_year(duck: Engine, source: str, kind: Kind) -> Years:
    """`source`: SQL of a relation with `v`, dates or their texts, and `n`, rows of each; a moment counts for its year in UTC."""
    found = duck.rows(
        f"SELECT y, sum(n)::BIGINT FROM (SELECT {_year(kind)} AS y, n FROM {source}) WHERE y IS NOT NULL GROUP BY y"
    )
    counts = [(int(year), int(rows)) for year, rows in found]
    often = sorted((c for c in counts if c[1] >= FEWEST), key=lambda c: (-c[1], c[0]))[:MOST]
    return Years(tuple(sorted(often)), sum(n for _, n in counts) - sum(n for _, n in often))


def _year(kind: Kind) -> str:
    if kind not in DATES:
        return _YEAR_OF_TEXT
    plain = "make_timestamp(epoch_us(v))" if kind is Kind.TIMESTAMPTZ else "v"  # in no session's time zone
    return f"CASE WHEN isfinite(v) THEN year({plain}) END"
