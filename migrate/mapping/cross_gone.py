"""What a mapping's keys about a second run must say together: `on_gone`, `on_conflict`, `max_gone`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from migrate.mapping.model import Entity, Source
from migrate.mapping.references import list_values
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_


def check_conflicts(entity: Entity, path: Path_, reading: Reading) -> None:
    """`on_conflict` speaks of rows that the entity may write."""
    if entity.on_conflict == "quarantine":
        return
    at = reading.key_at(*path, "on_conflict")
    if entity.write == "link":
        message = "`on_conflict` does nothing under `write: link`, which only finds rows"
        reading.wrong("conflict", at, message, "remove it")
    elif entity.on_conflict == "overwrite" and not entity.updates:
        message = (
            f"`write: {entity.write}` never changes a row that is there, so `on_conflict: overwrite` cannot"
        )
        reading.wrong("conflict", at, message, "write update or add_or_update, or say on_conflict: keep")


def check_gone(
    name: str,
    entities: Mapping[str, Entity],
    sources: Mapping[str, Source],
    split: Sequence[str],
    fields: Sequence[str],
    reading: Reading,
) -> None:
    """What has to hold before rows may be flagged or deleted because their source row is gone. `split`: tables whose
    rows go several roads; `fields`: the names that the file gives."""
    entity, path = entities[name], ("entities", name)
    then = entity.on_gone.then
    if then == "keep":
        if entity.max_gone is not None:
            at = reading.key_at(*path, "max_gone")
            reading.wrong(
                "conflict",
                at,
                "`max_gone` does nothing where gone rows are kept",
                "say on_gone, or remove it",
            )
        return
    at = reading.key_at(*path, "on_gone")
    for message, hint in _unsure(entity, sources, split):
        reading.wrong("conflict", at, f"`on_gone: {then}` cannot tell gone rows here: {message}", hint)
    if then == "flag":
        _flag(entity, path, fields, reading)
        return
    if not entity.inserts:
        message = (
            f"`on_gone: delete` deletes only rows that were added, and `write: {entity.write}` adds none"
        )
        reading.wrong("conflict", at, message, "remove it, or say on_gone: {flag: …}")
    for other, field in _lists_of(name, entities):
        message = f"`{other}.{field}` holds lists of references to `{name}`, where nobody sees whether a row is still referred to"
        reading.wrong("conflict", at, message, "say on_gone: {flag: …}, or keep")


def _unsure(entity: Entity, sources: Mapping[str, Source], split: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Why a row that is not on the entity's road may be at the source all the same, and what to do."""
    if entity.query is not None:
        yield "a query leaves out rows that are there", "read the table with `from`, or say on_gone: keep"
    elif entity.table in split:
        yield (
            f"rows of `{one_line(entity.table)}` may go another road of its split",
            "say on_gone: keep",
        )
    if entity.key_is_line:
        yield (
            "`key: line` gives another row the number of one that went",
            "choose columns as key, or say on_gone: keep",
        )
    source = sources.get(entity.source)
    table = source.tables.get(entity.table) if source else None
    if table is not None and table.file is not None and any(c in table.file for c in "*?["):
        yield (
            f"`{one_line(table.file)}` means several files, and a file that is missing looks like rows that went",
            "name one file, or say on_gone: keep",
        )


def _flag(entity: Entity, path: Path_, fields: Sequence[str], reading: Reading) -> None:
    """The flag is a plain field of the entity: so a row that comes back gets the field's own value again."""
    column = entity.on_gone.flag or ""
    at = reading.at(*path, "on_gone", "flag")
    if not entity.updates:
        message = f"`write: {entity.write}` never changes a row that is there, and a flag is a change"
        reading.wrong("conflict", at, message, "write update or add_or_update, or say on_gone: keep")
    if column not in fields:
        hint = did_you_mean(
            column, [*fields], "give the column a field: it says what rows hold that are not gone"
        )
        reading.wrong("unknown_name", at, f"no field gives `{one_line(column)}`", hint)
        return
    field = entity.fields.get(column)
    if field is None:
        return  # it has a mistake of its own
    for wrong, why in (
        (field.ref is not None or field.find is not None, "it is a reference"),
        (field.list is not None, "it is a list"),
        (column in entity.match, "rows are matched by it"),
        (column in entity.target_sets, "the target sets it"),
        (entity.on_existing(column) != "overwrite", "`existing` leaves it to the target"),
    ):
        if wrong:
            reading.wrong(
                "conflict", at, f"`{one_line(column)}` cannot be the flag: {why}", "choose another field"
            )


def _lists_of(name: str, entities: Mapping[str, Entity]) -> Iterator[tuple[str, str]]:
    for other, entity in entities.items():
        for column, field in entity.fields.items():
            if field.list is not None and any(
                value.ref is not None and name in value.ref.entities for value in list_values(field).values()
            ):
                yield other, column
