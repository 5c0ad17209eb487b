"""A field: one target column, where its value comes from, and what is done to it. Let values and recipes are like it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from migrate.mapping.check_shapes import ON_FAIL, Checks
from migrate.mapping.language.bands import BandsShape
from migrate.mapping.language.origins import EXPRESSION, ORIGIN_KEYS, ORIGINS, FirstOf, one_origin
from migrate.mapping.language.recipes import NAMES_OF_RECIPES, with_recipes
from migrate.mapping.model import Check, Field, ValueMap
from migrate.mapping.reference_shapes import (
    COLUMN,
    FIND,
    NULLABLE,
    REF,
    Values,
    name_check,
    outcome,
)
from migrate.mapping.shapes import (
    BAD,
    WHY,
    WHY_DOC,
    ByKind,
    Choice,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Shape,
    Then,
    Words,
    build,
)
from migrate.mapping.step_shapes import Steps
from migrate.mapping.tree import Node, Pairs, Path_, Position

_FIELD_LATER = frozenset(["list", "split", "one_per", "pivot"])
_MAP = ByKind(Words("the name of a map"), pairs=Values(), words="the name of a map, or {from: to}")
UNMAPPED = outcome(Choice(("quarantine", "keep", "stop")), "the outcome of map")
DO = Many(Steps(), "a function, or a list of functions", single=True)
# What is done to a value, in the order of the language; recipes hold these keys.
WORK_KEYS = {
    "when": Key(EXPRESSION, "An SQL condition; where it is not true the field is empty, and nothing is asked of it."),
    "read_as": Key(Choice.of(Field, "read_as"), "The type that the source text is read as."),
    "do": Key(replace(DO, at_least=0), "Functions, one after the other; [] where `defaults` has some and none are wanted."),
    "map": Key(_MAP, "A value map: the name of one under `maps`, or its data."),
    "bands": Key(BandsShape(), "Upper bounds of numbers, each with the value of what is not larger; above: the rest."),
    "unmapped": Key(UNMAPPED, "Values that map or bands do not have: quarantine (default), keep, stop, {default: …}."),
    "ref": Key(REF, "The row of another entity that has this source key."),
    "find": Key(FIND, "A row that is in the target already."),
    "default": Key(NULLABLE, "What stands where the value is empty."),
    "check": Key(Many(Checks(), "a rule, or a list of rules", single=True), "Rules that the value must meet."),
    "on_fail": Key(ON_FAIL, "What happens with a value that breaks a rule."),
    "lossy": Key(Choice.of(Field, "lossy"), "Truncation and rounding in this field."),
    "why": Key(WHY, WHY_DOC),
}  # fmt: skip
_AS = {"as": Key(NAMES_OF_RECIPES, "A recipe whose keys the field takes over, or a list of them.", to="as_")}
# What makes no sense without a column of the target.
_OF_COLUMNS = ("ref", "find", "lossy")


def _field(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    given = [name for name in ORIGINS if node.get(name) is not None]
    has_later = any(name.value in _FIELD_LATER for name, _ in node.pairs)
    if given or not has_later:
        hint = "from: a source column, value: a text, or expr: SQL"
        one_origin(given, f"`{path[-1]}`", node, reading, path, hint)
    names = {name.value: reading.key_at(*path, name.value) for name, _ in node.pairs}
    merged = with_recipes(values, names, node, reading, path)
    if merged is None or len(given) != 1:
        return BAD
    if isinstance(merged.get("from_"), FirstOf):
        merged["first_of"] = merged.pop("from_").columns
    elif isinstance(merged.get("from_"), tuple):
        merged["from_columns"] = merged.pop("from_")
        _several(len(merged["from_columns"]), names, reading)
    _together(names, reading)
    _needs(names, reading)
    return build(Field, finished(merged, names, reading, path), node, reading)


def finished(
    values: dict[str, Any], names: dict[str, Position], reading: Reading, path: Path_
) -> dict[str, Any]:
    """The values as the model has them: the map by name or by data, every rule with its own outcome."""
    if "map" in values:
        data = values["map"]
        values["map"] = ValueMap(name=data) if isinstance(data, str) else ValueMap(values=data)
    own = values.pop("on_fail", None)
    if "check" in values:
        rules = [Check(**({"on_fail": own} if own else {}) | check) for check in values["check"]]
        values["check"] = tuple(rules)
        for rule in rules:
            if rule.on_fail == "default" and "default" not in names:
                at = names["on_fail"] if own == "default" else reading.at(*path, "check")
                message = f"`on_fail: default` of `{rule.name}` needs a `default`"
                reading.wrong("missing_key", at, message, "say which")
                break
    return values


_EXCLUDE = (
    ("map", "bands", "both turn the value into another one; remove one of them"),
    ("ref", "find", "a last resort stands in missing: {find: …}"),
)


def _together(names: dict[str, Position], reading: Reading) -> None:
    """Keys that exclude each other."""
    for one, other, hint in _EXCLUDE:
        if one in names and other in names:
            reading.wrong("conflict", names[other], f"`{one}` and `{other}` exclude each other", hint)
    if "value" in names and "default" in names:
        reading.wrong(
            "conflict", names["default"], "`default` beside `value` does nothing", "remove one of them"
        )


def _several(columns: int, names: dict[str, Position], reading: Reading) -> None:
    """A list of columns names a row by several values; no step could work on them."""
    hint = "text: or expr: makes one value of several columns"
    if "ref" not in names:
        message = "several columns under `from` name the row that a `ref` points at, and there is no `ref`"
        reading.wrong("conflict", names["from"], message, hint)
    for name in ("read_as", "do", "map", "bands"):
        if name in names:
            message = f"`{name}` works on one value, and `from` gives {columns}"
            reading.wrong("conflict", names[name], message, hint)


def _needs(names: dict[str, Position], reading: Reading) -> None:
    """Keys that do nothing without another one."""
    for name, others in (("on_fail", ("check",)), ("unmapped", ("map", "bands")), ("else", ("choose",))):
        if name in names and not any(other in names for other in others):
            reading.wrong(
                "conflict",
                names[name],
                f"`{name}` without `{others[0]}` does nothing",
                f"add `{others[0]}`, or remove it",
            )


Finish = Callable[[dict[str, Any], Pairs, Reading, Path_], Any]


def value_record(
    title: str, *, without: Collection[str] = (), later: Collection[str] = (), finish: Finish = _field
) -> Record:
    """A record with the keys of a field, but those of `without`; gives a Field."""
    keys = {k: v for k, v in {**ORIGIN_KEYS, **_AS, **WORK_KEYS}.items() if k not in without}
    return Record(title, keys, later=frozenset(later), finish=finish)


FIELD = value_record("a field", later=_FIELD_LATER)


def _recipe(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    """Its keys as they were read, for the fields that take them over."""
    _together({name.value: name.at for name, _ in node.pairs}, reading)
    return values if len(values) == len(node.pairs) else BAD


RECIPE = Record("a recipe", WORK_KEYS, finish=_recipe)


def _let(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    field = _field(values, node, reading, path)
    if not isinstance(field, Field):
        return BAD
    odd = [
        name for name, value in (("ref", field.ref), ("find", field.find), ("lossy", field.lossy)) if value
    ]
    if odd:
        message = f"`{odd[0]}` of a recipe is for fields; a let value goes into no column"
        return reading.wrong("conflict", reading.key_at(*path, "as"), message)
    if any(rule.name == "unique" for rule in field.check):
        at = reading.at(*path, "check")
        return reading.wrong(
            "conflict", at, "`unique` is for fields; a let value goes into no column", "say it in the field"
        )
    return field


def _let_name(text: str) -> str | None:
    if re.fullmatch(r"[^\W\d_]\w{0,62}", text):
        return None
    return (
        f'"{text[:70]}" cannot be the name of a let value: letters, digits and _, at most 63, a letter first'
    )


def _short_field(value: str, node: Node, reading: Reading, path: Path_) -> Any:
    return Field(from_=value)


def _or_column(record: Record) -> Shape:
    return ByKind(Then(COLUMN, _short_field), pairs=record, words="a source column, or {from: …}")


LET_VALUE = value_record("a let value", without=_OF_COLUMNS, finish=_let)
LET = MapOf(_or_column(LET_VALUE), "a map of names to values", _let_name)
FIELDS = MapOf(_or_column(FIELD), "a map of target columns", name_check("column"), at_least=0)
