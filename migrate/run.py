"""One migration, start to end: open what it needs, walk the stages, stop at a closed gate."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from migrate import failpoints
from migrate.connectors.registry import drop_scratch, drop_snapshot_leftovers, open_source, open_target
from migrate.context import Context, Progress, Silent
from migrate.durable import make_private_folder, sweep_temporaries, write_bytes
from migrate.errors import Corrupt, Drift, GateClosed, MigrateError, Unreachable, UsageError
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import JSON
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.model import RunInfo
from migrate.planning import scratch_url
from migrate.stages import STAGE_NAMES, STAGES, Stage
from migrate.stages.load import TargetDrifted
from migrate.stages.report import write as write_report
from migrate.stages.result import Result
from migrate.state.records import written_parts
from migrate.stores.registry import open_store

STAGED = (
    "extract",
    "target",
    "targets",
    "transform",
    "load",
    "temp",
    "cache",
)  # folders of a run that hold rows
MAPPING_COPY = "mapping.yaml"  # in the run's folder; it names secrets, and holds none
REFRESHES = 3  # how often a drifting target is backed up anew before the gate closes


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `error` is what stopped it, if anything."""

    ctx: Context
    state: str
    resumed: bool
    report: Path | None
    error: MigrateError | None = None


def home_of(mapping: Mapping, home: Path | None) -> Path:
    """`--home`, MIGRATE_HOME, or `.migrate` beside the mappings folder."""
    given = home or (Path(os.environ["MIGRATE_HOME"]) if os.environ.get("MIGRATE_HOME") else None)
    return given or Path(mapping.base) / ".migrate"


def migrate(
    path: Path | str,
    *,
    to: str | None = None,
    only: Sequence[str] = (),
    fresh: bool = False,
    home: Path | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run the mapping at `path` from where it stands to its end, or to the stage `to`.

    An error that is meant for the user ends the run in a state from which the same command resumes;
    it is in the outcome, and everything done so far is kept.
    """
    mapping = load_mapping(path)
    _check_words(mapping, to, only)
    try:
        with opened(mapping, home=home, only=only, fresh=fresh, progress=progress) as (ctx, resumed):
            return _walk(ctx, resumed, STAGES[: STAGE_NAMES.index(to) + 1] if to else STAGES)
    except MigrateError as error:  # before the first stage: what stops a stage is in the outcome
        error.kept = error.kept or "Nothing was read or changed."
        error.hint = error.hint or _HINTS.get(error.exit_code, "").format(run="latest")
        raise


def _check_words(mapping: Mapping, to: str | None, only: Sequence[str]) -> None:
    if to is not None and to not in STAGE_NAMES:
        raise UsageError(f"there is no stage {to!r}", hint=f"Stages: {', '.join(STAGE_NAMES)}.")
    for name in only:
        if name not in mapping.entities:
            raise UsageError(
                f"the mapping has no entity {name!r}", hint=f"Entities: {', '.join(mapping.entities)}."
            )


@contextmanager
def opened(
    mapping: Mapping,
    *,
    home: Path | None = None,
    only: Sequence[str] = (),
    fresh: bool = False,
    progress: Progress | None = None,
    run: str | None = None,
    hold: bool = True,
) -> Iterator[tuple[Context, bool]]:
    """The context of a new or resumed run (or of `run`), holding the target against other runs (exit 8)."""
    root = make_private_folder(home_of(mapping, home))
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger.open(root / "ledger.db"))
        base = Path(mapping.base)
        work = make_private_folder(root / "work")
        sources = {}
        for name, source in mapping.sources.items():
            sources[name] = open_source(source.url, base=base, work=work, options=source)
            stack.callback(sources[name].close)
        target = open_target(mapping.target.url, base=base, work=work)
        stack.callback(target.close)
        if hold:
            stack.enter_context(target.hold())
        store = open_store(mapping.policy.backup.to, base=base)
        now = datetime.now(UTC)
        ctx = Context(
            run="",
            mapping=mapping,
            home=root,
            folder=root,
            ledger=ledger,
            sources=sources,
            target=target,
            store=store,
            progress=progress or Silent(),
            now=now.isoformat(timespec="seconds"),
            only=tuple(only),
        )
        found = run or _resumable(ctx, fresh)
        name = found or f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        ctx = replace(ctx, run=name, folder=make_private_folder(root / "runs" / name))
        if found is None:
            text = Path(mapping.path).read_bytes()
            write_bytes(ctx.place(MAPPING_COPY), text, point="run.mapping")
            facts: dict[str, JSON] = {"only": list(only), "source": mapping.path, "base": mapping.base}
            ledger.begin_run(name, mapping.name, mapping.digest, facts)
            ledger.audit("run started", name)
        if hold:
            _clean(ctx)
            _clean_scratch(ctx)
        yield ctx, found is not None


def mapping_of(folder: Path, source: str, base: str) -> Mapping:
    """The mapping a run was started with: its own copy, since the file itself is edited between runs."""
    copy = folder / MAPPING_COPY
    return load_mapping(copy, base=Path(base)) if copy.is_file() and base else load_mapping(Path(source))


def _resumable(ctx: Context, fresh: bool) -> str | None:
    """The unfinished run to go on with; a changed mapping may start anew only where nothing was written (exit 7)."""
    last = ctx.ledger.latest_unfinished(ctx.mapping.name)
    if last is None or _finished(ctx, last):
        return None
    same = last.mapping_digest == ctx.mapping.digest and ctx.ledger.run_facts(last.run).get("only") == list(
        ctx.only
    )
    if same and not fresh:
        return last.run
    if written_parts(replace(ctx, run=last.run)):
        what = "--fresh was given" if same else "the mapping changed"
        raise Drift(
            f"{what}, but run {last.run} is unfinished and has written to the target",
            kept="Nothing was changed by this command.",
            hint=f"Finish it with the mapping as it was, or undo it with `migrate rollback {last.run}`.",
        )
    _abandon(ctx, last.run, fresh)
    return None


def _abandon(ctx: Context, run: str, fresh: bool) -> None:
    """A run that wrote nothing is given up: its rows on disk go (F15), what it found out stays."""
    ctx.ledger.set_state(run, "failed")
    ctx.ledger.audit("run abandoned", run, {"fresh": fresh})
    for name in STAGED:
        shutil.rmtree(ctx.home / "runs" / run / name, ignore_errors=True)


def _finished(ctx: Context, last: RunInfo) -> bool:
    """A run of some entities only ends partial: it is done, though the whole migration is not."""
    done = {s.stage for s in ctx.ledger.stages(last.run) if s.state == "done"}
    return last.state == "partial" and STAGE_NAMES[-1] in done


def _clean(ctx: Context) -> None:
    """What a killed process left in this run's folder and of the copies it read: it holds rows."""
    failpoints.hit("run.opened")
    drop_snapshot_leftovers(ctx.home / "work")
    shutil.rmtree(ctx.folder / "temp", ignore_errors=True)
    for folder, _, _ in os.walk(ctx.folder):
        sweep_temporaries(Path(folder))
    for other in ctx.ledger.runs():  # one that was killed over its last report, having ended already
        if other.mapping == ctx.mapping.name and (ctx.home / "runs" / other.run).is_dir():
            sweep_temporaries(ctx.home / "runs" / other.run)


def _clean_scratch(ctx: Context) -> None:
    """Scratch databases that a killed process left behind."""
    for left in ctx.ledger.scratches():
        if ctx.ledger.run(left.run).mapping != ctx.mapping.name:
            continue  # another migration's, which may be running
        role, _, source = left.location.partition(":")
        engine, url = scratch_url(ctx.mapping, role, source)
        drop_scratch(engine, url, folder=ctx.home / "runs" / left.run / "scratch", name=left.name)
        failpoints.hit("run.scratch_cleaned")
        ctx.ledger.remove_scratch(left.name)


def _walk(ctx: Context, resumed: bool, stages: Sequence[Stage]) -> Outcome:
    ctx.ledger.set_state(ctx.run, "running")
    failpoints.hit("run.started")
    try:
        for attempt in range(REFRESHES + 1):
            try:
                for stage in stages:
                    run_stage(ctx, stage)
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
        report = write_report(ctx, state="failed", exit_code=error.exit_code)
    except OSError:
        if error.exit_code != Unreachable.exit_code:
            raise
        return Outcome(ctx, "failed", resumed, None, error)  # the disk that stopped the run takes no report
    return Outcome(ctx, "failed", resumed, report, error)


def run_stage(ctx: Context, stage: Stage) -> Result:
    ctx.progress.stage(stage.name, None)
    ctx.ledger.stage_started(ctx.run, stage.name)
    failpoints.hit(f"stage.{stage.name}.started")
    begin = time.perf_counter()
    result = stage.run(ctx)
    ctx.ledger.stage_finished(ctx.run, stage.name, result.rows, time.perf_counter() - begin)
    failpoints.hit(f"stage.{stage.name}.finished")
    return result


def forget_target(ctx: Context) -> None:
    """The target drifted: its backup, the proof and all that was decided against it are made again."""
    ctx.ledger.forget(ctx.run, "backup", "target")
    ctx.ledger.forget(ctx.run, "restore-test", "target")
    ctx.ledger.forget(ctx.run, "transform")
    ctx.ledger.forget(ctx.run, "load")
