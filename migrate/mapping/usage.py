"""Which source columns a mapping uses, in any way."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.mapping import template
from migrate.mapping.every_field import Path, every_field
from migrate.mapping.expr import columns_of
from migrate.mapping.model import Entity, Field, Mapping, MapTable, Origin, ValueMap


def read_tables(mapping: Mapping) -> dict[str, tuple[str, ...]]:
    """Source → its tables that some entity reads or looks values up in, in the order in which the mapping names them."""
    tables: dict[str, dict[str, None]] = {}
    for entity in mapping.entities.values():
        tables.setdefault(entity.source, {})[entity.table] = None
    for _, table in table_maps(mapping.entities.values()).values():
        tables.setdefault(table.source, {})[table.table] = None
    return {source: tuple(names) for source, names in tables.items()}


def table_maps(entities: Iterable[Entity]) -> dict[str, tuple[ValueMap, MapTable]]:
    """The value maps that come from tables of a source, by name: those that fields of the entities look values up in."""
    return {
        field.map.name: (field.map, field.map.table)
        for entity in entities
        for _, field in every_field(entity)
        if field.map is not None and field.map.table is not None
    }


def used_columns(mapping: Mapping, source: str, table: str) -> set[str]:
    """Columns of one source table that some entity reads or looks values up in."""
    looked_up = {
        name
        for _, of in table_maps(mapping.entities.values()).values()
        if (of.source, of.table) == (source, table)
        for name in (of.from_, of.to)
    }
    return looked_up.union(
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
    for _, field in every_field(entity):
        used.update(columns_read(field))
    return used - entity.let.keys()


def columns_read(field: Field) -> list[str]:
    """Columns and let values that one field reads, each once, in the order of its steps."""
    origins = [Origin(from_=field.from_, expr=field.expr), *field.choose]
    if isinstance(field.otherwise, Origin):
        origins.append(field.otherwise)
    read = [origin.from_ for origin in origins if origin.from_] + list(field.first_of)
    if field.text is not None:
        read += [piece.column for piece in template.pieces(field.text) if isinstance(piece, template.Name)]
    for _, sql in expressions(field):
        read += columns_of(sql)
    for step in field.do:
        read += step.columns.values()
    if field.ref and field.ref.kind:
        read.append(field.ref.kind)
    if field.list and field.list.split:
        read.append(field.list.split)
    return list(dict.fromkeys(read))


def source_columns(entity: Entity, field: Field) -> list[str]:
    """Columns that one field of an entity depends on, with those behind its let values."""
    found: dict[str, None] = {}
    waiting = columns_read(field)
    while waiting:
        name = waiting.pop(0)
        if name in entity.let:
            # A let value sees those before it only, so this comes to an end; a wrong order is a problem of the plan.
            waiting = [c for c in columns_read(entity.let[name]) if c not in found and c != name] + waiting
        found.setdefault(name, None)
    return [name for name in found if name not in entity.let]


def expressions(field: Field) -> list[tuple[Path, str]]:
    """(where it stands in the field, the SQL) of every expression of one field."""
    found: list[tuple[Path, str | None]] = [(("when",), field.when), (("expr",), field.expr)]
    for number, case in enumerate(field.choose):
        found += [(("choose", number, "when"), case.when), (("choose", number, "expr"), case.expr)]
    if isinstance(field.otherwise, Origin):
        found.append((("else", "expr"), field.otherwise.expr))
    return [(path, sql) for path, sql in found if sql is not None]
