"""Shapes: what may stand at a place of the mapping. One declaration reads the tree and gives the JSON Schema.

Reading never stops at the first mistake: a shape reports to `Reading.problems` and gives BAD, its parent
goes on with the rest.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from migrate.mapping.environment import unresolved
from migrate.mapping.tree import Empty, Items, Node, Pairs, Path_, Position, Problems, Text

Schema = dict[str, Any]


class Bad:
    """The value of a place that holds a mistake; the mistake is reported."""


BAD = Bad()


@dataclass
class Reading:
    """One reading of one file: where things stand and what is wrong so far. Paths are names and list indices."""

    problems: Problems
    environment: Mapping[str, str]
    base: Path
    elsewhere: Mapping[str, list[str]] = field(
        default_factory=dict
    )  # name of a key → titles of the records that have it
    keys: dict[Path_, Position] = field(default_factory=dict)
    values: dict[Path_, Position] = field(default_factory=dict)
    reasons: dict[Path_, str] = field(default_factory=dict)  # `why` of what has no key of that name
    resolved: dict[str, str] = field(default_factory=dict)  # text from the environment → as the file says it
    kept: Path | None = None  # a folder of copies of the files that the mapping names
    files: dict[str, str] = field(default_factory=dict)  # the files that it names → SHA-256 of their bytes
    ahead: dict[str, Any] = field(default_factory=dict)  # sections that others need, read before their turn

    def wrong(self, code: str, at: Position, message: str, hint: str = "") -> Bad:
        self.problems.add(code, at, message, hint)
        return BAD

    def at(self, *path: str | int) -> Position:
        """Where the value at `path` stands, or the nearest thing around it."""
        return self._nearest(self.values, path)

    def key_at(self, *path: str | int) -> Position:
        """Where the name that ends `path` stands."""
        return self.keys.get(path) or self._nearest(self.values, path)

    def _nearest(self, places: Mapping[Path_, Position], path: Path_) -> Position:
        while path:
            if path in places:
                return places[path]
            path = path[:-1]
        return (1, 1)


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The most similar of the names, or ""; case does not count."""
    by_lower = {n.lower(): n for n in names}
    found = difflib.get_close_matches(name.lower(), list(by_lower), 1, cutoff)
    return by_lower[found[0]] if found else ""


def did_you_mean(name: str, names: Iterable[str], otherwise: str = "") -> str:
    near = nearest(name, names)
    return f"did you mean `{near}`?" if near else otherwise


def later(name: str, where: str = "") -> str:
    return f"`{name}`{where} belongs to the mapping language but is not built yet in this version"


def place(path: Path_) -> str:
    """The words for a place: the name of the key, or the item of a list."""
    if path and isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {place(path[:-1])}"
    return f"`{path[-1]}`" if path else "the file"


def kind_of(node: Node) -> str:
    return {Text: "a text", Items: "a list", Pairs: "a map", Empty: "nothing"}[type(node)]


def one_line(text: str, limit: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Shape:
    """`words` completes "expected …"."""

    words = "something"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        raise NotImplementedError

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        raise NotImplementedError

    def refuse(self, node: Node, reading: Reading, path: Path_) -> Bad:
        """The problem of a node that is empty or of another kind."""
        if isinstance(node, Empty):
            hint = (
                f'everything after # is a comment; quote it: "{one_line(node.comment)}"'
                if node.comment
                else f"write {self.words}, or remove the key"
            )
            return reading.wrong("empty", node.at, f"{place(path)} is empty", hint)
        return reading.wrong(
            "wrong_type", node.at, f"{place(path)} is {kind_of(node)} here; expected {self.words}"
        )


@dataclass
class Words(Shape):
    """One text. `check` gives the message of what is wrong, or None; `null` lets an unquoted null give None
    (else it is a mistake, or with `null_is_text` a text); `env` replaces ${NAME}, without it a reference is a mistake unless `raw`."""

    words: str = "a text"
    check: Callable[[str], str | None] | None = None
    null: bool = False
    null_is_text: bool = False
    env: bool = False
    raw: bool = False
    may_be_empty: bool = False
    pattern: str = ""  # of the schema only

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        if self.null and node.is_null:
            return None
        if node.is_null and not self.null_is_text:
            return reading.wrong(
                "wrong_value",
                node.at,
                f"{place(path)} cannot be {node.value}",
                f'quote it if the text is meant: "{node.value}"',
            )
        text = node.value
        if self.env:
            text, problems = unresolved(text, reading.environment)
            for message, hint in problems:
                reading.wrong("environment", node.at, message, hint)
            if problems:
                return BAD
            if text != node.value:
                reading.resolved[text] = node.value
        elif not self.raw and re.search(r"\$\{[A-Za-z_]", text):
            return reading.wrong(
                "environment",
                node.at,
                f"{place(path)} cannot come from the environment",
                "write the text itself",
            )
        if not text and not self.may_be_empty:
            return reading.wrong(
                "empty", node.at, f"{place(path)} is an empty text", f"expected {self.words}"
            )
        if self.check and (wrong := self.check(text)):
            return reading.wrong("wrong_value", node.at, wrong)
        return text

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        types = ["string", "number", "boolean", *(["null"] if self.null else [])]
        schema: Schema = {"type": types}
        if not self.may_be_empty and not self.env:
            schema["minLength"] = 1
        if self.pattern:
            schema["pattern"] = self.pattern
        return schema


WHY = Words("the reason", raw=True)
WHY_DOC = "The reason; shown in plan and report."


@dataclass
class Choice(Shape):
    choices: tuple[str, ...]
    later: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.words = "one of " + ", ".join(self.choices) if len(self.choices) > 1 else self.choices[0]

    @classmethod
    def of(cls, model: type[BaseModel], name: str, *, later: Iterable[str] = ()) -> Choice:
        """The choices of a Literal in a model."""
        return cls(tuple(_literals(model.model_fields[name].annotation)), frozenset(later))

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        if node.value in self.choices:
            return node.value
        if node.value in self.later:
            return reading.wrong("later", node.at, later(f"{place(path).strip('`')}: {node.value}"))
        near = did_you_mean(node.value, self.choices)
        return reading.wrong(
            "wrong_value",
            node.at,
            f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words}',
            near,
        )

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        # Editors read an unquoted 1 as a number.
        return {"enum": [*self.choices, *(int(choice) for choice in self.choices if choice.isdigit())]}


def _literals(annotation: Any) -> list[str]:
    found: list[str] = []
    for arg in get_args(annotation):
        found.extend(_literals(arg) if get_args(arg) else [arg] if isinstance(arg, str) else [])
    return found


@dataclass
class Whole(Shape):
    low: int = 0
    words: str = "a whole number"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        if not re.fullmatch(r"[0-9]{1,9}", node.value) or int(node.value) < self.low:
            return reading.wrong(
                "wrong_value",
                node.at,
                f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words} of at least {self.low}',
            )
        return int(node.value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "anyOf": [{"type": "integer", "minimum": self.low}, {"type": "string", "pattern": "^[0-9]{1,9}$"}]
        }


@dataclass
class Share(Shape):
    """2% or 0.02 → 0.02."""

    words: str = "a share from 0 to 100%, such as 2% or 0.02"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%?)", node.value)
        number = float(match[1]) / (100 if match[2] else 1) if match else -1.0
        if not 0 <= number <= 1:
            hint = f"did you mean {match[1]}%?" if match and not match[2] and number <= 100 else ""
            return reading.wrong(
                "wrong_value",
                node.at,
                f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words}',
                hint,
            )
        return number

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?\s*%?$"},
            ]
        }


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

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return self.shape.schema(definitions)


def build(model: type[BaseModel], values: Mapping[str, Any], node: Node, reading: Reading) -> Any:
    """The typed value. Shapes have read everything already; what the model still refuses is told in our words."""
    try:
        return model(**values)
    except ValidationError as error:
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"]) or model.__name__
            reading.wrong("wrong_value", node.at, f"`{name}` cannot be this")
        return BAD


def records(shape: Shape, seen: dict[int, Shape] | None = None) -> list[Record]:
    """All records below a shape, in order."""
    seen = {} if seen is None else seen
    if id(shape) in seen:
        return []
    seen[id(shape)] = shape
    inner: list[Shape | None] = []
    if isinstance(shape, Record):
        inner = [key.shape for key in shape.keys.values()]
    elif isinstance(shape, (MapOf, Many, Then)):
        inner = [
            shape.value
            if isinstance(shape, MapOf)
            else shape.item
            if isinstance(shape, Many)
            else shape.shape
        ]
    elif isinstance(shape, ByKind):
        inner = [shape.text, shape.items, shape.pairs]
    found = [shape] if isinstance(shape, Record) else []
    for one in inner:
        found += records(one, seen) if one else []
    return found
