"""Texts that break things, and labelled e-mail addresses, through the functions of `do`."""

from __future__ import annotations

import csv
import json

import pytest
from migrate.mapping.function_spec import Row
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Step

from tests.real.places import shared
from tests.transform.test_functions import outcome


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_takes_every_text(name: str) -> None:
    """As value and as the other columns of the row; it gives a text or fails, and never breaks."""
    texts = json.loads(shared("data", "contact", "naughty_strings.json").read_text(encoding="utf-8"))
    assert len(texts) > 500
    seen = []
    for _, arguments, _ in FUNCTIONS[name].examples:
        if arguments in seen:
            continue
        seen.append(arguments)
        columns = Step(name=name, arguments=arguments).columns.values()
        rows = [Row(text, dict.fromkeys(columns, text)) for text in texts]
        found, failed = outcome(name, rows, arguments)
        assert len(found) == len(failed) == len(texts)
        assert all(value is None for value, bad in zip(found, failed, strict=True) if bad)
        for value in found:
            if isinstance(value, str):
                value.encode()


def test_labelled_addresses() -> None:
    file = shared("data", "contact", "isemail_labelled.csv")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    _, failed = outcome("email", [row["address"] for row in rows], None)
    for row, bad in zip(rows, failed, strict=True):
        address = row["address"]
        good = row["category"] in ("ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN")
        if not address or address != address.strip():
            continue  # an empty text is NULL, and white space at the ends is no fault here
        host = address.rpartition("@")[2]
        if good and ("." not in host or len(host.rpartition(".")[2]) < 2 or len(address) > 254):
            good = False  # valid by the letter of the standard; no such domain takes mail
        assert bad == (not good), row
