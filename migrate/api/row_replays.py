"""What replays of quarantined rows have to do with one row, for its story."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.planning import earlier_identities, identity_of
from migrate.state.fixed_rows import fixes_file
from migrate.state.replays import FOLDER, FREE, GIVEN, replay_of, replays_of

Fates = Callable[[Context], dict[int, str]]


def corrected_here(ctx: Context, entity: str, rids: list[int]) -> list[dict[str, str]]:
    """That the run reads the row as people corrected it."""
    path = fixes_file(ctx, entity)
    if not path.exists():
        return []
    rows = pq.read_table(path, columns=["rid", "cells"])
    found = rows.filter(pc.is_in(rows["rid"], pa.array(rids, pa.int64()))).to_pylist()
    return [
        {"stage": "transform", "what": f"read as it was corrected: {_columns(r['cells'])}", "where": entity}
        for r in found
    ]


def sent_again(ctx: Context, entity: str, key: str, fates: Fates) -> list[dict[str, str]]:
    """By which replays of the run the row was sent again, and what became of it there. `fates`: what a run decided."""
    told = []
    for info in replays_of(ctx.ledger, ctx.run) if replay_of(ctx.run) is None else ():
        other = replace(ctx, run=info.run, folder=ctx.home / "runs" / info.run)
        why = _why(other, entity, key)
        if not why:
            continue
        what = "; ".join([why, *(() if info.state == "rolled_back" else fates(other).values())])
        told.append({"stage": "replay", "what": f"{what} ({info.state})", "where": info.run})
    return told


def _why(replay: Context, entity: str, key: str) -> str:
    folder = replay.folder / FOLDER
    names = [identity_of(replay.mapping, entity), *earlier_identities(replay.mapping, entity)]
    for row in pq.read_table(folder / GIVEN).to_pylist() if (folder / GIVEN).exists() else ():
        if row["key"] == key and (row["system"], row["entity"]) in names:
            return f"sent again, corrected: {_columns(row['cells'])}"
    for row in pq.read_table(folder / FREE).to_pylist() if (folder / FREE).exists() else ():
        if (row["entity"], row["key"]) == (entity, key):
            return "sent again, with the row that it waited for"
    return ""


def _columns(cells: str) -> str:
    return ", ".join(sorted(json.loads(cells)))
