"""Valid numbers of 246 regions come out as their E.164, however they are written."""

from __future__ import annotations

import csv

import phonenumbers
from migrate.mapping.function_spec import FromColumn, Row

from tests.real.places import shared
from tests.transform.test_functions import outcome

# Numbers of eight digits, which Benin gave up: newer numbering plans call them impossible.
GIVEN_UP = {"+22985751234", "+22981123456"}


def test_valid_numbers_are_read_in_every_format() -> None:
    file = shared("data", "contact", "phone_examples_valid.csv")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 1144
    rows = [row for row in rows if row["e164"] not in GIVEN_UP]
    wanted = [row["e164"] for row in rows]
    assert outcome("phone", wanted, None) == (wanted, [False] * len(rows))
    local = [row for row in rows if row["region"] not in ("001", "AC", "TA")]  # no countries of ISO 3166
    numbers = [phonenumbers.parse(row["e164"]) for row in local]
    for form in (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL):
        given = [
            Row(phonenumbers.format_number(number, form), {"region": row["region"]})
            for number, row in zip(numbers, local, strict=True)
        ]
        found, failed = outcome("phone", given, FromColumn(from_="region"))
        assert found == [row["e164"] for row in local]
        assert not any(failed)
