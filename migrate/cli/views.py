"""How the documents look to a person. One function per document; none of them decides anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from migrate.errors import Corrupt
from migrate.report.clean import clean
from migrate.report.document import quarantine_counts, read_report
from migrate.report.terminal import line, mark, path, row, run_summary, table

Document = Mapping[str, Any]


def run(console: Console, document: Document) -> None:
    """A run with what its report adds: quarantine counts, memory."""
    run_summary(console, document, _report_beside(document))


def status(console: Console, document: Document) -> None:
    run(console, document)
    if document.get("resumable"):
        line(console, "Not finished: the same command resumes it.", "bold yellow")


def runs(console: Console, found: Sequence[Document]) -> None:
    if not found:
        line(console, "No runs yet. Start with: migrate run MAPPING, or migrate demo.")
        return
    made = table(console, "run", "mapping", "state", "started", whole=("run",))
    for one in found:
        row(made, *(one.get(name) for name in ("run", "mapping", "state")), _moment(one.get("started")))
    console.print(made)


def plan(console: Console, document: Document) -> None:
    line(console, f"Plan of {document.get('mapping')}: nothing was changed in either database.", "bold")
    line(console, "Order: " + ", ".join(map(str, document.get("order") or ())))
    counts = {
        "rows": "rows",
        "inserts": "insert",
        "updates": "update",
        "links": "link",
        "unchanged": "same",
        "quarantined": "quarantine",
        "excluded": "exclude",
    }
    made = table(console, "entity", *counts.values(), numbers=list(counts.values()))
    for name, entity in (document.get("entities") or {}).items():
        row(made, name, *(_count(entity.get(c)) for c in counts))
    console.print(made)
    _problems(console, document.get("problems") or ())


def verified(console: Console, document: Document) -> None:
    checks = document.get("verdicts") or ()
    failed = sum(not v.get("passed") for v in checks)
    if failed or not checks:
        line(console, f"Not verified: {failed} of {len(checks)} checks failed.", "bold red")
    else:
        line(console, f"Verified now: all {len(checks)} checks passed.", "bold green")
    verdicts(console, checks)
    if document.get("report"):
        path(console, "Report", document["report"])


def verdicts(console: Console, found: Sequence[Document]) -> None:
    made = table(console, "", "check", "expected", "found", "reason")
    for verdict in found:
        row(
            made,
            mark(console, bool(verdict.get("passed"))),
            *(verdict.get(c) for c in ("check", "expected", "found", "reason")),
        )
    console.print(made)


def rollback(console: Console, document: Document) -> None:
    proof = document.get("proof") or {}
    if document.get("preview"):
        line(console, f"Preview of undoing {document.get('run')}: nothing was changed.", "bold")
    elif proof.get("passed"):
        line(console, "Rolled back: the target equals its backup from before the load.", "bold green")
    else:
        line(console, "Rolled back, but the target differs from its backup; see below.", "bold yellow")
    made = table(
        console, "entity", "delete", "restore", "conflicts", numbers=("delete", "restore", "conflicts")
    )
    for name, entity in (document.get("entities") or {}).items():
        row(made, name, *(_count(entity.get(c)) for c in ("delete", "restore", "conflicts")))
    console.print(made)
    _listed(
        console,
        "Conflicts: rows that somebody changed after the load are kept (--force TABLE undoes them too)",
        document.get("conflicts") or (),
    )
    _listed(console, "Differences to the backup", proof.get("differences") or ())


def trace(console: Console, document: Document) -> None:
    line(console, f"{document.get('entity')} {document.get('key')}", "bold")
    made = table(console, "stage", "what", "where")
    for step in document.get("story") or ():
        row(made, step.get("stage"), step.get("what"), step.get("where"))
    console.print(made)
    for name in ("source", "target"):
        if document.get(name):
            line(console, name, "bold")
            anything(console, document[name], "  ")


def quarantine(console: Console, found: Sequence[Document], *, limit: int) -> None:
    """Counts first, then the rows up to `limit`; the original values are in show and export only."""
    if not found:
        line(console, "The quarantine is empty.", "bold green")
        return
    line(console, f"{len(found):,} rows in quarantine", "bold")
    made = table(console, "reasons", "entity", "code", numbers=("reasons",))
    kinds = [{"entity": r.get("entity"), "code": code} for r in found for code in r.get("codes") or ()]
    for count in quarantine_counts(kinds):
        row(made, f"{count['count']:,}", count["entity"], count["code"])
    console.print(made)
    made = table(console, "entity", "key", "stage", "codes", "reasons")
    for one in found[:limit]:
        row(
            made,
            one.get("entity"),
            one.get("key"),
            one.get("stage"),
            ", ".join(one.get("codes") or ()),
            _reasons(one),
        )
    console.print(made)
    if len(found) > limit:
        line(
            console,
            f"... and {len(found) - limit:,} more; --limit N or --json lists them, export writes them to files.",
        )


def quarantined_rows(console: Console, found: Sequence[Document]) -> None:
    for one in found:
        line(console, f"{one.get('entity')} {one.get('key')} (in {one.get('stage')})", "bold")
        for code, reason in zip(
            one.get("codes") or (), [*(one.get("reasons") or ()), *[""] * 99], strict=False
        ):
            line(console, f"  {code}: {reason}")
        anything(console, one.get("row") or {}, "    ")


def exported(console: Console, paths: Sequence[str]) -> None:
    line(console, f"{len(paths)} files written; they hold personal data.", "bold")
    for one in paths:
        path(console, "  file", one)


def backups(console: Console, found: Sequence[Document]) -> None:
    if not found:
        line(console, "No backups here. A run makes them; --store names another vault.")
        return
    for one in found:
        line(console, one.get("id"), "bold")
        if one.get("problem"):
            line(console, f"  cannot be opened: {one['problem']}", "red")
            continue
        what = f"  {one.get('role')} {one.get('system')} ({one.get('engine')}), taken {_moment(one.get('snapshot_at'))}, "
        held = f"{_count(one.get('tables'))} tables, {_count(one.get('rows'))} rows, {_count(one.get('bytes'))} bytes, "
        proven = ("proven by a restore", "green") if one.get("proven") else ("not proven", "bold red")
        console.print(Text.assemble(clean(what + held, limit=400), proven))


def doctor(console: Console, found: Sequence[Document]) -> None:
    for check in found:
        passed = bool(check.get("passed"))
        what = f" {check.get('check')}: {check.get('found')}"
        console.print(Text.assemble(mark(console, passed), clean(what, limit=600)))
        if not passed and check.get("hint"):
            line(console, f"    {check['hint']}")


def anything(console: Console, document: Any, indent: str = "") -> None:
    """A document without a view of its own: names and values, nested ones further in."""
    if isinstance(document, Mapping):
        for name, value in document.items():
            if isinstance(value, Mapping | list) and value:
                line(console, f"{indent}{name}:")
                anything(console, value, indent + "  ")
            else:
                line(console, f"{indent}{name}: {'-' if value in (None, [], {}) else value}")
    elif isinstance(document, list):
        for value in document:
            if isinstance(value, Mapping) and not any(isinstance(v, Mapping | list) for v in value.values()):
                line(
                    console, indent + "- " + ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
                )
            elif isinstance(value, Mapping | list):
                line(console, f"{indent}-")
                anything(console, value, indent + "  ")
            else:
                line(console, f"{indent}- {value}")
    else:
        line(console, f"{indent}{document}")


def _problems(console: Console, problems: Sequence[Document]) -> None:
    if not problems:
        line(console, "No problems found.", "green")
        return
    line(console, f"{len(problems)} to look at", "bold yellow")
    for problem in problems:
        what = f"  {problem.get('where')}: {problem.get('message')}"
        line(console, what + (f" ({problem['hint']})" if problem.get("hint") else ""))


def _listed(console: Console, title: str, items: Sequence[Any], limit: int = 20) -> None:
    if not items:
        return
    line(console, f"{title} ({len(items):,})", "bold yellow")
    for item in items[:limit]:
        anything(console, [item], "  ")
    if len(items) > limit:
        line(console, f"  ... and {len(items) - limit:,} more; --json lists them all.")


def _reasons(one: Document) -> str:
    return "; ".join(map(str, one.get("reasons") or ()))


def _moment(value: Any) -> str:
    """A time to the second; JSON has it in full."""
    return "" if value is None else str(value)[:19].replace("T", " ")


def _count(value: Any) -> str:
    return "?" if value is None else f"{len(value) if isinstance(value, list) else int(value):,}"


def _report_beside(document: Document) -> Document | None:
    """The run's report.json; a summary does without one that is not there or not readable."""
    where = document.get("report")
    if not where or not str(where).endswith(".json") or not Path(str(where)).is_file():
        return None
    try:
        return read_report(Path(str(where)))
    except Corrupt:
        return None
