"""What an entity's `duplicates` must say together with the rest of it."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.mapping.duplicates import DEFAULT
from migrate.mapping.model import Entity
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_


def check_duplicates(entity: Entity, path: Path_, fields: list[str], reading: Reading) -> None:
    """`duplicates` speaks of fields, for what is compared is what would be written. `fields`: the names that the file
    gives."""
    rules = entity.duplicates
    if rules is None:
        return
    here = (*path, "duplicates")
    for message, hint in _conflicts(entity):
        reading.wrong("conflict", reading.key_at(*here), message, hint)
    named: list[tuple[str, Path_]] = [
        *((c, (*here, "same", n)) for n, group in enumerate(rules.same) for c in group),
        *((c, (*here, "similar", c)) for c in rules.similar),
        *((c, (*here, "decide", "never_differ")) for c in rules.decide.never_differ),
        *((f, (*here, "survive", f)) for f in rules.survive if f != DEFAULT),
        *((s.by, (*here, "survive", f)) for f, s in rules.survive.items() if s.by is not None),
    ]
    for column, place in named:
        if column not in fields:
            hint = did_you_mean(column, fields, "rows are compared, and survive, by fields of the entity")
            reading.wrong("unknown_name", reading.at(*place), f"no field gives `{one_line(column)}`", hint)
    for column in rules.columns:
        field = entity.fields.get(column)
        if field is not None and (field.ref or field.find or field.list is not None):
            reading.wrong(
                "conflict",
                reading.key_at(*here),
                f"`{one_line(column)}` is a reference or a list, and rows are compared by plain values",
                "name another field",
            )


def _conflicts(entity: Entity) -> Iterator[tuple[str, str]]:
    if entity.write == "link":
        yield "`duplicates` does nothing under `write: link`, which only finds rows", "remove it"
    if entity.key_is_content:
        yield (
            "`key: content` tells equal rows apart by a number, and `duplicates` makes them one",
            "name key columns",
        )
    if entity.consent is not None:
        yield (
            "`duplicates` beside `consent` is not built yet in this version: a merged row would need the most restrictive consent of all",
            "take one of them out",
        )
