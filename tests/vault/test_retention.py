"""Which backups stay: by recorded time, whatever they are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.errors import UsageError
from migrate.vault.retention import Retention, staying

START = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)  # a Monday


def nightly(count: int, hours: float = 24) -> list[tuple[str, str]]:
    """The newest first by number: b0 is the newest."""
    return [(f"b{n}", (START - timedelta(hours=hours * n)).isoformat()) for n in range(count)]


@pytest.mark.promise(29)
@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (Retention(last=3), [0, 1, 2]),
        (Retention(daily=2), [0, 1]),
        (Retention(weekly=3), [0, 1, 8]),  # Monday 2 March, Sunday 1 March, Sunday 22 February
        (Retention(monthly=3), [0, 2, 30]),  # 2 March, 28 February, 31 January
        (Retention(yearly=5), [0, 62]),  # 2 March, 30 December less a day
        (Retention(last=1, daily=2, monthly=2), [0, 1, 2]),
    ],
)
def test_p29_the_newest_of_each_period_stays(keep: Retention, stay: list[int]) -> None:
    found = staying(nightly(100), keep)
    if keep.yearly:
        stay = [0, (START - datetime(2025, 12, 31, 23, 30, tzinfo=UTC)).days]
    assert sorted(found, key=lambda n: int(n[1:])) == [f"b{n}" for n in stay]


def test_of_several_in_a_day_the_newest_counts() -> None:
    found = staying(nightly(30, hours=6), Retention(daily=3))
    assert list(found.items()) == [
        ("b0", "the newest of day 2026-03-02"),
        ("b4", "the newest of day 2026-03-01"),
        ("b8", "the newest of day 2026-02-28"),
    ]


def test_days_without_a_backup_do_not_count() -> None:
    sparse = [
        ("a", "2026-03-01T00:00:00+00:00"),
        ("b", "2025-01-01T00:00:00+00:00"),
        ("c", "2024-06-01T00:00:00+00:00"),
    ]
    assert set(staying(sparse, Retention(daily=2))) == {"a", "b"}


def test_zones_are_of_one_time() -> None:
    same_day = [("a", "2026-03-02T00:30:00+02:00"), ("b", "2026-03-01T21:00:00+00:00")]
    assert set(staying(same_day, Retention(daily=5))) == {"a"}


def test_a_time_that_cannot_be_read_keeps_its_backup() -> None:
    assert staying([("a", "yesterday"), ("b", "2026-01-01T00:00:00+00:00")], Retention(last=1)) == {
        "a": "its time cannot be read",
        "b": "among the newest 1",
    }


@pytest.mark.parametrize("keep", [Retention(), Retention(last=-1, daily=3)])
def test_nothing_kept_is_refused(keep: Retention) -> None:
    with pytest.raises(UsageError, match="at least one"):
        keep.checked()


COUNTS = st.integers(0, 5)


@given(
    st.lists(
        st.datetimes(datetime(2020, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
        unique=True,
        max_size=60,
    ),
    st.builds(Retention, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.randoms(),
)
def test_p29_whatever_the_times(times: list[datetime], keep: Retention, random: object) -> None:
    backups = [(f"b{n}", at.isoformat()) for n, at in enumerate(times)]
    found = staying(backups, keep)
    shuffled = list(backups)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert staying(shuffled, keep) == found  # no order, no name matters
    newest = sorted(backups, key=lambda b: b[1], reverse=True)
    assert {id_ for id_, _ in newest[: keep.last]} <= found.keys()
    if newest and any((keep.last, keep.daily, keep.weekly, keep.monthly, keep.yearly)):
        assert newest[0][0] in found
    assert len(found) <= keep.last + keep.daily + keep.weekly + keep.monthly + keep.yearly
    more = staying(backups, Retention(keep.last + 1, keep.daily + 1, keep.weekly, keep.monthly, keep.yearly))
    assert found.keys() <= more.keys()  # who keeps more loses nothing
    left = [b for b in backups if b[0] in found]
    assert staying(left, keep).keys() == found.keys()  # pruned again, the same stay
