"""What undo would do, decided from the target's own records: crosswalk and journal, not from local files.

A row that somebody changed after the load, or that a row which stays refers to, is a conflict and is
kept (F32). Keeping one row may keep others: decided to a fixpoint before anything is written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon
from migrate.connectors.protocol import Target
from migrate.context import Context
from migrate.model import Schema, Table
from migrate.planning import Identity, state_columns
from migrate.state.identity import names_now
from migrate.state.records import meta_rows

CHUNK = 50_000
_NEEDED = ["system", "entity", "source_key", "target_key", "origin", "run", "row_hash"]


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
    inserted: dict[str, str] = field(default_factory=dict)  # target key → source key
    updated: dict[str, str] = field(default_factory=dict)
    linked: list[str] = field(default_factory=list)  # source keys
    returns: set[str] = field(
        default_factory=set
    )  # target keys of rows that the run deleted, to be brought back
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    forced: bool = False  # edits since the load do not keep its rows

    @property
    def deletes(self) -> list[str]:
        return in_order(self.table, [k for k in self.inserted if k not in self.conflicts])

    def undoes(self, table: str, key: str, *, restored: bool = False) -> bool:
        """Is this one of the rows that go, or with `restored` one that gets its earlier values?"""
        place = self.updated if restored else self.inserted
        return table == self.table.name and key in place and key not in self.conflicts

    @property
    def restores(self) -> list[str]:
        return sorted(k for k in self.updated if k not in self.conflicts)


def decide(
    ctx: Context, declared: Schema, only: Sequence[str], force: Sequence[str], along: Sequence[str] = ()
) -> list[Undo]:
    """One Undo per entity, in reverse load order. Rows that the runs `along` added keep nothing."""
    left: dict[str, list[pa.Table]] = {}  # target keys and hashes, as this run left its rows
    undos = {}
    now = names_now(ctx)
    for name in reversed(ctx.plan.order):
        if only and name not in only:
            continue
        if ctx.plan.entities[name].into not in declared.table_names:
            continue  # this run created it, and it is dropped already
        table = declared.table(ctx.plan.entities[name].into)
        undos[name] = Undo(name, table, now[name], forced=table.name in force)
        left[name] = []
    by_identity = {undo.identity: undo for undo in undos.values()}
    for rows in meta_rows(ctx.target, "crosswalk", _NEEDED):
        mine = rows.filter(pc.equal(rows["run"], ctx.run))
        for (system, entity), undo in by_identity.items():
            own = mine.filter(pc.and_(pc.equal(mine["system"], system), pc.equal(mine["entity"], entity)))
            if own.num_rows:
                left[undo.entity].append(_sorted_in(undo, own))
    for name, undo in undos.items():
        if not undo.forced and left[name]:
            _changed_since(ctx, undo, pa.concat_tables(left[name]))
    _kept_by_references(ctx, undos, _added_by(ctx, along, by_identity) if along else set())
    return list(undos.values())


def _sorted_in(undo: Undo, entries: pa.Table) -> pa.Table:
    """Crosswalk entries into their places; of rows that were written the key and the hash."""
    for origin in pc.unique(entries["origin"]).to_pylist():
        some = entries.filter(pc.equal(entries["origin"], origin))
        sources = _strings(some["source_key"])
        if origin == "link":
            undo.linked += sources
            continue
        place = undo.inserted if origin == "insert" else undo.updated
        place.update(zip(_strings(some["target_key"]), sources, strict=True))
    written = entries.filter(pc.not_equal(entries["origin"], "link"))
    return written.select(["target_key", "row_hash"])


def _strings(column: pa.ChunkedArray[Any]) -> list[str]:
    return [str(text) for text in column.to_pylist()]


def in_order(table: Table, keys: Sequence[str]) -> list[str]:
    """JSON keys as the table's index has them where they are whole numbers, so that a chunk of them is one range of
    it: in the order of their texts (1, 10, 100, 2) every chunk would lie all over the table, and be sought in all of it.
    """
    texts = sorted(keys)
    if not texts or not table.primary_key:
        return texts
    parts = key_table(table, texts)
    if not all(pa.types.is_integer(t) for t in parts.schema.types):
        return texts
    places = pc.sort_indices(parts, sort_keys=[(name, "ascending") for name in table.primary_key])
    return [texts[i] for i in places.to_pylist()]


def key_table(table: Table, keys: Sequence[str]) -> pa.Table:
    """JSON keys as the key columns of the table, in its layout."""
    columns = {
        name: canon.from_text(texts, table.column(name).type)
        for name, texts in zip(table.primary_key, _parts(keys, len(table.primary_key)), strict=True)
    }
    return pa.table(columns)


def _parts(keys: Sequence[str], width: int) -> list[pa.Array[Any]]:
    """The texts of JSON keys, one array per column. Where nothing is escaped, a quote is a delimiter and nothing else:
    then they are cut, for a list per key in Python takes longer than all that the database does."""
    texts = pa.array(list(keys), pa.string())
    if not pc.any(pc.match_substring(texts, "\\")).as_py():
        cut = pc.split_pattern(pc.utf8_slice_codeunits(texts, 2, -2), '","')
        if pc.all(pc.equal(pc.list_value_length(cut), width)).as_py():
            return [pc.list_element(cut, i) for i in range(width)]
    read = list(zip(*(json.loads(k) for k in keys), strict=True)) or [() for _ in range(width)]
    return [pa.array(list(column), pa.string()) for column in read]


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]


def changed(
    table: Table, found: pa.Table, left: pa.Table, state: Sequence[str], *, unknown: bool
) -> list[str]:
    """JSON keys of rows in `found` whose hash over `state` is not the one that `left` (target_key, row_hash) has;
    `unknown`: are those changed of which it has none?"""
    keys = canon.source_keys(found, table.primary_key, table.types)
    hashes = canon.as_binary(canon.row_hashes(found, table.types, state)).cast(pa.binary())
    known = left.combine_chunks()
    place = pc.index_in(keys, known["target_key"].combine_chunks())
    then = known["row_hash"].combine_chunks().cast(pa.binary()).take(place)
    return [str(k) for k in keys.filter(pc.fill_null(pc.not_equal(hashes, then), unknown)).to_pylist()]


def _changed_since(ctx: Context, undo: Undo, left: pa.Table) -> None:
    """Rows that no longer stand as this run left them. A row that is gone is nothing to undo."""
    table = undo.table
    state = state_columns(ctx.mapping, table)
    for keys in chunks(in_order(table, _strings(left["target_key"]))):
        transaction = ctx.target.begin()
        try:
            found = transaction.fetch(
                table, table.primary_key, key_table(table, keys), list(table.column_names)
            )
        finally:
            transaction.rollback()
        for key in changed(table, found, left, state, unknown=True):
            undo.conflicts[key] = Conflict(undo.entity, table.name, key, "changed since the load")


def _added_by(ctx: Context, runs: Sequence[str], undos: Mapping[Identity, Undo]) -> set[tuple[str, str]]:
    """Table and key of rows that these runs added."""
    found = set()
    for rows in meta_rows(ctx.target, "crosswalk", ["run", "system", "entity", "target_key", "origin"]):
        for row in rows.filter(pc.is_in(rows["run"], pa.array(list(runs)))).to_pylist():
            undo = undos.get((row["system"], row["entity"]))
            if undo is not None and row["origin"] == "insert":
                found.add((undo.table.name, row["target_key"]))
    return found


def _kept_by_references(ctx: Context, undos: Mapping[str, Undo], gone: set[tuple[str, str]]) -> None:
    """A row stays if a row that stays refers to it, or a row of nobody's run."""
    pointing = {name: _pointing(ctx.target, undo) for name, undo in undos.items()}
    grew = True
    while grew:
        grew = False
        for name, undo in undos.items():
            for key, table, row in pointing[name]:
                if key in undo.conflicts or (table, row) in gone:
                    continue
                if any(u.undoes(table, row) or u.undoes(table, row, restored=True) for u in undos.values()):
                    continue
                undo.conflicts[key] = Conflict(
                    name, undo.table.name, key, f"a row of {table} that stays refers to it"
                )
                grew = True


def _pointing(target: Target, undo: Undo) -> list[tuple[str, str, str]]:
    """(key of an inserted row, table, key of a row that refers to it)."""
    found = []
    for keys in chunks(in_order(undo.table, list(undo.inserted))):
        rows = target.references_to(undo.table, undo.table.primary_key, key_table(undo.table, keys))
        found += [(r["ref_key"], r["table"], r["row_key"]) for r in rows.to_pylist()]
    return found


def images(ctx: Context, kind: str) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """Before-images of this run: (the journal's row without its image, rows as they were)."""
    for rows in meta_rows(ctx.target, "journal"):
        mine = rows.filter(pc.and_(pc.equal(rows["run"], ctx.run), pc.equal(rows["kind"], kind)))
        for row in mine.to_pylist():
            yield row, pq.read_table(io.BytesIO(row.pop("image")))
