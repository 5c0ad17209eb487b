"""Bisecting a refused batch, against a plain model of a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.connectors.bisect import Refusal, bisect
from migrate.errors import TooManyQuarantined


class Model:
    """Rows may be bad by themselves, collide with an earlier key, or need a parent row that is in."""

    def __init__(self, rows: list[tuple[int, int | None, bool]]) -> None:
        self.rows, self.calls = rows, 0
        self.inside: dict[int, int] = {}

    def attempt(self, lo: int, hi: int) -> Refusal | None:
        self.calls += 1
        trial = dict(self.inside)
        for ordinal in range(lo, hi):
            key, _, bad = self.rows[ordinal]
            assert ordinal not in trial.values()
            if bad:
                return Refusal("db_check", "c")
            if key in trial:
                return Refusal("db_unique", "k")
            trial[key] = ordinal
        for ordinal in range(lo, hi):
            parent = self.rows[ordinal][1]
            if parent is not None and parent not in trial:
                return Refusal("db_foreign_key", "f")
        self.inside = trial
        return None


@given(st.lists(st.booleans(), max_size=60))
def test_f05_exactly_the_bad_rows_are_refused(bad: list[bool]) -> None:
    model = Model([(i, None, b) for i, b in enumerate(bad)])
    rejected = bisect(0, len(bad), model.attempt, stop_after=len(bad))
    assert [r.ordinal for r in rejected] == [i for i, b in enumerate(bad) if b]
    assert sorted(model.inside.values()) == [i for i, b in enumerate(bad) if not b]
    assert {(r.code, r.constraint) for r in rejected} <= {("db_check", "c")}


@given(st.lists(st.integers(0, 8), max_size=40))
def test_of_two_equal_keys_the_first_stays(keys: list[int]) -> None:
    model = Model([(k, None, False) for k in keys])
    bisect(0, len(keys), model.attempt, stop_after=len(keys))
    assert model.inside == {k: keys.index(k) for k in set(keys)}


def test_a_child_before_its_parent_is_not_refused() -> None:
    rows = [(i, i + 1 if i < 19 else None, i == 5) for i in range(20)]
    model = Model(rows)
    rejected = bisect(0, 20, model.attempt, stop_after=20)
    assert [r.ordinal for r in rejected] == [0, 1, 2, 3, 4, 5]
    assert rejected[5].code == "db_check"
    assert {r.code for r in rejected[:5]} == {"db_foreign_key"}


def test_it_stops_at_the_threshold() -> None:
    model = Model([(i, None, i % 2 == 0) for i in range(1000)])
    with pytest.raises(TooManyQuarantined) as caught:
        bisect(0, 1000, model.attempt, stop_after=3, table="crm.contacts")
    assert "crm.contacts" in str(caught.value)
    assert model.calls < 60


def test_few_bad_rows_need_few_attempts() -> None:
    model = Model([(i, None, i in (17, 2_500)) for i in range(4_096)])
    rejected = bisect(0, 4_096, model.attempt, stop_after=10)
    assert [r.ordinal for r in rejected] == [17, 2_500]
    assert model.calls <= 4 * 12
