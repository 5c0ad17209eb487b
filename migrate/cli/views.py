"""How the documents look to a person. One function per document; none of them decides anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from migrate.errors import Corrupt
from migrate.report.clean import clean
from migrate.report.document import read_report
from migrate.report.terminal import line, mark, path, row, run_summary, table

Document = Mapping[str, Any]


def run(console: Console, document: Document) -> None:
    """A run with what its report adds: quarantine counts, memory."""
    run_summary(console, document, _report_beside(document))


def report(console: Console, document: Document) -> None:
    """A run's report.json, and where its page lies."""
    run_summary(console, {**document, "report": document.get("path")})
    if document.get("pdf"):
        path(console, "PDF", document["pdf"])


def status(console: Console, document: Document) -> None:
    if document.get("run") is None:
        line(console, "There are no runs yet.")
    else:
        run(console, document)
    if document.get("resumable"):
        line(console, "Not finished: the same command resumes it.", "bold yellow")
    if document.get("practice"):
        doctor(console, document["practice"])


def runs(console: Console, found: Sequence[Document]) -> None:
    if not found:
        line(console, "No runs yet. Start with: migrate run MAPPING, or migrate demo.")
        return
    kept = ["kept"] if any(one.get("kept") for one in found) else []
    columns = ("run", "mapping", "state", "loaded", *kept, "started")
    made = table(console, *columns, whole=("run",), numbers=("loaded", "kept"))
    for one in found:
        loaded = "" if one.get("loaded") is None else count(one["loaded"])
        cells = [one.get("run"), one.get("mapping"), one.get("state"), loaded]
        cells += [count(one["kept"]) if one.get("kept") else ""] if kept else []
        row(made, *cells, moment(one.get("started")))
    console.print(made)


def verified(console: Console, document: Document) -> None:
    checks = document.get("verdicts") or ()
    failed = sum(not v.get("passed") for v in checks)
    if failed or not checks:
        line(console, f"Not verified: {failed} of {len(checks)} checks failed.", "bold red")
    else:
        line(console, f"Verified now: all {len(checks)} checks passed.", "bold green")
    by_entity: dict[str, list[Document]] = {}
    for check in checks:  # "verify accounts", "orphans contacts.account_id", "balance accounts"
        kind, _, about = str(check.get("check")).partition(" ")
        entity = about.partition(".")[0].rpartition(" ")[2]  # "verify unchanged owners" is about owners
        by_entity.setdefault(entity or kind, []).append(check)
    for entity, its in by_entity.items():
        tables = [v for v in its if str(v.get("check")).startswith(("sum ", "count "))]
        its = [v for v in its if v not in tables]
        verdicts(console, tables)
        if all(v.get("passed") for v in its):
            references = sum(str(v.get("check")).startswith("orphans ") for v in its)
            said = [str(v.get("found")) for v in its if not str(v.get("check")).startswith("orphans ")]
            said = [s for s in said if not s.startswith("0 rows in place")]
            said += (
                [f"{references} reference{'s hold' if references > 1 else ' holds'}"] if references else []
            )
            checked(console, True, f"{entity}: {'; '.join(said)}")
        else:
            verdicts(console, its)
    if document.get("report"):
        path(console, "Report", document["report"])


def verdicts(console: Console, found: Sequence[Document]) -> None:
    """One line per check, with its table where it is about one; a failed one tells what it expected."""
    for verdict in found:
        evidence = verdict.get("evidence") or {}
        about = f" {evidence['table']}" if evidence.get("table") else ""
        says = f"{evidence['rows_found']:,} rows" if "rows_found" in evidence else verdict.get("found") or ""
        what = f"{verdict.get('check')}{about}: {says}"
        if not verdict.get("passed"):
            what = f"{verdict.get('check')}{about}: expected {verdict.get('expected')}, found {verdict.get('found')}"
        reason = verdict.get("reason")
        checked(console, bool(verdict.get("passed")), f"{what}. {reason}" if reason else what)


def checked(console: Console, passed: bool, what: str) -> None:
    console.print(Text.assemble(mark(console, passed), " ", clean(what, limit=600)))


def profile(console: Console, document: Document) -> None:
    """One line per column; --json has everything."""
    for name, found in document.items():
        bad = ", ".join(f"{count(n)} {code}" for code, n in (found.get("bad") or {}).items())
        line(
            console, f"{name}: {count(found.get('rows'))} rows" + (f", broken: {bad}" if bad else ""), "bold"
        )
        numbers = ("filled", "distinct", "longest")
        made = table(console, "column", "kind", *numbers, "most frequent", numbers=numbers)
        for column in found.get("columns") or ():
            rows = int(column.get("rows") or 0)
            filled = rows - int(column.get("nulls") or 0) - int(column.get("empty") or 0)
            top: Document = next((p for p in column.get("patterns") or () if p.get("pattern")), {})
            often = f"{top.get('pattern')} ({count(top.get('rows'))})" if top else ""
            values: Document = next(iter(column.get("top") or ()), {})
            if "value" in values:  # --samples
                often = f"{values['value']} ({count(values.get('rows'))})"
            row(
                made,
                column.get("name"),
                column.get("kind"),
                f"{filled / rows:.0%}" if rows else "-",
                count(column.get("distinct")),
                column.get("max_length"),
                often,
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
    for one in document.get("replays") or ():
        gone = sum(int(e.get("delete", 0)) for e in one["entities"].values())
        line(console, f"With it {one['run']}, which sent corrected rows again: {gone} rows.")
    entities = (document.get("entities") or {}).values()
    back = ["bring_back"] if any(e.get("bring_back") for e in entities) else []
    counts = ["delete", "restore", *back, "conflicts"]
    made = table(console, "entity", *counts, numbers=counts)
    for name, entity in (document.get("entities") or {}).items():
        row(made, name, *(count(entity.get(c)) for c in counts))
    console.print(made)
    listed(
        console,
        "Conflicts: rows that somebody changed after the load are kept (--force TABLE undoes them too)",
        document.get("conflicts") or (),
    )
    word = "would be dropped" if document.get("preview") else "dropped"
    for one in document.get("created") or ():
        line(console, f"{one['what']}, created by this run: {one['reason'] or word}.")
    listed(console, "Differences to the backup", proof.get("differences") or ())
    for names in document.get("renamed") or ():
        old, new = (f"{names.get(f'{o}entity')} ({names.get(f'{o}system')})" for o in ("old_", ""))
        line(console, f"Rows of {old} stay known as {new}: renaming is not undone.")


def written(console: Console, what: str, where: object) -> None:
    path(console, what, where)


def doctor(console: Console, found: Sequence[Document]) -> None:
    for check in found:
        passed = bool(check.get("passed"))
        what = f" {check.get('check')}: {check.get('found')}"
        console.print(Text.assemble(mark(console, passed), clean(what, limit=600)))
        if not passed and check.get("hint"):
            line(console, f"    {check['hint']}")
        for problem in check.get("problems") or ():
            line(console, f"    {problem}")


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


def listed(
    console: Console, title: str, items: Sequence[Any], limit: int = 20, style: str = "bold yellow"
) -> None:
    if not items:
        return
    line(console, f"{title} ({len(items):,})", style)
    for item in items[:limit]:
        anything(console, [item], "  ")
    if len(items) > limit:
        line(console, f"  ... and {len(items) - limit:,} more; --json lists them all.")


def moment(value: Any) -> str:
    """A time to the second; JSON has it in full."""
    return "" if value is None else str(value)[:19].replace("T", " ")


def count(value: Any) -> str:
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
