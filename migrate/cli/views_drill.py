"""What a person reads of drills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from migrate.cli.views import count, moment, verdicts
from migrate.report.terminal import line, path, row, table

Document = Mapping[str, Any]


def span(seconds: Any) -> str:
    """4.2 s, 3 min 5 s, 26 h 10 min, 3 d 2 h."""
    if seconds is None:
        return ""
    value = float(seconds)
    if abs(value) < 60:
        return f"{value:.1f} s"
    whole = round(value)
    for size, unit, below, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if abs(whole) >= size:
            return f"{whole // size} {unit} {whole % size // below} {small}"
    return f"{whole} s"


def drilled(console: Console, document: Document) -> None:
    for one in document.get("drills") or ():
        _one(console, one)
    if document.get("passed"):
        line(console, "Every value came back, and every query was answered as declared.", "bold green")
    else:
        line(console, "The drill failed. What to do: docs/drills.md", "bold red")


def _one(console: Console, one: Document) -> None:
    name = one.get("system") if one.get("role") == "source" else one.get("role")
    line(console, f"Backup {one.get('backup')} ({name}), taken {moment(one.get('snapshot_at'))}", "bold")
    rate = f", {count(round(one['rows_per_second']))} rows/s" if one.get("rows_per_second") else ""
    line(console, f"  {count(one.get('rows'))} rows, {count(one.get('bytes'))} bytes{rate}")
    line(console, f"  RPO {span(one.get('rpo_seconds'))}: the age of what came back")
    line(console, f"  RTO {span(one.get('rto_seconds'))}: from the vault to compared")
    for erased in (v for v in one.get("verdicts") or () if v.get("check") == "L4 erased"):
        line(console, f"  {erased.get('found')}")
    made = table(console, "phase", "seconds", numbers=("seconds",))
    for phase, seconds in (one.get("seconds") or {}).items():
        row(made, phase, f"{seconds:.2f}")
    console.print(made)
    asked = {str(v.get("check")) for v in one.get("queries") or ()}
    failed = [v for v in one.get("verdicts") or () if not v.get("passed") and v.get("check") not in asked]
    if one.get("queries"):
        verdicts(console, one["queries"])
    if failed:
        verdicts(console, failed)
    if one.get("page"):
        path(console, "Report", one["page"])


def history(console: Console, document: Document) -> None:
    found = document.get("drills") or ()
    if not found:
        line(console, "No drills yet. Start with: migrate drill latest")
        return
    made = table(console, "when", "of", "outcome", "RPO", "RTO", "rows/s", numbers=("RPO", "RTO", "rows/s"))
    for one in found:
        name = one.get("system") if one.get("role") == "source" else one.get("role")
        rate = count(round(one["rows_per_second"])) if one.get("rows_per_second") else ""
        row(
            made,
            moment(one.get("started")),
            name,
            one.get("state"),
            span(one.get("rpo_seconds")),
            span(one.get("rto_seconds")),
            rate,
        )
    console.print(made)
    for one in found:
        if one.get("state") in ("failed", "broken off"):
            line(console, f"{one.get('drill')} {one.get('state')}: {one.get('reason')}", "red")
    for one in document.get("trend") or ():
        name = one.get("system") if one.get("role") == "source" else one.get("role")
        change = one.get("rto_change")
        against = "" if change is None else f", {change:+.0%} against the median of those before"
        line(
            console,
            f"{name}: {one.get('passed')} of {one.get('drills')} passed; RTO {span(one.get('rto_seconds'))}{against}",
        )


def job(console: Console, document: Document) -> None:
    """One outcome of a schedule, as it comes."""
    state = str(document.get("state"))
    style = {"done": "green", "running": ""}.get(state, "bold red")
    reason = f": {document['reason']}" if document.get("reason") else ""
    line(
        console,
        f"{moment(document.get('ended') or document.get('started') or document.get('due'))}  "
        f"{document.get('kind')} {document.get('job')} (due {moment(document.get('due'))}): {state}{reason}",
        style,
    )


def schedule_ended(console: Console, document: Document) -> None:
    outcomes = document.get("outcomes") or ()
    failed = sum(o.get("state") != "done" for o in outcomes)
    well = f"{len(outcomes) - failed:,} well, {failed:,} not"
    line(console, f"Schedule {document.get('schedule')} ended: {len(outcomes):,} outcomes, {well}.", "bold")


def units(console: Console, text: str) -> None:
    """As it is: it goes into files."""
    console.file.write(text)
