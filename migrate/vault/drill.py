"""A drill: a backup restored into scratch as if it were needed now, compared, asked, and timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from migrate import failpoints
from migrate.connectors.protocol import Scratch
from migrate.mapping.drill_file import Limits, Query
from migrate.model import Verdict
from migrate.vault.reader import Backup
from migrate.vault.restore import restore_test
from migrate.vault.smoke import Asked, ask

DRILL = "drill"


@dataclass(frozen=True)
class Drilled:
    """`verdicts`: those of the restore (the last of them "L5"), of each query and limit, and at the end "drill", passed
    only if all others did. RPO is the age of the restored state when the drill began; RTO what it takes to fetch,
    restore and compare it. `seconds`: per phase of `migrate.vault.clock`."""

    verdicts: tuple[Verdict, ...]
    queries: tuple[Asked, ...]
    seconds: dict[str, float]
    rpo_seconds: float
    rto_seconds: float
    rows: int

    @property
    def passed(self) -> bool:
        return self.verdicts[-1].passed

    @property
    def rows_per_second(self) -> float | None:
        return round(self.rows / self.rto_seconds, 1) if self.rto_seconds > 0 else None


def drill(
    backup: Backup,
    scratch: Scratch,
    *,
    trusted: bool,
    known_sha256: str = "",
    queries: Sequence[Query] = (),
    limits: Limits = Limits(),
    now: datetime | None = None,
) -> Drilled:
    """Restores everything into the empty `scratch`; see `migrate.vault.restore.restore_test`, whose errors pass through.

    Queries are asked only of a copy whose every value came back: what they say of another proves nothing."""
    now = now or datetime.now(UTC)
    began = time.monotonic()
    verdicts = restore_test(backup, scratch, trusted=trusted, known_sha256=known_sha256)
    rto = time.monotonic() - began
    spent: Any = verdicts[-1].evidence["seconds"]
    taken: dict[str, float] = dict(spent)
    failpoints.hit("vault.drill.restored")
    asked: list[Asked] = []
    if verdicts[-1].passed:
        began = time.monotonic()
        asked = ask(scratch, queries)
        taken["queries"] = round(time.monotonic() - began, 3)
    rows = sum(p.rows for p in backup.manifest.parts)
    rpo = (now - datetime.fromisoformat(backup.manifest.snapshot_at)).total_seconds()
    verdicts += [a.verdict for a in asked]
    verdicts += _limits(limits, rpo, rto)
    drilled = Drilled(tuple(verdicts), tuple(asked), taken, round(rpo, 3), round(rto, 3), rows)
    return Drilled(**{**vars(drilled), "verdicts": (*verdicts, _summary(backup, drilled))})


def _limits(limits: Limits, rpo: float, rto: float) -> list[Verdict]:
    return [
        Verdict(
            f"limit {name}",
            found <= limit,
            f"at most {limit:g} s",
            f"{found:.1f} s",
            "" if found <= limit else reason,
        )
        for name, found, limit, reason in (
            ("rpo", rpo, limits.rpo, "the restored state is older than that"),
            ("rto", rto, limits.rto, "it took longer than that"),
        )
        if limit is not None
    ]


def _summary(backup: Backup, drilled: Drilled) -> Verdict:
    failed = list(dict.fromkeys(v.check for v in drilled.verdicts if not v.passed))
    return Verdict(
        DRILL,
        passed=not failed,
        expected="restored, equal, and every query as declared",
        found="restored, equal, and every query as declared"
        if not failed
        else f"{len(failed)} checks failed",
        reason=", ".join(failed),
        evidence={
            "backup": backup.manifest.id,
            "rows": drilled.rows,
            "rows_per_second": drilled.rows_per_second,
            "rpo_seconds": drilled.rpo_seconds,
            "rto_seconds": drilled.rto_seconds,
            "seconds": drilled.seconds,
        },
    )
