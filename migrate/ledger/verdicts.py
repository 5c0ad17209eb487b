"""Verdicts as the ledger keeps them: appended, never changed but for that a later attempt supersedes them.

Functions over the caller's connection; `Ledger` has the transactions."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from migrate.ledger.rows import now, plain, where
from migrate.ledger.tables import verdict
from migrate.model import Verdict


def append(db: sa.Connection, run: str, stage: str, verdicts: Sequence[Verdict], subject: str) -> None:
    at = now()
    rows = [
        {
            "run": run,
            "stage": stage,
            "subject": subject,
            "check": v.check,
            "passed": v.passed,
            "expected": v.expected,
            "found": v.found,
            "reason": v.reason,
            "evidence": plain(v.evidence),
            "superseded": False,
            "at": at,
        }
        for v in verdicts
    ]
    db.execute(verdict.insert(), rows)


def standing(db: sa.Connection, **keys: str) -> list[tuple[str, Verdict]]:
    """(stage, verdict) in the order given, without those superseded."""
    query = where(sa.select(verdict), verdict, **keys).where(~verdict.c.superseded).order_by(verdict.c.id)
    return [
        (r["stage"], Verdict(r["check"], r["passed"], r["expected"], r["found"], r["reason"], r["evidence"]))
        for r in db.execute(query).mappings()
    ]


def supersede(db: sa.Connection, run: str, stage: str) -> None:
    db.execute(where(verdict.update(), verdict, run=run, stage=stage).values(superseded=True))
