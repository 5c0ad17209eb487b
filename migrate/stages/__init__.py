"""The stages of a migration, in order. None imports another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migrate.context import Context
from migrate.stages import backup, extract, load, plan, profile, report, restore_test, transform, verify
from migrate.stages.result import Result


@dataclass(frozen=True)
class Stage:
    name: str
    run: Callable[[Context], Result]


STAGES = (
    Stage(plan.NAME, plan.run),
    Stage(extract.NAME, extract.run),
    Stage(profile.NAME, profile.run),
    Stage(backup.NAME, backup.run),
    Stage(restore_test.NAME, restore_test.run),
    Stage(transform.NAME, transform.run),
    Stage(load.NAME, load.run),
    Stage(verify.NAME, verify.run),
    Stage(report.NAME, report.run),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
