"""`list`: several values in one target column, an array or JSON; its items are values, or objects of values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migrate.mapping.model import Field, Item, ListOf
from migrate.mapping.reference_shapes import COLUMN, name_check
from migrate.mapping.shapes import (
    BAD,
    Bad,
    ByKind,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Then,
    Words,
    build,
)
from migrate.mapping.tree import Node, Pairs, Path_, Text

# What tells a value from an object where both are written as a map.
_OF_VALUES = frozenset(["from", "expr", "ref", "first_of", "do"])


_OBJECT = "An object whose names would be taken for keys of a value."


@dataclass
class ItemShape(Shape):
    """A source column, `{from: …}` with the keys of `value`, or an object `{name: value, …}`.

    `object: {…}` is an object whose names would be taken for keys of a value."""

    value: Record
    words: str = "a source column, {from: …}, or {name: value, …}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text):
            return _item(COLUMN.read(node, reading, path))
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        names = {key.value for key, _ in node.pairs}
        if names == {"object"}:
            inner = node.pairs[0][1]
            reading.values[(*path, "object")] = inner.at
            return self._object(inner, reading, (*path, "object"))
        if names & _OF_VALUES or (names and names <= self.value.keys.keys()):
            value = self.value.read(node, reading, path)
            return value if isinstance(value, Bad) else Item(field=value)
        return self._object(node, reading, path)

    def _object(self, node: Node, reading: Reading, path: Path_) -> Any:
        values = self._objects.read(node, reading, path)
        return values if isinstance(values, Bad) else Item(keys=values)

    @property
    def _objects(self) -> MapOf:
        one = ByKind(
            Then(COLUMN, lambda value, node, reading, path: Field(from_=value)),
            pairs=self.value,
            words="a source column, or {from: …}",
        )
        return MapOf(one, "a map of names to values", name_check("name"))

    def inner(self) -> tuple[Shape, ...]:
        return (self.value, self._objects)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        objects = self._objects.schema(definitions)
        forced: Schema = {
            "type": "object",
            "properties": {"object": objects | {"description": _OBJECT}},
            "required": ["object"],
            "additionalProperties": False,
        }
        return {"anyOf": [COLUMN.schema(definitions), self.value.schema(definitions), objects, forced]}


def _item(column: Any) -> Any:
    return column if isinstance(column, Bad) else Item(field=Field(from_=column))


def list_shape(value: Record) -> Shape:
    """The shape of `list`; `value` has the keys that the values of its items may have."""
    item = ItemShape(value)
    record = Record(
        "a list",
        {
            "of": Key(Words("the name of a join"), "The join (`with`, rows: any) whose rows are the items."),
            "split": Key(COLUMN, "The source column whose text is cut into items."),
            "on": Key(Words("a separator", raw=True), "What stands between two items of `split`."),
            "each": Key(
                item, "What each item is; for `split` the piece is the value, unless it says `from`."
            ),
            "one_per": Key(
                Many(Words("item, or names of the item's values"), "item, or a list of names", single=True),
                "item: equal items stand once; names: one item for each combination of these values.",
            ),
            "order": Key(
                Many(Words("a column; -column for descending"), "a list of columns", single=True),
                "The order of the rows of `of`.",
            ),
        },
        finish=_list,
        rules={"oneOf": [{"required": ["of", "each"]}, {"required": ["split", "on"]}]},
    )
    return ByKind(
        items=Then(Many(item, "a list of items"), _written_out),
        pairs=record,
        words="a list of items, {of: …, each: …} or {split: …, on: …}",
    )


def _written_out(items: tuple[Item, ...], node: Node, reading: Reading, path: Path_) -> Any:
    for number, item in enumerate(items):
        _with_origins(item, reading, (*path, number))
    return ListOf(items=items)


def _with_origins(item: Item, reading: Reading, path: Path_) -> None:
    """Only a piece of `split` is a value by itself."""
    for name, value in item.values.items():
        if not value.has_origin:
            at = (*path, name) if name else path
            reading.wrong(
                "missing_key",
                reading.at(*at),
                f"{f'`{name}`' if name else 'this item'} does not say where its value comes from",
                "from: a source column, value: a text, or expr: SQL",
            )


def _list(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    has = {name.value for name, _ in node.pairs}
    if {"of", "split"} <= has:
        return reading.wrong(
            "conflict",
            reading.key_at(*path, "split"),
            "`of` and `split` exclude each other",
            "write two lists",
        )
    if not has & {"of", "split"}:
        return reading.wrong(
            "missing_key",
            node.at,
            "a list needs `of` or `split`",
            "or write its items: list: [mail, mail2], list: [{email: mail, type: {value: Work}}]",
        )
    wanted, where = ("each", "of") if "of" in has else ("on", "split")
    if wanted not in has:
        return reading.wrong(
            "missing_key",
            node.at,
            f"`{where}` needs `{wanted}`",
            "what each item is" if wanted == "each" else 'what stands between two items, such as ";"',
        )
    if "split" in has and "order" in has:
        return reading.wrong(
            "conflict",
            reading.key_at(*path, "order"),
            "`order` is for rows of a join; pieces keep their order",
        )
    if has - values.keys():
        return BAD
    if "of" in has:
        _with_origins(values["each"], reading, (*path, "each"))
    return build(ListOf, values, node, reading)
