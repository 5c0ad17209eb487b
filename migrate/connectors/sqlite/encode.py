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
from migrate.connectors.sqlite.types import Affinity
from migrate.connectors.sqlite.unfit import unfit
from migrate.errors import UsageError
from migrate.model import Kind, Type

pc: Any = pyarrow.compute  # the stubs' overloads refuse valid calls

NAN = "NaN"  # SQLite has none: as text, where a column keeps any value
_TEXT_TAG = 3


@dataclass(frozen=True)
class Bound:
    """One column ready for `executemany`: the expression and its parameters' values, in order."""

    expression: str
    values: tuple[Sequence[object], ...]


def whole_array(column: Any) -> Any:
    """A column as one plain array."""
    array: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def encode(column: Any, type_: Type, affinity: Affinity, where: str) -> Bound:
    """Raises UsageError naming `where` (table.column) for a value that SQLite would change."""
    array = whole_array(column)
    if pa.types.is_struct(array.type):
        return _mixed(array)
    found = unfit(array, type_, affinity)
    if found is not None:
        raise UsageError(found.message, where=where, hint=found.hint)
    return Bound("?", (_plain(array, array.type, type_, affinity),))


def _plain(array: Any, kind: Any, type_: Type, affinity: Affinity) -> Sequence[object]:
    if pa.types.is_null(kind):
        return [None] * len(array)
    if pa.types.is_boolean(kind):
        return _numbers(pc.cast(array, pa.int8()))
    if pa.types.is_integer(kind):
        return _numbers(pc.cast(array, pa.int64()))
    if pa.types.is_floating(kind):
        numbers = _numbers(pc.cast(array, pa.float64()))
        if affinity is Affinity.NONE and pc.any(pc.is_nan(array)).as_py():
            return [NAN if v is not None and v != v else v for v in numbers]
        return numbers
    if pa.types.is_decimal(kind):
        return objects(decimal_text(array))
    if pa.types.is_date(kind):
        return objects(pc.cast(pc.cast(array, pa.date32()), pa.string()))
    if pa.types.is_time(kind):
        return objects(_no_zero_fraction(pc.cast(pc.cast(array, pa.time64("us")), pa.string())))
    if pa.types.is_timestamp(kind):
        micros = pc.cast(pc.cast(array, pa.timestamp("us", tz=kind.tz)), pa.int64())
        text = _no_zero_fraction(pc.cast(pc.cast(micros, pa.timestamp("us")), pa.string()))
        return objects(pc.binary_join_element_wise(text, "+00:00", "") if kind.tz is not None else text)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return objects(array)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [
            None if v is None else json.dumps(v, ensure_ascii=False, default=str) for v in array.to_pylist()
        ]
    text = pc.cast(array, pa.string())
    return objects(decimal_text(text) if affinity.numeric and type_.kind is Kind.DECIMAL else text)


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
