"""Which table goes into which, and which column: the best pairs first, each side once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from migrate.model import Kind, Table
from migrate.rules.suggestion.facts import Facts, Seen
from migrate.rules.suggestion.names import alike, words

COLUMN_AT_LEAST = 0.5
TABLE_AT_LEAST = 0.45
_NUMBERS = (Kind.INT, Kind.DECIMAL, Kind.FLOAT)
_MOMENTS = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


@dataclass(frozen=True)
class Pair:
    source: str
    target: str
    score: float


def best(pairs: Iterable[Pair], at_least: float) -> list[Pair]:
    """Greedy: the highest score first, no side twice. Equal scores keep the order in which they came."""
    found: list[Pair] = []
    for pair in sorted(pairs, key=lambda p: -p.score):
        if pair.score < at_least:
            break
        if not any(p.source == pair.source or p.target == pair.target for p in found):
            found.append(pair)
    return found


def columns(source: str, target: str, one: Facts, other: Facts) -> list[Pair]:
    """Columns of one pair of tables."""
    wanted = {
        name: seen for name, seen in other.columns[target].items() if wants_value(other.tables[target], seen)
    }
    found = [
        Pair(a, b, columns_alike(mine, theirs, (source, target)))
        for a, mine in one.columns[source].items()
        for b, theirs in wanted.items()
    ]
    return best(found, COLUMN_AT_LEAST)


def wants_value(table: Table, seen: Seen) -> bool:
    """The database fills computed columns, and the keys that it or this program counts."""
    column = seen.column
    if column.generated is not None:
        return False
    if table.primary_key == (column.name,):
        return not (column.identity or column.type.kind in (Kind.UUID, Kind.INT))
    return True


def tables(one: Facts, other: Facts) -> list[Pair]:
    """Tables by their names, and by how much of the target's columns the source can fill."""
    found = []
    for source in one.tables:
        for target in other.tables:
            named = alike(source, target, of_tables=True)
            pairs = columns(source, target, one, other)
            wanted = [s for s in other.columns[target].values() if wants_value(other.tables[target], s)]
            filled = sum(p.score for p in pairs) / len(wanted) if wanted else 0.0
            taken = sum(p.score for p in pairs) / max(len(one.columns[source]), 1)
            content = (2 * filled + taken) / 3
            found.append(
                Pair(source, target, 0.55 * named + 0.45 * content if named > 0.3 else 0.65 * content)
            )
    return best(found, TABLE_AT_LEAST)


def columns_alike(mine: Seen, theirs: Seen, around: tuple[str, str]) -> float:
    """0 to 1: how likely the values of one belong into the other. `around`: their tables."""
    if mine.empty:
        return 0.0
    named = alike(mine.name, theirs.name, around=around)
    if named < 0.3 and not _telling(theirs):
        return 0.0
    return max(0.0, min(1.0, named + _content(mine, theirs)))


def _telling(theirs: Seen) -> bool:
    return "email" in words(theirs.name)


def _content(mine: Seen, theirs: Seen) -> float:
    """What types and values say for (above 0) or against the pair."""
    found = _against(mine, theirs)
    mail = mine.looks("email")
    if mail is not None:
        wanted = "email" in words(theirs.name)
        found += (
            0.3
            if wanted and mail > 0.6
            else -0.6
            if wanted != (mail > 0.6) and max(mail, wanted) > 0.6
            else 0.0
        )
    return found + _same_values(mine, theirs)


def _against(mine: Seen, theirs: Seen) -> float:
    kind, own = theirs.column.type.kind, mine.column.type.kind
    if kind in _MOMENTS:
        if own in _MOMENTS:
            return 0.1
        look = mine.looks("date") if mine.is_text else 0.0
        return 0.1 if look is not None and look > 0.5 else -0.5 if look is not None else 0.0
    if own in _MOMENTS and kind is not Kind.TEXT:
        return -0.6
    if kind in _NUMBERS and mine.is_text:
        looks = [mine.looks("integer"), mine.looks("decimal")]
        known = [v for v in looks if v is not None]
        return -0.3 if known and sum(known) < 0.3 else 0.0
    if kind is Kind.BOOL and own is not Kind.BOOL:
        few = mine.profile is not None and mine.filled > 0 and mine.profile.distinct <= 3
        return 0.05 if few else -0.5
    return 0.0


def _same_values(mine: Seen, theirs: Seen) -> float:
    """Small sets of values in common: options of one choice."""
    if mine.profile is None:
        return 0.0
    options = set(theirs.column.type.labels)
    if theirs.profile is not None and 0 < theirs.profile.distinct <= 30:
        options |= {v for v, _ in theirs.profile.top}
    given = {v for v, _ in mine.profile.top}
    if not options or not given or mine.profile.distinct > 100:
        return 0.0
    lowered = {o.lower() for o in options}
    share = sum(g.lower() in lowered for g in given) / len(given)
    return 0.25 * share


def by_target(pairs: Iterable[Pair]) -> Mapping[str, Pair]:
    return {p.target: p for p in pairs}
