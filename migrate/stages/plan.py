"""Plan: both catalogues are read, the mapping is held against them, the order is fixed. Nothing is changed."""

from __future__ import annotations

import json
import secrets
from difflib import get_close_matches

from migrate import failpoints
from migrate.connectors.registry import open_scratch
from migrate.context import Context
from migrate.durable import write_bytes
from migrate.errors import MappingError, MigrateError, Problem, UsageError
from migrate.mapping.model import Entity, Mapping
from migrate.model import Kind, Schema
from migrate.plan_model import EntityPlan, Plan
from migrate.stages.load.rejected import meta_rows
from migrate.stages.ordering import Edge, Order, load_order
from migrate.stages.planning import digest_of, finds, key_from, parents, schema_digest, scratch_url, shapes_of
from migrate.stages.result import Result
from migrate.transform.compile import compile_entity

NAME = "plan"
SQLITE_DIGITS = 15


def run(ctx: Context) -> Result:
    if (ctx.folder / "plan.json").exists():
        return Result(resumed=True)
    source_schemas = _source_schemas(ctx)
    target = ctx.target.schema(_target_tables(ctx.mapping))
    problems, warnings = check_tables(ctx.mapping, source_schemas, target)
    if not problems:
        for name, entity in ctx.mapping.entities.items():
            _, found = compile_entity(
                ctx.mapping,
                name,
                source_schemas[entity.source].table(entity.table),
                target.table(entity.into),
                now=ctx.now,
            )
            problems += found
        problems += _keys(ctx.mapping, target)
        if ctx.target.engine == "sqlite" and not problems:
            problems += _sqlite_decimals(ctx.mapping, target)
    order = load_order(ctx.mapping.entities, _edges(ctx.mapping, target)) if not problems else None
    problems += [_impossible(ctx.mapping, cycle) for cycle in (order.impossible if order else ())]
    if problems or order is None:
        raise MappingError(problems, hint="Nothing was read or changed.")
    plan = _plan(ctx, source_schemas, target, order, warnings)
    _refuse_missing_parents(ctx, plan)
    prove_scratch(ctx)
    failpoints.hit("plan.before_write")
    write_bytes(ctx.place("plan.json"), json.dumps(plan.as_json(), indent=1).encode(), point="plan")
    for warning in warnings:
        ctx.progress.note(str(warning))
    return Result(notes=tuple(str(w) for w in warnings))


def _source_schemas(ctx: Context) -> dict[str, Schema]:
    tables: dict[str, list[str]] = {}
    for entity in ctx.mapping.entities.values():
        wanted = tables.setdefault(entity.source, [])
        if entity.table not in wanted:
            wanted.append(entity.table)
    return {name: ctx.sources[name].schema(wanted) for name, wanted in tables.items()}


def _target_tables(mapping: Mapping) -> list[str]:
    """Target tables that the mapping writes or looks into, and those it names for backup."""
    names = [e.into for e in mapping.entities.values()]
    names += [find.table for e in mapping.entities.values() for _, find in finds(e)]
    names += [t for t in mapping.policy.backup.tables if t != "touched"]
    return list(dict.fromkeys(names))


def _where(mapping: Mapping, path: str) -> str:
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
    """(problems, warnings) of table names on both sides, and of lookups into the target."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for name, entity in mapping.entities.items():
        path = f"entities.{name}"
        if entity.table not in sources[entity.source].table_names:
            problems.append(_no_table(mapping, f"{path}.from", entity.table, f"source {entity.source}"))
        if entity.into not in target.table_names:
            problems.append(_no_table(mapping, f"{path}.into", entity.into, "target"))
            continue
        table = target.table(entity.into)
        if table.triggers and entity.write != "link":
            warnings.append(
                Problem(
                    "triggers",
                    _where(mapping, f"{path}.into"),
                    f"{entity.into} has triggers ({', '.join(table.triggers)})",
                    "tables they write are not known here: name them in policy.backup.tables, and columns they set in target_sets",
                )
            )
        for column in entity.match:
            if column not in table.column_names:
                problems.append(
                    Problem(
                        "unknown_column",
                        _where(mapping, f"{path}.match.{column}"),
                        f"{entity.into} has no column {column!r}",
                        _nearest(column, table.column_names),
                    )
                )
            elif column in entity.fields and (entity.fields[column].ref or entity.fields[column].find):
                problems.append(
                    Problem(
                        "match_on_reference",
                        _where(mapping, f"{path}.match"),
                        f"{column} is a reference; matching on references is not built yet in this version",
                    )
                )
        for field, find in finds(entity):
            where = f"{path}.fields.{field}"
            if find.table not in target.table_names:
                problems.append(_no_table(mapping, where, find.table, "target"))
                continue
            looked = target.table(find.table)
            for column in [*find.where, *([find.by] if find.by else [])]:
                if column not in looked.column_names:
                    problems.append(
                        Problem(
                            "unknown_column",
                            _where(mapping, where),
                            f"{find.table} has no column {column!r}",
                            _nearest(column, looked.column_names),
                        )
                    )
            if len(looked.primary_key) != 1:
                problems.append(
                    Problem(
                        "composite_key",
                        _where(mapping, where),
                        f"{find.table} has no primary key of one column, so a lookup has no single result",
                    )
                )
    for extra in mapping.policy.backup.tables:
        if extra != "touched" and extra not in target.table_names:
            problems.append(_no_table(mapping, "policy.backup.tables", extra, "target"))
    return problems, warnings


def _sqlite_decimals(mapping: Mapping, target: Schema) -> list[Problem]:
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
                        _where(mapping, f"entities.{name}.fields.{field}"),
                        f"{entity.into}.{field} is {type_.native}, which SQLite keeps as a float of {SQLITE_DIGITS} digits",
                        "declare the column as DECIMAL_TEXT or TEXT, or with fewer digits",
                    )
                )
    return problems


def _no_table(mapping: Mapping, path: str, name: str, side: str) -> Problem:
    return Problem(
        "unknown_table",
        _where(mapping, path),
        f"the {side} has no table {name!r}",
        "check the name, and that this user may see it",
    )


def _keys(mapping: Mapping, target: Schema) -> list[Problem]:
    problems = []
    for name, entity in mapping.entities.items():
        table = target.table(entity.into)
        where = _where(mapping, f"entities.{name}.into")
        if not table.primary_key:
            problems.append(
                Problem(
                    "no_key",
                    where,
                    f"{entity.into} has no primary key: rows could not be read back or undone",
                    "add one to the target table",
                )
            )
        elif entity.write != "link" and key_from(entity, table) is None:
            problems.append(
                Problem(
                    "no_key",
                    where,
                    f"no value for the key of {entity.into} ({', '.join(table.primary_key)})",
                    "map the key columns in `fields`",
                )
            )
        for field in table.primary_key:
            if field in entity.fields and any(_self(entity, name, field)):
                problems.append(
                    Problem("key_cycle", where, f"the key column {field} refers to {name} itself")
                )
        for field_name, field_ in entity.fields.items():
            for parent in parents(field_.ref) if field_.ref else ():
                into = mapping.entities[parent].into
                if len(target.table(into).primary_key) != 1:
                    problems.append(
                        Problem(
                            "composite_key",
                            _where(mapping, f"entities.{name}.fields.{field_name}"),
                            f"{into} has a key of several columns, so one column cannot refer to it",
                        )
                    )
    return problems


def _self(entity: Entity, name: str, field: str) -> list[bool]:
    ref = entity.fields[field].ref
    return [name in parents(ref)] if ref else [False]


def _edges(mapping: Mapping, target: Schema) -> list[Edge]:
    """References of the mapping, and foreign keys of the target between tables that other entities write."""
    edges = []
    by_table: dict[str, list[str]] = {}
    for name, entity in mapping.entities.items():
        by_table.setdefault(entity.into, []).append(name)
    for name, entity in mapping.entities.items():
        if entity.write == "link":
            continue  # nothing is written: nothing has to be there before
        table = target.table(entity.into)
        for field_name, field in entity.fields.items():
            column = table.column(field_name)
            required = not column.nullable or field_name in table.primary_key
            for parent in parents(field.ref) if field.ref else ():
                edges.append(Edge(name, field_name, parent, required))
        for fk in table.foreign_keys:
            if any(c in entity.fields and entity.fields[c].ref for c in fk.columns):
                continue
            for parent in by_table.get(fk.ref_table, []):
                if parent != name and all(c in entity.fields for c in fk.columns):
                    edges.append(Edge(name, "", parent, True))
    return edges


def _impossible(mapping: Mapping, cycle: tuple[str, ...]) -> Problem:
    text = " → ".join(cycle)
    return Problem(
        "cyclic_not_null",
        _where(mapping, f"entities.{cycle[0]}"),
        f"{text} refer to each other through columns that take no NULL, so no row can be first",
        "let one of these target columns be NULL",
    )


def _refuse_missing_parents(ctx: Context, plan: Plan) -> None:
    """Under `--only`, entities that others refer to are asked for too, or an earlier run loaded them (F34)."""
    needed = {
        name: {p for names in plan.entities[name].refs.values() for p in names} - set(ctx.only)
        for name in ctx.only
    }
    if not any(needed.values()):
        return
    loaded: set[str] = set()
    for rows in meta_rows(ctx.target, "crosswalk", ["entity"]):
        loaded.update(str(e) for e in rows["entity"].unique().to_pylist())
    for name, parents_ in needed.items():
        missing = sorted(parents_ - loaded)
        if missing:
            raise UsageError(
                f"{name} refers to {', '.join(missing)}, which this run leaves out and no run has loaded yet",
                where=_where(ctx.mapping, f"entities.{name}"),
                kept="Nothing was read or changed.",
                hint=f"Add {' '.join(f'--only {m}' for m in missing)}, or load them first.",
            )


def prove_scratch(ctx: Context) -> None:
    """A scratch database for each side can be made and dropped (F27): found out now, not after the extract."""
    places = {scratch_url(ctx.mapping, "source", name): f"source:{name}" for name in ctx.mapping.sources}
    places[scratch_url(ctx.mapping, "target")] = "target"
    for (engine, url), role in places.items():
        name = f"migrate_scratch_{secrets.token_hex(6)}"
        ctx.ledger.put_scratch(name, role, ctx.run)
        failpoints.hit("plan.scratch.registered")
        scratch = open_scratch(engine, url, folder=ctx.room("scratch"), name=name, run=ctx.run)
        failpoints.hit("plan.scratch.created")
        try:
            scratch.drop()
        except MigrateError as error:
            error.kept = error.kept or f"The scratch database {name} may still be there."
            raise
        failpoints.hit("plan.scratch.dropped")
        ctx.ledger.remove_scratch(name)


def _plan(
    ctx: Context, sources: dict[str, Schema], target: Schema, order: Order, warnings: list[Problem]
) -> Plan:
    entities = {}
    for name in order.entities:
        entity = ctx.mapping.entities[name]
        table = target.table(entity.into)
        entities[name] = EntityPlan(
            source=entity.source,
            table=entity.table,
            into=entity.into,
            key_columns=table.primary_key,
            key_from=key_from(entity, table) or "link",
            deferred=tuple(order.deferred.get(name, ())),
            refs={f: parents(v.ref) for f, v in entity.fields.items() if v.ref},
            digest=digest_of([entity.model_dump(mode="json"), repr(table.columns)]),
        )
    tables: dict[str, list[str]] = {}
    for entity in ctx.mapping.entities.values():
        if entity.table not in tables.setdefault(entity.source, []):
            tables[entity.source].append(entity.table)
    return Plan(
        run=ctx.run,
        mapping_digest=ctx.mapping.digest,
        source_schemas={name: schema_digest(s) for name, s in sources.items()},
        target_schema=schema_digest(target),
        order=order.entities,
        entities=entities,
        source_tables={name: tuple(t) for name, t in tables.items()},
        touched=tuple(_target_tables(ctx.mapping)),
        problems=tuple({k: str(v) for k, v in vars(w).items()} for w in warnings),
        now=ctx.now,
        shapes={k: v for n, s in sources.items() for k, v in shapes_of(f"source:{n}", s).items()}
        | shapes_of("target", target),
    )
