"""When a job is due: cron expressions as Debian's cron reads them, in a zone of their own, also where clocks are put forward or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

MOST = 10_000  # times that are counted one by one


def cron_problem(text: str) -> str | None:
    """Why a text is no cron expression of five fields, or None."""
    if len(text.split()) != 5:
        return f'"{text[:60]}" has {len(text.split())} fields; cron has five: minute hour day-of-month month day-of-week'
    try:
        found = next(CronSim(text, datetime.now(UTC)), None)
    except CronSimError as error:
        return f'"{text[:60]}" is no cron expression: {str(error).lower()}'
    return None if found else f'"{text[:60]}" never comes'


def next_after(cron: str, zone: str, moment: datetime) -> datetime | None:
    """The first time after `moment`, in UTC."""
    found = next(CronSim(cron, moment.astimezone(ZoneInfo(zone))), None)
    return None if found is None else found.astimezone(UTC)


def last_until(cron: str, zone: str, moment: datetime) -> datetime | None:
    """The last time that is not after `moment`, in UTC."""
    # the library looks at whole minutes before the one it is given
    start = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)
    found = next(CronSim(cron, start.astimezone(ZoneInfo(zone)), reverse=True), None)
    return None if found is None else found.astimezone(UTC)


def between(cron: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """All times after `after` that are not after `until`, in UTC and in order; the newest MOST of many."""
    times = CronSim(
        cron,
        (until + timedelta(minutes=1)).replace(second=0, microsecond=0).astimezone(ZoneInfo(zone)),
        reverse=True,
    )
    found = []
    for time in islice(times, MOST):
        at = time.astimezone(UTC)
        if at <= after:
            break
        found.append(at)
    return found[::-1]
