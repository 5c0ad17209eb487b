"""Which source columns a mapping uses, in any way."""

from __future__ import annotations

from collections.abc import Iterable

from migrate.mapping import template
from migrate.mapping.check_specs import condition_of
from migrate.mapping.every_field import Path, every_field
from migrate.mapping.expr import columns_of
from migrate.mapping.model import Entity, Field, Mapping, MapTable, Origin, ValueMap
from migrate.mapping.query import parse_query
from migrate.mapping.references import named_by
from migrate.mapping.road_model import Join, Pivot

ALL = "*"  # among used columns: every one of the table, for a query asks for all


def read_tables(mapping: Mapping) -> dict[str, tuple[str, ...]]:
    """Source → its tables that anything reads or looks values up in, in the order in which the mapping names them."""
    tables: dict[str, dict[str, None]] = {}
    for entity in mapping.entities.values():
        own = tables.setdefault(entity.source, {})
        own |= dict.fromkeys([entity.table] if entity.query is None else parse_query(entity.query).tables)
        for join in entity.with_.values():
            tables.setdefault(join.source, {})[join.table] = None
    for split in mapping.split.values():
        tables.setdefault(split.source, {})[split.table] = None
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
    """Columns of one source table that anything reads or looks values up in; ALL among them where a query takes them all."""
    used = {
        name
        for _, of in table_maps(mapping.entities.values()).values()
        if (of.source, of.table) == (source, table)
        for name in (of.from_, of.to)
    }
    for entity in mapping.entities.values():
        if (entity.source, entity.table) == (source, table):
            used |= _of_base(mapping, entity)
        for name, join in entity.with_.items():
            if (join.source, join.table) == (source, table):
                used |= _of_join(mapping, entity, name, join)
        if entity.query is not None and entity.source == source:
            parsed = parse_query(entity.query)
            if table in parsed.tables:
                used |= {ALL} if parsed.star else set(parsed.columns)
    for split in mapping.split.values():
        if (split.source, split.table) == (source, table):
            used.update(c for b in split.branches if b.when for c in columns_of(b.when))
    return used


def reads_rows(mapping: Mapping, entity: Entity) -> bool:
    """Whether the entity takes the rows of its table as they stand there: all of them, each once, whatever stands beside."""
    split = mapping.split.get(entity.table)
    is_split = split is not None and split.source == entity.source
    return entity.table != "" and not (entity.pivot or entity.explode or entity.one_per or is_split)


def columns_used(entity: Entity) -> set[str]:
    """Columns of its road that an entity reads, those of joins with a dot: by its fields and rules, and by its joins and
    shapes on each other."""
    used = set() if entity.key_is_line or entity.key_is_content else set(entity.key)
    if entity.where:
        used.update(columns_of(entity.where))
    for expression in entity.match.values():
        if expression:
            used.update(columns_of(expression))
    for _, field in every_field(entity):
        used.update(columns_read(field))
    used.update(columns_of_decisions(entity))
    used -= entity.let.keys()
    for join in entity.with_.values():
        used.update(join.on)
    if entity.explode is not None:
        used.update(
            slot.text for slots in entity.explode.lists.values() for slot in slots if not slot.literal
        )
    return used | set(entity.one_per)


def columns_of_decisions(entity: Entity) -> tuple[str, ...]:
    """Columns and let values by which consent and retention are decided."""
    consent = entity.consent.columns if entity.consent is not None else ()
    return (*consent, *(entity.retention.by if entity.retention is not None else ()))


def origins_of(entity: Entity, name: str) -> list[tuple[str, str, str]]:
    """(source, table, column) that the values of a column of the entity's road come from; several, where `explode`
    lists them. The table of a query is "query"."""
    if entity.explode is not None and name in entity.explode.lists:
        slots = entity.explode.lists[name]
        # The first list has columns; another one that states no text as such may be all texts.
        of_columns = name == next(iter(entity.explode.lists)) or any(s.literal for s in slots)
        columns = [s.text for s in slots if not s.literal and of_columns]
        return [origin for c in dict.fromkeys(columns) for origin in origins_of(entity, c)]
    join, dot, column = name.partition(".")
    if dot and join in entity.with_:
        given = entity.with_[join]
        is_cell = given.pivot is not None and column in given.pivot.columns
        return [(given.source, given.table, given.pivot.value if given.pivot and is_cell else column)]
    if entity.pivot is not None and name in entity.pivot.columns:
        name = entity.pivot.value
    return [(entity.source, entity.table or "query", name)]


def columns_named(mapping: Mapping, entity: Entity) -> set[str]:
    """Columns of its road by which references, of any entity, name rows of this one."""
    return {column for columns in named_by(mapping, entity.name) for column in columns} - entity.let.keys()


def _of_base(mapping: Mapping, entity: Entity) -> set[str]:
    """Columns of the entity's own table."""
    made = set(entity.pivot.columns) if entity.pivot is not None else set()
    if entity.explode is not None:
        made |= set(entity.explode.lists)
    read = columns_used(entity) | columns_named(mapping, entity)
    used = {n for n in read - made if n.partition(".")[0] not in entity.with_}
    if entity.explode is not None and entity.explode.split is not None:
        used.add(entity.explode.split)
    return used | (_of_pivot(entity.pivot) if entity.pivot is not None else set())


def _of_join(mapping: Mapping, entity: Entity, name: str, join: Join) -> set[str]:
    """Columns of the table that a join of the entity reads."""
    used = set(join.on.values()) | (set(columns_of(join.where)) if join.where else set())
    if join.pivot is not None:
        return used | _of_pivot(join.pivot)
    used |= {column for column, _ in join.ordering}
    read = columns_used(entity) | columns_named(mapping, entity)
    return used | {n.partition(".")[2] for n in read if n.partition(".")[0] == name}


def _of_pivot(pivot: Pivot) -> set[str]:
    return {*pivot.per, pivot.name, pivot.value}


def columns_read(field: Field) -> list[str]:
    """Columns and let values that one field reads, each once, in the order of its steps."""
    origins = [Origin(from_=field.from_, expr=field.expr), *field.choose]
    if isinstance(field.otherwise, Origin):
        origins.append(field.otherwise)
    read = [origin.from_ for origin in origins if origin.from_] + [*field.from_columns, *field.first_of]
    if field.text is not None:
        read += [piece.column for piece in template.pieces(field.text) if isinstance(piece, template.Name)]
    for _, sql in expressions(field):
        read += columns_of(sql)
    for step in field.do:
        read += step.columns.values()
    for rule in field.check:
        read += rule.columns.values()
    if field.ref and field.ref.kind:
        read.append(field.ref.kind)
    if field.list is not None:
        read += [field.list.split] if field.list.split else []
        read += [column for column, _ in field.list.ordering]
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


def consented_fields(entity: Entity) -> dict[str, tuple[str, ...]]:
    """Field → the channels of consent that its values need, also those of let values that it is made of."""
    if entity.consent is None:
        return {}
    needs = {name: set(channels) for name, channels in entity.consent.guarded.items()}
    for name, let in entity.let.items():  # each sees those before it
        needs.setdefault(name, set()).update(
            *(needs.get(c, ()) for c in columns_read(let) if c in entity.let)
        )
    found: dict[str, tuple[str, ...]] = {}
    for name, field in entity.fields.items():
        own = entity.consent.guarded.get(name, ())
        items = field.list.all_items if field.list is not None else ()
        parts = [field, *(value for item in items for value in item.values.values())]
        read = {c for part in parts for c in columns_read(part) if c in entity.let}
        every = {*own, *(channel for c in read for channel in needs[c])}
        if every:
            found[name] = tuple(c for c in entity.consent.channels if c in every)
    return found


def expressions(field: Field) -> list[tuple[Path, str]]:
    """(where it stands in the field, the SQL) of every expression of one field."""
    found: list[tuple[Path, str | None]] = [(("when",), field.when), (("expr",), field.expr)]
    for number, case in enumerate(field.choose):
        found += [(("choose", number, "when"), case.when), (("choose", number, "expr"), case.expr)]
    if isinstance(field.otherwise, Origin):
        found.append((("else", "expr"), field.otherwise.expr))
    found += [(("check", number, "expr"), condition_of(rule)) for number, rule in enumerate(field.check)]
    return [(path, sql) for path, sql in found if sql is not None]
