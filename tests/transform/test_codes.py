"""Identifiers, fingerprints, JSON, pieces of texts: what holds for every input."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.mapping.function_spec import FromColumn, Row
from migrate.mapping.json_paths import parse_path

from tests.transform.test_functions import outcome

IDS = st.text("0189AMZamz", min_size=15, max_size=15)
WORDS = st.text(st.characters(exclude_characters=";", exclude_categories=["C", "Z"]), min_size=1, max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def long_form(short: str) -> str:
    """The rule of Salesforce, one character after the other."""
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, sign in enumerate(short[start : start + 5]) if "A" <= sign <= "Z")
        suffix += "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[bits]
    return short + suffix


@settings(max_examples=50, deadline=None)
@given(st.lists(IDS, max_size=6))
def test_salesforce_ids_there_and_back(ids: list[str]) -> None:
    long, failed = outcome("salesforce_id", ids, None)
    assert long == [long_form(i) for i in ids]
    assert not any(failed)
    assert outcome("salesforce_id", long, None) == (long, failed)
    assert outcome("salesforce_id", long, "15") == (ids, failed)
    # The check is of the case: turning it around in all letters is always noticed, where there is a letter.
    other, failed = outcome("salesforce_id", [i[:15].swapcase() + i[15:] for i in long], None)
    assert failed == [any(c.isalpha() for c in i) for i in ids]
    assert other == [None if bad else i for bad, i in zip(failed, long, strict=True)]


@settings(max_examples=50, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_what_join_puts_together_split_takes_apart(words: list[str]) -> None:
    columns = {f"c{n}": word for n, word in enumerate(words[1:])}
    others = tuple(FromColumn(from_=name) for name in columns) or (FromColumn(from_="c0"),)
    row = Row(words[0], columns or {"c0": None})
    joined, _ = outcome("join", [row], {"with": others, "on": "; "})
    for place, word in enumerate(words):
        assert outcome("split", joined, {"on": ";", "part": str(place + 1)})[0] == [word]
        assert outcome("split", joined, {"on": ";", "part": str(place - len(words))})[0] == [word]
    for beyond in (len(words) + 1, -len(words) - 1):
        assert outcome("split", joined, {"on": ";", "part": str(beyond)}) == ([None], [False])


@settings(max_examples=100, deadline=None)
@given(JSON, st.lists(st.text(max_size=3) | st.integers(-4, 4), min_size=1, max_size=3))
def test_json_gives_what_is_there(document: Any, path: list[str | int]) -> None:
    written = "$" + "".join(f"[{json.dumps(step)}]" for step in path)
    assert parse_path(written) == tuple(path)
    expected: Any = document
    for step in path:
        try:
            expected = cast(Any, expected)[step] if isinstance(expected, (dict, list)) else None
        except (KeyError, IndexError, TypeError):
            expected = None
    text = json.dumps(document)
    found, failed = outcome("json", [text], written)
    assert failed == [False]
    if expected is None or isinstance(expected, str):
        assert found == [expected]
    else:
        assert json.loads(found[0]) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "$",
        "$.",
        "$..a",
        "$.a.",
        "$[",
        "$[a]",
        "$[0",
        "$.a[*]",
        "$.a[0:2]",
        '$["a',
        "$.a[?(@.b)]",
        '$["\\x"]',
    ],
)
def test_what_is_no_path_is_told(text: str) -> None:
    if text == "a":
        assert parse_path(text) == ("a",)
        return
    with pytest.raises(ValueError, match=r"path|names nothing|not a text of JSON"):
        parse_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{",
        '{"a": NaN}',
        "Infinity",
        '{"a": "\ud800"}'.encode("utf-8", "surrogatepass").decode("utf-8", "replace") + "x",
        "[1,]",
        "'a'",
        "nul",
    ],
)
def test_what_is_no_json_fails(text: str) -> None:
    assert outcome("json", [text], "$.a") == ([None], [True])


def test_json_keeps_every_digit_and_refuses_half_characters() -> None:
    digits = "1" * 5000
    assert outcome("json", [f'{{"a": {digits}, "b": [1e400, {{"c": 0.10}}]}}'], "$.a")[0] == [digits]
    assert outcome("json", [f'{{"a": {digits}, "b": [1e400, {{"c": 0.10}}]}}'], "$.b")[0] == [
        '[1e400,{"c":0.10}]'
    ]
    for path in ("$.a", "$"):
        if path != "$":
            assert outcome("json", ['{"a": "\\ud800"}'], path) == ([None], [True])
    assert outcome("json", ['{"a": ["\\ud800"]}'], "$.a") == ([None], [True])


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12), st.integers(0, 5), st.integers(0, 5), st.sampled_from("*x$\\"))
def test_mask_shows_what_it_may_and_no_more(text: str, first: int, last: int, sign: str) -> None:
    masked = outcome("mask", [text], {"first": str(first), "last": str(last), "with": sign})[0][0]
    hidden = len(text) - first - last
    expected = sign * len(text) if hidden <= 0 else text[:first] + sign * hidden + text[len(text) - last :]
    assert masked == expected
