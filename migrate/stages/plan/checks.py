"""The mapping held against both catalogues: tables, keys, lookups, and which rows must be there before which."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from migrate.errors import Problem
from migrate.mapping.model import Entity, Mapping
from migrate.mapping.references import match_references, references_of, referring_columns
from migrate.mapping.usage import table_maps
from migrate.model import Kind, Schema, Table
from migrate.planning import key_from
from migrate.stages.plan.ordering import Edge

SQLITE_DIGITS = 15
RESERVED = "__"  # what our own columns begin with


def where_is(mapping: Mapping, path: str) -> str:
    return mapping.positions.get(path, path)


def _nearest(name: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(name, names, 1)
    return (
        f"did you mean {close[0]!r}?"
        if close
        else f"there are: {', '.join(names[:12])}"
        if names
        else "there are none"
    )


def check_tables(
    mapping: Mapping, sources: dict[str, Schema], target: Schema
) -> tuple[list[Problem], list[Problem]]:
    """(problems, warnings) of the target's tables, and of tables that maps come from."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for name, entity in mapping.entities.items():
        path = f"entities.{name}"
        if entity.into not in target.table_names:
            problems.append(_no_target_table(mapping, name))
            continue
        table = target.table(entity.into)
        if table.triggers and entity.write != "link":
            warnings.append(
                Problem(
                    "triggers",
                    where_is(mapping, f"{path}.into"),
                    f"{entity.into} has triggers ({', '.join(table.triggers)})",
                    "tables they write are not known here: name them in policy.backup.tables, and columns they set in target_sets",
                )
            )
        for column in entity.match:
            if column not in table.column_names:
                problems.append(
                    Problem(
                        "unknown_column",
                        where_is(mapping, f"{path}.match.{column}"),
                        f"{entity.into} has no column {column!r}",
                        _or_create(entity, _nearest(column, table.column_names), column in entity.fields),
                    )
                )
        problems += _target_sets(mapping, path, entity, table)
    problems += _map_tables(mapping, sources)
    for extra in mapping.policy.backup.tables:
        if extra != "touched" and extra not in target.table_names:
            problems.append(no_table(mapping, "policy.backup.tables", extra, "target"))
    return problems, warnings


def _no_target_table(mapping: Mapping, name: str) -> Problem:
    entity = mapping.entities[name]
    found = no_table(mapping, f"entities.{name}.into", entity.into, "target")
    if entity.create is not None:
        return replace(
            found, hint=f"{name} never brings rows (write: {entity.write}), so no table is created for it"
        )
    return replace(found, hint=_or(found.hint, _LET_CREATE)) if entity.inserts else found


def _or_create(entity: Entity, hint: str, has_field: bool = True) -> str:
    """`hint`, and that a column which is missing can be created."""
    if entity.write == "link" or not has_field:
        return hint
    return hint if entity.create else _or(hint, _LET_CREATE)


_LET_CREATE = "let the run create it: create: if_missing"


def _or(hint: str, more: str) -> str:
    if not hint:
        return more
    return f"{hint} Or {more}" if hint.endswith("?") else f"{hint}; or {more}"


def _map_tables(mapping: Mapping, sources: dict[str, Schema]) -> list[Problem]:
    """Tables and columns that value maps come from."""
    problems: list[Problem] = []
    for name, (_, of) in table_maps(mapping.entities.values()).items():
        if of.table not in sources[of.source].table_names:
            problems.append(no_table(mapping, f"maps.{name}.table", of.table, f"source {of.source}"))
            continue
        columns = sources[of.source].table(of.table).column_names
        for key, column in (("from", of.from_), ("to", of.to)):
            if column not in columns:
                problems.append(
                    Problem(
                        "unknown_column",
                        where_is(mapping, f"maps.{name}.{key}"),
                        f"{of.table} has no column {column!r}",
                        _nearest(column, columns),
                    )
                )
    return problems


_ORDERED = (Kind.INT, Kind.FLOAT, Kind.DECIMAL, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)


def _target_sets(mapping: Mapping, path: str, entity: Entity, table: Table) -> list[Problem]:
    problems = []
    for column, rule in entity.target_sets.items():
        where = where_is(mapping, f"{path}.target_sets.{column}")
        if column not in table.column_names:
            problems.append(
                Problem(
                    "unknown_column",
                    where,
                    f"{entity.into} has no column {column!r}",
                    _nearest(column, table.column_names),
                )
            )
        elif (
            rule == "at_least" and column in entity.fields and table.column(column).type.kind not in _ORDERED
        ):
            type_ = table.column(column).type
            problems.append(
                Problem(
                    "type",
                    where,
                    f"at_least compares numbers and dates, and {column} is {type_.native or type_.kind.value}",
                    "say any or not_null",
                )
            )
    return problems


def check_sqlite_decimals(mapping: Mapping, target: Schema) -> list[Problem]:
    """A column of NUMERIC affinity keeps a decimal as a float: exact to 15 digits (F22)."""
    problems = []
    for name, entity in mapping.entities.items():
        for field in entity.fields:
            type_ = target.table(entity.into).column(field).type
            text = any(word in type_.native.upper() for word in ("CHAR", "CLOB", "TEXT"))
            if type_.kind is Kind.DECIMAL and (type_.precision or 0) > SQLITE_DIGITS and not text:
                problems.append(
                    Problem(
                        "decimal_digits",
                        where_is(mapping, f"entities.{name}.fields.{field}"),
                        f"{entity.into}.{field} is {type_.native}, which SQLite keeps as a float of {SQLITE_DIGITS} digits",
                        "declare the column as DECIMAL_TEXT or TEXT, or with fewer digits",
                    )
                )
    return problems


def no_table(mapping: Mapping, path: str, name: str, side: str) -> Problem:
    """`side`: target, or source NAME."""
    return Problem(
        "unknown_table",
        where_is(mapping, path),
        f"the {side} has no table {name!r}",
        "check the name, and that this user may see it",
    )


def check_keys(mapping: Mapping, target: Schema) -> list[Problem]:
    problems = []
    for name, entity in mapping.entities.items():
        table = target.table(entity.into)
        where = where_is(mapping, f"entities.{name}.into")
        for field_name in entity.fields:
            if field_name.startswith(RESERVED):
                problems.append(
                    Problem(
                        "reserved_name",
                        where_is(mapping, f"entities.{name}.fields.{field_name}"),
                        f"column names that begin with {RESERVED} are used by this program itself",
                        "give the target column another name",
                    )
                )
        if not table.primary_key:
            problems.append(
                Problem(
                    "no_key",
                    where,
                    f"{entity.into} has no primary key: rows could not be read back or undone",
                    "add one to the target table",
                )
            )
        elif entity.inserts and key_from(entity, table) is None:
            problems.append(
                Problem(
                    "no_key",
                    where,
                    f"no value for the key of {entity.into} ({', '.join(table.primary_key)})",
                    "map the key columns in `fields`",
                )
            )
        for field in table.primary_key:
            if field in entity.fields and (ref := entity.fields[field].ref) and name in ref.entities:
                problems.append(
                    Problem("key_cycle", where, f"the key column {field} refers to {name} itself")
                )
    return problems


def edges_of(mapping: Mapping, target: Schema) -> list[Edge]:
    """References of the mapping, and foreign keys of the target between tables that other entities write."""
    edges = []
    by_table: dict[str, list[str]] = {}
    for name, entity in mapping.entities.items():
        by_table.setdefault(entity.into, []).append(name)
    for name, entity in mapping.entities.items():
        if entity.write == "link":
            # Nothing is written: nothing has to be there before, but for what the row is found by.
            for fld in match_references(entity):
                edges += [
                    Edge(name, fld, parent, False) for parent in dict(references_of(entity))[fld].entities
                ]
            continue
        table = target.table(entity.into)
        referring = referring_columns(entity)
        for field_name, field in entity.fields.items():
            column = table.column(field_name)
            # Where no row is ever new, a column keeps its old value until the second pass.
            required = entity.inserts and (not column.nullable or field_name in table.primary_key)
            for parent in field.ref.entities if field.ref else ():
                edges.append(Edge(name, field_name, parent, required))
            if field.list is not None:
                edges += [
                    Edge(name, field_name, p, False, waits=False) for p in referring.get(field_name, ())
                ]
        for fk in table.foreign_keys:
            if any(c in entity.fields and entity.fields[c].ref for c in fk.columns):
                continue
            for parent in by_table.get(fk.ref_table, []):
                if parent != name and all(c in entity.fields for c in fk.columns):
                    edges.append(Edge(name, "", parent, True))
    return edges


def impossible_cycle(mapping: Mapping, cycle: tuple[str, ...]) -> Problem:
    text = " → ".join(cycle)
    return Problem(
        "cyclic_not_null",
        where_is(mapping, f"entities.{cycle[0]}"),
        f"{text} refer to each other through columns that take no NULL, so no row can be first",
        "let one of these target columns be NULL",
    )
