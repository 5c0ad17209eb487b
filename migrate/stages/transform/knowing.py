"""Rows that may be somebody who is known already in another table of the target (decision 0039).

Leaves `known_pairs.parquet` (rid, number, words, place, entity, prid, tkey) in the entity's folder: by each rule of
`known_as` all that have the same value, in the proven backup of the target and among the rows of this run. What follows
is decided with everything else that is decided over whole tables, in `migrate.transform.settle`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from migrate import failpoints
from migrate.context import Context
from migrate.duck import workspace
from migrate.ledger.records import JSON
from migrate.mapping.model import Entity
from migrate.model import Schema
from migrate.parts import stream_rows
from migrate.planning import known_column, known_table
from migrate.rules.matching.known import Rule, There, find_known, like_of
from migrate.transform.consent import WITHHELD_TEXT
from migrate.transform.quality.domains import DISPOSABLE, PROVIDERS
from migrate.transform.settle import Known, Road

PAIRS = "known_pairs.parquet"
_CHUNK = 20_000  # pairs in memory at a time


def outputs(folder: Path, entity: Entity) -> list[Path]:
    """What was written of an entity, for the checkpoint of the stage."""
    return [] if entity.known_as is None else [folder / PAIRS, folder / "known.parquet"]


def find_pairs(
    ctx: Context, entity: Entity, roads: Sequence[Road], targets: Mapping[str, Path], declared: Schema
) -> tuple[Known, dict[str, int]]:
    """Of one entity with `known_as`; and by rule how many values stand for nobody, because too many rows share them."""
    assert entity.known_as is not None, "only an entity with known_as is asked"
    mine = next(road for road in roads if road.entity == entity.name)
    rules = []
    for name, stated in entity.known_as.tables.items():
        place = known_table(ctx.mapping, name)
        table = declared.table(place)
        for by in stated:
            column = known_column(by, table)
            assert column is not None, "the plan has held the mapping against the target"
            there = [There((targets[place],), f"c.{column}", item=by.item)] if place in targets else []
            there += [
                There(
                    _files(road),
                    column,
                    road.entity,
                    road.merging,
                    by.item,
                    _withheld(ctx.mapping.entities[road.entity], column),
                )
                for road in roads
                if road.into == place and road.rows and column in ctx.mapping.entities[road.entity].fields
            ]
            what = f"domain of {by.field}" if by.domain else by.field
            like = like_of(by.field, column, domain=by.domain)
            held = _withheld(entity, by.field)
            rules.append(Rule(by.field, place, like, f"{name} by {what}", tuple(there), held))
    free = {*PROVIDERS, *DISPOSABLE, *entity.known_as.free_mail}
    path = ctx.folder / "transform" / entity.name / PAIRS
    with workspace(ctx.room("temp")) as db:
        nobody = find_known(db, mine.rows, rules, free_mail=free)
        pairs = db.sql("SELECT * FROM pairs ORDER BY rid, number, entity, prid, tkey").to_arrow_reader(_CHUNK)
        tables = (pa.Table.from_batches([batch]) for batch in pairs)
        stream_rows(tables, path, point="transform.known_pairs", schema=pairs.schema)
    failpoints.hit("transform.known.found")
    places = {known_table(ctx.mapping, name) for name in entity.known_as.tables}
    return Known(path, entity.known_as.then, tuple(sorted(places))), nobody


def _files(road: Road) -> tuple[Path, ...]:
    """All rows of an entity, those too that became part of another one: who has their values is known as well."""
    return road.unmerged or road.rows


def _withheld(entity: Entity, field: str) -> str | None:
    """The column with what did not move for want of consent: who somebody is does not change with it."""
    guarded = entity.consent is not None and field in entity.consent.guarded
    return f"{WITHHELD_TEXT}{field}" if guarded else None


def known_facts(
    ctx: Context,
    known: Mapping[str, Mapping[str, Mapping[str, int]]],
    shared: Mapping[str, Mapping[str, int]],
) -> dict[str, JSON]:
    """Per entity with `known_as`, for the report: what becomes of such rows, how many there are, by rule, and by rule
    how many values stand for nobody."""
    found: dict[str, JSON] = {}
    for name, rules in known.items():
        entity = ctx.entities[name]
        assert entity.known_as is not None
        found[name] = {
            "then": entity.known_as.then,
            "rows": sum(sum(outcomes.values()) for outcomes in rules.values()),
            "rules": {words: dict(outcomes) for words, outcomes in rules.items()},
            "shared": dict(shared.get(name, {})),
        }
    return found
