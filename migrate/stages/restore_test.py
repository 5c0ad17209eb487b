"""Restore test: what the vault holds is restored into a scratch database and compared, value by value (L0–L5)."""

from __future__ import annotations

from migrate.context import Context
from migrate.stages.result import Result
from migrate.state.proven import proven_backups
from migrate.state.proving import STAGE, may_wait, prove

NAME = STAGE


def run(ctx: Context) -> Result:
    """Both sides, but for a target that may have nothing to be written: load proves that before its gate."""
    parts = [part for part in proven_backups(ctx) if not may_wait(ctx, part)]
    verdicts, rows = prove(ctx, parts)
    if not verdicts:
        return Result(resumed=True)
    return Result(rows=rows, verdicts=tuple(verdicts))
