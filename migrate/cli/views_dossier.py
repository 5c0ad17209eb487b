"""What a person reads of a dossier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from migrate.report.terminal import line, path

Document = Mapping[str, Any]


def written(console: Console, document: Document | None) -> None:
    """Under a report; nothing where no dossier was asked for."""
    if document is None:
        return
    path(console, "Dossier", document["dossier"])
    signed = "signed" if document["signed"] else "not signed: no key signs backups here"
    line(console, f"  {document['files']:,} files, {document['bytes']:,} bytes, {signed}")
    path(console, "  SHA-256", document["sha256"])
    _left_out(console, document)


def checked(console: Console, document: Document) -> None:
    line(console, f"{document['mapping']}, run {document['run']}: {document['state']}.", "bold")
    for one in document["checked"]:
        line(console, f"  {one['check']}: {one['found']}", "green")
    _left_out(console, document)
    line(console, "Not checked:")
    for text in document["not_checked"]:
        line(console, f"  {text}", "yellow")
    who = (
        f" since {document['signed_by']} signed it"
        if document["signed_by"]
        else ", as far as its own hashes tell"
    )
    line(console, f"Nothing in this dossier was changed{who}.", "bold")


def _left_out(console: Console, document: Document) -> None:
    """By their reasons: there may be many verdicts of one."""
    reasons: dict[str, list[str]] = {}
    for item in document["omitted"]:
        reasons.setdefault(str(item["why"]), []).append(str(item["what"]))
    for why, what in reasons.items():
        shown = what[0] if len(what) == 1 else f"{len(what):,} files, such as {what[0]}"
        line(console, f"  left out: {shown} ({why})")
