"""A suggestion, before it is text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Choice:
    """One field: the target column, and what its entry says after the column's name. `doubts`: for a person to look at."""

    column: str
    says: Mapping[
        str, object
    ]  # keys of a field in their order; {"from": "x"} alone is written in the short form
    score: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggested:
    """One entity. `open`: target columns for which nothing was found; `unused`: filled source columns that go nowhere."""

    name: str
    source: str
    into: str
    key: tuple[str, ...] | str  # "line" where the rows have no key
    score: float
    fields: tuple[Choice, ...]
    match: tuple[str, ...] | Mapping[str, str] = ()
    write: str = ""
    target_sets: Mapping[str, str] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suggestion:
    entities: tuple[Suggested, ...]
    left: tuple[str, ...]  # source tables that go nowhere
    waiting: tuple[str, ...]  # target tables that nothing goes into
