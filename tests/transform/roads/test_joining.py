"""Joins: every row finds what it should, whatever the types, the order and the cutting of both sides."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.arrow import MIXED
from migrate.errors import GateClosed
from migrate.model import Kind, Type

from tests.transform.roads import making
from tests.transform.roads.making import INT, TEXT, made, problems, small_parts, table

PEOPLE = table("people", {"id": INT, "no": TEXT, "deleted": INT}, ["id"])
ADDRESSES = table("addresses", {"aid": INT, "pid": TEXT, "kind": TEXT, "city": TEXT, "land": INT}, ["aid"])
LANDS = table("lands", {"code": INT, "name": TEXT}, ["code"])
TAGS = table("tags", {"pid": INT, "name": TEXT, "prio": INT})
SOURCE = making.given(
    {
        PEOPLE: [(1, "a", 0), (2, "NULL", 0), (3, None, 0), (4, " ", 1), (5, "a", 0)],
        ADDRESSES: [
            (10, "1", "home", "Leeds", 7), (11, "1", "work", "York", 8), (12, "2", "home", "Hull", None),
            (13, None, "home", "Nowhere", 7), (14, "9", "home", "Far", 7), (15, "5", "home", "Bath", 99),
        ],
        LANDS: [(7, "England"), (8, "Wales")],
        TAGS: [(1, "t", 3), (1, "s", 5), (3, "q", None), (77, "r", 1), (1, "u", None), (1, "s", 5)],
    }
)  # fmt: skip
HOME = """home: {table: addresses, on: {id: pid}, where: "kind = 'home'", rows: %s}"""


def entity(joins: str, fields: str, more: str = "") -> str:
    return f"  e:\n    from: people\n    with:\n      {joins}\n    key: id\n    into: x\n    fields: {{{fields}}}\n    {more}\n"


def test_one_row_or_none_and_a_join_that_starts_from_another(tmp_path: Path) -> None:
    joins = HOME % "one_or_none" + "\n      land: {table: lands, on: {home.land: code}, rows: one_or_none}"
    road = made(tmp_path, entity(joins, "a: home.city, b: land.name"), SOURCE)
    assert [(r["id"], r["home.city"], r["land.name"]) for r in road.all()] == [
        (1, "Leeds", "England"), (2, "Hull", None), (3, None, None), (4, None, None), (5, "Bath", None),
    ]  # fmt: skip
    assert road.shaped.joins == {
        "home": {"rows": 6, "used": 3, "unused": 3},
        "land": {"rows": 2, "used": 1, "unused": 1},
    }
    assert not road.codes()
    # joined columns that nothing names are not carried, and so do not count as changes
    assert "home.kind" not in road.all()[0]
    assert "home.kind" in road.rows.table.column_names


def test_exactly_one_or_quarantine_but_rows_left_out_are_not_asked(tmp_path: Path) -> None:
    road = made(tmp_path, entity(HOME % "one", "a: home.city", 'where: "deleted = 0"'), SOURCE)
    assert road.codes() == {2: ["join_missing home"]}  # row 4 is deleted, row 3 has no address


def test_empty_values_equal_nothing(tmp_path: Path) -> None:
    joins = "other: {table: people, on: {no: no}, rows: any}"
    road = made(tmp_path, entity(joins, "a: id"), SOURCE)
    assert [len(rows) for rows in road.beside("other")] == [
        2,
        0,
        0,
        0,
        2,
    ]  # "NULL" is a NULL word, " " is blank


@pytest.mark.parametrize("rows", ["one", "one_or_none"])
def test_more_rows_than_asked_for_stop_with_examples(tmp_path: Path, rows: str) -> None:
    joins = f"home: {{table: addresses, on: {{id: pid}}, rows: {rows}}}"
    with pytest.raises(GateClosed) as caught:
        made(tmp_path, entity(joins, "a: home.city"), SOURCE)
    message = str(caught.value)
    assert "1 row finds more than one row of addresses" in message
    assert "pid 1: 2 rows" in message
    assert "m.yaml:11:7" in message
    assert caught.value.hint
    assert caught.value.kept


def test_any_number_of_rows_in_their_order_and_their_digest(tmp_path: Path) -> None:
    joins = "tag: {table: tags, on: {id: pid}, rows: any, order: [-prio]}"
    fields = "a: tag.name"
    with small_parts(2):
        road = made(tmp_path, entity(joins, fields), SOURCE)
    assert len(road.rows.parts) == 3
    names = [[r["tag.name"] for r in rows] for rows in road.beside("tag")]
    assert names == [["s", "s", "t", "u"], [], ["q"], [], []]
    digests = [r["__with.tag"] for r in road.all()]
    assert digests[1] is None
    assert len(set(digests[::2])) == 3
    assert road.shaped.joins["tag"] == {"rows": 6, "used": 5, "unused": 1}
    # the same rows in another order give the same parts, other rows another digest for whom they concern
    tags = _content()[TAGS]
    for n, (rows, same) in enumerate(((tags[::-1], True), ([(1, "T", 3), *tags[1:]], False))):
        other = making.given({**_content(), TAGS: rows})
        (tmp_path / str(n)).mkdir()
        again = made(tmp_path / str(n), entity(joins, fields), other)
        changed = [a["__with.tag"] != b["__with.tag"] for a, b in zip(road.all(), again.all(), strict=True)]
        assert changed == [not same, False, False, False, False]


def _content() -> dict[Any, list[tuple[Any, ...]]]:
    return {
        t: [tuple(r.values()) for r in SOURCE.content[t.name].to_pylist()]
        for t in (PEOPLE, ADDRESSES, LANDS, TAGS)
    }


HOSTILE = {
    "wide": (Type(Kind.DECIMAL, precision=76, scale=2), Decimal("9" * 70 + ".99")),
    "day": (Type(Kind.DATE), date(1, 1, 1)),
    "mixed": (Type(Kind.MIXED), {"tag": 2, "int": None, "real": 0.1, "bytes": None}),
    "nul": (TEXT, "a\0b"),
    "raw": (Type(Kind.BYTES), b"\xff\0"),
    "tiny": (Type(Kind.FLOAT, bits=64), 5e-324),
    "list": (Type(Kind.ARRAY, item=TEXT), ["x", None]),
}


def test_values_of_all_kinds_come_through_exactly(tmp_path: Path) -> None:
    other = table("other", {"k": Type(Kind.MIXED), **{n: t for n, (t, _) in HOSTILE.items()}})
    keys = [
        {"tag": 1, "int": 1, "real": None, "bytes": None},
        {"tag": 3, "int": None, "real": None, "bytes": b"2"},
        {"tag": 2, "int": None, "real": 3.0, "bytes": None},
    ]
    rows = [(key, *(v for _, v in HOSTILE.values())) for key in keys]
    source = making.given({PEOPLE: [(n, "", 0) for n in range(5)], other: rows}, 2)
    names = ", ".join(f"{n}: o.{n}" for n in HOSTILE)
    road = made(tmp_path, entity("o: {table: other, on: {id: k}, rows: one_or_none}", names), source)
    found = [{n: r[f"o.{n}"] for n in HOSTILE} for r in road.all()]
    wanted = {n: v for n, (_, v) in HOSTILE.items()}
    nothing = dict.fromkeys(HOSTILE)
    assert found == [nothing, wanted, wanted, wanted, nothing]
    assert road.rows.read(road.rows.parts[0]).schema.field("o.mixed").type == MIXED


def test_a_table_without_rows_on_either_side(tmp_path: Path) -> None:
    none = making.given({PEOPLE: [], ADDRESSES: [], LANDS: [], TAGS: []})
    joins = HOME % "one" + "\n      tag: {table: tags, on: {id: pid}, rows: any}"
    road = made(tmp_path, entity(joins, "a: home.city, b: tag.name"), none)
    assert road.rows.parts == ()
    assert road.shaped.joins["home"] == {"rows": 0, "used": 0, "unused": 0}
    (tmp_path / "2").mkdir()
    half = making.given({PEOPLE: [(1, "", 0)], ADDRESSES: [], LANDS: [], TAGS: []})
    road = made(tmp_path / "2", entity(joins, "a: home.city, b: tag.name"), half)
    assert road.codes() == {0: ["join_missing home"]}
    assert road.beside("tag") == [[]]


KEYS = st.sampled_from(["1", "2", "NULL", "", " ", None, "3"])
ROWS = st.lists(st.tuples(KEYS, st.integers(0, 3)), max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(left=ROWS, right=ROWS, cut=st.integers(1, 4), seed=st.integers(0, 3))
def test_joins_as_a_plain_loop_makes_them(
    tmp_path_factory: pytest.TempPathFactory, left: Any, right: Any, cut: int, seed: int
) -> None:
    base = table("base", {"n": INT, "k": TEXT, "d": INT}, ["n"])
    other = table("other", {"n": INT, "k": TEXT, "v": INT}, ["n"])
    there = [(n, k, v) for n, (k, v) in enumerate(right)]
    random.Random(seed).shuffle(there)
    source = making.given({base: [(n, k, d) for n, (k, d) in enumerate(left)], other: there}, cut)
    words = """  e: {from: base, with: {o: {table: other, on: k, where: "v < 3", rows: any, order: -v}}, key: n, into: x, fields: {a: o.v, b: o.n}}"""
    with small_parts(3):
        road = made(tmp_path_factory.mktemp("join"), words, source)
    empty = ("", " ", None, "NULL")
    wanted = [
        [
            {"o.n": m, "o.v": v}
            for m, k2, v in sorted(there, key=lambda r: (-r[2], r[0]))
            if k not in empty and k == k2 and v < 3
        ]
        for k, _ in left
    ]
    assert road.beside("o") == wanted
    used = {r["o.n"] for rows in wanted for r in rows}
    assert road.shaped.joins["o"] == {"rows": len(right), "used": len(used), "unused": len(right) - len(used)}


@pytest.mark.parametrize(
    ("joins", "fields", "said"),
    [
        ("h: {table: adresses, on: {id: pid}, rows: one}", "a: id", "11:11 [unknown_table] the source source has no table 'adresses'"),
        ("h: {table: addresses, on: {idd: pid}, rows: one}", "a: id", '[unknown_column] people has no column "idd" (did you mean `id`?)'),
        ("h: {table: addresses, on: {id: pit}, rows: one}", "a: id", '[unknown_column] addresses has no column "pit" (did you mean `pid`?)'),
        ("h: {table: addresses, on: {id: pid}, rows: one, where: kid = 1}", "a: id", "[unknown_column] there is no column `kid`"),
        ("t: {table: tags, on: {id: pid}, rows: any, order: -pri}", "a: id", '[unknown_column] tags has no column "pri" (did you mean `prio`?)'),
        ("t: {table: tags, on: {id: pid}, rows: any}\n      l: {table: lands, on: {t.prio: code}, rows: one}", "a: id", "`t` gives any number of rows, so `t.prio` is no single value"),
        ("a: {table: lands, on: {b.code: code}, rows: one}\n      b: {table: lands, on: {a.code: code}, rows: one}", "a: id", "the joins `a` and `b` wait for each other's columns"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_join_is_told_with_its_place(
    tmp_path: Path, joins: str, fields: str, said: str
) -> None:
    found = problems(tmp_path, entity(joins, fields), SOURCE)
    assert [said in one for one in found] == [True], found


def test_joins_that_must_be_a_mistake_stop_before_they_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrate.transform.roads.joining.MOST", 5)
    with pytest.raises(GateClosed, match="would put 6 rows of tags beside"):
        made(
            tmp_path,
            entity("tag: {table: tags, on: {deleted: pid}, rows: any, where: pid = 1}", "a: id"),
            ONES,
        )


ONES = making.given({PEOPLE: [(1, "a", 1), (2, "b", 1)], TAGS: [(1, "t", 3), (1, "s", 5), (1, "u", 5)]})


def test_many_rows_beside_a_row_make_smaller_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrate.transform.roads.shape._BESIDE", 6)
    source = making.given(
        {PEOPLE: [(n, "a", 1) for n in range(9)], TAGS: [(n % 9, str(n), n) for n in range(27)]}
    )
    with small_parts(8):
        monkeypatch.setattr("migrate.transform.roads.shape.MAX_ROWS", 8)
        road = made(
            tmp_path,
            entity("tag: {table: tags, on: {id: pid}, rows: any, order: prio}", "a: tag.prio"),
            source,
        )
    assert [p.rows for p in road.rows.parts] == [2, 2, 2, 2, 1]
    assert [[r["tag.prio"] for r in rows] for rows in road.beside("tag")] == [
        [n, n + 9, n + 18] for n in range(9)
    ]
