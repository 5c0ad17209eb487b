"""When a job is due: as cron says, in its zone, across the nights on which clocks are put."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.timetable import MOST, between, cron_problem, last_until, next_after

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "first"),
    [
        ("0 2 * * *", "UTC", "2026-11-28T02:00", "2026-11-29T02:00"),
        ("0 2 * * *", BERLIN, "2026-11-28T00:59", "2026-11-28T01:00"),
        ("0 2 * * *", BERLIN, "2026-07-01T00:00", "2026-07-02T00:00"),
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            "2026-03-29T01:00",
        ),  # half past two does not come: at three
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", "2026-10-25T00:30"),  # it comes twice: once is enough
        ("30 2 * * *", BERLIN, "2026-10-25T00:30", "2026-10-26T01:30"),
        ("0 0 * * 0", "UTC", "2026-11-28T00:00", "2026-11-29T00:00"),  # 0 is Sunday
        ("0 0 * * 7", "UTC", "2026-11-28T00:00", "2026-11-29T00:00"),
        ("0 0 13 * FRI", "UTC", "2026-11-12T12:00", "2026-11-13T00:00"),  # either day is enough
        ("0 0 13 * FRI", "UTC", "2026-11-13T00:00", "2026-11-20T00:00"),
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_the_next_time(cron: str, zone: str, after: str, first: str) -> None:
    assert next_after(cron, zone, utc(after)) == utc(first)
    assert last_until(cron, zone, utc(first)) == utc(first)
    assert last_until(cron, zone, utc(first) + timedelta(seconds=59)) == utc(first)


def test_all_times_between() -> None:
    times = between("*/15 * * * *", "UTC", utc("2026-11-28T10:00"), utc("2026-11-28T10:45"))
    assert times == [utc("2026-11-28T10:15"), utc("2026-11-28T10:30"), utc("2026-11-28T10:45")]
    assert between("0 2 * * *", "UTC", utc("2026-11-28T02:00"), utc("2026-11-28T23:59")) == []
    assert len(between("* * * * *", "UTC", utc("2020-01-01T00:00"), utc("2026-01-01T00:00"))) == MOST


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["0 2 * * *", "*/7 1-3 * * *", "30 2 * * 0", "15 3 1,15 * *", "0 0 * * MON-FRI"]),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"]),
)
def test_forwards_and_backwards_are_of_one_mind(moment: datetime, cron: str, zone: str) -> None:
    following = next_after(cron, zone, moment)
    assert following is not None
    assert following > moment
    assert last_until(cron, zone, following) == following
    assert between(cron, zone, moment, following) == [following]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 2 * *", "4 fields"),
        ("0 0 2 * * *", "6 fields"),
        ("61 2 * * *", "bad minute"),
        ("0 2 * * FUN", "bad day-of-week"),
        ("@daily", "1 fields"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("", "0 fields"),
    ],
)
def test_what_is_no_cron_expression(text: str, said: str) -> None:
    assert said in (cron_problem(text) or "")


def test_what_is_one() -> None:
    assert cron_problem("*/15 0-6,22,23 1 JAN-MAR MON#2") is None
