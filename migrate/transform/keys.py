"""Identity of source rows: the key's JSON text, the hash of the whole row, and keys that references name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from migrate.canon import as_binary, row_hashes, source_keys
from migrate.model import Kind, Type, added_columns
from migrate.transform.own_columns import ROAD_COLUMNS
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import TEXT, Values


def keys_of(rows: SourceRows, columns: Sequence[str]) -> pa.Array[Any]:
    """`["17"]` per row, as string; NULL words count as NULL, and a NULL component makes the key NULL.

    No `columns`: the row is known by its content, `["HASH"]`; equal rows are told apart when all are
    there (settle). A record that could not be read has no content, and no key."""
    if not columns:
        return _content_keys(rows)
    types = {c: rows.types[c] for c in columns}
    arrays: dict[str, pa.ChunkedArray[Any]] = {}
    for column in columns:
        arrays[column] = rows.arrow(column) if rows.nulls.get(column) else rows.stored(column)
        if rows.nulls.get(column) and types[column].kind is Kind.MIXED:
            types[column] = TEXT
    return combined(source_keys(pa.table(arrays), columns, types)).cast(pa.string())


def hashes_of(rows: SourceRows) -> pa.Array[Any]:
    """16 bytes per row over the columns as they were read, hidden ones left out."""
    names = rows.batch.column_names
    hidden = added_columns(names) | (set(ROAD_COLUMNS) if set(ROAD_COLUMNS).issubset(names) else set())
    columns = [c for c in names if c not in hidden]
    types = {c: rows.types[c] for c in columns}
    return as_binary(row_hashes(rows.batch.select(columns), types))


def hashes_with(hashes: pa.Array[Any], looked: Sequence[pl.Series]) -> pa.Array[Any]:
    """The hashes mixed with texts that other tables gave to the rows: where these change, the row has changed."""
    if not looked:
        return hashes
    columns = {"row": hashes} | {str(n): texts.to_arrow().cast(pa.string()) for n, texts in enumerate(looked)}
    types = {"row": Type(Kind.BYTES)} | {str(n): TEXT for n in range(len(looked))}
    return as_binary(row_hashes(pa.table(columns), types))


def _content_keys(rows: SourceRows) -> pa.Array[Any]:
    hashes = pl.Series("", pl.from_arrow(hashes_of(rows)), dtype=pl.Binary).bin.encode("hex")
    keys = '["' + hashes + '"]'
    if "_bad" in added_columns(rows.batch.column_names):
        readable = pl.Series("", pl.from_arrow(rows.batch.column("_bad"))).is_null()
        keys = keys.zip_with(readable, pl.repeat(None, len(rows), dtype=pl.String, eager=True))
    return combined(keys.to_arrow()).cast(pa.string())


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
