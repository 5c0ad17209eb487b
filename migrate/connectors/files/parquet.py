"""Parquet files as a source: types as the file declares them, exactly or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.arrow import layout
from migrate.connectors.files.csv_text import check_names
from migrate.connectors.files.options import BAD, LINE, RAW
from migrate.connectors.files.packed import Packed, Place, file_of, whole
from migrate.durable import disk_error
from migrate.errors import UsageError
from migrate.model import Column, Kind, Type

_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class ParquetFile:
    path: Place
    columns: tuple[Column, ...]
    rows: int


def open_parquet(path: Place, table: str) -> ParquetFile:
    """Raises UsageError where the file is no Parquet, or naming table.column and the type not carried."""
    with _reading(path), pq.ParquetFile(_readable(path)) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    check_names(schema.names, str(path))
    columns = []
    for field in schema:
        type_ = type_of(field.type)
        if type_ is None:
            raise UsageError(
                f"columns of the Parquet type {field.type} are not carried.", where=f"{table}.{field.name}"
            )
        columns.append(Column(field.name, type_, nullable=field.nullable))
    return ParquetFile(path, tuple(columns), rows)


def read_parquet(file: ParquetFile, table: str) -> Iterator[pa.RecordBatch]:
    """Every row in file order in the layout of its columns, then `_line` (1 = first row), `_bad`, `_raw` (NULL).

    Raises UsageError naming table.column where a value does not fit the layout exactly (nanoseconds)."""
    first = 1
    names = [c.name for c in file.columns]
    with _reading(file.path), pq.ParquetFile(_readable(file.path)) as source:
        for batch in source.iter_batches(batch_size=_BATCH_ROWS):
            arrays = [
                _in_layout(array, layout(column.type), f"{table}.{column.name}")
                for array, column in zip(batch.columns, file.columns, strict=True)
            ]
            count = batch.num_rows
            arrays += [
                pa.array(range(first, first + count), pa.int64()),
                pa.nulls(count, pa.string()),
                pa.nulls(count, pa.binary()),
            ]
            first += count
            yield pa.RecordBatch.from_arrays(arrays, names=[*names, LINE, BAD, RAW])


def type_of(arrow: pa.DataType) -> Type | None:
    """The logical type of an Arrow type; None: there is none that is exact."""
    if isinstance(arrow, pa.BaseExtensionType):
        if arrow.extension_name == "arrow.json":
            return Type(Kind.JSON, native="TEXT")
        return None
    if pa.types.is_dictionary(arrow):
        return type_of(arrow.value_type) if _is_text(arrow.value_type) else None
    if pa.types.is_decimal(arrow):
        if arrow.scale < 0:
            return None
        return Type(Kind.DECIMAL, native="TEXT", precision=arrow.precision, scale=arrow.scale)
    if pa.types.is_timestamp(arrow):
        kind = Kind.TIMESTAMPTZ if arrow.tz is not None else Kind.TIMESTAMP
        return Type(kind, native="TEXT")
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow):
        item = type_of(arrow.value_type)
        if item is None or item.kind is Kind.ARRAY:
            return None
        return Type(Kind.ARRAY, native="TEXT", item=item)
    for test, type_ in _KINDS:
        if test(arrow):
            return type_
    return None


def _is_text(arrow: pa.DataType) -> bool:
    is_view: Callable[[pa.DataType], bool] = getattr(pa.types, "is_string_view", lambda _: False)
    return bool(pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or is_view(arrow))


def _is_bytes(arrow: pa.DataType) -> bool:
    is_view: Callable[[pa.DataType], bool] = getattr(pa.types, "is_binary_view", lambda _: False)
    plain = (
        pa.types.is_binary(arrow) or pa.types.is_large_binary(arrow) or pa.types.is_fixed_size_binary(arrow)
    )
    return bool(plain or is_view(arrow))


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], Type], ...] = (
    (_is_text, Type(Kind.TEXT, native="TEXT")),
    (pa.types.is_null, Type(Kind.TEXT, native="TEXT")),
    (_is_bytes, Type(Kind.BYTES, native="BLOB")),
    (pa.types.is_boolean, Type(Kind.BOOL, native="INTEGER")),
    (lambda t: t in (pa.int8(), pa.int16(), pa.uint8()), Type(Kind.INT, native="INTEGER", bits=16)),
    (lambda t: t in (pa.int32(), pa.uint16()), Type(Kind.INT, native="INTEGER", bits=32)),
    (lambda t: t in (pa.int64(), pa.uint32()), Type(Kind.INT, native="INTEGER", bits=64)),
    (pa.types.is_uint64, Type(Kind.DECIMAL, native="TEXT", precision=20, scale=0)),
    (lambda t: t in (pa.float16(), pa.float32()), Type(Kind.FLOAT, native="REAL", bits=32)),
    (pa.types.is_float64, Type(Kind.FLOAT, native="REAL", bits=64)),
    (pa.types.is_date, Type(Kind.DATE, native="TEXT")),
    (pa.types.is_time, Type(Kind.TIME, native="TEXT")),
)


def _in_layout(array: pa.Array[Any], wanted: pa.DataType, where: str) -> pa.Array[Any]:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.type == wanted:
        return array
    try:
        cast = array.cast(wanted, safe=True)
        if pa.types.is_date64(array.type) and not _same(cast.cast(array.type), array):
            raise pa.ArrowInvalid("a date with a time of day")
    except pa.ArrowException:
        raise UsageError(
            f"a value of the Parquet type {array.type} does not fit {wanted} exactly.",
            where=where,
            hint="Write the file with microseconds or as text.",
        ) from None
    return cast


def _same(a: pa.Array[Any], b: pa.Array[Any]) -> bool:
    return bool(pc.all(pc.equal(a, b), min_count=0).as_py() is not False)


def _readable(place: Place) -> Any:
    """Parquet is read from its end, so what lies in a zip is unpacked into memory."""
    return pa.BufferReader(whole(place)) if isinstance(place, Packed) else place


@contextmanager
def _reading(path: Place) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException:
        raise UsageError("the file does not read as Parquet.", where=str(path)) from None
    except OSError as error:
        raise disk_error(error, "Reading the file", file_of(path)) from error
