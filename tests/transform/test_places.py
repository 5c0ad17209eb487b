"""Phone numbers, countries and states: every code of the lists, and texts that are none."""

from __future__ import annotations

import phonenumbers
import pycountry
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.mapping.argument_rules import _WITHOUT_PHONES
from migrate.mapping.countries import country_of

from tests.transform.test_functions import outcome

COUNTRIES = list(pycountry.countries)


@pytest.mark.parametrize("to", ["alpha2", "alpha3", "numeric", "name"])
def test_every_country_by_every_name_and_back(to: str) -> None:
    key = {"alpha2": "alpha_2", "alpha3": "alpha_3", "numeric": "numeric"}.get(to)
    for form in ("alpha_2", "alpha_3", "numeric", "name", "official_name", "common_name"):
        some = [c for c in COUNTRIES if hasattr(c, form)]
        for spelled in (str.upper, str.lower, lambda t: f" {t} "):
            found, failed = outcome("country", [spelled(getattr(c, form)) for c in some], to)
            assert not any(failed)
            assert found == [getattr(c, key) if key else getattr(c, "common_name", c.name) for c in some]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "999",
        "Korea",
        "Virgin Islands",
        "A",
        "GBRX",
        "United",
        "England and Wales",
        "$1.00",
        "₀₁₂",
        "!&",
        "-36",
        "N/A",
        "n.a.",
        "N A",
    ],
)
def test_no_country_or_several(text: str) -> None:
    assert country_of(text) is None


def test_kosovo_has_no_number() -> None:
    assert outcome("country", ["Kosovo"], None)[0] == ["XK"]
    assert outcome("country", ["Kosovo"], "numeric") == ([None], [True])


@pytest.mark.parametrize("country", ["US", "CA", "AU", "GB", "DE", "IN"])
def test_every_state_by_code_and_name(country: str) -> None:
    states = pycountry.subdivisions.get(country_code=country)
    codes = [s.code.partition("-")[2] for s in states]
    for given_ in ([s.code for s in states], codes, [c.lower() for c in codes]):
        assert outcome("state", given_, {"country": country, "to": "iso"})[0] == [s.code for s in states]
    assert outcome("state", [s.code.lower() for s in states], None)[0] == codes
    if country in ("US", "CA", "AU"):
        by_name, failed = outcome("state", [s.name.upper() for s in states], country)
        assert (by_name, any(failed)) == (codes, False)
        assert outcome("state", codes, {"country": country, "to": "name"})[0] == [s.name for s in states]


def test_states_that_are_not_clear() -> None:
    assert outcome("state", ["Papua", "ID-PA"], "Indonesia") == ([None, "PA"], [True, False])
    assert outcome("state", ["WA", "AU-WA", "WA-US"], "US") == (["WA", None, None], [False, True, True])
    assert outcome("state", ["Washington, D.C.", "washington d.c", "DC"], "USA")[0] == ["DC"] * 3
    assert outcome("state", ["anything"], "Kosovo") == ([None], [True])


def test_regions_without_numbers_are_those_of_the_library() -> None:
    codes = {c.alpha_2 for c in COUNTRIES}
    assert codes - phonenumbers.SUPPORTED_REGIONS == _WITHOUT_PHONES


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("tel:+44-20-7946-0958;ext=12", None, "+442079460958 ext. 12"),
        ("Tel.: 020 7946 0958", "GB", "+442079460958"),
        ("020 7946 0958 EXT: 12", "GB", "+442079460958 ext. 12"),
        ("020 7946 0958 extn 12", "GB", "+442079460958 ext. 12"),
        ("(202) 555-0143x7", "US", "+12025550143 ext. 7"),
        ("(202) 555-0143 #7", "US", "+12025550143 ext. 7"),
        ("٠٢٠ ٧٩٤٦ ٠٩٥٨", "GB", "+442079460958"),
        ("00442079460958", "DE", "+442079460958"),
        ("030/123456", "DE", "+4930123456"),
        ("06 1234567", "IT", "+39061234567"),
        ("+383 28 012345", "Kosovo", "+38328012345"),
        ("011 15-2345-6789", "AR", "+5491123456789"),
        # what is more than a number, or none
        ("call Ada 020 7946 0958", "GB", None),
        ("020 7946 0958 (home)", "GB", None),
        ("030 123456 Ada", "DE", None),
        ("1-800-FLOWERS", "US", None),
        ("020 7946 0958 / 020 7946 0959", "GB", None),
        ("020 7946 0958 / x 020 7946 0959", "GB", None),
        ("020 7946 0958;020 7946 0959", "GB", None),
        ("4.42079E+12", "GB", None),
        ("253-0000", "US", None),
        ("999", "GB", None),
        ("+999 123456", None, None),
        ("+", None, None),
        ("ext 12", "GB", None),
        ("0" * 5000, "GB", None),
    ],
)
def test_phones_that_people_write(text: str, region: str | None, expected: str | None) -> None:
    found, failed = outcome("phone", [text], region)
    assert (found, failed) == ([expected], [expected is None])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS - {"AC", "TA"})),
    st.sampled_from(["e164", "international", "national"]),
    st.integers(0, 99999) | st.none(),
)
def test_a_number_stays_itself_through_every_format(region: str, form: str, extension: int | None) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    e164 = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    full = e164 if extension is None else f"{e164} ext. {extension}"
    written, failed = outcome("phone", [full], {"format": form})
    assert failed == [False]
    assert outcome("phone", written, region) == ([full], [False])
    assert outcome("phone", written, {"region": region, "extension": "drop"})[0] == [e164]
    only = None if extension is None else str(extension)
    assert outcome("phone", written, {"region": region, "extension": "only"})[0] == [only]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("+0123456789 ()-./xeXt;=#,ab\n٣"), max_size=25))
def test_no_digit_of_a_phone_number_is_passed_over(text: str) -> None:
    """What comes out ends with the digits that stand last in the text."""
    found, failed = outcome("phone", [text], "US")
    if failed[0] or found[0] is None:
        return
    said = "".join(c for c in text.translate({ord("٣"): "3"}) if c.isdigit())
    told = "".join(c for c in found[0] if c.isdigit())
    assert said.endswith(told[-7:])
