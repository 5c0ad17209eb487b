"""Shape of one check: a rule with its argument and what happens when it is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migrate.mapping import patterns
from migrate.mapping.arguments import parse_arguments
from migrate.mapping.check_specs import CHECK_SPECS
from migrate.mapping.model import Check
from migrate.mapping.shapes import (
    BAD,
    WHY,
    WHY_DOC,
    Bad,
    Choice,
    Reading,
    Schema,
    Shape,
    Words,
    did_you_mean,
    later,
    one_line,
    place,
)
from migrate.mapping.step_shapes import COLUMN_SCHEMA, read_arguments, read_lists, schema_of
from migrate.mapping.tree import Empty, Items, Node, Pairs, Path_, Text

LATER_CHECKS = frozenset(["reference", "sum"])
_BARE_CHECKS = ("required", "unique")
# The rules without parameters of their own, and what passes them.
PLAIN_CHECKS = {
    "required": "A value that is neither NULL nor the empty text.",
    "unique": "A value that no other row of the entity has.",
    "in": "One of these values.",
    "pattern": "A text that has this form from end to end (RE2: no look-around).",
    "range": "A number between these, [0, 100] or a map of `min`, `max` or both; the ends belong to it.",
    "min_length": "A text of at least so many characters.",
    "max_length": "A text of at most so many characters.",
}
CHECKS = (*PLAIN_CHECKS, *CHECK_SPECS)
# What people may call a rule, and the rule.
_OTHER_NAMES = {
    "date_order": "not_before: {from: COLUMN}, or not_after",
    "before": "not_after: {from: COLUMN}",
    "after": "not_before: {from: COLUMN}",
    "not_future": "not_after: today",
    "past": "not_after: today",
}


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
        rules = [(key, value) for key, value in node.pairs if key.value not in ("on_fail", "why")]
        why = node.get("why")
        if why is not None and not isinstance(reason := WHY.read(why, reading, (*path, "why")), Bad):
            reading.reasons[path] = reason
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
            hint = f"it is written {_OTHER_NAMES[rule]}" if rule in _OTHER_NAMES else hint
            return reading.wrong("unknown_name", name.at, f"there is no rule `{one_line(rule)}`", hint)
        reading.keys[inner] = name.at
        if rule in CHECK_SPECS:
            return self._with_arguments(name, node, own, reading, inner)
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

    def _with_arguments(
        self, name: Text, node: Node | None, own: dict[str, Any], reading: Reading, path: Path_
    ) -> Any:
        """A rule of CHECK_SPECS, with the files that it names read."""
        spec = CHECK_SPECS[name.value]
        given: Any = None
        if isinstance(node, Empty):
            return Words("a value, or nothing and no colon").refuse(node, reading, path)
        if node is not None:
            reading.values[path] = node.at
            given = read_arguments(node, spec, reading, path)
            if isinstance(given, Bad):
                return BAD
        arguments, problems = parse_arguments(spec, given)
        for problem in problems:
            inner = (*path, *problem.path)
            at = reading.key_at(*inner) if problem.at_key else name.at if node is None else reading.at(*inner)
            reading.wrong("wrong_value", at, problem.message, problem.hint)
        if problems:
            return BAD
        lists = read_lists(spec, arguments, reading, path)
        return BAD if lists is None else {"name": spec.name, "argument": given, "lists": lists, **own}

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
            rules = {name: rule | {"description": PLAIN_CHECKS[name]} for name, rule in rules.items()}
            rules |= {name: schema_of(spec) for name, spec in CHECK_SPECS.items()}
            definitions.setdefault("from_column", COLUMN_SCHEMA)
            forms = [
                {
                    "type": "object",
                    "properties": {
                        name: rule,
                        "on_fail": ON_FAIL.schema(definitions),
                        "why": WHY.schema(definitions) | {"description": WHY_DOC},
                    },
                    "required": [name],
                    "additionalProperties": False,
                }
                for name, rule in rules.items()
            ]
            bare = [s.name for s in CHECK_SPECS.values() if not any(p.required for p in s.parameters)]
            definitions["check"] = {"anyOf": [{"enum": [*_BARE_CHECKS, *bare]}, *forms]}
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
