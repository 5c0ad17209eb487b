"""From pairs to clusters, guarded: a cluster does not grow along a chain of weak links, nor over a conflict (P26).

Splink's own clustering takes connected components, where one wrong pair joins two families. Here pairs are taken from the
most probable down, and a pair joins two clusters only where most pairs between them speak for it too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

MOST = 0.5  # of the pairs between two clusters must be possible duplicates themselves
LOADED = "both are loaded already"
NEVER = "a column that never differs differs"
STAYS = "kept apart by a person, and one row of the target since an earlier run: only its rollback parts them"
# What makes two rows one, the strongest first: an earlier run wrote them as one row, a person said so, they are equal
# by `same`, they are alike by `similar`.
Ground = Literal["loaded", "person", "exact", "alike"]
_GROUNDS: tuple[Ground, ...] = ("loaded", "person", "exact", "alike")


@dataclass(frozen=True)
class Edge:
    """A pair of rows, a < b. What is equal by `same` is transitive by what the rules say. `doubt`: why a pair that is
    only alike is not merged by itself however probable it is."""

    a: int
    b: int
    probability: float
    ground: Ground = "alike"
    doubt: str = ""


@dataclass
class Clusters:
    """`of`: row → cluster, named by its smallest row; only rows with a partner. `decided`: per edge (a, b) → merge,
    review and why, or apart: a person said so."""

    of: dict[int, int] = field(default_factory=dict)
    decided: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)


def cluster(
    edges: Iterable[Edge],
    *,
    merge_above: float,
    largest: int,
    apart: Mapping[int, tuple[str | None, ...]] | None = None,
    loaded: Mapping[int, str] | None = None,
    rejected: Collection[tuple[int, int]] = (),
) -> Clusters:
    """`edges` in any order; those below `merge_above` go to review. `apart`: row → values that rows of one cluster never
    differ in where both are filled. `loaded`: row → the row of the target that it is already: two of these are never
    merged but by a person (F13). `rejected`: pairs (a < b) that never are in one cluster, but where both are one loaded row."""
    ordered = sorted(edges, key=lambda e: (_GROUNDS.index(e.ground), -e.probability, e.a, e.b))
    guards = _Guards(largest, apart or {}, loaded or {}, _neighbours(rejected))
    linked: dict[int, set[int]] = {}
    for edge in ordered:
        if edge.doubt:
            continue
        linked.setdefault(edge.a, set()).add(edge.b)
        linked.setdefault(edge.b, set()).add(edge.a)
    root: dict[int, int] = {}
    members: dict[int, list[int]] = {}

    def find(row: int) -> int:
        while root.setdefault(row, row) != row:
            root[row] = row = root[root[row]]
        return row

    result = Clusters()
    for edge in ordered:
        a, b = find(edge.a), find(edge.b)
        place = (edge.a, edge.b)
        if edge.ground != "loaded" and place in rejected:
            result.decided[place] = ("apart", "")
            continue
        if edge.ground == "alike" and (edge.doubt or edge.probability < merge_above):
            result.decided[place] = ("review", edge.doubt)
            continue
        if a == b:
            result.decided[place] = ("merge", "")
            continue
        left, right = members.get(a, [a]), members.get(b, [b])
        if why := guards.refuse(edge, left, right, linked):
            result.decided[place] = ("review", why)
            continue
        small, large = sorted((a, b))
        root[large] = small
        members[small] = left + right if small == a else right + left
        members.pop(large, None)
        result.decided[place] = ("merge", "")
    for rows in members.values():
        name = min(rows)
        result.of.update(dict.fromkeys(rows, name))
    for place, (what, _) in list(result.decided.items()):
        if what == "review" and place[0] in result.of and result.of[place[0]] == result.of.get(place[1]):
            result.decided[place] = ("merge", "")  # other pairs have joined them meanwhile
    for place in result.decided.keys() & set(rejected):
        if result.of.get(place[0], -1) == result.of.get(place[1], -2):
            result.decided[place] = ("review", STAYS)
    return result


def _neighbours(pairs: Collection[tuple[int, int]]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for a, b in pairs:
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return found


@dataclass(frozen=True)
class _Guards:
    """What keeps two clusters apart, see `cluster`."""

    largest: int
    apart: Mapping[int, tuple[str | None, ...]]
    loaded: Mapping[int, str]
    rejected: Mapping[int, set[int]]

    def refuse(self, edge: Edge, left: list[int], right: list[int], linked: Mapping[int, set[int]]) -> str:
        """Why the edge does not join these clusters; "" where it does."""
        if edge.ground == "loaded":
            return ""
        if edge.ground != "person" and self.loaded and _differ(self._row(left), self._row(right)):
            return LOADED
        if self.rejected and any(self.rejected.get(row, _NOBODY) & set(right) for row in left):
            return "a person keeps rows of the two clusters apart"
        if self.apart and _conflict(left, right, self.apart):
            return NEVER
        if edge.ground == "person":
            return ""
        size = len(left) + len(right)
        if size > self.largest:
            return f"the cluster would have {size} rows"
        if edge.ground == "exact" or size == 2:
            return ""
        between = sum(len(linked.get(row, _NOBODY) & set(right)) for row in left)
        if between < MOST * len(left) * len(right):
            return f"a chain: {between} of {len(left) * len(right)} pairs between two clusters are alike"
        return ""

    def _row(self, rows: list[int]) -> str | None:
        return next((self.loaded[row] for row in rows if row in self.loaded), None)


_NOBODY: set[int] = set()


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _conflict(left: list[int], right: list[int], apart: Mapping[int, tuple[str | None, ...]]) -> bool:
    for a in left:
        for b in right:
            if any(_differ(x, y) for x, y in zip(apart.get(a, ()), apart.get(b, ()), strict=False)):
                return True
    return False
