"""Arrow columns as the text of a LOAD DATA file, or of an INSERT's literals; whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from migrate.model import Kind, Type

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
LOAD_FORMAT = "CHARACTER SET binary FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'"
_IN_FILES = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"))
_IN_LITERALS = ((b"\\", b"\\\\"), (b"'", b"\\'"), (b"\0", b"\\0"))
_PIECE = 32 << 20  # bytes of Arrow that are turned into text at once
_HEX = np.frombuffer(bytes.fromhex("".join(f"{i:02x}".encode().hex() for i in range(256))), np.uint8).reshape(
    256, 2
)
_TEXTS = (Kind.TEXT, Kind.UUID, Kind.JSON, Kind.OPAQUE, Kind.ARRAY)


def file_of(rows: pa.Table, types: Sequence[Type]) -> Iterator[memoryview]:
    """The bytes of a file for `LOAD DATA … LOAD_FORMAT`, in pieces of whole lines."""
    for piece in _pieces(rows):
        columns = [_field(_one(c), t) for c, t in zip(piece.columns, types, strict=True)]
        lines = pc.binary_join_element_wise(
            *columns, pa.scalar(b"\t"), null_handling="replace", null_replacement="\\N"
        )
        yield _bytes_of(pc.binary_join_element_wise(lines, pa.scalar(b""), pa.scalar(b"\n")))


def tuples_of(rows: pa.Table, types: Sequence[Type]) -> pa.Array[Any]:
    """`(…, …)` of each row for an INSERT's VALUES, as binary."""
    columns = [_literal(_one(c), t) for c, t in zip(rows.columns, types, strict=True)]
    inner = pc.binary_join_element_wise(
        *columns, pa.scalar(b","), null_handling="replace", null_replacement="NULL"
    )
    made: pa.Array[Any] = pc.binary_join_element_wise(pa.scalar(b"("), inner, pa.scalar(b")"), pa.scalar(b""))
    return made


def _pieces(rows: pa.Table) -> Iterator[pa.Table]:
    pieces = min(rows.num_rows, -(-rows.nbytes // _PIECE)) or 1
    step = -(-rows.num_rows // pieces) or 1
    for start in range(0, rows.num_rows, step):
        yield rows.slice(start, step)


def _one(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    whole: Any = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    found: pa.Array[Any] = whole
    return found


def _field(array: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    raw = array.cast(pa.binary()) if type_.kind in _TEXTS else array
    if type_.kind in _TEXTS or type_.kind is Kind.BYTES:
        return _escaped(raw, _IN_FILES)
    return _plain(array, type_)


def _literal(array: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    if type_.kind is Kind.BYTES:
        return _around(b"X'", _hex(array))
    if type_.kind in _TEXTS:
        return _around(b"'", _escaped(array.cast(pa.binary()), _IN_LITERALS))
    plain = _plain(array, type_)
    dates = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
    return _around(b"'", plain) if type_.kind in dates else plain


def _plain(array: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    """Numbers and times as the server reads them; nothing in them needs an escape."""
    if type_.kind is Kind.BOOL:
        array = array.cast(pa.int8())
    elif type_.kind is Kind.FLOAT:
        array = array.cast(pa.float64())
    elif type_.kind is Kind.TIMESTAMPTZ:
        array = array.cast(pa.timestamp("us"))
    made: pa.Array[Any] = array.cast(pa.string()).cast(pa.binary())
    return made


def _escaped(array: pa.Array[Any], pairs: Sequence[tuple[bytes, bytes]]) -> pa.Array[Any]:
    data = array.buffers()[2]
    for plain, escaped in pairs:
        if data is not None and plain in memoryview(data).tobytes():
            array = pc.replace_substring(array, plain, escaped)
            data = array.buffers()[2]
    return array


def _around(left: bytes, array: pa.Array[Any]) -> pa.Array[Any]:
    made: pa.Array[Any] = pc.binary_join_element_wise(pa.scalar(left), array, pa.scalar(b"'"), pa.scalar(b""))
    return made


def _hex(array: pa.Array[Any]) -> pa.Array[Any]:
    whole = pa.concat_arrays([pc.fill_null(array, b"")])  # from offset 0
    buffers: Any = whole.buffers()
    _, offsets, data = buffers
    places = np.frombuffer(offsets, np.int32, count=len(whole) + 1).astype(np.int64)
    digits = _HEX[np.frombuffer(data, np.uint8, count=int(places[-1]))] if data is not None else _HEX[:0]
    made: pa.Array[Any] = pa.Array.from_buffers(
        pa.large_binary(),
        len(whole),
        [None, pa.py_buffer((places * 2).tobytes()), pa.py_buffer(digits.tobytes())],
    ).cast(pa.binary())
    if array.null_count:
        made = pc.if_else(pc.is_valid(array), made, pa.scalar(None, pa.binary()))
    return made


def _bytes_of(lines: pa.Array[Any]) -> memoryview:
    """The lines one after the other."""
    buffers: Any = lines.buffers()
    _, offsets, data = buffers
    places = np.frombuffer(offsets, np.int32)
    first, last = int(places[lines.offset]), int(places[lines.offset + len(lines)])
    return memoryview(data)[first:last]
