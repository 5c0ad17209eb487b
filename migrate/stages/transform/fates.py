"""Transform, over whole tables: what `settle` has to know of an entity, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from migrate.context import Context
from migrate.ledger.records import JSON
from migrate.mapping.model import Entity, Ref
from migrate.mapping.references import (
    compared_with,
    is_plain,
    list_values,
    match_references,
    references,
    slot_name,
    values,
)
from migrate.model import Schema
from migrate.planning import plan_number, yielding_columns
from migrate.stages.transform.applying import Files
from migrate.state.standing import EarlierHash
from migrate.transform.settle import Road, Settled


def road_of(
    ctx: Context,
    name: str,
    entity: Entity,
    files: Files,
    declared: Schema,
    earlier: Mapping[int, EarlierHash],
    merging: Path | None,
) -> Road:
    table = declared.table(entity.into)
    lists = {f for f, v in entity.fields.items() if v.list is not None}  # an item that is emptied is none
    required = {
        f
        for f, v in values(entity)
        if any(c.name == "required" for c in v.check)
        or (f in entity.fields and f not in lists and not table.column(f).nullable)
    }
    return Road(
        entity=name,
        system=ctx.mapping.sources[entity.source].system,
        write=entity.write,
        into=entity.into,
        plan=plan_number(ctx.plan.entities[name].digest),
        rows=files.rows,
        reasons=files.reasons,
        excluded=files.excluded,
        refs=dict(references(entity)),
        compared={f: _compared(ctx, ref) for f, ref in references(entity) if not is_plain(ctx.mapping, ref)},
        finds={f: v.find for f, v in values(entity) if v.find},
        listed={
            slot_name(column, key): (key, files.items[column])
            for column in files.items
            for key, value in list_values(entity.fields[column]).items()
            if value.ref or value.find
        },
        unique={f: c.on_fail for f, v in entity.fields.items() for c in v.check if c.name == "unique"},
        match=tuple(entity.match),
        match_references=match_references(entity),
        required=frozenset(required),
        by_content=entity.key_is_content,
        on_conflict=entity.on_conflict,
        tells_pointed=entity.on_gone.then == "delete",
        on_parent_excluded=entity.on_parent_excluded,
        yields={
            f: rule
            for f in yielding_columns(entity)
            if (rule := entity.on_existing(f)) in ("keep", "fill_empty")
        },
        hashes={plan: hash_.column for plan, hash_ in earlier.items()},
        merging=merging,
        unmerged=files.unmerged if merging is not None else (),
    )


def _compared(ctx: Context, ref: Ref) -> dict[str, str]:
    """Entity → the column of its transformed rows that the reference's value is compared with."""
    places = compared_with(ctx.mapping, ref)
    return {name: "__key" if place is None else f"__by.{place}" for name, place in places.items()}


def facts_of(settled: Settled, counts: Mapping[str, int]) -> dict[str, JSON]:
    return {
        name: {
            "in": count,
            "quarantined": settled.quarantined[name],
            "kept": settled.kept[name],
            "merged": settled.merged[name],
            "known": sum(n.get("link", 0) for n in settled.known.get(name, {}).values()),
            "operations": dict(settled.operations[name]),
        }
        for name, count in counts.items()
    }
