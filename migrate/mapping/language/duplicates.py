"""`duplicates`: which rows are one and the same, and what survives of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migrate.mapping.duplicates import Against, Decide, Duplicates, Survive
from migrate.mapping.reference_shapes import COLUMN, TARGET_COLUMN, name_check
from migrate.mapping.shapes import (
    BAD,
    ByKind,
    Choice,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Share,
    Then,
    Whole,
    Words,
    build,
)
from migrate.mapping.tree import Node, Pairs, Path_, Text

_KINDS = ("name", "text", "address", "date", "phone", "postcode", "email", "number", "exact")
_PLAIN = ("first_filled", "longest", "concat", "union", "target_wins", "source_wins", "most_restrictive")


def _group(value: Any, node: Node, reading: Reading, path: Path_) -> Any:
    twice = next((c for i, c in enumerate(value) if c in value[:i]), None)
    return (
        reading.wrong("conflict", node.at, f"`same` names `{twice}` twice in one group") if twice else value
    )


def _decide(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    decide = build(Decide, values, node, reading)
    if isinstance(decide, Decide) and decide.review_above > decide.merge_above:
        return reading.wrong(
            "conflict",
            node.at,
            f"`review_above` ({decide.review_above:g}) is above `merge_above` ({decide.merge_above:g}): no pair could lie between",
            "write the smaller number under review_above",
        )
    return decide


def _duplicates(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if not values.get("same") and not values.get("similar"):
        return reading.wrong(
            "empty",
            node.at,
            "`duplicates` says nothing of which rows are one",
            "give `same`, `similar`, or both",
        )
    return build(Duplicates, values, node, reading)


def _by_column(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    given = set(values)
    if given == {"most_recent"}:
        return Survive(rule="most_recent", by=values["most_recent"])
    if given == {"trust", "order"}:
        return Survive(rule="trust", by=values["trust"], order=values["order"])
    if given == {"with"}:
        return Survive(rule="with", by=values["with"])
    if not given:
        return BAD
    hint = "write {most_recent: FIELD}, {with: FIELD}, or {trust: FIELD, order: [VALUE, …]}"
    return reading.wrong("missing_key", node.at, "this says not how a value is chosen", hint)


_SURVIVE = ByKind(
    Then(Choice(_PLAIN), lambda value, node, reading, path: Survive(rule=value)),
    pairs=Record(
        "a rule of survivorship",
        {
            "most_recent": Key(COLUMN, "The column whose latest value wins."),
            "trust": Key(COLUMN, "The column that says whom a row comes from."),
            "with": Key(COLUMN, "The field whose value brings its row's value of this one along: where it comes from, or when it was said."),
            "order": Key(Many(Words("whom to trust", raw=True)), "Whom to trust, the most first; rows of others come last."),
        },
        finish=_by_column,
    ),
    words="first_filled, longest, concat, union, target_wins, source_wins, most_restrictive, {most_recent: FIELD}, {with: FIELD}, or {trust: FIELD, order: [VALUE, …]}",
)  # fmt: skip
_FOUND = Choice(("update", "link", "skip", "quarantine"))
_OTHER_NAMES = MapOf(
    TARGET_COLUMN, "a map of fields to columns of the target", name_check("field"), at_least=0
)


@dataclass
class _Against(Shape):
    """`target`, or the table with columns of other names, and `then`."""

    words: str = "target, or {TABLE: {FIELD: COLUMN}, then: …}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text):
            chosen = Choice(("target",)).read(node, reading, path)
            return BAD if chosen is BAD else Against(table="")
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        tables = [pair for pair in node.pairs if pair[0].value != "then"]
        if len(tables) != 1:
            return reading.wrong("empty", node.at, "`against` names one table", f"write {self.words}")
        (key, value), then = tables[0], node.get("then")
        reading.keys[(*path, key.value)] = key.at
        columns = _OTHER_NAMES.read(value, reading, (*path, key.value))
        found = None if then is None else _FOUND.read(then, reading, (*path, "then"))
        if not isinstance(columns, dict) or found is BAD:
            return BAD
        return Against(table=key.value, columns=columns, then=found)

    def inner(self) -> tuple[Shape, ...]:
        return (_FOUND, _OTHER_NAMES)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        table: Schema = {
            "type": "object",
            "properties": {"then": _FOUND.schema(definitions)},
            "additionalProperties": _OTHER_NAMES.schema(definitions),
        }
        return {"anyOf": [{"const": "target"}, table]}


DUPLICATES = Record(
    "duplicates",
    {
        "same": Key(
            Many(
                Then(Many(COLUMN, "a column, or a list of columns", single=True), _group),
                "a list of groups of columns",
            ),
            "Groups of columns: rows equal in all columns of any group are one. Empty never equals empty.",
        ),
        "similar": Key(
            MapOf(Choice(_KINDS), "a map of columns to how they are compared", name_check("column")),
            "Columns that are compared by similarity, and how: name, text, address, date, phone, postcode, email, number, exact.",
        ),
        "decide": Key(
            Record(
                "decide",
                {
                    "merge_above": Key(Share(), "Pairs at least as probable are merged: 0.95."),
                    "review_above": Key(Share(), "Pairs at least as probable are for a person to decide: 0.80."),
                    "largest": Key(Whole(2), "No cluster has more rows; a key that more rows share stands for nobody: 20."),
                    "never_differ": Key(Many(COLUMN, "a column, or a list of columns", single=True), "Columns in which rows of one cluster never differ where both are filled."),
                },
                finish=_decide,
            ),
            "From which probability pairs are merged, or reviewed.",
        ),
        "survive": Key(
            MapOf(_SURVIVE, "a map of fields, and `default` for the others", name_check("field")),
            "Which value survives of those of merged rows, field by field.",
        ),
        "against": Key(_Against(), "Rows that are in the target already are compared too, and found: target, or {TABLE: {FIELD: COLUMN}}."),
    },
    finish=_duplicates,
)  # fmt: skip
