"""What people read of single values that rules changed, and of audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from migrate.report.meanings import MEANINGS, change
from migrate.report.terminal import line, path, row, table

Document = Mapping[str, Any]


def cells(console: Console, found: Sequence[Document]) -> None:
    if not found:
        line(console, "No rule changed a value, or warned of one.", "bold green")
        return
    made = table(console, "entity", "key", "field", "value", "what")
    for one in found:
        what = str(one.get("code"))
        row(
            made,
            one.get("entity"),
            one.get("key"),
            one.get("field"),
            ", ".join(str(v) for v in (one.get("value"), one.get("amount")) if v),
            change(what) or what,
        )
    console.print(made)


_DIMENSIONS = ("completeness", "validity", "uniqueness", "timeliness", "consistency")
_TOP = 12


def audit(console: Console, document: Document) -> None:
    """Scores in percent, with what they changed since the last audit; then what was found most often."""
    tables: Document = document.get("tables") or {}
    since: Document = document.get("since") or {}
    line(
        console,
        f"{document.get('place')}: {len(tables)} tables"
        + (f", compared with {since['at']}" if since else ""),
        "bold",
    )
    shown = [
        d for d in _DIMENSIONS if any((t.get("scores") or {}).get(d) is not None for t in tables.values())
    ]
    made = table(console, "table", "rows", *shown, numbers=("rows", *shown))
    for name, one in tables.items():
        change_: Document = (since.get("tables") or {}).get(name) or {}
        scores = [
            _score((one.get("scores") or {}).get(d), (change_.get("scores") or {}).get(d)) for d in shown
        ]
        row(made, name, _rows(one.get("rows"), change_.get("rows")), *scores)
    console.print(made)
    for word in ("new", "gone"):
        if since.get(word):
            line(console, f"{word} tables: {', '.join(since[word])}")
    found = [{"table": name, **f} for name, one in tables.items() for f in one.get("findings") or ()]
    found.sort(key=lambda f: -int(f["rows"]))
    if found:
        made = table(console, "rows", "table.column", "code", "what", numbers=("rows",))
        for one in found[:_TOP]:
            row(
                made,
                f"{one['rows']:,}",
                f"{one['table']}.{one['column']}",
                one["code"],
                MEANINGS.get(one["code"], ""),
            )
        console.print(made)
        if len(found) > _TOP:
            line(console, f"... and {len(found) - _TOP} more kinds; --json has all.")
    if document.get("kept"):
        path(console, "Kept", document["kept"])


def _score(now: float | None, change: float | None) -> str:
    if now is None:
        return "-"
    return f"{100 * now:.1f}" + (f" ({100 * change:+.1f})" if change else "")


def _rows(now: object, change: int | None) -> str:
    return f"{now:,}" + (f" ({change:+,})" if change else "") if isinstance(now, int) else "-"
