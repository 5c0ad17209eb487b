"""Roads made within the transform stage: split tables first, then the entities whose rows are no plain table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate import failpoints
from migrate.context import Context
from migrate.errors import TooManyQuarantined
from migrate.ledger.records import JSON
from migrate.mapping.road_model import Split
from migrate.planning import digest_of
from migrate.state.quarantine import write_split_quarantine
from migrate.state.roads import (
    entity_rows,
    make_road,
    road_folder,
    spec_of,
    split_folder,
    table_rows,
)
from migrate.transform.roads import EntityRows
from migrate.transform.roads.shape import read_shaped
from migrate.transform.roads.splitting import SplitCounts, assign, read_counts
from migrate.vault.capture import Rows

STAGE = "transform"


def make_roads(ctx: Context, sources: Mapping[str, Rows]) -> dict[str, EntityRows]:
    """The road of every entity of the run; what lies there already and is whole is not made again. Counts go to the
    run's facts: `splits` by table, `joins` by ENTITY.JOIN, `pivots` by entity.

    Raises GateClosed where a join finds more rows than the mapping says."""
    inputs = _inputs(ctx)
    splits = {table: _split(ctx, split, sources, inputs) for table, split in ctx.mapping.split.items()}
    joins: dict[str, JSON] = {}
    pivots: dict[str, JSON] = {}
    for name in ctx.entities:
        spec = spec_of(ctx, name, sources)
        if spec.plain:
            continue
        if ctx.ledger.checkpoint(ctx.run, STAGE, _part(name), inputs) is None:
            _, outputs = make_road(ctx, spec, sources)
            ctx.ledger.put_checkpoint(ctx.run, STAGE, _part(name), inputs, outputs)
            failpoints.hit("transform.road.checkpointed")
        shaped = read_shaped(road_folder(ctx, name))
        assert shaped is not None, "a checkpoint speaks of files that are there"
        joins |= {f"{name}.{join}": _without_names(counts) for join, counts in shaped.joins.items()}
        pivots |= {name: _without_names(shaped.pivot)} if shaped.pivot else {}
    counted: dict[str, JSON] = {t: _facts(ctx, t, c) for t, c in splits.items()}
    ctx.ledger.put_run_facts(ctx.run, {"splits": counted, "joins": joins, "pivots": pivots})
    return {name: entity_rows(ctx, name, sources) for name in ctx.entities}


def _inputs(ctx: Context) -> str:
    """What roads depend on: the plan, and the backups of the sources. A target that drifts leaves them as they are."""
    backups = [
        (c.part, str(c.facts.get("manifest_sha256")))
        for c in ctx.ledger.checkpoints(ctx.run, "backup")
        if c.part.startswith("source:")
    ]
    return digest_of([ctx.plan.digest, sorted(backups)])


def are_whole(ctx: Context, name: str, sources: Mapping[str, Rows]) -> bool:
    """Whether the road of an entity, and the split that it comes from, are as they were made."""
    spec = spec_of(ctx, name, sources)
    parts = ([_part(name)] if not spec.plain else []) + ([_of(spec.entity.table)] if spec.split else [])
    inputs = _inputs(ctx)
    return all(ctx.ledger.checkpoint(ctx.run, STAGE, part, inputs) is not None for part in parts)


def quarantined_by_splits(ctx: Context) -> None:
    """Raises TooManyQuarantined where more rows of a split table fit no road than the policy allows."""
    for table in ctx.mapping.split:
        counts = read_counts(split_folder(ctx, table))
        limit = ctx.mapping.policy.max_quarantine
        if counts is not None and counts.quarantined > int(limit * counts.rows + 1e-9):
            share = counts.quarantined / counts.rows
            raise TooManyQuarantined(
                f"{counts.quarantined} of {counts.rows} rows of {table} fit no road ({share:.1%}), the limit is {limit:.1%}",
                where=ctx.mapping.positions.get(f"split.{table}", table),
                kept="Nothing was loaded; the backups are kept.",
                hint=f"See `migrate quarantine list {ctx.run}`; add a condition, or leave_out with a reason.",
            )


def _without_names(counts: Mapping[str, Any]) -> dict[str, JSON]:
    """Names that a pivot does not list are values of rows: they stay in the run's folder, the ledger gets their number."""
    return {key: len(value) if key == "names" else value for key, value in counts.items()}


def _part(name: str) -> str:
    return f"{name}/road"


def _of(table: str) -> str:
    return f"split:{table}"


def _split(ctx: Context, split: Split, sources: Mapping[str, Rows], inputs: str) -> SplitCounts:
    folder, part = split_folder(ctx, split.table), _of(split.table)
    if ctx.ledger.checkpoint(ctx.run, STAGE, part, inputs) is None:
        ctx.room("splits")
        made = assign(ctx.mapping, split, sources[split.source], folder)
        ctx.ledger.put_checkpoint(
            ctx.run, STAGE, part, inputs, [ctx.output(folder / path) for path in made.outputs()]
        )
        failpoints.hit("transform.split.checkpointed")
    counts = read_counts(folder)
    assert counts is not None, "a checkpoint speaks of files that are there"
    write_split_quarantine(ctx, split.table, table_rows(sources[split.source], split.table))
    return counts


def _facts(ctx: Context, table: str, counts: SplitCounts) -> JSON:
    return {
        "source": ctx.mapping.split[table].source,
        "rows": counts.rows,
        "roads": dict(counts.roads),
        "left_out": dict(counts.left_out),
        "quarantined": counts.quarantined,
    }
