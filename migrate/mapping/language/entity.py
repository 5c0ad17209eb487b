"""An entity: one road from a source table to a target table."""

from __future__ import annotations

from typing import Any

from migrate.mapping.language.decisions import CONSENT, MIN_QUALITY, RETENTION
from migrate.mapping.language.defaults import DEFAULTS, with_defaults
from migrate.mapping.language.duplicates import DUPLICATES
from migrate.mapping.language.examples import EXAMPLES
from migrate.mapping.language.field import FIELDS, LET
from migrate.mapping.language.known_as import KNOWN_AS
from migrate.mapping.language.origins import EXPRESSION
from migrate.mapping.language.road import (
    EXPLODE,
    JOINS,
    ONE_PER,
    PIVOT,
    QUERY,
    origin,
    said_of_shapes,
)
from migrate.mapping.language.words import identifier
from migrate.mapping.model import (
    Entity,
    OnGone,
    Was,
)
from migrate.mapping.reference_shapes import (
    COLUMN,
    TABLE,
    TARGET_COLUMN,
    name_check,
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
    Share,
    Then,
    Words,
    build,
)
from migrate.mapping.tree import Node, Pairs, Path_, Text

_ENTITY_LATER = frozenset(["when"])


def _key(value: Any, node: Node, reading: Reading, path: Path_) -> Any:
    """The columns, and which of the words `line` and `content` stands for them; in a list they are columns."""
    if isinstance(node, Text) and node.value in ("line", "content"):
        return {"key": (node.value,), f"key_is_{node.value}": True}
    twice = next((c for i, c in enumerate(value) if c in value[:i]), None)
    return reading.wrong("conflict", node.at, f"`key` names `{twice}` twice") if twice else {"key": value}


def _entity(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    values |= values.pop("key")
    if not origin(values, node, reading, path):
        return BAD
    said_of_shapes(values, node, reading, path)
    if "write" not in values:
        values["write"] = "add_or_update" if node.get("match") is not None else _write_of(values)
    if values.get("create") and values["write"] == "link":
        hint = "take `create` out, or let it bring rows: write: add_or_link"
        return reading.wrong(
            "conflict", node.at, "`write: link` writes no row, so there is nothing to create for it", hint
        )
    defaults = values.pop("defaults", {})
    entity = build(Entity, {**values, "name": str(path[-1])}, node, reading)
    return with_defaults(entity, defaults) if isinstance(entity, Entity) else entity


def _write_of(values: dict[str, Any]) -> str:
    """Without `match`, what `duplicates` says of rows that it finds in the target tells how they are written."""
    against = getattr(values.get("duplicates"), "against", None)
    if against is None:
        return "add"
    return {"link": "add_or_link", "skip": "add", "quarantine": "add"}.get(against.then, "add_or_update")


def _was(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if not node.pairs:
        return reading.wrong(
            "empty", node.at, "`was` is an empty map", "say the earlier `system`, `entity`, or both"
        )
    return build(Was, values, node, reading) if values else BAD


_WAS = Many(
    Record(
        "an earlier name of an entity's rows",
        {
            "system": Key(
                Words("the name of a system", identifier("a system")), "The system's earlier name."
            ),
            "entity": Key(
                Words("the name of an entity", identifier("an entity")), "The entity's earlier name."
            ),
        },
        finish=_was,
        words="{system: …, entity: …}, or one of them",
    ),
    "{system: …, entity: …}, or a list of them, the newest first",
    single=True,
)


def _gone(value: Any, node: Node, reading: Reading, path: Path_) -> Any:
    if value == "flag":
        return reading.wrong(
            "wrong_value",
            node.at,
            "`on_gone: flag` does not say which column gets which value",
            "for example on_gone: {flag: status, value: gone}",
        )
    return OnGone(then=value)


_ON_GONE = ByKind(
    Then(Choice(("keep", "flag", "delete")), _gone),
    pairs=Record(
        "on_gone",
        {
            "flag": Key(TARGET_COLUMN, "The field that says of a row that it is gone.", required=True),
            "value": Key(Words("a value", raw=True), "What it says then.", required=True),
        },
        finish=lambda values, node, reading, path: OnGone(then="flag", **values),
    ),
    words="keep, delete, or {flag: COLUMN, value: TEXT}",
)
_MATCH = ByKind(
    Then(TARGET_COLUMN, lambda value, node, reading, path: {value: None}),
    Then(Many(TARGET_COLUMN), lambda value, node, reading, path: dict.fromkeys(value)),
    MapOf(
        Words("a source column or an SQL expression", raw=True),
        "a map of target columns to source columns",
        name_check("column"),
    ),
    words="a list of target columns, or {target column: source column}",
)
ENTITY = Record(
    "an entity",
    {
        "from": Key(
            ByKind(
                Then(TABLE, lambda value, node, reading, path: {"table": value}),
                pairs=Record(
                    "the origin of an entity",
                    {
                        "source": Key(Words("the name of a source"), "One of `sources`.", required=True),
                        "table": Key(TABLE, "The table there.", required=True),
                    },
                ),
                words="the name of a source table, or {source: …, table: …}",
            ),
            "The source table.",
            required=True,
            instead="query",
        ),
        "query": Key(QUERY, "An SQL SELECT over the extracted tables, in place of `from`: its rows are the source rows."),
        "pivot": Key(PIVOT, "Names and values made into columns: one row for every value of `per`."),
        "with": Key(JOINS, "Joined tables by name; their columns are name.column."),
        "explode": Key(EXPLODE, "Several rows made of one; `slot` numbers them from 1."),
        "one_per": Key(ONE_PER, "One row for every value of these columns."),
        "where": Key(EXPRESSION, "An SQL condition on the extracted rows; the others are counted as excluded. NULL is not true."),
        "key": Key(
            Then(Many(COLUMN, "the column that identifies a row", single=True), _key),
            "The source column that identifies a row, or a list of them; line, content: for tables without one.",
            required=True,
        ),
        "into": Key(TABLE, "The target table.", required=True),
        "create": Key(
            Choice.of(Entity, "create"), "if_missing: the target table, or columns of it, that `fields` name and that are not there are created before the load."
        ),
        "match": Key(_MATCH, "Target columns that decide whether a row is there already."),
        "write": Key(
            Choice.of(Entity, "write"), "link (found, never created), add, add_or_link, update (never created), or add_or_update (default where `match` is given)."
        ),
        "existing": Key(
            MapOf(Choice(("overwrite", "keep", "fill_empty")), "a map of fields, and `default` for the others", name_check("column")),
            "What happens to a field of rows that are in the target already: overwrite (default), keep, fill_empty.",
        ),
        "was": Key(_WAS, "Earlier names of the system or the entity: rows known under them are the same rows."),
        "target_sets": Key(
            MapOf(Choice(("any", "at_least", "not_null")), "a map of target columns", name_check("column")), "Columns that triggers or defaults of the target change."
        ),
        "let": Key(LET, "Working values, written nowhere: later ones, fields, rules, `match` and `key` see them like columns."),
        "fields": Key(FIELDS, "Target columns and where their values come from."),
        "defaults": Key(DEFAULTS, "What fields of this entity say unless they say otherwise; before the file's own `defaults`."),
        "duplicates": Key(DUPLICATES, "Which rows are one and the same, and what survives of their values."),
        "known_as": Key(KNOWN_AS, "Rows that are somebody who is known already in another table are never created as new."),
        "consent": Key(CONSENT, "Values that do not move without consent, and consent that is never weakened in the target."),
        "retention": Key(RETENTION, "Rows that are too old to be moved."),
        "on_parent_excluded": Key(
            Choice.of(Entity, "on_parent_excluded"),
            "What happens with a row that refers to one left out by rule: quarantine, exclude (it is left out too), empty (the reference is emptied); by default as `missing` of the reference says.",
        ),
        "on_gone": Key(_ON_GONE, "What happens to loaded rows whose source row is gone: keep (default), delete, or {flag: COLUMN, value: TEXT}."),
        "on_conflict": Key(
            Choice.of(Entity, "on_conflict"),
            "What happens to a row that changed at the source and was edited in the target since it was loaded: quarantine (default), keep, overwrite.",
        ),
        "min_quality": Key(MIN_QUALITY, "The least quality scores of the rows that go on; less stops the run before the load."),
        "max_gone": Key(Share(), "The entity's own limit; see policy."),
        "max_quarantine": Key(Share(), "The entity's own limit; see policy."),
        "examples": Key(EXAMPLES, "Tests of the mapping, carried out by migrate test without any database."),
        "why": Key(WHY, WHY_DOC),
    },
    later=_ENTITY_LATER,
    rules={"oneOf": [{"required": ["from"]}, {"required": ["query"]}]},
    finish=_entity,
)  # fmt: skip
