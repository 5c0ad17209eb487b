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
