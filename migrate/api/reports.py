"""The report of a run: read, made again where it is missing or out of date, as a page and on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrate.api.places import context_of, find_home, ledger_of, run_id
from migrate.context import Context
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import Corrupt, MigrateError
from migrate.ledger.ledger import Ledger
from migrate.report.document import FILE_NAME, build_report, read_report, write_report
from migrate.report.html.paper import write_pdf
from migrate.report.html.render import page, write_page
from migrate.stages.report import of_ledger, quarantine_files, write
from migrate.stages.verify import NAME as VERIFY
from migrate.state.examples import quarantine_examples
from migrate.state.replays import ended_replays, replay_facts

WITH_SAMPLES = "report.samples.html"
REDUCED = "from-the-ledger"  # the folder of a report for which nothing but the ledger could be read


def report(
    run: str, *, with_samples: bool = False, pdf: Path | str | None = None, home: Path | None = None
) -> dict[str, Any]:
    """The report's content, `path` of report.json, `page` of report.html, and `pdf` where one was asked for.

    Made anew where the run left none, or one from before it went on. `with_samples`: the page is another file, of values
    as they are, for who may see them; report.html never holds any. Raises UsageError, Corrupt (also for a ledger that is
    gone), Unreachable where no page can be printed."""
    place = find_home(home)
    _refuse_lost_ledger(place)
    with ledger_of(place) as ledger:
        name = run_id(ledger, run)
        path = _up_to_date(ledger, name, place)
    document = read_report(path)
    shown = _sampled(document, name, place) if with_samples else write_page(path.parent, document)
    printed = {"pdf": str(write_pdf(shown, Path(pdf)))} if pdf is not None else {}
    return {**document, "path": str(path), "page": str(shown), **printed}


def _up_to_date(ledger: Ledger, name: str, place: Path) -> Path:
    """report.json of the state that the ledger knows; where nothing else can be read from the ledger alone, in a folder of
    its own: what was written with more at hand stays, and is asked for again."""
    path, state = ledger.root / name / FILE_NAME, _state(ledger, name)
    if path.is_file():
        written = read_report(path)
        if written["state"] == state and (written.get("replays") or []) == replay_facts(ledger, name):
            return path
    try:
        with context_of(name, place, hold=False) as ctx:
            return write(ctx, state=state)
    except MigrateError as error:
        facts = of_ledger(ledger, name, state=state)
        document = build_report({**facts, "incomplete": f"{error.where}: {error.message}".removeprefix(": ")})
        return write_report(make_private_folder(path.parent / REDUCED), document)


def _state(ledger: Ledger, name: str) -> str:
    """That of the ledger; of a verified run whose newest verification failed (`migrate verify`), or that of a replay of
    it, failed."""
    state = ledger.run(name).state
    failed = any(
        stage == VERIFY and not verdict.passed
        for run in (name, *ended_replays(ledger, name))
        for stage, verdict in ledger.verdicts(run)
    )
    return "failed" if state == "verified" and failed else state


def _refuse_lost_ledger(place: Path) -> None:
    """Runs without the ledger that knew them are not the same as no runs."""
    left = sorted((place / "runs").glob(f"*/{FILE_NAME}"))
    if left and not (place / "ledger.db").is_file():
        raise Corrupt(
            f"the ledger is gone, which knew what the {len(left)} runs here did and what proved it",
            where=str(place / "ledger.db"),
            kept=f"The target, its receipts and undo journal, and the backups are as they were; so are the reports, the newest of them {left[-1]}.",
            hint="Put ledger.db back from a copy of the folder: without it no run can be resumed, verified again or undone. What target "
            "and vault have on record shows `migrate report RUN --rebuild MAPPING` (or the target's URL).",
        )


def _sampled(document: dict[str, Any], name: str, place: Path) -> Path:
    with context_of(name, place, hold=False) as ctx:
        samples = {
            "quarantine": quarantine_examples(ctx, quarantine_files(ctx), masked=False),
            "profile": _frequent(ctx),
        }
        path = ctx.folder / WITH_SAMPLES
    data = page(document, samples=samples).encode("utf-8", "backslashreplace")
    write_bytes(path, data, point="report.page")
    return path


def _frequent(ctx: Context) -> dict[str, Any]:
    """source.table → column → its most frequent values: {value, rows}."""
    found = {}
    for path in sorted((ctx.folder / "profile").glob("*.samples.json")):
        columns = json.loads(path.read_text()).get("columns") or ()
        found[path.name.removesuffix(".samples.json")] = {c["name"]: c.get("top") or [] for c in columns}
    return found
