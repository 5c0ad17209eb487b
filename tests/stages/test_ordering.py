"""Load order: parents before children, or a field that waits for the second pass (P12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.stages.plan.ordering import Edge, load_order

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def edges(draw: st.DrawFn) -> list[Edge]:
    count = draw(st.integers(0, 8))
    names = st.sampled_from(NAMES)
    return [Edge(draw(names), f"f{i}", draw(names), draw(st.booleans())) for i in range(count)]


def reaches(start: str, to: str, graph: set[tuple[str, str]]) -> bool:
    seen: set[str] = set()
    waiting = [p for c, p in graph if c == start]
    while waiting:
        node = waiting.pop()
        if node == to:
            return True
        if node not in seen:
            seen.add(node)
            waiting += [p for c, p in graph if c == node]
    return False


@pytest.mark.promise(12)
@given(edges())
def test_p12_a_parent_is_loaded_before_its_children_or_the_field_waits(given_edges: list[Edge]) -> None:
    order = load_order(NAMES, given_edges)
    assert sorted(order.entities) == sorted(NAMES)
    place = {name: i for i, name in enumerate(order.entities)}
    for edge in given_edges:
        waits = edge.field in order.deferred.get(edge.child, ())
        assert waits == (place[edge.parent] >= place[edge.child])
    fields = {(e.child, e.field) for e in given_edges}
    assert {(c, f) for c, found in order.deferred.items() for f in found} <= fields


@pytest.mark.promise(12)
@given(edges())
def test_p12_only_cycles_that_take_no_null_are_impossible(given_edges: list[Edge]) -> None:
    order = load_order(NAMES, given_edges)
    required = {(e.child, e.parent) for e in given_edges if e.required}
    assert bool(order.impossible) == any(reaches(n, n, required) for n in NAMES)
    for cycle in order.impossible:
        assert all(reaches(n, n, required) for n in cycle)
    if not order.impossible:
        by_field = {(e.child, e.field): e for e in given_edges}
        waiting = [by_field[c, f] for c, found in order.deferred.items() for f in found]
        assert not any(e.required for e in waiting)


@given(edges())
def test_without_cycles_nothing_waits(given_edges: list[Edge]) -> None:
    downwards = [e for e in given_edges if e.child > e.parent]
    order = load_order(NAMES, downwards)
    assert order.deferred == {}
    assert order.impossible == ()


@given(edges())
def test_only_references_on_a_cycle_wait(given_edges: list[Edge]) -> None:
    order = load_order(NAMES, given_edges)
    graph = {(e.child, e.parent) for e in given_edges}
    by_field = {(e.child, e.field): e for e in given_edges}
    if order.impossible:
        return
    for child, found in order.deferred.items():
        for field in found:
            assert reaches(by_field[child, field].parent, child, graph) or (
                by_field[child, field].parent == child
            )


def test_a_cycle_that_depends_on_another_comes_after_it() -> None:
    given_edges = [
        Edge("b", "one", "d", False), Edge("d", "two", "b", False), Edge("b", "three", "a", False),
        Edge("a", "four", "c", True), Edge("c", "five", "a", False),
    ]  # fmt: skip
    order = load_order(NAMES[:4], given_edges)
    assert order.entities == ("c", "a", "b", "d")
    assert order.deferred == {"c": ("five",), "b": ("one",)}


def test_ties_keep_the_order_of_the_mapping() -> None:
    assert load_order(["z", "m", "a"], []).entities == ("z", "m", "a")
    assert load_order(["z", "m", "a"], [Edge("z", "f", "a", True)]).entities == ("m", "a", "z")
