"""Smoke queries: what a person asks of a restored copy, and whether the answer is as declared.

Numbers, dates and truth values of the answer are said; a text never is: it may be a person's, and what is said here
goes into the ledger and beside the manifest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from migrate import failpoints
from migrate.connectors.protocol import Scratch
from migrate.errors import UsageError
from migrate.mapping.drill_file import Query, moment_of, number_of
from migrate.model import Verdict

_SIGNS = {"equals": "", "at_least": "at least ", "at_most": "at most "}


@dataclass(frozen=True)
class Asked:
    query: Query
    verdict: Verdict
    seconds: float


def ask(scratch: Scratch, queries: Sequence[Query]) -> list[Asked]:
    """Every query in turn; one that cannot be asked has failed. Unreachable passes through."""
    found = []
    for query in queries:
        began = time.monotonic()
        try:
            rows = scratch.ask(query.sql, rows=2, seconds=query.seconds)
            verdict = judged(query, rows)
        except UsageError as error:
            verdict = _verdict(query, False, "no answer", error.message)
        failpoints.hit("vault.drill.asked")
        found.append(Asked(query, verdict, round(time.monotonic() - began, 3)))
    return found


def judged(query: Query, rows: Sequence[Sequence[object]]) -> Verdict:
    """`rows`: the first two of the answer."""
    if len(rows) != 1 or len(rows[0]) != 1:
        shape = "no row" if not rows else "several rows" if len(rows) > 1 else f"{len(rows[0])} columns"
        return _verdict(query, False, shape, "a query gives one row with one column")
    value = rows[0][0]
    reason = _why_not(query, value)
    return _verdict(query, not reason, _said(value), reason)


def _why_not(query: Query, value: object) -> str:
    """Empty where the value is as declared."""
    if query.bound == "equals":
        return "" if _equal(value, query.values[0]) else "it is another value"
    if value is None:
        return "it is NULL"
    found = _as_number(value)
    bounds = [number_of(v or "") for v in query.values]
    if found is not None and all(b is not None for b in bounds):
        return _outside(query, found, [b for b in bounds if b is not None])
    moment = _as_moment(value)
    moments = [moment_of(v or "") for v in query.values]
    if moment is not None and all(m is not None for m in moments):
        return _outside(query, moment, [_zoned(m) for m in moments if m is not None])
    return "it cannot be compared with that"


def _outside(query: Query, found: Decimal | datetime, bounds: Sequence[Decimal] | Sequence[datetime]) -> str:
    low = bounds[0] if query.bound in ("at_least", "between") else None
    high = bounds[-1] if query.bound in ("at_most", "between") else None
    if low is not None and found < low:  # type: ignore[operator]  # both are of one kind
        return "it is less"
    if high is not None and found > high:  # type: ignore[operator]
        return "it is more"
    return ""


def _equal(value: object, expected: str | None) -> bool:
    if expected is None or value is None:
        return expected is None and value is None
    if isinstance(value, bool):
        return expected.lower() in (("true", "1") if value else ("false", "0"))
    number = _as_number(value)
    if number is not None:
        return number == number_of(expected)
    if isinstance(value, date):
        wanted, found = moment_of(expected), _as_moment(value)
        return wanted is not None and found is not None and _zoned(wanted) == found
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex() == expected.lower()
    return str(value) == expected


def _as_number(value: object) -> Decimal | None:
    """Exact for whole and decimal numbers; a float counts as its shortest text says it. Texts are no numbers."""
    if isinstance(value, bool):
        return Decimal(int(value))
    if isinstance(value, int | Decimal | float):
        found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        return found if found.is_finite() else None
    if isinstance(value, timedelta):
        return Decimal(str(value.total_seconds()))
    return None


def _as_moment(value: object) -> datetime | None:
    """SQLite keeps dates as texts, so a text that is one counts."""
    if isinstance(value, datetime):
        return _zoned(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    found = moment_of(value) if isinstance(value, str) else None
    return None if found is None else _zoned(found)


def _zoned(moment: datetime) -> datetime:
    """One that names no zone is taken for UTC, on both sides alike."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _said(value: object) -> str:
    """What may be told of a value."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float | Decimal | date | timedelta):
        return str(value)
    if isinstance(value, str) and moment_of(value) is not None:
        return value
    return "a text" if isinstance(value, str) else "a value of another kind"


def _expected(query: Query) -> str:
    def said(text: str | None) -> str:
        if text is None:
            return "NULL"
        return (
            text
            if number_of(text) is not None or moment_of(text) is not None
            else "the text of the drill file"
        )

    if query.bound == "between":
        return f"{said(query.values[0])} to {said(query.values[1])}"
    return f"{_SIGNS[query.bound]}{said(query.values[0])}"


def _verdict(query: Query, passed: bool, found: str, reason: str) -> Verdict:
    return Verdict(
        f"query {query.name}",
        passed,
        _expected(query),
        found,
        "" if passed else "; ".join(part for part in (reason, query.why, query.where) if part),
    )
