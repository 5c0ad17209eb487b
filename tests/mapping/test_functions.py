"""The table of `do` functions: consistent with itself, arguments typed and checked."""

from __future__ import annotations

from decimal import Decimal

import pytest
from migrate.mapping import dates
from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import FAILS, Arguments
from migrate.mapping.functions import FUNCTIONS, arguments_of
from migrate.mapping.model import Step
from migrate.mapping.patterns import groups_of, pattern_problem


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_documented_by_examples(name: str) -> None:
    spec = FUNCTIONS[name]
    assert spec.name == name
    assert spec.summary.endswith(".")
    assert len(spec.examples) >= 2
    for _, arguments, output in spec.examples:
        typed = arguments_of(Step(name=name, arguments=arguments))
        assert set(typed) == {p.name for p in spec.parameters} | ({spec.rest.name} if spec.rest else set())
        assert (
            output is FAILS
            or output is None
            or type(output).__name__
            == {"text": "str", "timestamp": "datetime", "boolean": "bool"}.get(
                spec.returns, {"decimal": "Decimal", "integer": "int", "date": "date"}.get(spec.returns)
            )
        )
    for parameter in spec.parameters:
        assert parameter.default is None or not parameter.choices or parameter.default in parameter.choices


def test_arguments_are_typed_and_defaulted() -> None:
    assert arguments_of(Step(name="round", arguments="0")) == {"places": 0, "half": "up"}
    assert arguments_of(Step(name="pad", arguments={"width": "5", "with": " "})) == {
        "width": 5,
        "with": " ",
        "side": "left",
    }
    assert arguments_of(Step(name="date", arguments="M/D/YYYY"))["formats"] == ("M/D/YYYY",)
    assert arguments_of(Step(name="date", arguments={"day_first": "no"}))["day_first"] is False
    assert arguments_of(Step(name="units", arguments={"k": "1000", "point": ","})) == {
        "point": ",",
        "factors": {"k": Decimal(1000)},
    }
    with pytest.raises(ValueError, match="whole number"):
        arguments_of(Step(name="round", arguments="x"))


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("pad", None, "needs `width`"),
        ("pad", "0", "1 to 10000"),
        ("pad", {"width": "3", "with": "ab"}, "exactly one character"),
        ("replace", "a", "needs `to`"),
        ("replace", {"from": "", "to": "x"}, "`from` is empty"),
        ("slice", {"from": "0"}, "counts from 1"),
        ("slice", "-1", "0 or more"),
        ("round", "40", "-38 to 38"),
        ("round", ("1", "2"), "not a list"),
        ("lower", "x", "takes no arguments"),
        ("units", "kg", "names with values"),
        ("units", {"kg": "heavy"}, "numbers"),
        ("units", {"point": ","}, "needs `factors`"),
        ("units", None, "needs `factors`"),
        ("date", {"formats": "D/M/YYYY", "day_first": "yes"}, "exclude each other"),
        ("date", {"excel_serial": "1900", "epoch": "seconds"}, "both read plain numbers"),
        ("date", "D/M", "has no year"),
        ("date", "D/M/YYYY h:mm", "without A"),
        ("timestamp", {"timezone": "Mars/Base"}, "not a timezone"),
        ("timestamp", {"timezone": "../etc/passwd"}, "not a timezone"),
        ("boolean", {"true": ("yes",), "false": ("Yes",)}, "for yes and for no"),
        ("boolean", {"true": ()}, "empty list"),
        ("pattern", {"find": "(a)", "group": "2"}, "no bracket 2"),
        ("pattern", {"find": "a", "replace": "\\1"}, "no bracket"),
        ("pattern", {"find": "(a)", "group": "1", "replace": "x"}, "give one"),
        ("pattern", "", "empty"),
        ("mask", {"first": "-1"}, "0 or more"),
        ("mask", {"with": ""}, "exactly one character"),
        ("split", "", "`on` is empty"),
        ("split", {"on": ";", "part": "0"}, "counts from 1"),
        ("join", "city", 'are columns, not the text "city"'),
        ("join", (), "empty list"),
        ("join", ("city",), "are columns"),
        ("first_of", None, "needs `columns`"),
        ("uuid5", "http", "url, oid, x500 or a UUID"),
        ("json", "$.a[*]", "not a path into JSON"),
        ("hash", "crc32", "is one of"),
        ("phone", "Narnia", "is a country"),
        ("phone", {"region": "Antarctica"}, "no phone numbers of its own"),
        ("state", {"country": "US", "to": "iso2"}, "is one of"),
    ],
)
def test_wrong_arguments_are_told(name: str, arguments: Arguments, words: str) -> None:
    _, problems = parse_arguments(FUNCTIONS[name], arguments)
    assert len(problems) == 1
    assert words in problems[0].message


def test_date_formats() -> None:
    pieces = dates.pieces("D [de] MMM YYYYTHH:mm:ss.SSSZ")
    assert [p.token for p in pieces if p.token] == ["D", "MMM", "YYYY", "HH", "mm", "ss", "SSS", "Z"]
    assert "".join(p.literal for p in pieces) == " de  T::."
    assert dates.has_zone("YYYY-MM-DD HH:mmZ")
    for wrong, words in (
        ("yyyy-MM-DD", "YYYY or YY"),
        ("DD.MM.YYYY DD", "day twice"),
        ("[YYYY", "closing"),
        ("YYYY-DD", "no month"),
        ("", "no year"),
    ):
        with pytest.raises(ValueError, match=words):
            dates.pieces(wrong)


@pytest.mark.parametrize("pattern", ["(", "*a", "a(?=b)", "(?<!a)b", r"(a)\1", "a{1,100000}", "", "[z-a]"])
def test_patterns_that_cannot_run_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern)


@pytest.mark.parametrize("pattern", [r"^[A-Z]{2}\d+$", r"\p{L}+", "(?i)a|b", r"(?P<x>a)(b)", r"\(?=x"])
def test_patterns_that_run(pattern: str) -> None:
    assert pattern_problem(pattern) is None


def test_groups() -> None:
    assert [groups_of(p) for p in ("a", r"\(a\)", "(a)(?:b)(?P<c>d)")] == [0, 0, 2]
