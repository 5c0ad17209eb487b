"""Bounds on what a few bytes of Parquet may become in memory: read from the footer before anything is decoded.

A file of some kilobytes can hold, by compression, by a dictionary or by prefixes, values of many gigabytes. Parts of ours
never do; whoever wrote one that does means harm, or the file is damaged.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.errors import Corrupt

DECODED_LIMIT = 1 << 30  # bytes in memory of a part of several rows: the writer's own bound is far below
ROW_LIMIT = 4 << 30  # of a part with one row, which may be as large as a database lets a row be
# DELTA_BYTE_ARRAY is not among them: it repeats a long prefix in every value for two bytes
_ENCODINGS = frozenset(
    {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED", "DELTA_BINARY_PACKED"}
)
# bytes that one value takes decoded, NULLs too; of texts, where it begins
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}


def read_bounded(source: pa.NativeFile, where: str) -> pa.Table:
    """All rows of a part. Raises Corrupt, with little in memory, where they would take more than DECODED_LIMIT;
    pa.ArrowException and OSError where it is no Parquet."""
    footer = pq.read_metadata(source)
    limit = DECODED_LIMIT if footer.num_rows > 1 else ROW_LIMIT
    fixed, lazy = _sizes(footer, where)
    if fixed > limit:
        raise _bomb(limit, where)
    watched = [name for name, most in lazy.items() if fixed + most > limit]
    source.seek(0)
    with pq.ParquetFile(source, read_dictionary=watched) as file:
        found: pa.Table = file.read()
    indices = [found.schema.get_field_index(name) for name in watched]
    if min(indices, default=0) < 0:
        raise Corrupt("the part has two columns of one name.", where=where)
    fixed += sum(_length(chunk) for i in indices for chunk in found.column(i).chunks)
    if fixed > limit:
        raise _bomb(limit, where)
    if watched:
        source.seek(0)
        declared = pq.read_schema(source)
        for i in indices:
            plain = found.column(i)
            if pa.types.is_dictionary(plain.type):
                plain = plain.cast(plain.type.value_type)
            found = found.set_column(i, declared.field(i), plain.cast(declared.field(i).type))
    return found


def _sizes(footer: Any, where: str) -> tuple[int, dict[str, int]]:
    """Bytes that the columns have decoded, as the footer says; and, by name, the most that those with a dictionary of
    texts can come to, which it does not say."""
    fixed, lazy = 0, dict[str, int]()
    for group in range(footer.num_row_groups):
        rows = footer.row_group(group)
        for at in range(rows.num_columns):
            chunk = rows.column(at)
            if not set(chunk.encodings) <= _ENCODINGS:
                raise Corrupt("the part is encoded in a way that is never written here.", where=where)
            column = footer.schema.column(at)
            width = _WIDTHS.get(chunk.physical_type, max(column.length, 0))
            fixed += max(chunk.total_uncompressed_size, chunk.num_values * width)
            if chunk.physical_type != "BYTE_ARRAY" or not {"RLE_DICTIONARY", "PLAIN_DICTIONARY"} & set(
                chunk.encodings
            ):
                continue
            most = chunk.num_values * chunk.total_uncompressed_size
            if column.path != column.name:  # in a list or a struct: those are written without
                fixed += most
            else:
                lazy[column.name] = lazy.get(column.name, 0) + most
    return fixed, lazy


def _length(chunk: Any) -> int:
    """Bytes of the texts that the indices stand for."""
    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
    return int(pc.sum(pc.take(lengths, chunk.indices)).as_py() or 0)


def _bomb(limit: int, where: str) -> Corrupt:
    return Corrupt(
        f"the part would take more than {limit >> 20} MB of memory: it is no part that was written here.",
        where=where,
    )
