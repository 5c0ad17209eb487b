"""Smoke queries: what counts as declared, and what may be told of an answer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.mapping.drill_file import Bound, Query
from migrate.vault.smoke import judged


def query(bound: Bound, *values: str | None) -> Query:
    return Query(
        name="q", sql="SELECT 1", bound=bound, values=values, where="drill.yaml:3:5", why="it matters"
    )


@pytest.mark.parametrize(
    ("value", "bound", "values", "passed"),
    [
        (5000, "equals", ["5000"], True),
        (5000, "equals", ["5000.0"], True),
        (Decimal("0.10"), "equals", ["0.1"], True),
        (0.1, "equals", ["0.1"], True),
        (True, "equals", ["true"], True),
        (False, "equals", ["0"], True),
        (None, "equals", [None], True),
        (None, "equals", ["0"], False),
        (0, "equals", [None], False),
        ("", "equals", [""], True),
        ("007", "equals", ["7"], False),  # texts are no numbers
        ("007", "equals", ["007"], True),
        (b"\x0a", "equals", ["0a"], True),
        (date(2026, 1, 2), "equals", ["2026-01-02"], True),
        (
            datetime(2026, 1, 2, 12, tzinfo=timezone(timedelta(hours=2))),
            "equals",
            ["2026-01-02T10:00:00Z"],
            True,
        ),
        (2**63, "at_least", ["9223372036854775808"], True),
        (2**63 - 1, "at_least", ["9223372036854775808"], False),
        (None, "at_least", ["0"], False),
        (float("nan"), "at_least", ["0"], False),
        (float("inf"), "at_least", ["0"], False),
        ("12", "at_least", ["1"], False),
        (7, "at_most", ["7"], True),
        (8, "at_most", ["7"], False),
        (5, "between", ["1", "10"], True),
        (11, "between", ["1", "10"], False),
        (0, "between", ["1", "10"], False),
        ("2026-01-05 10:00:00", "at_least", ["2026-01-05"], True),
        (datetime(2026, 1, 4, tzinfo=UTC), "at_least", ["2026-01-05"], False),
        (date(2026, 1, 4), "between", ["1", "2027-01-01"], False),  # not of one kind
    ],
)
def test_what_is_as_declared(value: object, bound: Bound, values: list[str | None], passed: bool) -> None:
    found = judged(query(bound, *values), [(value,)])
    assert found.passed is passed
    assert found.passed or found.reason.endswith("; it matters; drill.yaml:3:5")


@pytest.mark.parametrize("rows", [[], [(1,), (1,)], [(1, 1)]])
def test_only_one_value_is_an_answer(rows: list[tuple[object, ...]]) -> None:
    assert not judged(query("equals", "1"), rows).passed


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_text_is_never_told(value: str, expected: str) -> None:
    canary = f"Ada {value}"
    found = judged(query("equals", f"Eve {expected}"), [(canary,)])
    assert found.found == "a text"
    assert found.expected == "the text of the drill file"
    assert canary not in found.reason


@given(st.integers(-(10**40), 10**40) | st.decimals(allow_nan=False, allow_infinity=False, places=10))
def test_numbers_are_compared_exactly(value: int | Decimal) -> None:
    with localcontext(prec=200):
        text, above = format(Decimal(value), "f"), format(Decimal(value) + Decimal("1e-20"), "f")
    assert judged(query("between", text, text), [(value,)]).passed
    assert judged(query("equals", text), [(value,)]).passed
    assert not judged(query("at_least", above), [(value,)]).passed
