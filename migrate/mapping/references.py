"""References of a mapping: which rows they may point at, and by what those rows are named."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.mapping.every_field import Path, every_field
from migrate.mapping.model import Entity, Mapping, Ref


def references_of(entity: Entity) -> Iterator[tuple[str, Ref]]:
    """(field, reference) where the whole field is one."""
    for name, field in entity.fields.items():
        if field.ref is not None:
            yield name, field.ref


def every_reference(entity: Entity) -> Iterator[tuple[Path, Ref]]:
    """(where it stands in the entity, the reference), those inside lists too."""
    for path, field in every_field(entity):
        if field.ref is not None:
            yield (*path, "ref"), field.ref


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
