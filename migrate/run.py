"""One migration, start to end: open what it needs, walk the stages, stop at a closed gate."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from migrate import failpoints
from migrate.arrow import give_back_memory, use_frugal_memory
from migrate.context import Context, Progress
from migrate.errors import Corrupt, GateClosed, MigrateError, Unreachable, UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.opening import opened
from migrate.retry import retried
from migrate.stages import STAGE_NAMES, STAGES, Stage
from migrate.stages.load import TargetDrifted
from migrate.stages.report import write as write_report
from migrate.stages.result import Result
from migrate.state.expected import keep_plan, read_plan
from migrate.telemetry.watch import NOBODY, Watch, watching

_WORKERS = 4
REFRESHES = 3  # how often a drifting target is backed up anew before the gate closes


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `error` is what stopped it, if anything."""

    ctx: Context
    state: str
    resumed: bool
    report: Path | None
    error: MigrateError | None = None


def usual_workers() -> int:
    """One per core, four at most."""
    return min(os.cpu_count() or 1, _WORKERS)


def migrate(
    path: Path | str,
    *,
    to: str | None = None,
    only: Sequence[str] = (),
    fresh: bool = False,
    workers: int | None = None,
    plan: Path | str | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run the mapping at `path` from where it stands to its end, or to the stage `to`.

    `workers`: parts worked on at the same time; by default one per core, four at most.
    `plan`: the file of a plan that the run is held to; what is not as it states stops the run (Drift).
    An error that is meant for the user ends the run in a state from which the same command resumes;
    it is in the outcome, and everything done so far is kept.
    """
    mapping = load_mapping(path)
    _check_words(mapping, to, only)
    use_frugal_memory()
    planned = read_plan(plan, mapping) if plan is not None else None
    try:
        with opened(
            mapping,
            home=home,
            only=only,
            fresh=fresh,
            progress=progress,
            workers=workers or usual_workers(),
        ) as (ctx, resumed):
            if planned is not None:
                keep_plan(ctx, planned)
            with watching(ctx) as watch:
                stages = STAGES[: STAGE_NAMES.index(to) + 1] if to else STAGES
                outcome = walk(ctx, resumed, stages, watch)
                code = outcome.error.exit_code if outcome.error else 0
                watch.run_ended(outcome.state, code, _balances(ctx))
                return outcome
    except MigrateError as error:  # before the first stage: what stops a stage is in the outcome
        error.kept = error.kept or "Nothing was read or changed."
        error.hint = error.hint or _HINTS.get(error.exit_code, "").format(run="latest")
        raise


def _balances(ctx: Context) -> dict[str, dict[str, int]]:
    found: Any = ctx.ledger.run_facts(ctx.run).get("balances") or {}
    return {entity: dict(balance) for entity, balance in found.items()}


def _check_words(mapping: Mapping, to: str | None, only: Sequence[str]) -> None:
    if to is not None and to not in STAGE_NAMES:
        raise UsageError(f"there is no stage {to!r}", hint=f"Stages: {', '.join(STAGE_NAMES)}.")
    for name in only:
        if name not in mapping.entities:
            raise UsageError(
                f"the mapping has no entity {name!r}", hint=f"Entities: {', '.join(mapping.entities)}."
            )


def walk(ctx: Context, resumed: bool, stages: Sequence[Stage], watch: Watch = NOBODY) -> Outcome:
    """All `stages` in order; an error that is meant for the user is in the outcome."""
    ctx.ledger.set_state(ctx.run, "running")
    failpoints.hit("run.started")
    try:
        for attempt in range(REFRESHES + 1):
            try:
                for stage in stages:
                    run_stage(ctx, stage, watch)
                break
            except TargetDrifted as drift:
                if ctx.mapping.policy.target_drift == "stop":
                    raise
                if attempt == REFRESHES:
                    raise GateClosed(
                        f"{drift.message}, {REFRESHES} times in a row",
                        kept=drift.kept,
                        hint="Stop other writers.",
                    ) from drift
                ctx.progress.note(f"{drift.message}; it is backed up and proven again")
                forget_target(ctx)
    except MigrateError as error:
        return _failed(ctx, resumed, error)
    except OSError as error:
        refused = disk_refused(error) or lost_file(ctx, error)
        if refused is None:
            raise
        return _failed(ctx, resumed, refused)
    except KeyboardInterrupt:
        ctx.ledger.set_state(ctx.run, "interrupted")
        raise
    except RuntimeError as error:
        if "Query interrupted" not in str(error):  # what DuckDB makes of Ctrl-C
            raise
        ctx.ledger.set_state(ctx.run, "interrupted")
        raise KeyboardInterrupt from error
    state = "stopped" if stages[-1].name != "report" else "partial" if ctx.only else "verified"
    ctx.ledger.set_state(ctx.run, state)
    ctx.ledger.audit(f"run {state}", ctx.run)
    failpoints.hit("run.ended")
    return Outcome(ctx, state, resumed, write_report(ctx, state=state))


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM)


def lost_file(ctx: Context, error: OSError) -> Corrupt | None:
    """A file of this run that somebody removed. None where it is anything else."""
    name = str(error.filename or "")
    if not isinstance(error, FileNotFoundError) or not name.startswith(str(ctx.folder)):
        return None
    return Corrupt(
        "a file of this run is gone",
        where=name,
        kept="The target and the backups are as they were.",
        hint=f"Run with --fresh; if rows were loaded already, `migrate rollback {ctx.run}` first.",
    )


def disk_refused(error: OSError) -> Unreachable | None:
    """The disk or its rights refused: for the user to mend. None where it is anything else."""
    if error.errno not in _DISK:
        return None
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Unreachable(
        "the disk is full" if full else f"the disk refused: {os.strerror(error.errno).lower()}",
        where=str(error.filename or ""),
        kept="What was finished is kept.",
        hint=f"{'Free some space' if full else 'Mend the disk or its rights'} and run the same command again: it resumes.",
    )


_HINTS = {
    2: "Correct the mapping and run it again.",
    3: "See `migrate report {run}`.",
    4: "See `migrate quarantine list {run}`.",
    5: "Mend that and run the same command again: it resumes.",
    6: "Run with --fresh to read and back up again.",
    7: "Run again with --fresh to plan anew.",
    8: "Wait until the other run has ended and run the same command again.",
}


def _failed(ctx: Context, resumed: bool, error: MigrateError) -> Outcome:
    """The end of a run that an error stopped; every such error says what was kept and what to do."""
    loading = any(s.stage == "load" for s in ctx.ledger.stages(ctx.run))
    error.kept = error.kept or (
        "What was committed to the target stays and can be undone."
        if loading
        else "Nothing was loaded; what was finished is kept."
    )
    error.hint = error.hint or _HINTS.get(error.exit_code, "").format(run=ctx.run)
    ctx.ledger.set_state(ctx.run, "failed")
    ctx.ledger.audit("run stopped by an error", ctx.run, {"exit_code": error.exit_code})
    try:
        report = write_report(ctx, state="failed", exit_code=error.exit_code, error=error)
    except OSError:
        if error.exit_code != Unreachable.exit_code:
            raise
        return Outcome(ctx, "failed", resumed, None, error)  # the disk that stopped the run takes no report
    return Outcome(ctx, "failed", resumed, report, error)


def run_stage(ctx: Context, stage: Stage, watch: Watch = NOBODY) -> Result:
    ctx.progress.stage(stage.name, None)
    ctx.ledger.stage_started(ctx.run, stage.name)
    failpoints.hit(f"stage.{stage.name}.started")
    begin = time.perf_counter()
    with watch.stage(stage.name) as had:
        # what has no try of its own, a look into the catalogue for instance: the stage goes on from where it stands
        result = retried(partial(stage.run, ctx), note=ctx.progress.note)
        had(result.rows)
    ctx.ledger.stage_finished(ctx.run, stage.name, result.rows, time.perf_counter() - begin)
    give_back_memory()
    failpoints.hit(f"stage.{stage.name}.finished")
    return result


def forget_target(ctx: Context) -> None:
    """The target drifted: its backup, the proof and all that was decided against it are made again."""
    ctx.ledger.forget(ctx.run, "backup", "target")
    ctx.ledger.forget(ctx.run, "restore-test", "target")
    ctx.ledger.forget(ctx.run, "transform")
    ctx.ledger.forget(ctx.run, "load")
