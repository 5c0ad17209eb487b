"""Where a field's value comes from: `from`, `value`, `expr`, `first_of`, `text`, `choose` with its `else`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migrate.mapping import template
from migrate.mapping.model import Case, Origin
from migrate.mapping.reference_shapes import COLUMN, LITERAL
from migrate.mapping.shapes import (
    BAD,
    ByKind,
    Choice,
    Key,
    Many,
    Reading,
    Record,
    Then,
    Words,
    build,
)
from migrate.mapping.tree import Node, Pairs, Path_

ORIGINS = ("from", "value", "expr", "first_of", "text", "choose")
EXPRESSION = Words("an SQL expression", raw=True)
_PLAIN = ("from", "value", "expr")


@dataclass(frozen=True)
class FirstOf:
    """`from: {first_of: …}`, which says the same as `first_of`."""

    columns: tuple[str, ...]


def _columns(value: tuple[str, ...], node: Node, reading: Reading, path: Path_) -> Any:
    twice = next((c for i, c in enumerate(value) if c in value[:i]), None)
    if twice is not None:
        return reading.wrong("conflict", node.at, f"`first_of` names `{twice}` twice")
    return value


def _columns_of_key(value: tuple[str, ...], node: Node, reading: Reading, path: Path_) -> Any:
    twice = next((c for i, c in enumerate(value) if c in value[:i]), None)
    if twice is not None:
        return reading.wrong("conflict", node.at, f"`from` names `{twice}` twice")
    return value if len(value) > 1 else value[0] if value else BAD


def _template_problem(text: str) -> str | None:
    try:
        template.pieces(text)
    except ValueError as error:
        return str(error)
    return None


def one_origin(given: list[str], what: str, node: Pairs, reading: Reading, path: Path_, hint: str) -> bool:
    """Whether exactly one origin is given; reports where not."""
    if len(given) > 1:
        names = " and ".join(f"`{name}`" for name in given)
        reading.wrong(
            "conflict",
            reading.key_at(*path, given[1]),
            f"{names} exclude each other",
            "a field has one origin",
        )
    elif not given:
        reading.wrong("missing_key", node.at, f"{what} does not say where its value comes from", hint)
    return len(given) == 1


def _plain_origin(what: str, model: type[Origin]) -> Any:
    """The finish of a record with one of `from`, `value` and `expr`."""

    def finish(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
        given = [name for name in _PLAIN if node.get(name) is not None]
        good = one_origin(
            given, what, node, reading, path, "from: a source column, value: a text, or expr: SQL"
        )
        return build(model, values, node, reading) if good and len(values) == len(node.pairs) else BAD

    return finish


_PLAIN_KEYS = {
    "value": Key(LITERAL, "This text."),
    "from": Key(COLUMN, "The value of this source column.", to="from_"),
    "expr": Key(EXPRESSION, "The value of this SQL expression."),
}
FIRST_OF = Then(Many(COLUMN, "a list of source columns"), _columns)
FROM = ByKind(
    COLUMN,
    Then(Many(COLUMN, "a list of source columns"), _columns_of_key),
    Record(
        "the origin of a field",
        {"first_of": Key(FIRST_OF, "The first of these columns that is not empty.", required=True)},
        later=frozenset(["split", "text", "each", "of"]),
        finish=lambda values, node, reading, path: FirstOf(values["first_of"]),
        words="the name of a source column",
        explained=False,
    ),
    words=COLUMN.words,
)
TEMPLATE = Words("a text with {columns} in it", _template_problem, raw=True)
CHOOSE = Many(
    Record(
        "a case",
        {"when": Key(EXPRESSION, "The SQL condition of this case.", required=True), **_PLAIN_KEYS},
        finish=_plain_origin("the case", Case),
        explained=False,
    ),
    "a list of cases, each {when: …, value: …}",
)
ELSE = ByKind(
    Choice(("quarantine", "empty", "stop")),
    pairs=Record(
        "the else of choose", dict(_PLAIN_KEYS), finish=_plain_origin("`else`", Origin), explained=False
    ),
    words="one of quarantine, empty, stop, or {value: …}",
)
ORIGIN_KEYS = {
    "from": Key(
        FROM,
        "The source column; or {first_of: …}; for a `ref` that compares several, a list of columns.",
        to="from_",
    ),
    "value": Key(LITERAL, "The same text in every row."),
    "expr": Key(EXPRESSION, "An SQL expression over the row's source columns."),
    "first_of": Key(FIRST_OF, "The first of these source columns that is not empty."),
    "text": Key(TEMPLATE, "A text with {columns} in it; {{ is a brace."),
    "choose": Key(CHOOSE, "The value of the first case whose condition is true."),
    "else": Key(
        ELSE,
        "Rows that no case fits: quarantine (default), empty, stop, {value: …}, {from: …}, {expr: …}.",
        to="otherwise",
    ),
}
