"""Corrections that people gave for source rows: stored for good, and found again in every run of the mapping (F14).

A correction is for the row of (system, entity, key) with just this content (`hash`). It is applied in every run until
the source row changes: from then on the source speaks for itself. What replays were given lies in their folders; a run
pins what there was when it first transformed (`fixes.parquet`), so that it decides the same when it is resumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.durable import sha256_file
from migrate.errors import Corrupt
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import JSON
from migrate.model import PartRef
from migrate.parts import RID_SHIFT, write_rows
from migrate.planning import earlier_identities, identity_of
from migrate.state.fixed_rows import fixes_file
from migrate.state.replays import ENDED, FOLDER, GIVEN, replay_of
from migrate.transform.apply import made_keys
from migrate.transform.entity import CompiledEntity
from migrate.transform.keys import hashes_of
from migrate.transform.roads import EntityRows
from migrate.transform.source_rows import SourceRows

PINNED = "fixes.parquet"
_FIELDS: list[pa.Field[Any]] = [
    pa.field("system", pa.string()),
    pa.field("entity", pa.string()),
    pa.field("key", pa.string()),
    pa.field("hash", pa.binary()),
    pa.field("cells", pa.string()),  # JSON: column → text or null
]
SCHEMA = pa.schema(_FIELDS)
_PLACED: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("key", pa.string()),
    pa.field("hash", pa.binary()),
    pa.field("cells", pa.string()),
]
WITHDRAWN = (
    "withdrawn"  # run fact of a replay that was rolled back by itself: its corrections are not applied again
)


def stored_fixes(ledger: Ledger, mapping: str, *, also: str = "") -> pa.Table:
    """All corrections that hold for a mapping, by its name; the last one for a row wins. `also`: a replay that has not
    ended yet."""
    last: dict[tuple[str, str, str, bytes], dict[str, object]] = {}
    for info in reversed(ledger.runs()):
        if info.mapping != mapping or replay_of(info.run) is None:
            continue
        counts = info.run == also or info.state in (*ENDED, "rolled_back")
        path = ledger.root / info.run / FOLDER / GIVEN
        if counts and path.exists() and not ledger.run_facts(info.run).get(WITHDRAWN):
            for row in pq.read_table(path, schema=SCHEMA).to_pylist():
                last[row["system"], row["entity"], row["key"], row["hash"]] = row
    return pa.Table.from_pylist(list(last.values()), SCHEMA)


def pin_fixes(ctx: Context, ledger: Ledger | None = None) -> None:
    """Once per run. `ledger`: where the replays are, if not in the run's own (plans have one of their own)."""
    if "fixes" in ctx.ledger.run_facts(ctx.run):
        return
    found = stored_fixes(ledger or ctx.ledger, ctx.mapping.name, also=ctx.run)
    fact: JSON = None
    if found.num_rows:
        write_rows(found, ctx.place(PINNED), point="fixes.pinned")
        fact = sha256_file(ctx.folder / PINNED)
    ctx.ledger.put_run_facts(ctx.run, {"fixes": fact})


def pinned_digest(ctx: Context) -> str | None:
    """What transformed rows depend on besides plan and backups; None without corrections."""
    fact = ctx.ledger.run_facts(ctx.run).get("fixes")
    return str(fact) if fact else None


def place_fixes(
    ctx: Context, compiled: Mapping[str, CompiledEntity], roads: Mapping[str, EntityRows]
) -> None:
    """`fixes/ENTITY.parquet`: the pinned corrections whose rows are in this run, by their place in it.

    Raises Corrupt where the pinned ones are not those that were pinned."""
    for name in compiled:
        fixes_file(ctx, name).unlink(missing_ok=True)  # from here on the roads are read as they came
    digest = pinned_digest(ctx)
    if digest is None:
        return
    path = ctx.folder / PINNED
    if not path.exists() or sha256_file(path) != digest:
        raise Corrupt(
            "the corrections that this run goes by are not as they were written",
            where=str(path),
            kept="The target and the backups are as they were.",
            hint="Run with --fresh; if rows were loaded already, roll the run back first.",
        )
    pinned = pq.read_table(path)
    for name, one in compiled.items():
        names = [identity_of(ctx.mapping, name), *earlier_identities(ctx.mapping, name)]
        wanted: dict[tuple[str, bytes], str] = {}
        for system, entity in names:
            mine = pinned.filter(
                pc.and_(pc.equal(pinned["system"], system), pc.equal(pinned["entity"], entity))
            )
            wanted |= {(r["key"], r["hash"]): r["cells"] for r in mine.to_pylist()}
        if wanted:
            placed = [row for ref in roads[name].parts for row in _placed(one, roads[name], ref, wanted)]
            fixes_file(ctx, name).parent.mkdir(mode=0o700, exist_ok=True)
            write_rows(
                pa.Table.from_pylist(placed, pa.schema(_PLACED)), fixes_file(ctx, name), point="fixes.placed"
            )


def _placed(
    compiled: CompiledEntity, road: EntityRows, ref: PartRef, wanted: Mapping[tuple[str, bytes], str]
) -> list[dict[str, object]]:
    """Rows of one part that a correction is for."""
    rows = road.read(ref)
    hashes = raw_hashes(road, rows)
    hit = pc.is_in(hashes, pa.array(sorted({h for _, h in wanted}), pa.binary()))
    places: list[int] = pc.indices_nonzero(hit).to_pylist()
    if not places:
        return []
    keys = made_keys(compiled, rows.take(pa.array(places, pa.int64()))).to_pylist()
    found = []
    for place, key in zip(places, keys, strict=True):
        row = (str(key), hashes[place].as_py())
        if row in wanted:
            found.append(
                {
                    "rid": (ref.index << RID_SHIFT) + place,
                    "key": key,
                    "hash": row[1],
                    "cells": wanted[row],
                }
            )
    return found


def raw_hashes(road: EntityRows, rows: pa.Table) -> pa.Array[Any]:
    """What a correction knows its row by, besides the key: 16 bytes per row, over the columns as they were read."""
    return hashes_of(SourceRows(rows, road.types, {})).cast(pa.binary())
