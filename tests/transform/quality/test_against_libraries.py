"""The fast ways say what email-validator and libphonenumber say."""

from __future__ import annotations

import phonenumbers
import polars as pl
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given, settings
from hypothesis import strategies as st
from migrate.mapping.model import Check
from migrate.transform.quality import About, broken_rows
from migrate.transform.quality.phone_plans import kinds
from migrate.transform.values import TEXT, Values

SIGNS = "abzAZ019.-_+@!#'ü\" ,()[]\\日"
DOMAINS = st.sampled_from(
    ["x.com", "a-b.co.uk", "-a.com", "a..com", "x.c", "a.b1", "xn--a.com", "ab--c.de", "müller.de", "x.123"]
)


def accepted(text: str) -> bool:
    try:
        read = validate_email(
            text, strict=True, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError:
        return False
    return "." in read.domain


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(SIGNS, max_size=20),
            st.builds("{}@{}".format, st.text(SIGNS, min_size=1, max_size=12), DOMAINS),
        ),
        max_size=12,
    )
)
@example(["a" * 65 + "@x.com", "a@" + "b" * 64 + ".com", "a@" + "b." * 130 + "com", "a@1.2.3.4", "a@x.com."])
def test_syntax_is_that_of_email_validator(texts: list[str]) -> None:
    broken = broken_rows(Check(name="email"), Values(pl.Series(texts, dtype=pl.String), TEXT), About())
    bad = {texts[n] for one in broken if one.code == "email_syntax" for n in range(len(texts)) if one.mask[n]}
    assert bad == {text for text in texts if not accepted(text.lower())}


def kind(text: str, region: str | None) -> int:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return 0
    if not phonenumbers.is_valid_number(number):
        return 0
    known = {0: 2, 1: 3, 2: 4, 99: 0}
    return known.get(phonenumbers.number_type(number), 1)


REGIONS = ["GB", "US", "DE", "FR", "IT", "RU", "AU", "BR", "MX", "AR", "CN", "JP", "HU", "CA", "JE", "SE"]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(REGIONS), st.data())
def test_plans_say_what_the_library_says(region: str, data: st.DataObject) -> None:
    """Numbers of real plans, with digits changed: with +, and as the country writes them."""
    code = phonenumbers.country_code_for_region(region)
    first = phonenumbers.example_number(region)
    assert first is not None
    nsn = phonenumbers.national_significant_number(first)
    digits = data.draw(
        st.lists(
            st.one_of(
                st.text("0123456789", min_size=3, max_size=12),
                st.builds(
                    lambda head, tail: nsn[:head] + tail,
                    st.integers(1, len(nsn)),
                    st.text("0123456789", max_size=9),
                ),
                st.builds(
                    lambda t: phonenumbers.national_significant_number(
                        phonenumbers.example_number_for_type(region, t) or first
                    ),
                    st.sampled_from([0, 1, 3, 4, 6]),
                ),
            ),
            min_size=1,
            max_size=30,
        )
    )
    texts = [
        *(f"+{code}{d}" for d in digits),
        *digits,
        *(f"0{d}" for d in digits),
        *(f"+{code} {d[:3]}-{d[3:]}" for d in digits),
    ]
    found, known = kinds(pl.Series(texts), region)
    wrong = [
        (text, int(found[n]), kind(text, region))
        for n, text in enumerate(texts)
        if known[n] and found[n] != kind(text, region)
    ]
    assert not wrong


def test_common_forms_are_read_by_the_plans() -> None:
    texts = [
        "+442079460018",
        "+44 20 7946 0018",
        "020 7946 0018",
        "+1 212-555-0123",
        "+49 30 901820",
        "(0161) 496-0123",
    ]
    _, known = kinds(pl.Series(texts), "GB")
    assert known.all()
