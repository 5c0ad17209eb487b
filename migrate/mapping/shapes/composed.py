"""Shapes made of shapes: lists, maps, records with known keys, one of several kinds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from migrate.mapping.shapes.plain import WHY, WHY_DOC, Shape
from migrate.mapping.shapes.reading import BAD, Bad, Reading, Schema, build, later, nearest, one_line, place
from migrate.mapping.tree import Items, Node, Pairs, Path_, Text


@dataclass
class Many(Shape):
    """A list; `single`: one item may stand without the brackets. Gives a tuple."""

    item: Shape
    words: str = "a list"
    single: bool = False
    at_least: int = 1
    flat: bool = False  # an item gives a tuple that is taken apart

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, (Text, Pairs)) and self.single:
            value = self.item.read(node, reading, path)
            return value if isinstance(value, Bad) or self.flat else (value,)
        if not isinstance(node, Items):
            return self.refuse(node, reading, path)
        if len(node.items) < self.at_least:
            return reading.wrong(
                "empty", node.at, f"{place(path)} is an empty list", "fill it, or remove the key"
            )
        values = []
        for index, item in enumerate(node.items):
            reading.values[(*path, index)] = item.at
            values.append(self.item.read(item, reading, (*path, index)))
        good = [v for v in values if not isinstance(v, Bad)]
        return tuple(one for v in good for one in v) if self.flat else tuple(good)

    def inner(self) -> tuple[Shape, ...]:
        return (self.item,)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        item = self.item.schema(definitions)
        many: Schema = {"type": "array", "items": item, "minItems": self.at_least}
        return {"anyOf": [item, many]} if self.single else many


@dataclass
class MapOf(Shape):
    """Free names with values of one shape. Gives a dict without the bad ones."""

    value: Shape
    words: str = "a map"
    name_check: Callable[[str], str | None] | None = None
    at_least: int = 1

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        if len(node.pairs) < self.at_least:
            return reading.wrong("empty", node.at, f"{place(path)} is an empty map", f"expected {self.words}")
        result: dict[str, Any] = {}
        for key, node_ in node.pairs:
            inner = (*path, key.value)
            reading.keys[inner], reading.values[inner] = key.at, node_.at
            message = self.name_check(key.value) if self.name_check else None
            if message:
                reading.wrong("wrong_value", key.at, message)
            value = self.value.read(node_, reading, inner)
            if not message and not isinstance(value, Bad):
                result[key.value] = value
        return result

    def inner(self) -> tuple[Shape, ...]:
        return (self.value,)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "type": "object",
            "additionalProperties": self.value.schema(definitions),
            "minProperties": self.at_least,
        }


@dataclass
class Key:
    """One key of a record: `doc` becomes the schema's description, `to` is the name in the model; `instead` is the key
    that may stand in place of a required one."""

    shape: Shape
    doc: str
    required: bool = False
    to: str = ""
    instead: str = ""


@dataclass
class Record(Shape):
    """A map with fixed names. `title` completes "is not a key of …"; `later` are names of the language that are not
    built yet; `finish` gets the good values by model name and the node, reports what the keys say together, and
    gives the result (default: `model`). `explained`: `why` may stand among its keys, whatever they are."""

    title: str
    keys: dict[str, Key]
    model: type[BaseModel] | None = None
    later: frozenset[str] = frozenset()
    finish: Callable[[dict[str, Any], Pairs, Reading, Path_], Any] | None = None
    words: str = "a map"
    rules: Schema = field(default_factory=dict)  # what the schema says besides
    explained: bool = True

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        values: dict[str, Any] = {}
        complete = True
        instead = {key.instead for key in self.keys.values()}
        for name, node_ in node.pairs:
            inner = (*path, name.value)
            reading.keys[inner], reading.values[inner] = name.at, node_.at
            key = self.keys.get(name.value)
            if key is None and name.value == "why" and self.explained:
                if not isinstance(reason := WHY.read(node_, reading, inner), Bad):
                    reading.reasons[path] = reason
                continue
            if key is None:
                self._unknown(name, reading)
                continue
            value = key.shape.read(node_, reading, inner)
            if not isinstance(value, Bad):
                values[key.to or name.value] = value
            elif key.required or name.value in instead:
                complete = False
        for wanted, key in self.keys.items():
            names = (wanted, key.instead) if key.instead else (wanted,)
            if key.required and all(node.get(name) is None for name in names):
                complete = False
                # A typo of it is reported already, with the right name.
                if not any(self.typo_of(name.value, reading) in names for name, _ in node.pairs):
                    reading.wrong(
                        "missing_key", node.at, f"{self.title} needs `{wanted}`", one_line(key.doc, 100)
                    )
        if not complete:
            return BAD
        if self.finish:
            return self.finish(values, node, reading, path)
        return build(self.model, values, node, reading) if self.model else values

    def _homes(self, name: str, reading: Reading) -> list[str]:
        return [title for title in reading.elsewhere.get(name, []) if title != self.title]

    def typo_of(self, name: str, reading: Reading) -> str:
        """The key that an unknown name stands for, or ""; a name that another record has must be very close."""
        if name in self.keys or name in self.later:
            return ""
        return nearest(name, [*self.keys, *self.later], 0.8 if self._homes(name, reading) else 0.6)

    def _unknown(self, name: Text, reading: Reading) -> None:
        text = name.value
        if text in self.later:
            reading.wrong("later", name.at, later(text))
            return
        if meant := self.typo_of(text, reading):
            hint = f"did you mean `{meant}`?"
        elif homes := self._homes(text, reading):
            hint = f"it is a key of {' and of '.join(homes[:3])}"
        else:
            hint = "its keys are " + ", ".join(self.keys)
        reading.wrong("unknown_key", name.at, f"`{one_line(text)}` is not a key of {self.title}", hint)

    def inner(self) -> tuple[Shape, ...]:
        return tuple(key.shape for key in self.keys.values())

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        name = re.sub(
            r"\W+", "_", self.title.removeprefix("a ").removeprefix("an ").removeprefix("the ")
        ).strip("_")
        if name not in definitions:
            definitions[name] = {}  # a place for records inside themselves
            properties = {
                key: {**value.shape.schema(definitions), "description": value.doc}
                for key, value in self.keys.items()
            }
            if self.explained and self.keys:
                properties.setdefault("why", WHY.schema(definitions) | {"description": WHY_DOC})
            schema: Schema = {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                **self.rules,
            }
            required = [key for key, value in self.keys.items() if value.required and not value.instead]
            definitions[name] = schema | ({"required": required} if required else {})
        return {"$ref": f"#/$defs/{name}"}


@dataclass
class KeysAndNames(Shape):
    """One map with keys of the language and, beside them, names of the user's own: both go into `model`, the names as
    the dict `to`. `nothing`: what is said where there are no names."""

    keys: Record  # its `finish` gives the values as they are; its `title` is that of the whole
    names: MapOf
    model: type[BaseModel]
    to: str
    nothing: str
    words: str = "a map"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        known = {*self.keys.keys, "why"}
        own = tuple(pair for pair in node.pairs if pair[0].value in known)
        rest = tuple(pair for pair in node.pairs if pair[0].value not in known)
        if not rest:
            return reading.wrong("empty", node.at, self.nothing, f"write {self.words}")
        values = self.keys.read(Pairs(own, node.at), reading, path)
        named = self.names.read(Pairs(rest, node.at), reading, path)
        if not isinstance(values, dict) or not isinstance(named, dict) or len(named) < len(rest):
            return BAD
        return build(self.model, {**values, self.to: named}, node, reading)

    def inner(self) -> tuple[Shape, ...]:
        return (self.keys, self.names)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        keys = self.keys.keys
        own = {name: key.shape.schema(definitions) | {"description": key.doc} for name, key in keys.items()}
        required = [name for name, key in keys.items() if key.required]
        schema: Schema = {
            "type": "object",
            "properties": own | {"why": {"type": "string"}},
            "additionalProperties": self.names.value.schema(definitions),
        }
        # A name has to be there besides the keys that must.
        return schema | ({"required": required} if required else {}) | {"minProperties": len(required) + 1}


@dataclass
class ByKind(Shape):
    """Another shape for a text, a list and a map: what the file says is told by its kind, so no mistake is blamed on
    the wrong one."""

    text: Shape | None = None
    items: Shape | None = None
    pairs: Shape | None = None
    words: str = ""

    def __post_init__(self) -> None:
        self.words = self.words or " or ".join(s.words for s in (self.text, self.items, self.pairs) if s)

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        shape = {Text: self.text, Items: self.items, Pairs: self.pairs}.get(type(node))
        return shape.read(node, reading, path) if shape else self.refuse(node, reading, path)

    def inner(self) -> tuple[Shape, ...]:
        return tuple(s for s in (self.text, self.items, self.pairs) if s)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        forms = [
            s for s in (self.text, self.items, self.pairs) if s and not (isinstance(s, Record) and not s.keys)
        ]
        return (
            forms[0].schema(definitions)
            if len(forms) == 1
            else {"anyOf": [s.schema(definitions) for s in forms]}
        )


@dataclass
class Then(Shape):
    """A shape whose good value is turned into another; `turn` may report problems."""

    shape: Shape
    turn: Callable[[Any, Node, Reading, Path_], Any]

    def __post_init__(self) -> None:
        self.words = self.shape.words

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = self.shape.read(node, reading, path)
        return value if isinstance(value, Bad) else self.turn(value, node, reading, path)

    def inner(self) -> tuple[Shape, ...]:
        return (self.shape,)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return self.shape.schema(definitions)


def records(shape: Shape) -> list[Record]:
    """All records below a shape, in order."""
    return [one for one in all_shapes(shape) if isinstance(one, Record)]


def all_shapes(shape: Shape) -> list[Shape]:
    """A shape and all that it is made of, each once, in order."""
    found: dict[int, Shape] = {}

    def look(one: Shape) -> None:
        if id(one) not in found:
            found[id(one)] = one
            for inner in one.inner():
                look(inner)

    look(shape)
    return list(found.values())
