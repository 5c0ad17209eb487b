"""Transform: proven rows become target-shaped rows, and every row's fate is settled before any gate opens.

Reads the backup (never staging), applies the compiled fields part by part, then settles keys,
uniqueness, matches, lookups and references over whole tables. Writes only into the run's folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from migrate import failpoints
from migrate.context import Context
from migrate.errors import MappingError
from migrate.model import Schema
from migrate.stages.applying import STAGE, apply_entity
from migrate.stages.fates import facts_of, road_of
from migrate.stages.gates import refuse_mistaken, refuse_poor, refuse_quarantined, refuse_totals
from migrate.stages.in_target import match_target
from migrate.stages.in_target import outputs as in_target_outputs
from migrate.stages.knowing import find_pairs, known_facts
from migrate.stages.knowing import outputs as known_outputs
from migrate.stages.merging import merge
from migrate.stages.merging import outputs as merge_outputs
from migrate.stages.result import Result
from migrate.stages.roads import are_whole, make_roads, quarantined_by_splits
from migrate.state.archived import keep_archived
from migrate.state.created import declared_target
from migrate.state.deciding import decided_since, look_again
from migrate.state.fixed_rows import fixes_file
from migrate.state.fixes import pin_fixes, pinned_digest, place_fixes
from migrate.state.gone import decide_gone, gone_file, refuse_too_many
from migrate.state.identity import first_names
from migrate.state.lookups import table_lookups
from migrate.state.mail_servers import mail_servers
from migrate.state.proven import known_crosswalk, known_merged, source_rows, target_rows
from migrate.state.quality import quality_scores, stale_deals
from migrate.state.quarantine import write_quarantine
from migrate.state.records import meta_rows
from migrate.state.replays import scope_of
from migrate.state.roads import all_sources, entity_rows
from migrate.state.standing import earlier_hashes, write_target_files
from migrate.state.totals import foreseen
from migrate.transform.compile import compile_entity
from migrate.transform.entity import CompiledEntity
from migrate.transform.findings import Stop, told_together
from migrate.transform.quality.mail_servers import MailServers
from migrate.transform.roads import EntityRows
from migrate.transform.settle import settle
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
    declared = declared_target(ctx)
    known = known_crosswalk(ctx)
    rows = make_roads(ctx, sources)
    lookups = table_lookups(ctx, sources)
    servers = mail_servers(ctx)
    compiled = {
        n: compiled_entity(ctx, n, rows[n], declared, servers).with_lookups(lookups) for n in ctx.entities
    }
    place_fixes(ctx, compiled, rows)
    failpoints.hit("transform.fixes_placed")
    scope = scope_of(ctx)
    earlier = earlier_hashes(ctx, known, declared)
    total = 0
    roads = []
    stops: list[Stop] = []
    # What rows are looked up in and the rows themselves do not know of each other yet.
    with ThreadPoolExecutor(1, thread_name_prefix="targets") as beside:
        looked_up = beside.submit(write_target_files, ctx, target, declared, earlier, known=known is not None)
        for name, entity in ctx.entities.items():
            files, seen, stopped = apply_entity(ctx, compiled[name], rows[name], inputs)
            merging = None
            if entity.duplicates is not None:
                merging = merge(
                    ctx,
                    entity,
                    declared.table(entity.into),
                    files.unmerged,
                    files.reasons,
                    known,
                    known_merged(ctx),
                )
            roads.append(road_of(ctx, name, entity, files, declared, earlier[name], merging))
            total += seen
            stops += stopped
        targets, values = looked_up.result()
    for place, road in enumerate(roads):
        entity = ctx.entities[road.entity]
        if entity.found_in_target is not None:
            there = match_target(ctx, entity, road, declared.table(road.into), targets.get(road.into), known)
            roads[place] = replace(road, in_target=there)
    shared: dict[str, dict[str, int]] = {}
    for place, road in enumerate(roads):
        entity = ctx.entities[road.entity]
        if entity.known_as is not None:
            known_there, shared[road.entity] = find_pairs(ctx, entity, roads, targets, declared)
            roads[place] = replace(road, known=known_there)
    failpoints.hit("transform.before_settle")
    settled = settle(
        roads,
        systems={n: ctx.mapping.sources[e.source].system for n, e in ctx.mapping.entities.items()},
        names=first_names(ctx),
        runs=_own_runs(ctx) if known else (),
        crosswalk=known,
        merged=known_merged(ctx),
        targets=targets,
        out=ctx.room("transform"),
        temp=ctx.room("temp"),
        scope=scope,
    )
    refuse_mistaken(ctx, settled)
    for name in ctx.entities:
        write_quarantine(ctx, name, rows[name])
    counts = {name: road.count for name, road in rows.items()}
    ctx.ledger.put_run_facts(ctx.run, {"transform": facts_of(settled, counts)})
    ctx.ledger.put_run_facts(ctx.run, {"known_as": known_facts(ctx, settled.known, shared)})
    quality = quality_scores(ctx)
    ctx.ledger.put_run_facts(ctx.run, {"quality": quality, "stale": stale_deals(ctx)})
    gone = decide_gone(ctx, known) if scope is None else {}  # a replay only adds to what its run decided
    ctx.ledger.put_run_facts(ctx.run, {"gone": gone})
    refuse_quarantined(ctx, settled, counts, [*told_together(stops), *settled.stops])
    refuse_poor(ctx, quality)
    refuse_too_many(ctx, gone)
    quarantined_by_splits(ctx)
    refuse_totals(ctx, foreseen(ctx, declared, known))
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
    ctx.ledger.put_checkpoint(
        ctx.run,
        NAME,
        "settled",
        inputs,
        [ctx.output(p) for p in [*decided, *targets.values(), *values]],
        {"rows": total},
    )
    failpoints.hit("transform.checkpointed")
    return Result(rows=total)


def _own_runs(ctx: Context) -> list[str]:
    """Earlier runs of this mapping, by its name, as the target remembers them."""
    rows = [row for rows in meta_rows(ctx.target, "run") for row in rows.to_pylist()]
    return [str(row["run"]) for row in rows if row["mapping"] == ctx.mapping.name]


def compiled_entity(
    ctx: Context, name: str, road: EntityRows, declared: Schema, servers: MailServers
) -> CompiledEntity:
    """The mapping's entity `name`, ready for rows of its road. Raises MappingError."""
    entity = ctx.mapping.entities[name]
    compiled, problems = compile_entity(
        ctx.mapping,
        name,
        road.table,
        declared.table(entity.into),
        now=ctx.plan.now,
        joined=road.beside,
    )
    if compiled is None or problems:
        raise MappingError(problems, hint="Nothing was loaded.")
    return replace(compiled, servers=servers)
