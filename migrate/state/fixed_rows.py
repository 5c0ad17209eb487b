"""Rows of a run's roads with the values that people gave for them (`migrate quarantine replay`) in place of their own.

`fixes/ENTITY.parquet` in the run's folder: rid, key, hash (of the row as the source has it), cells (JSON: column → text
or null). Made when the rows are transformed; from then on every reader of the road sees the rows as they were corrected.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.model import PartRef
from migrate.parts import RID_SHIFT
from migrate.transform.given_values import with_values
from migrate.transform.roads import EntityRows
from migrate.vault.capture import table_folder

FOLDER = "fixes"


def fixes_file(ctx: Context, name: str) -> Path:
    return ctx.folder / FOLDER / f"{table_folder(name)}.parquet"


def fixed(ctx: Context, name: str, road: EntityRows) -> EntityRows:
    """The road of the entity `name` with its corrected rows."""
    path = fixes_file(ctx, name)

    def read(ref: PartRef) -> pa.Table:
        rows = road.read(ref)
        if not path.exists():
            return rows
        found = pq.read_table(path, columns=["rid", "cells"])
        mine = found.filter(pc.equal(pc.shift_right(found["rid"], RID_SHIFT), ref.index)).to_pylist()
        given = {int(row["rid"]) & 0xFFFFFFFF: json.loads(row["cells"]) for row in mine}
        return with_values(rows, road.table.types, given) if given else rows

    return replace(road, read=read)
