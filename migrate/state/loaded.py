"""The rows that a run meant to be in the target, from what assign fixed and what the database rejected."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon
from migrate.context import Context
from migrate.model import Table
from migrate.planning import compared_columns
from migrate.state.lost import lost_values, points_at
from migrate.state.records import Rejected, read_rejected
from migrate.state.to_load import part_indexes, part_path

_IDENTITY = ("__rid", "__key", "__tkey", "__op", "__final")


def loaded_rows(
    ctx: Context, name: str, table: Table, rejected: Rejected | None = None, *, values: bool = True
) -> Iterator[pa.Table]:
    """Per part: `__rid __key __tkey __op __final` and the columns as they must stand, rejected rows left out.

    `rejected`: what `read_rejected` gave, where the caller asks for several entities. Without `values`
    the columns may be missing: they are read only where a hash has to be made again."""
    if rejected is None:
        rejected = read_rejected(ctx)
    whole = values or bool(rejected.values)
    for index in part_indexes(ctx, name):
        rows = pq.read_table(part_path(ctx, name, index), columns=None if whole else list(_IDENTITY))
        written = pc.is_in(rows["__op"], pa.array(["insert", "update"]))
        rows = rows.filter(written)
        gone = rejected.rids.get(name)
        if gone:
            rows = rows.filter(pc.invert(pc.is_in(rows["__rid"], pa.array(sorted(gone), pa.int64()))))
        yield _final(ctx, name, table, rows, rejected) if whole else rows


def _final(ctx: Context, name: str, table: Table, rows: pa.Table, rejected: Rejected) -> pa.Table:
    """Deferred columns take their place; those whose parent was rejected are empty, and the hash follows."""
    plan = ctx.plan.entities[name]
    lost = lost_values(plan.refs, rejected)
    again = False
    for field in plan.deferred:
        column = rows[f"d.{field}"].combine_chunks()
        if field in lost:
            hit = points_at(rows, f"d.{field}", field, table.column(field).type, lost[field])
            if hit.any():
                column = pc.if_else(pa.array(hit), pa.scalar(None, column.type), column)
                again = True
        rows = rows.set_column(rows.column_names.index(f"d.{field}"), field, column)
    if again:
        hashes = canon.row_hashes(rows, table.types, compared_columns(ctx.mapping.entities[name]))
        rows = rows.set_column(rows.column_names.index("__final"), "__final", canon.as_binary(hashes))
    return rows
