"""Source columns that nothing uses, as the profile found them."""

from __future__ import annotations

from migrate.context import Context


def unused_problems(ctx: Context) -> list[dict[str, str]]:
    """Filled columns that nothing uses, as warnings of the plan; none where the policy says ignore."""
    found = ctx.ledger.run_facts(ctx.run).get("unused")
    if not isinstance(found, list) or ctx.mapping.policy.unmapped == "ignore":
        return []
    return [
        {
            "code": "unmapped",
            "where": ctx.mapping.path,
            "message": str(note),
            "hint": "map it, or name it in left_behind",
        }
        for note in found
    ]
