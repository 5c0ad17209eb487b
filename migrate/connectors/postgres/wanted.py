"""Which rows of a table are meant by a set of keys, said so that the server finds them by the shortest way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from migrate.connectors.postgres.session import quote

_RANGES = 64  # more, and sending the keys is shorter
_HOLES = 2_000  # integers within the ranges that are not wanted; and one in ten of the keys at most
_STEP = 1_000  # keys further apart than this are not in one range
_SPARSE = 5  # where less than one integer in five of a range is wanted, the range says too little


def in_ranges(key: Sequence[str], keys: pa.Table) -> str | None:
    """The condition on `t` where `keys` are nearly all the integers of a few ranges: nothing need be sent then, and
    nothing joined. None where they are not."""
    if len(key) != 1 or not keys.num_rows or not pa.types.is_integer(keys.schema.field(key[0]).type):
        return None
    column = keys.column(key[0])
    if column.null_count:
        return None
    values = np.unique(column.to_numpy().astype(np.int64))
    # as unsigned numbers: the way from the lowest integer to the highest fits
    steps = values[1:].astype(np.uint64) - values[:-1].astype(np.uint64)
    cuts = np.flatnonzero(steps > _STEP) + 1
    holes = int(np.sum(steps[steps <= _STEP] - np.uint64(1), dtype=np.uint64)) if len(steps) else 0
    if len(cuts) >= _RANGES or holes > min(_HOLES, len(values) // 10):
        return None
    parts = np.split(values, cuts)
    name = f"t.{quote(key[0])}"
    found = " OR ".join(f"{name} BETWEEN '{p[0]}'::int8 AND '{p[-1]}'::int8" for p in parts)
    if not holes:
        return f"({found})"
    absent = np.concatenate([np.setdiff1d(np.arange(p[0], p[-1]), p, assume_unique=True) for p in parts])
    # a subquery is looked up by a hash in every version, a list of constants only since 15
    listed = ",".join(str(v) for v in absent.tolist())
    return f"({found}) AND {name}::int8 NOT IN (SELECT unnest('{{{listed}}}'::int8[]))"


def bounds(key: Sequence[str], rows: pa.Table) -> str:
    """` AND t.KEY BETWEEN …` for integer keys that lie close together, which says nothing new, but leads the planner to
    the index: it would read the whole table once per part otherwise, and a load would take the square of its rows.
    Keys that lie far apart are looked up one by one: between their ends is what nobody asked for."""
    found = ""
    for name in key:
        column: Any = rows.column(name)
        if pa.types.is_integer(column.type) and column.null_count < len(column):
            values = column.drop_null().to_numpy()
            low, high = int(values.min()), int(values.max())
            if high - low < len(values) * _SPARSE:
                found += f" AND t.{quote(name)} BETWEEN '{low}'::int8 AND '{high}'::int8"
    return found
