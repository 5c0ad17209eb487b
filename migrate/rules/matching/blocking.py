"""Which pairs are looked at: keys that leave few pairs, chosen from the data, so that nothing is compared all with all.

A key is one or several cleaned columns, or the beginnings of them, that both rows of a pair have alike. One key misses
pairs that differ in it, so several are taken, and each column is missing from some of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import duckdb

from migrate.duck import count
from migrate.mapping.duplicates import Kind
from migrate.rules.matching.comparisons import Compared

ALL_PAIRS = 2_000_000  # so few pairs are all compared: no key misses any
PER_ROW = 10  # pairs per row that are compared, together
AT_MOST = 14  # keys
_SAMPLE = 200_000
# How much of a value stands in a key where the whole of it differs too often. NULL is in no key.
_BEGINNINGS: Mapping[Kind, str] = {
    "name": "left({0}, 3)",
    "text": "left({0}, 5)",
    "address": "left({0}, 6)",
    "date": "left({0}, 6)",
    "email": "split_part({0}, '@', 1)",
    "phone": "right({0}, 6)",
}


@dataclass(frozen=True)
class BlockingKey:
    """`parts`: SQL over one row, all equal on both sides; `columns`: places they are taken from; `pairs`: an estimate."""

    parts: tuple[str, ...]
    columns: frozenset[str]
    pairs: int

    @property
    def sql(self) -> str:
        """As Splink wants it: `l.` and `r.` before every column."""
        return " AND ".join(f"{_of(p, 'l')} = {_of(p, 'r')}" for p in self.parts)


def _of(part: str, side: str) -> str:
    return part.replace('"', f'{side}."', 1)


@dataclass(frozen=True)
class Blocking:
    """The keys; none: all pairs are compared. `possible`: pairs there are; `pairs`: those to be compared, at most."""

    keys: tuple[BlockingKey, ...]
    possible: int
    pairs: int


class AllWithAll(Exception):
    """No key narrows the pairs down; `pairs` would have to be compared."""

    def __init__(self, pairs: int) -> None:
        super().__init__(f"{pairs:,} pairs would have to be compared")
        self.pairs = pairs


def possible_pairs(db: duckdb.DuckDBPyConnection, two_sides: bool) -> int:
    """How many pairs table `clean` has: between both sides, or of all rows."""
    if two_sides:
        return count(db, "SELECT count(*) FILTER (side = 0) * count(*) FILTER (side = 1) FROM clean")
    rows = count(db, "SELECT count(*) FROM clean")
    return rows * (rows - 1) // 2


def choose(db: duckdb.DuckDBPyConnection, compared: Sequence[Compared], *, two_sides: bool) -> Blocking:
    """Keys for the rows of table `clean` (rid, side, and every place). Raises AllWithAll."""
    possible = possible_pairs(db, two_sides)
    if possible <= ALL_PAIRS:
        return Blocking((), possible, possible)
    rows = count(db, "SELECT count(*) FROM clean")
    budget = max(ALL_PAIRS, PER_ROW * rows)
    counted = _Counted(db, rows, two_sides)
    chosen: list[BlockingKey] = []
    spent = 0
    pool = _candidates(counted, compared, budget // 3)
    uses = dict.fromkeys((one.place for one in compared), 0)
    while pool and len(chosen) < AT_MOST:
        best = min(
            pool, key=lambda k: ((k.pairs + rows / 20) * 4.0 ** sum(uses[c] for c in k.columns), k.parts)
        )
        pool = [k for k in pool if k is not best and not set(k.parts) >= set(best.parts)]
        if spent + best.pairs > budget:
            continue
        chosen.append(best)
        spent += best.pairs
        for column in best.columns:
            uses[column] += 1
    if not chosen:
        raise AllWithAll(possible)
    return Blocking(tuple(chosen), possible, spent)


def training_candidates(
    db: duckdb.DuckDBPyConnection, compared: Sequence[Compared], two_sides: bool
) -> list[BlockingKey]:
    """Keys of whole columns that leave enough pairs to learn from, and few enough that many of them are duplicates."""
    rows = count(db, "SELECT count(*) FROM clean")
    counted = _Counted(db, rows, two_sides)
    found = _candidates(counted, compared, rows * 5)
    return [key for key in found if key.pairs >= min(50, rows / 100)]


def _candidates(counted: _Counted, compared: Sequence[Compared], limit: int) -> list[BlockingKey]:
    """Keys with no more than `limit` pairs that no smaller key is part of."""
    whole = {one.place: f'"{one.place}"' for one in compared}
    pieces = [(one.place, whole[one.place]) for one in compared]
    pieces += [
        (one.place, _BEGINNINGS[one.kind].format(whole[one.place]))
        for one in compared
        if one.kind in _BEGINNINGS
    ]
    found: list[BlockingKey] = []
    open_: list[tuple[tuple[str, str], ...]] = [()]
    for size in (1, 2, 3):
        if size == 3 and len(found) >= 4:
            break  # enough to choose from
        tries = [
            group
            for group in combinations(pieces, size)
            if len({place for place, _ in group}) == size
            and (size == 1 or any(set(o) < set(group) for o in open_))
            and not any(set(k.parts) < {p for _, p in group} for k in found)
        ]
        open_ = []
        for group in tries[:400]:
            parts = tuple(part for _, part in group)
            pairs = counted.pairs(parts)
            if pairs <= limit:
                found.append(BlockingKey(parts, frozenset(place for place, _ in group), pairs))
            else:
                open_.append(group)
    return found


class _Counted:
    """Pairs that keys leave, counted over a sample of the rows that is the same every time."""

    def __init__(self, db: duckdb.DuckDBPyConnection, rows: int, two_sides: bool) -> None:
        self.db, self.two_sides = db, two_sides
        share = max(1, rows // _SAMPLE)
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE sampled AS SELECT * FROM clean WHERE hash(rid) % {share} = 0"
        )
        self.factor = (rows / max(1, count(db, "SELECT count(*) FROM sampled"))) ** 2

    def pairs(self, parts: Sequence[str]) -> int:
        filled = " AND ".join(f"{part} IS NOT NULL" for part in parts)
        n = "sum(l * r)" if self.two_sides else "sum((l + r) * (l + r - 1) // 2)"
        found = self.db.execute(
            f"SELECT coalesce({n}, 0) FROM (SELECT count(*) FILTER (side = 0) AS l, count(*) FILTER (side = 1) AS r "
            f"FROM sampled WHERE {filled} GROUP BY {', '.join(parts)})"
        ).fetchall()
        return int(int(found[0][0]) * self.factor)
