"""Shapes of value maps, outcomes, find and ref, and of the names of tables and columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrate.mapping.model import Default, Find, Ref
from migrate.mapping.shapes import (
    BAD,
    Bad,
    ByKind,
    Choice,
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
    nearest,
    one_line,
    place,
)
from migrate.mapping.tree import Node, Pairs, Path_


def name_check(what: str) -> Callable[[str], str | None]:
    """Names of tables and columns are free; a line break or another control character in one is a mistake."""

    def check(text: str) -> str | None:
        if not text:
            return f"the name of a {what} is empty"
        return None if text.isprintable() else f"the name of a {what} holds a character that cannot be seen"

    return check


COLUMN = Words("the name of a source column", name_check("column"))
TARGET_COLUMN = Words("the name of a target column", name_check("column"))
TABLE = Words("the name of a table", name_check("table"))
LITERAL = Words("a text", env=True, may_be_empty=True)
NULLABLE = Words("a text, or null for nothing", env=True, null=True, may_be_empty=True)


VALUES = MapOf(
    Words("a text, or null for nothing", null=True, raw=True, may_be_empty=True), "a map of values"
)


@dataclass
class Values(Shape):
    """The data of a value map that stands in a field: text → text, or null for nothing. Options live in named maps."""

    words: str = "a map of values"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        for key, _ in node.pairs:
            if key.value in ("file", "table"):
                return reading.wrong(
                    "conflict",
                    key.at,
                    f"a map with `{key.value}:` has a name: write it under `maps`, and its name here",
                    "a value of that name goes under values: {…}",
                )
        values = node.get("values")
        if not isinstance(values, Pairs):
            return VALUES.read(node, reading, path)
        extra = [key for key, _ in node.pairs if key.value != "values"]
        for key in extra:
            hint = (
                "write the map under `maps`, and its name here"
                if key.value == "ignore"
                else "put it under values"
            )
            message = f"`{one_line(key.value)}` cannot stand beside `values`"
            reading.wrong("unknown_key", key.at, message, hint)
        return BAD if extra else VALUES.read(values, reading, (*path, "values"))

    def inner(self) -> tuple[Shape, ...]:
        return (VALUES,)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        flat = VALUES.schema(definitions) | {
            "not": {"anyOf": [{"required": ["file"]}, {"required": ["table"]}]}
        }
        long: Schema = {
            "type": "object",
            "properties": {"values": VALUES.schema(definitions)},
            "required": ["values"],
            "additionalProperties": False,
        }
        return {"anyOf": [flat, long]}


def _default(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if len(node.pairs) != 1:
        return reading.wrong(
            "wrong_type", node.at, f"{place(path)} says {len(node.pairs)} things at once", "write one of them"
        )
    return Default(default=values["default"]) if "default" in values else values["find"]


def outcome(choice: Choice, title: str, find: Shape | None = None) -> Shape:
    keys = {
        "default": Key(NULLABLE, "This text instead (before the target's type is read); null for nothing.")
    }
    if find is not None:
        keys["find"] = Key(find, "A row of the target instead.")
    choice = Choice(choice.choices)
    choice.words += ", {default: …} or {find: …}" if find else " or {default: …}"
    words = choice.words
    record = Record(
        title, keys, finish=_outcome_finish, rules={"minProperties": 1, "maxProperties": 1}, explained=False
    )
    return ByKind(choice, pairs=record, words=words)


def _outcome_finish(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if not values:
        return BAD
    return _default(values, node, reading, path)


OUTCOME = Choice(("quarantine", "empty_and_flag", "stop"))


class Finding(Shape):
    """`{in: users, by: email}`, `{in: users, email: "x@y"}`: names that are no keyword are conditions."""

    words = "for example {in: users, by: email}"
    keywords = ("in", "by", "give", "missing", "ambiguous")

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        values: dict[str, Any] = {"where": {}}
        good = True
        shapes: dict[str, Shape] = {
            "in": TABLE,
            "by": TARGET_COLUMN,
            "give": TARGET_COLUMN,
            "missing": FIND_OUTCOME,
            "ambiguous": FIND_OUTCOME,
        }
        for name, inner in node.pairs:
            here = (*path, name.value)
            reading.keys[here], reading.values[here] = name.at, inner.at
            if name.value not in self.keywords and (
                near := nearest(name.value, ("missing", "ambiguous"), 0.8)
            ):
                reading.wrong(
                    "unknown_key", name.at, f"`{name.value}` is not a key of find", f"did you mean `{near}`?"
                )
                good = False
                continue
            value = shapes.get(name.value, LITERAL).read(inner, reading, here)
            if isinstance(value, Bad):
                good = False
            elif name.value in shapes:
                values["table" if name.value == "in" else name.value] = value
            else:
                values["where"][name.value] = value
        if node.get("in") is None:
            reading.wrong("missing_key", node.at, "find needs `in`", "the target table to look in")
            return BAD
        if node.get("by") is None and all(name.value in self.keywords for name, _ in node.pairs):
            reading.wrong("missing_key", node.at, "find needs `by` or a condition", self.words)
            return BAD
        return build(Find, values, node, reading) if good else BAD

    def inner(self) -> tuple[Shape, ...]:
        return (TABLE, TARGET_COLUMN, LITERAL, FIND_OUTCOME)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        if "find" not in definitions:
            definitions["find"] = {}
            definitions["find"] = {
                "type": "object",
                "properties": {
                    "in": TABLE.schema(definitions) | {"description": "The target table."},
                    "by": TARGET_COLUMN.schema(definitions)
                    | {"description": "The column that equals the field's value."},
                    "give": TARGET_COLUMN.schema(definitions)
                    | {"description": "The column whose value is taken; by default the primary key."},
                    "missing": FIND_OUTCOME.schema(definitions) | {"description": "Where no row is found."},
                    "ambiguous": FIND_OUTCOME.schema(definitions)
                    | {"description": "Where several rows are found."},
                },
                "additionalProperties": LITERAL.schema(definitions),
                "required": ["in"],
                "minProperties": 2,
                "description": "A look into the proven backup of the target; other names are columns with the value they must have.",
            }
        return {"$ref": "#/$defs/find"}


FIND = Finding()
FIND_OUTCOME = outcome(OUTCOME, "the outcome of find", FIND)
_REF_OUTCOME = outcome(OUTCOME, "the outcome of ref", FIND)


def _ref(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    to = values.pop("to")
    lists = {"by": values.get("by", ())} | ({"to": to} if isinstance(to, tuple) else {})
    for name, given in lists.items():
        twice = next((one for i, one in enumerate(given) if one in given[:i]), None)
        if twice is not None:
            return reading.wrong(
                "conflict", reading.at(*path, name), f"`{name}` names `{one_line(twice)}` twice"
            )
    if isinstance(to, dict):
        if "kind" not in values:
            if node.get("kind") is None:
                reading.wrong(
                    "missing_key",
                    reading.at(*path, "to"),
                    "`to` as a map needs `kind`",
                    "the source column that says which of them",
                )
            return BAD
        return build(Ref, {**values, "kinds": to}, node, reading)
    if node.get("kind") is not None:
        return reading.wrong(
            "wrong_type",
            reading.at(*path, "to"),
            "with `kind`, `to` is a map",
            "for example {Account: accounts, Contact: contacts}",
        )
    return build(Ref, {**values, "to": to}, node, reading)


ENTITY_NAME = Words("the name of an entity")
REF = ByKind(
    Then(ENTITY_NAME, lambda value, node, reading, path: Ref(to=(value,))),
    pairs=Record(
        "ref",
        {
            "to": Key(
                ByKind(
                    Then(ENTITY_NAME, lambda value, node, reading, path: (value,)),
                    Many(ENTITY_NAME, "a list of entities"),
                    MapOf(ENTITY_NAME, "a map of kinds to entities"),
                    words="the name of an entity, a list of them, or with `kind` a map",
                ),
                "The entity whose row is meant; of several, the one that has it; with `kind`, a map from the kind's values to entities.",
                required=True,
            ),
            "by": Key(
                Many(COLUMN, "a source column of that entity, or a list of them", single=True),
                "The source columns of that entity which the value is compared with, in place of its key.",
            ),
            "kind": Key(COLUMN, "The source column whose value says which entity is meant."),
            "missing": Key(
                _REF_OUTCOME,
                "Where the row is not known: quarantine (default), empty_and_flag, stop, {default: …}, {find: …}.",
            ),
            "ambiguous": Key(_REF_OUTCOME, "Where several rows fit; as `missing`."),
        },
        finish=_ref,
    ),
    words="the name of an entity, or {to: …}",
)
