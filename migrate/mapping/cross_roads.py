"""What joins, queries and splits of a mapping must say together with the rest; needs no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrate.mapping import expr
from migrate.mapping.model import Entity
from migrate.mapping.query import parse_query
from migrate.mapping.road_model import Split
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_


def check_roads(
    entities: dict[str, Entity],
    splits: dict[str, Split],
    sources: Sequence[str],
    names: Sequence[str],
    reading: Reading,
) -> None:
    """Reports to `reading.problems`. `entities` and `splits`: the good ones; `sources` and `names` (of entities): those
    that the file gives, good or not."""
    for name, entity in entities.items():
        path: Path_ = ("entities", name)
        if entity.query is not None:
            for message in parse_query(entity.query).problems:
                reading.wrong("query", reading.at(*path, "query"), message)
        for join, given in entity.with_.items():
            here: Path_ = (*path, "with", join)
            _source(given.source, sources, (*here, "source"), reading)
            _expression(given.where, (*here, "where"), reading)
    for table, split in splits.items():
        _split(table, split, entities, names, reading)
        if len(sources) > 1 and not split.entities:
            message = f"which source has the table `{one_line(table)}`? No entity of this split tells"
            hint = "name an entity that reads it; a table that nothing reads belongs under left_behind"
            reading.wrong("missing_key", reading.key_at("split", table), message, hint)
    for name, entity in entities.items():
        _is_named(name, entity, splits, entities, names, reading)


def source_of_split(split: Split, entities: dict[str, Entity]) -> str | None:
    """The source whose table is split: that of the entities it names; None where they are of several."""
    found = {entities[e].source for e in split.entities if e in entities and entities[e].table == split.table}
    return next(iter(found)) if len(found) == 1 else None


def _split(
    table: str, split: Split, entities: dict[str, Entity], names: Sequence[str], reading: Reading
) -> None:
    path: Path_ = ("split", table)
    for branch in split.branches:
        place = (*path, branch.entity) if branch.reason is None else (*path, "leave_out", branch.reason)
        _expression(branch.when, tuple(str(p) for p in place), reading)
    rest = split.otherwise.entity if split.otherwise else None
    for name in split.entities:
        at = reading.at(*path, "otherwise") if name == rest else reading.key_at(*path, name)
        if name not in names:
            hint = did_you_mean(
                name, [*names, "leave_out", "otherwise"], f"there are {', '.join(names[:12])}"
            )
            reading.wrong("unknown_name", at, f"there is no entity `{one_line(name)}`", hint)
        elif name in entities and entities[name].table != table:
            where = f"reads `{entities[name].table}`" if entities[name].table else "reads a query"
            reading.wrong(
                "conflict",
                at,
                f"the entity `{name}` {where}, so no row of `{table}` can go there",
                f"from: {table}, or remove it here",
            )
    given = {entities[e].source for e in split.entities if e in entities and entities[e].table == table}
    if len(given) > 1:
        reading.wrong(
            "conflict",
            reading.key_at(*path),
            f"`{table}` is a table of several sources here ({', '.join(sorted(given))})",
            "a split is of one table: give the entities of the other sources conditions of their own (where)",
        )


def _is_named(
    name: str,
    entity: Entity,
    splits: dict[str, Split],
    entities: dict[str, Entity],
    names: Sequence[str],
    reading: Reading,
) -> None:
    split = splits.get(entity.table)
    if split is None or name in split.entities:
        return
    if any(e not in names for e in split.entities):
        return  # a name there is wrong, which is told; it may be this one
    of = {entities[e].source for e in split.entities if e in entities}
    if of and entity.source not in of:
        return  # a table of that name in another source is another table
    reading.wrong(
        "conflict",
        reading.at("entities", name, "from"),
        f"`{entity.table}` is split, and `{name}` gets none of its rows",
        f"name it under split: {{{entity.table}: {{{name}: condition}}}}, or join the table by `with`",
    )


def _source(source: str, sources: Sequence[str], path: Path_, reading: Reading) -> None:
    if source and source not in (sources or ["source"]):
        known: Iterable[str] = sources
        hint = did_you_mean(source, known, f"there are {', '.join(sources)}" if sources else "there is one")
        reading.wrong("unknown_name", reading.at(*path), f"there is no source `{one_line(source)}`", hint)


def _expression(sql: str | None, path: Path_, reading: Reading) -> None:
    if sql is None:
        return
    for message in expr.parse_allowed(sql):
        reading.wrong("expression", reading.at(*path), message)
