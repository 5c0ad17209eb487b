"""Parts and capital letters of names: the quick way is the library's way, and what no list holds."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.transform.functions.names import _parsed, _plain_parts, _special_words

from tests.transform.test_functions import outcome

ODD = sorted(word for word in _special_words() if word.isalpha())
WORDS = st.sampled_from(["Ada", "LOVELACE", "byron", "Émile", "Strauß", "Ng", "McDonald"]) | st.sampled_from(
    ODD
)
PARTS = ("given", "family", "middle", "prefix", "suffix", "full")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(WORDS, min_size=1, max_size=4),
    st.sampled_from([" ", ", "]),
    st.sampled_from([str, str.title, str.upper]),
)
def test_plain_names_are_read_as_the_library_reads_them(words: list[str], sign: str, spelled: Any) -> None:
    text = (
        sign.join([spelled(words[0]), " ".join(spelled(w) for w in words[1:])])
        if words[1:]
        else spelled(words[0])
    )
    for part in PARTS:
        made, done = _plain_parts(pl.Series([text]), part)
        if done[0]:
            assert made[0] == (getattr(_parsed(text, "given_first", "given"), part) or None)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Rev. Dr. Martin Luther King, Jr., PhD", ("Martin", "King", "Luther", "Rev. Dr.", "Jr., PhD")),
        ("de la Vega, Maria del Carmen", ("Maria", "de la Vega", "del Carmen", None, None)),
        ("VAN DER BERG", (None, "VAN DER BERG", None, None, None)),
        ("Van Johnson", ("Van", "Johnson", None, None, None)),
        ("Lovelace,", (None, "Lovelace", None, None, None)),
        ("Mr Smith", (None, "Smith", None, "Mr", None)),
        ("Jones Jr.", ("Jones", None, None, None, "Jr.")),
        ('Robert "Bob" Jones', ("Robert", "Jones", None, None, None)),
        ("José Ortega y Gasset", ("José", "Ortega y Gasset", None, None, None)),
        ("Anna-Maria O’Neil", ("Anna-Maria", "O’Neil", None, None, None)),
        ("毛泽东", (None, "毛泽东", None, None, None)),
    ],
)
def test_names_that_people_have(text: str, parts: tuple[str | None, ...]) -> None:
    for part, expected in zip(PARTS, parts, strict=False):
        assert outcome("name", [text], part) == ([expected], [False])


@pytest.mark.parametrize("text", ["-", "123", "()", "((", ",", "...", "\x00", "a" * 501, "(null)"])
def test_what_is_no_name_fails(text: str) -> None:
    assert outcome("name", [text], "given") == ([None], [True])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("van 't hoff, jan", "van 't Hoff, Jan"),
        ("MARIA DE LOS SANTOS", "Maria de los Santos"),
        ("VON TRAPP", "von Trapp"),
        ("LEONARDO DA VINCI", "Leonardo da Vinci"),
        ("ANH DO", "Anh Do"),
        ("JOHN Y. SMITH", "John Y. Smith"),
        ("Mcdonald", "McDonald"),
        ("McDONALD", "McDonald"),
        ("Macdonald", "Macdonald"),
        ("MACEY MACK", "Macey Mack"),
        ("DELL'ACQUA", "Dell'Acqua"),
        ("JAMES'S", "James's"),
        ("O’NEIL", "O’Neil"),
        ("J.R.R. TOLKIEN", "J.R.R. Tolkien"),
        ("JOHN SMITH MD PHD", "John Smith MD PhD"),
        ("E\u0301LAN", "E\u0301lan"),
        ("İBRAHİM", "İbrahim"),
        ("DiCaprio LeBRON", "DiCaprio LeBRON"),
        ("毛 123 !", "毛 123 !"),
    ],
)
def test_capital_letters_of_names(text: str, expected: str) -> None:
    assert outcome("title", [text, expected], {"names": "yes"})[0] == [expected, expected]


@settings(max_examples=200, deadline=None)
@given(st.text("aBcMmoO'’- .,yvandeİßé\u0301", max_size=15))
def test_names_keep_their_letters(text: str) -> None:
    once = outcome("title", [text], {"names": "yes"})[0]
    assert outcome("title", once, {"names": "yes"})[0] == once
    assert len(once[0].casefold().replace("\u0307", "")) == len(text.casefold().replace("\u0307", ""))
