"""A `list` field against the columns that are there and the target column that it goes into."""

from __future__ import annotations

from dataclasses import replace

from migrate.mapping.model import Field, Item
from migrate.mapping.shapes import did_you_mean
from migrate.model import Column, Kind, Table
from migrate.transform.compile_field import compile_free, compile_into, type_words
from migrate.transform.entity import CompiledField, CompiledItem, CompiledList
from migrate.transform.lists import PIECE
from migrate.transform.scope import Scope
from migrate.transform.values import TEXT

_HOLDS_LISTS = (Kind.ARRAY, Kind.JSON, Kind.TEXT)


def compile_list(name: str, field: Field, path: str, scope: Scope) -> CompiledList | None:
    """None: what is wrong has been reported to `scope`. `scope.joined` has the tables of joins with `rows: any`."""
    wanted = field.list
    assert wanted is not None
    column = scope.target_column(name, path)
    if column is None or not _fits(column, field, path, scope):
        return None
    inner, within = scope, path
    if wanted.of is not None:
        joined = scope.joined.get(wanted.of)
        if joined is None:
            hint = did_you_mean(wanted.of, scope.joined, "a list is made of a join with `rows: any`")
            scope.wrong(
                "unknown_name", f"{path}.list.of", f"there is no join `{wanted.of}` of many rows", hint
            )
            return None
        inner = replace(scope, source=_besides(scope.source, joined))
        for number, (name, _) in enumerate(wanted.ordering):
            found = inner.column(name, f"{path}.list.order.{number}")
            if found is not None and found.type.kind in (Kind.BYTES, Kind.ARRAY, Kind.MIXED):
                inner.wrong("type", f"{path}.list.order", f'"{name}" holds values of no one order')
        within = f"{path}.list.each"
    elif wanted.split is not None:
        if scope.column(wanted.split, f"{path}.list.split") is None:
            return None
        piece = Table(wanted.split, (Column(PIECE, TEXT),))
        inner = replace(scope, source=_besides(scope.source, piece))
        within = f"{path}.list.each"
    before = len(scope.problems)
    each = wanted.all_items or (Item(field=Field(**{"from": PIECE})),)
    items = []
    for number, item in enumerate(each):
        place = f"{path}.list.{number}" if wanted.items else within
        made = _item(name, item, place, inner, column, piece=wanted.split is not None)
        if made is not None:
            items.append(made)
    if len(scope.problems) > before or len(items) < len(each):
        return None
    if not _alike(items, path, scope):
        return None
    return CompiledList(
        name=name,
        field=field,
        column=column,
        items=tuple(items),
        of=wanted.of,
        split=wanted.split,
        on=wanted.on or "",
        order=wanted.ordering,
        one_per=wanted.one_per,
    )


def _alike(items: list[CompiledItem], path: str, scope: Scope) -> bool:
    """References under one name are settled together, so the items of a list say the same of them."""
    said: dict[str, CompiledField] = {}
    for item in items:
        for name, value in item.values.items():
            first = said.setdefault(name, value)
            same = (first.field.ref, first.field.find) == (value.field.ref, value.field.find)
            if not same:
                what = f"`{name}` refers" if name else "the items refer"
                scope.wrong(
                    "conflict",
                    path,
                    f"{what} to other rows in one item than in another",
                    "give them two names, or two lists",
                )
                return False
    return True


def _besides(table: Table, more: Table) -> Table:
    """The columns of the row's own table, and those of the rows or pieces that the items are made of."""
    taken = set(more.column_names)
    return replace(table, columns=(*more.columns, *(c for c in table.columns if c.name not in taken)))


def _fits(column: Column, field: Field, path: str, scope: Scope) -> bool:
    kind = column.type.kind
    if kind not in _HOLDS_LISTS or column.type.labels or column.type.length:
        scope.wrong(
            "type",
            path,
            f'"{column.name}" holds {type_words(column.type)}, and a list goes into an array, JSON or text without a limit',
        )
        return False
    objects = any(item.keys for item in (field.list.all_items if field.list else ()))
    if kind is Kind.ARRAY and objects:
        scope.wrong(
            "type",
            path,
            f'"{column.name}" is an array, and its items are single values',
            "write list: [mail, mail2]",
        )
        return False
    return True


def _item(
    name: str, item: Item, path: str, scope: Scope, column: Column, *, piece: bool
) -> CompiledItem | None:
    made = {}
    for key, value in item.values.items():
        stated = value if value.has_origin or not piece else value.model_copy(update={"from_": PIECE})
        words = f"{name}.{key}" if key else name
        place = f"{path}.{key}" if key else path
        if column.type.kind is Kind.ARRAY and column.type.item is not None:
            compiled = compile_into(words, stated, place, scope, Column(name, column.type.item))
        else:
            compiled = compile_free(words, stated, place, scope)
        if compiled is None:
            return None
        if compiled.type.kind in (Kind.BYTES, Kind.ARRAY):
            scope.wrong("type", place, f"{compiled.type.kind.value} values are no items of a list")
            return None
        made[key] = compiled
    return CompiledItem(made)
