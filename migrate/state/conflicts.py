"""Rows that changed at the source and were edited in the target since they were loaded, and what became of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.state.to_load import part_indexes, part_path

OUTCOMES = ("kept", "overwritten", "quarantined")


def conflicts_file(ctx: Context, name: str) -> Path:
    return ctx.folder / "transform" / name / "conflicts.parquet"


def conflict_counts(ctx: Context, name: str) -> dict[str, int]:
    """Rows of an entity by `OUTCOMES`; only those that are. A row that somebody edited to what it was to become anyway is
    not overwritten: that is known once assign has fixed the rows."""
    path = conflicts_file(ctx, name)
    if not path.exists():
        return {}
    rows = pq.read_table(path, columns=["rid", "outcome"])
    found = {o: int(pc.sum(pc.equal(rows["outcome"], o), min_count=0).as_py() or 0) for o in OUTCOMES}
    if found["overwritten"]:
        wanted = rows.filter(pc.equal(rows["outcome"], "overwritten"))["rid"].combine_chunks()
        found["overwritten"] = sum(_written(part_path(ctx, name, i), wanted) for i in part_indexes(ctx, name))
    return {outcome: count for outcome, count in found.items() if count}


def _written(path: Path, wanted: pa.Array[pa.Scalar[pa.DataType]]) -> int:
    if not path.exists():
        return 0
    rows = pq.read_table(path, columns=["__rid", "__op"])
    hit = pc.and_(pc.equal(rows["__op"], "update"), pc.is_in(rows["__rid"], wanted))
    return int(pc.sum(hit, min_count=0).as_py() or 0)
