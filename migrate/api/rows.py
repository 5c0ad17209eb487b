"""One row's story, from source to target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon
from migrate.api.keys import source_key
from migrate.api.places import context_of
from migrate.api.quarantined import reasons_of
from migrate.api.row_replays import corrected_here, sent_again
from migrate.context import Context
from migrate.errors import UsageError
from migrate.report.meanings import change, gone_words
from migrate.state.conflicts import conflicts_file
from migrate.state.gone import ends_of, gone_rows, how_it_ended
from migrate.state.identity import names_now
from migrate.state.left_out import excluded_files
from migrate.state.quarantine import with_originals
from migrate.state.records import meta_rows
from migrate.state.roads import entity_rows

# Why a row was left out, where the reason is not the name of a rule.
_LEFT_OUT = {
    "parent_excluded": "left out with the row it refers to (on_parent_excluded)",
    "in_target": "left out, for the target has it already (duplicates: against)",
}


def trace(run: str, entity: str, key: str, *, home: Path | None = None) -> dict[str, Any]:
    """Where a source row came from, what was decided and where it is now. `key`: the bare value, or a JSON array.

    Where `entity` is none and `key` is one, they came in the other order, and are taken so."""
    with context_of(run, home, hold=False) as ctx:
        if entity not in ctx.mapping.entities and key in ctx.mapping.entities:
            entity, key = key, entity
        if entity not in ctx.mapping.entities:
            raise UsageError(
                f"the mapping has no entity {entity!r}", hint=f"Entities: {', '.join(ctx.mapping.entities)}."
            )
        given = source_key(key)
        wanted = _stands_for(ctx, entity, given)
        rids = _rids(ctx, entity, wanted)
        crosswalk = _crosswalk(ctx, entity, wanted)
        gone = _gone(ctx, entity, wanted)
        if not rids and crosswalk is None and not gone:
            raise UsageError(f"the run has no row of {entity} with key {wanted}")
        story: list[dict[str, str]] = []
        if wanted != given:
            what = f"stands for {wanted}, which it is part of and which is gone"
            story.append({"stage": "transform", "what": what, "where": entity})
        for rid, where in rids.items():
            story.append(
                {
                    "stage": "extract",
                    "what": f"part {rid >> 32}, row {rid & 0xFFFFFFFF}",
                    "where": _table(ctx, entity),
                }
            )
            story.append({"stage": "transform", "what": where, "where": entity})
        story += _both_sides(ctx, entity, list(rids))
        story += _lineage(ctx, entity, list(rids))
        story += _events(ctx, entity, list(rids))
        story += corrected_here(ctx, entity, list(rids))
        story += _rejects(ctx, entity, list(rids))
        story += sent_again(ctx, entity, wanted, lambda replay: _rids(replay, entity, wanted))
        story += gone
        target = None
        if crosswalk is not None:
            into = ctx.plan.entities[entity].into
            story.append(
                {
                    "stage": "load",
                    "what": f"{crosswalk['origin']} by run {crosswalk['run']}",
                    "where": f"{into} {crosswalk['target_key']}",
                }
            )
            target = _target_row(ctx, entity, crosswalk["target_key"])
            story.append(
                {
                    "stage": "verify",
                    "what": "is in the target" if target else "is not in the target",
                    "where": into,
                }
            )
        return {
            "run": ctx.run,
            "entity": entity,
            "key": wanted,
            "story": story,
            "source": _source_row(ctx, entity, next(iter(rids), None)),
            "sources": [_source_row(ctx, entity, rid) for rid in rids],
            "target": target,
        }


def _stands_for(ctx: Context, entity: str, key: str) -> str:
    """The key under which the target knows a row that is part of one which is gone; else its own."""
    path = ctx.folder / "transform" / entity / "merging.parquet"
    if not path.exists():
        return key
    rows = pq.read_table(path)
    own = rows.filter(pc.and_(pc.equal(rows["key"], key), pc.equal(rows["rid"], rows["into"])))
    return str(own["into_key"][0]) if own.num_rows else key


def _gone(ctx: Context, entity: str, key: str) -> list[dict[str, str]]:
    """A row of an earlier run that is no longer at the source: what was decided about it, and what became of it."""
    rows = gone_rows(ctx, entity)
    found = rows.filter(pc.equal(rows["key"], key)).to_pylist()
    ends, state = ends_of(ctx.folder, entity), ctx.ledger.run(ctx.run).state
    return [
        {
            "stage": "transform",
            "what": "gone at the source: "
            + gone_words(row["verdict"], how_it_ended(state, row["verdict"], ends.get(row["key"]))),
            "where": f"{ctx.plan.entities[entity].into} {row['tkey']}",
        }
        for row in found
    ]


def _both_sides(ctx: Context, entity: str, rids: list[int]) -> list[dict[str, str]]:
    path = conflicts_file(ctx, entity)
    if not path.exists():
        return []
    rows = pq.read_table(path, columns=["rid", "outcome"])
    found = rows.filter(pc.is_in(rows["rid"], pa.array(rids, pa.int64()))).to_pylist()
    return [
        {
            "stage": "transform",
            "what": f"changed at the source and edited in the target: {row['outcome']} (on_conflict)",
            "where": entity,
        }
        for row in found
    ]


def _table(ctx: Context, entity: str) -> str:
    plan = ctx.plan.entities[entity]
    return f"{plan.source}.{plan.table or 'query'}"


def _rids(ctx: Context, entity: str, key: str) -> dict[int, str]:
    """Rows with this key and what became of each."""
    folder = ctx.folder / "transform" / entity
    found: dict[int, str] = {}
    for path in excluded_files(folder):
        rows = pq.read_table(path, columns=["rid", "key", "reason"])
        found |= {
            r["rid"]: _LEFT_OUT.get(r["reason"], f"left out by {r['reason']}")
            for r in rows.filter(pc.equal(rows["key"], key)).to_pylist()
        }
    merged = folder / "merged.parquet"
    if merged.exists():
        rows = pq.read_table(merged)
        found |= {
            r["rid"]: f"merged into {r['into_key']}"
            for r in rows.filter(pc.equal(rows["key"], key)).to_pylist()
        }
    known = folder / "known.parquet"
    if known.exists():
        rows = pq.read_table(known)
        for r in rows.filter(
            pc.and_(pc.equal(rows["key"], key), pc.equal(rows["outcome"], "link"))
        ).to_pylist():
            whom = (
                f"{r['parent']} {r['pkey']}"
                if r["pkey"] is not None
                else f"{r['place']} {r['tkey']} of the target"
            )
            found[r["rid"]] = f"known as {whom} ({r['words']})"
    settled = folder / "settled.parquet"
    if settled.exists():
        rows = pq.read_table(settled)
        found |= {
            r["rid"]: f"decided: {r['op']}" for r in rows.filter(pc.equal(rows["key"], key)).to_pylist()
        }
    quarantine = ctx.folder / "quarantine" / f"{entity}.parquet"
    if quarantine.exists():
        rows = pq.read_table(quarantine, columns=["rid", "key", "fields", "codes", "details"])
        for row in rows.filter(pc.equal(rows["key"], key)).to_pylist():
            found[row["rid"]] = f"quarantined ({', '.join(reasons_of(row))})"
    return found


def _events(ctx: Context, entity: str, rids: list[int]) -> list[dict[str, str]]:
    """What rules of the mapping changed in these rows: emptied, defaulted, let pass."""
    found = []
    wanted = pa.array(rids, pa.int64())
    for path in sorted((ctx.folder / "transform" / entity).glob("events*.parquet")):
        rows = pq.read_table(path, columns=["rid", "field", "code"])
        for row in rows.filter(pc.is_in(rows["rid"], wanted)).to_pylist():
            what = f"{row['field']}: {row['code']}"
            meaning = change(row["code"])
            found.append(
                {
                    "stage": "transform",
                    "what": f"{what} ({meaning})" if meaning else what,
                    "where": f"{entity}.{row['field']}",
                }
            )
    return found


def _lineage(ctx: Context, entity: str, rids: list[int]) -> list[dict[str, str]]:
    """Of a row that others became part of: which of them gave which value."""
    path = ctx.folder / "transform" / entity / "lineage.parquet"
    if not path.exists():
        return []
    rows = pq.read_table(path)
    found = rows.filter(pc.is_in(rows["into"], pa.array(rids, pa.int64()))).to_pylist()
    return [
        {
            "stage": "transform",
            "what": f"{row['field']}: from {row['key'] or 'several rows'} (survive)",
            "where": f"{entity}.{row['field']}",
        }
        for row in found
    ]


def _crosswalk(ctx: Context, entity: str, key: str) -> dict[str, Any] | None:
    system, name = names_now(ctx)[entity]
    for rows in meta_rows(ctx.target, "crosswalk"):
        mine = pc.and_(pc.equal(rows["entity"], name), pc.equal(rows["system"], system))
        found = rows.filter(pc.and_(mine, pc.equal(rows["source_key"], key))).to_pylist()
        if found:
            return dict(found[0])
    return None


def _rejects(ctx: Context, entity: str, rids: list[int]) -> list[dict[str, str]]:
    found = []
    for rows in meta_rows(ctx.target, "reject"):
        mine = pc.and_(pc.equal(rows["run"], ctx.run), pc.equal(rows["entity"], entity))
        for row in rows.filter(pc.and_(mine, pc.is_in(rows["rid"], pa.array(rids, pa.int64())))).to_pylist():
            what = f"refused by the database: {row['code']} {row['object'] or ''}".strip()
            found.append({"stage": "load", "what": what, "where": row["part"]})
    return found


def _target_row(ctx: Context, entity: str, key: str) -> dict[str, Any] | None:
    from migrate.stages.rollback.victims import key_table

    there = ctx.target.schema([ctx.plan.entities[entity].into]).tables
    if not there:
        return None  # the run created the table, and its rollback dropped it
    table = there[0]
    transaction = ctx.target.begin()
    try:
        found = transaction.fetch(table, table.primary_key, key_table(table, [key]), list(table.column_names))
    finally:
        transaction.rollback()
    if not found.num_rows:
        return None
    return {c.name: canon.canonical_text(found[c.name], c.type)[0].as_py() for c in table.columns}


def _source_row(ctx: Context, entity: str, rid: int | None) -> dict[str, Any] | None:
    if rid is None:
        return None
    rows = with_originals(pa.table({"rid": pa.array([rid], pa.int64())}), entity_rows(ctx, entity))
    text = rows["row"][0].as_py()
    return dict(json.loads(text)) if text else None
