"""Which source columns a mapping uses, in any way."""

from __future__ import annotations

from migrate.mapping.expr import columns_of
from migrate.mapping.model import Entity, Mapping


def used_columns(mapping: Mapping, source: str, table: str) -> set[str]:
    """Columns of one source table that some entity reads."""
    return set().union(
        *(_used(e) for e in mapping.entities.values() if (e.source, e.table) == (source, table))
    )


def _used(entity: Entity) -> set[str]:
    used = set() if entity.key_is_line or entity.key_is_content else set(entity.key)
    if entity.where:
        used.update(columns_of(entity.where))
    for expression in entity.match.values():
        if expression:
            used.update(columns_of(expression))
    for field in entity.fields.values():
        if field.from_:
            used.add(field.from_)
        if field.expr:
            used.update(columns_of(field.expr))
        if field.ref and field.ref.kind:
            used.add(field.ref.kind)
    return used
