"""From an Arrow array of a logical type to hashes of its canonical values.

The tag says what kind of value it is, the bytes are the same for every engine, width, scale and
Arrow encoding (docs/canon-1.md). Raises Corrupt, naming the column, where the array is not of the
type that its declaration promises; values never appear in the message.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from migrate.canon.decimals import by_distinct, decimal_text
from migrate.canon.json_form import canonical_json
from migrate.canon.lanes import I64, U64, Arrow, Bytes, hash_bytes, hash_empty, hash_words, pc
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
_MIXED_CLASSES = (
    (1, "int", Tag.INT),
    (2, "real", Tag.FLOAT),
    (3, "bytes", Tag.TEXT),
    (4, "bytes", Tag.BYTES),
)


def column_hashes(array: Arrow, type_: Type, column: str, out: U64, dictionary: U64 | None = None) -> None:
    """Hashes of the canonical values of `array` into `out`, uint64[2, n]: low lane, high lane.

    `dictionary` holds the hashes of the dictionary's values where the caller has them already.
    """
    array = plain_array(array)
    if pa.types.is_dictionary(array.type):
        if dictionary is None:
            dictionary = dictionary_hashes(array, type_, column)
        _by_code(array.indices, dictionary, column, out)
        return
    nulls = null_mask(array)
    if nulls is not None and nulls.all():
        out[:] = hash_empty(Tag.NULL, column)
        return
    if type_.kind is Kind.MIXED:
        _mixed(array, nulls, column, out)
        return
    if type_.kind is Kind.JSON:
        _json(array, nulls, type_, column, out)
    elif type_.kind in _WORD_KINDS:
        words = _words(array, type_, column)
        hash_words(_TAGS[type_.kind], column, words, 1 if type_.kind is Kind.BOOL else 8, out)
    elif type_.kind is Kind.DECIMAL and pa.types.is_decimal(array.type) and 0 < array.type.scale <= 6:
        parts = string_parts(array.cast(pa.string()), nulls)
        _trim_zeros(*parts)
        hash_bytes(Tag.DECIMAL, column, *parts, out)
    else:
        strings = canonical_strings(array, type_, column)
        hash_bytes(_TAGS[type_.kind], column, *string_parts(strings, nulls), out)
    _put_nulls(out, nulls, column)


def dictionary_hashes(array: Arrow, type_: Type, column: str) -> U64:
    """Hashes of the dictionary's values, uint64[2, k]."""
    hashes = np.empty((2, len(array.dictionary)), np.uint64)
    column_hashes(array.dictionary, type_, column, hashes)
    return hashes


def canonical_bytes(array: Arrow, type_: Type, column: str) -> list[tuple[int, bytes]]:
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


def plain_array(array: Arrow) -> Arrow:
    """Without extension types, run ends and views, so that the buffers are the classic ones."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    if pa.types.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    if pa.types.is_fixed_size_binary(array.type):
        return array.cast(pa.binary())
    return array


def null_mask(array: Arrow) -> Any:
    """bool[n], True where null; None where nothing is."""
    if array.null_count == 0:
        return None
    return array.is_null().to_numpy(zero_copy_only=False)


def _put_nulls(out: U64, nulls: Any, column: str) -> None:
    if nulls is not None:
        np.copyto(out, hash_empty(Tag.NULL, column), where=nulls)


def _by_code(indices: Arrow, of_values: U64, column: str, out: U64) -> None:
    nulls = null_mask(indices)
    if nulls is not None:
        if nulls.all():
            out[:] = hash_empty(Tag.NULL, column)
            return
        indices = indices.fill_null(0)
    codes = indices.to_numpy(zero_copy_only=False)
    out[0], out[1] = of_values[0][codes], of_values[1][codes]
    _put_nulls(out, nulls, column)


def _raw(array: Arrow, dtype: str) -> Any:
    """The fixed-width values, also under nulls, as a view of the Arrow buffer."""
    width = np.dtype(dtype).itemsize
    data = array.buffers()[1]
    assert data is not None
    return np.frombuffer(data, dtype, count=len(array), offset=array.offset * width)


def _refused(column: str, type_: Type, array: Arrow) -> Corrupt:
    return Corrupt(
        f"holds {array.type} where its declaration says {type_.kind.value}",
        where=column,
        hint="Read the rows in the layout of their declared types.",
    )


# -- one word per value -------------------------------------------------------------------------

_WORD_KINDS = frozenset(
    {Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
)


def _words(array: Arrow, type_: Type, column: str) -> U64:
    """The canonical 8 bytes (bool: 1) as uint64; anything under nulls."""
    if type_.kind is Kind.BOOL:
        if not pa.types.is_boolean(array.type):
            raise _refused(column, type_, array)
        bits: U64 = _raw(array.cast(pa.uint8()), "u1").astype(np.uint64)
        return bits
    if type_.kind is Kind.FLOAT:
        if not pa.types.is_floating(array.type):
            raise _refused(column, type_, array)
        values = _raw(array.cast(pa.float64()), "<f8")
        words: U64 = np.where(np.isnan(values), _NAN, values.view(np.uint64))
        return words
    return whole_numbers(array, type_, column).view(np.uint64)


def whole_numbers(array: Arrow, type_: Type, column: str) -> I64:
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


def _int64(array: Arrow) -> I64:
    dtype = "<i4" if array.type.bit_width == 32 else "<i8"
    values: I64 = _raw(array, dtype).astype(np.int64, copy=False)
    return values


# -- bytes of any length ------------------------------------------------------------------------


def check_text(array: Arrow, column: str) -> Arrow:
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array
    raise Corrupt(f"holds {array.type} where its declaration says text", where=column)


def canonical_strings(array: Arrow, type_: Type, column: str) -> Arrow:
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


def string_parts(strings: Arrow, nulls: Any) -> tuple[Bytes, I64, I64]:
    """(data, starts, lengths) of a string or binary array; nulls have length 0."""
    large = pa.types.is_large_string(strings.type) or pa.types.is_large_binary(strings.type)
    dtype, width = ("<i8", 8) if large else ("<i4", 4)
    _, offsets, data = strings.buffers()
    if not len(strings):
        return np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64)
    ends = np.frombuffer(offsets, dtype, count=len(strings) + 1, offset=strings.offset * width).astype(
        np.int64
    )
    lengths = ends[1:] - ends[:-1]
    if nulls is not None:
        lengths[nulls] = 0
    return np.frombuffer(data or b"", np.uint8), ends[:-1], lengths


def _trim_zeros(data: Bytes, starts: I64, lengths: I64) -> None:
    """Shortens `1.50` to `1.5` and `1.00` to `1`, without a copy of the text; every value has a fraction or length 0."""
    zeros = np.flatnonzero(lengths)
    last = starts + lengths - 1
    while len(zeros):
        found = data[last[zeros]]
        lengths[zeros[found == ord(".")]] -= 1
        zeros = zeros[found == ord("0")]
        lengths[zeros] -= 1
        last[zeros] -= 1


# -- JSON, arrays, mixed storage classes --------------------------------------------------------


def json_text(array: Arrow, type_: Type) -> tuple[Arrow, Any]:
    """(text, by_value): canonical JSON where by_value[n] is True, else the text as it is."""
    if type_.textual:
        return array, np.zeros(len(array), bool)
    canonical = by_distinct(array, canonical_json)
    by_value = canonical.is_valid().to_numpy(zero_copy_only=False)
    return pc.coalesce(canonical, array.cast(pa.string())), by_value


def _json(array: Arrow, nulls: Any, type_: Type, column: str, out: U64) -> None:
    text, by_value = json_text(check_text(array, column), type_)
    data, starts, lengths = string_parts(text, nulls)
    hash_bytes(Tag.JSON_TEXT, column, data, starts, lengths, out)
    places = np.flatnonzero(by_value)
    hashes = np.empty((2, len(places)), np.uint64)
    hash_bytes(Tag.JSON, column, data, starts[places], lengths[places], hashes)
    out[:, places] = hashes


def _arrays(array: Arrow, type_: Type, column: str) -> Arrow:
    """Count, then per element tag, length and bytes. Per element in Python: arrays are rare in a CRM."""
    if type_.item is None or not (
        pa.types.is_list(array.type)
        or pa.types.is_large_list(array.type)
        or pa.types.is_fixed_size_list(array.type)
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
    lists = [(high - low).to_bytes(8, "little") + b"".join(parts[low:high]) for low, high in pairwise(bounds)]
    return pa.array(lists, pa.large_binary(), mask=null_mask(array))


def mixed_classes(array: Arrow, nulls: Any, column: str) -> list[tuple[Tag, Any, Arrow, Kind]]:
    """The storage classes that occur: (tag, places, values, kind under which `values` are read). NULLs are left out."""
    if not pa.types.is_struct(array.type) or {f.name for f in array.type} != {"tag", "int", "real", "bytes"}:
        raise _refused(column, Type(Kind.MIXED), array)
    tags = array.field("tag").fill_null(0).to_numpy(zero_copy_only=False)
    if nulls is not None:
        tags = np.where(nulls, 0, tags)
    found: list[tuple[Tag, Any, Arrow, Kind]] = []
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


def _mixed(array: Arrow, nulls: Any, column: str, out: U64) -> None:
    out[:] = hash_empty(Tag.NULL, column)
    for tag, places, values, kind in mixed_classes(array, nulls, column):
        hashes = np.empty((2, len(places)), np.uint64)
        if kind is Kind.BYTES:
            hash_bytes(tag, column, *string_parts(values, None), hashes)
        else:
            hash_words(tag, column, _words(values, Type(kind), column), 8, hashes)
        out[:, places] = hashes
