"""Shape of one `do` step: a function with its arguments."""

from __future__ import annotations

from typing import Any

from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import Arguments, FromColumn, FunctionSpec, Parameter
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.list_files import read_list_file
from migrate.mapping.model import ListFile, Step
from migrate.mapping.shapes import (
    BAD,
    Bad,
    Reading,
    Schema,
    Shape,
    Words,
    did_you_mean,
    one_line,
    place,
)
from migrate.mapping.tree import Items, Node, Pairs, Path_, Text


class Steps(Shape):
    words = "a function such as trim, or {round: 0}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text):
            return self._step(node, None, reading, path)
        if isinstance(node, Pairs) and len(node.pairs) == 1:
            name, argument = node.pairs[0]
            reading.keys[(*path, name.value)] = name.at
            return self._step(name, argument, reading, path)
        if isinstance(node, Pairs):
            return reading.wrong(
                "wrong_type",
                node.at,
                f"{place(path)} names {len(node.pairs)} functions at once",
                "their order counts: write a list, do: [trim, {round: 0}]",
            )
        return self.refuse(node, reading, path)

    def _step(self, name: Text, node: Node | None, reading: Reading, path: Path_) -> Any:
        spec = FUNCTIONS.get(name.value)
        if spec is None:
            hint = did_you_mean(name.value, FUNCTIONS, "the functions are " + ", ".join(FUNCTIONS))
            return reading.wrong(
                "unknown_name", name.at, f"there is no function `{one_line(name.value)}`", hint
            )
        given: Arguments = None
        if node is not None:
            value = read_arguments(node, spec, reading, (*path, name.value))
            if isinstance(value, Bad):
                return BAD
            given = value
        arguments, problems = parse_arguments(spec, given)
        for problem in problems:
            inner = (*path, name.value, *problem.path)
            at = (
                reading.key_at(*inner)
                if problem.at_key
                else reading.at(*inner)
                if node is not None
                else name.at
            )
            reading.wrong("wrong_value", at, problem.message, problem.hint)
        if problems:
            return BAD
        lists = read_lists(spec, arguments, reading, (*path, name.value))
        return BAD if lists is None else Step(name=name.value, arguments=given, lists=lists)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        if "step" not in definitions:
            definitions["from_column"] = COLUMN_SCHEMA
            bare = [
                s.name
                for s in FUNCTIONS.values()
                if not (any(p.required for p in s.parameters) or (s.rest and s.rest.required))
            ]
            named = {s.name: schema_of(s) for s in FUNCTIONS.values() if s.parameters}
            definitions["step"] = {
                "anyOf": [
                    {"enum": bare},
                    {
                        "type": "object",
                        "properties": named,
                        "additionalProperties": False,
                        "minProperties": 1,
                        "maxProperties": 1,
                    },
                ]
            }
        return {"$ref": "#/$defs/step"}


def read_lists(
    spec: FunctionSpec, arguments: dict[str, object], reading: Reading, path: Path_
) -> dict[str, ListFile] | None:
    """The files that arguments name, by argument. None: one cannot be read, which is reported."""
    lists: dict[str, ListFile] = {}
    for parameter in spec.parameters:
        file = arguments[parameter.name]
        if parameter.kind != "list_file" or not isinstance(file, str):
            continue
        read = read_list_file(reading.base, file, reading.kept)
        if not isinstance(read, ListFile):
            reading.wrong("list_file", reading.at(*path, parameter.name), read.message, read.hint)
            return None
        reading.files[file] = read.digest
        lists[parameter.name] = read
    return lists


def read_arguments(node: Node, spec: FunctionSpec, reading: Reading, path: Path_) -> Any:
    """What the file says under the name of a function or of a rule, or BAD."""
    if not isinstance(node, Pairs) or (_is_column(node) and spec.parameter("from") is None):
        return _argument(node, reading, path)
    reading.values[path] = node.at
    named: dict[str, Any] = {}
    for key, value in node.pairs:
        reading.keys[(*path, key.value)] = key.at
        inner, parameter = (*path, key.value), spec.parameter(key.value)
        if parameter is not None and parameter.env and isinstance(value, Text):
            reading.values[inner] = value.at
            named[key.value] = Words(env=True, may_be_empty=True).read(value, reading, inner)
        else:
            named[key.value] = _argument(value, reading, inner)
    return BAD if any(isinstance(value, Bad) for value in named.values()) else named


def _argument(node: Node, reading: Reading, path: Path_) -> Any:
    """A text, a column, or a list of those."""
    reading.values[path] = node.at
    if isinstance(node, Items):
        items = [
            _one(item, "a text or {from: COLUMN}", reading, (*path, n)) for n, item in enumerate(node.items)
        ]
        return BAD if any(isinstance(item, Bad) for item in items) else tuple(items)
    return _one(node, "a text, a list of texts or {from: COLUMN}", reading, path)


def _one(node: Node, words: str, reading: Reading, path: Path_) -> Any:
    reading.values[path] = node.at
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Pairs) and node.get("from") is not None:
        for key, value in node.pairs:
            inner = (*path, key.value)
            reading.keys[inner], reading.values[inner] = key.at, value.at
            if key.value != "from":
                return reading.wrong(
                    "unknown_key",
                    key.at,
                    f"`{one_line(key.value)}` is not a key of an argument from a column",
                    "it has only `from`: the name of a column",
                )
        column = Words("the name of a column").read(node.pairs[0][1], reading, (*path, "from"))
        return BAD if isinstance(column, Bad) else FromColumn(from_=column)
    return Words(words).refuse(node, reading, path)


def _is_column(node: Pairs) -> bool:
    return len(node.pairs) == 1 and node.get("from") is not None


def schema_of(spec: FunctionSpec) -> Schema:
    named: Schema = {
        "type": "object",
        "properties": {p.name: _parameter_schema(p) | {"description": p.summary} for p in spec.parameters},
        "additionalProperties": _parameter_schema(spec.rest) if spec.rest else False,
    }
    required = [p.name for p in spec.parameters if p.required]
    if required:
        named["required"] = required
    forms = [named] if spec.rest or len(required) > 1 else [_parameter_schema(spec.parameters[0]), named]
    return {"description": spec.summary, "anyOf": forms}


COLUMN_SCHEMA: Schema = {
    "type": "object",
    "description": "Another value for every row: that of a column.",
    "properties": {"from": {"type": ["string", "number", "boolean"], "description": "The name of a column."}},
    "required": ["from"],
    "additionalProperties": False,
}


def _parameter_schema(parameter: Parameter) -> Schema:
    column: Schema = {"$ref": "#/$defs/from_column"}
    if parameter.kind == "columns":
        return {"anyOf": [column, {"type": "array", "items": column, "minItems": 1}]}
    return _value_schema(parameter) if parameter.fixed else {"anyOf": [_value_schema(parameter), column]}


def _value_schema(parameter: Parameter) -> Schema:
    text: Schema = {"type": ["string", "number", "boolean"]}
    if parameter.kind in ("integer", "decimal"):
        return {"type": ["integer" if parameter.kind == "integer" else "number", "string"]}
    if parameter.kind == "boolean":
        return {"enum": [True, False, "yes", "no", "true", "false"]}
    if parameter.kind == "choice":
        numbers = [int(c) for c in parameter.choices if c.isdigit()]
        booleans = [c == "true" for c in parameter.choices if c in ("true", "false")]
        return {"enum": [*parameter.choices, *numbers, *booleans]}
    if parameter.kind in ("texts", "date_formats"):
        return {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
    return text
