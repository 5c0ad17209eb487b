"""Load order: parents before children, cycles broken at columns that may wait for a second pass (P12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass(frozen=True)
class Edge:
    """`child.field` points at `parent`; `required`: the target column does not take NULL. `waits`: the field is filled
    by the second pass where the parent comes later; a list is not, for the database holds it to nothing."""

    child: str
    field: str
    parent: str
    required: bool
    waits: bool = True


@dataclass(frozen=True)
class Order:
    entities: tuple[str, ...]
    deferred: Mapping[str, tuple[str, ...]]  # entity → fields filled by the second pass
    impossible: tuple[tuple[str, ...], ...]  # cycles in which every column is NOT NULL


def load_order(entities: Iterable[str], edges: Iterable[Edge]) -> Order:
    """Order `entities` (ties in the order given) so that as few references as possible wait.

    A field is deferred when its parent is the entity itself or comes later in the order.
    """
    names = list(entities)
    edges = [e for e in edges if e.child in names and e.parent in names]
    impossible: list[tuple[str, ...]] = [(e.child,) for e in edges if e.required and e.child == e.parent]
    hard = {(e.child, e.parent) for e in edges if e.child != e.parent}
    required = {(e.child, e.parent) for e in edges if e.required and e.child != e.parent}
    order: list[str] = []
    waiting = list(names)
    while waiting:
        free = [n for n in waiting if not any(c == n and p in waiting for c, p in hard)]
        if free:
            chosen = free[0]
        else:
            # Every one left waits for another: take the one that only optional columns hold back.
            movable = [n for n in waiting if not any(c == n and p in waiting for c, p in required)]
            if not movable:
                impossible.append(_one_cycle(waiting, required))
                chosen = waiting[0]
            else:
                last = _on_last_cycles(waiting, hard)
                chosen = next((n for n in movable if n in last), movable[0])
        order.append(chosen)
        waiting.remove(chosen)
    place = {name: i for i, name in enumerate(order)}
    deferred: dict[str, list[str]] = {}
    for edge in edges:
        if not edge.waits:
            continue
        if place[edge.parent] >= place[edge.child] and edge.field not in deferred.setdefault(edge.child, []):
            deferred[edge.child].append(edge.field)
    return Order(tuple(order), {k: tuple(v) for k, v in deferred.items() if v}, tuple(impossible))


def _on_last_cycles(waiting: list[str], edges: set[tuple[str, str]]) -> set[str]:
    """Members of `waiting` that wait for nothing but what waits for them too. One that only depends on a cycle, be it on
    another one itself, is better taken after it."""
    reached: dict[str, set[str]] = {}
    for start in waiting:
        seen: set[str] = set()
        stack = [p for c, p in edges if c == start and p in waiting]
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            stack.extend(p for c, p in edges if c == node and p in waiting)
        reached[start] = seen
    return {name for name in waiting if all(name in reached[other] for other in reached[name])}


def _one_cycle(waiting: list[str], edges: set[tuple[str, str]]) -> tuple[str, ...]:
    graph = {n: [p for c, p in edges if c == n and p in waiting] for n in waiting}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return tuple(waiting)
