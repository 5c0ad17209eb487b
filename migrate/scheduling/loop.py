"""The foreground scheduler: one job after the other, each at its time, and of each time what became of it.

One at a time is meant: backups, drills and prunes of one machine would only be in each other's way. A job whose next time
comes while it still works is not begun again (overlapped); times that passed while nobody ran the schedule, or while
another job worked, are carried out once, late, or passed over (missed). One that fails does not stop the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from migrate import failpoints
from migrate.errors import Interrupted, MigrateError
from migrate.ledger.records import JSON, JobRow
from migrate.mapping.schedule_file import Job, Schedule
from migrate.timetable import between, next_after

LATE = timedelta(minutes=2)  # later than that, a time has been missed
_LONGEST = 30.0  # seconds of one sleep: the clock may be put, and machines sleep

Record = Callable[[JobRow], JobRow]  # keeps a row durably, and gives it back with its number
Work = Callable[[Job], tuple[int, str, dict[str, JSON]]]  # exit code, reason where it is not 0, facts


@dataclass(frozen=True)
class Clock:
    """Given by tests; `sleep` may end early."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


def known(schedule: Schedule, newest: Sequence[JobRow], record: Record, now: datetime) -> dict[str, datetime]:
    """Job → the time up to which its times are dealt with. Jobs that are new are put on record, those that are no more retired,
    and those that a kill broke off are said to be interrupted."""
    before = {row.job: row for row in newest if row.schedule == schedule.name}
    for row in before.values():
        if row.job not in schedule.jobs and row.state != "retired":
            record(
                replace(
                    row,
                    seq=0,
                    state="retired",
                    due=now.isoformat(),
                    started=None,
                    ended=None,
                    exit_code=None,
                    reason="it is no longer in the schedule",
                )
            )
    done = {}
    for name, job in schedule.jobs.items():
        last = before.get(name)
        if (
            last is None
            or last.state == "retired"
            or (last.cron, last.timezone) != (job.cron, schedule.timezone)
        ):
            record(_row(schedule, job, now, "known"))
            done[name] = now
            continue
        if last.state == "running":
            record(
                replace(
                    last, state="interrupted", exit_code=Interrupted.exit_code, reason="the process ended"
                )
            )
        done[name] = datetime.fromisoformat(last.due)
    return done


def run(
    schedule: Schedule,
    newest: Sequence[JobRow],
    work: Work,
    record: Record,
    *,
    clock: Clock = Clock(),
    until: datetime | None = None,
) -> None:
    """Goes on until `until` (None: for ever). KeyboardInterrupt passes through; a job that it breaks off is on record."""
    done = known(schedule, newest, record, clock.now())
    while True:
        now = clock.now()
        if until is not None and now >= until:
            return
        due = _due(schedule, done, record, now)
        if due is not None:
            job, at = due
            one(schedule, job, at, work, record, clock)
            done[job.name] = _overlapped(schedule, job, at, record, clock.now())
            continue
        clock.sleep(_wait(schedule, done, now, until))


def one(
    schedule: Schedule, job: Job, due: datetime, work: Work, record: Record, clock: Clock = Clock()
) -> JobRow:
    """Carries a job out, and keeps what became of it."""
    row = record(replace(_row(schedule, job, due, "running"), started=clock.now().isoformat()))
    failpoints.hit("schedule.job_started")
    try:
        code, reason, facts = work(job)
    except MigrateError as error:
        code, facts = error.exit_code, dict[str, JSON]()
        reason = f"{error.where}: {error.message}" if error.where else error.message
    except (KeyboardInterrupt, SystemExit):
        code = Interrupted.exit_code
        record(
            replace(
                row, state="interrupted", ended=clock.now().isoformat(), exit_code=code, reason="interrupted"
            )
        )
        raise
    except Exception as error:  # noqa: BLE001 - a bug in one job does not stop the others
        code, reason, facts = 1, f"a bug in the program ({type(error).__name__})", {}
    state = "failed" if code else "done"
    return record(
        replace(row, state=state, ended=clock.now().isoformat(), exit_code=code, reason=reason, facts=facts)
    )


def _due(
    schedule: Schedule, done: dict[str, datetime], record: Record, now: datetime
) -> tuple[Job, datetime] | None:
    """The job whose time came first, and that time; what is passed over is put on record."""
    waiting: list[tuple[datetime, str]] = []
    for name, job in schedule.jobs.items():
        times = between(job.cron, schedule.timezone, done[name], now)
        if not times:
            continue
        *earlier, last = times
        late = now - last > LATE
        passed = times if late and schedule.missed == "skip" else earlier
        if passed:
            said = _row(schedule, job, passed[-1], "missed")
            why = "the schedule was not running, or another job took that long"
            record(replace(said, reason=f"{why} ({len(passed)} times)", facts={"times": len(passed)}))
            done[name] = passed[-1]
        if passed is not times:
            waiting.append((last, name))
    if not waiting:
        return None
    at, name = min(
        waiting, key=lambda one: one[0]
    )  # of two at the same time the one that the file names first
    return schedule.jobs[name], at


def _overlapped(schedule: Schedule, job: Job, at: datetime, record: Record, now: datetime) -> datetime:
    """The time up to which the job is dealt with, after it worked from `at` until now."""
    times = between(job.cron, schedule.timezone, at, now)
    # one that has only just come is still in time
    passed = [t for t in times if now - t > timedelta(seconds=1)]
    if not passed:
        return at
    said = _row(schedule, job, passed[-1], "overlapped")
    record(replace(said, reason=f"it was still at work ({len(passed)} times)", facts={"times": len(passed)}))
    return passed[-1]


def _wait(schedule: Schedule, done: dict[str, datetime], now: datetime, until: datetime | None) -> float:
    times = [next_after(j.cron, schedule.timezone, max(done[n], now)) for n, j in schedule.jobs.items()]
    wanted = [t for t in (*times, until) if t is not None]
    seconds = (min(wanted) - now).total_seconds() if wanted else _LONGEST
    return max(0.05, min(seconds, _LONGEST))


def _row(schedule: Schedule, job: Job, due: datetime, state: str) -> JobRow:
    return JobRow(schedule.name, job.name, job.kind, job.cron, schedule.timezone, due.isoformat(), state)
