"""Plan: both catalogues are read, the mapping is held against them, the order is fixed. Nothing is changed."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from migrate import failpoints
from migrate.connectors.creation import ddl
from migrate.connectors.registry import open_scratch
from migrate.context import Context
from migrate.durable import write_bytes
from migrate.errors import MappingError, MigrateError, Problem, UsageError
from migrate.mapping.model import Mapping
from migrate.mapping.references import compared_with, referring_columns
from migrate.mapping.references import references as refs_of  # `references` is a module of this package
from migrate.mapping.usage import read_tables
from migrate.model import Schema, Table
from migrate.plan_model import EntityPlan, Plan
from migrate.planning import (
    earlier_identities,
    entity_digest,
    finds,
    key_from,
    known_table,
    schema_digest,
    scratch_url,
    shapes_of,
)
from migrate.stages.plan.checks import (
    check_keys,
    check_sqlite_decimals,
    check_tables,
    edges_of,
    impossible_cycle,
    where_is,
)
from migrate.stages.plan.creates import creations
from migrate.stages.plan.gone import check_gone
from migrate.stages.plan.ordering import Order, load_order
from migrate.stages.plan.references import (
    check_against,
    check_known_as,
    check_lookups,
    check_matches,
    check_references,
)
from migrate.stages.plan.totals import check_totals
from migrate.stages.result import Result
from migrate.state.created import overlay, without
from migrate.state.expected import check_made_from
from migrate.state.identity import first_names
from migrate.state.records import meta_rows
from migrate.transform.compile import compile_entity
from migrate.transform.roads.read import read_road
from migrate.transform.roads.spec import RoadSpec
from migrate.transform.roads.splitting import read_split

NAME = "plan"


def run(ctx: Context) -> Result:
    if (ctx.folder / "plan.json").exists():
        check_made_from(ctx)
        return Result(resumed=True)
    source_schemas = _source_schemas(ctx)
    target = ctx.target.schema(target_tables(ctx.mapping))
    held = held_against(ctx.mapping, source_schemas, target, engine=ctx.target.engine, now=ctx.now)
    warnings = held.warnings
    if held.problems or held.order is None:
        raise MappingError(held.problems, hint="Nothing was read or changed.")
    _prove_rights(ctx, target, held.creates)
    plan = _plan(ctx, source_schemas, target, held.creates, held.order, warnings)
    _refuse_missing_parents(ctx, plan)
    _refuse_unread_parents(ctx)
    prove_scratch(ctx)
    failpoints.hit("plan.before_write")
    write_bytes(ctx.place("plan.json"), json.dumps(plan.as_json(), indent=1).encode(), point="plan")
    check_made_from(ctx)
    for warning in warnings:
        ctx.progress.note(str(warning))
    return Result(notes=tuple(str(w) for w in warnings))


@dataclass(frozen=True)
class Held:
    """What holding a mapping against both live schemas found. `order` is None where there are problems."""

    problems: list[Problem]
    warnings: list[Problem]
    order: Order | None
    creates: tuple[Table, ...] = ()


def held_against(
    mapping: Mapping, sources: dict[str, Schema], target: Schema, *, engine: str, now: str
) -> Held:
    """The mapping held against both live schemas: problems, warnings, what is to be created, and the load order.

    `sources` by name, each with the tables that the mapping names as far as they are there; `engine`: the target's."""
    roads, problems = _roads(mapping, sources)
    creates: tuple[Table, ...] = ()
    if all(name in roads for name, entity in mapping.entities.items() if entity.create):
        creates, found = creations(mapping, roads, target, engine=engine, now=now)
        problems += found
    if problems and any(e.create for e in mapping.entities.values()):
        return Held(problems, [], None)  # what is to be created is not known, so nothing can be said about it
    target = overlay(target, creates)
    found, warnings = check_tables(mapping, sources, target)
    problems += found
    problems += (
        check_lookups(mapping, target) + check_known_as(mapping, target) + check_against(mapping, target)
    )
    if not problems:
        for name, road in roads.items():
            table = target.table(mapping.entities[name].into)
            _, found = compile_entity(mapping, name, road.table, table, now=now, joined=road.beside)
            problems += found
        problems += check_keys(mapping, target) + check_totals(mapping, target)
        problems += check_gone(mapping, sources, target)
        if not problems:
            problems += check_references(mapping, target)
        if engine == "sqlite" and not problems:
            problems += check_sqlite_decimals(mapping, target)
    order = load_order(mapping.entities, edges_of(mapping, target)) if not problems else None
    problems += [impossible_cycle(mapping, cycle) for cycle in (order.impossible if order else ())]
    problems += check_matches(mapping, order.deferred) if order and not problems else []
    return Held(problems, warnings, order, creates)


def _roads(mapping: Mapping, sources: dict[str, Schema]) -> tuple[dict[str, RoadSpec], list[Problem]]:
    """How the rows of every entity get onto its road, and everything that is wrong with it."""
    roads, problems = {}, []
    for name in mapping.entities:
        road, found = read_road(mapping, name, sources)
        problems += found
        if road is not None:
            roads[name] = road
    for split in mapping.split.values():
        if split.source in sources and split.table in sources[split.source].table_names:
            problems += read_split(mapping, split, sources[split.source].table(split.table))[1]
        else:
            where = where_is(mapping, f"split.{split.table}")
            message = f"the source {split.source} has no table {split.table!r}"
            problems.append(
                Problem("unknown_table", where, message, "check the name, and that this user may see it")
            )
    return roads, problems


def _source_schemas(ctx: Context) -> dict[str, Schema]:
    return {name: ctx.sources[name].schema(wanted) for name, wanted in read_tables(ctx.mapping).items()}


def _unread(ctx: Context) -> dict[str, dict[str, int | None]]:
    """Per source its tables that nothing reads, with their rows. Where one database is both sides, those of the target
    are the target's."""
    read, target = read_tables(ctx.mapping), ctx.mapping.target.url
    return {
        name: source.others(
            [
                *read.get(name, ()),
                *(target_tables(ctx.mapping) if ctx.mapping.sources[name].url == target else ()),
            ]
        )
        for name, source in ctx.sources.items()
    }


def target_tables(mapping: Mapping) -> list[str]:
    """Target tables that the mapping writes or looks into, and those it names for backup."""
    names = [e.into for e in mapping.entities.values()]
    names += [find.table for e in mapping.entities.values() for _, find in finds(e)]
    names += [
        known_table(mapping, name)
        for e in mapping.entities.values()
        for name in (e.known_as.tables if e.known_as else ())
    ]
    names += [t for t in mapping.policy.backup.tables if t != "touched"]
    return list(dict.fromkeys(names))


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
    for name in ctx.mapping.entities:
        if loaded & {entity for _, entity in earlier_identities(ctx.mapping, name)}:
            loaded.add(name)
    for name, parents_ in needed.items():
        missing = sorted(parents_ - loaded)
        if missing:
            raise UsageError(
                f"{name} refers to {', '.join(missing)}, which this run leaves out and no run has loaded yet",
                where=where_is(ctx.mapping, f"entities.{name}"),
                kept="Nothing was read or changed.",
                hint=f"Add {' '.join(f'--only {m}' for m in missing)}, or load them first.",
            )


def _refuse_unread_parents(ctx: Context) -> None:
    """Rows are known by other columns than their key only to a run that reads them."""
    for name in ctx.only:
        for fld, ref in refs_of(ctx.mapping.entities[name]):
            places = compared_with(ctx.mapping, ref)
            missing = sorted(p for p, place in places.items() if place is not None and p not in ctx.only)
            if missing:
                raise UsageError(
                    f"{name}.{fld} finds rows of {', '.join(missing)} by {', '.join(ref.by)}, and this run does not read them",
                    where=where_is(ctx.mapping, f"entities.{name}.fields.{fld}"),
                    kept="Nothing was read or changed.",
                    hint=f"Add {' '.join(f'--only {m}' for m in missing)}: rows that are loaded already stay as they are.",
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


def _prove_rights(ctx: Context, target: Schema, creates: tuple[Table, ...]) -> None:
    """What is to be created may be created (F27): found out now, not after the extract."""
    if creates:
        new = [t.name for t in creates if t.primary_key or t.indexes]  # both need the right in the schema
        referred = {f.ref_table for t in creates for f in t.foreign_keys} & set(target.table_names)
        changed = [t.name for t in creates if not t.primary_key]
        ctx.target.check_rights(new, changed, sorted(referred))


def _plan(
    ctx: Context,
    sources: dict[str, Schema],
    present: Schema,
    creates: tuple[Table, ...],
    order: Order,
    warnings: list[Problem],
) -> Plan:
    target, watched = overlay(present, creates), without(present, creates)
    entities, names = {}, first_names(ctx)
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
            refs=referring_columns(entity),
            digest=entity_digest(entity, table, names),
        )
    return Plan(
        run=ctx.run,
        mapping_digest=ctx.mapping.digest,
        source_schemas={name: schema_digest(s) for name, s in sources.items()},
        target_schema=schema_digest(watched),
        order=order.entities,
        entities=entities,
        source_tables=read_tables(ctx.mapping),
        touched=tuple(target_tables(ctx.mapping)),
        problems=tuple({k: str(v) for k, v in vars(w).items()} for w in warnings),
        now=ctx.now,
        unread=_unread(ctx),
        shapes={k: v for n, s in sources.items() for k, v in shapes_of(f"source:{n}", s).items()}
        | shapes_of("target", watched),
        creates=creates,
        ddl=ddl(ctx.target.engine, creates) if creates else (),
    )
