"""What the rows of a shaped road say of themselves: that they are left out, and why they are quarantined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.transform.keys import combined
from migrate.transform.own_columns import CODES, LEFT_OUT, MISSING, ROAD_COLUMNS
from migrate.transform.values import Mask


def _are_there(rows: pa.Table) -> bool:
    return set(ROAD_COLUMNS).issubset(rows.column_names)


def left_out(rows: pa.Table) -> Mask:
    """Rows that the road itself leaves out."""
    if not _are_there(rows):
        return np.zeros(rows.num_rows, dtype=np.bool_)
    valid: Mask = combined(rows.column(LEFT_OUT)).is_valid().to_numpy(zero_copy_only=False)
    return valid


def left_out_reasons(rows: pa.Table, otherwise: str) -> pa.Array[Any]:
    """Per row the reason for which it is left out; `otherwise` where it is not the road's."""
    if not _are_there(rows):
        return pa.repeat(pa.scalar(otherwise), rows.num_rows)
    return combined(rows.column(LEFT_OUT)).fill_null(otherwise)


def codes_of(rows: pa.Table) -> Iterator[tuple[Mask, str, str]]:
    """(rows, code, where) of everything that rows are quarantined for by their road."""
    if not _are_there(rows):
        return
    lists: Any = combined(rows.column(CODES))
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(lists)), lengths)
    flat = lists.flatten()
    for one in sorted(pc.unique(flat).to_pylist()):
        mask = np.zeros(rows.num_rows, dtype=np.bool_)
        mask[owner[pc.equal(flat, one).to_numpy(zero_copy_only=False)]] = True
        code, _, where = one.partition(" ")
        yield mask, code, where


def lacking(rows: pa.Table, columns: Iterable[str]) -> Mask:
    """Rows without the one row of a join that one of these columns belongs to."""
    joins = {name.partition(".")[0] for name in columns if "." in name}
    mask = np.zeros(rows.num_rows, dtype=np.bool_)
    for found, code, where in codes_of(rows):
        if code == MISSING and where in joins:
            mask |= found
    return mask
