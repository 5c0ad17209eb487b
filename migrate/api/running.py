"""Runs: plan, run, status, verify, report, rollback, demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrate import rehearsal
from migrate.api.places import context_of, ledger_of, run_id
from migrate.api.schedules import practice_checks
from migrate.context import Context, Progress
from migrate.demo.generate import generate
from migrate.dry_run import dry_run, planned_ddl
from migrate.errors import GateClosed, MigrateError, UsageError
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import UNFINISHED
from migrate.model import RunInfo
from migrate.opening import mapping_of
from migrate.report.html.render import FILE_NAME as PAGE
from migrate.run import migrate, usual_workers
from migrate.stages import verify as verify_stage
from migrate.stages.report import write as write_report
from migrate.stages.rollback import rollback as roll_back
from migrate.stages.rollback.foretold import Foretold
from migrate.state.fixes import WITHDRAWN
from migrate.state.records import writers
from migrate.state.replays import balances_of, ended_replays, replay_facts, replay_of, replays_of
from migrate.state.waiting import waiting_counts


def run(
    mapping: Path | str,
    *,
    to: str | None = None,
    only: Sequence[str] = (),
    fresh: bool = False,
    workers: int | None = None,
    plan: Path | str | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """All stages, or up to `to`; an unfinished run of the same mapping is resumed. `workers`: parts worked on at the
    same time, by default one per core (four at most). `plan`: the file of a plan that the run is held to.

    Raises the MigrateError that stopped the run; everything done so far is kept."""
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers cannot do anything", hint="Give 1 or more.")
    outcome = migrate(
        mapping, to=to, only=only, fresh=fresh, workers=workers, plan=plan, home=home, progress=progress
    )
    if outcome.error is not None:
        raise outcome.error
    with ledger_of(outcome.ctx.home) as ledger:
        shape = _shape(ledger, outcome.ctx.run)
    return {
        **shape,
        "report": str(outcome.report) if outcome.report else None,
        "page": _page_beside(outcome.report),
        "resumed": outcome.resumed,
        "exit_code": 0,
    }


def plan(
    mapping: Path | str,
    *,
    rehearse: bool = False,
    ddl: bool = False,
    home: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Check the mapping against both live schemas and count, from an extracted copy, what a run would do.

    `rehearse`: carry it out in a proven scratch copy of the target, so that its constraints speak.
    `ddl`: only say what would be created in the target, as SQL: {mapping, digest, ddl}; no row is read.
    Changes nothing in either database; the copies are gone afterwards."""
    if ddl:
        return planned_ddl(mapping, home=home, progress=progress)
    if rehearse:
        return rehearsal.rehearse(mapping, home=home, progress=progress)
    return dry_run(mapping, home=home, progress=progress)


def status(run: str | None = None, *, home: Path | None = None) -> dict[str, Any]:
    """Where a run stands; `review`: entity → pairs that may be one and still wait for a person; `practice`: drills and
    scheduled jobs that failed or were missed, of whatever run: that is told, with `run` None, where there are no runs."""
    with ledger_of(home) as ledger:
        if run is None and not ledger.runs():
            failed = [c for c in practice_checks(ledger.path.parent) if not c["passed"]]
            if failed:
                return {"run": None, "state": "none", "stages": [], "practice": failed}
        name = run_id(ledger, run)
        shape = _shape(ledger, name)
        report = _report_path(ledger, name)
        place = ledger.path.parent
        review = _waiting(ledger, name)
    practice = [c for c in practice_checks(place) if not c["passed"]]
    return {
        **shape,
        "resumable": shape["state"] in UNFINISHED,
        "report": report,
        "page": _page_beside(report),
        "review": review,
        "practice": practice,
    }


def _waiting(ledger: Ledger, run: str) -> dict[str, int]:
    folder, facts = ledger.root / run, ledger.run_facts(run)
    if not list((folder / "transform").glob("*/review.parquet")):
        return {}
    mapping = mapping_of(folder, str(facts["source"]), str(facts.get("base") or ""))
    return waiting_counts(ledger, run, mapping)


def runs(*, home: Path | None = None) -> list[dict[str, Any]]:
    """Newest first; `loaded` is how many rows a run wrote to the target, None where it was never counted;
    `kept` how many of them its rollback left alone."""
    with ledger_of(home) as ledger:
        return [{**_line(r), **_wrote(ledger, r.run)} for r in ledger.runs()]


def _wrote(ledger: Ledger, run: str) -> dict[str, Any]:
    facts = ledger.run_facts(run)
    balances: Any = facts.get("balances")
    loaded = sum(int(b.get("loaded", 0)) for b in balances.values()) if balances else None
    return {"loaded": loaded, "kept": facts.get("kept")}


def _line(info: RunInfo) -> dict[str, Any]:
    return {
        "run": info.run,
        "mapping": info.mapping,
        "state": info.state,
        "started": info.started.isoformat(),
        "ended": info.ended.isoformat() if info.ended else None,
    }


def _shape(ledger: Ledger, run: str) -> dict[str, Any]:
    """The JSON shape of a run."""
    info = ledger.run(run)
    return {
        **_line(info),
        "stages": [vars(s) for s in ledger.stages(run)],
        "balances": balances_of(ledger, run),
        "replays": replay_facts(ledger, run),
        "kept": ledger.run_facts(run).get("kept"),
        "verdicts": [v.without_evidence() for _, v in ledger.verdicts(run)],
    }


def _report_path(ledger: Ledger, run: str) -> str | None:
    path = ledger.root / run / "report.json"
    return str(path) if path.is_file() else None


def _page_beside(report: Path | str | None) -> str | None:
    page = Path(report).with_name(PAGE) if report is not None else None
    return str(page) if page is not None and page.is_file() else None


def verify(run: str, *, home: Path | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Read the target again now and compare; `verdicts` are the checks made now. Replays of the run are verified with it.

    Raises GateClosed where the target is not as loaded, UsageError where the run's load is not done."""
    with ledger_of(home) as ledger:
        name = run_id(ledger, run)
        replays = ended_replays(ledger, name)
    document = _verify_one(name, home, progress)
    for replay in replays:
        try:
            told = _verify_one(replay, home, progress)["verdicts"]
        except GateClosed:
            _write_again(name, home, progress, state="failed")  # its rows are the run's
            raise
        document["verdicts"] += [{**v, "check": f"{replay}: {v['check']}"} for v in told]
    return document


def _verify_one(name: str, home: Path | None, progress: Progress | None) -> dict[str, Any]:
    with context_of(name, home, progress, hold=False) as ctx:
        info = ctx.ledger.run(ctx.run)
        if info.state == "rolled_back":
            raise UsageError(f"run {ctx.run} was rolled back: there is nothing to verify")
        _refuse_unloaded(ctx)
        try:
            verify_stage.again(ctx)
        except MigrateError as error:
            write_report(ctx, state="failed", exit_code=error.exit_code)
            raise
        path = write_report(ctx, state=info.state)
        shape = _shape(ctx.ledger, ctx.run)
        shape["verdicts"] = [
            v.without_evidence() for stage, v in ctx.ledger.verdicts(ctx.run) if stage == verify_stage.NAME
        ]
        return {**shape, "report": str(path), "page": _page_beside(path), "exit_code": 0}


def _refuse_unloaded(ctx: Context) -> None:
    """Before its load is done there is nothing that the target should hold."""
    if any(s.stage == "load" and s.state == "done" for s in ctx.ledger.stages(ctx.run)):
        return
    raise UsageError(
        f"run {ctx.run} has not finished its load: there is nothing to verify yet",
        kept="What was finished is kept.",
        hint=f"Run the same command again, it resumes: migrate run {ctx.mapping.path}",
    )


def rollback(
    run: str,
    *,
    preview: bool = False,
    only: Sequence[str] = (),
    force: Sequence[str] = (),
    home: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Undo a run and prove that the target equals the backup taken before it. Its replays are undone before it, the newest
    first; `replays` has what each gave. A replay that is undone by itself takes its corrections back."""
    with ledger_of(home) as ledger:
        name = run_id(ledger, run)
        later = [r.run for r in reversed(replays_of(ledger, name)) if r.state != "rolled_back"]
    undone = []
    after = Foretold() if preview else None
    for replay in later:
        told = _undo(replay, preview, only, force, home, progress, along=later, after=after)
        if told is not None:
            undone.append(told)
    document = _undo(name, preview, only, force, home, progress, along=later, after=after)
    assert document is not None, "only replays may have written nothing"
    return {**document, "replays": undone} if undone else document


def _undo(
    name: str,
    preview: bool,
    only: Sequence[str],
    force: Sequence[str],
    home: Path | None,
    progress: Progress | None,
    *,
    along: Sequence[str],
    after: Foretold | None,
) -> dict[str, Any] | None:
    """One run; `along`: its replays that go with it. None: one of these, which wrote nothing. `after`: what the previews
    of those say that are undone before it."""
    with context_of(name, home, progress, hold=not preview, workers=usual_workers()) as ctx:
        _check_words(ctx, only)
        if name in along and name not in writers(ctx.target):
            if not preview:
                ctx.ledger.set_state(name, "rolled_back")
            return None
        result = roll_back(ctx, preview=preview, only=only, force=force, after=after, tell=name in along)
        state = ctx.ledger.run(ctx.run).state
        if not preview:
            if state == "rolled_back" and replay_of(name) is not None and name not in along:
                ctx.ledger.put_run_facts(name, {WITHDRAWN: True})
            write_report(ctx, state=state)
        document = {"run": ctx.run, "state": state, **result.as_json()}
    whole = replay_of(name)
    if whole is not None and name not in along and not preview:
        _write_again(whole, home, progress)
    return document


def _write_again(name: str, home: Path | None, progress: Progress | None, *, state: str = "") -> None:
    """The report of a run, after one of its replays has come to something else."""
    with context_of(name, home, progress, hold=False) as ctx:
        write_report(ctx, state=state or ctx.ledger.run(ctx.run).state)


def _check_words(ctx: Context, only: Sequence[str]) -> None:
    for name in only:
        if name not in ctx.mapping.entities:
            raise UsageError(
                f"the mapping has no entity {name!r}", hint=f"Entities: {', '.join(ctx.mapping.entities)}."
            )


def demo(folder: Path | None = None, *, seed: int = 7, progress: Progress | None = None) -> dict[str, Any]:
    """A whole acquisition on embedded databases, from made-up data to the verified report."""
    place = folder or Path("migrate-demo")
    mapping = generate(place, seed)
    return {**run(mapping, home=place / ".migrate", progress=progress), "folder": str(place)}
