"""How a plan looks to a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from migrate.cli.views import Document, count, listed
from migrate.report.terminal import line, row, since_the_last_run, table


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
        row(made, name, *(count(entity.get(c)) for c in counts))
    console.print(made)
    for name, entity in (document.get("entities") or {}).items():
        _outlook(console, name, entity)
    both = ("kept", "overwritten")
    entities = document.get("entities") or {}
    since_the_last_run(
        console,
        {n: {k: e[k] for k in both if e.get(k)} for n, e in entities.items()},
        {n: {"gone": e.get("gone"), **_planned(e)} for n, e in entities.items()},
    )
    statements = [" ".join(str(s).split()) for s in document.get("ddl") or ()]
    listed(console, "To be created in the target (--ddl prints only this)", statements, style="bold")
    listed(console, "Tables", list(_tables(document.get("tables") or {})), style="bold")
    _problems(console, document.get("problems") or ())
    if document.get("exit_code") and not document.get("rehearsal"):
        line(console, f"As it is, a run would stop with exit code {document['exit_code']}.", "bold red")
    reasons = (document.get("dictionary") or {}).get("reasons") or ()
    listed(console, "Why", [f"{r.get('where')}: {r.get('why')}" for r in reasons], style="bold")
    words = (document.get("glossary") or {}).items()
    listed(console, "Glossary", [f"{word}: {means}" for word, means in words], style="bold")
    if document.get("rehearsal"):
        _rehearsal(console, document["rehearsal"])


def _planned(entity: Document) -> dict[str, Any]:
    """What a plan says of gone rows, in the words of the summary."""
    deleted, flagged = int(entity.get("gone_deleted") or 0), int(entity.get("gone_flagged") or 0)
    return {"delete": deleted, "flag": flagged, "keep": int(entity.get("gone") or 0) - deleted - flagged}


def ddl(console: Console, document: Document) -> None:
    """The SQL alone, so that it can be piped into a review."""
    statements = document.get("ddl") or ["-- nothing is to be created in the target"]
    console.print("\n\n".join(map(str, statements)), markup=False, highlight=False, soft_wrap=True)


def _outlook(console: Console, name: str, entity: Document) -> None:
    """What to mend in the mapping or the source: values that no map has, losses, references that fail."""
    for what, words in (("unseen", "values that no map has"), ("lossy", "values that would lose something")):
        for field, found in (entity.get(what) or {}).items():
            examples = ", ".join(f"{e['value']!r} ({e['rows']})" for e in found["examples"])
            line(console, f"{name}.{field}: {words}, in {found['rows']} rows: {examples}")
    for field, codes in (entity.get("references") or {}).items():
        counts = ", ".join(f"{code} {rows}" for code, rows in codes.items())
        line(console, f"{name}.{field}: references that find no row: {counts}")


def _tables(tables: Mapping[str, Document]) -> Iterator[str]:
    """What is worth a look about source tables: rows that a split leaves out, that joins and pivots do not use, names that
    a pivot does not list."""
    for name, account in tables.items():
        for entity, reasons in (account.get("excluded") or {}).items():
            yield f"{name}: {entity} leaves out " + ", ".join(
                f"{n:,} ({reason})" for reason, n in reasons.items()
            )
        for reason, rows in (account.get("left_out") or {}).items():
            yield f"{name}: left out, {reason}: {rows:,}"
        if account.get("quarantined"):
            yield f"{name}: fit no road: {account['quarantined']:,}"
        for reader, counts in [*(account.get("joins") or {}).items(), *(account.get("pivots") or {}).items()]:
            if not counts:
                continue
            rows = counts.get("rows", account.get("rows"))
            names = ", ".join(f"{n} ({c:,})" for n, c in list((counts.get("names") or {}).items())[:5])
            yield f"{name}: {reader} uses {counts['used']:,} of {rows:,} rows" + (
                f"; other names: {names}" if names else ""
            )


def _rehearsal(console: Console, found: Document) -> None:
    refused = found.get("rejected") or ()
    if found.get("state") == "verified" and not refused:
        line(
            console,
            "Rehearsed in a proven copy of the target: every row went in and was verified.",
            "bold green",
        )
    elif found.get("state") == "verified":
        line(
            console,
            "Rehearsed in a proven copy of the target: verified, but the database refused rows.",
            "bold",
        )
    else:
        error = found.get("error") or {}
        line(
            console,
            f"The rehearsal did not end well: {error.get('message') or found.get('state')}",
            "bold red",
        )
    for one in refused:
        what = f"{one['code']} {one['constraint']}".strip()
        line(console, f"  {one['entity']}: {one['rows']} rows refused ({what})")
    for one in found.get("failed") or ():
        line(console, f"  failed: {one.get('check')}: {one.get('reason') or one.get('found')}")
    if found.get("not_rehearsed"):
        line(console, "  Not in the copy: triggers of " + "; ".join(map(str, found["not_rehearsed"])))


def _problems(console: Console, problems: Sequence[Document]) -> None:
    if not problems:
        line(console, "No problems found.", "green")
        return
    line(console, f"{len(problems)} to look at", "bold yellow")
    for problem in problems:
        where = f"{problem['where']}: " if problem.get("where") else ""
        what = f"  {where}{problem.get('message')}"
        line(console, what + (f" ({problem['hint']})" if problem.get("hint") else ""))
