"""Let values: seen like columns by what comes after them, told of once, written nowhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from migrate.mapping.model import Case, Check, FromColumn, Origin, Ref, Step
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
MONEY = Type(Kind.DECIMAL, precision=12, scale=2)
MOMENT = Type(Kind.TIMESTAMPTZ)
SOURCE = source_table(id=INT, name=TEXT, mail=TEXT, n=INT, at=Type(Kind.TIMESTAMP))


def run(
    let: dict[str, Any], fields: dict[str, Any], columns: Any, targets: dict[str, Type], **more: Any
) -> Any:
    return rows_of(mapping(fields, let=let, **more), columns, target_table(**targets))


def test_everything_after_a_let_value_sees_it() -> None:
    let = {
        "mail": field(first_of=("m1", "m2"), do=["trim", "lower"]),
        "host": field(expr="split_part(mail, '@', 2)"),
        "spent": field("paid", do=["currency"]),
    }
    fields = {
        "mail": field("mail"),
        "first": field(first_of=("host", "m1")),
        "text": field(text="{host}/{mail}"),
        "rank": field(
            choose=(Case(when="spent >= 100.5 AND host = 'x'", from_="spent"),), otherwise=Origin(value="0")
        ),
        "vip": field(value="yes", when="spent > 1000"),
        "padded": field(
            "host", do=[Step(name="pad", arguments={"width": "3", "with": FromColumn(from_="letter")})]
        ),
        "twice": field(expr="spent * 2"),
    }
    columns = {
        "m1": (TEXT, [" Ada@X ", None]),
        "m2": (TEXT, ["no", "BOB@yy"]),
        "paid": (TEXT, ["£1,200.50", "7"]),
        "letter": (TEXT, ["-", "."]),
    }
    targets = dict.fromkeys(("mail", "first", "text", "vip", "padded"), TEXT) | {
        "rank": MONEY,
        "twice": MONEY,
    }
    result = run(
        let,
        fields,
        columns,
        targets,
        key=("mail",),
        match={"first": "host", "text": "upper(mail)"},
        where="m2 <> 'mail'",
    )
    assert codes(result) == []
    assert found(result, "__key") == ['["ada@x"]', '["bob@yy"]']
    assert found(result, "mail") == ["ada@x", "bob@yy"]
    assert found(result, "first") == ["x", "yy"]
    assert found(result, "text") == ["x/ada@x", "yy/bob@yy"]
    assert found(result, "rank") == [Decimal("1200.50"), Decimal("0.00")]
    assert found(result, "vip") == ["yes", None]
    assert found(result, "padded") == ["--x", ".yy"]
    assert found(result, "twice") == [Decimal("2401.00"), Decimal("14.00")]
    assert (found(result, "__match.first"), found(result, "__match.text")) == (
        ["x", "yy"],
        ["ADA@X", "BOB@YY"],
    )


def test_a_let_value_that_fails_is_told_of_once() -> None:
    let = {"n": field("t", do=["integer"]), "m": field(expr="n + 1")}
    fields = {
        "a": field("n", check=["required"], default="5"),
        "b": field("m"),
        "c": field(choose=(Case(when="m > 5", value="big"),)),
        "d": field("t", when="n > 1"),
        "e": field("t"),
    }
    result = run(
        let, fields, {"t": (TEXT, ["9", "x", None])}, {"a": INT, "b": INT, "c": TEXT, "d": TEXT, "e": TEXT}
    )
    assert codes(result) == [(1, "let.n", "type"), (2, "c", "no_case")]
    assert found(result, "a") == [9, None, 5]
    assert found(result, "b") == [10, None, None]
    assert found(result, "e") == ["9", "x", None]


def test_checks_of_a_let_value() -> None:
    ok = Check(name="pattern", argument=".+@.+", on_fail="empty_and_flag")
    result = run(
        {"mail": field("m", check=[ok])}, {"a": field("mail")}, {"m": (TEXT, ["x@y", "xy"])}, {"a": TEXT}
    )
    assert found(result, "a") == ["x@y", None]
    assert events(result) == [(1, "emptied", "xy")]
    kept = run(
        {"mail": field("m", check=["required"])}, {"a": field("mail")}, {"m": (TEXT, ["", "x"])}, {"a": TEXT}
    )
    assert codes(kept) == [(0, "let.mail", "required")]


def test_a_key_that_is_made_and_rows_that_are_left_out() -> None:
    let = {"k": field(text="{site}-{nr}"), "n": field("nr", do=["integer"])}
    columns = {"site": (TEXT, ["a", "b", None]), "nr": (TEXT, ["1", "x", None])}
    result = run(let, {"t": field("nr")}, columns, {"t": TEXT}, key=("k",), where="site <> 'b'")
    assert [(r["key"], r["reason"]) for r in result.excluded.to_pylist()] == [
        ('["b-x"]', "where"),
        (None, "where"),
    ]
    assert found(result, "__key") == ['["a-1"]']
    failing = run(let, {"t": field("nr")}, columns, {"t": TEXT}, key=("n",))
    assert codes(failing) == [(1, "let.n", "type"), (2, "", "key_missing")]
    assert found(failing, "__key") == ['["1"]', None, None]


def test_let_values_are_no_part_of_the_rows_hash() -> None:
    columns = {"t": (TEXT, ["1"])}
    plain = run({}, {"a": field("t")}, columns, {"a": TEXT})
    with_let = run({"n": field("t", do=["integer"])}, {"a": field("n")}, columns, {"a": TEXT})
    assert found(plain, "__hash") == found(with_let, "__hash")


def test_decimals_that_are_too_long_for_sql_fail_where_sql_sees_them() -> None:
    long = "0.12345678901"
    let = {"d": field("t", do=["decimal"])}
    fields = {"exact": field("d"), "more": field(expr="coalesce(d, 1) + 1"), "big": field("t", when="d > 1")}
    result = run(let, fields, {"t": (TEXT, [long, "2.5", None])}, {"exact": TEXT, "more": TEXT, "big": TEXT})
    assert found(result, "exact") == [long, "2.5", None]
    assert found(result, "more") == [None, "3.5000000000", "2.0000000000"]
    assert found(result, "big") == [None, "2.5", None]
    assert codes(result) == [(0, "more", "type"), (0, "big", "type")]


@pytest.mark.parametrize(
    ("made", "type_"),
    [
        (field("name"), TEXT),
        (field("n"), INT),
        (field("n", do=["trim"]), TEXT),
        (field("name", do=["decimal"]), Type(Kind.DECIMAL)),
        (field("name", read_as="date"), Type(Kind.DATE)),
        (field("at", do=[Step(name="date")]), Type(Kind.DATE)),
        (field("name", do=[Step(name="timestamp", arguments={"epoch": "seconds"})]), MOMENT),
        (field("name", do=[Step(name="timestamp", arguments="YYYY-MM-DD HH:mmZ")]), MOMENT),
        (field("name", do=["timestamp"]), Type(Kind.TIMESTAMP)),
        (field("name", do=["integer"], map={"1": "x"}), TEXT),
        (field("name", do=["boolean"], default="true"), Type(Kind.BOOL)),
        (field(expr="n > 1"), Type(Kind.BOOL)),
        (field(value="x"), TEXT),
    ],
)
def test_the_type_of_a_let_value_is_that_of_its_last_step(made: Any, type_: Type) -> None:
    entity = compiled(mapping({"t": field("name")}, let={"v": made}), SOURCE, target_table(t=TEXT))
    assert entity.lets[0].type == type_


def test_a_moment_of_a_let_value_is_one_at_run_time() -> None:
    let = {"seen": field("t", do=[Step(name="timestamp", arguments="YYYY-MM-DD HH:mmZ")])}
    fields = {"late": field(value="yes", when="seen > '2024-01-01 00:00+00'"), "at": field("seen")}
    result = run(
        let,
        fields,
        {"t": (TEXT, ["2024-01-01 02:00+02:00", "2024-01-01 02:00Z"])},
        {"late": TEXT, "at": MOMENT},
    )
    assert found(result, "late") == [None, "yes"]
    assert [v.hour for v in found(result, "at")] == [0, 2]


@pytest.mark.parametrize(
    ("let", "fields", "place", "words"),
    [
        ({"Mail": field("name")}, {}, "let.Mail", '"mail" is a column of people already'),
        ({"_line": field("name")}, {}, "let._line", "already"),
        ({"a": field("b"), "b": field("name")}, {}, "let.a.from", "made further down"),
        ({"a": field(expr="b || 'x'"), "b": field("name")}, {}, "let.a.expr", "`b` is made further down"),
        ({"a": field("a")}, {}, "let.a.from", "further down"),
        (
            {"a": field("nmae")},
            {"t": field("a"), "u": field(expr="a || 'x'")},
            "let.a.from",
            "did you mean `name`?",
        ),
        ({"a": field("n", default="x")}, {}, "let.a.default", '"x" cannot be int'),
        ({"a": field("name")}, {"t": field("b")}, "t.from", 'has no column "b"'),
        ({"a": field("n")}, {"t": field(expr="a = 'x'")}, "t.expr", "a is a number, and 'x' is text"),
        ({"a": field("name", do=["timestamp"])}, {"m": field("a")}, "m", "holds times without a zone"),
    ],
)
def test_what_is_wrong_with_let_values(let: Any, fields: Any, place: str, words: str) -> None:
    target = target_table(t=TEXT, u=TEXT, m=MOMENT)
    told = problems(mapping(fields or {"t": field("name")}, let=let), SOURCE, target)
    assert [p.where for p in told] == [f"contacts.{place}"]
    assert words in f"{told[0].message} {told[0].hint}"


def test_where_does_not_see_let_values() -> None:
    told = problems(
        mapping({"t": field("v")}, let={"v": field("name")}, where="v = 'x'"), SOURCE, target_table(t=TEXT)
    )
    assert [(p.code, p.where) for p in told] == [("unknown_column", "contacts.where")]
    assert "`where` runs on the rows as they came" in told[0].hint


def test_columns_of_joined_tables_have_a_dot() -> None:
    """They come as columns of the road; SQL names them in two words, or as one quoted name."""
    columns = {"home.City": (TEXT, ["Leeds", None]), "home.no": (INT, [7, 8]), "name": (TEXT, ["a", "b"])}
    fields = {
        "a": field("home.City"),
        "b": field(expr='upper(home.city) || "home.no"'),
        "c": field(text="{home.City} {home.no}"),
        "d": field(first_of=("home.City", "name")),
        "e": field(
            choose=(Case(when="home.no = 7 AND home.City LIKE 'L%'", from_="home.no"),), otherwise="empty"
        ),
    }
    let = {"town": field(expr="lower(home.city)")}
    made = run(
        let, fields | {"f": field("town")}, columns, dict.fromkeys("abcdef", TEXT), where="home.no < 9"
    )
    assert [found(made, name) for name in "abcdef"] == [
        ["Leeds", None],
        ["LEEDS7", None],
        ["Leeds 7", " 8"],
        ["Leeds", "b"],
        ["7", None],
        ["leeds", None],
    ]
    told = problems(
        mapping({"t": field(expr="home.town"), "u": field(expr="work.city")}),
        source_table(**{"home.city": TEXT, "id": INT}),
        target_table(t=TEXT, u=TEXT),
    )
    assert [p.message.partition(";")[0] for p in told] == [
        "there is no column `home.town` (did you mean `home.city`?)",
        '"work.city" names a table or a part of a column',
    ]


def test_a_reference_by_a_let_value() -> None:
    target = table("contacts", ID, Column("owner", INT))
    made = mapping({"owner": field("who", ref=Ref(to="users"))}, let={"who": field("rep", do=["trim"])})
    result = rows_of(made, {"rep": (TEXT, [" 7 "])}, target)
    assert found(result, "__ref.owner") == ['["7"]']


EVERY_KIND: list[tuple[Type, list[Any]]] = [
    (Type(Kind.BOOL), [True, False, None]),
    (Type(Kind.INT, bits=16), [-32768, 5, None]),
    (Type(Kind.FLOAT, bits=32), [0.1, float("inf"), None]),
    (Type(Kind.FLOAT, bits=64), [5e-324, float("nan"), None]),
    (Type(Kind.DECIMAL, precision=38, scale=10), [Decimal("1.5"), Decimal("-0.0000000001"), None]),
    (Type(Kind.DECIMAL), ["1.50", "1" + "0" * 60, None]),
    (Type(Kind.TEXT, length=5), ["00010", "", None]),
    (Type(Kind.TEXT, labels=("a", "b")), ["a", "b", None]),
    (Type(Kind.BYTES), [b"\x00\xff", b"", None]),
    (Type(Kind.DATE), [date(1, 1, 1), date(9999, 12, 31), None]),
    (Type(Kind.TIME), [time(23, 59, 59, 999999), time(0), None]),
    (Type(Kind.TIMESTAMP), [datetime(2024, 3, 31, 1, 30, 0, 1), datetime(1900, 1, 1), None]),
    (MOMENT, [datetime(2024, 3, 31, 1, 30, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), None]),
    (Type(Kind.UUID), ["00000000-0000-0000-0000-00000000000a", None, None]),
    (Type(Kind.JSON), ['{"a": [1, null]}', "null", None]),
    (Type(Kind.JSON, textual=True), ['{ "a":1}', "1.50", None]),
    (Type(Kind.ARRAY, item=TEXT), [["a", None, ""], [], None]),
    (Type(Kind.OPAQUE, native="inet"), ["10.0.0.1/8", "::1", None]),
]


@pytest.mark.parametrize(
    ("type_", "values"), EVERY_KIND, ids=lambda v: v.kind.value if isinstance(v, Type) else ""
)
def test_every_kind_of_value_comes_through_as_it_is(type_: Type, values: list[Any]) -> None:
    """By way of a let value, of the one column that is filled, and of a case, as by a plain `from`."""
    case = (Case(when="id < 9", from_="v"),)
    fields = {
        "plain": field("a"),
        "let": field("v"),
        "first": field(first_of=("none", "v")),
        "case": field(choose=case, otherwise=Origin(from_="a")),
        "when": field("v", when="id < 9"),
    }
    columns = {"a": (type_, values), "none": (type_, [None] * 3)}
    result = run({"v": field("a")}, fields, columns, dict.fromkeys(fields, type_))
    assert codes(result) == []
    expected = repr(found(result, "plain"))
    filled = [None if v == "" and type_.kind is Kind.TEXT else v for v in found(result, "plain")]
    assert {name: repr(found(result, name)) for name in ("let", "case", "when")} == dict.fromkeys(
        ("let", "case", "when"), expected
    )
    assert repr(found(result, "first")) == repr(filled)
