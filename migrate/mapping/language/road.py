"""How rows get onto an entity's road: `with`, `explode`, `one_per`, `pivot`, `query`."""

from __future__ import annotations

from typing import Any

from migrate.mapping.language.origins import EXPRESSION
from migrate.mapping.language.words import identifier
from migrate.mapping.reference_shapes import COLUMN, LITERAL, TABLE, name_check
from migrate.mapping.road_model import Explode, Join, Pivot, Slot
from migrate.mapping.shapes import (
    WHY,
    WHY_DOC,
    ByKind,
    Choice,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Then,
    Words,
    build,
    one_line,
)
from migrate.mapping.tree import Items, Node, Pairs, Path_, Text

SOURCE_NAME = Words("the name of a source")
_COLUMNS = Many(COLUMN, "a column, or a list of columns", single=True)


def without_why(node: Pairs, reading: Reading, path: Path_) -> Pairs:
    """A map of free names without its `why`, which is kept as a reason."""
    reason = node.get("why")
    if not isinstance(reason, Text):
        return node
    text = WHY.read(reason, reading, (*path, "why"))
    if isinstance(text, str):
        reading.reasons[path] = text
    return Pairs(tuple(p for p in node.pairs if p[0].value != "why"), node.at)


def _distinct(value: tuple[str, ...], node: Node, reading: Reading, path: Path_) -> Any:
    twice = next((c for i, c in enumerate(value) if c in value[:i]), None)
    if twice is None:
        return value
    return reading.wrong("conflict", node.at, f"`{path[-1]}` names `{one_line(twice)}` twice")


def _pivot_keys(per: bool) -> dict[str, Key]:
    keys = {
        "name": Key(COLUMN, "The source column that holds the names.", required=True),
        "value": Key(COLUMN, "The source column that holds the values.", required=True),
        "columns": Key(
            Then(Many(COLUMN, "a list of names that become columns", single=True), _distinct),
            "The names that become columns; rows with other names are counted.",
            required=True,
        ),
    }
    whose = Key(_COLUMNS, "The source column, or columns, of which every value makes one row.", required=True)
    return {"per": whose, **keys} if per else keys


PIVOT = Record("a pivot", _pivot_keys(per=True), Pivot)
_JOIN_PIVOT = Record("a pivot of a join", _pivot_keys(per=False), Pivot)


def _join(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    rows = values["rows"]
    if "order" in values and rows != "any":
        return reading.wrong(
            "conflict",
            reading.key_at(*path, "order"),
            f"`order` is for rows: any; with rows: {rows} there is one row to take",
            "remove it, or choose rows by `where`",
        )
    if "pivot" in values and rows == "any":
        return reading.wrong(
            "conflict",
            reading.at(*path, "rows"),
            "a pivot makes one row, so `rows: any` has nothing to gather",
            "write one or one_or_none",
        )
    return build(Join, values, node, reading)


_ON = ByKind(
    Then(COLUMN, lambda value, node, reading, path: {value: value}),
    Then(Many(COLUMN), lambda value, node, reading, path: {c: c for c in value}),
    MapOf(COLUMN, "a map of columns of the road to columns of the joined table", name_check("column")),
    words="{column here: column there}, or the name that both have",
)
_ORDER = Words('a column, or "-column" for the greatest first', name_check("column"))
JOIN = Record(
    "a join",
    {
        "source": Key(SOURCE_NAME, "One of `sources`; by default the entity's own."),
        "table": Key(TABLE, "The table that is joined.", required=True),
        "on": Key(_ON, "Columns of the road and the columns of the joined table that they equal, as text; empty equals nothing.", required=True),
        "where": Key(EXPRESSION, "An SQL condition on the rows of the joined table."),
        "rows": Key(
            Choice.of(Join, "rows"), "How many rows belong to one: one (none found: quarantine), one_or_none, or any (for lists).", required=True
        ),
        "pivot": Key(_JOIN_PIVOT, "Names and values of the joined table made into columns first."),
        "order": Key(Many(_ORDER, "a list of columns", single=True), "The order of the joined rows; with rows: any."),
    },
    finish=_join,
)  # fmt: skip
JOINS = MapOf(JOIN, "a map of joins", identifier("a join"))


# --- explode

_SLOT = ByKind(
    Then(
        Words("a source column or a text", raw=True),
        lambda value, node, reading, path: Slot(text=value),
    ),
    pairs=Record(
        "an item of explode",
        {"value": Key(LITERAL, "This text, also where a column has that name.", required=True)},
        finish=lambda values, node, reading, path: Slot(text=values["value"], literal=True),
    ),
    words="a source column, a text, or {value: …}",
)
_LISTS = MapOf(Many(_SLOT, "a list of source columns or of texts"), "a map of lists", name_check("column"))
_PIECES = Record(
    "explode",
    {
        "split": Key(COLUMN, "The source column whose pieces make a row each.", required=True),
        "on": Key(Words("the text between two pieces", raw=True), "What stands between two pieces.", required=True),
    },
    finish=lambda values, node, reading, path: build(Explode, values, node, reading),
)  # fmt: skip


class Exploding(Shape):
    """`{number: [tel, mobile], kind: [work, mobile]}`, or `{split: column, on: ";"}`: told by their values."""

    words = 'for example {number: [tel_work, tel_mobile], kind: [work, mobile]}, or {split: column, on: ";"}'

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        if any(isinstance(value, Text) for name, value in node.pairs if name.value != "why"):
            return _PIECES.read(node, reading, path)
        node = without_why(node, reading, path)
        lists = _LISTS.read(node, reading, path)
        complete = isinstance(lists, dict) and len(lists) == len(node.pairs)
        return self._of_lists(lists, node, reading, path) if complete else lists

    def _of_lists(
        self, lists: dict[str, tuple[Slot, ...]], node: Pairs, reading: Reading, path: Path_
    ) -> Any:
        first, *others = [
            (name.value, len(value.items)) for name, value in node.pairs if isinstance(value, Items)
        ]
        for name, length in others:
            if length != first[1]:
                return reading.wrong(
                    "conflict",
                    reading.at(*path, name),
                    f"`{name}` has {length} items, `{first[0]}` has {first[1]}; each slot takes one of every list",
                    "make the lists equally long",
                )
        if all(slot.literal for slot in lists[first[0]]):
            return reading.wrong(
                "conflict",
                reading.at(*path, first[0]),
                f"`{first[0]}` holds texts only; the first list names source columns, for an empty one leaves its slot out",
                "put the list of columns first",
            )
        return build(Explode, {"lists": lists}, node, reading)

    def inner(self) -> tuple[Shape, ...]:
        return (_PIECES, _LISTS)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        why = WHY.schema(definitions) | {"description": WHY_DOC}
        lists = _LISTS.schema(definitions) | {"properties": {"why": why}}
        return {"anyOf": [_PIECES.schema(definitions), lists]}


EXPLODE = Exploding()
ONE_PER = Then(_COLUMNS, _distinct)


# --- query

QUERY = ByKind(
    Then(Words("an SQL SELECT", raw=True), lambda value, node, reading, path: {"query": value}),
    pairs=Record(
        "a query",
        {
            "source": Key(SOURCE_NAME, "One of `sources`.", required=True),
            "sql": Key(Words("an SQL SELECT", raw=True), "One SELECT over the tables of that source.", required=True),
        },
        finish=lambda values, node, reading, path: {"query": values["sql"], "source": values["source"]},
    ),
    words="an SQL SELECT, or {source: …, sql: …}",
)  # fmt: skip


def origin(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> bool:
    """Turns `from` or `query` into the entity's source and table. False: both are there, which is reported."""
    query = values.pop("query", None)
    if node.get("from") is not None and node.get("query") is not None:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "query"),
            "`from` and `query` exclude each other",
            "the rows of the query are the source rows; its SQL names the tables",
        )
        return False
    values |= {"table": "", **query} if query is not None else values.pop("from")
    return True


def said_of_shapes(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> None:
    """What the shapes of an entity say together."""
    word = next((w for w in ("line", "content") if values.get(f"key_is_{w}")), None)
    shapes = ["query", "pivot", "explode", "one_per", *(["with"] if word == "content" else [])]
    made = next((name for name in shapes if values.get(name)), None)
    if made and word:
        reading.wrong(
            "conflict",
            reading.at(*path, "key"),
            f"`key: {word}` is for rows as they stand in a table; `{made}` makes others",
            "name columns that identify a row",
        )
