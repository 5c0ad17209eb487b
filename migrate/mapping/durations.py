"""Spans of time as people write them: 12 months, 90 days, 3 years."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

_UNITS = {"day": "days", "week": "weeks", "month": "months", "year": "years"}
_FORM = re.compile(r"([1-9][0-9]{0,4})\s*(day|week|month|year)s?")
EXAMPLE = "12 months"


@dataclass(frozen=True)
class Duration:
    """`unit`: days, weeks, months or years."""

    number: int
    unit: str

    def before(self, day: date) -> date:
        """The day that lies so long before `day`; of a month that is too short its last one."""
        try:
            if self.unit in ("days", "weeks"):
                return day - timedelta(days=self.number * (7 if self.unit == "weeks" else 1))
            months = self.number * (12 if self.unit == "years" else 1)
            year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
            return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
        except (ValueError, OverflowError):
            return date.min


def parse_duration(text: str) -> Duration | None:
    """None where the text is no span of time."""
    found = _FORM.fullmatch(text.strip().lower())
    return Duration(int(found[1]), _UNITS[found[2]]) if found else None


def duration_problem(text: str) -> str | None:
    """Why a text is no span of time, or None."""
    return (
        None if parse_duration(text) else f'"{text}" is no span of time such as {EXAMPLE}, 90 days or 3 years'
    )
