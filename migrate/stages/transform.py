"""Transform: proven rows become target-shaped rows, and every row's fate is settled before any gate opens.

Reads the backup (never staging), applies the compiled fields part by part, then settles keys,
uniqueness, matches, lookups and references over whole tables. Writes only into the run's folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from migrate import canon, failpoints
from migrate.context import Context
from migrate.errors import Drift, GateClosed, MappingError, TooManyQuarantined
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
from migrate.model import PartRef, Schema, Table, Verdict
from migrate.parts import RID_SHIFT, write_rows
from migrate.planning import limit_of, may_be_quarantined, plan_number, yielding_columns
from migrate.rules.scores import below
from migrate.stages.in_target import match_target
from migrate.stages.in_target import outputs as in_target_outputs
from migrate.stages.knowing import find_pairs, known_facts
from migrate.stages.knowing import outputs as known_outputs
from migrate.stages.merging import merge, rows_kind
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
from migrate.state.proven import known_crosswalk, known_merged, source_rows, target_rows
from migrate.state.quality import quality_scores, stale_deals
from migrate.state.quarantine import write_quarantine
from migrate.state.records import meta_rows
from migrate.state.replays import scope_of
from migrate.state.roads import all_sources, entity_rows
from migrate.state.standing import EarlierHash, earlier_hashes, write_target_files
from migrate.state.totals import foreseen
from migrate.transform.apply import Transformed, apply
from migrate.transform.compile import compile_entity
from migrate.transform.consent import WITHHELD_TEXT
from migrate.transform.entity import CompiledEntity
from migrate.transform.lists import with_forms
from migrate.transform.roads import EntityRows
from migrate.transform.settle import Road, Settled, settle
from migrate.vault.capture import Rows

NAME = "transform"


@dataclass(frozen=True)
class Files:
    """What `apply` left of one entity, in order of parts."""

    rows: tuple[Path, ...]
    reasons: tuple[Path, ...]
    excluded: tuple[Path, ...]
    events: tuple[Path, ...]
    items: Mapping[str, tuple[Path, ...]]  # list → its items, where references have to be resolved first
    unmerged: tuple[Path, ...]  # the rows, where some of them are still to be merged


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
    compiled = {n: compiled_entity(ctx, n, rows[n], declared).with_lookups(lookups) for n in ctx.entities}
    place_fixes(ctx, compiled, rows)
    failpoints.hit("transform.fixes_placed")
    scope = scope_of(ctx)
    earlier = earlier_hashes(ctx, known, declared)
    total = 0
    roads = []
    stops: list[str] = []
    # What rows are looked up in and the rows themselves do not know of each other yet.
    with ThreadPoolExecutor(1, thread_name_prefix="targets") as beside:
        looked_up = beside.submit(write_target_files, ctx, target, declared, earlier, known=known is not None)
        for name, entity in ctx.entities.items():
            files, seen, stopped = _apply_entity(ctx, compiled[name], rows[name], inputs)
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
            roads.append(_road(ctx, name, entity, files, declared, earlier[name], merging))
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
    _refuse_mistaken(ctx, settled)
    for name in ctx.entities:
        write_quarantine(ctx, name, rows[name])
    counts = {name: road.count for name, road in rows.items()}
    ctx.ledger.put_run_facts(ctx.run, {"transform": _facts(settled, counts)})
    ctx.ledger.put_run_facts(ctx.run, {"known_as": known_facts(ctx, settled.known, shared)})
    quality = quality_scores(ctx)
    ctx.ledger.put_run_facts(ctx.run, {"quality": quality, "stale": stale_deals(ctx)})
    gone = decide_gone(ctx, known) if scope is None else {}  # a replay only adds to what its run decided
    ctx.ledger.put_run_facts(ctx.run, {"gone": gone})
    _gates(ctx, settled, counts, [*stops, *settled.stops])
    _poor(ctx, quality)
    refuse_too_many(ctx, gone)
    quarantined_by_splits(ctx)
    _check_totals(ctx, foreseen(ctx, declared, known))
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


def _refuse_mistaken(ctx: Context, settled: Settled) -> None:
    """Rows whose identity is in doubt are neither loaded again nor taken for others (F15)."""
    if settled.doubles:
        raise Drift(
            "rows are known under an earlier name (`was`) and under the present one, and no row can be two: "
            + "; ".join(settled.doubles),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint="Roll back the run that loaded them under one of the names, or take that name out of `was`.",
        )
    if settled.astray:
        raise GateClosed(
            "with these corrections rows would change that nobody corrected: " + "; ".join(settled.astray),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint="They meet other rows, by `duplicates` or by references. Correct the rows at the source, and run the mapping again.",
        )
    if settled.strangers:
        raise Drift(
            "rows are known under another identity and would be loaded a second time: "
            + "; ".join(s.found for s in settled.strangers),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint=" ".join(s.way_out for s in settled.strangers)
            + " Else give entity, system and key their earlier names.",
        )


def _own_runs(ctx: Context) -> list[str]:
    """Earlier runs of this mapping, by its name, as the target remembers them."""
    rows = [row for rows in meta_rows(ctx.target, "run") for row in rows.to_pylist()]
    return [str(row["run"]) for row in rows if row["mapping"] == ctx.mapping.name]


def compiled_entity(ctx: Context, name: str, road: EntityRows, declared: Schema) -> CompiledEntity:
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
    return replace(compiled, network=True)


# ------------------------------------------------------------------ values, part by part


def _apply_entity(
    ctx: Context, compiled: CompiledEntity, road: EntityRows, inputs: str
) -> tuple[Files, int, list[str]]:
    entity = compiled.entity
    folder = ctx.room("transform", entity.name)
    seen = 0
    stops: list[str] = []
    for ref in road.parts:
        done = ctx.ledger.checkpoint(ctx.run, NAME, f"{entity.name}/{ref.index}", inputs)
        if done is None:
            stopped, paths_written = _apply_part(compiled, road, ref, folder)
            ctx.ledger.put_checkpoint(
                ctx.run,
                NAME,
                f"{entity.name}/{ref.index}",
                inputs,
                [ctx.output(p) for p in paths_written],
                {"stops": list(stopped)},
            )
        else:
            found = done.facts.get("stops")
            stopped = [str(s) for s in found] if isinstance(found, list) else []
        stops += stopped
        seen += ref.rows
        ctx.progress.advance(ref.rows)
        failpoints.hit("transform.part_done")

    def paths(kind: str) -> tuple[Path, ...]:
        return tuple(folder / f"{kind}-{ref.index:05d}.parquet" for ref in road.parts)

    items = {one.name: paths(f"items.{n}") for n, one in enumerate(compiled.lists) if one.references}
    files = Files(
        paths("rows"), paths("reasons"), paths("excluded"), paths("events"), items, paths(rows_kind(entity))
    )
    return files, seen, stops


def _apply_part(
    compiled: CompiledEntity, road: EntityRows, ref: PartRef, folder: Path
) -> tuple[list[str], list[Path]]:
    entity = compiled.entity
    rows = road.read(ref)
    rids = (np.int64(ref.index) << RID_SHIFT) + np.arange(rows.num_rows, dtype=np.int64)
    result = apply(compiled, rows, rids, {join: road.joined(ref, join) for join in road.beside})
    tables = {
        rows_kind(entity): _with_match_texts(result, entity, compiled.target),
        "reasons": result.reasons,
        "excluded": result.excluded,
        "events": result.events,
    }
    for number, one in enumerate(compiled.lists):
        if one.references:
            tables[f"items.{number}"] = with_forms(result.items[one.name], one.forms)
    paths = {kind: folder / f"{kind}-{ref.index:05d}.parquet" for kind in tables}
    for kind, table in tables.items():
        write_rows(table, paths[kind], point=f"transform.{kind}")
    return [f"{entity.name}.{s}" for s in result.stops], list(paths.values())


def _with_match_texts(result: Transformed, entity: Entity, target: Table) -> pa.Table:
    """`__m.COLUMN`: the canonical text by which a row is matched with rows of the target."""
    rows = result.rows
    for column in entity.match:
        given = f"__match.{column}"
        if given in rows.column_names:
            values = rows[given].combine_chunks()
            text = values.cast(pa.string()) if not pa.types.is_string(values.type) else values
        else:
            text = canon.canonical_text(rows[column], target.column(column).type)
            if (withheld := f"{WITHHELD_TEXT}{column}") in rows.column_names:
                # Who somebody is does not change with what they consent to, and a no has to arrive.
                text = pa.compute.coalesce(text, rows[withheld])
        rows = rows.append_column(f"__m.{column}", text)
    return rows


# ------------------------------------------------------------------ fates


def _road(
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


def _facts(settled: Settled, counts: Mapping[str, int]) -> dict[str, JSON]:
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


def _gates(ctx: Context, settled: Settled, counts: Mapping[str, int], stops: list[str]) -> None:
    kept = "Nothing was loaded; the backups are kept."
    if stops:
        raise GateClosed(
            f"the mapping says stop: {'; '.join(sorted(set(stops))[:20])}",
            kept=kept,
            hint="Correct the mapping or the source; `migrate quarantine list` shows the rows.",
        )
    for name, entity in ctx.entities.items():
        rows = counts[name]
        if settled.quarantined[name] > may_be_quarantined(ctx.mapping, entity, rows):
            share, limit = settled.quarantined[name] / rows, limit_of(ctx.mapping, entity)
            raise TooManyQuarantined(
                f"{settled.quarantined[name]} of {rows} rows are quarantined ({share:.1%}), the limit is {limit:.1%}",
                where=name,
                kept=kept,
                hint=f"See `migrate quarantine list {ctx.run}`; correct the mapping, or set max_quarantine.",
            )


def _poor(ctx: Context, quality: Mapping[str, JSON]) -> None:
    """Rows that are worse than the mapping asks for do not go on."""
    for name, entity in ctx.entities.items():
        found: Any = quality.get(name) or {}
        wrong = below(found.get("scores") or {}, entity.min_quality)
        if wrong:
            raise GateClosed(
                f"the rows are not good enough: {'; '.join(wrong)}",
                where=name,
                kept="Nothing was loaded; the backups are kept.",
                hint=f"See `migrate report {ctx.run}`; correct source or mapping, or min_quality.",
            )


def _check_totals(ctx: Context, verdicts: list[Verdict]) -> None:
    """A check over a table that cannot hold is told now, and not after the load."""
    failed = [v for v in verdicts if not v.passed]
    if failed:
        first = failed[0]
        raise GateClosed(
            f"{first.check} would not be the same in the target: {first.expected} before, {first.found} after ({first.reason})",
            where=ctx.mapping.path,
            kept="Nothing was loaded; the backups are kept.",
            hint=f"See `migrate quarantine list {ctx.run}`; correct mapping or source, or say `within` in the check.",
        )
