"""What the parts of a mapping must say together; everything that needs no database."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from migrate.mapping import expr
from migrate.mapping.cross_duplicates import check_duplicates
from migrate.mapping.cross_gone import check_conflicts, check_gone
from migrate.mapping.cross_known_as import check_circles, check_known_as
from migrate.mapping.cross_references import check_parents, check_values, targets_of
from migrate.mapping.cross_roads import check_roads
from migrate.mapping.cross_tests import check_tests
from migrate.mapping.cross_writes import (
    check_consent,
    check_existing,
    check_target_sets,
    check_totals,
    check_was,
)
from migrate.mapping.every_field import every_field
from migrate.mapping.file_options import check_files
from migrate.mapping.language import ENTITY
from migrate.mapping.model import Entity, Field, Ref, Source, ValueMap
from migrate.mapping.road_model import Split
from migrate.mapping.shapes import Reading, did_you_mean, nearest, one_line
from migrate.mapping.tree import Items, Node, Pairs, Path_, Text
from migrate.mapping.usage import expressions

# A column's name with blanks is no SQL; only the table can tell what such a text is.
_COLUMN_LIKE = re.compile(r"[\w .#&/:-]+")


def check_together(parts: dict[str, Any], tree: Pairs, reading: Reading) -> None:
    """Reports to `reading.problems`. `parts` are the good values by top-level key; names come from the tree, so that
    a part with a mistake of its own is not called unknown."""
    entities = _models(parts.get("entities"), Entity)
    sources = _models(parts.get("sources"), Source) | _models({"source": parts.get("source")}, Source)
    names = _Names(tree)
    for name, entity in entities.items():
        path: Path_ = ("entities", name)
        _source_of(entity, path, names, reading)
        _write(entity, path, names, reading)
        check_existing(entity, path, names.of("entities", name, "fields"), reading)
        check_target_sets(entity, path, reading)
        check_consent(entity, path, names.of("entities", name, "fields"), reading)
        check_duplicates(entity, path, names.of(*path, "fields"), reading)
        check_known_as(entity, path, entities, names.of(*path, "fields"), reading)
        check_parents(entity, path, reading)
        check_conflicts(entity, path, reading)
        check_gone(name, entities, sources, names.of("split"), names.of(*path, "fields"), reading)
        joined = names.of(*path, "with")
        _expression(entity.where, (*path, "where"), reading, joined)
        for column, value in entity.match.items():
            if value is not None and not _COLUMN_LIKE.fullmatch(value):
                _expression(value, (*path, "match", column), reading, joined)
        for place, field in every_field(entity):
            _field(field, (*path, *place), joined, names, entities, reading)
    for name, recipe in _models(parts.get("recipes"), dict).items():
        _recipe(recipe, ("recipes", name), names, reading)
    for name, value_map in _models(parts.get("maps"), ValueMap).items():
        _table_map(value_map, ("maps", name), names, reading)
    check_circles(entities, reading)
    check_was(entities, sources, reading)
    check_totals(entities, parts.get("checks"), reading)
    if tree.get("source") is not None:
        check_files(sources.get("source"), ("source",), reading)
    for name in names.of("sources"):
        check_files(sources.get(name), ("sources", name), reading)
    check_roads(
        entities, _models(parts.get("split"), Split), names.of("sources"), names.of("entities"), reading
    )
    _left_behind(tree, entities, reading)
    check_tests(entities, names.of("entities"), parts.get("checks"), reading)


class _Names:
    """Names that the file gives, whether their values are good or not."""

    def __init__(self, tree: Pairs) -> None:
        self.tree = tree

    def _node(self, path: Path_) -> Node | None:
        node: Node | None = self.tree
        for name in path:
            if isinstance(node, Items) and isinstance(name, int):
                node = node.items[name]
            else:
                node = node.get(str(name)) if isinstance(node, Pairs) else None
        return node

    def is_empty_map(self, *path: str | int) -> bool:
        node = self._node(path)
        return isinstance(node, Pairs) and not node.pairs

    def of(self, *path: str | int) -> list[str]:
        node = self._node(path)
        return [key.value for key, _ in node.pairs] if isinstance(node, Pairs) else []


def _models(values: Any, model: type) -> dict[str, Any]:
    return {k: v for k, v in values.items() if isinstance(v, model)} if isinstance(values, dict) else {}


def _unknown(what: str, name: str, names: Iterable[str], path: Path_, reading: Reading) -> None:
    known = list(names)
    hint = did_you_mean(
        name, known, f"there are {', '.join(known[:12])}" if known else f"there is no {what} at all"
    )
    reading.wrong("unknown_name", reading.at(*path), f"there is no {what} `{one_line(name)}`", hint)


def _source_of(entity: Entity, path: Path_, names: _Names, reading: Reading) -> None:
    sources = names.of("sources")
    stated = "source" in entity.model_fields_set
    if stated and sources and entity.source not in sources:
        _unknown("source", entity.source, sources, (*path, _begins(entity), "source"), reading)
    elif stated and not sources and entity.source != "source":
        reading.wrong(
            "unknown_name",
            reading.at(*path, _begins(entity), "source"),
            f"there is no source `{entity.source}`",
            "there is one `source`: write from: TABLE",
        )
    elif not stated and len(sources) > 1 and entity.query is not None:
        hint = f"query: {{source: {sources[0]}, sql: …}}"
        reading.wrong("missing_key", reading.at(*path, "query"), "which source does the query read?", hint)
    elif not stated and len(sources) > 1:
        hint = f"from: {{source: {sources[0]}, table: {entity.table}}}"
        reading.wrong(
            "missing_key", reading.at(*path, "from"), f"which source has the table `{entity.table}`?", hint
        )


def _begins(entity: Entity) -> str:
    return "from" if entity.query is None else "query"


def _misses_fields(path: Path_, names: _Names) -> bool:
    """No `fields`, and no typo of it that is reported already."""
    given = names.of(*map(str, path))
    return "fields" not in given and not any(
        nearest(name, ENTITY.keys) == "fields" for name in given if name not in ENTITY.keys
    )


def _write(entity: Entity, path: Path_, names: _Names, reading: Reading) -> None:
    fields = names.of(*map(str, path), "fields")
    has_match = "match" in names.of(*map(str, path))
    if entity.write != "add" and not has_match and not (entity.found_in_target and entity.inserts):
        at = reading.at(*path, "write")
        reading.wrong(
            "missing_key",
            at,
            f"`write: {entity.write}` needs `match`",
            "the target columns that decide whether a row is there already",
        )
    if entity.write == "add" and has_match and "write" in entity.model_fields_set:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "match"),
            "`write: add` does not look at `match`",
            "write add_or_update, or remove one of them",
        )
    for index, (column, value) in enumerate(entity.match.items()):
        if value is None and column not in fields:
            at = reading.at(*path, "match", index)
            known = did_you_mean(
                column, fields, "add the field, or say match: {" + column + ": source column}"
            )
            reading.wrong("unknown_name", at, f"no field gives `{column}`", known)
    if entity.write == "link":
        for column in fields:
            if column not in entity.match:
                at = reading.key_at(*path, "fields", column)
                reading.wrong(
                    "conflict",
                    at,
                    f"`write: link` writes nothing, so the field `{column}` does nothing",
                    "only fields that `match` names are used",
                )
    elif _misses_fields(path, names) or names.is_empty_map(*map(str, path), "fields"):
        reading.wrong(
            "missing_key",
            reading.key_at(*path),
            f"the entity `{entity.name}` has no fields",
            "say what goes into the target, or write: link",
        )


def _field(
    field: Field,
    path: Path_,
    joined: Collection[str],
    names: _Names,
    entities: dict[str, Entity],
    reading: Reading,
) -> None:
    own = names.of(*path)

    def is_own(key: str) -> bool:
        """What a recipe says is looked at where it stands."""
        return "as" not in own or key in own

    for place, sql in expressions(field):
        if is_own(str(place[0])):
            _expression(sql, (*path, *place), reading, joined)
    if field.map is not None and field.map.name and is_own("map"):
        _map(field.map.name, (*path, "map"), names, reading)
    if field.ref is not None and is_own("ref"):
        _ref(field.ref, (*path, "ref"), names, reading)
    check_values(field, path, entities, reading)


def _recipe(recipe: dict[str, Any], path: Path_, names: _Names, reading: Reading) -> None:
    """`recipe`: the keys of a field as they were read."""
    _expression(recipe.get("when"), (*path, "when"), reading, None)
    if isinstance(recipe.get("map"), str):
        _map(recipe["map"], (*path, "map"), names, reading)
    if "ref" in recipe:
        _ref(recipe["ref"], (*path, "ref"), names, reading)


def _table_map(value_map: ValueMap, path: Path_, names: _Names, reading: Reading) -> None:
    """The source of a map that comes from a table."""
    if value_map.table is None:
        return
    sources, stated = names.of("sources"), "source" in value_map.table.model_fields_set
    if stated and value_map.table.source not in (sources or ["source"]):
        _unknown("source", value_map.table.source, sources or ["source"], (*path, "source"), reading)
    elif not stated and len(sources) > 1:
        hint = f"add source: {sources[0]}"
        message = f"which source has the table `{value_map.table.table}`?"
        reading.wrong("missing_key", reading.at(*path, "table"), message, hint)


def _map(name: str, path: Path_, names: _Names, reading: Reading) -> None:
    if name not in names.of("maps"):
        _unknown("map", name, names.of("maps"), path, reading)


def _ref(ref: Ref, path: Path_, names: _Names, reading: Reading) -> None:
    for to, where in targets_of(ref, path):
        if to not in names.of("entities"):
            _unknown("entity", to, names.of("entities"), where, reading)


def _expression(sql: str | None, path: Path_, reading: Reading, joined: Collection[str] | None = ()) -> None:
    """`joined`: names of the entity's joins; None: whose expression it is, is not known here."""
    if sql is None:
        return
    for message in expr.parse_allowed(sql, joined):
        reading.wrong("expression", reading.at(*path), message)


def _left_behind(tree: Pairs, entities: dict[str, Entity], reading: Reading) -> None:
    node = tree.get("left_behind")
    if not isinstance(node, Pairs):
        return
    used = {join.table: name for name, entity in entities.items() for join in entity.with_.values()}
    used |= {entity.table: name for name, entity in entities.items()}
    for key, _ in node.pairs:
        if isinstance(key, Text) and key.value in used:
            message = f"`{key.value}` is left behind, and the entity `{used[key.value]}` takes it"
            reading.wrong("conflict", key.at, message, "name columns as table.column")
