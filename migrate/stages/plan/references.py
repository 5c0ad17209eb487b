"""References and lookups held against the target's catalogue: what they look in, and whether its keys fit the column."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Dict

from migrate.errors import Problem
from migrate.mapping.known_as import DOMAIN_COLUMNS
from migrate.mapping.language.known_as import column_and_item
from migrate.mapping.model import Default, Entity, Find, Mapping
from migrate.mapping.references import list_values, references, slot_name
from migrate.mapping.shapes import did_you_mean
from migrate.model import Column, Kind, Schema, Table, Type
from migrate.planning import finds, key_from, known_column, known_table
from migrate.stages.plan.checks import no_table, where_is
from migrate.transform.compile_field import type_words
from migrate.transform.convert import impossible

# What can be read back from the text by which a key travels (`migrate.canon.from_text`).
_HOLDS_KEYS = frozenset(
    {Kind.TEXT, Kind.UUID, Kind.JSON, Kind.OPAQUE, Kind.INT, Kind.DECIMAL, Kind.DATE, Kind.BOOL}
)
_UUID = 36  # characters


def check_lookups(mapping: Mapping, target: Schema) -> list[Problem]:
    """Tables and columns that `find` names."""
    problems: list[Problem] = []
    for name, entity in mapping.entities.items():
        for field, find in finds(entity):
            path = f"entities.{name}.fields.{field}"
            if find.table in target.table_names:
                problems += _lookup(mapping, path, find, target.table(find.table))
            else:
                problems.append(no_table(mapping, path, find.table, "target"))
    return problems


def _lookup(mapping: Mapping, path: str, find: Find, looked: Table) -> Iterator[Problem]:
    for column in (*find.where, find.by, find.give):
        if column is not None and column not in looked.column_names:
            message = f"{find.table} has no column {column!r}"
            hint = did_you_mean(column, looked.column_names)
            yield Problem("unknown_column", where_is(mapping, path), message, hint)
    if find.give is None and len(looked.primary_key) != 1:
        message = f"{find.table} has no primary key of one column, so a lookup has no single result"
        hint = "say which column it gives: give: …"
        yield Problem("composite_key", where_is(mapping, path), message, hint)


def check_known_as(mapping: Mapping, target: Schema) -> list[Problem]:
    """Tables and columns of the target in which rows are known."""
    problems: list[Problem] = []
    for name, entity in mapping.entities.items():
        for other, rules in entity.known_as.tables.items() if entity.known_as else ():
            path = f"entities.{name}.known_as.{other}"
            table = known_table(mapping, other)
            if table not in target.table_names:
                problems.append(no_table(mapping, path, table, "target"))
                continue
            columns = target.table(table).column_names
            for by in rules:
                if known_column(by, target.table(table)) is not None:
                    continue
                named = by.column or by.field
                message = f"{table} has no column {named!r}"
                hint = did_you_mean(named, columns) or f"say which: {{{by.field}: COLUMN}}"
                if by.domain and by.column is None:
                    message = (
                        f"{table} has no column that holds domains by its name ({', '.join(DOMAIN_COLUMNS)})"
                    )
                    hint = f"say which: {{domain_of: {by.field}, in: COLUMN}}"
                problems.append(Problem("unknown_column", where_is(mapping, path), message, hint))
    return problems


def check_against(mapping: Mapping, target: Schema) -> list[Problem]:
    """Columns of the target that rows are compared with under `duplicates … against`."""
    problems: list[Problem] = []
    for name, entity in mapping.entities.items():
        against = entity.duplicates.against if entity.duplicates is not None else None
        if against is None or entity.into not in target.table_names:
            continue
        columns = target.table(entity.into).column_names
        for field, text in against.columns.items():
            column = column_and_item(text)[0]
            if column not in columns:
                path = f"entities.{name}.duplicates.against.{against.table}.{field}"
                message = f"{entity.into} has no column {column!r}"
                problems.append(
                    Problem("unknown_column", where_is(mapping, path), message, did_you_mean(column, columns))
                )
    return problems


def check_references(mapping: Mapping, target: Schema) -> list[Problem]:
    """The keys that references and lookups give must be able to stand in the column. All tables and columns are there."""
    problems: list[Problem] = []
    for name, entity in mapping.entities.items():
        columns = _holders(entity, target.table(entity.into))
        for field, ref in references(entity):
            path = f"entities.{name}.fields.{field}"
            for parent in ref.entities:
                into = target.table(mapping.entities[parent].into)
                if len(into.primary_key) != 1:
                    message = f"{into.name} has a key of several columns, so one column cannot refer to it"
                    problems.append(Problem("composite_key", where_is(mapping, path), message))
                    continue
                if field not in columns:
                    continue
                made = key_from(mapping.entities[parent], into) == "uuid5"
                found = _misfit(columns[field], into.column(into.primary_key[0]).type, uuid=made)
                if found:
                    message = f"{found}: the keys of {parent} are {_key_words(into)}"
                    problems.append(Problem("type", where_is(mapping, path), message, _WRONG_COLUMN))
        for field, find in finds(entity):
            if field not in columns:
                continue
            looked = target.table(find.table)
            given = find.give or looked.primary_key[0]
            found = _misfit(columns[field], looked.column(given).type)
            if found:
                path = f"entities.{name}.fields.{field}"
                message = f"{found}: {find.table}.{given} holds {type_words(looked.column(given).type)}"
                problems.append(Problem("type", where_is(mapping, path), message, _WRONG_COLUMN))
    return problems


def _holders(entity: Entity, into: Table) -> dict[str, Column]:
    """Value → the column that it stands in, or the item of an array; values in JSON stand in none."""
    columns = {
        c.name: c for c in into.columns if c.name in entity.fields and entity.fields[c.name].list is None
    }
    for name, field in entity.fields.items():
        item = into.column(name).type.item if field.list is not None else None
        if item is not None:
            columns |= {slot_name(name, key): Column(name, item) for key in list_values(field)}
    return columns


def check_matches(mapping: Mapping, deferred: Dict[str, Collection[str]]) -> list[Problem]:
    """References that rows are found by must be known when they are looked for. `deferred`: fields that wait for a
    second pass."""
    problems: list[Problem] = []
    for name, entity in mapping.entities.items():
        for column, given in entity.match.items():
            field = entity.fields.get(column) if given is None else None
            if field is None or not (field.ref or field.find):
                continue
            hint = "match by other columns"
            outcomes = (field.ref.missing, field.ref.ambiguous) if field.ref else ()
            if field.find:
                message = f"`{column}` is a lookup; matching on lookups is not built yet in this version"
            elif column in deferred.get(name, ()):
                message = f"`{column}` is filled in a second pass, so no row can be found by it"
            elif any(
                isinstance(o, Find) or (isinstance(o, Default) and o.default is not None) for o in outcomes
            ):
                message = f"rows are found by `{column}` before it is known what stands in for a row that is missing"
                hint = "let `missing` and `ambiguous` be quarantine, empty_and_flag or stop, or match by other columns"
            else:
                continue
            places = (f"entities.{name}.match.{column}", f"entities.{name}.match")
            where = where_is(mapping, next((p for p in places if p in mapping.positions), places[1]))
            problems.append(Problem("match_on_reference", where, message, hint))
    return problems


_WRONG_COLUMN = "is this the right column?"


def _key_words(into: Table) -> str:
    return f"{into.name}.{into.primary_key[0]} ({type_words(into.column(into.primary_key[0]).type)})"


def _misfit(column: Column, key: Type, *, uuid: bool = False) -> str:
    """Why a key cannot stand in the column, or "". `uuid`: new rows get a UUID, in whatever column their key is."""
    holds = f'"{column.name}" holds {type_words(column.type)}'
    if column.type.kind not in _HOLDS_KEYS:
        return f"{holds}, which is no kind of key"
    if impossible(Kind.UUID if uuid else key.kind, column.type):
        return holds
    if uuid and column.type.kind is Kind.TEXT and (column.type.length or _UUID) < _UUID:
        return f"{holds}, which is too short"
    return ""
