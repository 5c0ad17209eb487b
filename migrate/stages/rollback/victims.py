"""What undo would do, decided from the target's own records: crosswalk and journal, not from local files.

A row that somebody changed after the load, or that a row which stays refers to, is a conflict and is
kept (F32). Keeping one row may keep others: decided to a fixpoint before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.connectors.protocol import Target
from migrate.context import Context
from migrate.model import Schema, Table
from migrate.planning import Identity, state_columns
from migrate.stages.rollback.foretold import POINTING, Foretold
from migrate.stages.rollback.several import worked
from migrate.state.identity import names_now

CHUNK = 50_000
_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("target_key", pa.string()),
    ("source_key", pa.string()),
    ("row_hash", pa.binary()),
]
_ENTRY = pa.schema(_COLUMNS)


@dataclass(frozen=True)
class Conflict:
    """`reason`: changed since the load | referred to by a row that stays | written again since."""

    entity: str
    table: str
    key: str
    reason: str


@dataclass
class Undo:
    """One entity: keys of rows to delete and to restore (JSON), crosswalk entries of this run, conflicts.

    `identity`: system and entity as the crosswalk knows its rows today."""

    entity: str
    table: Table
    identity: Identity
    inserted: pa.Table = field(default_factory=_ENTRY.empty_table)  # in the order of the table's index
    updated: dict[str, str] = field(default_factory=dict)  # target key → source key
    linked: list[str] = field(default_factory=list)  # source keys
    returns: set[str] = field(
        default_factory=set
    )  # target keys of rows that the run deleted, to be brought back
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    forced: bool = False  # edits since the load do not keep its rows
    unread: bool = False  # its inserted rows are looked at when they go, and not before

    @property
    def chunks(self) -> int:
        """Of inserted rows, at most."""
        return -(-self.inserted.num_rows // CHUNK)

    def deletes(self) -> Iterator[pa.Table]:
        """Entries of the rows that go, chunk by chunk: target_key, source_key, row_hash."""
        for entries in slices(self.inserted):
            kept = self.kept(entries["target_key"])
            going = entries.filter(pc.invert(kept)) if pc.any(kept).as_py() else entries
            if going.num_rows:
                yield going

    def kept(self, keys: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
        """Which of these are conflicts."""
        found: pa.ChunkedArray[Any] = pc.is_in(keys, pa.array(list(self.conflicts), pa.string()))
        return found

    def deleted(self) -> int:
        return sum(entries.num_rows for entries in self.deletes())

    def undone(self, keys: pa.ChunkedArray[Any], *, restored: bool = False) -> pa.Array[Any]:
        """Which of these are rows that go, or with `restored` also ones that get their earlier values?"""
        ours = pc.is_in(keys, self.inserted["target_key"].combine_chunks())
        if restored:
            ours = pc.or_(ours, pc.is_in(keys, pa.array(list(self.updated), pa.string())))
        return one_array(pc.and_(ours, pc.invert(self.kept(keys))))

    @property
    def restores(self) -> list[str]:
        return sorted(k for k in self.updated if k not in self.conflicts)


def decide(
    ctx: Context,
    declared: Schema,
    only: Sequence[str],
    force: Sequence[str],
    after: Foretold,
    *,
    foretell: bool,
) -> list[Undo]:
    """One Undo per entity, in reverse load order. `after`: what was undone first, where that is foretold too.

    `foretell`: every row is looked at, for the preview. Else those are left to be looked at when they go whose staying
    keeps no other row (decision 0069)."""
    inserted: dict[str, list[pa.Table]] = {}
    updated: dict[str, list[pa.Table]] = {}
    undos = {}
    now = names_now(ctx)
    for name in reversed(ctx.plan.order):
        if only and name not in only:
            continue
        if ctx.plan.entities[name].into not in declared.table_names:
            continue  # this run created it, and it is dropped already
        table = declared.table(ctx.plan.entities[name].into)
        undos[name] = Undo(name, table, now[name], forced=table.name in force)
        inserted[name], updated[name] = [], []
    by_identity = {undo.identity: undo for undo in undos.values()}
    for rows in after.crosswalk(ctx):
        mine = rows.filter(pc.equal(rows["run"], ctx.run))
        for (system, entity), undo in by_identity.items():
            own = mine.filter(pc.and_(pc.equal(mine["system"], system), pc.equal(mine["entity"], entity)))
            undo.linked += _strings(_of_origin(own, "link")["source_key"])
            inserted[undo.entity].append(_of_origin(own, "insert"))
            updated[undo.entity].append(own.filter(_neither(own)).select(_ENTRY.names).cast(_ENTRY))
    for name, undo in undos.items():
        undo.inserted = sorted_entries(
            undo.table, pa.concat_tables([_ENTRY.empty_table(), *inserted.pop(name)])
        )
        changes = sorted_entries(undo.table, pa.concat_tables([_ENTRY.empty_table(), *updated.pop(name)]))
        undo.updated = dict(
            zip(_strings(changes["target_key"]), _strings(changes["source_key"]), strict=True)
        )
        undo.unread = not foretell and _keeps_nothing(ctx, undo, undos.values())
        if not undo.forced:
            for entries in (changes,) if undo.unread else (undo.inserted, changes):
                wrong, left = after.changed(undo.table.name, entries)
                undo.conflicts |= {key: changed_since(undo, key) for key in wrong}
                _changed_since(ctx, undo, left)
    _kept_by_references(ctx, undos, after)
    for undo in undos.values():
        if undo.unread and undo.conflicts and not undo.forced:
            # a row that stays for a reference may have been changed too, which is told first
            _changed_since(ctx, undo, undo.inserted.filter(undo.kept(undo.inserted["target_key"])))
    return list(undos.values())


def _keeps_nothing(ctx: Context, undo: Undo, undos: Collection[Undo]) -> bool:
    """Is an inserted row that somebody changed a matter of its own? It keeps what it refers to, so its table must refer
    to none of those that are undone; and before it goes no step of the undo may write to it."""
    table = undo.table
    tables = [u.table.name.casefold() for u in undos]
    return (
        not table.not_carried
        and not {fk.ref_table.casefold() for fk in table.foreign_keys} & set(tables)
        and tables.count(table.name.casefold()) == 1
        and not ctx.plan.entities[undo.entity].deferred
    )


def _of_origin(entries: pa.Table, origin: str) -> pa.Table:
    return entries.filter(pc.equal(entries["origin"], origin)).select(_ENTRY.names).cast(_ENTRY)


def _neither(entries: pa.Table) -> pa.ChunkedArray[Any]:
    """Entries of rows that were there before: updated ones, and what was flagged as gone at the source."""
    found: pa.ChunkedArray[Any] = pc.invert(pc.is_in(entries["origin"], pa.array(["link", "insert"])))
    return found


def slices(entries: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, entries.num_rows, CHUNK):
        yield entries.slice(start, CHUNK)


def _strings(column: pa.ChunkedArray[Any]) -> list[str]:
    return [str(text) for text in column.to_pylist()]


def sorted_entries(table: Table, entries: pa.Table) -> pa.Table:
    """Entries by target key as the table's index has them where they are whole numbers, so that a chunk of them is one
    range of it: in the order of their texts (1, 10, 100, 2) every chunk would lie all over the table, and be sought in
    all of it."""
    if entries.num_rows:
        entries = entries.take(pc.sort_indices(entries["target_key"])).combine_chunks()
        parts = key_table(table, entries["target_key"])
        if table.primary_key and all(pa.types.is_integer(t) for t in parts.schema.types):
            places = pc.sort_indices(parts, sort_keys=[(name, "ascending") for name in table.primary_key])
            entries = entries.take(places).combine_chunks()
    return entries


def key_table(table: Table, keys: Sequence[str] | pa.ChunkedArray[Any]) -> pa.Table:
    """JSON keys as the key columns of the table, in its layout."""
    columns = {
        name: canon.from_text(texts, table.column(name).type)
        for name, texts in zip(table.primary_key, _parts(keys, len(table.primary_key)), strict=True)
    }
    return pa.table(columns)


def _parts(keys: Sequence[str] | pa.ChunkedArray[Any], width: int) -> list[pa.Array[Any]]:
    """The texts of JSON keys, one array per column. Where nothing is escaped, a quote is a delimiter and nothing else:
    then they are cut, for a list per key in Python takes longer than all that the database does."""
    texts = one_array(keys) if isinstance(keys, pa.ChunkedArray) else pa.array(list(keys), pa.string())
    if not pc.any(pc.match_substring(texts, "\\")).as_py():
        cut = pc.split_pattern(pc.utf8_slice_codeunits(texts, 2, -2), '","')
        if pc.all(pc.equal(pc.list_value_length(cut), width)).as_py():
            return [pc.list_element(cut, i) for i in range(width)]
    read = list(zip(*(json.loads(str(k)) for k in texts.to_pylist()), strict=True)) or [
        () for _ in range(width)
    ]
    return [pa.array(list(column), pa.string()) for column in read]


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]


def changed(table: Table, found: pa.Table, left: pa.Table, state: Sequence[str]) -> list[str]:
    """JSON keys of `left` (target_key, row_hash) whose rows, as `found` by these keys, have another hash over `state`.

    A row may be found under another spelling of its key, where the database takes both for the same: then somebody gave
    it that, and every key that was not found as it is written counts as changed, for one of them is meant."""
    keys = canon.source_keys(found, table.primary_key, table.types)
    hashes = canon.as_binary(canon.row_hashes(found, table.types, state)).cast(pa.binary())
    known = left.combine_chunks()
    place = pc.index_in(keys, known["target_key"].combine_chunks())
    then = known["row_hash"].combine_chunks().cast(pa.binary()).take(place)
    there = pc.is_valid(place)
    wrong = keys.filter(pc.and_(there, pc.fill_null(pc.not_equal(hashes, then), True))).to_pylist()
    if not pc.all(there, min_count=0).as_py():
        asked = known["target_key"].combine_chunks()
        wrong += (
            asked.filter(pc.invert(pc.is_in(asked, keys))).to_pylist()
            or keys.filter(pc.invert(there)).to_pylist()
        )
    return [str(k) for k in wrong]


def _changed_since(ctx: Context, undo: Undo, left: pa.Table) -> None:
    """Rows that no longer stand as this run left them. A row that is gone is nothing to undo."""
    table = undo.table
    state = state_columns(ctx.mapping, table)

    def of(entries: pa.Table) -> list[str]:
        transaction = ctx.target.begin()
        try:
            keys = key_table(table, entries["target_key"])
            found = transaction.fetch(table, table.primary_key, keys, list(table.column_names))
        finally:
            transaction.rollback()
        return changed(table, found, entries, state)

    workers = min(ctx.workers, -(-left.num_rows // CHUNK)) if ctx.target.parallel_writers else 1
    for _, keys in worked(of, slices(left), workers=workers):
        for key in keys:
            undo.conflicts[key] = changed_since(undo, key)


def changed_since(undo: Undo, key: str) -> Conflict:
    return Conflict(undo.entity, undo.table.name, key, "changed since the load")


def _kept_by_references(ctx: Context, undos: Mapping[str, Undo], after: Foretold) -> None:
    """A row stays if a row that stays refers to it, or a row of nobody's run."""
    pointing = {name: _pointing(ctx.target, undo, after) for name, undo in undos.items()}
    grew = True
    while grew:
        grew = False
        for name, undo in undos.items():
            rows = pointing[name]
            for row in rows.filter(staying(rows, undos.values(), restored=True)).to_pylist():
                key = row["ref_key"]
                if key not in undo.conflicts:
                    undo.conflicts[key] = referred_to(undo, key, row["table"])
                    grew = True


def referred_to(undo: Undo, key: str, by: str) -> Conflict:
    return Conflict(undo.entity, undo.table.name, key, f"a row of {by} that stays refers to it")


def staying(rows: pa.Table, undos: Collection[Undo], *, restored: bool = False) -> pa.Array[Any]:
    """Which of these rows that refer to others (table, row_key) are not undone themselves."""
    goes = pa.array(np.zeros(rows.num_rows, dtype=bool))
    for undo in undos:
        here = one_array(pc.equal(rows["table"], undo.table.name))
        if pc.any(here).as_py():
            mine = pc.fill_null(undo.undone(rows["row_key"], restored=restored), False)
            goes = pc.or_(goes, pc.and_(here, mine))
    stay: pa.Array[Any] = pc.invert(goes)
    return stay


def _pointing(target: Target, undo: Undo, after: Foretold) -> pa.Table:
    """Rows that refer to inserted ones: ref_key, table, row_key."""
    found = [pa.table({name: pa.array([], pa.string()) for name in POINTING})]
    for entries in slices(undo.inserted):
        keys = key_table(undo.table, entries["target_key"])
        rows = target.references_to(undo.table, undo.table.primary_key, keys)
        found.append(after.refer(rows.select(list(POINTING)), undo.table.name, entries["target_key"]))
    return pa.concat_tables(found)


def one_array(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """Its values without chunks."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
