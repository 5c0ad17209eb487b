"""Rows that lie side by side, compared column by column: hashes only where the values are not plainly the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from migrate.canon.rows import row_hashes
from migrate.model import Type


def different(
    expected: pa.Table, found: pa.Table, types: Mapping[str, Type], columns: Sequence[str]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Columns whose values are not all equal in the sense of canon-1, with a mask of the rows where they are not.

    Row i of one table belongs to row i of the other. Raises Corrupt where a column is missing or not of its type."""
    wrong: dict[str, npt.NDArray[np.bool_]] = {}
    for name in columns:
        if _plainly_same(expected.column(name), found.column(name)):
            continue
        one, two = (row_hashes(side, types, [name]) for side in (expected, found))
        mask = (one.low != two.low) | (one.high != two.high)
        if mask.any():
            wrong[name] = mask
    return wrong


def _plainly_same(one: pa.ChunkedArray[Any], two: pa.ChunkedArray[Any]) -> bool:
    """The same values bit for bit. False says nothing: -0.0, NaN and JSON of another spelling are for the hashes."""
    if one.type != two.type or pa.types.is_nested(one.type) or pa.types.is_floating(one.type):
        return False
    return one.equals(two)
