"""What has to be done to values on their way: types, dates, options of a choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from migrate.model import Kind
from migrate.rules.suggestion.facts import Facts, Seen
from migrate.rules.suggestion.names import words

_OPTIONS = 30  # at most so many values are options of a choice
_GIVEN = 60
_ALIKE = 80  # of 100: spelled so alike that they may mean the same
_MOMENTS = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
# Shapes of dates as a profile tells them: 9 is a digit.
_ISO = re.compile(r"^9999-99-99([T ]99:99(:99)?.*)?$")
_PARTS = re.compile(r"^(9{1,2})([-/.])(9{1,2})\2(9{2}|9{4})$")
_DAYS = re.compile(r"^(\d{1,2})[-/.](\d{1,2})[-/.]\d{2,4}")


@dataclass(frozen=True)
class Options:
    values: Mapping[str, str]
    doubts: tuple[str, ...]


def changes(mine: Seen, theirs: Seen) -> tuple[dict[str, object], list[str]]:
    """The keys of a field that make the source's values the target's, and what is doubtful about them."""
    kind, own = theirs.column.type.kind, mine.column.type.kind
    if not mine.is_text:
        return _between(own, kind), _zones(own, kind)
    if kind is Kind.DATE:
        return _dates(mine)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return {"read_as": "timestamp" if kind is Kind.TIMESTAMP else "timestamptz"}, _zones(own, kind)
    if kind is Kind.INT:
        return {"do": ["trim", "integer"]}, []
    if kind in (Kind.DECIMAL, Kind.FLOAT):
        return {"do": ["trim", "currency"]}, ["read as an amount: digit groups and signs of currencies go"]
    if kind is Kind.BOOL:
        return {"do": ["trim", "boolean"]}, []
    if kind is Kind.TEXT and "country" in words(theirs.name) and theirs.column.type.length == 2:
        return {"do": ["trim", "country"]}, []
    if kind is Kind.TEXT and mine.profile and (mine.profile.leading_space or mine.profile.trailing_space):
        return {"do": ["trim"]}, []
    return {}, []


_SQL = {
    Kind.INT: "BIGINT", Kind.DECIMAL: "DECIMAL(18, 2)", Kind.FLOAT: "DOUBLE", Kind.BOOL: "BOOLEAN", Kind.DATE: "DATE",
    Kind.TIMESTAMP: "TIMESTAMP", Kind.TIMESTAMPTZ: "TIMESTAMPTZ", Kind.TIME: "TIME", Kind.UUID: "UUID",
}  # fmt: skip


def nothing(theirs: Seen) -> dict[str, object]:
    """A field that never has a value, and whose rows say so: the mapping runs up to its gate, and nothing is made up."""
    return {"expr": f"CAST(NULL AS {_SQL.get(theirs.column.type.kind, 'VARCHAR')})", "check": "required"}


def _between(own: Kind, kind: Kind) -> dict[str, object]:
    if own is Kind.INT and kind is Kind.BOOL:
        return {"do": ["boolean"]}
    if own in _MOMENTS and kind is Kind.DATE and own is not Kind.DATE:
        return {"do": ["date"]}
    return {}


def _zones(own: Kind, kind: Kind) -> list[str]:
    """What somebody has to say before times become moments, or moments times."""
    if kind is Kind.TIMESTAMPTZ and own in (Kind.TIMESTAMP, Kind.DATE):
        return ["which zone are these times of? say `timezone` for the source, the table or the column"]
    if kind is Kind.TIMESTAMPTZ and own is not Kind.TIMESTAMPTZ:
        return ["do all texts name their zone? else say `timezone` for the source, the table or the column"]
    if kind is Kind.TIMESTAMP and own is Kind.TIMESTAMPTZ:
        return [
            "in which zone is the target to show these moments? say it as `timezone` of the source's column, and `lossy: allow` here"
        ]
    return []


def _dates(mine: Seen) -> tuple[dict[str, object], list[str]]:
    """The formats of a column of dates as text; days and months told apart by what is beyond 12."""
    if mine.profile is None:
        return {"read_as": "date"}, []
    formats: list[str] = []
    doubts: list[str] = []
    for shape, _ in mine.profile.patterns:
        if _ISO.match(shape):
            formats.append("YYYY-MM-DD" if len(shape) == 10 else "YYYY-MM-DD HH:mm:ss")
            continue
        found = _PARTS.match(shape)
        if found is None:
            continue
        day_first = _day_first(mine)
        if day_first is None:
            doubts.append("day or month first?")
        first, second = ("D", "M") if day_first is not False else ("M", "D")
        formats.append(found[2].join((first, second, "Y" * len(found[4]))))
    formats = list(dict.fromkeys(formats))
    if formats in ([], ["YYYY-MM-DD"]):
        return {"do": ["trim", "date"]}, doubts
    return {"do": ["trim", {"date": formats}]}, list(dict.fromkeys(doubts))


def _day_first(mine: Seen) -> bool | None:
    assert mine.profile is not None
    seen = [v for v, _ in mine.profile.top] + [v for v in (mine.profile.min, mine.profile.max) if v]
    pairs = [(int(m[1]), int(m[2])) for v in seen if (m := _DAYS.match(v))]
    if any(first > 12 for first, _ in pairs):
        return True
    return False if any(second > 12 for _, second in pairs) else None


def value_map(source: str, mine: Seen, target: str, theirs: Seen, one: Facts, other: Facts) -> Options | None:
    """Source values → options of the target, where it has a small set of them; None where there is nothing to map."""
    if theirs.column.type.kind is not Kind.TEXT or not mine.is_text or mine.profile is None:
        return None
    options = list(theirs.column.type.labels) or _seen_options(target, theirs, other)
    if not options or mine.profile.distinct > _GIVEN:
        return None
    given = [v for v, _ in one.values(source, mine.name) if v]
    found = {v: option for v in given if (option := _option(v, options)) is not None}
    if len(found) * 2 < len(given) or (all(v == o for v, o in found.items()) and len(found) == len(given)):
        return None
    left = [v for v in given if v not in found]
    doubts = (
        [f"which option is {', '.join(repr(v) for v in left[:8])}{' …' if len(left) > 8 else ''}?"]
        if left
        else []
    )
    guessed = [f"{v!r} = {o}" for v, o in found.items() if v.strip().lower() != o.lower()]
    if guessed:
        doubts.append("guessed: " + ", ".join(guessed[:8]))
    return Options(found, tuple(doubts))


def _few(options: list[str]) -> bool:
    """Few enough, and short enough, for a choice that people make from a list."""
    return len(options) <= 12 and max(map(len, options)) <= 30


def _seen_options(target: str, theirs: Seen, other: Facts) -> list[str]:
    profile = theirs.profile
    if profile is None or not 0 < profile.distinct <= _OPTIONS or theirs.filled < 3 * profile.distinct:
        return []
    return [v for v, _ in other.values(target, theirs.name) if v]


def _option(value: str, options: list[str]) -> str | None:
    from rapidfuzz import fuzz, process, utils

    lowered = {o.lower(): o for o in options}
    if value.strip().lower() in lowered:
        return lowered[value.strip().lower()]
    found = process.extractOne(value, options, scorer=fuzz.token_sort_ratio, processor=utils.default_process)
    return str(found[0]) if found is not None and found[1] >= _ALIKE else None
