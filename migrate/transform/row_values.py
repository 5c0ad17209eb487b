"""What one transformed row would put into the target, said in the mapping's words: for examples and for previews.

A value is its canonical text, None where it is empty, {"ref": [entity, key…]} for a reference, {"find": [table, column,
value…]} for a lookup, and for a list its items, each of them a value or an object of values.
"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate.canon import canonical_text
from migrate.model import Kind
from migrate.transform.apply import Transformed
from migrate.transform.entity import CompiledEntity, CompiledField, CompiledList

Said = Any


def row_values(compiled: CompiledEntity, made: Transformed, rid: int) -> dict[str, Said]:
    """Target column → value of the row `rid` among the kept rows. KeyError where there is no such row."""
    found = made.rows.filter(pc.equal(made.rows["__rid"], rid))
    if not found.num_rows:
        raise KeyError(rid)
    values = {f.name: _field(f, found, f.name) for f in compiled.fields}
    return values | {one.name: _list(one, made, found, rid) for one in compiled.lists}


def _field(field: CompiledField, row: pa.Table, name: str) -> Said:
    """`name`: of its placeholders in `row`."""
    plain = _text(row, field.name, field)
    if plain is not None or not field.refers:
        return plain
    return _referred(field, row, name)


def _text(row: pa.Table, column: str, field: CompiledField) -> str | None:
    text: str | None = canonical_text(row[column], field.type)[0].as_py()
    return text


def _referred(field: CompiledField, row: pa.Table, name: str) -> Said:
    """A reference or a lookup, by what stands in its placeholders; None where it names nothing."""

    def said(kind: str) -> Any:
        column = f"{kind}.{name}"
        return row[column][0].as_py() if column in row.column_names else None

    key, ref = said("__ref"), field.field.ref
    if key is not None and ref is not None:
        several = " or ".join(ref.to) if len(ref.to) > 1 else ""
        return {"ref": [several or said("__ref_to") or "", *json.loads(key)]}
    find, given = field.field.find, said("__find")
    if find is None or given is None:
        return None
    named = [find.by, given] if find.by else []
    return {"find": [find.table, *named, *(part for pair in find.where.items() for part in pair)]}


def _list(one: CompiledList, made: Transformed, row: pa.Table, rid: int) -> Said:
    if one.name not in made.items:
        text = canonical_text(row[one.name], one.type)[0].as_py()
        return (
            None
            if text is None
            else json.loads(text)
            if one.type.kind is not Kind.ARRAY
            else _array(row[one.name])
        )
    items = made.items[one.name]
    mine = items.filter(pc.equal(items["rid"], rid)).sort_by([("item", "ascending")])
    return [_item(one, mine.slice(n, 1)) for n in range(mine.num_rows)]


def _array(column: pa.ChunkedArray[Any]) -> list[str | None]:
    return [None if v is None else str(v) for v in column[0].as_py() or []]


def _item(one: CompiledList, item: pa.Table) -> Said:
    """One item whose references are not resolved yet."""
    form = one.items[int(item["form"][0].as_py())]
    values = {}
    for name, field in form.values.items():
        plain = item[f"v.{name}"][0].as_py()
        values[name] = _referred(field, item, name) if plain is None and field.refers else plain
    return values[""] if values.keys() == {""} else values
