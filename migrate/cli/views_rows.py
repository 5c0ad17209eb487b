"""How single rows look to a person: one row's story, quarantine, rows that are gone."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from migrate.cli.keys import line_of
from migrate.cli.views import Document, anything
from migrate.report.document import quarantine_counts
from migrate.report.meanings import gone_words
from migrate.report.terminal import line, path, row, table


def trace(console: Console, document: Document) -> None:
    line(console, f"{document.get('entity')} {document.get('key')}", "bold")
    made = table(console, "stage", "what", "where")
    for step in document.get("story") or ():
        row(made, step.get("stage"), step.get("what"), step.get("where"))
    console.print(made)
    sources = [s for s in document.get("sources") or [document.get("source")] if s]
    for name, content in (*(("source", s) for s in sources), ("target", document.get("target"))):
        if content:
            line(console, name, "bold")
            anything(console, content, "  ")


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
    made = table(console, "entity", "key", "stage", "reasons")
    for one in found[:limit]:
        row(
            made,
            one.get("entity"),
            _named(one),
            one.get("stage"),
            "; ".join(map(str, one.get("reasons") or one.get("codes") or ())),
        )
    console.print(made)
    if len(found) > limit:
        line(
            console,
            f"... and {len(found) - limit:,} more; --limit N or --json lists them, export writes them to files.",
        )


def gone(console: Console, found: Sequence[Document], *, limit: int) -> None:
    if not found:
        line(console, "No loaded row is gone at the source.", "bold green")
        return
    line(console, f"{len(found):,} loaded rows are gone at the source", "bold")
    made = table(console, "entity", "key", "target", "outcome")
    for one in found[:limit]:
        what = gone_words(str(one.get("decided")), one.get("ended"))
        row(made, one.get("entity"), one.get("key"), one.get("target_key"), what)
    console.print(made)
    if len(found) > limit:
        line(console, f"... and {len(found) - limit:,} more; --limit N or --json lists them.")


def quarantined_rows(console: Console, found: Sequence[Document]) -> None:
    for one in found:
        line(console, f"{one.get('entity')} {_named(one)} (in {one.get('stage')})", "bold")
        for reason in one.get("reasons") or one.get("codes") or ():
            line(console, f"  {reason}")
        if one.get("line") is not None and one.get("key"):
            line(console, f"  line {one['line']}" + (f" of {one['file']}" if one.get("file") else ""))
        if one.get("raw") is not None:
            line(console, f"  as it stood in the file: {one['raw']}")
        anything(console, one.get("row") or {}, "    ")


def exported(console: Console, run: str, paths: Sequence[str]) -> None:
    line(console, f"{len(paths)} files written; they hold personal data.", "bold")
    line(
        console,
        "Correct values in them, and send the rows again; or correct the source or the mapping, and run that again.",
    )
    for one in paths:
        path(console, "  file", one)
    if paths:
        line(console, f"then: migrate quarantine replay {run} --from FILE")


def _named(one: Document) -> str:
    """How `show` finds the row: its key, or the line of a row without one."""
    return str(one.get("key") or line_of(one) or one.get("place") or "")
