"""Rows that retention archives: into the vault as a backup of their own, before anything is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import __version__, canon, failpoints
from migrate.context import Context
from migrate.ledger.records import JSON
from migrate.model import Manifest, Schema, Table
from migrate.parts import RID_SHIFT, write_parts
from migrate.planning import digest_of
from migrate.state.left_out import excluded_files
from migrate.state.roads import all_sources, entity_rows
from migrate.transform.own_columns import ROAD_COLUMNS, WITH
from migrate.transform.retention import ARCHIVED
from migrate.transform.roads import EntityRows
from migrate.vault.reader import open_backup
from migrate.vault.writer import write_backup

ROLE = "archive"


def keep_archived(ctx: Context, inputs: str) -> None:
    """One backup (role `archive`) per entity that archives rows: the rows of its road as they came. What is in the vault
    already is not written again. The run's facts say which (`archived`: entity → rows, backup)."""
    names = [
        n
        for n, e in ctx.entities.items()
        if e.retention and "archive" in (e.retention.then, e.retention.if_empty)
    ]
    if not names:
        return
    sources = all_sources(ctx)
    facts: dict[str, JSON] = {}
    for name in names:
        done = ctx.ledger.checkpoint(ctx.run, "transform", f"archive:{name}", inputs)
        found: Mapping[str, Any]
        if done is None:
            found = _store(ctx, name, entity_rows(ctx, name, sources))
            ctx.ledger.put_checkpoint(ctx.run, "transform", f"archive:{name}", inputs, [], dict(found))
            failpoints.hit("transform.archived")
        else:
            found = done.facts
        if found.get("rows"):
            facts[name] = {"rows": found["rows"], "backup": found["backup"]}
    ctx.ledger.put_run_facts(ctx.run, {"archived": facts})


def _store(ctx: Context, name: str, road: EntityRows) -> dict[str, JSON]:
    entity = ctx.mapping.entities[name]
    rids = _rids(ctx, name)
    if not len(rids):
        return {"rows": 0, "backup": ""}
    table = _table(entity.table or name, road, int(rids[0]) >> RID_SHIFT)
    folder = ctx.room("archive", name)
    shutil.rmtree(folder, ignore_errors=True)
    written = write_parts(
        _rows(road, rids, table), table=table.name, columns=table.columns, folder=folder, point="archive"
    )
    manifest = write_backup(
        ctx.store,
        manifest=Manifest(
            id=f"{ctx.run}-archive-{digest_of([name, written.digest.text()])[:8]}",
            role=ROLE,
            run=ctx.run,
            system=ctx.mapping.sources[entity.source].system,
            engine=ctx.sources[entity.source].engine,
            snapshot=name,
            snapshot_at=ctx.plan.now,
            created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
            mapping=ctx.mapping.name,
            mapping_digest=ctx.mapping.digest,
            schema_digest="",
            algorithm=canon.ALGORITHM,
            parts=written.parts,
            digests={table.name: written.digest.text()},
            files=(),
            code_version=__version__,
            audit_head=ctx.ledger.audit_head(),
        ),
        schema=Schema(engine=ctx.sources[entity.source].engine, version="", tables=(table,)),
        parts=[(p, folder / p.path) for p in written.parts],
    )
    sha256 = open_backup(ctx.store, manifest.id).manifest_sha256
    ctx.ledger.put_backup(manifest, sha256, vault=ctx.store.location)
    shutil.rmtree(folder, ignore_errors=True)
    return {"rows": len(rids), "backup": manifest.id}


def _rids(ctx: Context, name: str) -> Any:
    """Ids of the rows that are archived, in order."""
    found = [
        rows.filter(pc.equal(rows["reason"], ARCHIVED))["rid"].to_numpy()
        for path in excluded_files(ctx.folder / "transform" / name)
        if path.name != "left_out.parquet"
        for rows in [pq.read_table(path, columns=["rid", "reason"])]
    ]
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _rows(road: EntityRows, rids: Any, table: Table) -> Iterator[pa.RecordBatch]:
    for ref in road.parts:
        mine = rids[rids >> RID_SHIFT == ref.index] & 0xFFFFFFFF
        if len(mine):
            rows = road.read(ref).select(list(table.column_names)).take(pa.array(mine))
            yield from rows.combine_chunks().to_batches()


def _table(name: str, road: EntityRows, part: int) -> Table:
    """The road's own columns, without what other tables or rules of the database say about them; of joined rows those
    that the mapping uses, for no more is in the road's parts."""
    there = set(road.read(next(ref for ref in road.parts if ref.index == part)).column_names)
    columns = tuple(
        replace(c, generated=None, identity=None, sequence=None, default=None)
        for c in road.table.columns
        if c.name in there and c.name not in ROAD_COLUMNS and not c.name.startswith(WITH)
    )
    return Table(name, columns)
