"""`duplicates`: which rows are one and the same, and what survives of their values."""

from __future__ import annotations

from typing import Any

from migrate.mapping.duplicates import Decide, Duplicates, Survive
from migrate.mapping.reference_shapes import COLUMN, name_check
from migrate.mapping.shapes import (
    ByKind,
    Choice,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Share,
    Then,
    Whole,
    build,
)
from migrate.mapping.tree import Node, Pairs, Path_

_KINDS = ("name", "text", "address", "date", "phone", "postcode", "email", "number", "exact")
_PLAIN = ("first_filled", "longest", "concat")
_LATER = frozenset(["target_wins", "source_wins", "union", "most_restrictive"])


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


_SURVIVE = ByKind(
    Then(Choice(_PLAIN, _LATER), lambda value, node, reading, path: Survive(rule=value)),
    pairs=Record(
        "a rule of survivorship",
        {"most_recent": Key(COLUMN, "The column whose latest value wins.", required=True)},
        finish=lambda values, node, reading, path: Survive(rule="most_recent", by=values["most_recent"]),
    ),
    words="first_filled, longest, concat, or {most_recent: FIELD}",
)
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
    },
    later=frozenset(["against"]),
    finish=_duplicates,
)  # fmt: skip
