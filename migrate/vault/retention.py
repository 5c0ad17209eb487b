"""Which backups stay, by the times that are recorded in their manifests. Names and file times say nothing (P29)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from migrate.errors import UsageError


@dataclass(frozen=True)
class Retention:
    """`last`: the newest so many. The others: of the newest so many days (weeks, months, years) that have backups, the
    newest backup of each. Days are those of UTC, weeks begin on Monday."""

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0

    def checked(self) -> Retention:
        """Raises UsageError where nothing would stay."""
        counts = [getattr(self, f.name) for f in fields(self)]
        if any(n < 0 for n in counts) or not any(counts):
            raise UsageError(
                "at least one backup is kept.",
                kept="Nothing was removed.",
                hint="Say how many: --keep-last 3 --keep-daily 7 --keep-monthly 12.",
            )
        return self


_PERIODS: tuple[tuple[str, Callable[[datetime], str]], ...] = (
    ("daily", lambda at: f"day {at:%Y-%m-%d}"),
    ("weekly", lambda at: f"week {at:%G-W%V}"),
    ("monthly", lambda at: f"month {at:%Y-%m}"),
    ("yearly", lambda at: f"year {at:%Y}"),
)


def staying(backups: Sequence[tuple[str, str]], keep: Retention) -> dict[str, str]:
    """(id, recorded time in ISO 8601) → id and why, of those that stay. One whose time cannot be read stays."""
    kept: dict[str, str] = {}
    dated = []
    for id_, text in backups:
        at = _moment(text)
        if at is None:
            kept[id_] = "its time cannot be read"
        else:
            dated.append((at, id_))
    dated.sort(reverse=True)
    for _, id_ in dated[: keep.last]:
        kept[id_] = f"among the newest {keep.last}"
    for name, period in _PERIODS:
        count, seen = getattr(keep, name), set[str]()
        for at, id_ in dated:
            of = period(at)
            if of in seen:
                continue
            if len(seen) >= count:
                break
            seen.add(of)
            kept.setdefault(id_, f"the newest of {of}")
    return kept


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
