"""What a person reads of duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from migrate.cli.views import count
from migrate.report.terminal import line, path

Document = Mapping[str, Any]


def found(console: Console, document: Document, *, limit: int) -> None:
    rows = " and ".join(f"{r:,}" for r in document.get("rows") or [])
    clusters = document.get("clusters") or []
    line(
        console,
        f"{rows} rows: {len(clusters):,} groups of duplicates, {count(document.get('review'))} pairs for you to decide.",
        "bold",
    )
    for one in (document.get("placeholders") or [])[:10]:
        what = ", ".join(f"{c} = {v}" for c, v in zip(one["columns"], one["values"], strict=True))
        line(console, f"  not taken for a key: {what} ({one['rows']:,} rows)")
    pairs = document.get("pairs") or []
    for pair in pairs[:limit]:
        doubt = f" - {pair['doubt']}" if pair.get("doubt") else ""
        line(console, f"  {pair['decided']:6} {pair['probability']:.3f}  {pair['a']} = {pair['b']}{doubt}")
        line(console, f"         {'; '.join(pair['reasons'])}")
    if len(pairs) > limit:
        line(console, f"  and {len(pairs) - limit:,} more: --limit, --json, or --out FILE")
    if document.get("out"):
        path(console, "Pairs", document["out"])


_SAID = {"accept": "accepted, for the next run", "reject": "kept apart, for the next run"}
_EARLIER = {
    "accept": "accepted before; its values changed since",
    "reject": "kept apart before; its values changed since",
}


def _other(pair: Document) -> str:
    return f"row {pair['b']} of the target" if pair.get("in_target") else str(pair["b"])


def queue(console: Console, document: Document, *, limit: int) -> None:
    pairs = document.get("pairs") or []
    line(
        console,
        f"Run {document.get('run')}: {count(document.get('waiting'))} pairs wait for you, {count(document.get('decided'))} are decided.",
        "bold",
    )
    for pair in pairs[:limit]:
        told = pair.get("probability")
        says = [
            "  -  " if told is None else f"{told:.3f}",
            f"{pair['entity']} {pair['a']} = {_other(pair)}",
            *filter(None, [pair.get("doubt"), _EARLIER.get(pair.get("earlier") or "")]),
            *filter(None, [_SAID.get(pair.get("said") or "")]),
        ]
        line(console, f"{pair['pair']}  {' - '.join(says)}")
        for side in pair.get("values") or []:
            sign = "=" if side["equal"] else "|"
            a, b = ("" if side[s] is None else str(side[s]) for s in ("a", "b"))
            line(console, f"    {side['field']:20} {a:30} {sign} {b}")
    if len(pairs) > limit:
        line(console, f"and {len(pairs) - limit:,} more: --limit, or --json")
    if document.get("waiting"):
        line(console, f"Decide: migrate duplicates accept|reject {document.get('run')} PAIR...")


def decided(console: Console, document: Document) -> None:
    made, already = document.get("pairs") or [], document.get("already") or 0
    what = "are one: the next run merges them" if document.get("decision") == "accept" else "stay two"
    line(console, f"{len(made):,} pairs {what}." + (f" {already:,} had been decided so." if already else ""))
    for one in document.get("left") or []:
        line(console, f"  not decided: {one['pair']} - {one['why']}")
    if inserted := document.get("inserted"):
        line(
            console,
            f"The row of {', '.join(inserted[:5])}{' and more' if len(inserted) > 5 else ''} was written as one of its own: "
            f"roll back {document.get('run')}, and the next run takes the row of the target for it.",
            "bold",
        )
