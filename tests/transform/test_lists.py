"""Lists: items of columns, of joined rows and of pieces, into arrays and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.mapping.model import Check, Entity, Field, Item, ListOf, Mapping, Ref, Source, Step, Target
from migrate.model import Column, Kind, Table, Type
from migrate.transform.apply import Transformed, apply
from migrate.transform.compile import compile_entity
from migrate.transform.lists import Slot, composed, kept, one_per

TEXT, INT = Type(Kind.TEXT), Type(Kind.INT, bits=64)
PEOPLE = Table("people", tuple(Column(n, TEXT) for n in ("id", "mail", "mail2", "tags", "n")), ("id",))
JOINED = {"tag": Table("tag", (Column("tag.name", TEXT), Column("tag.rank", INT)))}
CRM = Table(
    "contacts",
    (
        Column("id", TEXT, nullable=False),
        Column("emails", Type(Kind.JSON)),
        Column("tags", Type(Kind.ARRAY, "text[]", item=TEXT)),
        Column("ranks", Type(Kind.ARRAY, "bigint[]", item=INT)),
        Column("codes", Type(Kind.ARRAY, "varchar(3)[]", item=Type(Kind.TEXT, "varchar(3)", length=3))),
        Column("note", TEXT),
        Column("short", Type(Kind.TEXT, "varchar(9)", length=9)),
        Column("age", INT),
    ),
    ("id",),
)


def value(**keys: Any) -> Field:
    return Field(**keys)


def mail(column: str, kind: str) -> Item:
    lower = (Step(name="trim"), Step(name="lower"))
    return Item(keys={"email": value(**{"from": column}, do=lower), "type": value(value=kind)})


def done(
    fields: dict[str, Field], rows: list[dict[str, Any]], tags: Sequence[tuple[int, str, int]] = ()
) -> Transformed:
    compiled, problems = compiled_of(fields)
    assert problems == []
    batch = pa.table({n: pa.array([r.get(n) for r in rows], pa.string()) for n in PEOPLE.column_names})
    joined = pa.table(
        {
            "__row": pa.array([t[0] for t in tags], pa.int64()),
            "tag.name": pa.array([t[1] for t in tags], pa.string()),
            "tag.rank": pa.array([t[2] for t in tags], pa.int64()),
        }
    )
    return apply(compiled, batch, np.arange(len(rows), dtype=np.int64) + 100, {"tag": joined})


def compiled_of(fields: dict[str, Field], where: str | None = "id <> 'out'") -> Any:
    entity = Entity(
        name="contacts", table="people", key=("id",), into="contacts", where=where,
        fields={"id": value(**{"from": "id"}), **fields},
    )  # fmt: skip
    mapping = Mapping(
        name="m",
        sources={"source": Source(system="s", url="files:x")},
        target=Target(url="sqlite:///x"),
        entities={"contacts": entity, "tags": entity},
    )
    return compile_entity(mapping, "contacts", PEOPLE, CRM, now="2026-01-01", joined=JOINED)


def column(found: Transformed, name: str) -> list[Any]:
    return list(found.rows[name].to_pylist())


def test_items_written_out_are_objects_and_empty_ones_vanish() -> None:
    fields = {"emails": Field(list=ListOf(items=(mail("mail", "Work"), mail("mail2", "Home"))))}
    rows = [
        {"id": "1", "mail": " ADA@x.com", "mail2": 'q"\\\n@y'},
        {"id": "2", "mail": "  ", "mail2": "b@y"},
        {"id": "out", "mail": "c@x"},
        {"id": "3"},
    ]
    found = [json.loads(t) for t in column(done(fields, rows), "emails")]
    assert found == [
        [{"email": "ada@x.com", "type": "Work"}, {"email": 'q"\\\n@y', "type": "Home"}],
        [{"email": "b@y", "type": "Home"}],
        [],
    ]


def test_bare_items_of_columns_into_an_array_and_into_text() -> None:
    listed = ListOf(items=(Item(field=value(**{"from": "mail"})), Item(field=value(**{"from": "mail2"}))))
    found = done(
        {"tags": Field(list=listed), "note": Field(list=listed)},
        [{"id": "1", "mail": "a", "mail2": "b"}, {"id": "2"}],
    )
    assert column(found, "tags") == [["a", "b"], []]
    assert column(found, "note") == ['["a", "b"]', "[]"]


def test_pieces_of_a_text_are_trimmed_blank_ones_dropped_and_may_stand_once() -> None:
    each = Item(field=value(do=(Step(name="lower"),)))
    split = ListOf(split="tags", on=",", each=each, one_per=("item",))
    found = done(
        {"tags": Field(list=split)},
        [{"id": "1", "tags": "VIP, fan,,vip , x"}, {"id": "2", "tags": ""}, {"id": "3"}],
    )
    assert column(found, "tags") == [["vip", "fan", "x"], [], []]


def test_joined_rows_become_items_and_follow_the_rows_that_stay() -> None:
    named = ListOf(of="tag", each=Item(field=value(**{"from": "tag.rank"})))
    objects = ListOf(
        of="tag", each=Item(keys={"tag": value(**{"from": "tag.name"}), "of": value(text="{id}/{tag.rank}")})
    )
    rows = [{"id": "out"}, {"id": "1"}, {"id": "2"}, {"id": "3"}]
    tags = [(0, "x", 9), (1, "b", 2), (1, "a", 1), (3, "c", 3)]
    found = done({"ranks": Field(list=named), "emails": Field(list=objects)}, rows, tags)
    assert column(found, "ranks") == [[2, 1], [], [3]]
    assert json.loads(column(found, "emails")[0]) == [
        {"tag": "b", "of": "1/2"},
        {"tag": "a", "of": "1/1"},
    ]


def test_what_is_wrong_with_an_item_is_told_of_its_row() -> None:
    split = ListOf(
        split="tags",
        on=";",
        each=Item(field=value(read_as="integer", check=(Check(name="range", argument={"max": "9"}),))),
    )
    found = done(
        {"ranks": Field(list=split)},
        [{"id": "1", "tags": "1;x"}, {"id": "2", "tags": "4"}, {"id": "3", "tags": "3;12"}],
    )
    assert sorted((r["rid"], r["field"], r["code"]) for r in found.reasons.to_pylist()) == [
        (100, "ranks", "type"),
        (102, "ranks", "range"),
    ]
    long = ListOf(items=(Item(field=value(**{"from": "mail"})),))
    assert done({"codes": Field(list=long)}, [{"id": "1", "mail": "four"}]).reasons["code"].to_pylist() == [
        "too_long"
    ]


def test_rules_of_the_list_count_its_items() -> None:
    checks = (Check(name="required"), Check(name="max_length", argument="2", on_fail="warn"))
    split = Field(list=ListOf(split="tags", on=","), check=checks)
    found = done(
        {"tags": split}, [{"id": "1", "tags": "a,b,c"}, {"id": "2", "tags": ""}, {"id": "3", "tags": "a"}]
    )
    assert [(r["rid"], r["code"]) for r in found.reasons.to_pylist()] == [(101, "required")]
    assert [(r["rid"], r["code"]) for r in found.events.to_pylist()] == [(100, "warned")]


def test_references_wait_in_items() -> None:
    split = ListOf(split="tags", on=",", each=Item(field=value(ref=Ref(to="tags"))))
    found = done({"tags": Field(list=split)}, [{"id": "1", "tags": "vip,fan"}, {"id": "2"}])
    assert column(found, "tags") == [None, None]
    items = found.items["tags"].to_pylist()
    assert [(i["rid"], i["item"], i["__ref."], i["__ref_to."]) for i in items] == [
        (100, 0, '["vip"]', "tags"), (100, 1, '["fan"]', "tags"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "listed", "words"),
    [
        ("age", ListOf(items=(Item(field=Field(value="1")),)), "a list goes into an array, JSON or text"),
        ("short", ListOf(items=(Item(field=Field(value="1")),)), "a list goes into an array, JSON or text"),
        ("tags", ListOf(items=(mail("mail", "x"),)), "its items are single values"),
        ("emails", ListOf(of="tga", each=mail("tga.name", "x")), "there is no join `tga`"),
        ("emails", ListOf(of="tag", each=mail("tag.nme", "x")), 'no column "tag.nme"'),
        ("emails", ListOf(split="tgas", on=","), 'no column "tgas"'),
        ("ranks", ListOf(items=(Item(field=Field(value="x")),)), '"x" cannot be'),
    ],
)
def test_what_cannot_be_is_said_before_any_row_is_read(name: str, listed: ListOf, words: str) -> None:
    compiled, problems = compiled_of({name: Field(list=listed)})
    assert compiled is None
    assert words in problems[0].message, problems
    assert len(problems) == 1


_TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.none() | _TEXTS, st.none() | st.integers(-9, 9)), max_size=12)
)
def test_composed_lists_are_what_plain_python_makes_of_them(
    lines: list[tuple[int, str | None, int | None]],
) -> None:
    form = (Slot("t", Kind.TEXT), Slot("n", Kind.INT))
    items = pa.table(
        {
            "rid": pa.array([r for r, _, _ in lines], pa.int64()),
            "item": pa.array(range(len(lines)), pa.int64()),
            "form": pa.array([0] * len(lines), pa.int64()),
            "v.t": pa.array([t for _, t, _ in lines], pa.string()),
            "v.n": pa.array([None if n is None else str(n) for _, _, n in lines], pa.string()),
        }
    )
    rids = np.arange(5)[::-1].copy()
    stay = one_per(kept(items, [form]), [form], ("item",))
    made = [json.loads(str(t)) for t in composed(stay, [form], Type(Kind.JSON), rids).to_pylist()]
    for rid, found in zip(rids, made, strict=True):
        wanted: list[dict[str, Any]] = []
        for r, t, n in lines:
            one = {"t": t, "n": n}
            blank = t is None or not t.strip(
                "\u200b\u2060\ufeff \t\n\x0b\x0c\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
            )
            if r == rid and not (blank and n is None) and one not in wanted:
                wanted.append(one)
        assert found == wanted
