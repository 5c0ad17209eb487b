"""How many rows of each entity transform settled, as later stages read it from the run's facts."""

from __future__ import annotations

from typing import Any

from migrate.context import Context


def settled_counts(ctx: Context) -> dict[str, dict[str, Any]]:
    """Per entity: in, quarantined, kept (rows that were not excluded), operations; empty before transform."""
    counts: Any = ctx.ledger.run_facts(ctx.run).get("transform")
    return dict(counts or {})
