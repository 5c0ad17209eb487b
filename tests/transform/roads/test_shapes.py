"""`explode`, `one_per`, `pivot` and `query`: which rows come of them, and that every other is accounted for."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.errors import UsageError
from migrate.model import ADDED_COLUMNS, Kind, Type
from migrate.transform.roads.query import run_query

from tests.transform.roads import making
from tests.transform.roads.making import INT, TEXT, made, problems, small_parts, table

PEOPLE = table("people", {"id": INT, "tel": TEXT, "mob": TEXT, "drugs": TEXT, "n": INT}, ["id"])
SOURCE = making.given(
    {
        PEOPLE: [
            (1, "t1", "m1", "A; B ;;C", 5), (2, "NULL", "  ", None, None),
            (3, None, "m3", " ", 7), (4, "t4", None, "Z;NULL", 8),
        ],
    }
)  # fmt: skip


def one(keys: str) -> str:
    return f"  e: {{from: people, {keys}, into: x, fields: {{a: id}}}}\n"


def test_lists_of_columns_and_of_texts(tmp_path: Path) -> None:
    words = one("explode: {number: [tel, mob], kind: [work, {value: mob}]}, key: [id, kind]")
    with small_parts(3):
        road = made(tmp_path, words, SOURCE)
    found = [(r["id"], r["number"], r["kind"], r["slot"]) for r in road.visible()]
    assert found == [(1, "t1", "work", 1), (1, "m1", "mob", 2), (3, "m3", "mob", 2), (4, "t4", "work", 1)]
    assert road.out() == {"empty": 4}
    assert len(road.all()) == 8 == sum(p.rows for p in road.rows.parts)
    assert [r["__base"] for r in road.all()] == [0, 0, 1, 1, 2, 2, 1 << 32, 1 << 32]


def test_pieces_of_a_text(tmp_path: Path) -> None:
    road = made(tmp_path, one('explode: {split: drugs, on: ";"}, key: [id, slot]'), SOURCE)
    found = [(r["id"], r["drugs"], r["slot"]) for r in road.visible()]
    assert found == [(1, "A", 1), (1, "B", 2), (1, "C", 4), (4, "Z", 1)]
    assert road.out() == {"empty": 4}  # an empty piece, nothing twice, a NULL word
    assert list(road.rows.table.column_names)[-1] == "slot"


def test_lists_of_several_types_become_text_and_equal_ones_stay(tmp_path: Path) -> None:
    road = made(tmp_path, one("explode: {v: [tel, n]}, key: [id, slot]"), SOURCE)
    assert [r["v"] for r in road.visible()] == ["t1", "5", "7", "t4", "8"]
    (tmp_path / "2").mkdir()
    road = made(tmp_path / "2", one("explode: {v: [n, id]}, key: [id, slot]"), SOURCE)
    assert [r["v"] for r in road.visible()] == [5, 1, 2, 7, 3, 8, 4]


def test_broken_records_stay_one_row(tmp_path: Path) -> None:
    text = Type(Kind.TEXT)
    types = {"a": text, "b": text, "_line": INT, "_bad": text, "_raw": Type(Kind.BYTES)}
    files = table("people", types)
    assert set(types) >= set(ADDED_COLUMNS[:3])
    source = making.given({files: [("x", "y", 2, None, None), (None, None, 3, "ragged_row", b"?")]})
    keys = "explode: {v: [a, b]}, one_per: v, key: v"
    road = made(tmp_path, f"  e: {{from: people, {keys}, into: x, fields: {{a: v}}}}", source)
    assert [(r["v"], r["_bad"], r["__left_out"]) for r in road.all()] == [
        ("x", None, None),
        ("y", None, None),
        (None, "ragged_row", None),
    ]


PIECES = st.one_of(st.none(), st.text("aA ;,N", max_size=8))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(PIECES, PIECES), max_size=7), cut=st.integers(1, 3))
def test_slots_as_a_plain_loop_makes_them(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, cut: int
) -> None:
    there = table("t", {"id": INT, "a": TEXT, "b": TEXT}, ["id"])
    source = making.given({there: [(n, *r) for n, r in enumerate(rows)]}, cut)
    folder = tmp_path_factory.mktemp("slots")
    words = '  e: {from: t, explode: {split: a, on: ";"}, key: [id, slot], into: x, fields: {v: a}}\n'
    words += "  f: {from: t, explode: {v: [a, b]}, key: [id, slot], into: x, fields: {v: v}}\n"
    with small_parts(2):
        road = made(folder, words, source)
        pieces = [
            (n, slot, p.strip() or None)
            for n, (a, _) in enumerate(rows)
            for slot, p in enumerate((((a or "").strip() and a) or "").split(";"), 1)
        ]
        assert [(r["id"], r["slot"], r["a"]) for r in road.visible()] == [p for p in pieces if p[2]]
        assert len(road.all()) == len(pieces)
        road = made(folder, words, source, "f")
    lists = [(n, slot, v) for n, r in enumerate(rows) for slot, v in enumerate(r, 1)]
    assert [(r["id"], r["slot"], r["v"]) for r in road.visible()] == [
        row for row in lists if row[2] and row[2].strip()
    ]
    assert len(road.all()) == len(lists)


def test_one_row_per_value_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    tags = table("tags", {"pid": INT, "name": TEXT, "gone": INT}, ["pid"])
    rows: list[Any] = [
        (5, "a", 1),
        (3, "a", 0),
        (4, "a", 0),
        (1, None, 0),
        (2, "b", 1),
        (6, "b", 0),
        (7, "c", 1),
    ]
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        (folder := tmp_path / str(seed)).mkdir()
        words = '  e: {from: tags, where: "gone = 0", one_per: name, key: name, into: x, fields: {a: name}}'
        road = made(folder, words, making.given({tags: rows}, 2))
        stays = sorted(r["pid"] for r in road.visible() if r["gone"] == 0)
        assert stays == [3, 6]  # those that `where` leaves out stand for nothing
        assert road.out() == {"one_per": 1, "empty": 1}


def test_names_and_values_become_columns(tmp_path: Path) -> None:
    cells = table("cells", {"pid": INT, "f": TEXT, "v": Type(Kind.DECIMAL, precision=76, scale=1)})
    rows: list[Any] = [
        (2, "b", Decimal("1.5")), (1, "b", Decimal(7)), (1, "shoe size", Decimal(9)), (1, "b", Decimal("7.0")),
        (2, "b", Decimal(2)), (3, "zz", Decimal(1)), (None, "b", Decimal(1)), (3, "b", None),
    ]  # fmt: skip
    words = '  e: {from: cells, pivot: {per: pid, name: f, value: v, columns: [b, "shoe size"]}, key: pid, into: x, fields: {a: b}}'
    for n in range(2):
        (folder := tmp_path / str(n)).mkdir()
        road = made(folder, words, making.given({cells: rows}, 3))
        assert [(r["pid"], r["b"], r["shoe size"]) for r in road.visible()] == [
            (1, Decimal(7), Decimal(9)),
            (2, None, None),
            (3, None, None),
        ]
        assert sorted(road.codes().values()) == [["pivot_ambiguous b"]]
        assert road.out() == {"empty": 1}
        assert road.shaped.pivot == {"used": 6, "unused": 1, "empty": 1, "names": {"zz": 1}}
        rows.reverse()


def test_a_query_reads_the_tables_as_they_were_extracted(tmp_path: Path) -> None:
    orders = table("orders", {"no": INT, "who": INT, "sum": Type(Kind.DECIMAL, precision=9, scale=2)}, ["no"])
    source = making.given(
        {PEOPLE: [(1, "NULL", "", "", 1), (2, "x", "", "", 2)], orders: [(1, 1, Decimal("1.50")), (2, 1, Decimal(2)), (3, 2, None)]}
    )  # fmt: skip
    words = """  e:
    query: >
      WITH sums AS (SELECT who, sum(sum) AS total, count(*) AS n, string_agg(CAST(no AS VARCHAR), '+' ORDER BY no) AS nos FROM orders GROUP BY who)
      SELECT p.id, s.total, s.n, s.nos, p.tel IS NULL AS nothing FROM people p JOIN sums s ON s.who = p.id
    key: id
    into: x
    fields: {a: total}
"""
    road = made(tmp_path, words, source)
    assert road.visible() == [
        {"id": 1, "total": Decimal("3.50"), "n": 2, "nos": "1+2", "nothing": True},
        {"id": 2, "total": None, "n": 1, "nos": "3", "nothing": False},
    ]
    assert road.rows.table.column("total").type == Type(Kind.DECIMAL, precision=38, scale=2)


def test_a_query_that_cannot_be_computed_says_so_without_values(tmp_path: Path) -> None:
    words = "  e: {query: SELECT id FROM people WHERE CAST(tel AS INTEGER) > 1, key: id, into: x, fields: {a: id}}"
    with pytest.raises(UsageError) as caught:
        made(tmp_path, words, SOURCE)
    assert "the query of e cannot be computed" in str(caught.value)
    assert "t1" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("explode: {v: [tel, mop]}, key: id", '[unknown_column] people has no column "mop" (did you mean `mob`?)'),
        ("explode: {v: [tel, fax2]}, key: id", "(a text is written {value: fax2})"),
        ("explode: {v: [tel, mob], kind: [tel, private]}, key: id", '8:46 [unknown_column] people has no column "private"'),
        ("explode: {mob: [tel, n]}, key: id", '[conflict] people has a column "mob" already'),
        ('explode: {split: drug, on: ";"}, key: id', '[unknown_column] people has no column "drug" (did you mean `drugs`?)'),
        ("one_per: [tel, mobb], key: id", '[unknown_column] people has no column "mobb"'),
        ("pivot: {per: idd, name: tel, value: mob, columns: [x]}, key: id", '[unknown_column] people has no column "idd"'),
        ("pivot: {per: id, name: tel, value: mob, columns: [x, ID]}, key: id", '[conflict] "ID" is a column already'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_shape_is_told_with_its_place(tmp_path: Path, keys: str, said: str) -> None:
    found = problems(tmp_path, one(keys), SOURCE)
    assert [said in one for one in found] == [True], found


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT id FROM peple", "has no table `peple`"),
        ("SELECT idd FROM people", "the query does not work"),
        ("SELECT id, n AS ID FROM people", "two columns of the query are named `id`"),
        ("SELECT id, INTERVAL 1 DAY AS d FROM people", "`d` is a interval, which no field can take"),
    ],
)
def test_what_is_wrong_with_a_query(tmp_path: Path, sql: str, said: str) -> None:
    words = f'  e: {{query: "{sql}", key: id, into: x, fields: {{a: id}}}}'
    found = problems(tmp_path, words, SOURCE)
    assert [said in one for one in found] == [True], found


def test_a_query_reaches_nothing_but_its_tables(tmp_path: Path) -> None:
    """Behind the list of what is allowed stands a DuckDB that can open nothing."""
    (tmp_path / "secret.csv").write_text("id\n1\n")
    road = made(tmp_path, "  e: {query: SELECT id FROM people, key: id, into: x, fields: {a: id}}", SOURCE)
    assert road.spec.query is not None
    for sql in (
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        "SELECT id FROM people WHERE getenv('HOME') IS NULL",
    ):
        file = making.mapping(
            tmp_path, "  e: {query: SELECT id FROM people, key: id, into: x, fields: {a: id}}"
        )
        spec = replace(road.spec.query, sql=sql)
        with pytest.raises(UsageError, match="cannot be computed"):
            list(run_query(spec, file, file.entities["e"], SOURCE, road.spec.base, tmp_path / "temp"))
