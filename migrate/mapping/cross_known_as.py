"""What an entity's `known_as` must say together with the rest of the mapping."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.mapping.model import Entity
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_


def check_known_as(
    entity: Entity, path: Path_, entities: Mapping[str, Entity], fields: list[str], reading: Reading
) -> None:
    """`fields`: the names that the file gives, whether their values are good or not."""
    known = entity.known_as
    if known is None:
        return
    here = (*path, "known_as")
    if not entity.inserts:
        reading.wrong(
            "conflict",
            reading.key_at(*here),
            f"`known_as` does nothing under `write: {entity.write}`, which brings no new row",
            "remove it",
        )
    for name, rules in known.tables.items():
        place = (*here, name)
        if _table(entities, name) == entity.into:
            reading.wrong(
                "conflict",
                reading.key_at(*place),
                f"`{one_line(name)}` is where these rows go themselves",
                "`duplicates` is about rows of one table; `known_as` about those of another",
            )
        for by in rules:
            field = entity.fields.get(by.field)
            if by.field not in fields:
                hint = did_you_mean(by.field, fields, "rows are known by fields of the entity")
                message = f"no field gives `{one_line(by.field)}`"
                reading.wrong("unknown_name", reading.at(*place), message, hint)
            elif field is not None and (field.ref or field.find or field.list is not None):
                message = (
                    f"`{one_line(by.field)}` is a reference or a list, and rows are known by plain values"
                )
                reading.wrong("conflict", reading.at(*place), message, "name another field")


def check_circles(entities: Mapping[str, Entity], reading: Reading) -> None:
    """Of rows that are known as each other none would be written: who is known as whom goes in one direction."""
    towards: dict[str, dict[str, str]] = {}  # table → table → an entity that says so
    for name, entity in entities.items():
        for other in entity.known_as.tables if entity.known_as else ():
            table = _table(entities, other)
            if table != entity.into:
                towards.setdefault(entity.into, {}).setdefault(table, name)
    for start in towards:
        way = _way(towards, start, start)
        if way and start == min(way):
            reading.wrong(
                "conflict",
                reading.key_at("entities", towards[start][way[1]], "known_as"),
                f"rows would be known as each other, and none of them written: {' → '.join(way)}",
                "take `known_as` out of one of them",
            )


def _way(towards: Mapping[str, Mapping[str, str]], start: str, goal: str) -> list[str]:
    """The tables from `start` back to `goal`, both included; [] where there is no way."""
    seen, open_ = {start}, [[start]]
    while open_:
        way = open_.pop(0)
        for table in towards.get(way[-1], ()):
            if table == goal:
                return [*way, table]
            if table not in seen:
                seen.add(table)
                open_.append([*way, table])
    return []


def _table(entities: Mapping[str, Entity], name: str) -> str:
    return entities[name].into if name in entities else name
