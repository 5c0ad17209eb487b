"""`split`: one table, several roads."""

from __future__ import annotations

from typing import Any

from migrate.mapping.language.origins import EXPRESSION
from migrate.mapping.language.road import without_why
from migrate.mapping.reference_shapes import name_check
from migrate.mapping.road_model import Branch, Split
from migrate.mapping.shapes import BAD, ByKind, Key, MapOf, Reading, Record, Schema, Shape, Then, Words, build
from migrate.mapping.tree import Node, Pairs, Path_

LEAVE_OUT, OTHERWISE = "leave_out", "otherwise"
_REASON = Words("a reason", name_check("reason"), raw=True)
_REASONS = MapOf(EXPRESSION, "a map of reasons to SQL conditions", name_check("reason"))
_REST = ByKind(
    Then(
        Words("quarantine or the name of an entity"),
        lambda value, node, reading, path: None if value == "quarantine" else Branch(entity=value),
    ),
    pairs=Record(
        "the rest of a split",
        {LEAVE_OUT: Key(_REASON, "Why these rows stay behind.", required=True)},
        finish=lambda values, node, reading, path: Branch(reason=values[LEAVE_OUT]),
    ),
    words="quarantine, the name of an entity, or {leave_out: reason}",
)


class Splitting(Shape):
    """Entities with their conditions in the order of the file; `leave_out` and `otherwise` are no entities."""

    words = "a map of entities to SQL conditions, with leave_out and otherwise"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        node = without_why(node, reading, path)
        if not node.pairs:
            return reading.wrong("empty", node.at, f"`{path[-1]}` is an empty map", f"expected {self.words}")
        branches: list[Branch] = []
        values: dict[str, Any] = {"table": str(path[-1])}
        good = True
        for name, inner in node.pairs:
            here = (*path, name.value)
            reading.keys[here], reading.values[here] = name.at, inner.at
            shape = {LEAVE_OUT: _REASONS, OTHERWISE: _REST}.get(name.value, EXPRESSION)
            value = shape.read(inner, reading, here)
            if value is BAD:
                good = False
            elif name.value == OTHERWISE:
                values["otherwise"] = value
                good = good and self._last(name.value, node, reading, here)
            elif name.value == LEAVE_OUT:
                branches += [Branch(reason=reason, when=sql) for reason, sql in value.items()]
                good = good and len(value) == len(inner.pairs if isinstance(inner, Pairs) else ())
            else:
                branches.append(Branch(entity=name.value, when=value))
        return build(Split, {**values, "branches": tuple(branches)}, node, reading) if good else BAD

    def _last(self, name: str, node: Pairs, reading: Reading, here: Path_) -> bool:
        if node.pairs[-1][0].value == name:
            return True
        reading.wrong(
            "conflict",
            reading.key_at(*here),
            "`otherwise` takes every row that is left, so what follows it gets none",
            "write it last",
        )
        return False

    def inner(self) -> tuple[Shape, ...]:
        return (_REASONS, _REST)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "type": "object",
            "properties": {
                LEAVE_OUT: _REASONS.schema(definitions)
                | {"description": "Reasons and the SQL conditions under which rows stay behind."},
                OTHERWISE: _REST.schema(definitions)
                | {
                    "description": "What happens with rows that fit nothing: quarantine (default), an entity, {leave_out: …}."
                },
            },
            "additionalProperties": EXPRESSION.schema(definitions),
            "minProperties": 1,
        }


SPLIT = MapOf(Splitting(), "a map of source tables", name_check("table"))
