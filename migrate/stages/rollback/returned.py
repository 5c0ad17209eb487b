"""Rows that the run deleted because they were gone at the source: undo brings them back, with their crosswalk entries.

From the journal: `gone` holds the rows, `forgotten` the entries. A row is back once its entry is; each step commits
both together. A row whose key or unique value somebody took since, or whose parent is not there, is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.ledger.receipts import meta_table
from migrate.model import Table
from migrate.planning import state_columns
from migrate.stages.rollback.images import images
from migrate.stages.rollback.victims import Conflict, Undo
from migrate.vault.erasures import TARGET, requests, target_of


@dataclass(frozen=True)
class Deleted:
    """Rows of one chunk as they stood, and their crosswalk entries under the names of today, in the same order."""

    undo: Undo
    rows: pa.Table
    entries: pa.Table


def deleted(ctx: Context, undos: Mapping[str, Undo]) -> Iterator[Deleted]:
    """Chunk by chunk what the run deleted of these entities (by name)."""
    entries: dict[str, pa.Table] = {}
    asked = requests(ctx.store, TARGET, target_of(ctx.mapping.name))
    for row, image in images(ctx, "forgotten"):
        if row["entity"] in undos:
            entries[row["part"]] = image
    for row, rows in images(ctx, "gone"):
        undo = undos.get(row["entity"])
        if undo is None:
            continue
        mine = entries[row["part"]]
        names = canon.source_keys(rows, undo.table.primary_key, undo.table.types)
        mine = mine.take(pc.index_in(names, mine["target_key"].combine_chunks()))
        for i, column in enumerate(("system", "entity")):  # a later run may have renamed them since
            named = pa.repeat(undo.identity[i], mine.num_rows)
            mine = mine.set_column(mine.column_names.index(column), column, named)
        erased = asked.matching(undo.table, rows)  # who was erased by request does not come back (F31)
        if erased.any():
            rows, mine = rows.filter(pa.array(~erased)), mine.filter(pa.array(~erased))
        yield Deleted(undo, rows, mine)


def plan_returns(ctx: Context, undos: Mapping[str, Undo]) -> None:
    """Fill `Undo.returns`: keys of rows that are to come back; those whose key is taken meanwhile are conflicts."""
    for one in deleted(ctx, undos):
        transaction = ctx.target.begin()
        try:
            waiting = _not_back(ctx, transaction, one)
            taken = _taken(transaction, one, waiting)
        finally:
            transaction.rollback()
        for key in taken:
            one.undo.conflicts[key] = Conflict(
                one.undo.entity, one.undo.table.name, key, "another row has its key by now"
            )
        one.undo.returns.update(str(k) for k in waiting["target_key"].to_pylist() if k not in taken)


def bring_back(ctx: Context, transaction: Transaction, one: Deleted) -> int:
    """Rows of one chunk that are not back yet; how many the database refused. Columns that close cycles come later."""
    entries = _not_back(ctx, transaction, one)
    taken = pa.array(sorted(_taken(transaction, one, entries)), pa.string())
    entries = entries.filter(pc.invert(pc.is_in(entries["target_key"], taken)))
    if not entries.num_rows:
        return 0
    undo = one.undo
    rows = _of(one, entries)
    plain = [c.name for c in undo.table.columns if c.generated is None and c.name in rows.column_names]
    rows = rows.select(plain)
    for field in _deferred(ctx, undo):
        empty = pa.nulls(rows.num_rows, rows.schema.field(field).type)
        rows = rows.set_column(rows.column_names.index(field), field, empty)
    refused = transaction.insert(undo.table, rows, stop_after=rows.num_rows)
    failpoints.hit("rollback.brought_back")
    gone = pa.array([r.ordinal for r in refused], pa.int64())
    places = pa.array(range(entries.num_rows), pa.int64())
    entries = entries.filter(pc.invert(pc.is_in(places, gone)))
    crosswalk = meta_table("crosswalk", ctx.target.meta)
    if transaction.insert(crosswalk, entries, stop_after=0):
        raise RuntimeError(f"{crosswalk.name} refused entries that it had before")
    return len(refused)


def close_cycles(ctx: Context, transaction: Transaction, one: Deleted) -> None:
    """The columns that were left empty, of rows that are back and otherwise as they were."""
    undo, fields = one.undo, _deferred(ctx, one.undo)
    if not fields:
        return
    table = undo.table
    found = transaction.fetch(
        table,
        table.primary_key,
        one.rows.select(list(table.primary_key)),
        list(table.column_names),
        lock=True,
    )
    place = pc.index_in(
        canon.source_keys(found, table.primary_key, table.types),
        canon.source_keys(one.rows, table.primary_key, table.types),
    )
    before = one.rows.take(place)
    filled = found
    for field in fields:
        empty = pc.is_null(found[field].combine_chunks())
        value = pc.if_else(empty, before[field].combine_chunks(), found[field].combine_chunks())
        filled = filled.set_column(filled.column_names.index(field), field, value)
    over = state_columns(ctx.mapping, table)
    now, then = (_hashes(rows, table, over) for rows in (filled, before))
    stands = _hashes(found, table, over)
    wanted = pc.and_(pc.equal(now, then), pc.not_equal(stands, then))
    rows = filled.filter(wanted).select([*table.primary_key, *fields])
    if rows.num_rows:
        transaction.update(table, table.primary_key, rows, stop_after=rows.num_rows)
        failpoints.hit("rollback.cycles_closed")


def still_missing(ctx: Context, undos: Mapping[str, Undo]) -> None:
    """Rows that the database did not take back are conflicts, which are listed and shown by the proof."""
    for one in deleted(ctx, undos):
        transaction = ctx.target.begin()
        try:
            waiting = _not_back(ctx, transaction, one)
        finally:
            transaction.rollback()
        for key in map(str, waiting["target_key"].to_pylist()):
            if key not in one.undo.conflicts:
                one.undo.conflicts[key] = Conflict(
                    one.undo.entity,
                    one.undo.table.name,
                    key,
                    "was deleted by the run, and the target does not take it back: a value of it is in use, or what it refers to is gone",
                )


def anything_missing(ctx: Context) -> bool:
    """Did the run delete rows that are not back? Asked of the target's own records."""
    crosswalk = meta_table("crosswalk", ctx.target.meta)
    for _, image in images(ctx, "forgotten"):
        transaction = ctx.target.begin()
        try:
            keys = image.select(list(crosswalk.primary_key))
            found = transaction.fetch(crosswalk, crosswalk.primary_key, keys, ["source_key"])
        finally:
            transaction.rollback()
        if found.num_rows < image.num_rows:
            return True
    return False


def _deferred(ctx: Context, undo: Undo) -> list[str]:
    return [f for f in ctx.plan.entities[undo.entity].deferred if f not in undo.table.primary_key]


def _not_back(ctx: Context, transaction: Transaction, one: Deleted) -> pa.Table:
    """Entries that the crosswalk does not have."""
    crosswalk = meta_table("crosswalk", ctx.target.meta)
    keys = one.entries.select(list(crosswalk.primary_key))
    found = transaction.fetch(crosswalk, crosswalk.primary_key, keys, ["source_key"])
    return one.entries.filter(
        pc.invert(pc.is_in(one.entries["source_key"], found["source_key"].combine_chunks()))
    )


def _taken(transaction: Transaction, one: Deleted, entries: pa.Table) -> set[str]:
    """Target keys of `entries` that a row has."""
    if not entries.num_rows:
        return set()
    table = one.undo.table
    keys = _of(one, entries).select(list(table.primary_key))
    found = transaction.fetch(table, table.primary_key, keys, list(table.primary_key))
    return {str(k) for k in canon.source_keys(found, table.primary_key, table.types).to_pylist()}


def _of(one: Deleted, entries: pa.Table) -> pa.Table:
    """The rows that these entries stand for, in their order."""
    place = pc.index_in(entries["target_key"].combine_chunks(), one.entries["target_key"].combine_chunks())
    return one.rows.take(place)


def _hashes(rows: pa.Table, table: Table, over: list[str]) -> pa.Array[Any]:
    return canon.as_binary(canon.row_hashes(rows, table.types, over)).cast(pa.binary())
