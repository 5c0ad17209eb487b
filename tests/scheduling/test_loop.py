"""The loop, with a clock of the test's: due, missed, overlapped, failed, interrupted; and that one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from migrate.errors import Unreachable
from migrate.ledger.records import JSON, JobRow
from migrate.mapping.schedule_file import Job, Schedule
from migrate.scheduling import loop

START = datetime(2026, 11, 28, 0, 0, tzinfo=UTC)
Done = tuple[int, str, dict[str, JSON]]


@dataclass
class Day:
    """Time passes only by sleeping and by working."""

    jobs: dict[str, str]
    missed: Literal["run", "skip"] = "run"
    now: datetime = START
    rows: list[JobRow] = field(default_factory=list)
    takes: dict[str, float] = field(default_factory=dict)  # hours
    fails: dict[str, Callable[[], Done]] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)

    @property
    def schedule(self) -> Schedule:
        made = {n: Job(name=n, kind="backup", cron=c, what="x") for n, c in self.jobs.items()}
        return Schedule(path="s.yaml", base="/", name="s", missed=self.missed, jobs=made)

    def record(self, row: JobRow) -> JobRow:
        if row.seq:
            self.rows[row.seq - 1] = row
            return row
        self.rows.append(replace(row, seq=len(self.rows) + 1))
        return self.rows[-1]

    def work(self, job: Job) -> Done:
        self.now += timedelta(hours=self.takes.get(job.name, 0.1))
        return self.fails[job.name]() if job.name in self.fails else (0, "", {})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def run(self, hours: float) -> list[tuple[str, str, str]]:
        """(job, due, state) of what this call put on record, in order."""
        before = len(self.rows)
        newest: dict[str, JobRow] = {r.job: r for r in self.rows}
        clock = loop.Clock(lambda: self.now, self.sleep)
        loop.run(
            self.schedule,
            list(newest.values()),
            self.work,
            self.record,
            clock=clock,
            until=START + timedelta(hours=hours),
        )
        return [
            (r.job, r.due[8:16].replace("T", " "), r.state) for r in self.rows[before:] if r.state != "known"
        ]


def test_every_job_at_its_time() -> None:
    day = Day({"nightly": "0 2 * * *", "hourly": "30 * * * *"})
    assert day.run(3.9) == [
        ("hourly", "28 00:30", "done"),
        ("hourly", "28 01:30", "done"),
        ("nightly", "28 02:00", "done"),
        ("hourly", "28 02:30", "done"),
        ("hourly", "28 03:30", "done"),
    ]
    assert max(day.slept) <= 30  # the clock may be put meanwhile
    assert [r.exit_code for r in day.rows if r.state == "done"] == [0] * 5


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        (lambda: (3, "the drill failed: query people", {}), 3, "query people"),
        (lambda: (_ for _ in ()).throw(Unreachable("no server")), 5, "no server"),
        (lambda: (_ for _ in ()).throw(ZeroDivisionError("secret value")), 1, "ZeroDivisionError"),
    ],
)
def test_one_that_fails_does_not_stop_the_others(failure: Callable[[], Done], code: int, reason: str) -> None:
    day = Day({"bad": "0 * * * *", "good": "5 * * * *"}, fails={"bad": failure})
    assert [(j, s) for j, _, s in day.run(2.9)] == [
        ("good", "done"),
        *[("bad", "failed"), ("good", "done")] * 2,
    ]
    failed = next(r for r in day.rows if r.state == "failed")
    assert failed.exit_code == code
    assert reason in failed.reason
    assert "secret value" not in failed.reason


def test_a_job_that_takes_longer_than_its_times_is_not_begun_again() -> None:
    day = Day({"slow": "*/10 * * * *"}, takes={"slow": 0.6})
    found = day.run(1.9)
    assert found == [
        ("slow", "28 00:10", "done"),
        ("slow", "28 00:40", "overlapped"),
        ("slow", "28 00:50", "done"),
        ("slow", "28 01:20", "overlapped"),
        ("slow", "28 01:30", "done"),
        ("slow", "28 02:00", "overlapped"),
    ]
    assert day.rows[2].facts == {"times": 3}


def test_times_that_passed_while_another_worked_are_made_up_for_once() -> None:
    day = Day({"long": "0 1 * * *", "often": "*/30 * * * *"}, takes={"long": 2.2})
    found = day.run(3.9)
    assert ("long", "28 01:00", "done") in found
    at = found.index(("often", "28 02:30", "missed"))
    assert found[at + 1] == ("often", "28 03:00", "done")
    assert ("often", "28 01:30", "done") not in found


def test_what_passed_while_nobody_ran_it_is_made_up_for_once() -> None:
    day = Day({"nightly": "0 2 * * *"})
    day.run(3)
    day.now = START + timedelta(days=3, hours=10)
    found = day.run(3 * 24 + 11)
    assert found == [("nightly", "30 02:00", "missed"), ("nightly", "01 02:00", "done")]
    assert day.rows[-2].facts == {"times": 2}
    assert day.run(3 * 24 + 12) == []


def test_or_is_passed_over_where_the_schedule_says_so() -> None:
    day = Day({"nightly": "0 2 * * *"}, missed="skip")
    day.run(3)
    day.now = START + timedelta(days=3, hours=10)
    assert day.run(3 * 24 + 11) == [("nightly", "01 02:00", "missed")]
    assert day.rows[-1].facts == {"times": 3}


def test_a_new_job_has_missed_nothing_and_one_that_is_gone_is_retired() -> None:
    day = Day({"a": "0 2 * * *"}, now=START + timedelta(hours=5))
    assert day.run(6) == []
    day.jobs = {"b": "0 2 * * *"}
    assert day.run(7) == [("a", "28 06:00", "retired")]
    day.jobs = {"b": "0 3 * * *"}  # another time is another promise
    day.now = START + timedelta(days=2)
    assert day.run(48.1) == []


def test_one_that_a_kill_broke_off_is_said_to_be() -> None:
    day = Day({"nightly": "0 2 * * *"})
    day.run(1)
    day.record(replace(day.rows[0], seq=0, state="running", due=(START + timedelta(hours=2)).isoformat()))
    day.now = START + timedelta(hours=5)
    assert day.run(5.5) == []
    assert (day.rows[-1].state, day.rows[-1].exit_code) == ("interrupted", 9)


def test_of_several_jobs_the_one_that_a_kill_broke_off_is_said_to_be() -> None:
    day = Day({"a": "0 2 * * *", "b": "0 3 * * *", "c": "0 4 * * *"})
    day.run(1)
    first = next(row for row in day.rows if row.job == "a")
    day.record(replace(first, seq=0, state="running", due=(START + timedelta(hours=2)).isoformat()))
    day.now = START + timedelta(hours=2, minutes=30)
    assert day.run(2.75) == []
    known = [("a", "known"), ("b", "known"), ("c", "known")]
    assert [(row.job, row.state) for row in day.rows] == [*known, ("a", "interrupted")]


def test_interrupted_at_work_it_is_on_record() -> None:
    day = Day({"nightly": "0 2 * * *"}, fails={"nightly": lambda: (_ for _ in ()).throw(KeyboardInterrupt)})
    with pytest.raises(KeyboardInterrupt):
        day.run(3)
    assert (day.rows[-1].state, day.rows[-1].exit_code) == ("interrupted", 9)


def test_of_two_at_the_same_time_the_first_of_the_file_comes_first() -> None:
    day = Day({"z-backup": "0 2 * * *", "a-drill": "0 2 * * *"})
    assert [j for j, _, _ in day.run(3)] == ["z-backup", "a-drill"]


def test_a_clock_that_is_put_back_begins_nothing_again() -> None:
    day = Day({"nightly": "0 2 * * *"})
    assert len(day.run(3)) == 1
    day.now = START + timedelta(hours=1)
    assert day.run(2.9) == []
