"""Our own records of what a run wrote, put back to what they were before it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from migrate import failpoints
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.ledger.receipts import meta_table
from migrate.stages.rollback.images import images
from migrate.stages.rollback.returned import anything_missing
from migrate.stages.rollback.steps import Steps, committed, entry_keys, forget
from migrate.stages.rollback.victims import Undo, chunks
from migrate.state.records import meta_rows


def restore_crosswalk(steps: Steps) -> None:
    """Entries that were there before get their earlier content; those of updated rows that were new go."""
    ctx, undos = steps.ctx, steps.undos
    by_name = {u.entity: u for u in undos}
    table = meta_table("crosswalk", ctx.target.meta)
    had: dict[str, set[str]] = {}
    for row, before in images(ctx, "crosswalk"):
        undo = by_name.get(row["entity"])
        if undo is None:
            continue
        kept = {undo.updated.get(k) for k in undo.conflicts}
        chosen = before.filter(
            pc.invert(pc.is_in(before["source_key"], pa.array([k for k in kept if k], pa.string())))
        )
        had.setdefault(undo.entity, set()).update(r["source_key"] for r in before.to_pylist())
        for i, column in enumerate(("system", "entity")):  # a later run may have renamed them since
            named = pa.repeat(undo.identity[i], chosen.num_rows)
            chosen = chosen.set_column(chosen.column_names.index(column), column, named)
        if chosen.num_rows:
            committed(
                steps, lambda t, chosen=chosen: t.update(table, table.primary_key, chosen, stop_after=0)
            )
    for undo in undos:
        fresh = [undo.updated[k] for k in undo.restores if undo.updated[k] not in had.get(undo.entity, set())]
        for keys in chunks(sorted(fresh)):
            committed(steps, lambda t, undo=undo, keys=keys: forget(ctx, t, undo, keys))


def restore_merged(steps: Steps) -> None:
    """What this run made part of other rows is no longer; of rows that stay for a conflict it is still so."""
    ctx = steps.ctx
    for undo in steps.undos:
        mine = undo.inserted.filter(undo.kept(undo.inserted["target_key"]))["source_key"].to_pylist()
        kept = pa.array([*mine, *(undo.updated[k] for k in undo.conflicts if k in undo.updated)], pa.string())
        before = [rows for row, rows in images(ctx, "merged") if row["entity"] == undo.entity]
        for rows in meta_rows(ctx.target, "merged"):
            mine = pc.and_(
                pc.equal(rows["system"], undo.identity[0]), pc.equal(rows["entity"], undo.identity[1])
            )
            mine = pc.and_(mine, pc.equal(rows["run"], ctx.run))
            keys = rows.filter(pc.and_(mine, pc.invert(pc.is_in(rows["into_key"], kept))))
            names = [str(k) for k in keys["source_key"].to_pylist()]
            for some in chunks(sorted(names)):
                committed(
                    steps,
                    lambda t, undo=undo, some=some, before=before: _part_again(ctx, t, undo, some, before),
                )


def _part_again(
    ctx: Context, transaction: Transaction, undo: Undo, source_keys: Sequence[str], before: Sequence[pa.Table]
) -> None:
    """Entries of `merged` go, or become what they were before."""
    table = meta_table("merged", ctx.target.meta)
    transaction.delete(table, table.primary_key, entry_keys(undo, source_keys))
    for rows in before:
        chosen = rows.filter(pc.is_in(rows["source_key"], pa.array(list(source_keys), pa.string())))
        for i, column in enumerate(("system", "entity")):
            named = pa.repeat(undo.identity[i], chosen.num_rows)
            chosen = chosen.set_column(chosen.column_names.index(column), column, named)
        if chosen.num_rows:
            transaction.insert(table, chosen, stop_after=0)
    failpoints.hit("rollback.parted")


def mark(ctx: Context) -> None:
    """The run's row in the target says that it was rolled back."""
    table = meta_table("run", ctx.target.meta)
    rows = pa.table({"run": [ctx.run], "state": ["rolled_back"]})
    transaction = ctx.target.begin()
    try:
        transaction.update(table, table.primary_key, rows, stop_after=0)
        failpoints.hit("rollback.before_mark")
        transaction.commit()
    except BaseException:
        transaction.rollback()
        raise


def left(ctx: Context, undos: Sequence[Undo]) -> bool:
    """Has this run rows of entities that were not undone? Then it stays a later run for those before it (F33)."""
    named = {u.entity for u in undos}
    if any(row["entity"] not in named for row, _ in images(ctx, "gone")) and anything_missing(ctx):
        return True
    undone = {u.identity for u in undos}
    for rows in meta_rows(ctx.target, "crosswalk", ["run", "system", "entity"]):
        mine = rows.filter(pc.equal(rows["run"], ctx.run)).group_by(["system", "entity"]).aggregate([])
        if {(r["system"], r["entity"]) for r in mine.to_pylist()} - undone:
            return True
    return False
