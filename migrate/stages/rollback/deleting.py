"""Inserted rows go: looked at as they go where the engine hands them out, else first, one by one, under lock."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from migrate import failpoints
from migrate.connectors.protocol import Taking, Transaction
from migrate.errors import GateClosed
from migrate.model import Table
from migrate.planning import state_columns
from migrate.stages.rollback.several import worked
from migrate.stages.rollback.steps import Steps, begun, committed, ended, forget, still_ours
from migrate.stages.rollback.victims import Undo, changed, key_table, referred_to, staying


def delete_inserted(steps: Steps, undo: Undo) -> None:
    """The rows of one entity that go, with their entries, chunk by chunk; several at once where the order cannot matter."""
    ctx = steps.ctx
    # of rows whose cycles were opened only the crosswalk knows how they stand
    if ctx.plan.entities[undo.entity].deferred or not _hands_out(steps):
        for entries in undo.deletes():
            committed(steps, lambda t, entries=entries: delete(steps, t, undo, entries))
            ctx.progress.advance(entries.num_rows)
        return
    workers = min(ctx.workers, undo.chunks) if any_order(undo.table) and ctx.target.parallel_writers else 1
    for entries, gone in worked(lambda chunk: _at_once(steps, undo, chunk), undo.deletes(), workers=workers):
        if not gone:
            committed(steps, lambda t, entries=entries: delete(steps, t, undo, entries))
        ctx.progress.advance(entries.num_rows)


def any_order(table: Table) -> bool:
    """May rows of a table go at the same time, and the outcome be the same whichever go first? Not where they refer to
    one another, nor where a trigger, or what the catalogue cannot tell, may do more than take the row."""
    return (
        not table.triggers
        and not table.not_carried
        and all(fk.ref_table.casefold() != table.name.casefold() for fk in table.foreign_keys)
    )


def _hands_out(steps: Steps) -> bool:
    transaction = begun(steps)
    try:
        return isinstance(transaction, Taking)
    finally:
        transaction.rollback()


def _at_once(steps: Steps, undo: Undo, entries: pa.Table) -> bool:
    """The rows of one chunk and their entries, looked at as they go: one way through the table in place of two. Where
    one of them is not ours to take any more nothing happens, and False says that they must be looked at one by one.

    Several threads may do this at the same time: what is decided is only read here."""
    transaction = begun(steps)
    try:
        assert isinstance(transaction, Taking), "asked before"
        if not _all_taken(steps, transaction, undo, entries):
            transaction.rollback()
            return False
        failpoints.hit("rollback.deleted")
        forget(steps.ctx, transaction, undo, entries["source_key"])
        ended(transaction)
    except GateClosed:  # a row that stays refers to one of them: the database has looked before we could
        transaction.rollback()
        return False
    except BaseException:
        transaction.rollback()
        raise
    return True


def _all_taken(steps: Steps, transaction: Taking, undo: Undo, entries: pa.Table) -> bool:
    """Asked for references once the rows are gone for this transaction, and no new ones can appear: every other
    session still sees the rows, and those that refer to them, also the ones that went along with them (F32)."""
    table = undo.table
    keys = key_table(table, entries["target_key"])
    if not undo.forced:
        found = transaction.take(table, table.primary_key, keys, list(table.column_names))
        if changed(table, found, entries, state_columns(steps.ctx.mapping, table)):
            return False
    else:
        transaction.take(table, table.primary_key, keys, list(table.primary_key))
    rows = steps.ctx.target.references_to(table, table.primary_key, keys)
    return not pc.any(staying(rows, steps.undos)).as_py()


def delete(steps: Steps, transaction: Transaction, undo: Undo, entries: pa.Table) -> None:
    opened = bool(steps.ctx.plan.entities[undo.entity].deferred)  # their hashes are others by now
    still = still_ours(steps, transaction, undo, entries, known=None if opened else entries)
    still = _unreferenced(steps, undo, still) if still.num_rows else still
    if not still.num_rows:
        return
    transaction.delete(undo.table, undo.table.primary_key, key_table(undo.table, still["target_key"]))
    failpoints.hit("rollback.deleted")
    forget(steps.ctx, transaction, undo, still["source_key"])


def _unreferenced(steps: Steps, undo: Undo, entries: pa.Table) -> pa.Table:
    """Those of `entries` that no row refers to which stays; asked while their rows are locked (F32)."""
    table = undo.table
    keys = key_table(table, entries["target_key"])
    rows = steps.ctx.target.references_to(table, table.primary_key, keys)
    for row in rows.filter(staying(rows, steps.undos)).to_pylist():
        undo.conflicts[row["ref_key"]] = referred_to(undo, row["ref_key"], row["table"])
    return entries.filter(pc.invert(undo.kept(entries["target_key"])))
