"""References of a mapping: which rows they may point at, and by what those rows are named."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.mapping.every_field import Path, every_field
from migrate.mapping.model import Entity, Field, Mapping, Ref


def references_of(entity: Entity) -> Iterator[tuple[str, Ref]]:
    """(field, reference) where the whole field is one."""
    for name, field in entity.fields.items():
        if field.ref is not None:
            yield name, field.ref


def values(entity: Entity) -> Iterator[tuple[str, Field]]:
    """(name, field) of every value that an entity writes: its fields, and what is in the items of its lists (`tags`,
    `emails.owner`). Items of one list that name a value alike refer alike, so each name comes once."""
    for name, field in entity.fields.items():
        if field.list is None:
            yield name, field
        else:
            yield from {slot_name(name, key): one for key, one in list_values(field).items()}.items()


def slot_name(column: str, key: str) -> str:
    """The name of a value in a list: in reasons, and wherever references are kept."""
    return f"{column}.{key}" if key else column


def list_values(field: Field) -> dict[str, Field]:
    """The values in the items of a list by their key, "" for bare ones; where several have one key, one that refers."""
    found: dict[str, Field] = {}
    for item in field.list.all_items if field.list is not None else ():
        for key, value in item.values.items():
            if key not in found or value.ref or value.find:
                found[key] = value
    return found


def references(entity: Entity) -> Iterator[tuple[str, Ref]]:
    """(name of the value, reference) of an entity."""
    for name, field in values(entity):
        if field.ref is not None:
            yield name, field.ref


def every_reference(entity: Entity) -> Iterator[tuple[Path, Ref]]:
    """(where it stands in the entity, the reference), those inside lists too."""
    for path, field in every_field(entity):
        if field.ref is not None:
            yield (*path, "ref"), field.ref


def referring_columns(entity: Entity) -> dict[str, tuple[str, ...]]:
    """Column → the entities whose rows it may point at."""
    found: dict[str, dict[str, None]] = {}
    for column, field in entity.fields.items():
        for value in (field, *list_values(field).values()):
            if value.ref is not None:
                found.setdefault(column, {}).update(dict.fromkeys(value.ref.entities))
    return {column: tuple(entities) for column, entities in found.items()}


def match_references(entity: Entity) -> tuple[str, ...]:
    """Fields that are references and by which rows are found in the target."""
    return tuple(c for c, given in entity.match.items() if given is None and c in dict(references_of(entity)))


def named_by(mapping: Mapping, entity: str) -> tuple[tuple[str, ...], ...]:
    """The columns of an entity's source rows by which references name them, where that is not the key; in the order of
    the mapping. Transformed rows carry one value for each."""
    found: dict[tuple[str, ...], None] = {}
    for child in mapping.entities.values():
        for _, ref in every_reference(child):
            if entity in ref.entities and not _is_key(ref.by, mapping.entities[entity]):
                found[ref.by] = None
    return tuple(found)


def _is_key(by: tuple[str, ...], entity: Entity) -> bool:
    return not by or (by == entity.key and not (entity.key_is_line or entity.key_is_content))


def compared_with(mapping: Mapping, ref: Ref) -> dict[str, int | None]:
    """Entity → the place of `by` in its `named_by`; None where its key is compared."""
    return {
        entity: None if _is_key(ref.by, mapping.entities[entity]) else named_by(mapping, entity).index(ref.by)
        for entity in ref.entities
    }


def is_plain(mapping: Mapping, ref: Ref) -> bool:
    """One entity by its key: the row itself says which row is meant, without a look at the others."""
    return len(ref.to) <= 1 and all(place is None for place in compared_with(mapping, ref).values())
