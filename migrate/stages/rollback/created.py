"""Tables and columns that the run created: what an undo of it does with them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.compute as pc

from migrate.connectors.creation import is_new
from migrate.context import Context
from migrate.model import Schema
from migrate.stages.rollback.victims import Undo
from migrate.state.created import Undone, in_use, made_by
from migrate.state.identity import names_now
from migrate.state.records import meta_rows


def created_and_gone(ctx: Context, declared: Schema) -> set[str]:
    """Tables of this run's plan that are not there, and of which the target knows no row of this run: an undo that was
    killed dropped them, or they were never made."""
    gone = {t.name for t in ctx.plan.creates if is_new(t)} - set(declared.table_names)
    if not gone:
        return gone
    now = names_now(ctx)
    into = {now[name]: plan.into for name, plan in ctx.plan.entities.items()}
    for rows in meta_rows(ctx.target, "crosswalk", ["run", "system", "entity"]):
        for row in rows.filter(pc.equal(rows["run"], ctx.run)).to_pylist():
            gone.discard(into.get((row["system"], row["entity"]), ""))
    return gone


def undone_tables(ctx: Context, only: Sequence[str]) -> set[str]:
    """Tables all of whose entities are undone."""
    others = {plan.into for name, plan in ctx.plan.entities.items() if only and name not in only}
    return {plan.into for plan in ctx.plan.entities.values()} - others


def foreseen(ctx: Context, undos: Sequence[Undo], only: Sequence[str]) -> list[Undone]:
    """What would be dropped, before any row is: kept is what holds conflicts, and what others made use of."""
    tables = undone_tables(ctx, only)
    steps = [s for s in made_by(ctx) if s.table in tables]
    kept = in_use(ctx, steps, rows=False)
    conflicts = {u.table.name: len(u.conflicts) for u in undos if u.conflicts}
    found = []
    for step in steps:
        if step.kind in ("table", "column"):
            why = f"{conflicts[step.table]} conflicts" if step.table in conflicts else ""
            found.append(Undone(step.words, step.table, kept.get(step, why)))
    return sorted(found, key=lambda u: u.what)
