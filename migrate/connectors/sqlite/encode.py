"""Arrow values → what is bound to SQLite parameters, by the column's declared type.

Nothing may change on its way through a column's affinity: what would is refused by name (F22).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from migrate.canon.decimals import decimal_text
from migrate.connectors.sqlite.types import EXACT_DIGITS, Affinity
from migrate.errors import UsageError
from migrate.model import Kind, Type

pc: Any = pyarrow.compute  # the stubs' overloads refuse valid calls

LOOKS_NUMERIC = r"^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\v\f\r]*$"
_FIRST_DAY, _LAST_DAY = -719162, 2932896  # 0001-01-01, 9999-12-31
_TEXT_TAG = 3


@dataclass(frozen=True)
class Bound:
    """One column ready for `executemany`: the expression and its parameters' values, in order."""

    expression: str
    values: tuple[Sequence[object], ...]


def encode(column: Any, type_: Type, affinity: Affinity, where: str) -> Bound:
    """Raises UsageError naming `where` (table.column) for a value that SQLite would change."""
    array: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    kind: Any = array.type
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_struct(kind):
        return _mixed(array)
    return Bound("?", (_plain(array, kind, type_, affinity, where),))


def _plain(array: Any, kind: Any, type_: Type, affinity: Affinity, where: str) -> Sequence[object]:
    if pa.types.is_null(kind):
        return [None] * len(array)
    if pa.types.is_boolean(kind):
        return _numbers(pc.cast(array, pa.int8()))
    if pa.types.is_integer(kind):
        return _numbers(pc.cast(array, pa.int64()))
    if pa.types.is_floating(kind):
        if pc.any(pc.is_nan(array)).as_py():
            raise UsageError(
                "SQLite has no NaN (it would store NULL)", where=where, hint="Map NaN to a value or to empty."
            )
        return _numbers(pc.cast(array, pa.float64()))
    if pa.types.is_decimal(kind):
        return _decimals(array, affinity, where)
    if pa.types.is_date(kind):
        days = pc.cast(pc.cast(array, pa.date32()), pa.int32())
        _within(days, _FIRST_DAY, _LAST_DAY, where)
        return objects(pc.cast(pc.cast(days, pa.date32()), pa.string()))
    if pa.types.is_time(kind):
        return objects(_no_zero_fraction(pc.cast(pc.cast(array, pa.time64("us")), pa.string())))
    if pa.types.is_timestamp(kind):
        return _timestamps(array, kind, where)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return objects(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [
            None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in array.to_pylist()
        ]
    return _texts(pc.cast(array, pa.string()), type_, affinity, where)


def _texts(array: Any, type_: Type, affinity: Affinity, where: str) -> Sequence[object]:
    if affinity.numeric:
        if type_.kind is Kind.DECIMAL:
            return _decimals(array, affinity, where)
        looks = pc.match_substring_regex(array, LOOKS_NUMERIC)
        if pc.any(looks).as_py():
            if type_.kind is not Kind.JSON:
                raise UsageError(
                    f"SQLite would turn text into numbers here (affinity {affinity}), so leading zeros would be lost",
                    where=where,
                    hint="Declare the column TEXT.",
                )
            _check_digits(
                decimal_text(pc.utf8_trim_whitespace(pc.filter(array, pc.fill_null(looks, False)))), where
            )
    return objects(array)


def _decimals(array: Any, affinity: Affinity, where: str) -> Sequence[object]:
    text = decimal_text(array)
    if affinity.numeric:
        _check_digits(text, where)
    return objects(text)


def _check_digits(text: Any, where: str) -> None:
    """An integer that fits 64 bits stays exact, any other number becomes a double."""
    digits = pc.replace_substring_regex(text, r"^-?0*\.?0*|\.", "")
    significant = pc.utf8_length(pc.utf8_rtrim(digits, "0"))
    whole = pc.and_(pc.invert(pc.match_substring(text, ".")), pc.less_equal(pc.utf8_length(digits), 18))
    lossy = pc.and_(pc.greater(significant, EXACT_DIGITS), pc.invert(whole))
    strange = pc.match_substring_regex(text, "[A-Z]")
    if pc.any(pc.or_(lossy, strange)).as_py():
        raise UsageError(
            f"a decimal has more than {EXACT_DIGITS} significant digits (or is not a finite number): "
            "SQLite would round it to a double",
            where=where,
            hint="Declare the column TEXT or DECIMAL_TEXT(p, s), which keep decimals exactly.",
        )


def _timestamps(array: Any, kind: Any, where: str) -> Sequence[object]:
    zoned = kind.tz is not None
    micros = pc.cast(pc.cast(array, pa.timestamp("us", tz=kind.tz)), pa.int64())
    _within(micros, _FIRST_DAY * 86_400_000_000, (_LAST_DAY + 1) * 86_400_000_000 - 1, where)
    text = _no_zero_fraction(pc.cast(pc.cast(micros, pa.timestamp("us")), pa.string()))
    return objects(pc.binary_join_element_wise(text, "+00:00", "") if zoned else text)


def _within(values: Any, lowest: int, highest: int, where: str) -> None:
    bounds = pc.min_max(values)
    if bounds["min"].as_py() is None:
        return
    if bounds["min"].as_py() < lowest or bounds["max"].as_py() > highest:
        raise UsageError(
            "a date lies outside the years 0001 to 9999 (or is infinite); ISO text in SQLite cannot say it",
            where=where,
        )


def _no_zero_fraction(text: Any) -> Any:
    return pc.replace_substring_regex(text, r"\.0+$", "")


def _numbers(array: Any) -> Sequence[object]:
    if array.null_count == 0:
        return list(array.to_numpy(zero_copy_only=False).tolist())
    values = pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype(object)
    values[pc.is_null(array).to_numpy(zero_copy_only=False)] = None
    return list(values.tolist())


def objects(array: Any) -> Sequence[object]:
    """Strings or bytes as Python objects, nulls as None."""
    return list(array.to_numpy(zero_copy_only=False).tolist())


def _mixed(array: Any) -> Bound:
    """Storage classes as they are; text goes as bytes and is cast, so that bytes that are not UTF-8 stay."""
    tag = pc.fill_null(array.field("tag"), 0)
    tags = tag.to_numpy(zero_copy_only=False)
    tags = np.where(array.is_null().to_numpy(zero_copy_only=False), 0, tags)
    values = np.full(len(array), None, dtype=object)
    for wanted, name in ((1, "int"), (2, "real"), (3, "bytes"), (4, "bytes")):
        mask = tags == wanted
        if mask.any():
            picked = array.field(name).filter(pa.array(mask))
            values[mask] = np.array([*objects(picked), None], dtype=object)[:-1]
    return Bound("CASE ? WHEN 1 THEN CAST(? AS TEXT) ELSE ? END", _text_twice(values, tags == _TEXT_TAG))


def _text_twice(values: Any, is_text: Any) -> tuple[Sequence[object], ...]:
    as_text, as_is = values.copy(), values.copy()
    as_text[~is_text] = None
    as_is[is_text] = None
    return is_text.astype(np.int8).tolist(), as_text.tolist(), as_is.tolist()
