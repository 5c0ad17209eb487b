"""Which source columns a mapping uses, in any way."""

from __future__ import annotations

from migrate.mapping.expr import columns_of
from migrate.mapping.model import Entity, Field, Mapping


def read_tables(mapping: Mapping) -> dict[str, tuple[str, ...]]:
    """Source → its tables that some entity reads, in the order in which the mapping names them."""
    tables: dict[str, dict[str, None]] = {}
    for entity in mapping.entities.values():
        tables.setdefault(entity.source, {})[entity.table] = None
    return {source: tuple(names) for source, names in tables.items()}


def used_columns(mapping: Mapping, source: str, table: str) -> set[str]:
    """Columns of one source table that some entity reads."""
    return set().union(
        *(columns_used(e) for e in mapping.entities.values() if (e.source, e.table) == (source, table))
    )


def columns_used(entity: Entity) -> set[str]:
    """Source columns that one entity reads, in any way."""
    used = set() if entity.key_is_line or entity.key_is_content else set(entity.key)
    if entity.where:
        used.update(columns_of(entity.where))
    for expression in entity.match.values():
        if expression:
            used.update(columns_of(expression))
    for field in entity.fields.values():
        used.update(columns_read(field))
    return used


def columns_read(field: Field) -> list[str]:
    """Source columns that one field reads, each once, in the order of its steps."""
    read = [field.from_] if field.from_ else []
    if field.expr:
        read += columns_of(field.expr)
    for step in field.do:
        read += step.columns.values()
    if field.ref and field.ref.kind:
        read.append(field.ref.kind)
    return list(dict.fromkeys(read))
