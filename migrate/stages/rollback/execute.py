"""The undo itself, entity by entity: updated rows get their before-image, inserted rows go, deleted ones come back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import GateClosed
from migrate.stages.rollback.deleting import delete_inserted
from migrate.stages.rollback.images import images
from migrate.stages.rollback.records import restore_crosswalk, restore_merged
from migrate.stages.rollback.returned import bring_back, close_cycles, deleted, still_missing
from migrate.stages.rollback.steps import Steps, committed, forget, stands_so, still_ours
from migrate.stages.rollback.victims import (
    Undo,
    chunks,
    key_table,
    one_array,
)


def execute(ctx: Context, undos: Sequence[Undo]) -> None:
    work = Steps(ctx, ctx.target.raise_fence(ctx.run), undos)
    failpoints.hit("rollback.fence_raised")
    waiting = _restore(work)
    open_cycles(work)
    for undo in undos:
        delete_inserted(work, undo)
        for keys in chunks(sorted(undo.linked)):
            committed(work, lambda t, undo=undo, keys=keys: forget(ctx, t, undo, keys))
    waiting += _bring_back(work)
    while waiting:  # values that rows hand on to one another come free one after the other
        restoring = _restore(work)
        left = restoring + _bring_back(work)
        if left >= waiting and not restoring:
            break  # what is not back is listed as conflicts
        if left >= waiting:
            raise GateClosed(
                f"{left} rows could not be given back their earlier values: the database refuses them",
                kept="Everything else was undone; the journal is kept.",
                hint="Something took their unique values since; free them and run the rollback again.",
            )
        waiting = left
    by_name = {u.entity: u for u in undos}
    for one in deleted(ctx, by_name):
        committed(work, lambda t, one=one: close_cycles(ctx, t, one))
    still_missing(ctx, by_name)
    restore_crosswalk(work)
    restore_merged(work)


def _bring_back(steps: Steps) -> int:
    """Rows that the run deleted, parents first; how many the database refused so far."""
    refused: list[int] = []
    chunks_ = list(deleted(steps.ctx, {u.entity: u for u in steps.undos}))
    order = {name: i for i, name in enumerate(steps.ctx.plan.order)}
    for one in sorted(chunks_, key=lambda one: order[one.undo.entity]):
        committed(steps, lambda t, one=one: refused.append(bring_back(steps.ctx, t, one)))
    return sum(refused)


def _restore(steps: Steps) -> int:
    """Before-images of updated rows; returns how many the database refused (they wait until the inserted rows are gone)."""
    by_entity = {u.entity: u for u in steps.undos}
    refused: list[int] = []
    for row, before in images(steps.ctx, "rows"):
        undo = by_entity.get(row["entity"])
        if undo is None:
            continue
        table = undo.table
        keys = canon.source_keys(before, table.primary_key, table.types)
        chosen = before.filter(pc.is_in(keys, pa.array(undo.restores, pa.string())))
        if not chosen.num_rows:
            continue
        plain = [c.name for c in table.columns if c.generated is None and c.name in before.column_names]

        committed(
            steps,
            lambda t, undo=undo, rows=chosen.select(plain): refused.append(_give_back(steps, t, undo, rows)),
        )
    return sum(refused)


def _give_back(steps: Steps, transaction: Transaction, undo: Undo, rows: pa.Table) -> int:
    """Before-images of one part; how many the database refused."""
    keys = canon.source_keys(rows, undo.table.primary_key, undo.table.types)
    names = [str(k) for k in keys.to_pylist()]
    entries = pa.table(
        {
            "target_key": pa.chunked_array([keys]),
            "source_key": pa.array([undo.updated[k] for k in names], pa.string()),
        }
    )
    still = still_ours(steps, transaction, undo, entries)
    rows = rows.filter(pc.is_in(keys, one_array(still["target_key"])))
    if not rows.num_rows:
        return 0
    refused = transaction.update(undo.table, undo.table.primary_key, rows, stop_after=rows.num_rows)
    left = np.setdiff1d(np.arange(rows.num_rows), [r.ordinal for r in refused])
    stands_so(steps.ctx, transaction, undo, rows.take(pa.array(left, pa.int64())), entries)
    return len(refused)


def open_cycles(steps: Steps) -> None:
    """Empty the columns that close cycles, so that children can go before parents."""
    for undo in steps.undos:
        deferred = steps.ctx.plan.entities[undo.entity].deferred
        if not deferred:
            continue
        fields = [f for f in deferred if f not in undo.table.primary_key]
        for entries in undo.deletes():
            committed(
                steps,
                lambda t, undo=undo, entries=entries, fields=fields: _empty(steps, t, undo, entries, fields),
            )


def _empty(
    steps: Steps, transaction: Transaction, undo: Undo, entries: pa.Table, fields: Sequence[str]
) -> None:
    still = still_ours(steps, transaction, undo, entries)
    if not still.num_rows or not fields:
        return
    rows = key_table(undo.table, still["target_key"])
    for name in fields:
        layout = arrow_schema([undo.table.column(name)]).field(0).type
        rows = rows.append_column(name, pa.nulls(rows.num_rows, layout))
    transaction.update(undo.table, undo.table.primary_key, rows, stop_after=0)
    stands_so(steps.ctx, transaction, undo, rows, still)
