"""Rows that a rule left out: by `where`, part by part, or with their parents, once for the entity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def excluded_files(folder: Path) -> list[Path]:
    """Of the transform folder of an entity: files with rid, key, reason. A row is in one of them only."""
    return [*sorted(folder.glob("excluded-*.parquet")), *folder.glob("left_out.parquet")]


def left_out_with_parents(folder: Path) -> pa.ChunkedArray[Any]:
    """Ids of the rows that were transformed, and left out afterwards because a row that they refer to was."""
    return pq.read_table(folder / "left_out.parquet", columns=["rid"])["rid"]
