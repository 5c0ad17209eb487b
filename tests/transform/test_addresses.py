"""E-mail addresses and domains: there and back, and what is none."""

from __future__ import annotations

import idna
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.transform.test_functions import outcome

LABELS = st.text("abzéßñøαωбяш中文عر0-9-", min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(LABELS, min_size=1, max_size=3), st.sampled_from(["{}", "ada@{}", "https://{}/Ä?b=@", "//{}:80"])
)
def test_domains_to_ascii_and_back(labels: list[str], place: str) -> None:
    host = ".".join([*labels, "example"])
    try:
        coded = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        assume(False)
    text = place.format(host)
    there, failed = outcome("punycode", [text], None)
    assert (there, failed) == ([place.format(coded)], [False])
    back, failed = outcome("punycode", there, "unicode")
    assert failed == [False]
    assert back == [place.format(idna.decode(coded))]
    assert outcome("punycode", back, None)[0] == there
    if place == "ada@{}":
        assert outcome("email", [text], None)[0] == back
        assert outcome("email", there, None)[0] == there


@pytest.mark.parametrize(
    "text",
    [
        "xn--a.example",
        "xn--\x80.example",
        "a..example",
        "-a.example",
        "a-.example",
        "ada@",
        "a b.example",
        "x" * 64 + ".example",
        "ü" * 64 + ".example",
        "[::1]",
        "☃︎\u200d.example",
    ],
)
def test_what_is_no_domain(text: str) -> None:
    for name in ("punycode", "domain"):
        assert outcome(name, [text], None) == ([None], [True])
    assert outcome("email", [f"ada@{text}"], None) == ([None], [True])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<ada@x.com>", "ada@x.com"),
        ('"Lovelace, Ada" < ada@x.com >;', "ada@x.com"),
        ("ada@y.com <ada@x.com>", "ada@x.com"),
        ("MAILTO:ada@x.com", "ada@x.com"),
        ("<mailto:ada@x.com>", "ada@x.com"),
        ('"ada@x.com"', "ada@x.com"),
        ("o'neil@x.com", "o'neil@x.com"),
        ("{ada}/a=b@x.com", "{ada}/a=b@x.com"),
        ("jörg@x.com", "jörg@x.com"),
        ("a" * 64 + "@x.com", "a" * 64 + "@x.com"),
        ("ada@" + "a." * 120 + "example", "ada@" + "a." * 120 + "example"),
        # none, or two
        ("a" * 65 + "@x.com", None),
        ("ada@" + "a." * 124 + "example", None),
        ("Ada <ada@x.com>, Bob <bob@x.com>", None),
        ("ada@x.com bob@x.com", None),
        ("ada@x.com;bob@x.com", None),
        ("ada@@x.com", None),
        (".ada@x.com", None),
        ("ada.@x.com", None),
        ("ada@x.com.", None),
        ("ada@x.c0m1.1", None),
        ("ada@[10.0.0.1]", None),
        ("ada@10.0.0.1", None),
        ('"a b"@x.com', None),
        ("ada(comment)@x.com", None),
        ("ada@x_y.com", None),
        ("ada@x.com>", None),
        ("ada\u200b@x.com", None),
        ("ada@x.com\x00", None),
        ("www.x.com", None),
    ],
)
def test_addresses_that_people_write(text: str, expected: str | None) -> None:
    assert outcome("email", [text], None) == ([expected], [expected is None])


@settings(max_examples=100, deadline=None)
@given(st.text("Aa0+.-_@ <>'", max_size=12))
def test_what_email_gives_stays_itself(text: str) -> None:
    found, _ = outcome("email", [text + "@Example.com", text], None)
    again, refused = outcome("email", [f for f in found if f], None)
    assert again == [f for f in found if f]
    assert not any(refused)
    assert outcome("domain", again, None)[0] == [f.rpartition("@")[2] for f in again]
    tagless, _ = outcome("plus_tag", again, None)
    assert tagless == [
        f if f.startswith("+") else f.partition("@")[0].partition("+")[0] + "@" + f.rpartition("@")[2]
        for f in again
    ]


@pytest.mark.parametrize(
    ("text", "www", "expected"),
    [
        ("HTTP://user:pw@Shop.Example.co.uk:443/p@th?x=//y#z", "keep", "shop.example.co.uk"),
        ("//cdn.example.com/x", "keep", "cdn.example.com"),
        ("www.example.com.", "drop", "example.com"),
        ("www.com", "drop", "www.com"),
        ("https://bücher.example", "keep", "bücher.example"),
        ("mailto:ada@x.com", "keep", "x.com"),
        ("not an@x.com", "keep", None),
        ("http://", "keep", None),
        ("http://[::1]/", "keep", None),
        ("javascript:alert(1)", "keep", None),
        ("file:///etc/passwd", "keep", None),
        ("a/b.com", "keep", None),
    ],
)
def test_domains_of_what_people_write(text: str, www: str, expected: str | None) -> None:
    assert outcome("domain", [text], www) == ([expected], [expected is None])
