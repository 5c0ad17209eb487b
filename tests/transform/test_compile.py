"""Everything wrong with an entity is said at once, with the place and the nearest name."""

from __future__ import annotations

from typing import Any

import pytest
from migrate.mapping.model import Check, Ref, SourceColumn, SourceTable
from migrate.model import Column, Kind, Type

from tests.transform.crm import (
    ID,
    TEXT,
    compiled,
    field,
    mapping,
    problems,
    source_table,
    table,
    target_table,
)

INT = Type(Kind.INT, bits=64)
MOMENT, TIMESTAMP = Type(Kind.TIMESTAMPTZ), Type(Kind.TIMESTAMP)
SOURCE = source_table(id=INT, name=TEXT, created=TIMESTAMP, raw=Type(Kind.BYTES), n=INT)


def test_all_problems_at_once_with_the_nearest_names() -> None:
    made = mapping(
        {"nam": field("name"), "name": field("nmae"), "other": field(expr="nmae || 'x'")},
        where="nmae = 'x'",
        key=("idd",),
    )
    made = made.model_copy(update={"positions": {"entities.contacts.fields.name": "m.yaml:7:5"}})
    found = problems(made, SOURCE, target_table(name=TEXT, other=TEXT))
    assert [p.code for p in found] == ["unknown_column"] * 5
    assert found[0].hint == "did you mean `name`? Or let the run create it: create: if_missing"
    assert [p.where for p in found][:2] == ["contacts.nam", "m.yaml:7:5"]
    assert {p.where for p in found} >= {"contacts.key", "contacts.where"}


@pytest.mark.parametrize(
    ("fields", "types", "code"),
    [
        ({"t": field("created")}, {"t": MOMENT}, "timezone"),
        ({"t": field("name", read_as="timestamp")}, {"t": MOMENT}, "timezone"),
        ({"t": field("n")}, {"t": Type(Kind.DATE)}, "type"),
        ({"t": field("raw")}, {"t": TEXT}, "type"),
        ({"t": field("raw", do=["trim"])}, {"t": Type(Kind.BYTES)}, "type"),
        ({"t": field("name", default="x")}, {"t": INT}, "literal"),
        ({"t": field("name", map={"a": "x"})}, {"t": INT}, "literal"),
        ({"t": field(value="abc")}, {"t": Type(Kind.TEXT, length=2)}, "literal"),
        (
            {"t": field("n", ref=Ref(to="users"), check=[Check(name="pattern", argument="a")])},
            {"t": INT},
            "check_on_reference",
        ),
        ({"t": field("n", check=[Check(name="range", argument={"min": "abc"})])}, {"t": INT}, "range"),
        ({"t": field("n", check=[Check(name="required", on_fail="default")])}, {"t": INT}, "no_default"),
        ({"t": field(expr="n = 'x'")}, {"t": TEXT}, "expression"),
        ({"t": field(expr="(SELECT 1)")}, {"t": INT}, "expression"),
    ],
)
def test_one_problem(fields: dict[str, Any], types: dict[str, Type], code: str) -> None:
    found = problems(mapping(fields), SOURCE, target_table(**types))
    assert [p.code for p in found] == [code], found


def test_where_must_give_yes_or_no() -> None:
    assert [
        p.code for p in problems(mapping({"t": field("name")}, where="n + 1"), SOURCE, target_table(t=TEXT))
    ] == ["expression"]


def test_target_columns_that_nothing_fills_or_nobody_may_write() -> None:
    target = table(
        "contacts",
        ID,
        Column("must", TEXT, nullable=False),
        Column("has_default", TEXT, nullable=False, default="'x'"),
        Column("made", TEXT, generated="lower(must)"),
        Column("always", INT, identity="always"),
        Column("triggered", TEXT, nullable=False),
    )
    made = mapping({"made": field("name"), "always": field("n")}, target_sets={"triggered": "any"})
    found = problems(made, SOURCE, target)
    assert sorted(p.code for p in found) == ["generated_column", "generated_column", "not_null"]
    assert '"must"' in next(p.message for p in found if p.code == "not_null")


def test_target_without_a_key_and_keys_that_cannot_be_assigned() -> None:
    assert [
        p.code
        for p in problems(mapping({"t": field("name")}), SOURCE, table("contacts", Column("t", TEXT), key=()))
    ] == ["target_key"]
    composite = table("contacts", Column("a", INT), Column("t", TEXT), key=("a", "t"))
    assert [p.code for p in problems(mapping({"t": field("name")}), SOURCE, composite)] == ["target_key"]


def test_link_needs_no_fields() -> None:
    target = table("contacts", ID, Column("mail", TEXT, nullable=False))
    made = compiled(mapping({}, write="link", match={"mail": "name"}), SOURCE, target)
    assert made.fields == ()
    assert [m.name for m in made.matches] == ["mail"]


def test_what_is_said_nearest_to_the_column_counts() -> None:
    tables = {
        "people": SourceTable(nulls=("-",), timezone="Europe/Paris", columns={"name": SourceColumn(nulls=())})
    }
    source = source_table(id=INT, name=TEXT, city=TEXT, created=TIMESTAMP)
    made = compiled(
        mapping({"t": field("created")}, source={"nulls": ("",), "tables": tables}),
        source,
        target_table(t=MOMENT),
    )
    assert dict(made.nulls) == {"city": ("-",)}
    assert made.fields[0].zone == "Europe/Paris"
