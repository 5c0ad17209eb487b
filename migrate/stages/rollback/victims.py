"""What undo would do, decided from the target's own records: crosswalk and journal, not from local files.

A row that somebody changed after the load, or that a row which stays refers to, is a conflict and is
kept (F32). Keeping one row may keep others: decided to a fixpoint before anything is written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
        return sorted(k for k in self.inserted if k not in self.conflicts)

    @property
    def restores(self) -> list[str]:
        return sorted(k for k in self.updated if k not in self.conflicts)


def decide(
    ctx: Context, declared: Schema, only: Sequence[str], force: Sequence[str], along: Sequence[str] = ()
) -> list[Undo]:
    """One Undo per entity, in reverse load order. Rows that the runs `along` added keep nothing."""
    hashes: dict[str, dict[str, bytes]] = {}
    undos = {}
    now = names_now(ctx)
    for name in reversed(ctx.plan.order):
        if only and name not in only:
            continue
        if ctx.plan.entities[name].into not in declared.table_names:
            continue  # this run created it, and it is dropped already
        table = declared.table(ctx.plan.entities[name].into)
        undos[name] = Undo(name, table, now[name], forced=table.name in force)
        hashes[name] = {}
    by_identity = {undo.identity: undo for undo in undos.values()}
    for rows in meta_rows(ctx.target, "crosswalk"):
        for row in rows.filter(pc.equal(rows["run"], ctx.run)).to_pylist():
            undo = by_identity.get((row["system"], row["entity"]))
            if undo is None:
                continue
            if row["origin"] == "link":
                undo.linked.append(row["source_key"])
                continue
            place = undo.inserted if row["origin"] == "insert" else undo.updated
            place[row["target_key"]] = row["source_key"]
            hashes[undo.entity][row["target_key"]] = row["row_hash"]
    for name, undo in undos.items():
        if not undo.forced:
            _changed_since(ctx, undo, hashes[name])
    _kept_by_references(ctx, undos, _added_by(ctx, along, by_identity) if along else set())
    return list(undos.values())


def key_table(table: Table, keys: Sequence[str]) -> pa.Table:
    """JSON keys as the key columns of the table, in its layout."""
    parts = list(zip(*(json.loads(k) for k in keys), strict=True)) or [() for _ in table.primary_key]
    columns = {
        name: canon.from_text(pa.array(list(texts), pa.string()), table.column(name).type)
        for name, texts in zip(table.primary_key, parts, strict=True)
    }
    return pa.table(columns)


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]


def _changed_since(ctx: Context, undo: Undo, hashes: Mapping[str, bytes]) -> None:
    """Rows that no longer stand as this run left them. A row that is gone is nothing to undo."""
    table = undo.table
    state = state_columns(ctx.mapping, table)
    for keys in chunks(sorted(hashes)):
        transaction = ctx.target.begin()
        try:
            found = transaction.fetch(
                table, table.primary_key, key_table(table, keys), list(table.column_names)
            )
        finally:
            transaction.rollback()
        stand = pa.table(
            {
                "key": canon.source_keys(found, table.primary_key, table.types),
                "hash": canon.as_binary(canon.row_hashes(found, table.types, state)),
            }
        )
        for row in stand.to_pylist():
            key = row["key"]
            if row["hash"] != hashes[key]:
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
        going = gone | {(u.table.name, k) for u in undos.values() for k in u.deletes}
        restored = {(u.table.name, k) for u in undos.values() for k in u.restores}
        for name, undo in undos.items():
            for key, table, row in pointing[name]:
                if key in undo.conflicts or (table, row) in going or (table, row) in restored:
                    continue
                undo.conflicts[key] = Conflict(
                    name, undo.table.name, key, f"a row of {table} that stays refers to it"
                )
                grew = True


def _pointing(target: Target, undo: Undo) -> list[tuple[str, str, str]]:
    """(key of an inserted row, table, key of a row that refers to it)."""
    found = []
    for keys in chunks(sorted(undo.inserted)):
        rows = target.references_to(undo.table, undo.table.primary_key, key_table(undo.table, keys))
        found += [(r["ref_key"], r["table"], r["row_key"]) for r in rows.to_pylist()]
    return found


def images(ctx: Context, kind: str) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """Before-images of this run: (the journal's row without its image, rows as they were)."""
    for rows in meta_rows(ctx.target, "journal"):
        mine = rows.filter(pc.and_(pc.equal(rows["run"], ctx.run), pc.equal(rows["kind"], kind)))
        for row in mine.to_pylist():
            yield row, pq.read_table(io.BytesIO(row.pop("image")))
