"""What a person reads about corrected rows that were sent again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from migrate.report.terminal import line, path


def replayed(console: Console, document: Mapping[str, Any]) -> None:
    rows, columns = document["corrected"], document["columns"]
    said = ", ".join(f"{count} of {name}" for name, count in rows.items())
    line(console, f"{sum(rows.values())} rows corrected: {said}", "bold")
    for name, count in columns.items():
        line(console, f"  {name}: {count} cells")
    if document.get("preview"):
        line(
            console,
            "Nothing was written. A column that nobody meant to change is what a spreadsheet did to it.",
        )
        return
    if document.get("done_before"):
        line(console, f"{document['replay']} had sent these rows before; nothing was done again.")
    line(
        console,
        f"{document['replay']}: {document['state']}, {document['loaded']} rows loaded, "
        f"{document['quarantined']} rows of the run in quarantine",
    )
    path(console, "report", document["report"])
