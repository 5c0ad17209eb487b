"""Values that a person gave for single cells, as text, in the layout of a source's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pyarrow as pa

from migrate.model import Kind, Type
from migrate.transform.convert import convert
from migrate.transform.values import TEXT, Values

_NOT_AS_TEXT = (Kind.ARRAY, Kind.BYTES)


def unfit(texts: Sequence[str | None], type_: Type) -> list[int]:
    """Places of the texts that are no values of a column of this type, whole and unchanged."""
    if type_.kind in _NOT_AS_TEXT:
        return list(range(len(texts)))
    done = convert(_values(texts), _free(type_), nul_allowed=True)
    wrong = {int(i) for failure in done.failures for i in failure.mask.nonzero()[0]}
    if done.lossy is not None:
        wrong |= {int(i) for i in done.lossy.nonzero()[0]}
    return sorted(wrong)


def with_values(
    rows: pa.Table, types: Mapping[str, Type], given: Mapping[int, Mapping[str, str | None]]
) -> pa.Table:
    """`rows` with the given cells (ordinal → column → text, None for NULL) in place of what stands there."""
    columns = dict.fromkeys(name for cells in given.values() for name in cells)
    for name in columns:
        if name not in rows.column_names:
            continue
        places = [i for i, cells in given.items() if name in cells]
        texts = [given[i][name] for i in places]
        type_ = _free(types[name])
        made = convert(_values(texts), type_, nul_allowed=True).array
        column = rows[name].combine_chunks()
        indexes = list(range(rows.num_rows))
        for number, place in enumerate(places):
            indexes[place] = rows.num_rows + number
        whole: pa.Array[Any] = pa.concat_arrays([_flat(column), made.cast(column.type)])
        at = rows.column_names.index(name)
        rows = rows.set_column(at, rows.schema.field(at), whole.take(pa.array(indexes, pa.int64())))
    return rows


def _flat(column: Any) -> Any:
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def _values(texts: Sequence[str | None]) -> Values:
    return Values(pl.Series("", list(texts), dtype=pl.String), TEXT)


def _free(type_: Type) -> Type:
    """A source's declared length does not bind: the row goes into the target, not back."""
    return replace(type_, length=None) if type_.kind is Kind.TEXT else type_
