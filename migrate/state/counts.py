"""How many rows of each entity were settled, and what load does with them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow.parquet as pq

from migrate.context import Context
from migrate.state.conflicts import conflict_counts
from migrate.state.to_load import part_indexes, part_path


def settled_counts(ctx: Context) -> dict[str, dict[str, Any]]:
    """Per entity: in, quarantined, kept (rows that were not excluded), operations; empty before transform."""
    counts: Any = ctx.ledger.run_facts(ctx.run).get("transform")
    return dict(counts or {})


def entity_counts(ctx: Context) -> dict[str, dict[str, int]]:
    """Per entity: rows, inserts, updates, unchanged, links, quarantined, excluded, parts, as a plan states them; of rows
    that changed on both sides those `kept` and `overwritten`, and `gone`, `gone_flagged`, `gone_deleted`.
    What is written is known once `assign` has fixed the rows; before, nothing is."""
    counts = settled_counts(ctx)
    found = {}
    for name in ctx.entities:
        count = counts.get(name, {})
        done = _written(ctx, name)
        written = done["insert"] + done["update"] + done["link"]
        found[name] = {
            "rows": count.get("in", 0),
            "inserts": done["insert"],
            "updates": done["update"],
            "unchanged": sum(count.get("operations", {}).values()) - written,
            "links": done["link"],
            "quarantined": count.get("quarantined", 0),
            "excluded": count.get("in", 0)
            - count.get("kept", 0)
            - count.get("merged", 0)
            - count.get("known", 0),
            **({"merged": count["merged"]} if count.get("merged") else {}),
            **({"known": count["known"]} if count.get("known") else {}),
            "parts": len(part_indexes(ctx, name)),
            **_on_both_sides(ctx, name),
        }
    return found


def _on_both_sides(ctx: Context, name: str) -> dict[str, int]:
    """What a second run finds: conflicts, and rows that are gone."""
    conflicts, gone = conflict_counts(ctx, name), gone_counts(ctx).get(name, {})
    return {
        "kept": conflicts.get("kept", 0),
        "overwritten": conflicts.get("overwritten", 0),
        "gone": int(gone.get("gone", 0)),
        "gone_flagged": int(gone.get("flag", 0)),
        "gone_deleted": int(gone.get("delete", 0)),
    }


def gone_counts(ctx: Context) -> dict[str, dict[str, Any]]:
    """Per entity that earlier runs loaded rows of: what `decide_gone` found, and after verification how they `ended`."""
    counts: Any = ctx.ledger.run_facts(ctx.run).get("gone")
    return dict(counts or {})


def _written(ctx: Context, name: str) -> Counter[str]:
    """Rows of an entity by what load does with them; nothing where no row was assigned."""
    found: Counter[str] = Counter()
    for index in part_indexes(ctx, name):
        path = part_path(ctx, name, index)
        if path.exists():
            rows = pq.read_table(path, columns=["__op"])
            found.update(str(op) for op in rows["__op"].to_pylist())
    return found
