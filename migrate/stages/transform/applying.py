"""Transform, part by part: the values of every row, by the fields and rules of its entity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from migrate import canon, failpoints
from migrate.context import Context
from migrate.mapping.model import Entity
from migrate.model import PartRef, Table
from migrate.parts import RID_SHIFT, write_rows
from migrate.stages.transform.merging import rows_kind
from migrate.transform.apply import Transformed, apply
from migrate.transform.consent import WITHHELD_TEXT
from migrate.transform.entity import CompiledEntity
from migrate.transform.findings import Stop
from migrate.transform.lists import with_forms
from migrate.transform.roads import EntityRows

STAGE = "transform"  # whose checkpoints these are


@dataclass(frozen=True)
class Files:
    """What `apply` left of one entity, in order of parts."""

    rows: tuple[Path, ...]
    reasons: tuple[Path, ...]
    excluded: tuple[Path, ...]
    events: tuple[Path, ...]
    items: Mapping[str, tuple[Path, ...]]  # list → its items, where references have to be resolved first
    unmerged: tuple[Path, ...]  # the rows, where some of them are still to be merged


def apply_entity(
    ctx: Context, compiled: CompiledEntity, road: EntityRows, inputs: str
) -> tuple[Files, int, list[Stop]]:
    entity = compiled.entity
    folder = ctx.room("transform", entity.name)
    seen = 0
    stops: list[Stop] = []
    for ref in road.parts:
        done = ctx.ledger.checkpoint(ctx.run, STAGE, f"{entity.name}/{ref.index}", inputs)
        if done is None:
            stopped, paths_written = _apply_part(compiled, road, ref, folder)
            ctx.ledger.put_checkpoint(
                ctx.run,
                STAGE,
                f"{entity.name}/{ref.index}",
                inputs,
                [ctx.output(p) for p in paths_written],
                {"stops": [list(stop) for stop in stopped]},
            )
        else:
            found: Any = done.facts.get("stops") or []
            stopped = [Stop(str(what), int(rows)) for what, rows in found]
        stops += stopped
        seen += ref.rows
        ctx.progress.advance(ref.rows)
        failpoints.hit("transform.part_done")

    def paths(kind: str) -> tuple[Path, ...]:
        return tuple(folder / f"{kind}-{ref.index:05d}.parquet" for ref in road.parts)

    items = {one.name: paths(f"items.{n}") for n, one in enumerate(compiled.lists) if one.references}
    files = Files(
        paths("rows"), paths("reasons"), paths("excluded"), paths("events"), items, paths(rows_kind(entity))
    )
    return files, seen, stops


def _apply_part(
    compiled: CompiledEntity, road: EntityRows, ref: PartRef, folder: Path
) -> tuple[list[Stop], list[Path]]:
    entity = compiled.entity
    rows = road.read(ref)
    rids = (np.int64(ref.index) << RID_SHIFT) + np.arange(rows.num_rows, dtype=np.int64)
    result = apply(compiled, rows, rids, {join: road.joined(ref, join) for join in road.beside})
    tables = {
        rows_kind(entity): _with_match_texts(result, entity, compiled.target),
        "reasons": result.reasons,
        "excluded": result.excluded,
        "events": result.events,
    }
    for number, one in enumerate(compiled.lists):
        if one.references:
            tables[f"items.{number}"] = with_forms(result.items[one.name], one.forms)
    paths = {kind: folder / f"{kind}-{ref.index:05d}.parquet" for kind in tables}
    for kind, table in tables.items():
        write_rows(table, paths[kind], point=f"transform.{kind}")
    return list(result.stops), list(paths.values())


def _with_match_texts(result: Transformed, entity: Entity, target: Table) -> pa.Table:
    """`__m.COLUMN`: the canonical text by which a row is matched with rows of the target."""
    rows = result.rows
    for column in entity.match:
        given = f"__match.{column}"
        if given in rows.column_names:
            values = rows[given].combine_chunks()
            text = values.cast(pa.string()) if not pa.types.is_string(values.type) else values
        else:
            text = canon.canonical_text(rows[column], target.column(column).type)
            if (withheld := f"{WITHHELD_TEXT}{column}") in rows.column_names:
                # Who somebody is does not change with what they consent to, and a no has to arrive.
                text = pa.compute.coalesce(text, rows[withheld])
        rows = rows.append_column(f"__m.{column}", text)
    return rows
