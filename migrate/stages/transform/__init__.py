"""Transform: proven rows become target-shaped rows, and every row's fate is settled before any gate opens.

Reads the backup (never staging), applies the compiled fields part by part, then settles keys,
uniqueness, matches, lookups and references over whole tables. Writes only into the run's folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from migrate import failpoints
from migrate.context import Context
from migrate.stages.result import Result
from migrate.stages.transform.applying import STAGE, Files, apply_entity
from migrate.stages.transform.fates import facts_of, road_of
from migrate.stages.transform.gates import refuse_mistaken, refuse_poor, refuse_quarantined, refuse_totals
from migrate.stages.transform.in_target import match_target
from migrate.stages.transform.in_target import outputs as in_target_outputs
from migrate.stages.transform.knowing import find_pairs, known_facts
from migrate.stages.transform.knowing import outputs as known_outputs
from migrate.stages.transform.merging import merge
from migrate.stages.transform.merging import outputs as merge_outputs
from migrate.stages.transform.ready import Ready, make_ready
from migrate.stages.transform.roads import are_whole, quarantined_by_splits
from migrate.state.archived import keep_archived
from migrate.state.deciding import decided_since, look_again
from migrate.state.fixed_rows import fixes_file
from migrate.state.fixes import pin_fixes, pinned_digest
from migrate.state.gone import decide_gone, gone_file, refuse_too_many
from migrate.state.identity import first_names
from migrate.state.proven import known_merged, source_rows, target_rows
from migrate.state.quality import quality_scores, stale_deals
from migrate.state.quarantine import write_quarantine
from migrate.state.records import meta_rows
from migrate.state.roads import all_sources, entity_rows
from migrate.state.standing import write_target_files
from migrate.state.totals import foreseen
from migrate.transform.findings import Stop, told_together
from migrate.transform.settle import Road, Settled, settle
from migrate.vault.capture import Rows

NAME = STAGE


def run(ctx: Context) -> Result:
    pin_fixes(ctx)
    inputs = inputs_digest(ctx)
    if decided_since(ctx):
        look_again(ctx)
    if ctx.ledger.checkpoint(ctx.run, NAME, "settled", inputs) is not None and not damaged_parts(ctx, inputs):
        keep_archived(ctx, inputs)
        return Result(resumed=True)
    sources = {s: source_rows(ctx, s) for s in ctx.plan.source_tables}
    result = transform(ctx, sources, target_rows(ctx), inputs)
    keep_archived(ctx, inputs)
    return result


def inputs_digest(ctx: Context) -> str:
    """What the transformed rows depend on: the plan, the backups of both sides by their manifests, and corrections."""
    backups = sorted(
        (c.part, str(c.facts.get("manifest_sha256"))) for c in ctx.ledger.checkpoints(ctx.run, "backup")
    )
    fixes = pinned_digest(ctx)
    known = [ctx.plan.digest, backups, *([fixes] if fixes else [])]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def damaged_parts(ctx: Context, inputs: str) -> list[str]:
    """Parts whose files are not as `apply` left them, and entities whose road is not there; `run` makes them again."""
    sources = all_sources(ctx)
    damaged = [name for name in ctx.entities if not are_whole(ctx, name, sources)]
    return damaged or [
        part
        for name in ctx.entities
        for ref in entity_rows(ctx, name, sources).parts
        if ctx.ledger.checkpoint(ctx.run, NAME, part := f"{name}/{ref.index}", inputs) is None
    ]


def transform(ctx: Context, sources: Mapping[str, Rows], target: Rows, inputs: str) -> Result:
    """All entities of the run, from `sources` (by name) against the state of the `target`."""
    ready = make_ready(ctx, sources)
    applied = _apply_entities(ctx, ready, target, inputs)
    roads = _matched_with_target(ctx, ready, applied)
    roads, shared = _known_elsewhere(ctx, ready, roads, applied.targets)
    failpoints.hit("transform.before_settle")
    settled = _settled(ctx, ready, roads, applied.targets)
    refuse_mistaken(ctx, settled)
    for name in ctx.entities:
        write_quarantine(ctx, name, ready.rows[name])
    ctx.ledger.put_run_facts(ctx.run, {"transform": facts_of(settled, ready.counts)})
    ctx.ledger.put_run_facts(ctx.run, {"known_as": known_facts(ctx, settled.known, shared)})
    quality = quality_scores(ctx)
    ctx.ledger.put_run_facts(ctx.run, {"quality": quality, "stale": stale_deals(ctx)})
    # a replay only adds to what its run decided
    gone = decide_gone(ctx, ready.crosswalk) if ready.scope is None else {}
    ctx.ledger.put_run_facts(ctx.run, {"gone": gone})
    refuse_quarantined(ctx, settled, ready.counts, [*told_together(applied.stops), *settled.stops])
    refuse_poor(ctx, quality)
    refuse_too_many(ctx, gone)
    quarantined_by_splits(ctx)
    refuse_totals(ctx, foreseen(ctx, ready.declared, ready.crosswalk))
    written = [*_decided(ctx, gone), *applied.targets.values(), *applied.values]
    outputs = [ctx.output(path) for path in written]
    ctx.ledger.put_checkpoint(ctx.run, NAME, "settled", inputs, outputs, {"rows": applied.rows})
    failpoints.hit("transform.checkpointed")
    return Result(rows=applied.rows)


@dataclass(frozen=True)
class _Applied:
    roads: list[Road]
    rows: int
    stops: list[Stop]
    targets: Mapping[str, Path]  # table of the target that rows are looked up in → its file
    values: Sequence[Path]  # old values of the target's rows


def _apply_entities(ctx: Context, ready: Ready, target: Rows, inputs: str) -> _Applied:
    """The values of every row, merged where the entity says so; and beside it the files of the target."""
    total = 0
    roads: list[Road] = []
    stops: list[Stop] = []
    known = ready.crosswalk is not None
    # What rows are looked up in and the rows themselves do not know of each other yet.
    with ThreadPoolExecutor(1, thread_name_prefix="targets") as beside:
        looked_up = beside.submit(write_target_files, ctx, target, ready.declared, ready.earlier, known=known)
        for name, entity in ctx.entities.items():
            files, seen, stopped = apply_entity(ctx, ready.compiled[name], ready.rows[name], inputs)
            merging = _merged(ctx, ready, name, files)
            roads.append(road_of(ctx, name, entity, files, ready.declared, ready.earlier[name], merging))
            total += seen
            stops += stopped
        targets, values = looked_up.result()
    return _Applied(roads, total, stops, targets, values)


def _merged(ctx: Context, ready: Ready, name: str, files: Files) -> Path | None:
    """None where the entity has no `duplicates`."""
    entity = ctx.entities[name]
    if entity.duplicates is None:
        return None
    table, before = ready.table_of(name), known_merged(ctx)
    return merge(ctx, entity, table, files.unmerged, files.reasons, ready.crosswalk, before)


def _matched_with_target(ctx: Context, ready: Ready, applied: _Applied) -> list[Road]:
    """With what `duplicates … against` finds in the target's own tables."""
    roads = []
    for road in applied.roads:
        entity = ctx.entities[road.entity]
        if entity.found_in_target is not None:
            table, file = ready.table_of(road.entity), applied.targets.get(road.into)
            there = match_target(ctx, entity, road, table, file, ready.crosswalk)
            road = replace(road, in_target=there)
        roads.append(road)
    return roads


def _known_elsewhere(
    ctx: Context, ready: Ready, roads: Sequence[Road], targets: Mapping[str, Path]
) -> tuple[list[Road], dict[str, dict[str, int]]]:
    """With what `known_as` finds in other tables; and by entity and rule how many values stand for nobody."""
    found, shared = list(roads), dict[str, dict[str, int]]()
    for place, road in enumerate(roads):
        entity = ctx.entities[road.entity]
        if entity.known_as is not None:
            known, shared[road.entity] = find_pairs(ctx, entity, found, targets, ready.declared)
            found[place] = replace(road, known=known)
    return found, shared


def _settled(ctx: Context, ready: Ready, roads: Sequence[Road], targets: Mapping[str, Path]) -> Settled:
    """Every row's fate, decided over whole tables."""
    return settle(
        roads,
        systems={n: ctx.mapping.sources[e.source].system for n, e in ctx.mapping.entities.items()},
        names=first_names(ctx),
        runs=_own_runs(ctx) if ready.crosswalk else (),
        crosswalk=ready.crosswalk,
        merged=known_merged(ctx),
        targets=targets,
        out=ctx.room("transform"),
        temp=ctx.room("temp"),
        scope=ready.scope,
    )


def _own_runs(ctx: Context) -> list[str]:
    """Earlier runs of this mapping, by its name, as the target remembers them."""
    rows = [row for rows in meta_rows(ctx.target, "run") for row in rows.to_pylist()]
    return [str(row["run"]) for row in rows if row["mapping"] == ctx.mapping.name]


def _decided(ctx: Context, gone: Iterable[str]) -> list[Path]:
    """The files that say what was decided. `gone`: entities of which rows are not at the source any more."""
    decided = [
        ctx.folder / "transform" / name / f"{kind}.parquet"
        for name in ctx.entities
        for kind in ("settled", "quarantine", "left_out", "patches", "links", "conflicts", "events")
    ]
    decided += [path for name in ctx.entities if (path := fixes_file(ctx, name)).exists()]
    decided += [path for name in gone if (path := gone_file(ctx, name)).exists()]
    decided += [
        p
        for name, entity in ctx.entities.items()
        for made in (merge_outputs, in_target_outputs, known_outputs)
        for p in made(ctx.folder / "transform" / name, entity)
    ]
    return decided
