"""What settle is given and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrate.duck import identifier, parquet
from migrate.mapping.model import Find, Ref


@dataclass(frozen=True)
class Known:
    """Rows that are somebody who is known in another table: `pairs` (rid, number, words, place, entity, prid, tkey) by the rules in
    their order, what becomes of them (`then`: link | skip | quarantine), and the target tables in which they are known."""

    pairs: Path
    then: str
    tables: tuple[str, ...]


@dataclass(frozen=True)
class InTarget:
    """Rows that are in the target by what they are like: `path` (rid, n, tkey, candidates, probability), and what becomes of
    them (`then`: update | link | skip | quarantine)."""

    path: Path
    then: str


@dataclass(frozen=True)
class Road:
    """One entity's way from rows to fates.

    `compared`: references that the row alone cannot settle (by other columns than the key, or one of several entities):
    field → entity → the column of that entity's rows that the value is compared with, `__key` or `__by.N`.
    `listed`: of `refs` and `finds` those that stand in items of a list: name → (its key in the items, their files)."""

    entity: str
    system: str
    write: str
    into: str
    plan: int
    rows: tuple[Path, ...]
    reasons: tuple[Path, ...]
    excluded: tuple[Path, ...]
    refs: Mapping[str, Ref] = field(default_factory=dict)
    compared: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    finds: Mapping[str, Find] = field(default_factory=dict)
    listed: Mapping[str, tuple[str, tuple[Path, ...]]] = field(default_factory=dict)
    unique: Mapping[str, str] = field(default_factory=dict)  # field → on_fail
    match: tuple[str, ...] = ()
    match_references: tuple[str, ...] = ()  # those of `match` whose field is a reference
    required: frozenset[str] = frozenset()  # fields that may not end empty
    by_content: bool = False  # rows are known by their content: equal ones get a number each
    on_parent_excluded: str | None = None  # quarantine | exclude | empty; None: as `missing` says
    tells_pointed: bool = False  # are keys asked for that rows refer to and that no row has?
    on_conflict: str = "quarantine"  # quarantine | keep | overwrite: changed here, and edited in the target
    yields: Mapping[str, str] = field(
        default_factory=dict
    )  # field → keep | fill_empty, in rows that are there
    # plan number → the target file's column with the hash that a `target_hash` of that plan is held against; "" where
    # its columns are not all there any more. Plans that are not named: `h.ENTITY`.
    hashes: Mapping[int, str] = field(default_factory=dict)
    # Rows that became part of another one (rid, key, into, into_key), and the rows as they were before.
    merging: Path | None = None
    unmerged: tuple[Path, ...] = ()
    known: Known | None = None
    in_target: InTarget | None = None

    @property
    def inserts(self) -> bool:
        return self.write in ("add", "add_or_link", "add_or_update")

    @property
    def updates(self) -> bool:
        return self.write in ("update", "add_or_update")

    def placeholder(self, kind: str, name: str) -> str:
        """SQL of the rows (`rid`, `item`, `v`) that hold a placeholder of a value: `__ref`, `__ref_to` or `__find`."""
        if name in self.listed:
            key, files = self.listed[name]
            return f"(SELECT rid, item::INTEGER AS item, {identifier(f'{kind}.{key}')} AS v FROM {parquet(files)})"
        return (
            f"(SELECT __rid AS rid, 0 AS item, {identifier(f'{kind}.{name}')} AS v FROM {parquet(self.rows)})"
        )


@dataclass(frozen=True)
class Stranger:
    """Rows that are known under another identity: what was found, and the way out, in words."""

    found: str
    way_out: str


@dataclass(frozen=True)
class Settled:
    """`stops`: rules that say stop, in words, with counts; `quarantined` and `kept`: rows per entity."""

    quarantined: Mapping[str, int]
    kept: Mapping[str, int]
    operations: Mapping[str, Mapping[str, int]]
    stops: tuple[str, ...]
    merged: Mapping[str, int] = field(default_factory=dict)
    strangers: tuple[Stranger, ...] = ()  # entities whose rows are known under another identity (F15)
    doubles: tuple[
        str, ...
    ] = ()  # entities that know a key under an earlier name and under the present one, in words
    known: Mapping[str, Mapping[str, Mapping[str, int]]] = field(
        default_factory=dict
    )  # entity → rule of `known_as` → outcome → rows
    astray: tuple[str, ...] = ()  # rows that `scope` does not let be written, and that would be, in words


def provisional(plan: int) -> int:
    """The plan number of rows whose reference or lookup was replaced by rule: the next run looks at them again."""
    return plan ^ 1
