"""The rules of CHECK_SPECS: their examples, and what they find in columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from migrate.mapping.check_specs import CHECK_SPECS
from migrate.mapping.function_spec import Arguments, FromColumn
from migrate.mapping.model import Check, ListFile
from migrate.report.meanings import MEANINGS
from migrate.transform.quality import QUALITY, About, broken_rows
from migrate.transform.values import DATE, TEXT, TIMESTAMP, Values

TODAY = date(2026, 11, 28)
EXAMPLES = [
    pytest.param(spec.name, value, arguments, codes, id=f"{spec.name}-{number}")
    for spec in CHECK_SPECS.values()
    for number, (value, arguments, codes) in enumerate(spec.examples)
]


def found(
    name: str, texts: Sequence[str | None], arguments: Arguments = None, **about: Any
) -> list[set[str]]:
    """The codes of every row."""
    broken = broken_rows(
        Check(name=name, argument=arguments),
        Values(pl.Series(texts, dtype=pl.String), TEXT),
        About(today=TODAY, **about),
    )
    return [{one.code for one in broken if one.mask[n]} for n in range(len(texts))]


@pytest.mark.parametrize(("name", "value", "arguments", "codes"), EXAMPLES)
def test_examples(name: str, value: str, arguments: Arguments, codes: tuple[str, ...]) -> None:
    if name == "email":  # its verdict is said too
        given = arguments if isinstance(arguments, dict) else {}
        arguments = {**given, "unknown": "warn"}
    conditions = {"1 = 1": np.array([False]), "1 = 2": np.array([True])}
    assert found(name, [value], arguments, conditions=conditions) == [set(codes)]


def test_every_rule_is_built_and_documented() -> None:
    assert QUALITY.keys() == CHECK_SPECS.keys()
    for spec in CHECK_SPECS.values():
        assert spec.summary.endswith(".")
        assert len(spec.examples) >= 2
        codes = {code for *_, last in spec.examples for code in cast(tuple[str, ...], last)} - {
            "closed_before_created"
        }
        assert codes <= MEANINGS.keys()


@pytest.mark.parametrize("name", [n for n in CHECK_SPECS if n != "expr"])
def test_empty_values_break_nothing(name: str) -> None:
    arguments = {
        "not_before": "2026-01-01",
        "not_after": "today",
        "fresh": "12 months",
        "stale": "1 = 1",
    }.get(name)
    assert found(name, [None, None], arguments) == [set(), set()]
    assert found(name, [], arguments) == []


def test_an_address_has_all_its_reasons_and_the_worst_verdict_decides() -> None:
    check = Check(
        name="email", argument={"undeliverable": "quarantine", "risky": "empty_and_flag", "unknown": "warn"}
    )
    texts = ["info@mailinator.com", "nobody", "ada@acme.co.uk", "ada@gmail.com"]
    broken = broken_rows(check, Values(pl.Series(texts), TEXT), About())
    told = {(texts[n], one.code, one.outcome) for one in broken for n in np.flatnonzero(one.mask)}
    assert told == {
        ("info@mailinator.com", "email_disposable", "empty_and_flag"),
        ("info@mailinator.com", "email_role", "empty_and_flag"),
        ("nobody", "email_syntax", "quarantine"),
        ("ada@acme.co.uk", "email_unknown", "warn"),
    }


def test_a_misspelt_domain_is_proposed_and_details_hold_no_address() -> None:
    broken = broken_rows(
        Check(name="email"), Values(pl.Series(["ada@gmial.com", "b@acme.con"]), TEXT), About()
    )
    assert [one.detail for one in broken] == [
        "the domain looks misspelt; perhaps gmail.com is meant",
        "the domain ends in what is no top-level domain; it looks misspelt",
    ]


def test_lists_of_ones_own() -> None:
    lists = {
        "bounced": ListFile(file="b", digest="", entries=frozenset({"ada@gmail.com", "dead.example.org"})),
        "disposable": ListFile(file="d", digest="", entries=frozenset({"junk.io"})),
    }
    check = Check(name="email", lists=lists, argument={"trusted": "gmail.com"})
    texts = ["ADA@gmail.com", "x@mail.dead.example.org", "y@junk.io", "z@notjunk.io"]
    broken = broken_rows(check, Values(pl.Series(texts), TEXT), About())
    codes = [{o.code for o in broken if o.mask[n]} - {"email_reserved"} for n in range(4)]
    assert codes == [{"email_bounced"}, {"email_bounced"}, {"email_disposable"}, set()]


def test_regions_come_from_a_column() -> None:
    regions = Values(pl.Series(["UK", "Germany", None, "Atlantis", "GB"]), TEXT)
    texts = ["020 7946 0018", "030 901820", "020 7946 0018", "+49 30 901820", "030 901820"]
    arguments: Arguments = {"region": FromColumn(**{"from": "country"})}
    got = found("phone", texts, arguments, column=lambda name: regions)
    assert got == [set(), set(), {"phone_invalid"}, set(), {"phone_invalid"}]


def test_dates_against_columns_and_days() -> None:
    mine = Values(pl.Series([date(2026, 5, 1), date(2026, 5, 1), None, date(2026, 5, 1)]), DATE)
    other = Values(pl.Series(["2026-05-01", "2026-05-02", "2026-05-02", "some day"]), TEXT)
    check = Check(name="not_before", argument=FromColumn(**{"from": "created"}))
    broken = broken_rows(check, mine, About(alike=lambda name: other))
    assert [one.mask.tolist() for one in broken] == [[False, True, False, False]]
    assert broken[0].detail == 'before "created"'


def test_a_moment_later_today_is_not_after_today() -> None:
    moments = pl.Series(["2026-11-28 23:59:59", "2026-11-29 00:00:00"]).str.to_datetime(time_unit="us")
    broken = broken_rows(
        Check(name="not_after", argument="today"), Values(moments, TIMESTAMP), About(today=TODAY)
    )
    assert [one.mask.tolist() for one in broken] == [[False, True]]


@pytest.mark.parametrize(
    ("span", "oldest"), [("12 months", "2025-11-28"), ("90 days", "2026-08-30"), ("2 weeks", "2026-11-14")]
)
def test_fresh_counts_from_the_day_of_the_plan(span: str, oldest: str) -> None:
    day_before = str(date.fromisoformat(oldest).toordinal() - 1)
    assert day_before
    before = date.fromordinal(date.fromisoformat(oldest).toordinal() - 1).isoformat()
    assert found("fresh", [oldest, before], span) == [set(), {"fresh"}]
