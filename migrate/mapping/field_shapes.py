"""Shapes of what stands inside a field: `do` steps, checks, value maps, outcomes, find, ref."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrate.mapping import patterns
from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import Arguments, FunctionSpec, Parameter
from migrate.mapping.functions import FUNCTIONS, LATER_FUNCTIONS
from migrate.mapping.model import Check, Default, Find, Ref, Step
from migrate.mapping.shapes import (
    BAD,
    Bad,
    ByKind,
    Choice,
    Key,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Then,
    Words,
    build,
    did_you_mean,
    later,
    nearest,
    one_line,
    place,
)
from migrate.mapping.tree import Empty, Items, Node, Pairs, Path_, Text

LATER_CHECKS = frozenset(
    ["email", "phone", "fresh", "not_test_data", "date_order", "before", "after", "reference", "sum"]
)
_BARE_CHECKS = ("required", "unique")
CHECKS = (*_BARE_CHECKS, "in", "pattern", "range", "min_length", "max_length")


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


# --- do


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


# --- check


@dataclass
class Checks(Shape):
    """One rule, as a dict of Check's values; `on_fail` only where the rule has its own."""

    words: str = "a rule such as required, or {max_length: 120}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text):
            return self._rule(node, None, {}, reading, path)
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        own: dict[str, Any] = {}
        rules = [(key, value) for key, value in node.pairs if key.value != "on_fail"]
        on_fail = node.get("on_fail")
        if on_fail is not None:
            value = ON_FAIL.read(on_fail, reading, (*path, "on_fail"))
            if isinstance(value, Bad):
                return BAD
            own["on_fail"] = value
        if len(rules) != 1:
            message = (
                f"{place(path)} names {len(rules) or 'no'} rule{'' if len(rules) == 1 else 's'} in one item"
            )
            return reading.wrong(
                "wrong_type", node.at, message, "write a list: check: [required, {max_length: 120}]"
            )
        return self._rule(*rules[0], own, reading, path)

    def _rule(self, name: Text, node: Node | None, own: dict[str, Any], reading: Reading, path: Path_) -> Any:
        rule, inner = name.value, (*path, name.value)
        if rule not in CHECKS:
            if rule in LATER_CHECKS:
                return reading.wrong("later", name.at, later(rule))
            hint = did_you_mean(rule, [*CHECKS, *LATER_CHECKS], "the rules are " + ", ".join(CHECKS))
            return reading.wrong("unknown_name", name.at, f"there is no rule `{one_line(rule)}`", hint)
        reading.keys[inner] = name.at
        if node is None:
            if rule not in _BARE_CHECKS:
                return reading.wrong(
                    "wrong_value", name.at, f"`{rule}` needs a value", f"for example {_CHECK_EXAMPLES[rule]}"
                )
            return {"name": rule, **own}
        reading.values[inner] = node.at
        if isinstance(node, Empty):
            return Words(f"a value, for example {_CHECK_EXAMPLES[rule]}").refuse(node, reading, inner)
        argument = getattr(self, f"_{rule}")(node, reading, inner)
        return BAD if isinstance(argument, Bad) else {"name": rule, "argument": argument, **own}

    def _required(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text) and node.value in ("yes", "true"):
            return None
        rule = path[-1]
        return reading.wrong(
            "wrong_value", node.at, f"`{rule}` takes no value", f"write {rule}, or leave it out"
        )

    _unique = _required

    def _in(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Items):
            return Words("a list of texts").refuse(node, reading, path)
        if not node.items:
            return reading.wrong("empty", node.at, "`in` is an empty list", "no value would pass")
        literal = Words(raw=True, may_be_empty=True, null_is_text=True)
        values = [literal.read(item, reading, (*path, index)) for index, item in enumerate(node.items)]
        return BAD if any(isinstance(v, Bad) for v in values) else tuple(values)

    def _pattern(self, node: Node, reading: Reading, path: Path_) -> Any:
        return Words("a regular expression", patterns.pattern_problem, raw=True).read(node, reading, path)

    def _min_length(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text) and (
            not node.value.isascii() or not node.value.isdigit() or len(node.value) > 9
        ):
            return reading.wrong(
                "wrong_value", node.at, f'{place(path)} is a whole number, not "{one_line(node.value)}"'
            )
        return Words("a whole number").read(node, reading, path)

    _max_length = _min_length

    def _range(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Items):
            if len(node.items) != 2:
                return reading.wrong(
                    "wrong_value",
                    node.at,
                    f"`range` has {len(node.items)} ends",
                    "write [0, 100], or {min: 0}",
                )
            ends = [self._end(item, reading, (*path, index)) for index, item in enumerate(node.items)]
            if any(isinstance(end, Bad) for end in ends):
                return BAD
            return BAD if self._crossed(ends[0], ends[1], node, reading) else tuple(ends)
        if not isinstance(node, Pairs):
            return Words("[lowest, highest], or {min: 0}").refuse(node, reading, path)
        named: dict[str, Any] = {}
        for key, value in node.pairs:
            if key.value not in ("min", "max"):
                return reading.wrong(
                    "unknown_key",
                    key.at,
                    f"`{one_line(key.value)}` is not a key of `range`",
                    did_you_mean(key.value, ("min", "max"), "its keys are min, max"),
                )
            named[key.value] = self._end(value, reading, (*path, key.value))
        if any(isinstance(end, Bad) for end in named.values()):
            return BAD
        if not named:
            return reading.wrong("empty", node.at, "`range` has no ends", "write [0, 100], or {min: 0}")
        return BAD if len(named) == 2 and self._crossed(named["min"], named["max"], node, reading) else named

    def _end(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = Words("a number").read(node, reading, path)
        if not isinstance(value, Bad) and _number(value) is None:
            return reading.wrong(
                "wrong_value", node.at, f'`range` is between numbers, not "{one_line(value)}"'
            )
        return value

    def _crossed(self, low: str, high: str, node: Node, reading: Reading) -> bool:
        first, last = _number(low), _number(high)
        if first is None or last is None or first <= last:
            return False
        reading.wrong(
            "wrong_value", node.at, f"`range` starts at {low}, above its end {high}", "no value would pass"
        )
        return True

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        if "check" not in definitions:
            number: Schema = {"type": ["number", "string"]}
            ends: Schema = {
                "type": "object",
                "properties": {"min": number, "max": number},
                "additionalProperties": False,
                "minProperties": 1,
            }
            yes: Schema = {"enum": [True, "yes", "true"]}
            text: Schema = {"type": ["string", "number", "boolean", "null"]}
            rules: Schema = {
                "required": yes,
                "unique": yes,
                "in": {"type": "array", "items": text, "minItems": 1},
                "pattern": {"type": "string"},
                "range": {"anyOf": [{"type": "array", "items": number, "minItems": 2, "maxItems": 2}, ends]},
                "min_length": {"type": ["integer", "string"]},
                "max_length": {"type": ["integer", "string"]},
            }
            forms = [
                {
                    "type": "object",
                    "properties": {name: rule, "on_fail": ON_FAIL.schema(definitions)},
                    "required": [name],
                    "additionalProperties": False,
                }
                for name, rule in rules.items()
            ]
            definitions["check"] = {"anyOf": [{"enum": list(_BARE_CHECKS)}, *forms]}
        return {"$ref": "#/$defs/check"}


_CHECK_EXAMPLES = {
    "required": "required",
    "unique": "unique",
    "in": "{in: [open, closed]}",
    "pattern": '{pattern: "^[A-Z]{2}$"}',
    "range": "{range: [0, 100]}",
    "min_length": "{min_length: 2}",
    "max_length": "{max_length: 120}",
}
ON_FAIL = Choice.of(Check, "on_fail")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


# --- map


@dataclass
class Values(Shape):
    """A value map: text → text, or null for nothing. `named` maps have room for options of their own."""

    named: bool
    words: str = "a map of values"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        for key, _ in node.pairs:
            if key.value in ("file", "table"):
                return reading.wrong(
                    "later",
                    key.at,
                    later(f"{key.value}:", " in a map"),
                    "a value of that name goes under values: {…}",
                )
        values = node.get("values")
        if isinstance(values, Pairs):
            extra = [key for key, _ in node.pairs if key.value != "values"]
            for key in extra:
                self._option(key, reading)
            path = (*path, "values")
            return BAD if extra else self._data(values, reading, path)
        if self.named:
            for key, _ in node.pairs:
                if key.value == "ignore":
                    return reading.wrong(
                        "later",
                        key.at,
                        later("ignore:", " in a map"),
                        "a value of that name goes under values: {…}",
                    )
        return self._data(node, reading, path)

    def _option(self, key: Text, reading: Reading) -> None:
        if key.value == "ignore":
            reading.wrong("later", key.at, later("ignore:", " in a map"))
        else:
            reading.wrong(
                "unknown_key",
                key.at,
                f"`{one_line(key.value)}` cannot stand beside `values`",
                "put it under values",
            )

    def _data(self, node: Pairs, reading: Reading, path: Path_) -> Any:
        return _VALUES.read(node, reading, path)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        text: Schema = {"type": ["string", "number", "boolean", "null"]}
        flat: Schema = {
            "type": "object",
            "additionalProperties": text,
            "minProperties": 1,
            "not": {"anyOf": [{"required": ["file"]}, {"required": ["table"]}]},
        }
        long: Schema = {
            "type": "object",
            "properties": {"values": {"type": "object", "additionalProperties": text, "minProperties": 1}},
            "required": ["values"],
            "additionalProperties": False,
        }
        return {"anyOf": [flat, long]}


_VALUES = MapOf(
    Words("a text, or null for nothing", null=True, raw=True, may_be_empty=True), "a map of values"
)


# --- outcomes, find, ref


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
    record = Record(title, keys, finish=_outcome_finish, rules={"minProperties": 1, "maxProperties": 1})
    return ByKind(choice, pairs=record, words=words)


def _outcome_finish(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if not values:
        return BAD
    return _default(values, node, reading, path)


OUTCOME = Choice(("quarantine", "empty_and_flag", "stop"))


class Finding(Shape):
    """`{in: users, by: email}`, `{in: users, email: "x@y"}`: names that are no keyword are conditions."""

    words = "for example {in: users, by: email}"
    keywords = ("in", "by", "missing", "ambiguous")

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        values: dict[str, Any] = {"where": {}}
        good = True
        shapes: dict[str, Shape] = {
            "in": TABLE,
            "by": TARGET_COLUMN,
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

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        if "find" not in definitions:
            definitions["find"] = {}
            definitions["find"] = {
                "type": "object",
                "properties": {
                    "in": TABLE.schema(definitions) | {"description": "The target table."},
                    "by": TARGET_COLUMN.schema(definitions)
                    | {"description": "The column that equals the field's value."},
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


FIND_OUTCOME = outcome(OUTCOME, "the outcome of find")
FIND = Finding()
_REF_OUTCOME = outcome(OUTCOME, "the outcome of ref", FIND)


def _ref(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    to = values.pop("to")
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
    Then(ENTITY_NAME, lambda value, node, reading, path: Ref(to=value)),
    pairs=Record(
        "ref",
        {
            "to": Key(
                ByKind(ENTITY_NAME, pairs=MapOf(ENTITY_NAME, "a map of kinds to entities")),
                "The entity whose row is meant; with `kind`, a map from the kind's values to entities.",
                required=True,
            ),
            "kind": Key(COLUMN, "The source column whose value says which entity is meant."),
            "missing": Key(
                _REF_OUTCOME,
                "Where the row is not known: quarantine (default), empty_and_flag, stop, {default: …}, {find: …}.",
            ),
            "ambiguous": Key(_REF_OUTCOME, "Where several rows fit; as `missing`."),
        },
        finish=_ref,
        later=frozenset({"by"}),
    ),
    words="the name of an entity, or {to: …}",
)
