"""What examples and checks over tables say of entities and columns: names that the mapping must have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from migrate.mapping.model import Cell, Entity, Example, Ref, TableCheck
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_
from migrate.mapping.usage import columns_used


def check_tests(entities: dict[str, Entity], names: list[str], checks: Any, reading: Reading) -> None:
    """Reports to `reading.problems`. `entities`: the good ones; `names`: of all, so that one with a mistake of its own is
    not called unknown; `checks`: the good ones of the file, or anything else where there are none."""
    for name, entity in entities.items():
        used = columns_used(entity) if entity.examples else set()
        for example in entity.examples:
            _example(entity, used, example, ("entities", name, "examples", example.number), reading)
    for check in checks if isinstance(checks, tuple) else ():
        _table_check(check, entities, names, ("checks", check.number), reading)


def _unknown(what: str, name: str, known: Iterable[str], path: Path_, reading: Reading) -> None:
    names = sorted(known)
    listed = f"{', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
    hint = did_you_mean(name, names, f"there are {listed}" if names else "there is none at all")
    reading.wrong("unknown_name", reading.key_at(*path), f"{what} `{one_line(name)}`", hint)


def _example(entity: Entity, used: set[str], example: Example, path: Path_, reading: Reading) -> None:
    for column in example.given:
        if column not in used:
            words = f"nothing in `{entity.name}` reads a source column"
            _unknown(words, column, used, (*path, "given", column), reading)
    for join, rows in example.joined.items():
        _joined(entity, join, rows, used, (*path, "given", join), reading)
    for column, value in example.expect.items():
        here = (*path, "expect", column)
        if column not in entity.fields:
            _unknown("no field gives", column, entity.fields, here, reading)
        elif isinstance(value, dict) and value.keys() == {"ref"}:
            _reference(entity.fields[column].ref, column, value["ref"][0], here, reading)
    for column in example.events:
        if column not in entity.fields:
            _unknown("no field gives", column, entity.fields, (*path, "expect", "events", column), reading)


def _joined(
    entity: Entity, join: str, rows: Sequence[dict[str, Cell]], used: set[str], path: Path_, reading: Reading
) -> None:
    if join not in entity.with_:
        _unknown(f"`{entity.name}` has no join", join, entity.with_, path, reading)
        return
    if len(rows) > 1 and entity.with_[join].rows != "any":
        message = f"`{join}` gives {entity.with_[join].rows} row, and here are {len(rows)}"
        reading.wrong("conflict", reading.key_at(*path), message, "give one, or say rows: any in the join")
    known = [name.partition(".")[2] for name in used if name.partition(".")[0] == join]
    for number, row in enumerate(rows):
        for column in row:
            if column not in known:
                place = (*path, column) if (*path, column) in reading.keys else (*path, number, column)
                words = f"nothing in `{entity.name}` reads a column of `{join}`"
                _unknown(words, column, known, place, reading)


def _reference(ref: Ref | None, column: str, entity: str, path: Path_, reading: Reading) -> None:
    targets = ref.entities if ref is not None else ()
    if entity not in targets:
        hint = f"it refers to {', '.join(targets)}" if targets else "the field has no `ref`"
        message = f"`{column}` never refers to `{one_line(entity)}`"
        reading.wrong("conflict", reading.at(*path), message, hint)


def _table_check(
    check: TableCheck, entities: dict[str, Entity], names: list[str], path: Path_, reading: Reading
) -> None:
    entity = entities.get(check.of)
    if check.of not in names:
        key = "of" if check.column is not None else "count"
        _unknown("there is no entity", check.of, names, (*path, key), reading)
    if entity is None:
        return
    if entity.write == "link":
        message = f"`{entity.name}` writes nothing, so there is nothing to compare"
        reading.wrong("conflict", reading.at(*path), message, "check an entity that is written")
        return
    places = [(check.column, check.kind)] if check.column is not None else []
    for column, key in [*places, *((c, "by") for c in check.by)]:
        field = entity.fields.get(column)
        if field is None:
            _unknown(f"no field of `{entity.name}` gives", column, entity.fields, (*path, key), reading)
        elif (field.ref or field.find) and key != "count":
            message = f"`{column}` refers to a row, and its keys are not the same before and after"
            reading.wrong("conflict", reading.at(*path, key), message, "take a column with values")
