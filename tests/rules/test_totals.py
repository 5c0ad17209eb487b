"""Sums and counts before and after: what is compared, what is left out, and what the verdict says."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.mapping.model import TableCheck
from migrate.rules.totals import Amount, Totals, judged, plain, totals

SUM = TableCheck(kind="sum", of="deals", column="amount", by=("stage",))
COUNT = TableCheck(kind="count", of="deals")
# rid, key, c.stage, c.amount, w.stage, w.amount
CAME = [
    (1, "a", "open", "10.5", "new", "10.5"),
    (2, "b", "open", "20", "in work", "20"),
    (3, "c", "won", "5", "won", "5.4"),  # rounded on the way
    (4, "d", None, None, "???", "7"),  # in quarantine: no map has its stage
    (5, "e", "won", None, "won", "a lot"),  # emptied by rule
    (6, "f", "won", "1234.5", "won", "1.234,50"),  # only the mapping can read it
    (7, "g", "lost", "3", None, None),  # filled with a default
]
THERE = [
    ("a", False, "open", "10.5"),
    ("b", False, "open", "20"),
    ("c", False, "won", "5"),
    ("e", False, "won", None),
    ("f", False, "won", "1234.5"),
    ("g", False, "lost", "3"),
]
LOST = [(4,)]


def relation(rows: Sequence[tuple[object, ...]], *names: str) -> str:
    def cell(value: object) -> str:
        return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)

    values = ", ".join(f"({', '.join(map(cell, row))})" for row in rows)
    columns = ", ".join(f'"{name}"' for name in names)
    return f"(SELECT * FROM (VALUES {values}) v({columns}))"


def found(
    check: TableCheck,
    came: Sequence[tuple[object, ...]] = CAME,
    lost: Sequence[tuple[object, ...]] = LOST,
    there: Sequence[tuple[object, ...]] = THERE,
    witnessed: tuple[str, ...] = ("w.stage", "w.amount", "a.amount"),
) -> Totals:
    with duckdb.connect() as db:
        return totals(
            db,
            check,
            relation(
                [(*row, row[-1]) for row in came],
                *("rid", "key", "c.stage", "c.amount", "w.stage", "w.amount", "a.amount"),
            ),
            relation(lost, "rid"),
            relation(there, "key", "edited", "c.stage", "c.amount"),
            witnessed,
        )


def test_amounts_are_those_of_the_source_where_it_has_them_in_plain_figures() -> None:
    made = {g.labels[0]: g for g in found(SUM).groups}
    assert {k: (plain(g.before.amount), plain(g.after.amount)) for k, g in made.items()} == {
        "lost": ("0", "3"),
        "open": ("30.5", "30.5"),
        "won": ("1239.9", "1239.5"),
        None: ("7", "0"),
    }
    assert made[None].quarantined == Amount(Decimal(7), 1)
    assert [(o[0], a.rows) for o, a in made["open"].origins] == [("in work", 1), ("new", 1)]
    assert found(SUM).unread == 1
    verdict = judged(SUM, found(SUM))
    assert not verdict.passed
    assert verdict.expected == "1277.4 in 4 groups"
    assert verdict.found == "1273, 1 value of the source no number"
    assert verdict.reason == "apart in 3 of 4 groups, 4.4 in all; 7 in 1 row in quarantine"
    first = verdict.evidence["groups"][0]  # type: ignore[index]
    assert first["of"] == {"stage": "won"}
    assert (first["difference"], first["passed"]) == ("-0.4", False)


def test_without_a_witness_both_sides_are_the_mappings() -> None:
    made = {g.labels[0]: plain(g.before.amount) for g in found(SUM, witnessed=()).groups}
    assert made == {"lost": "3", "open": "30.5", "won": "1239.5", None: "0"}


def test_within_is_a_share_of_what_was_there_before() -> None:
    rows = [(1, "a", "won", "999", "won", "1000")]
    there = [("a", False, "won", "999")]
    for share, passes in ((0.0, False), (0.0009, False), (0.001, True)):
        check = SUM.model_copy(update={"within": share})
        verdict = judged(check, found(check, rows, [(0,)], there))
        assert verdict.passed is passes
        assert verdict.evidence["passed"] is passes


def test_rows_edited_in_the_target_are_on_neither_side() -> None:
    there = [(k, k == "c", "won" if k == "c" else s, "9999" if k == "c" else a) for k, _, s, a in THERE]
    made = {
        g.labels[0]: (plain(g.before.amount), plain(g.after.amount)) for g in found(SUM, there=there).groups
    }
    assert made["won"] == ("1234.5", "1234.5")
    assert found(SUM, there=there).edited == 1
    assert "1 row edited there since left out" in judged(SUM, found(SUM, there=there)).found


def test_counting_rows_and_counting_filled_values() -> None:
    verdict = judged(COUNT, found(COUNT))
    assert (verdict.check, verdict.expected, verdict.found) == ("count deals", "7", "6")
    assert verdict.reason == "apart, 1 in all; 1 in 1 row in quarantine"
    filled = TableCheck(kind="count", of="deals", column="amount")
    verdict = judged(filled, found(filled))
    assert (verdict.expected, verdict.found) == ("6", "5")  # one emptied, one lost, one made up
    half = COUNT.model_copy(update={"within": 0.2})
    assert judged(half, found(half)).passed


def test_a_target_without_numbers_never_passes() -> None:
    there = [("a", False, "open", "ten")]
    verdict = judged(SUM, found(SUM, [(1, "a", "open", None, "new", None)], [(0,)], there))
    assert not verdict.passed
    assert verdict.reason == "1 value of the target no number"


def test_sums_beyond_what_is_exact_are_refused() -> None:
    huge = str(10**25)
    rows = [(n, f"k{n}", "won", huge, "won", huge) for n in range(20)]
    with pytest.raises(duckdb.OutOfRangeException):
        found(SUM, rows)


AMOUNTS = st.decimals(-(10**9), 10**9, places=4)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["won", "lost", None]), AMOUNTS), min_size=1, max_size=12), st.data()
)
def test_what_is_lost_is_the_difference(rows: list[tuple[str | None, Decimal]], data: st.DataObject) -> None:
    """Whichever rows are lost: before minus after is what they hold, group by group, to the last digit."""
    came = [(n, f"k{n}", g, str(a), g, str(a)) for n, (g, a) in enumerate(rows)]
    lost = data.draw(st.sets(st.sampled_from(range(len(rows)))))
    there = [(f"k{n}", False, g, str(a)) for n, (g, a) in enumerate(rows) if n not in lost]
    made = found(SUM, came, [(n,) for n in lost] or [(-1,)], there or [("none", True, None, None)])
    for group in made.groups:
        mine = [a for n, (g, a) in enumerate(rows) if g == group.labels[0] and n in lost]
        assert -group.difference == group.quarantined.amount == sum(mine, Decimal(0))
        assert group.quarantined.rows == len(mine)
