"""What a mapping's keys about writing must say together: `existing`, `target_sets`, `was`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from migrate.mapping.model import Entity, Source
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_


def check_existing(entity: Entity, path: Path_, fields: Sequence[str], reading: Reading) -> None:
    """`fields`: the names that the file gives, whether their values are good or not."""
    if not entity.existing:
        return
    if not entity.updates:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "existing"),
            f"`existing` does nothing under `write: {entity.write}`, which never changes a row that is there",
            "write update or add_or_update, or remove it",
        )
        return
    for name in entity.existing:
        if name == "default" and "default" not in fields:
            continue
        if name not in fields:
            hint = did_you_mean(name, ["default", *fields], "it names fields, and `default` for the others")
            at = reading.key_at(*path, "existing", name)
            reading.wrong("unknown_name", at, f"no field gives `{one_line(name)}`", hint)
    for name in fields:
        if name in entity.target_sets and entity.on_existing(name) == "fill_empty":
            own = name if name in entity.existing else "default"
            reading.wrong(
                "conflict",
                reading.key_at(*path, "existing", own),
                f"`fill_empty` and `target_sets` exclude each other: the target fills `{name}` whenever it likes",
                f"say {name}: keep, or take it out of target_sets",
            )


def check_target_sets(entity: Entity, path: Path_, reading: Reading) -> None:
    if entity.target_sets and entity.write == "link":
        reading.wrong(
            "conflict",
            reading.key_at(*path, "target_sets"),
            "`write: link` writes nothing, so `target_sets` does nothing",
            "remove it",
        )
    for column, rule in entity.target_sets.items():
        field = entity.fields.get(column)
        if rule == "at_least" and field is not None and (field.ref or field.find):
            reading.wrong(
                "conflict",
                reading.at(*path, "target_sets", column),
                f"`{column}` is a reference, and of two references none is the greater",
                "at_least compares numbers and dates: say any or not_null",
            )


def check_totals(entities: Mapping[str, Entity], checks: Any, reading: Reading) -> None:
    """A total is the same before and after only where the target has the mapping's values. `checks`: the good ones of
    the file, or anything else where there are none."""
    for check in checks if isinstance(checks, tuple) else ():
        entity = entities.get(check.of)
        for column in check.columns if entity is not None else ():
            assert entity is not None
            own = entity.updates and entity.on_existing(column) != "overwrite"
            linked = entity.write == "add_or_link"
            if own or linked:
                why = "rows that are linked keep" if linked else "`existing` lets rows that are there keep"
                reading.wrong(
                    "conflict",
                    reading.at("checks", check.number),
                    f"`{check.words}` cannot be the same before and after: {why} their own `{column}`",
                    "count rows, or check another column",
                )


def check_was(entities: Mapping[str, Entity], sources: Mapping[str, Source], reading: Reading) -> None:
    """An earlier name must be one that nobody has now, and that one entity alone claims."""
    now = {(system, name): name for name, e in entities.items() if (system := _system(e, sources))}
    claimed: dict[tuple[str, str], str] = {}
    for name, entity in entities.items():
        system = _system(entity, sources)
        if system is None:
            continue
        for identity, at in _identities(name, entity, system, reading):
            text = f"{identity[1]} of {identity[0]}"
            if now.get(identity) == name:
                reading.wrong(
                    "conflict",
                    at,
                    f"`was` says what it is called now: {text}",
                    "say the earlier name of what changed",
                )
            elif identity in now:
                reading.wrong(
                    "conflict",
                    at,
                    f"{text} is an entity of this mapping, so its rows are its own",
                    f"an earlier name of `{name}` is one that no entity has now",
                )
            elif identity in claimed:
                reading.wrong(
                    "conflict",
                    at,
                    f"{text} is said twice: `{claimed[identity]}` was called so too",
                    "rows known under one name belong to one entity",
                )
            claimed.setdefault(identity, name)


def _system(entity: Entity, sources: Mapping[str, Source]) -> str | None:
    source = sources.get(entity.source)
    return source.system if source else None


def _identities(
    name: str, entity: Entity, system: str, reading: Reading
) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    for index, was in enumerate(entity.was):
        yield (was.system or system, was.entity or name), reading.at("entities", name, "was", index)


def check_consent(entity: Entity, path: Path_, fields: Sequence[str], reading: Reading) -> None:
    """`fields`: the names that the file gives, whether their values are good or not."""
    consent = entity.consent
    if consent is None:
        return
    place = (*path, "consent")
    for name, channel in consent.channels.items():
        for field in channel.fields:
            key = (*place, name, "fields") if (*place, name, "fields") in reading.keys else (*place, name)
            if field not in fields and field not in entity.let:
                hint = did_you_mean(
                    field, [*fields, *entity.let], "say fields: [the fields and let values that it is for]"
                )
                reading.wrong(
                    "unknown_name",
                    reading.key_at(*key),
                    f"no field and no let value gives `{one_line(field)}`",
                    hint,
                )
            elif field in entity.fields and entity.fields[field].list is not None:
                hint = "name the let values that its items are made of"
                reading.wrong(
                    "conflict",
                    reading.key_at(*key),
                    f"`{field}` is a list, of which single items would have to stay behind",
                    hint,
                )
            elif field in entity.fields and (entity.fields[field].ref or entity.fields[field].find):
                reading.wrong(
                    "conflict", reading.key_at(*key), f"`{field}` is a reference, and consent is for values"
                )
        for key_, column in (("opt_out", channel.opt_out), ("opt_in", channel.opt_in)):
            if column is not None:
                _consent_column(entity, (*place, name, key_), column, fields, reading)
    for key_, column in (("provenance", consent.provenance), ("dated", consent.dated)):
        if column is not None:
            _consent_column(entity, (*place, key_), column, fields, reading)
    words = sorted({w.lower() for w in consent.yes} & {w.lower() for w in consent.no})
    if words:
        reading.wrong("conflict", reading.at(*place, "no"), f"`{words[0]}` stands for yes and for no")


def _consent_column(
    entity: Entity, path: Path_, column: str, fields: Sequence[str], reading: Reading
) -> None:
    if column not in fields:
        hint = did_you_mean(
            column, fields, f"add a field, for example {column}: {{from: COLUMN, do: [consent]}}"
        )
        reading.wrong("unknown_name", reading.at(*path), f"no field gives `{one_line(column)}`", hint)
    elif column in entity.target_sets:
        hint = "take it out of target_sets"
        reading.wrong(
            "conflict",
            reading.at(*path),
            f"the target sets `{column}` whenever it likes, so it would not be seen to change",
            hint,
        )
    elif entity.existing.get(column) == "overwrite":
        reading.wrong(
            "conflict",
            reading.key_at("entities", entity.name, "existing", column),
            f"`{column}` holds consent, which is never weakened",
            "remove it",
        )
