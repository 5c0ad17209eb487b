"""All steps of a road in one: against a plain Python model, whatever the rows, their order and the cutting into parts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.transform.roads import making
from tests.transform.roads.making import INT, TEXT, made, small_parts, table

ORDERS = table("orders", {"id": INT, "who": TEXT, "goods": TEXT, "gone": INT}, ["id"])
PEOPLE = table("people", {"no": TEXT, "land": INT}, ["no"])
LANDS = table("lands", {"code": INT, "name": TEXT}, ["code"])
GOODS = table("goods", {"name": TEXT, "kind": TEXT}, ["name"])
NOTES = table("notes", {"n": INT, "good": TEXT, "text": TEXT}, ["n"])
WORDS = """
  e:
    from: orders
    with:
      kind: {table: goods, on: {goods: name}, rows: one}
      who: {table: people, on: {who: no}, rows: one_or_none}
      land: {table: lands, on: {who.land: code}, rows: one_or_none}
      note: {table: notes, on: {goods: good}, rows: any, order: -n}
    explode: {split: goods, on: ";"}
    one_per: [goods, land.name]
    where: "gone = 0 AND (land.name IS NULL OR land.name <> 'X')"
    key: [id, slot]
    into: x
    fields: {a: land.name, b: kind.kind, c: note.text}
"""
NAMES = st.sampled_from(["a", "b", "c", "a;b", "b; a;", "", None, "NULL", "q;a"])
ROWS = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3", None]), NAMES, st.integers(0, 1)), max_size=9
)  # fmt: skip


def modelled(orders: Any, people: Any, lands: Any, goods: Any, notes: Any) -> list[Any]:
    """(id, slot, good, land, kind, codes, reason it is left out, notes) of every slot."""
    slots: list[Any] = []
    for number, (who, text, gone) in enumerate(orders):
        land = next((name for no, code in people for c, name in lands if no == who and c == code), None)
        for slot, piece in enumerate(("" if text in (None, "NULL") else text).split(";"), 1):
            good = None if piece.strip() in ("", "NULL") else piece.strip()
            kind = next((k for name, k in goods if name == good), None)
            known = any(name == good for name, _ in goods)
            slots.append([number, slot, good, land, kind, known, gone == 0 and land != "X"])
    first: dict[Any, Any] = {}
    for n, (number, slot, good, land, _, known, there) in enumerate(slots):
        if there and good is not None:
            rank = (not known, number, slot)
            if (good, land) not in first or rank < first[good, land][0]:
                first[good, land] = (rank, n)
    found = []
    for n, (number, slot, good, land, kind, known, there) in enumerate(slots):
        reason = None
        if good is None:
            reason = "empty"
        elif there and first[good, land][1] != n:
            reason = "one_per"
        asked = good is not None and there
        kind = kind if asked else None  # a row that is left out needs nothing
        wrong = ["join_missing kind"] if good is not None and not known else None
        beside = [t for m, g, t in sorted(notes, reverse=True) if g == good and asked and reason is None]
        found.append((number, slot, good, land, kind, wrong, reason, beside))
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, cut=st.integers(1, 4), size=st.integers(1, 5))
def test_every_slot_is_what_a_plain_loop_makes_of_it(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, cut: int, size: int
) -> None:
    people: Any = [("1", 7), ("2", 9), ("3", None)]
    lands: Any = [(7, "E"), (9, "X")]
    goods: Any = [("a", "fruit"), ("b", None)]
    notes: Any = [(n, "a" if n % 2 else "q", f"note {n}") for n in range(4)]
    orders = [(n, *row) for n, row in enumerate(rows)]
    source = making.given({ORDERS: orders, PEOPLE: people, LANDS: lands, GOODS: goods, NOTES: notes}, cut)
    with small_parts(size):
        road = made(tmp_path_factory.mktemp("all"), WORDS, source)
    beside = [[r["note.text"] for r in found] for found in road.beside("note")]
    got = [
        (
            r["id"],
            r["slot"],
            r["goods"],
            r["land.name"],
            r["kind.kind"],
            r["__codes"],
            r["__left_out"],
            notes_,
        )
        for r, notes_ in zip(road.all(), beside, strict=True)
    ]
    wanted = modelled(rows, people, lands, goods, notes)
    assert [(*w[:5], w[6]) for w in wanted] == [(*g[:5], g[6]) for g in got]
    # rows that are left out, by the road or by `where`, are not asked for what they lack
    for row, (*_, wrong, reason, noted), (*_, codes, _, found) in zip(
        rows_of(wanted, rows), wanted, got, strict=True
    ):
        if reason is None and row:
            assert (codes, found) == (wrong, noted)


def rows_of(wanted: list[Any], rows: Any) -> list[bool]:
    """Per slot, whether `where` keeps it."""
    return [rows[w[0]][2] == 0 and w[3] != "X" for w in wanted]
