"""`examples` of an entity: tests of the mapping, carried out without any database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migrate.mapping.model import Cell, Example
from migrate.mapping.reference_shapes import name_check
from migrate.mapping.shapes import (
    BAD,
    Bad,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Words,
    build,
    place,
)
from migrate.mapping.tree import Empty, Items, Node, Pairs, Path_, Text

# What an example may say of its row besides its columns; columns of such a name go under `columns`.
OUTCOMES = ("quarantine", "excluded", "events", "columns")
_CODE = Words("a code such as required")
_CODES = Many(_CODE, "a code, or a list of codes", single=True)
_EVENTS = MapOf(_CODES, "a map of target columns to codes such as emptied", name_check("column"))
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}


@dataclass
class CellShape(Shape):
    """A value of a source column: a text, or null; remembers whether it was quoted."""

    words: str = "a text, or null for nothing"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text):
            return Cell(text=None if node.is_null else node.value, quoted=not node.plain)
        return self.refuse(node, reading, path)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return _SCALAR


_ROW = MapOf(CellShape(), "a map of source columns to values", name_check("column"), at_least=0)


@dataclass
class Given(Shape):
    """Columns with their values; a joined row as a map under its join's name, several of them as a list of maps."""

    words: str = "a map of source columns to values"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        cells: dict[str, Cell] = {}
        joined: dict[str, tuple[dict[str, Cell], ...]] = {}
        for name, inner in node.pairs:
            here = (*path, name.value)
            reading.keys[here], reading.values[here] = name.at, inner.at
            if isinstance(inner, (Pairs, Items)):
                rows = _JOINED.read(inner, reading, here)
                if not isinstance(rows, Bad):
                    joined[name.value] = rows
            elif not isinstance(cell := CellShape().read(inner, reading, here), Bad):
                cells[name.value] = cell
        return {"given": cells, "joined": joined}

    def inner(self) -> tuple[Shape, ...]:
        return (_ROW, _JOINED)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        row = _ROW.schema(definitions)
        return {
            "type": "object",
            "additionalProperties": {"anyOf": [_SCALAR, row, {"type": "array", "items": row}]},
        }


_JOINED = Many(_ROW, "a joined row, or a list of joined rows", single=True, at_least=0)


@dataclass
class Expected(Shape):
    """Target columns with the values they must have, or what becomes of the row."""

    words: str = "a map of target columns to values, {quarantine: CODE} or {excluded: where}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        if not node.pairs:
            return reading.wrong("empty", node.at, f"{place(path)} is an empty map", f"expected {self.words}")
        found: dict[str, Any] = {"columns": {}}
        shapes: dict[str, Shape] = {
            "quarantine": _CODES,
            "excluded": Words("where, or another reason to be left out"),
            "events": _EVENTS,
            "columns": MapOf(Value(), "a map of target columns to values", name_check("column")),
        }
        for name, inner in node.pairs:
            here = (*path, name.value)
            reading.keys[here], reading.values[here] = name.at, inner.at
            value = shapes.get(name.value, Value()).read(inner, reading, here)
            if isinstance(value, Bad):
                continue
            if name.value == "columns":
                found["columns"] |= value
            elif name.value in shapes:
                found[name.value] = value
            else:
                found["columns"][name.value] = value
        return {"expect": found.pop("columns"), **found}

    def inner(self) -> tuple[Shape, ...]:
        return (_CODES, _EVENTS, Value())

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        codes = _CODES.schema(definitions)
        return {
            "type": "object",
            "properties": {
                "quarantine": codes | {"description": "The codes that the row is quarantined with."},
                "excluded": {"type": "string", "description": "Why the row is left out: where."},
                "events": _EVENTS.schema(definitions) | {"description": "What rules do to values."},
                "columns": {
                    "type": "object",
                    "description": "Target columns that are named like one of these.",
                },
            },
            "minProperties": 1,
        }


@dataclass
class Value(Shape):
    """What a target column must hold: a text, null, a list, an object of JSON, or {ref: [entity, key, …]}."""

    words: str = "a text, null, a list, an object, {ref: [entity, key]} or {find: [table, column, value]}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text):
            return None if node.is_null else node.value
        if isinstance(node, Items):
            return self._many(node, reading, path)
        if isinstance(node, Pairs):
            return self._object(node, reading, path)
        assert isinstance(node, Empty)
        return self.refuse(node, reading, path)

    def _many(self, node: Items, reading: Reading, path: Path_) -> Any:
        values = [self.read(item, reading, (*path, index)) for index, item in enumerate(node.items)]
        return BAD if any(isinstance(v, Bad) for v in values) else values

    def _object(self, node: Pairs, reading: Reading, path: Path_) -> Any:
        found = {}
        for name, inner in node.pairs:
            here = (*path, name.value)
            reading.keys[here], reading.values[here] = name.at, inner.at
            found[name.value] = self.read(inner, reading, here)
        if any(isinstance(v, Bad) for v in found.values()):
            return BAD
        for word, parts, sample in (
            ("ref", 2, "[accounts, Acme]"),
            ("find", 3, "[users, email, a@b.example]"),
        ):
            if found.keys() == {word}:
                given = found[word]
                if not isinstance(given, list) or len(given) < parts or not all(_text(v) for v in given):
                    return reading.wrong(
                        "wrong_type",
                        node.at,
                        f"`{word}` names no row here",
                        f"for example {{{word}: {sample}}}",
                    )
        return found


def _text(value: object) -> bool:
    return isinstance(value, str)


def _example(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    reading.keys[path] = node.at
    content = {**values.pop("given"), **values.pop("expect"), **values}
    if "excluded" in content and (content["expect"] or "quarantine" in content):
        at = reading.key_at(*path, "expect", "excluded")
        return reading.wrong(
            "conflict", at, "a row that is left out has no values and no codes", "expect one of them"
        )
    return build(Example, {**content, "number": path[-1]}, node, reading)


EXAMPLES = Many(
    Record(
        "an example",
        {
            "name": Key(Words("a name", raw=True), "What the example shows, for people."),
            "given": Key(Given(), "Source columns with their values; joined rows under the name of the join. What is not given is NULL.", required=True),
            "expect": Key(Expected(), "Target columns with the values they must have, or {quarantine: CODE}, {excluded: where}, {events: {column: code}}.", required=True),
        },
        finish=_example,
    ),
    "a list of examples, [{given: {…}, expect: {…}}]",
)  # fmt: skip
