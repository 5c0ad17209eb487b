"""Target values that no row will have, for the database rejected the rows that they were given to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.model import Type
from migrate.state.records import Rejected

# entity that was referred to → the values that its rejected rows would have had
Lost = Mapping[str, set[str]]


def lost_values(refs: Mapping[str, Sequence[str]], rejected: Rejected) -> dict[str, Lost]:
    """Per reference of an entity (`refs`: field → entities it may point at) what it can no longer point at."""
    found: dict[str, Lost] = {}
    for fld, parents in refs.items():
        lost = {p: values for p in parents if (values := rejected.values.get(p))}
        if lost:
            found[fld] = lost
    return found


def points_at(rows: pa.Table, column: str, fld: str, type_: Type, lost: Lost) -> npt.NDArray[np.bool_]:
    """Rows whose reference `fld`, which stands in `column`, has one of the lost values.

    Two entities may give the same number to rows of different tables: where the reference may point at several,
    `p.FIELD` says at which it does."""
    texts = canon.canonical_text(rows[column], type_)
    parents = rows[f"p.{fld}"] if f"p.{fld}" in rows.column_names else None
    found = np.zeros(rows.num_rows, dtype=np.bool_)
    for parent, values in lost.items():
        hit = pc.is_in(texts, pa.array(sorted(values), pa.string()))
        if parents is not None:
            hit = pc.and_(hit, pc.equal(parents.combine_chunks(), parent))
        found |= pc.fill_null(hit, False).to_numpy(zero_copy_only=False)
    return found
