"""How the documents look to a person. One function per document; none of them decides anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from migrate.cli.keys import line_of
from migrate.errors import Corrupt
from migrate.report.clean import clean
from migrate.report.document import quarantine_counts, read_report
from migrate.report.meanings import GONE
from migrate.report.terminal import line, mark, path, row, run_summary, since_the_last_run, table

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
    _listed(console, "To be created in the target (--ddl prints only this)", statements, style="bold")
    _listed(console, "Tables", list(_tables(document.get("tables") or {})), style="bold")
    _problems(console, document.get("problems") or ())
    reasons = (document.get("dictionary") or {}).get("reasons") or ()
    _listed(console, "Why", [f"{r.get('where')}: {r.get('why')}" for r in reasons], style="bold")
    words = (document.get("glossary") or {}).items()
    _listed(console, "Glossary", [f"{word}: {means}" for word, means in words], style="bold")
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
    _listed(
        console,
        "Conflicts: rows that somebody changed after the load are kept (--force TABLE undoes them too)",
        document.get("conflicts") or (),
    )
    word = "would be dropped" if document.get("preview") else "dropped"
    for one in document.get("created") or ():
        line(console, f"{one['what']}, created by this run: {one['reason'] or word}.")
    _listed(console, "Differences to the backup", proof.get("differences") or ())
    for names in document.get("renamed") or ():
        old, new = (f"{names.get(f'{o}entity')} ({names.get(f'{o}system')})" for o in ("old_", ""))
        line(console, f"Rows of {old} stay known as {new}: renaming is not undone.")


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
    made = table(console, "entity", "key", "target", "decided")
    for one in found[:limit]:
        what = str(one.get("decided"))
        row(made, one.get("entity"), one.get("key"), one.get("target_key"), GONE.get(what, what))
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


def _problems(console: Console, problems: Sequence[Document]) -> None:
    if not problems:
        line(console, "No problems found.", "green")
        return
    line(console, f"{len(problems)} to look at", "bold yellow")
    for problem in problems:
        where = f"{problem['where']}: " if problem.get("where") else ""
        what = f"  {where}{problem.get('message')}"
        line(console, what + (f" ({problem['hint']})" if problem.get("hint") else ""))


def _listed(
    console: Console, title: str, items: Sequence[Any], limit: int = 20, style: str = "bold yellow"
) -> None:
    if not items:
        return
    line(console, f"{title} ({len(items):,})", style)
    for item in items[:limit]:
        anything(console, [item], "  ")
    if len(items) > limit:
        line(console, f"  ... and {len(items) - limit:,} more; --json lists them all.")


def _named(one: Document) -> str:
    """How `show` finds the row: its key, or the line of a row without one."""
    return str(one.get("key") or line_of(one) or one.get("place") or "")


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
