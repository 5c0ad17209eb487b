"""Identity of source rows: the key's JSON text, the hash of the whole row, and keys that references name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from migrate.canon import as_binary, row_hashes, source_keys
from migrate.model import Kind
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import TEXT, Values

HIDDEN = frozenset({"_line", "_bad", "_raw"})


def keys_of(rows: SourceRows, columns: Sequence[str]) -> pa.Array[Any]:
    """`["17"]` per row, as string; NULL words count as NULL, and a NULL component makes the key NULL."""
    types = {c: rows.types[c] for c in columns}
    arrays: dict[str, pa.ChunkedArray[Any]] = {}
    for column in columns:
        arrays[column] = rows.arrow(column) if rows.nulls.get(column) else rows.batch.column(column)
        if rows.nulls.get(column) and types[column].kind is Kind.MIXED:
            types[column] = TEXT
    return combined(source_keys(pa.table(arrays), columns, types)).cast(pa.string())


def hashes_of(rows: SourceRows) -> pa.Array[Any]:
    """16 bytes per row over the columns as they were read, hidden ones left out."""
    columns = [c for c in rows.batch.column_names if c not in HIDDEN]
    types = {c: rows.types[c] for c in columns}
    return as_binary(row_hashes(rows.batch.select(columns), types))


def reference_keys(values: Values) -> pa.Array[Any]:
    """The source key, of one column, that every value names."""
    name = "value"
    array = values.series.to_arrow()
    return combined(source_keys(pa.table({name: array}), [name], {name: values.type})).cast(pa.string())


def combined(array: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    given: Any = array
    whole: Any = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
    made: pa.Array[Any] = pa.concat_arrays(whole.chunks) if hasattr(whole, "chunks") else whole
    return made
