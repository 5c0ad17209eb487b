"""References that were to close a cycle and are empty now, because the row they point at was refused by the target."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.parts import write_rows
from migrate.stages.load.parts import Lane
from migrate.state.lost import Lost, lost_values, points_at
from migrate.state.records import Rejected
from migrate.state.to_load import part_indexes, part_path
from migrate.transform.findings import EVENTS

_CODE = "parent_rejected_emptied"


def write_emptied(ctx: Context, lanes: Iterable[Lane], rejected: Rejected) -> None:
    """`transform/ENTITY/events-load.parquet`: what the second pass left empty, counted like all that rules empty."""
    for lane in lanes:
        name = lane.entity.name
        lost = {f: v for f, v in lost_values(lane.plan.refs, rejected).items() if f in lane.plan.deferred}
        if lost:
            found = [
                table for i in part_indexes(ctx, name) for table in _of_part(ctx, lane, i, lost, rejected)
            ]
            path = ctx.place("transform", name, "events-load.parquet")
            write_rows(pa.concat_tables([EVENTS.empty_table(), *found]), path, point="load.events")


def _of_part(
    ctx: Context, lane: Lane, index: int, lost: dict[str, Lost], rejected: Rejected
) -> Iterable[pa.Table]:
    rows = pq.read_table(part_path(ctx, lane.entity.name, index))
    rows = rows.filter(pc.is_in(rows["__op"], pa.array(["insert", "update"])))
    gone = pa.array(sorted(rejected.rids.get(lane.entity.name, ())), pa.int64())
    rows = rows.filter(pc.invert(pc.is_in(rows["__rid"], gone)))
    for fld, values in lost.items():
        hit = rows.filter(pa.array(points_at(rows, f"d.{fld}", fld, lane.table.column(fld).type, values)))
        texts = [pa.repeat(pa.scalar(text, pa.string()), hit.num_rows) for text in (fld, _CODE, None)]
        yield pa.Table.from_arrays([hit["__rid"], *texts], schema=EVENTS)
