"""From an Arrow array of a logical type to hashes of its canonical values.

The tag says what kind of value it is, the bytes are the same for every engine, width, scale and
Arrow encoding (docs/canon-1.md). Raises Corrupt, naming the column, where the array is not of the
type that its declaration promises; values never appear in the message.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.canon.decimals import by_distinct, decimal_text
from migrate.canon.json_form import canonical_json
from migrate.canon.lanes import I64, U64, Bytes, hash_bytes, hash_empty, hash_words
from migrate.errors import Corrupt
from migrate.model import Kind, Type


class Tag(IntEnum):
    NULL = 0
    BOOL = 1
    INT = 2
    FLOAT = 3
    DECIMAL = 4
    TEXT = 5
    BYTES = 6
    DATE = 7
    TIME = 8
    TIMESTAMP = 9
    TIMESTAMPTZ = 10
    UUID = 11
    JSON = 12
    JSON_TEXT = 13  # by its spelling: PostgreSQL json, and what is no JSON at all
    ARRAY = 14
    OPAQUE = 15


_TAGS = {
    Kind.BOOL: Tag.BOOL,
    Kind.INT: Tag.INT,
    Kind.FLOAT: Tag.FLOAT,
    Kind.DECIMAL: Tag.DECIMAL,
    Kind.TEXT: Tag.TEXT,
    Kind.BYTES: Tag.BYTES,
    Kind.DATE: Tag.DATE,
    Kind.TIME: Tag.TIME,
    Kind.TIMESTAMP: Tag.TIMESTAMP,
    Kind.TIMESTAMPTZ: Tag.TIMESTAMPTZ,
    Kind.UUID: Tag.UUID,
    Kind.OPAQUE: Tag.OPAQUE,
    Kind.ARRAY: Tag.ARRAY,
}
_NAN = np.uint64(0x7FF8000000000000)
_MIXED_CLASSES = ((1, "int", Tag.INT), (2, "real", Tag.FLOAT), (3, "bytes", Tag.TEXT), (4, "bytes", Tag.BYTES))


def column_hashes(array: pa.Array, type_: Type, column: str, dictionary: U64 | None = None) -> U64:
    """Hashes of the canonical values of `array`, shape (2, n): low lane, high lane.

    `dictionary` holds the hashes of the dictionary's values where the caller has them already.
    """
    array = plain_array(array)
    if pa.types.is_dictionary(array.type):
        known = column_hashes(array.dictionary, type_, column) if dictionary is None else dictionary
        return _dictionary(array, known, column)
    nulls = null_mask(array)
    if nulls is not None and nulls.all():
        return np.repeat(hash_empty(Tag.NULL, column), len(array), axis=1)
    if type_.kind is Kind.MIXED:
        return _mixed(array, nulls, column)
    if type_.kind is Kind.JSON:
        return _json(array, nulls, type_, column)
    tag = _TAGS[type_.kind]
    if type_.kind in _WORD_KINDS:
        hashes = hash_words(tag, column, _words(array, type_, column), 1 if type_.kind is Kind.BOOL else 8)
    else:
        hashes = _variable(tag, column, canonical_strings(array, type_, column), nulls)
    return _put_nulls(hashes, nulls, column)


def canonical_bytes(array: pa.Array, type_: Type, column: str) -> list[tuple[int, bytes]]:
    """(tag, canonical bytes) of every value as Python objects: for arrays' elements and for showing differences."""
    array = plain_array(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    nulls = null_mask(array)
    if nulls is not None and nulls.all():
        return [(Tag.NULL, b"")] * len(array)
    pairs: list[tuple[int, bytes]]
    if type_.kind is Kind.MIXED:
        pairs = [(Tag.NULL, b"")] * len(array)
        for tag, place, values, kind in mixed_classes(array, nulls, column):
            for at, (_, value) in zip(place, canonical_bytes(values, Type(kind), column), strict=True):
                pairs[at] = (tag, value)
        return pairs
    if type_.kind is Kind.JSON:
        text, by_value = json_text(check_text(array, column), type_)
        pairs = [
            (Tag.JSON if good else Tag.JSON_TEXT, _encoded(value))
            for value, good in zip(text.to_pylist(), by_value.tolist(), strict=True)
        ]
    elif type_.kind in _WORD_KINDS:
        width = 1 if type_.kind is Kind.BOOL else 8
        raw = _words(array, type_, column).astype("<u8").tobytes()
        pairs = [(_TAGS[type_.kind], raw[at : at + width]) for at in range(0, len(raw), 8)]
    else:
        strings = canonical_strings(array, type_, column).to_pylist()
        pairs = [(_TAGS[type_.kind], _encoded(value)) for value in strings]
    if nulls is not None:
        pairs = [(Tag.NULL, b"") if null else pair for pair, null in zip(pairs, nulls.tolist(), strict=True)]
    return pairs


def _encoded(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else (value or b"")


# -- Arrow's many encodings of one thing --------------------------------------------------------


def plain_array(array: pa.Array) -> pa.Array:
    """Without extension types, run ends and views, so that the buffers are the classic ones."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage  # type: ignore[attr-defined]
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    if pa.types.is_fixed_size_binary(array.type):
        return array.cast(pa.binary())
    return array


def null_mask(array: pa.Array) -> Any:
    """bool[n], True where null; None where nothing is."""
    if array.null_count == 0:
        return None
    return array.is_null().to_numpy(zero_copy_only=False)


def _put_nulls(hashes: U64, nulls: Any, column: str) -> U64:
    if nulls is not None:
        np.copyto(hashes, hash_empty(Tag.NULL, column), where=nulls)
    return hashes


def _dictionary(array: pa.Array, of_values: U64, column: str) -> U64:
    nulls = null_mask(array.indices)
    codes = array.indices.fill_null(0) if nulls is not None else array.indices
    if not of_values.shape[1]:
        return np.repeat(hash_empty(Tag.NULL, column), len(array), axis=1)
    places = codes.to_numpy(zero_copy_only=False)
    return _put_nulls(np.stack([of_values[0][places], of_values[1][places]]), nulls, column)


def _raw(array: pa.Array, dtype: str) -> Any:
    """The fixed-width values, also under nulls, as a view of the Arrow buffer."""
    width = np.dtype(dtype).itemsize
    data = array.buffers()[1]
    assert data is not None
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * width)


def _refused(column: str, type_: Type, array: pa.Array) -> Corrupt:
    return Corrupt(
        f"holds {array.type} where its declaration says {type_.kind.value}",
        where=column,
        hint="Read the rows in the layout of their declared types.",
    )


# -- one word per value -------------------------------------------------------------------------

_WORD_KINDS = frozenset(
    {Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
)


def _words(array: pa.Array, type_: Type, column: str) -> U64:
    """The canonical 8 bytes (bool: 1) as uint64; anything under nulls."""
    if type_.kind is Kind.BOOL:
        if not pa.types.is_boolean(array.type):
            raise _refused(column, type_, array)
        return _raw(array.cast(pa.uint8()), "u1").astype(np.uint64)
    if type_.kind is Kind.FLOAT:
        if not pa.types.is_floating(array.type):
            raise _refused(column, type_, array)
        values = _raw(array.cast(pa.float64()), "<f8")
        return np.where(np.isnan(values), _NAN, values.view(np.uint64))
    return whole_numbers(array, type_, column).view(np.uint64)


def whole_numbers(array: pa.Array, type_: Type, column: str) -> I64:
    """INT as it is, DATE in days, TIME and TIMESTAMP(TZ) in µs, all int64."""
    arrow, kind = array.type, type_.kind
    try:
        if kind is Kind.INT and pa.types.is_integer(arrow):
            return _int64(array.cast(pa.int64()))
        if kind is Kind.DATE and pa.types.is_date(arrow):
            return _int64(array.cast(pa.date32()).view(pa.int32()))
        if kind is Kind.TIME and pa.types.is_time(arrow):
            return _int64(array.cast(pa.time64("us")).view(pa.int64()))
        # A zone on one side only means another thing, not another spelling.
        if kind is Kind.TIMESTAMP and pa.types.is_timestamp(arrow) and arrow.tz is None:
            return _int64(array.cast(pa.timestamp("us")).view(pa.int64()))
        if kind is Kind.TIMESTAMPTZ and pa.types.is_timestamp(arrow) and arrow.tz is not None:
            return _int64(array.cast(pa.timestamp("us", arrow.tz)).view(pa.int64()))
    except pa.ArrowInvalid as error:
        raise Corrupt("holds values beyond 64 bits or finer than a microsecond", where=column) from error
    raise _refused(column, type_, array)


def _int64(array: pa.Array) -> I64:
    dtype = "<i4" if array.type.bit_width == 32 else "<i8"
    values: I64 = _raw(array, dtype).astype(np.int64, copy=False)
    return values


# -- bytes of any length ------------------------------------------------------------------------


def check_text(array: pa.Array, column: str) -> pa.Array:
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array
    raise Corrupt(f"holds {array.type} where its declaration says text", where=column)


def canonical_strings(array: pa.Array, type_: Type, column: str) -> pa.Array:
    """The canonical bytes as a string or binary array; nulls stay. For kinds that are not one word, JSON and MIXED apart."""
    if type_.kind is Kind.DECIMAL:
        if not pa.types.is_decimal(array.type):
            check_text(array, column)
        try:
            return decimal_text(array)
        except ValueError as error:
            raise Corrupt("holds text that is not a decimal number", where=column) from error
    if type_.kind is Kind.BYTES:
        if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
            raise _refused(column, type_, array)
        return array
    if type_.kind is Kind.ARRAY:
        return _arrays(array, type_, column)
    text = check_text(array, column)
    return pc.ascii_rtrim(text, " ") if type_.fixed else text


def _variable(tag: int, column: str, strings: pa.Array, nulls: Any) -> U64:
    data, starts, lengths = string_parts(strings)
    if nulls is not None:
        lengths[nulls] = 0
    return hash_bytes(tag, column, data, starts, lengths)


def string_parts(strings: pa.Array) -> tuple[Bytes, I64, I64]:
    """(data, starts, lengths) of a string or binary array; lengths is a fresh array."""
    large = pa.types.is_large_string(strings.type) or pa.types.is_large_binary(strings.type)
    dtype, width = ("<i8", 8) if large else ("<i4", 4)
    _, offsets, data = strings.buffers()
    if not len(strings):
        return np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64)
    ends = np.frombuffer(offsets, dtype, count=len(strings) + 1, offset=strings.offset * width).astype(np.int64)
    return np.frombuffer(data or b"", np.uint8), ends[:-1], ends[1:] - ends[:-1]


# -- JSON, arrays, mixed storage classes --------------------------------------------------------


def json_text(array: pa.Array, type_: Type) -> tuple[pa.Array, Any]:
    """(text, by_value): canonical JSON where by_value[n] is True, else the text as it is."""
    if type_.textual:
        return array, np.zeros(len(array), bool)
    canonical = by_distinct(array, canonical_json)
    by_value = canonical.is_valid().to_numpy(zero_copy_only=False)
    return pc.coalesce(canonical, array.cast(pa.string())), by_value


def _json(array: pa.Array, nulls: Any, type_: Type, column: str) -> U64:
    text, by_value = json_text(check_text(array, column), type_)
    data, starts, lengths = string_parts(text)
    if nulls is not None:
        lengths[nulls] = 0
    if by_value.all():
        return hash_bytes(Tag.JSON, column, data, starts, lengths)
    hashes = hash_bytes(Tag.JSON_TEXT, column, data, starts, lengths)
    if by_value.any():
        hashes[:, by_value] = hash_bytes(Tag.JSON, column, data, starts[by_value], lengths[by_value])
    return _put_nulls(hashes, nulls, column)


def _arrays(array: pa.Array, type_: Type, column: str) -> pa.Array:
    """Count, then per element tag, length and bytes. Per element in Python: arrays are rare in a CRM."""
    if type_.item is None or not (
        pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or pa.types.is_fixed_size_list(array.type)
    ):
        raise _refused(column, type_, array)
    array = array.cast(pa.large_list(array.type.value_type))
    ends = np.frombuffer(array.buffers()[1], "<i8", count=len(array) + 1, offset=array.offset * 8)
    first = int(ends[0])
    values = array.values.slice(first, int(ends[-1]) - first)
    parts = [
        tag.to_bytes(1, "little") + len(value).to_bytes(8, "little") + value
        for tag, value in canonical_bytes(values, type_.item, column)
    ]
    bounds = (ends - first).tolist()
    lists = [
        (high - low).to_bytes(8, "little") + b"".join(parts[low:high])
        for low, high in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    return pa.array(lists, pa.large_binary(), mask=null_mask(array))


def mixed_classes(array: pa.Array, nulls: Any, column: str) -> list[tuple[Tag, Any, pa.Array, Kind]]:
    """The storage classes that occur: (tag, places, values, kind under which `values` are read). NULLs are left out."""
    if not pa.types.is_struct(array.type) or {f.name for f in array.type} != {"tag", "int", "real", "bytes"}:
        raise _refused(column, Type(Kind.MIXED), array)
    tags = array.field("tag").fill_null(0).to_numpy(zero_copy_only=False)
    if nulls is not None:
        tags = np.where(nulls, 0, tags)
    found: list[tuple[Tag, Any, pa.Array, Kind]] = []
    counted = int((tags == 0).sum())
    for number, field, tag in _MIXED_CLASSES:
        places = np.flatnonzero(tags == number)
        if not len(places):
            continue
        counted += len(places)
        values = plain_array(array.field(field)).take(pa.array(places))
        if values.null_count:
            raise Corrupt(f"says {tag.name.lower()} for rows that hold no such value", where=column)
        found.append((tag, places, values, {Tag.INT: Kind.INT, Tag.FLOAT: Kind.FLOAT}.get(tag, Kind.BYTES)))
    if counted != len(array):
        raise Corrupt("has rows of an unknown storage class", where=column)
    return found


def _mixed(array: pa.Array, nulls: Any, column: str) -> U64:
    hashes = np.repeat(hash_empty(Tag.NULL, column), len(array), axis=1)
    for tag, places, values, kind in mixed_classes(array, nulls, column):
        if kind is Kind.BYTES:
            hashes[:, places] = _variable(tag, column, values, None)
        else:
            hashes[:, places] = hash_words(tag, column, _words(values, Type(kind), column), 8)
    return hashes
