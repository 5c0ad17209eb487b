"""One step of an undo: looked at once more, written and recorded in one transaction.

Rows and records go together, so that a killed rollback goes on where it stood when the command is given again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import Busy
from migrate.ledger.receipts import meta_table
from migrate.planning import state_columns
from migrate.stages.rollback.victims import Undo, changed, changed_since, key_table, one_array


@dataclass(frozen=True)
class Steps:
    """What all steps of one undo share: the fence it took, and what it decided."""

    ctx: Context
    fence: int
    undos: Sequence[Undo]


def committed(steps: Steps, work: Callable[..., object]) -> None:
    """One step in one transaction, if no other process took over meanwhile."""
    transaction = begun(steps)
    try:
        work(transaction)
        ended(transaction)
    except BaseException:
        transaction.rollback()
        raise


def begun(steps: Steps) -> Transaction:
    transaction = steps.ctx.target.begin()
    try:
        if transaction.fence() != steps.fence:
            raise Busy(
                "another process took over this target",
                kept="What was undone so far stays undone.",
                hint="Let the other process finish, then run the rollback again.",
            )
    except BaseException:
        transaction.rollback()
        raise
    return transaction


def ended(transaction: Transaction) -> None:
    failpoints.hit("rollback.before_commit")
    transaction.commit()
    failpoints.hit("rollback.committed")


def still_ours(
    steps: Steps, transaction: Transaction, undo: Undo, entries: pa.Table, *, known: pa.Table | None = None
) -> pa.Table:
    """Those of `entries` (target_key, source_key) whose rows may be undone now, the rows locked: what was decided is
    looked at once more, for somebody may have edited a row since, or pointed at it. The others become conflicts.

    `known`: target_key and row_hash as the crosswalk has them, where that is known; nobody writes there meanwhile but
    the holder of the fence. Else they are read."""
    table = undo.table
    keys = key_table(table, entries["target_key"])
    found = transaction.fetch(table, table.primary_key, keys, list(table.column_names), lock=True)
    if not undo.forced:
        if known is None:
            crosswalk = meta_table("crosswalk", steps.ctx.target.meta)
            names = entry_keys(undo, entries["source_key"])
            known = transaction.fetch(crosswalk, crosswalk.primary_key, names, ["target_key", "row_hash"])
        state = state_columns(steps.ctx.mapping, table)
        for key in changed(table, found, known, state):
            undo.conflicts[key] = changed_since(undo, key)
    return entries.filter(pc.invert(undo.kept(entries["target_key"])))


def stands_so(ctx: Context, transaction: Transaction, undo: Undo, rows: pa.Table, entries: pa.Table) -> None:
    """Our record of how these rows stand follows each step, so that a rollback that goes on after a kill does
    not take its own earlier steps for edits of others. `entries`: target_key, source_key of them all, and of others."""
    if not rows.num_rows:
        return
    table = undo.table
    keys = rows.select(list(table.primary_key))
    found = transaction.fetch(table, table.primary_key, keys, list(table.column_names))
    hashes = canon.row_hashes(found, table.types, state_columns(ctx.mapping, table))
    names = canon.source_keys(found, table.primary_key, table.types)
    sources = entries["source_key"].take(pc.index_in(names, one_array(entries["target_key"])))
    records = entry_keys(undo, sources).append_column("row_hash", canon.as_binary(hashes).cast(pa.binary()))
    crosswalk = meta_table("crosswalk", ctx.target.meta)
    transaction.update(crosswalk, crosswalk.primary_key, records, stop_after=0)
    failpoints.hit("rollback.recorded")


def entry_keys(undo: Undo, source_keys: Sequence[str] | pa.ChunkedArray[Any]) -> pa.Table:
    """The key columns of crosswalk entries."""
    system, entity = undo.identity
    count = len(source_keys)
    arrow = isinstance(source_keys, pa.ChunkedArray)
    return pa.table(
        {
            "system": pa.repeat(system, count),
            "entity": pa.repeat(entity, count),
            "source_key": source_keys if arrow else pa.array(list(source_keys), pa.string()),
        }
    )


def forget(
    ctx: Context, transaction: Transaction, undo: Undo, source_keys: Sequence[str] | pa.ChunkedArray[Any]
) -> None:
    """Crosswalk entries that this run made."""
    table = meta_table("crosswalk", ctx.target.meta)
    transaction.delete(table, table.primary_key, entry_keys(undo, source_keys))
