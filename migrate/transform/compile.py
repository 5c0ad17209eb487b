"""A mapping's entity against both catalogues: everything wrong at once, or an entity ready to run."""

from __future__ import annotations

from collections.abc import Mapping as Dict

from migrate.errors import Problem
from migrate.mapping.model import Entity, Field, Mapping
from migrate.mapping.references import every_reference, named_by
from migrate.mapping.shapes import did_you_mean
from migrate.model import Column, Kind, Table, Type
from migrate.transform.compile_field import check_types, compile_as_it_is, compile_field, compile_free
from migrate.transform.compile_origin import compile_origin
from migrate.transform.convert import DATES, TEXTS
from migrate.transform.entity import LET, CompiledEntity, CompiledField, Lossy
from migrate.transform.list_compile import compile_list
from migrate.transform.own_columns import WITH
from migrate.transform.scope import HIDDEN_TYPES, Scope
from migrate.transform.values import TEXT

# Targets whose texts hold a NUL character.
_WITH_NUL = ("sqlite", "mysql")
_WITH_NUL_URLS = ("sqlite", "mysql", "mariadb")


def compile_entity(
    mapping: Mapping,
    name: str,
    source_table: Table,
    target_table: Table | None,
    *,
    now: str,
    engine: str = "",
    joined: Dict[str, Table] | None = None,
) -> tuple[CompiledEntity | None, list[Problem]]:
    """The entity `name`, or None with all its problems. `now`: the plan's moment (ISO 8601) for SQL that asks for it.

    `source_table` has the columns of the entity's road: those of joined tables have a dot in their name.
    `target_table` None: no target is known, and every field has the type of its own result, lists are JSON.
    `joined`: the columns of joins with many rows, by the join's name. `engine`: the target's; without it the URL's scheme tells whether text may hold NUL characters."""
    entity = mapping.entities[name]
    scope = Scope(mapping, entity, source_table, target_table or _made_up(entity), joined=joined or {})
    _lets(scope)
    plain = {n: field for n, field in entity.fields.items() if field.list is None}
    compile_one = compile_field if target_table is not None else compile_as_it_is
    made = [compile_one(n, field, f"fields.{n}", scope) for n, field in plain.items()]
    fields = [f for f in made if f is not None]
    lists = [compile_list(n, field, f"fields.{n}", scope) for n, field in entity.fields.items() if field.list]
    matches = _matches(scope)
    key = _key(scope)
    named = _named(scope)
    where = scope.sql(entity.where, "where", boolean=True, lets=False) if entity.where is not None else None
    _decisions(scope)
    if target_table is not None:
        _not_null(scope)
        _target_key(scope)
    if scope.problems:
        return None, scope.problems
    nul_allowed = engine in _WITH_NUL or (not engine and mapping.target.url.startswith(_WITH_NUL_URLS))
    many = {c.name: c.type for table in scope.joined.values() for c in table.columns}
    hidden = {n: t for n, t in HIDDEN_TYPES.items() if n not in source_table.types}
    hidden |= {f"{WITH}{n}": Type(Kind.BYTES) for n, join in entity.with_.items() if join.rows == "any"}
    return (
        CompiledEntity(
            entity=entity,
            source=source_table,
            target=scope.target,
            key=key,
            named=named,
            lets=tuple(scope.lets.values()),
            fields=tuple(fields),
            lists=tuple(one for one in lists if one is not None),
            matches=tuple(matches),
            where=where.sql if where else None,
            columns_of_sql=scope.columns_of_sql,
            types=source_table.types | many | hidden | {n: made.type for n, made in scope.lets.items()},
            nulls=scope.said.nulls_of(
                [*source_table.columns, *(c for t in scope.joined.values() for c in t.columns)]
            ),
            nul_allowed=nul_allowed,
            now=now,
            date_formats={
                c: scope.said.dates(c) for c in (entity.retention.by if entity.retention is not None else ())
            },
        ),
        [],
    )


def _made_up(entity: Entity) -> Table:
    """A target of which nothing is known: its lists are JSON, and what decides on a match is text."""
    lists = [Column(name, Type(Kind.JSON)) for name, field in entity.fields.items() if field.list]
    others = [Column(name, TEXT) for name in entity.match if name not in {c.name for c in lists}]
    return Table(entity.into, (*lists, *others))


def _lets(scope: Scope) -> None:
    """Working values, each seen by those after it."""
    taken = {c.name.lower(): c.name for c in scope.source.columns} | {n: n for n in HIDDEN_TYPES}
    for name, field in scope.entity.let.items():
        path = f"let.{name}"
        if name.lower() in taken:
            hint = "give the let value another name"
            scope.wrong(
                "conflict", path, f'"{taken[name.lower()]}" is a column of {scope.source.name} already', hint
            )
            continue
        before = len(scope.problems)
        compiled = compile_free(f"{LET}{name}", field, path, scope)
        if compiled is not None:
            scope.lets[name] = compiled
        if len(scope.problems) > before:
            scope.broken.add(name)


def _decisions(scope: Scope) -> None:
    """The columns of `consent` and `retention`; those that a let value waits for must be there before it."""
    consent, retention = scope.entity.consent, scope.entity.retention
    for name, channel in consent.channels.items() if consent is not None else ():
        for key, columns in (("no_if", channel.no_if), ("yes_if", channel.yes_if)):
            for column in columns:
                found = scope.column(column, f"consent.{name}.{key}")
                if found is not None and found.type.kind in (Kind.ARRAY, Kind.BYTES):
                    scope.wrong(
                        "type", f"consent.{name}.{key}", f'"{column}" holds {found.type.kind.value} values'
                    )
        lets = list(scope.entity.let)
        first = min((lets.index(f) for f in channel.fields if f in lets), default=len(lets))
        late = [c for c in channel.columns if c in lets and lets.index(c) >= first]
        if late:
            hint = "they are made in the order of the file: move it up"
            scope.wrong(
                "conflict",
                f"consent.{name}",
                f"the let value `{late[0]}` is made after what waits for it",
                hint,
            )
    for column in retention.by if retention is not None else ():
        _dated(scope, column)


def _dated(scope: Scope, column: str) -> None:
    if column in scope.entity.let:
        hint = "name a column; `dates` of the source says how its texts are read"
        scope.wrong(
            "conflict",
            "retention.by",
            f"`{column}` is a let value, and retention runs before they are made",
            hint,
        )
        return
    found = scope.column(column, "retention.by")
    if found is not None and found.type.kind not in (*DATES, *TEXTS, Kind.MIXED):
        scope.wrong(
            "type", "retention.by", f'"{column}" holds {found.type.kind.value} values, which are no dates'
        )


def _key(scope: Scope) -> tuple[str, ...]:
    if scope.entity.key_is_content:
        return ()
    if scope.entity.key_is_line:
        if "_line" not in scope.source.column_names:
            hint = "name the columns, or write key: content"
            scope.wrong("key_type", "key", "rows of a database have no line", hint)
        return ("_line",)
    for name in scope.entity.key:
        found = scope.column(name, "key")
        if found is not None and found.type.kind in (Kind.ARRAY, Kind.BYTES):
            scope.wrong(
                "key_type", "key", f'"{name}" holds {found.type.kind.value} values, which name no row'
            )
    return scope.entity.key


def _named(scope: Scope) -> tuple[tuple[str, ...], ...]:
    """The columns by which references of any entity name rows of this one."""
    for child in scope.mapping.entities.values():
        for path, ref in every_reference(child):
            if ref.by and scope.entity.name in ref.entities:
                _names_rows(ref.by, ".".join(map(str, ("entities", child.name, *path, "by"))), scope)
    return named_by(scope.mapping, scope.entity.name)


def _names_rows(columns: tuple[str, ...], path: str, scope: Scope) -> None:
    """Problems of `by` stand where the reference stands, which may be in another entity."""
    for name in columns:
        found = scope.find(name)
        if found is None and name not in scope.broken:
            what = f'`{scope.entity.name}` is read from {scope.source.name}, which has no column "{name}"'
            hint = did_you_mean(name, [*scope.source.column_names, *scope.lets])
            scope.problems.append(
                Problem("unknown_column", scope.mapping.positions.get(path, path), what, hint)
            )
        elif found is not None and found.type.kind in (Kind.ARRAY, Kind.BYTES):
            what = f'rows of `{scope.entity.name}` cannot be named by "{name}": it holds {found.type.kind.value} values'
            scope.problems.append(Problem("key_type", scope.mapping.positions.get(path, path), what))


def _matches(scope: Scope) -> list[CompiledField]:
    """`match` values that are columns or expressions become columns of their own."""
    made: list[CompiledField] = []
    for name, given in scope.entity.match.items():
        path = f"match.{name}"
        column = scope.target_column(name, path)
        if given is None:
            if name not in scope.entity.fields:
                scope.wrong(
                    "match",
                    path,
                    f'"{name}" decides what is there already, but no field gives its value',
                    f"match: {{{name}: source_column}}",
                )
            continue
        if column is None:
            continue
        is_column = scope.find(given) is not None or given.isidentifier()
        field = Field(**{"from": given}) if is_column else Field(expr=given)
        origin = compile_origin(field, path, scope)
        if origin is None:
            continue
        compiled = CompiledField(
            name=name,
            field=field,
            column=column,
            origin=origin.origin,
            source_type=origin.type,
            reads=origin.reads,
            zone=scope.zone(origin.columns, path),
            lossy="quarantine",
            guarded=False,
        )
        check_types(compiled, path, scope)
        made.append(compiled)
    return made


def _not_null(scope: Scope) -> None:
    """Columns that take no NULL and get no value from anywhere."""
    if not scope.entity.inserts:
        return
    for column in scope.target.columns:
        filled = (
            column.default is not None
            or column.generated is not None
            or column.identity is not None
            or column.sequence is not None
        )
        if (
            column.nullable
            or filled
            or column.name in scope.entity.fields
            or column.name in scope.entity.target_sets
        ):
            continue
        if column.name in scope.target.primary_key and _assignable(scope, column):
            continue
        scope.wrong(
            "not_null",
            "fields",
            f'the target column "{column.name}" takes no NULL, has no default, and no field gives its value',
            f"add a field `{column.name}`, or name it under target_sets if a trigger fills it",
        )


def _target_key(scope: Scope) -> None:
    if not scope.target.primary_key:
        scope.wrong(
            "target_key",
            "into",
            f"the target table {scope.target.name} has no primary key, so its rows cannot be named",
            "add one to the target table: rows could not be read back or undone without",
        )
    elif scope.entity.inserts:
        for name in scope.target.primary_key:
            column = scope.target.column(name)
            if name not in scope.entity.fields and not _assignable(scope, column) and column.nullable:
                scope.wrong(
                    "target_key",
                    "fields",
                    f'no field gives the target key "{name}", and it cannot be assigned',
                    f"add a field `{name}`",
                )


def _assignable(scope: Scope, column: Column) -> bool:
    """Keys that are given at load: uuid5, or the next number."""
    if len(scope.target.primary_key) != 1:
        return False
    if (
        column.identity is not None
        or column.sequence is not None
        or column.type.kind in (Kind.UUID, Kind.INT)
    ):
        return True
    return column.type.kind is Kind.TEXT and not column.type.labels and (column.type.length or 36) >= 36


__all__ = ["Lossy", "compile_entity"]
