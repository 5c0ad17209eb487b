"""What a person reads of a mapping: its examples, one row on its way, the data dictionary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from migrate.cli.views import checked
from migrate.report.terminal import line, mark

Document = Mapping[str, Any]


def examples(console: Console, document: Document) -> None:
    """A line per example, and every difference with the place of what was expected."""
    for one in document.get("examples") or ():
        name = f": {one['name']}" if one.get("name") else ""
        checked(console, bool(one.get("passed")), f"{one.get('entity')} {one.get('number')}{name}")
        for found in one.get("differences") or ():
            column = f"{found['column']}: " if found.get("column") else ""
            said = f"    {column}expected {_value(found)}, got {_value(found, 'got')}"
            line(console, f"{said}  ({found.get('where')})")
    passed, failed = document.get("passed") or 0, document.get("failed") or 0
    if not passed and not failed:
        line(console, "There are no examples: write some under `examples` of an entity.", "bold yellow")
    elif failed:
        line(console, f"{failed:,} of {passed + failed:,} examples failed.", "bold red")
    else:
        line(console, f"All {passed:,} examples passed.", "bold green")
    if document.get("without") and passed + failed:
        line(console, f"Without examples: {', '.join(document['without'])}", "dim")


def suggested(console: Console, document: Document) -> None:
    """The mapping itself, to be redirected into a file; where it was written, what to look at in it."""
    if document.get("out") is None:
        print(document.get("text"), end="")
        return
    for entity in document.get("entities") or ():
        fields = entity.get("fields") or ()
        doubts = sum(bool(f.get("doubts")) for f in fields) + len(entity.get("doubts") or ())
        opened = f", {len(entity['open'])} target columns open" if entity.get("open") else ""
        said = f"{entity.get('from')} → {entity.get('into')}: {len(fields)} fields, {doubts} doubts{opened}"
        line(console, said, "yellow" if doubts else "")
    for what, tables in (
        ("Go nowhere", document.get("left")),
        ("Filled by nothing", document.get("waiting")),
    ):
        if tables:
            line(console, f"{what}: {', '.join(tables)}", "dim")
    line(console, f"Written: {document['out']}", "bold")
    line(console, "Read it, then try it: migrate plan FILE", "dim")


def _value(found: Document, side: str = "expected") -> str:
    """A value in an example; what becomes of a row is said in words already."""
    value = found.get(side)
    if not found.get("column") or value is None:
        return str(value) if value is not None else "nothing"
    return json.dumps(value, ensure_ascii=False)


def preview(console: Console, document: Document) -> None:
    """The row as it is at the source, then every field: each step that changed it, and what comes out."""
    line(console, f"{document.get('entity')} {document.get('key')}, from {document.get('table')}", "bold")
    rows = document.get("rows") or ()
    for number, one in enumerate(rows, 1):
        if len(rows) > 1:
            line(console, f"Row {number} of {len(rows)}", "bold")
        for name, value in (one.get("source") or {}).items():
            line(console, f"  {name}: {'-' if value is None else value}")
        good = not one.get("reasons") and str(one.get("fate")).partition(":")[0] != "quarantine"
        line(console, f"Fate: {one.get('fate')}", "bold green" if good else "bold yellow")
        for reason in one.get("reasons") or ():
            place = f"{reason['field']}: " if reason.get("field") else ""
            line(console, f"  {place}{reason.get('code')} ({reason.get('detail') or reason.get('code')})")
        for let in one.get("lets") or ():
            _way(console, f"let {let.get('name')}", let.get("steps") or ())
        events = {e["field"]: e["code"] for e in one.get("events") or ()}
        for field in one.get("fields") or ():
            _previewed(console, field, events.get(field.get("column")))


def _previewed(console: Console, field: Document, event: str | None) -> None:
    column = str(field.get("column"))
    _way(console, column, field.get("steps") or ())
    for item in field.get("items") or ():
        _way(console, f"  {item.get('name')}", item.get("steps") or ())
    empty = "" if field.get("nullable") else ", not null"
    value = field.get("value")
    shown = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    said = f"    = {shown} ({field.get('type')}{empty})"
    if event:
        said += f", {event}"
    line(console, said)
    if field.get("found") is not None:
        line(console, f"      in the target: {', '.join(field['found']) or 'not there'}")


def _way(console: Console, name: str, steps: Sequence[Document]) -> None:
    """Every step with what it gives; a check says whether it holds."""
    line(console, name, "bold")
    for step in steps:
        if str(step.get("step")).startswith("check: "):
            console.print(Text.assemble("    ", mark(console, not step.get("broken")), f" {step['step']}"))
            continue
        value = step.get("value")
        line(
            console,
            f"    {step.get('step')}: {'nothing' if value is None else json.dumps(value, ensure_ascii=False)}",
        )


def dictionary(console: Console, document: Document) -> None:
    """The page as it is, a row of a table on one line, so that it can be copied."""
    console.print(Text(page(document).rstrip("\n")), soft_wrap=True)


def page(document: Document) -> str:
    """The data dictionary as Markdown."""
    from migrate.report.dictionary_page import markdown

    return markdown(document)
