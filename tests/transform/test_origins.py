"""Where values come from: the first that is filled, texts made of columns, cases; and for which rows a field is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from migrate.mapping.model import Bands, Case, Check, Default, Origin, Ref, Step
from migrate.model import Column, Kind, Type

from tests.transform.crm import (
    ID,
    TEXT,
    codes,
    compiled,
    events,
    field,
    found,
    mapping,
    problems,
    rows_of,
    source_table,
    table,
    target_table,
)

INT = Type(Kind.INT, bits=64)
MONEY = Type(Kind.DECIMAL, precision=10, scale=2)
MOMENT = Type(Kind.TIMESTAMP)


def run(
    fields: dict[str, Any], columns: dict[str, tuple[Type, Any]], targets: dict[str, Type], **more: Any
) -> Any:
    """The fields over columns given as name → (type, values); `id` counts from 0."""
    return rows_of(mapping(fields, **more), columns, target_table(**targets))


# --- first_of


def test_first_of_takes_what_is_neither_null_nor_blank() -> None:
    mails = {
        "a": (TEXT, [None, "", " \u200b", "a@x", "NULL"]),
        "b": (TEXT, ["b@x", None, "b@x", "b@x", " b "]),
        "c": (TEXT, ["c@x", None, "c@x", None, None]),
    }
    result = run({"m": field(first_of=("a", "b", "c"))}, mails, {"m": TEXT}, source={"nulls": ("NULL",)})
    assert found(result, "m") == ["b@x", None, "b@x", "a@x", " b "]
    assert codes(result) == []


def test_first_of_keeps_the_kind_that_all_have_and_makes_text_of_several() -> None:
    source = {"a": (INT, [None, 5, None]), "b": (INT, [3, 4, None]), "c": (MONEY, [Decimal("1.50")] * 3)}
    fields = {"n": field(first_of=("a", "b")), "t": field(first_of=("a", "b", "c"))}
    result = run(fields, source, {"n": INT, "t": TEXT})
    assert found(result, "n") == [3, 5, None]
    assert found(result, "t") == ["3", "5", "1.50"]


def test_first_of_meets_bytes_that_are_no_text() -> None:
    """What cannot be read is not empty: the row is told of, and the next column does not stand in for it."""
    from migrate.arrow import MIXED

    raw = pa.array([{"tag": 4, "bytes": b"\xff"}, {"tag": 3, "bytes": b"x"}, {"tag": 0}], MIXED)
    result = run(
        {"m": field(first_of=("a", "b"))}, {"a": (Type(Kind.MIXED), raw), "b": (TEXT, ["b"] * 3)}, {"m": TEXT}
    )
    assert found(result, "m") == [None, "x", "b"]
    assert codes(result) == [(0, "m", "bad_encoding")]


# --- text


def test_text_is_made_of_the_columns_texts() -> None:
    source = {
        "nr": (INT, [7, None, None]),
        "paid": (MONEY, [Decimal("12.50"), Decimal("1.00"), None]),
        "ok": (Type(Kind.BOOL), [True, None, None]),
    }
    result = run({"t": field(text="{{{nr}}} {paid}/{ok} $")}, source, {"t": TEXT})
    assert found(result, "t") == ["{7} 12.50/true $", "{} 1.00/ $", None]


# --- choose


CASES = (
    Case(when="n >= 250", value="enterprise"),
    Case(when="n >= 10", from_="label"),
    Case(when="n < 0", expr="100 // (n - 20)"),
)


def chosen(otherwise: Any, target: Type = TEXT) -> Any:
    source = {"n": (INT, [300, 20, -3, -5, 1, None]), "label": (TEXT, ["x", "mid", None, None, "y", "z"])}
    return run({"s": field(choose=CASES, otherwise=otherwise)}, source, {"s": target})


def test_choose_takes_the_first_case_that_is_true() -> None:
    result = chosen("empty")
    # For the second row the expression of the third case would divide by zero.
    assert found(result, "s") == ["enterprise", "mid", "-4", "-4", None, None]
    assert codes(result) == []


def test_choose_without_a_fitting_case() -> None:
    assert codes(chosen("quarantine")) == [(4, "s", "no_case"), (5, "s", "no_case")]
    stopped = chosen("stop")
    assert tuple(map(str, stopped.stops)) == ("contacts.s: no_case (no case fits) in 2 rows",)
    assert found(chosen(Origin(value="small")), "s")[4:] == ["small", "small"]
    assert found(chosen(Origin(from_="label")), "s")[4:] == ["y", "z"]


def test_a_case_that_keeps_its_expression_from_failing() -> None:
    cases = (Case(when="t <> 'none'", expr="CAST(t AS BIGINT)"), Case(when="t = 'none'", value="0"))
    result = run({"n": field(choose=cases)}, {"t": (TEXT, ["5", "none", "x"])}, {"n": INT})
    assert found(result, "n") == [5, 0, None]
    assert codes(result) == [(2, "n", "type")]


def test_a_condition_of_a_case_that_cannot_be_computed() -> None:
    cases = (Case(when="CAST(t AS BIGINT) > 1", value="big"),)
    result = run({"s": field(choose=cases, otherwise="empty")}, {"t": (TEXT, ["5", "x", None])}, {"s": TEXT})
    assert found(result, "s") == ["big", None, None]
    assert codes(result) == [(1, "s", "type")]


def test_cases_of_one_kind_keep_it() -> None:
    cases = (Case(when="n > 1", from_="n"), Case(when="n = 1", expr="n * 10"))
    made = compiled(
        mapping({"s": field(choose=cases, otherwise=Origin(from_="n"))}),
        source_table(id=INT, n=INT),
        target_table(s=INT),
    )
    assert made.fields[0].source_type == INT


# --- when


def test_when_silences_a_field_for_the_other_rows() -> None:
    source = {"kind": (TEXT, ["a", "b", None]), "v": (TEXT, ["x", "12", "y"])}
    fields = {
        "n": field("v", when="kind = 'b'", do=["integer"], default="7", check=["required"]),
        "m": field("v", when="kind = 'a'", map={"x": "X"}, check=[Check(name="min_length", argument="2")]),
    }
    result = run(fields, source, {"n": INT, "m": TEXT})
    assert found(result, "n") == [None, 12, None]
    assert found(result, "m") == ["X", None, None]
    assert codes(result) == [(0, "m", "min_length")]
    assert events(result) == []


def test_when_before_a_column_that_takes_no_null() -> None:
    made = mapping({"n": field("v", when="kind = 'b'")})
    target = table("contacts", ID, Column("n", INT, nullable=False))
    result = rows_of(made, {"kind": (TEXT, ["a", "b"]), "v": (INT, [1, 2])}, target)
    assert codes(result) == [(0, "n", "required")]


def test_when_before_references_and_lookups() -> None:
    fields = {
        "owner": field("rep", when="kind = 'a'", ref=Ref(to="users"), check=["required", "unique"]),
        "who": field("rep", when="kind = 'b'", ref=Ref(kind="kind", kinds={"b": "users"})),
    }
    result = run(fields, {"kind": (TEXT, ["a", "b"]), "rep": (TEXT, ["7", "8"])}, {"owner": INT, "who": INT})
    assert found(result, "__ref.owner") == ['["7"]', None]
    assert found(result, "__ref_to.owner") == ["users", None]
    assert found(result, "__ref.who") == [None, '["8"]']
    assert codes(result) == []


def test_when_that_cannot_be_computed() -> None:
    fields = {"n": field("t", when="CAST(t AS BIGINT) > 1")}
    result = run(fields, {"t": (TEXT, ["5", "x", "0"])}, {"n": TEXT})
    assert found(result, "n") == ["5", None, None]
    assert codes(result) == [(1, "n", "type")]


# --- bands

BANDS = Bands(limits=(("1", "one"), ("10", "ten"), ("50.5", None), ("9007199254740993", "most")))


@pytest.mark.parametrize(
    ("type_", "values", "wanted"),
    [
        (INT, [1, 2, 10, 11, -5, 0, None], ["one", "ten", "ten", None, "one", "one", None]),
        (INT, [9007199254740993, 9007199254740994], ["most", None]),  # one more than a double can tell
        (TEXT, ["1.0", " 10 ", "", "50.5", "50.51", "1e1"], ["one", "ten", None, None, "most", "ten"]),
        (MONEY, [Decimal("1.01"), Decimal("1.00")], ["ten", "one"]),
        (Type(Kind.FLOAT, bits=64), [1.0000000000000002, 1.0, None], ["ten", "one", None]),
    ],
)
def test_bands_include_their_upper_bound(type_: Type, values: list[Any], wanted: list[str | None]) -> None:
    result = run({"b": field("n", bands=BANDS)}, {"n": (type_, values)}, {"b": TEXT})
    assert found(result, "b") == wanted
    beyond = [i for i, v in enumerate(values) if v == 9007199254740994]
    assert codes(result) == [(i, "b", "unmapped_value") for i in beyond]


def test_bands_refuse_what_is_no_number_and_have_an_end_or_above() -> None:
    low = Bands(limits=(("10", "1"),))
    source = {"n": (TEXT, ["5", "x", "NaN", "11", None])}
    assert codes(run({"b": field("n", bands=low)}, source, {"b": INT})) == [
        (1, "b", "type"),
        (2, "b", "type"),
        (3, "b", "unmapped_value"),
    ]
    above = Bands(limits=(("10", "1"),), above="2", has_above=True)
    assert found(run({"b": field("n", bands=above)}, source, {"b": INT}), "b") == [1, None, None, 2, None]
    kept = run({"b": field("n", bands=low, unmapped="keep")}, source, {"b": INT})
    assert found(kept, "b") == [1, None, None, 11, None]
    other = run({"b": field("n", bands=low, unmapped=Default(default="9"))}, source, {"b": INT})
    assert (found(other, "b"), events(other)) == ([1, None, None, 9, None], [(3, "defaulted", "11")])
    odd = run(
        {"b": field("f", bands=above)},
        {"f": (Type(Kind.FLOAT, bits=64), [float("inf"), float("nan")])},
        {"b": INT},
    )
    assert codes(odd) == [(0, "b", "type"), (1, "b", "type")]


# --- what the plan says


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        (field(first_of=("name", "nmae")), "unknown_column", "did you mean `name`?"),
        (field(first_of=("name", "raw")), "type", "bytes values and others have no kind in common"),
        (field(text="{nmae}"), "unknown_column", "did you mean `name`?"),
        (field(text="{raw}"), "type", "which have no text"),
        (field(choose=(Case(when="n", value="a"),)), "expression", "a condition gives yes or no"),
        (field(choose=(Case(when="n > 1", from_="nmae"),)), "unknown_column", "did you mean `name`?"),
        (field("name", when="nmae = 'x'"), "unknown_column", "did you mean `name`?"),
        (field("name", when="n + 1"), "expression", "a condition gives yes or no"),
        (field("name", when="home.city = 'x'"), "expression", "names a table or a part of a column"),
        (field("ok", bands=BANDS), "type", "bands are for numbers"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(made: Any, code: str, words: str) -> None:
    source = source_table(id=INT, name=TEXT, n=INT, raw=Type(Kind.BYTES), ok=Type(Kind.BOOL))
    told = problems(mapping({"t": made}), source, target_table(t=TEXT))
    assert [p.code for p in told] == [code]
    assert words in f"{told[0].message} {told[0].hint}"


def test_literals_of_cases_and_bands_fit_the_target() -> None:
    source = source_table(id=INT, n=INT)
    fields = {
        "a": field(choose=(Case(when="n > 1", value="x"),), otherwise=Origin(value="y")),
        "b": field("n", bands=Bands(limits=(("1", "x"),), above="2", has_above=True)),
    }
    told = problems(mapping(fields), source, target_table(a=INT, b=INT))
    assert [(p.code, p.where) for p in told] == [
        ("literal", "contacts.a.choose.0.value"),
        ("literal", "contacts.a.else.value"),
        ("literal", "contacts.b.bands"),
    ]


def test_only_some_of_many_values_that_do_not_fit_are_told() -> None:
    many = {f"k{n}": f"v{n}" for n in range(1000)} | {"one": "1"}
    told = problems(mapping({"a": field("n", map=many)}), source_table(id=INT, n=TEXT), target_table(a=INT))
    assert len(told) == 10
    assert told[0].message == '"v0" cannot be int: not a whole number'


def test_dates_of_columns_that_are_read_differently_need_a_let() -> None:
    from migrate.mapping.model import SourceColumn, SourceTable

    columns = {"a": SourceColumn(dates=("D/M/YYYY",)), "b": SourceColumn(dates=("M/D/YYYY",))}
    source = {"tables": {"people": SourceTable(columns=columns)}}
    fields = {"d": field(first_of=("a", "b"), read_as="date"), "t": field(first_of=("a", "b"))}
    told = problems(
        mapping(fields, source=source),
        source_table(id=INT, a=TEXT, b=TEXT),
        target_table(d=Type(Kind.DATE), t=TEXT),
    )
    assert [(p.code, p.where) for p in told] == [("conflict", "contacts.d")]
    assert "let" in told[0].hint


def test_do_of_defaults_is_for_texts_only() -> None:
    trim: dict[str, Any] = {"do": (Step(name="trim"),), "do_if_text": True}
    fields = {"t": field("a", **trim), "n": field("n", **trim), "f": field(first_of=("a", "n"), **trim)}
    result = run(fields, {"a": (TEXT, [" x "]), "n": (INT, [5])}, {"t": TEXT, "n": INT, "f": TEXT})
    assert [found(result, name) for name in "tnf"] == [["x"], [5], ["x"]]
