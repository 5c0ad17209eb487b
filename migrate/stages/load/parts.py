"""First pass: one part of one entity into the target, rows and crosswalk and journal together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Transaction
from migrate.errors import GateClosed
from migrate.mapping.model import Entity
from migrate.model import Kind, Table
from migrate.plan_model import EntityPlan
from migrate.planning import compared_columns, plan_number
from migrate.stages.load.existing import written_to_existing
from migrate.stages.load.receipts import Session, Work, insert_own, journal
from migrate.state.lost import Lost, points_at
from migrate.transform.settle import provisional

Reject = tuple[int, str, str | None, str, str]


@dataclass(frozen=True)
class Lane:
    """What all parts of one entity have in common. `state` are the columns by which a row is the same as before;
    `members` (key, into_key) the rows that became part of others."""

    entity: Entity
    plan: EntityPlan
    system: str
    table: Table
    state: tuple[str, ...]
    session: Session
    members: pa.Table | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return self.plan.key_columns

    @property
    def first_pass(self) -> list[str]:
        return [c for c in compared_columns(self.entity) if c not in self.plan.deferred]


def load_part(
    lane: Lane,
    transaction: Transaction,
    part: str,
    rows: pa.Table,
    lost: Mapping[str, Lost],
    stop_after: int,
) -> Work:
    """Write the rows of one part. `lost`: field → what it can no longer point at, for the parents were rejected.

    More than `stop_after` refusals by the database raise TooManyQuarantined.
    """
    rows, rejects = _leave_out_orphans(lane, rows, lost)
    inserts, updates = _of(rows, "insert"), _of(rows, "update")
    # Updates first: they may set a unique value free that a new row takes.
    updates, refused = _update(lane, transaction, part, updates, stop_after)
    failpoints.hit("load.part.updated")
    rejects += refused
    inserts, met = _still_new(lane, transaction, inserts)
    rejects += met
    inserts, refused = _insert(lane, transaction, inserts, max(0, stop_after - len(refused) - len(met)))
    failpoints.hit("load.part.inserted")
    rejects += refused
    written = pa.concat_tables([inserts, updates])
    written, hashes, dropped = _read_back(lane, transaction, written)
    rejects += dropped
    failpoints.hit("load.part.read_back")
    others = _of(rows, "link", "refresh")
    _crosswalk(lane, transaction, part, written, hashes, others)
    failpoints.hit("load.part.crosswalk")
    return Work(written.num_rows, tuple(rejects))


def _of(rows: pa.Table, *operations: str) -> pa.Table:
    """Rows of these operations."""
    return _where(rows, pc.is_in(rows["__op"].combine_chunks(), pa.array(operations)))


def _where(rows: pa.Table, wanted: pa.Array[Any]) -> pa.Table:
    """Rows where `wanted` is true; without a copy where all are, for a part's rows are in memory often enough."""
    return rows if pc.all(wanted, min_count=0).as_py() else rows.filter(wanted)


def _leave_out_orphans(lane: Lane, rows: pa.Table, lost: Mapping[str, Lost]) -> tuple[pa.Table, list[Reject]]:
    """Children of rows that the database rejected stay behind with them, where the reference would be written."""
    if not lost:
        return rows, []
    keep = np.ones(rows.num_rows, dtype=bool)
    written = pc.is_in(rows["__op"], pa.array(["insert", "update"])).to_numpy()
    for field, values in lost.items():
        if field in rows.column_names:
            keep &= ~(points_at(rows, field, field, lane.table.column(field).type, values) & written)
    gone = rows.filter(pa.array(~keep))
    return rows.filter(pa.array(keep)), rejects_of(lane, gone, "parent_rejected")


def rejects_of(lane: Lane, rows: pa.Table, code: str, constraint: str = "") -> list[Reject]:
    ids = rows.select(["__rid", "__key"]).to_pylist()
    return [(row["__rid"], lane.entity.name, row["__key"], code, constraint) for row in ids]


_KEY_KINDS = (Kind.TEXT, Kind.UUID, Kind.INT, Kind.DECIMAL, Kind.DATE)


def _still_new(lane: Lane, transaction: Transaction, rows: pa.Table) -> tuple[pa.Table, list[Reject]]:
    """Rows that `match` did not find in the proven backup, looked up once more inside the part (F8): whoever came
    into the target since is not doubled. The row waits as `target_changed`; the next run decides it again."""
    match = [c for c in lane.entity.match if f"m.{c}" in rows.column_names]
    types = lane.table.types
    if not rows.num_rows or not match or any(types[c].kind not in _KEY_KINDS for c in match):
        return rows, []
    wanted = pa.table({c: canon.from_text(rows[f"m.{c}"].combine_chunks(), types[c]) for c in match})
    texts = canon.source_keys(wanted, match, types)
    found = transaction.fetch(lane.table, match, wanted.filter(pc.is_valid(texts)), match, lock=True)
    failpoints.hit("load.part.matched")
    if not found.num_rows:
        return rows, []
    there = pc.fill_null(pc.is_in(texts, canon.source_keys(found, match, types)), False)
    return rows.filter(pc.invert(there)), rejects_of(lane, rows.filter(there), "target_changed")


def _insert(
    lane: Lane, transaction: Transaction, rows: pa.Table, stop_after: int
) -> tuple[pa.Table, list[Reject]]:
    if not rows.num_rows:
        return rows, []
    names = [c for c in lane.table.column_names if c in rows.column_names]
    content = rows.select(names)
    for field in lane.plan.deferred:
        empty = pa.nulls(rows.num_rows, rows.schema.field(f"d.{field}").type)
        content = content.append_column(field, empty)
    refused = transaction.insert(lane.table, content, stop_after=stop_after)
    return _without(lane, rows, refused)


def _without(lane: Lane, rows: pa.Table, refused: list[Any]) -> tuple[pa.Table, list[Reject]]:
    if not refused:
        return rows, []
    keep = np.ones(rows.num_rows, dtype=bool)
    keep[[r.ordinal for r in refused]] = False
    rids, keys = rows["__rid"], rows["__key"]
    rejects = [
        (rids[r.ordinal].as_py(), lane.entity.name, keys[r.ordinal].as_py(), r.code, r.constraint)
        for r in refused
    ]
    return rows.filter(pa.array(keep)), rejects


def _update(
    lane: Lane, transaction: Transaction, part: str, rows: pa.Table, stop_after: int
) -> tuple[pa.Table, list[Reject]]:
    """Lock, compare with the state it was decided on, remember, write (F9). A changed row is rejected, never re-keyed."""
    rows, rejects = _same_key(lane, rows)
    if not rows.num_rows:
        return rows, rejects
    keys = target_keys(lane, rows)
    found = transaction.fetch(lane.table, lane.key, keys, list(lane.table.column_names), lock=True)
    failpoints.hit("load.part.locked")
    hashes = canon.as_binary(canon.row_hashes(found, lane.table.types, list(lane.state)))
    place = pc.index_in(rows["__tkey"].combine_chunks(), canon.source_keys(found, lane.key, lane.table.types))
    now = hashes.cast(pa.binary()).take(place)
    same = pc.fill_null(pc.equal(now, rows["__before"].combine_chunks().cast(pa.binary())), False)
    rejects += rejects_of(lane, rows.filter(pc.invert(same)), "target_changed")
    rows = _where(rows, same)
    before = _in_order(found, place.filter(same))
    del found, hashes, now
    names = [c for c in lane.table.column_names if c in rows.column_names and c not in lane.key]
    names = written_to_existing(lane.entity, names)
    if names and rows.num_rows:
        content = rows.select(names)
        for i, column in enumerate(lane.key):
            content = content.add_column(i, column, _where(keys.select([column]), same)[column])
        refused = transaction.update(lane.table, lane.key, content, stop_after=stop_after)
        if refused:
            keep = np.ones(rows.num_rows, dtype=bool)
            keep[[r.ordinal for r in refused]] = False
            before = before.filter(pa.array(keep))
        rows, more = _without(lane, rows, refused)
        rejects += more
    journal(lane.session, transaction, part, "rows", lane.entity.name, lane.table.name, before)
    return rows, rejects


def _same_key(lane: Lane, rows: pa.Table) -> tuple[pa.Table, list[Reject]]:
    """Rows that the mapping would give another key than the target row has: no update changes a key."""
    if not rows.num_rows:
        return rows, []
    texts = canon.source_keys(target_keys(lane, rows), lane.key, lane.table.types)
    same = pc.fill_null(pc.equal(texts, rows["__tkey"].combine_chunks()), False)
    return _where(rows, same), rejects_of(lane, rows.filter(pc.invert(same)), "key_changed")


def target_keys(lane: Lane, rows: pa.Table) -> pa.Table:
    """The key columns of rows that have them, in the table's layout."""
    missing = [c for c in lane.key if c not in rows.column_names]
    if missing:
        raise RuntimeError(f"{lane.table.name}: rows without key columns {missing}")
    return rows.select(list(lane.key))


def _read_back(
    lane: Lane, transaction: Transaction, rows: pa.Table
) -> tuple[pa.Table, pa.Array[Any], list[Reject]]:
    """What really stands in the target now; driver counts are not believed (P14, F10).

    Returns the rows that are there and the hash of each whole row. A row that is not there was
    dropped by a trigger; one that differs fails the part.
    """
    if not rows.num_rows:
        return rows, pa.array([], pa.binary()), []
    found = transaction.fetch(lane.table, lane.key, target_keys(lane, rows), list(lane.table.column_names))
    place = pc.index_in(rows["__tkey"].combine_chunks(), canon.source_keys(found, lane.key, lane.table.types))
    dropped: list[Reject] = []
    if place.null_count:
        there = pc.is_valid(place)
        dropped = rejects_of(lane, rows.filter(pc.invert(there)), "dropped_by_trigger")
        rows, place = rows.filter(there), place.filter(there)
    found = _in_order(found, place)
    wrong = canon.different(rows, found, lane.table.types, lane.first_pass)
    if wrong:
        different = np.logical_or.reduce(list(wrong.values()))
        raise GateClosed(
            f"{int(different.sum())} rows do not stand in the target as they were written: columns {', '.join(wrong)}",
            where=lane.table.name,
            kept="This part was rolled back; earlier parts stay.",
            hint="A trigger or the column's type changes values: name such columns in target_sets, or map them as the target keeps them.",
        )
    if set(lane.state) == set(lane.first_pass):  # equal values have equal hashes: those were made by assign
        return rows, rows["__expected"].combine_chunks().cast(pa.binary()), dropped
    whole = canon.as_binary(canon.row_hashes(found, lane.table.types, list(lane.state))).cast(pa.binary())
    return rows, whole, dropped


def _in_order(rows: pa.Table, place: pa.Array[Any]) -> pa.Table:
    """`rows` taken at `place`; without a copy where they lie that way already."""
    places = place.to_numpy(zero_copy_only=False)
    if len(places) == rows.num_rows and bool((places == np.arange(rows.num_rows)).all()):
        return rows
    return rows.take(place)


_CROSSWALK = ("__key", "__tkey", "__op", "__known", "__hash", "__owned", "__patched")


def plans(lane: Lane, patched: pa.Array[Any]) -> pa.Array[Any]:
    """The plan number of each row; that of rows with a replaced or emptied reference says so: the next run looks again."""
    number = plan_number(lane.plan.digest)
    whole, again = pa.scalar(number, pa.int64()), pa.scalar(provisional(number), pa.int64())
    numbers: pa.Array[Any] = pc.if_else(patched, again, whole)
    return numbers


def _crosswalk(
    lane: Lane,
    transaction: Transaction,
    part: str,
    written: pa.Table,
    hashes: pa.Array[Any],
    others: pa.Table,
) -> None:
    """New entries are inserted, known ones remembered and replaced. `target_hash` is that of the final state: the
    second pass has nothing to add for rows whose deferred columns stay empty."""
    blank = pa.nulls(others.num_rows, pa.binary())
    rows = pa.concat_tables(
        [
            written.select(list(_CROSSWALK)).append_column("row_hash", hashes),
            others.select(list(_CROSSWALK)).append_column("row_hash", blank),
        ]
    )
    if not rows.num_rows:
        return
    count = rows.num_rows
    entries = pa.table(
        {
            "system": pa.repeat(lane.system, count),
            "entity": pa.repeat(lane.entity.name, count),
            "source_key": rows["__key"],
            "target_key": rows["__tkey"],
            "origin": rows["__op"],
            "run": pa.repeat(lane.session.run, count),
            "plan": plans(lane, rows["__patched"].combine_chunks()),
            "source_hash": rows["__hash"],
            "target_hash": rows["__owned"],
            "row_hash": rows["row_hash"],
        }
    )
    known, op = rows["__known"].combine_chunks(), rows["__op"].combine_chunks()
    refresh = pc.equal(op, "refresh")
    insert_own(lane.session, transaction, "crosswalk", _where(entries, pc.invert(known)))
    _remember(lane, transaction, part, _where(entries, known))
    update_crosswalk(
        lane, transaction, _where(entries, pc.and_(known, pc.invert(refresh))), entries.column_names
    )
    # A refresh wrote nothing to the row: who wrote it last, and how it stood then, stay as they are.
    kept = ["system", "entity", "source_key", "plan", "source_hash", "target_hash"]
    update_crosswalk(lane, transaction, entries.filter(refresh), kept)
    if lane.members is not None:
        _members(lane, transaction, part, entries["source_key"].combine_chunks())


def _members(lane: Lane, transaction: Transaction, part: str, keys: pa.Array[Any]) -> None:
    """Which rows became part of those with these keys: the next run finds the same row of the target for each of them."""
    assert lane.members is not None, "asked for only where there are any"
    found = lane.members.filter(pc.is_in(lane.members["into_key"].combine_chunks(), keys))
    if not found.num_rows:
        return
    table, count = lane.session.table("merged"), found.num_rows
    entries = pa.table(
        {
            "system": pa.repeat(lane.system, count),
            "entity": pa.repeat(lane.entity.name, count),
            "source_key": found["key"],
            "into_key": found["into_key"],
            "run": pa.repeat(lane.session.run, count),
        }
    )
    before = transaction.fetch(
        table, table.primary_key, entries.select(list(table.primary_key)), list(table.column_names), lock=True
    )
    place = pc.index_in(entries["source_key"].combine_chunks(), before["source_key"].combine_chunks())
    now = before["into_key"].combine_chunks().take(place)
    there = pc.is_valid(place)
    moved = pc.and_(there, pc.fill_null(pc.not_equal(entries["into_key"].combine_chunks(), now), False))
    insert_own(lane.session, transaction, "merged", entries.filter(pc.invert(there)))
    other = entries.filter(moved)
    if other.num_rows:  # what they were part of is no longer there
        was = before.filter(pc.is_in(before["source_key"], other["source_key"].combine_chunks()))
        journal(lane.session, transaction, part, "merged", lane.entity.name, table.name, was)
        transaction.update(
            table, table.primary_key, in_layout(table, other, other.column_names), stop_after=0
        )
    failpoints.hit("load.part.merged")


def _remember(lane: Lane, transaction: Transaction, part: str, entries: pa.Table) -> None:
    """Known entries as they were, for undo (F12)."""
    if entries.num_rows:
        table = lane.session.table("crosswalk")
        keys = entries.select(list(table.primary_key))
        before = transaction.fetch(table, table.primary_key, keys, list(table.column_names), lock=True)
        journal(lane.session, transaction, part, "crosswalk", lane.entity.name, table.name, before)


def update_crosswalk(lane: Lane, transaction: Transaction, entries: pa.Table, columns: list[str]) -> None:
    """Set `columns` of entries that are there already."""
    if not entries.num_rows:
        return
    table = lane.session.table("crosswalk")
    refused = transaction.update(table, table.primary_key, in_layout(table, entries, columns), stop_after=0)
    if refused:
        raise RuntimeError(f"{table.name} refused {len(refused)} updates: {refused[0].code}")


def in_layout(table: Table, rows: pa.Table, columns: list[str]) -> pa.Table:
    """`columns` of `rows` cast to the table's layout."""
    return rows.select(columns).cast(arrow_schema([table.column(c) for c in columns]))
