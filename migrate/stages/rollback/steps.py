"""One step of an undo: looked at once more, written and recorded in one transaction.

Rows and records go together, so that a killed rollback goes on where it stood when the command is given again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from migrate import canon, failpoints
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import Busy
from migrate.ledger.receipts import meta_table
from migrate.planning import state_columns
from migrate.stages.rollback.victims import Conflict, Undo, changed, key_table


@dataclass(frozen=True)
class Steps:
    """What all steps of one undo share: the fence it took, and what it decided."""

    ctx: Context
    fence: int
    undos: Sequence[Undo]


def committed(steps: Steps, work: Callable[..., object]) -> None:
    """One step in one transaction, if no other process took over meanwhile."""
    transaction = steps.ctx.target.begin()
    try:
        if transaction.fence() != steps.fence:
            raise Busy(
                "another process took over this target",
                kept="What was undone so far stays undone.",
                hint="Let the other process finish, then run the rollback again.",
            )
        work(transaction)
        failpoints.hit("rollback.before_commit")
        transaction.commit()
        failpoints.hit("rollback.committed")
    except BaseException:
        transaction.rollback()
        raise


def still_ours(
    steps: Steps, transaction: Transaction, undo: Undo, keys: Sequence[str], sources: Mapping[str, str]
) -> list[str]:
    """Those of `keys` that may be undone now, their rows locked: what was decided is looked at once more, for
    somebody may have edited a row since, or pointed at it. The others become conflicts."""
    table = undo.table
    found = transaction.fetch(
        table, table.primary_key, key_table(table, keys), list(table.column_names), lock=True
    )
    if not undo.forced:
        crosswalk = meta_table("crosswalk", steps.ctx.target.meta)
        entries = entry_keys(undo, [sources[k] for k in keys])
        known = transaction.fetch(crosswalk, crosswalk.primary_key, entries, ["target_key", "row_hash"])
        state = state_columns(steps.ctx.mapping, table)
        for key in changed(table, found, known, state, unknown=False):
            undo.conflicts[key] = Conflict(undo.entity, table.name, key, "changed since the load")
    return [k for k in keys if k not in undo.conflicts]


def stands_so(
    ctx: Context, transaction: Transaction, undo: Undo, rows: pa.Table, sources: Mapping[str, str]
) -> None:
    """Our record of how these rows stand follows each step, so that a rollback that goes on after a kill does
    not take its own earlier steps for edits of others. `sources`: target key → source key."""
    if not rows.num_rows:
        return
    table = undo.table
    keys = rows.select(list(table.primary_key))
    found = transaction.fetch(table, table.primary_key, keys, list(table.column_names))
    hashes = canon.row_hashes(found, table.types, state_columns(ctx.mapping, table))
    names = pa.table({"key": canon.source_keys(found, table.primary_key, table.types)}).to_pylist()
    entries = entry_keys(undo, [sources[n["key"]] for n in names]).append_column(
        "row_hash", canon.as_binary(hashes).cast(pa.binary())
    )
    crosswalk = meta_table("crosswalk", ctx.target.meta)
    transaction.update(crosswalk, crosswalk.primary_key, entries, stop_after=0)
    failpoints.hit("rollback.recorded")


def entry_keys(undo: Undo, source_keys: Sequence[str]) -> pa.Table:
    """The key columns of crosswalk entries."""
    system, entity = undo.identity
    count = len(source_keys)
    return pa.table(
        {
            "system": pa.array([system] * count, pa.string()),
            "entity": pa.array([entity] * count, pa.string()),
            "source_key": pa.array(list(source_keys), pa.string()),
        }
    )


def forget(ctx: Context, transaction: Transaction, undo: Undo, source_keys: Sequence[str]) -> None:
    """Crosswalk entries that this run made."""
    table = meta_table("crosswalk", ctx.target.meta)
    transaction.delete(table, table.primary_key, entry_keys(undo, source_keys))
