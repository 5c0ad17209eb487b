"""What people read of single values that rules changed, and of audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from migrate.report.terminal import change, line, row, table

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
            one.get("value") or "",
            change(what) or what,
        )
    console.print(made)
