"""What the undo journal keeps of this run: rows and entries as they were before it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.state.records import meta_rows


def images(ctx: Context, kind: str) -> Iterator[tuple[dict[str, str], pa.Table]]:
    """Before-images of this run: (the journal's row without its image, rows as they were)."""
    for rows in meta_rows(ctx.target, "journal"):
        mine = rows.filter(pc.and_(pc.equal(rows["run"], ctx.run), pc.equal(rows["kind"], kind)))
        for row in mine.to_pylist():
            yield row, pq.read_table(io.BytesIO(row.pop("image")))
