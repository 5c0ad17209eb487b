"""Shape of one `do` step: a function with its arguments."""

from __future__ import annotations

from typing import Any

from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import Arguments, FunctionSpec, Parameter
from migrate.mapping.functions import FUNCTIONS, LATER_FUNCTIONS
from migrate.mapping.model import Step
from migrate.mapping.shapes import (
    BAD,
    Bad,
    Reading,
    Schema,
    Shape,
    Words,
    did_you_mean,
    later,
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
            if name.value in LATER_FUNCTIONS:
                return reading.wrong("later", name.at, later(name.value))
            hint = did_you_mean(
                name.value, [*FUNCTIONS, *LATER_FUNCTIONS], "the functions are " + ", ".join(FUNCTIONS)
            )
            return reading.wrong(
                "unknown_name", name.at, f"there is no function `{one_line(name.value)}`", hint
            )
        given: Arguments = None
        if node is not None:
            value = self._arguments(node, reading, (*path, name.value))
            if isinstance(value, Bad):
                return BAD
            given = value
        _, problems = parse_arguments(spec, given)
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
        return BAD if problems else Step(name=name.value, arguments=given)

    def _arguments(self, node: Node, reading: Reading, path: Path_, depth: int = 0) -> Any:
        reading.values[path] = node.at
        if isinstance(node, Text):
            return node.value
        if isinstance(node, Items) and depth < 2:
            texts = []
            for index, item in enumerate(node.items):
                reading.values[(*path, index)] = item.at
                if not isinstance(item, Text):
                    return Words().refuse(item, reading, (*path, index))
                texts.append(item.value)
            return tuple(texts)
        if isinstance(node, Pairs) and depth == 0:
            named: dict[str, Any] = {}
            for key, value in node.pairs:
                reading.keys[(*path, key.value)] = key.at
                named[key.value] = self._arguments(value, reading, (*path, key.value), 1)
            return BAD if any(isinstance(value, Bad) for value in named.values()) else named
        if isinstance(node, Pairs) and node.get("from") is not None:
            return reading.wrong("later", node.at, later("{from: …}", " as an argument"))
        return Words("a text or a list of texts").refuse(node, reading, path)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        if "step" not in definitions:
            bare = [
                s.name
                for s in FUNCTIONS.values()
                if not (any(p.required for p in s.parameters) or (s.rest and s.rest.required))
            ]
            named = {s.name: _function_schema(s) for s in FUNCTIONS.values() if s.parameters}
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


def _function_schema(spec: FunctionSpec) -> Schema:
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


def _parameter_schema(parameter: Parameter) -> Schema:
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
