"""Clusters do not grow along chains, nor over conflicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.rules.matching.clusters import Edge, cluster


def decided(
    edges: list[Edge], **more: object
) -> tuple[dict[int, int], dict[tuple[int, int], tuple[str, str]]]:
    found = cluster(edges, **({"merge_above": 0.9, "largest": 20} | more))  # type: ignore[arg-type]
    return found.of, found.decided


@pytest.mark.promise(26)
def test_a_chain_of_pairs_does_not_make_one_cluster() -> None:
    chain = [Edge(n, n + 1, 0.95) for n in range(6)]
    of, told = decided(chain)
    assert len(set(of.values())) > 1
    assert any("a chain" in why for what, why in told.values() if what == "review")
    everyone = [Edge(a, b, 0.95) for a in range(6) for b in range(a + 1, 6)]
    assert set(decided(everyone)[0].values()) == {0}


@pytest.mark.promise(26)
def test_no_cluster_is_larger_than_the_rules_allow() -> None:
    everyone = [Edge(a, b, 0.99) for a in range(6) for b in range(a + 1, 6)]
    of, told = decided(everyone, largest=3)
    assert max(list(of.values()).count(name) for name in of.values()) == 3
    assert any("the cluster would have" in why for what, why in told.values() if what == "review")


@pytest.mark.promise(26)
def test_rows_that_differ_where_they_never_may_stay_apart_also_over_a_third() -> None:
    edges = [Edge(1, 2, 1.0, ground="exact"), Edge(2, 3, 1.0, ground="exact")]
    of, told = decided(edges, apart={1: ("DE1",), 2: (None,), 3: ("DE2",)})
    assert of[1] == of[2]
    assert 3 not in of
    assert told[2, 3] == ("review", "a column that never differs differs")


def test_between_the_thresholds_and_in_doubt_a_person_decides() -> None:
    of, told = decided([Edge(1, 2, 0.85), Edge(3, 4, 0.99, doubt="every name differs")])
    assert of == {}
    assert {what for what, _ in told.values()} == {"review"}


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19), st.floats(0.8, 1.0), st.booleans())),
    st.randoms(use_true_random=False),
)
def test_the_order_of_pairs_changes_nothing_and_every_pair_is_decided(
    given_: list[tuple[int, int, float, bool]], random: object
) -> None:
    edges = list({(a, b): Edge(a, b, p, ground="exact" if e else "alike") for a, b, p, e in given_}.values())
    first = decided(edges)
    random.shuffle(edges)  # type: ignore[attr-defined]
    assert decided(edges) == first
    of, told = first
    assert set(told) == {(e.a, e.b) for e in edges}
    assert all(
        (of.get(a) == of.get(b) is not None) == (what == "merge") for (a, b), (what, _) in told.items()
    )
