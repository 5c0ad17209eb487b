"""Values on their way through DuckDB, exactly: as whole numbers and bytes, which no engine interprets.

Infinite dates, 76 digits, NaN, texts with NUL and columns of mixed types come out as they went in.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from migrate.transform.keys import combined

_WIDTHS: dict[int, Any] = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


def carried(values: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The values of one column, in any layout of `migrate.arrow`, in a type that `restored` takes back."""
    array = combined(values)
    type_: Any = array.type
    if pa.types.is_string(type_):
        return array.cast(pa.binary())
    if pa.types.is_decimal(type_):
        return array.view(pa.binary(type_.bit_width // 8)).cast(pa.binary())
    if pa.types.is_temporal(type_) or pa.types.is_floating(type_):
        return array.view(_WIDTHS[type_.bit_width])
    if pa.types.is_list(type_):
        whole: Any = pa.concat_arrays([array])  # offsets from 0, whatever slice it was
        return pa.ListArray.from_arrays(whole.offsets, carried(whole.values), mask=whole.is_null())
    if pa.types.is_struct(type_):
        struct: Any = array
        names = [type_.field(n).name for n in range(type_.num_fields)]
        return pa.StructArray.from_arrays(
            [carried(f) for f in struct.flatten()], names=names, mask=array.is_null()
        )
    return array


def restored(values: pa.Array[Any] | pa.ChunkedArray[Any], type_: pa.DataType) -> pa.Array[Any]:
    """What went through `carried`, in its layout `type_` again."""
    array = combined(values)
    wanted: Any = type_
    if pa.types.is_string(wanted):
        return array.cast(pa.binary()).cast(pa.string())
    if pa.types.is_decimal(wanted):
        return array.cast(pa.binary()).cast(pa.binary(wanted.bit_width // 8)).view(wanted)
    if pa.types.is_temporal(wanted) or pa.types.is_floating(wanted):
        return array.cast(_WIDTHS[wanted.bit_width]).view(wanted)
    if pa.types.is_list(wanted):
        whole: Any = pa.concat_arrays([array])
        offsets = whole.offsets.cast(pa.int32())
        return pa.ListArray.from_arrays(
            offsets, restored(whole.values, wanted.value_type), mask=whole.is_null()
        )
    if pa.types.is_struct(wanted):
        struct: Any = array
        fields = [wanted.field(n) for n in range(wanted.num_fields)]
        parts = [restored(p, f.type) for p, f in zip(struct.flatten(), fields, strict=True)]
        return pa.StructArray.from_arrays(parts, names=[f.name for f in fields], mask=array.is_null())
    return array.cast(wanted)
