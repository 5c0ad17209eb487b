"""What settle is given and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrate.mapping.model import Find, Ref


@dataclass(frozen=True)
class Road:
    """One entity's way from rows to fates."""

    entity: str
    system: str
    write: str
    into: str
    plan: int
    rows: tuple[Path, ...]
    reasons: tuple[Path, ...]
    excluded: tuple[Path, ...]
    refs: Mapping[str, Ref] = field(default_factory=dict)
    finds: Mapping[str, Find] = field(default_factory=dict)
    unique: Mapping[str, str] = field(default_factory=dict)  # field → on_fail
    match: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()  # fields that may not end empty
    by_content: bool = False  # rows are known by their content: equal ones get a number each


@dataclass(frozen=True)
class Settled:
    """`stops`: rules that say stop, in words, with counts; `quarantined` and `kept`: rows per entity."""

    quarantined: Mapping[str, int]
    kept: Mapping[str, int]
    operations: Mapping[str, Mapping[str, int]]
    stops: tuple[str, ...]
    strangers: tuple[str, ...] = ()  # entities whose rows are known under another identity (F15), in words


def provisional(plan: int) -> int:
    """The plan number of rows whose reference or lookup was replaced by rule: the next run looks at them again."""
    return plan ^ 1
