"""Several values in one target column: items become a PostgreSQL array or a JSON text.

Items lie in one table, one line an item: `rid`, `item` (its place in the list), `form` (which of the list's items it is,
where they are written out) and per value `v.NAME`, canonical text, NULL where empty; the value of a bare item has the
name "". An item all of whose values are empty vanishes; values that the mapping itself states do not count.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.canon import from_text
from migrate.model import Kind, Type
from migrate.transform.values import WHITE, Mask, mask_of

# Kinds whose canonical text is JSON already.
_BARE_IN_JSON = (Kind.INT, Kind.BOOL, Kind.DECIMAL, Kind.FLOAT, Kind.JSON)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"} | {
    chr(code): f"\\u{code:04x}" for code in range(32) if chr(code) not in "\b\f\n\r\t"
}
PIECE = "piece"  # the column that holds what `split` cut
_FORMS = b"forms"
WHOLE = ("item",)  # one_per: an item as a whole


@dataclass(frozen=True)
class Slot:
    """One value of an item. `constant`: the mapping states it, so it alone makes no item."""

    name: str
    kind: Kind
    constant: bool = False

    @property
    def column(self) -> str:
        return f"v.{self.name}"


Form = tuple[Slot, ...]


def with_forms(items: pa.Table, forms: Sequence[Form]) -> pa.Table:
    """Items that are written down, with what their values are."""
    told = [[[slot.name, slot.kind.value, slot.constant] for slot in form] for form in forms]
    return items.replace_schema_metadata({_FORMS: json.dumps(told)})


def forms_of(items: pa.Table) -> tuple[Form, ...]:
    """What `with_forms` wrote."""
    told = json.loads((items.schema.metadata or {})[_FORMS])
    return tuple(tuple(Slot(name, Kind(kind), constant) for name, kind, constant in form) for form in told)


def names_of(forms: Iterable[Form]) -> list[str]:
    """The values of all items, each name once."""
    return list(dict.fromkeys(slot.name for form in forms for slot in form))


def kept(items: pa.Table, forms: Sequence[Form], also: Sequence[str] = ()) -> pa.Table:
    """The items that do not vanish. `also`: values that count as filled where `also.NAME` is (not yet resolved)."""
    frame = pl.DataFrame(pl.from_arrow(items))
    mask: Mask = np.zeros(items.num_rows, dtype=np.bool_)
    for number, form in enumerate(forms):
        counting = [slot for slot in form if not slot.constant] or list(form)
        filled: Mask = np.zeros(items.num_rows, dtype=np.bool_)
        for slot in counting:
            series = frame[slot.column]
            filled |= mask_of(series.is_not_null() & (series.str.strip_chars(WHITE) != ""))
        for name in also:
            filled |= mask_of(frame[name].is_not_null())
        mask |= filled & mask_of(frame["form"] == number)
    return items.filter(pa.array(mask))


def one_per(items: pa.Table, forms: Sequence[Form], names: Sequence[str]) -> pa.Table:
    """The first of the items of one row that agree in the named values (`item`: in all)."""
    chosen = [f"v.{n}" for n in names_of(forms) if tuple(names) == WHOLE or n in names]
    frame = pl.DataFrame(pl.from_arrow(items.select(["rid", "item", *chosen]))).with_row_index("__place")
    first = frame.sort("rid", "item").unique(subset=["rid", *chosen], keep="first", maintain_order=True)
    return items.take(pa.array(np.sort(first["__place"].to_numpy())))


def composed(
    items: pa.Table, forms: Sequence[Form], type_: Type, rids: npt.NDArray[np.int64]
) -> pa.Array[Any]:
    """One list per id of `rids`, in their order, in the layout of `type_` (ARRAY, else JSON as text); a row without
    items has the empty list. `items` are those that stay, in any order."""
    frame = pl.DataFrame(pl.from_arrow(items)).sort("rid", "item")
    places = pl.DataFrame({"rid": rids})
    if type_.kind is Kind.ARRAY:
        return _arrays(frame, forms[0][0], type_, places)
    text = pl.lit(None, dtype=pl.String)
    for number, form in enumerate(forms):
        text = pl.when(pl.col("form") == number).then(_as_json(form)).otherwise(text)
    lists = (
        frame.select("rid", text.alias("text"))
        .group_by("rid", maintain_order=True)
        .agg(pl.col("text").str.join(", "))
    )
    texts = places.join(lists, on="rid", how="left", maintain_order="left")["text"].fill_null("")
    made: pa.Array[Any] = ("[" + texts + "]").to_arrow().cast(pa.string())
    return made


def _arrays(frame: pl.DataFrame, slot: Slot, type_: Type, places: pl.DataFrame) -> pa.Array[Any]:
    assert type_.item is not None
    order = places.with_row_index("place").join(frame, on="rid", how="inner", maintain_order="left_right")
    values = from_text(order[slot.column].to_arrow().cast(pa.string()), type_.item)
    counts = np.bincount(order["place"].to_numpy(), minlength=len(places))
    offsets = pa.array(np.concatenate(([0], np.cumsum(counts))).astype(np.int32))
    make: Any = pa.ListArray.from_arrays
    made: pa.Array[Any] = make(offsets, values).cast(layout(type_))
    return made


def _as_json(form: Form) -> pl.Expr:
    if len(form) == 1 and form[0].name == "":
        return _value(form[0])
    parts: list[pl.Expr] = []
    for number, slot in enumerate(form):
        name = "".join(_ESCAPES.get(character, character) for character in slot.name)
        parts += [pl.lit(f'{"{" if not number else ", "}"{name}": '), _value(slot)]
    return pl.concat_str([*parts, pl.lit("}")])


def _value(slot: Slot) -> pl.Expr:
    text = pl.col(slot.column)
    if slot.kind in _BARE_IN_JSON:
        return text.fill_null("null")
    escaped = text.str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
    return pl.when(text.is_null()).then(pl.lit("null")).otherwise('"' + escaped + '"')
