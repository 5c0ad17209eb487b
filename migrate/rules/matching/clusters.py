"""From pairs to clusters, guarded: a cluster does not grow along a chain of weak links, nor over a conflict (P26).

Splink's own clustering takes connected components, where one wrong pair joins two families. Here pairs are taken from the
most probable down, and a pair joins two clusters only where most pairs between them speak for it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MOST = 0.5  # of the pairs between two clusters must be possible duplicates themselves


@dataclass(frozen=True)
class Edge:
    """A pair of rows. `exact`: equal by `same`, so transitive by what the rules say. `doubt`: why it is not merged by
    itself however probable it is."""

    a: int
    b: int
    probability: float
    exact: bool = False
    doubt: str = ""


@dataclass
class Clusters:
    """`of`: row → cluster, named by its smallest row; only rows with a partner. `decided`: per edge (a, b) → merge or
    review and why."""

    of: dict[int, int] = field(default_factory=dict)
    decided: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)


def cluster(
    edges: Iterable[Edge],
    *,
    merge_above: float,
    largest: int,
    apart: Mapping[int, tuple[str | None, ...]] | None = None,
) -> Clusters:
    """`edges` in any order; those below `merge_above` go to review. `apart`: row → values that rows of one cluster never
    differ in where both are filled."""
    ordered = sorted(edges, key=lambda e: (not e.exact, -e.probability, e.a, e.b))
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
        if edge.doubt or (not edge.exact and edge.probability < merge_above):
            result.decided[place] = ("review", edge.doubt)
            continue
        if a == b:
            result.decided[place] = ("merge", "")
            continue
        left, right = members.get(a, [a]), members.get(b, [b])
        if why := _refused(edge, left, right, linked, largest, apart or {}):
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
    return result


def _refused(
    edge: Edge,
    left: list[int],
    right: list[int],
    linked: Mapping[int, set[int]],
    largest: int,
    apart: Mapping[int, tuple[str | None, ...]],
) -> str:
    size = len(left) + len(right)
    if size > largest:
        return f"the cluster would have {size} rows"
    if apart and _conflict(left, right, apart):
        return "a column that never differs differs"
    if edge.exact or size == 2:
        return ""
    between = sum(len(linked[row] & set(right)) for row in left)
    if between < MOST * len(left) * len(right):
        return f"a chain: {between} of {len(left) * len(right)} pairs between two clusters are alike"
    return ""


def _conflict(left: list[int], right: list[int], apart: Mapping[int, tuple[str | None, ...]]) -> bool:
    for a in left:
        for b in right:
            pairs = zip(apart.get(a, ()), apart.get(b, ()), strict=False)
            if any(x is not None and y is not None and x != y for x, y in pairs):
                return True
    return False
