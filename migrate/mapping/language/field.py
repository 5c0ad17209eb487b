"""A field: one target column and where its value comes from."""

from __future__ import annotations

from typing import Any

from migrate.mapping.check_shapes import ON_FAIL, Checks
from migrate.mapping.model import (
    Check,
    Field,
    ValueMap,
)
from migrate.mapping.reference_shapes import (
    COLUMN,
    FIND,
    LITERAL,
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
    Then,
    Words,
    build,
)
from migrate.mapping.step_shapes import Steps
from migrate.mapping.tree import Node, Pairs, Path_

_FIELD_LATER = frozenset(
    ["as", "else", "list", "split", "first_of", "text", "choose", "bands", "when", "one_per", "pivot"]
)
_ORIGINS = ("from", "value", "expr")


def _origin_later(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    """`from: {first_of: …}` and the like: all its keys are later ones, and reported."""
    return BAD


def _field(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    given = [name for name in _ORIGINS if node.get(name) is not None]
    has_later = any(name.value in _FIELD_LATER for name, _ in node.pairs)
    if len(given) > 1:
        names = " and ".join(f"`{name}`" for name in given)
        reading.wrong(
            "conflict",
            reading.key_at(*path, given[1]),
            f"{names} exclude each other",
            "a field has one origin",
        )
    elif not given and not has_later:
        reading.wrong(
            "missing_key",
            node.at,
            f"`{path[-1]}` does not say where its value comes from",
            "from: a source column, value: a text, or expr: SQL",
        )
    _field_together(node, reading, path)
    if "map" in values:
        data = values["map"]
        values["map"] = ValueMap(name=data) if isinstance(data, str) else ValueMap(values=data)
    own = values.pop("on_fail", None)
    if "check" in values:
        values["check"] = tuple(
            Check(**({"on_fail": own} if own else {}) | check) for check in values["check"]
        )
        for check in values["check"]:
            if check.on_fail == "default" and node.get("default") is None:
                at = reading.key_at(*path, "on_fail") if own == "default" else reading.at(*path, "check")
                reading.wrong(
                    "missing_key", at, f"`on_fail: default` of `{check.name}` needs a `default`", "say which"
                )
                break
    return build(Field, values, node, reading) if len(given) == 1 else BAD


def _field_together(node: Pairs, reading: Reading, path: Path_) -> None:
    has = {name.value for name, _ in node.pairs}
    needs = {"on_fail": "check", "unmapped": "map"}
    for name, other in needs.items():
        if name in has and other not in has:
            reading.wrong(
                "conflict",
                reading.key_at(*path, name),
                f"`{name}` without `{other}` does nothing",
                f"add `{other}`, or remove it",
            )
    if {"ref", "find"} <= has:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "find"),
            "`ref` and `find` exclude each other",
            "a last resort stands in missing: {find: …}",
        )
    if {"value", "default"} <= has:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "default"),
            "`default` beside `value` does nothing",
            "remove one of them",
        )


EXPRESSION = Words("an SQL expression", raw=True)
_MAP = ByKind(Words("the name of a map"), pairs=Values(named=False), words="the name of a map, or {from: to}")
FIELD = Record(
    "a field",
    {
        "from": Key(
            ByKind(COLUMN, pairs=Record("the origin of a field", {}, later=frozenset(["first_of", "split", "text", "each", "of"]), finish=_origin_later, words="the name of a source column", explained=False), words=COLUMN.words),
            "The source column.",
            to="from_",
        ),
        "value": Key(LITERAL, "The same text in every row."),
        "expr": Key(EXPRESSION, "An SQL expression over the row's source columns."),
        "read_as": Key(Choice.of(Field, "read_as"), "The type that the source text is read as."),
        "do": Key(Many(Steps(), "a function, or a list of functions", single=True), "Functions, one after the other."),
        "map": Key(_MAP, "A value map: the name of one under `maps`, or its data."),
        "unmapped": Key(outcome(Choice(("quarantine", "keep", "stop")), "the outcome of map"), "Values that the map does not have: quarantine (default), keep, stop, {default: …}."),
        "ref": Key(REF, "The row of another entity that has this source key."),
        "find": Key(FIND, "A row that is in the target already."),
        "default": Key(NULLABLE, "What stands where the value is empty."),
        "check": Key(Many(Checks(), "a rule, or a list of rules", single=True), "Rules that the value must meet."),
        "on_fail": Key(ON_FAIL, "What happens with a value that breaks a rule."),
        "lossy": Key(Choice.of(Field, "lossy"), "Truncation and rounding in this field."),
        "why": Key(WHY, WHY_DOC),
    },
    later=_FIELD_LATER,
    finish=_field,
)  # fmt: skip


def _short_field(value: str, node: Node, reading: Reading, path: Path_) -> Any:
    return Field(from_=value)


FIELDS = MapOf(
    ByKind(Then(COLUMN, _short_field), pairs=FIELD, words="a source column, or {from: …}"),
    "a map of target columns",
    name_check("column"),
    at_least=0,
)
