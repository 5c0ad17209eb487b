"""Texts by which values and rows are identified, and name-based UUIDs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from migrate.arrow import DATE_INFINITY, TIMESTAMP_INFINITY
from migrate.canon.decimals import by_distinct, plain
from migrate.canon.forms import (
    canonical_strings,
    check_text,
    json_text,
    mixed_classes,
    null_mask,
    plain_array,
    string_parts,
    whole_numbers,
)
from migrate.canon.json_form import quote
from migrate.canon.lanes import Arrow, pc
from migrate.errors import Corrupt
from migrate.model import Kind, Type

_DAY = 86_400_000_000  # µs
_ARROW_DAYS = 10_000_000  # Arrow prints years to ±32,767 only
_NEEDS_ESCAPE = '["\\\\\\x00-\\x1f]'


def canonical_text(array: pa.Array[Any] | pa.ChunkedArray[Any], type_: Type) -> pa.Array[Any]:
    """The text by which a value is identified, as a string array; null stays null.

    `17`, `-1.5`, `true`, `2024-02-29`, `2024-02-29T12:00:00.000000` (timestamptz: with `Z`),
    `infinity`; text itself; bytes as `\\x` and hex. Floats without a fraction are written as integers
    and -0.0 as `0`. In a MIXED column the integer 17, the real 17.0 and the text "17" all give `17`.
    Raises Corrupt where the array is not of the declared type.
    """
    if isinstance(array, pa.ChunkedArray):
        texts = [canonical_text(chunk, type_) for chunk in array.chunks]
        return pa.concat_arrays(texts) if texts else pa.array([], pa.string())
    return cast("pa.Array[Any]", _canonical_text(plain_array(array), type_))


def _canonical_text(array: Arrow, type_: Type) -> Arrow:
    if pa.types.is_dictionary(array.type):
        return canonical_text(array.dictionary, type_).take(array.indices)
    if array.null_count == len(array):
        return pa.nulls(len(array), pa.string())
    return _text(array, type_).cast(pa.string())


def _text(array: Arrow, type_: Type, column: str = "a column") -> Arrow:
    kind = type_.kind
    if kind is Kind.BOOL and pa.types.is_boolean(array.type):
        return array.cast(pa.string())
    if kind is Kind.INT:
        return pa.array(whole_numbers(array, type_, column), mask=null_mask(array)).cast(pa.string())
    if kind is Kind.FLOAT and pa.types.is_floating(array.type):
        return by_distinct(array.cast(pa.float64()), float_text)
    if kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return _moments(array, type_, column)
    if kind is Kind.BYTES:
        return _hex(canonical_strings(array, type_, column))
    if kind is Kind.JSON:
        return json_text(check_text(array, column), type_)[0]
    if kind is Kind.ARRAY:
        return _lists(array, type_, column)
    if kind is Kind.MIXED:
        return _mixed(array, column)
    if kind in (Kind.BOOL, Kind.FLOAT):
        raise Corrupt(f"holds {array.type} where its declaration says {kind.value}", where=column)
    return canonical_strings(array, type_, column)


def float_text(value: float) -> str:
    """Shortest text that reads back as `value`, without exponent; whole numbers as integers."""
    return plain(repr(value))


def _hex(array: Arrow) -> Arrow:
    return pa.array([None if v is None else "\\x" + v.hex() for v in array.to_pylist()], pa.string())


def _lists(array: Arrow, type_: Type, column: str) -> Arrow:
    """JSON array of the elements' texts, null for NULL."""
    canonical_strings(array, type_, column)  # refuses what is no array of the declared kind
    assert type_.item is not None
    texts: list[str | None] = []
    for elements in array:
        if not elements.is_valid:
            texts.append(None)
            continue
        items = canonical_text(elements.values, type_.item).to_pylist()
        texts.append("[" + ",".join("null" if item is None else quote(item) for item in items) + "]")
    return pa.array(texts, pa.string())


def _mixed(array: Arrow, column: str) -> Arrow:
    texts = np.full(len(array), None, object)
    for tag, places, values, kind in mixed_classes(array, null_mask(array), column):
        if tag.name == "TEXT":
            texts[places] = [_decoded(value) for value in values.to_pylist()]
        else:
            texts[places] = _text(values, Type(kind), column).to_pylist()
    return pa.array(texts.tolist(), pa.string())


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:  # text that is not UTF-8 is named by its bytes
        return "\\x" + value.hex()


# -- dates and times ----------------------------------------------------------------------------


def _moments(array: Arrow, type_: Type, column: str) -> Arrow:
    """ISO 8601; Arrow writes what is in its range, `moment_text` the rest (infinities, far years, 24:00)."""
    numbers = whole_numbers(array, type_, column)
    low, high = {
        Kind.DATE: (-_ARROW_DAYS, _ARROW_DAYS),
        Kind.TIME: (0, _DAY - 1),
    }.get(type_.kind, (-_ARROW_DAYS * _DAY, _ARROW_DAYS * _DAY))
    nulls = null_mask(array)
    usual = (numbers >= low) & (numbers <= high)
    if nulls is not None:
        usual |= nulls
    if not usual.all():
        array = pc.if_else(pa.array(usual), array, pa.scalar(None, array.type))
    text = array.cast(pa.string()) if type_.kind in (Kind.DATE, Kind.TIME) else _iso(array, type_)
    if usual.all():
        return text
    rest = [moment_text(int(n), type_.kind) for n in numbers[~usual]]
    return pc.replace_with_mask(text, pa.array(~usual), pa.array(rest, pa.string()))


def _iso(array: Arrow, type_: Type) -> Arrow:
    utc = array.cast(pa.timestamp("us", "UTC" if type_.kind is Kind.TIMESTAMPTZ else None))
    return pc.replace_substring(utc.cast(pa.string()), " ", "T")


def moment_text(number: int, kind: Kind) -> str:
    """The text of one DATE (days), TIME, TIMESTAMP or TIMESTAMPTZ (µs)."""
    if kind is Kind.TIME:
        return _clock(number)
    if abs(number) == (DATE_INFINITY if kind is Kind.DATE else TIMESTAMP_INFINITY):
        return "infinity" if number > 0 else "-infinity"
    if kind is Kind.DATE:
        return _civil(number)
    days, clock = divmod(number, _DAY)
    return f"{_civil(days)}T{_clock(clock)}{'Z' if kind is Kind.TIMESTAMPTZ else ''}"


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}"


def _civil(days: int) -> str:
    """Proleptic Gregorian date of a day number (Howard Hinnant, chrono-compatible low-level date algorithms)."""
    days += 719_468
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    return f"{'-' if year < 0 else ''}{abs(year):04d}-{month:02d}-{day_of_year - (153 * shifted + 2) // 5 + 1:02d}"


# -- keys ---------------------------------------------------------------------------------------


def source_keys(
    rows: pa.RecordBatch | pa.Table, columns: Sequence[str], types: Mapping[str, Type]
) -> pa.Array[Any]:
    """`["17","A"]`: the JSON array of the canonical texts of `columns`; null where any of them is null.

    Equals json.dumps(texts, ensure_ascii=False, separators=(",", ":")). Raises Corrupt as `canonical_text`.
    """
    pieces: list[Arrow] = []
    for name in columns:
        if rows.schema.get_field_index(name) < 0 or name not in types:
            raise Corrupt("is missing from the rows, or has no declared type", where=name)
        text = _escaped(canonical_text(rows.column(name), types[name]))
        pieces += [pa.scalar('","' if pieces else '["'), text]
    if not pieces:
        raise ValueError("a key has at least one column")
    return cast("pa.Array[Any]", pc.binary_join_element_wise(*pieces, pa.scalar('"]'), ""))


def _escaped(text: Arrow) -> Arrow:
    """Inner text of the JSON strings; only the values that need it pass through Python."""
    data, starts, lengths = string_parts(text, None)
    used = data[int(starts.min(initial=len(data))) : int((starts + lengths).max(initial=0))]
    if not ((used < 0x20) | (used == ord('"')) | (used == ord("\\"))).any():
        return text
    special = pc.fill_null(pc.match_substring_regex(text, _NEEDS_ESCAPE), False)
    if not pc.any(special).as_py():
        return text
    return pc.replace_with_mask(
        text, special, by_distinct(text.filter(special), lambda value: quote(value)[1:-1])
    )


_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_DIGIT_PLACES = np.array([i for i in range(36) if i not in (8, 13, 18, 23)])


def uuid5_array(namespace: uuid.UUID, names: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """str(uuid.uuid5(namespace, name)) for every name, as a string array; null stays null."""
    if isinstance(names, pa.ChunkedArray):
        parts = [uuid5_array(namespace, chunk) for chunk in names.chunks]
        return pa.concat_arrays(parts) if parts else pa.array([], pa.string())
    sha1, prefix = hashlib.sha1, namespace.bytes
    pieces = []
    for start in range(0, len(names), 65_536):
        values = names.slice(start, 65_536).cast(pa.large_binary()).to_pylist()
        joined = b"".join([sha1(prefix + (value or b""), usedforsecurity=False).digest() for value in values])
        digests = np.frombuffer(joined, np.uint8).reshape(-1, 20)[:, :16].copy()
        digests[:, 6] = digests[:, 6] & 0x0F | 0x50  # version 5
        digests[:, 8] = digests[:, 8] & 0x3F | 0x80  # variant of RFC 4122
        text = np.full((len(values), 36), ord("-"), np.uint8)
        text[:, _DIGIT_PLACES] = _HEX[digests].reshape(len(values), 32)
        pieces.append(text)
    data = np.concatenate(pieces) if pieces else np.empty((0, 36), np.uint8)
    offsets = np.arange(0, 36 * (len(names) + 1), 36, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data.tobytes())]
    result = pa.Array.from_buffers(pa.large_string(), len(names), buffers)
    if names.null_count:
        result = pc.if_else(names.is_valid(), result, pa.scalar(None, pa.large_string()))
    return result.cast(pa.string())
