"""What a run would do, counted and not guessed: plan, extract, profile and transform, with nothing loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from migrate.context import Context, Progress
from migrate.durable import make_private_folder
from migrate.errors import GateClosed, MigrateError, TooManyQuarantined
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.run import home_of, opened, run_stage
from migrate.stages import STAGE_NAMES, STAGES
from migrate.stages.backup import capture_target
from migrate.stages.settled import settled_counts
from migrate.stages.transform import transform
from migrate.state.to_load import part_indexes
from migrate.state.unused import unused_problems
from migrate.vault.capture import captured_rows


def dry_run(
    path: Path | str, *, home: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """What a run would do, counted from an extracted copy: the JSON shape of `migrate plan`.

    Nothing is loaded and nothing goes to a vault. The copy lies below the state folder, where there is
    room and nobody else looks, and is gone afterwards."""
    mapping = load_mapping(path)
    place = make_private_folder(home_of(mapping, home) / "plans")
    with tempfile.TemporaryDirectory(prefix="plan-", dir=place) as folder:
        return _counted(mapping, Path(folder), progress)


def _counted(mapping: Mapping, home: Path, progress: Progress | None) -> dict[str, Any]:
    problems: list[dict[str, str]] = []
    with opened(mapping, home=home, progress=progress, hold=False) as (ctx, _):
        for stage in STAGES[: STAGE_NAMES.index("backup")]:
            try:
                run_stage(ctx, stage)
            except GateClosed as error:
                problems.append(_problem("gate", error))
        try:
            _transform(ctx)
        except (GateClosed, TooManyQuarantined) as error:
            problems.append(_problem("quarantine" if error.exit_code == 4 else "gate", error))
        counts = settled_counts(ctx)
        entities = {}
        for name in ctx.entities:
            count = counts.get(name, {})
            done = count.get("operations", {})
            entities[name] = {
                "rows": count.get("in", 0),
                "inserts": done.get("insert", 0),
                "updates": done.get("update", 0),
                "unchanged": done.get("unchanged", 0),
                "links": done.get("link", 0),
                "quarantined": count.get("quarantined", 0),
                "excluded": count.get("in", 0) - count.get("kept", 0),
                "parts": len(part_indexes(ctx, name)),
            }
        return {
            "mapping": mapping.name,
            "digest": ctx.plan.digest,
            "order": list(ctx.plan.order),
            "deferred": {n: list(e.deferred) for n, e in ctx.plan.entities.items() if e.deferred},
            "entities": entities,
            "problems": [*ctx.plan.problems, *unused_problems(ctx), *problems],
        }


def _problem(code: str, error: MigrateError) -> dict[str, str]:
    return {"code": code, "where": error.where, "message": error.message, "hint": error.hint}


def _transform(ctx: Context) -> None:
    """Fates of all rows, from the extracted copy and a copy of the touched target tables; no vault in between."""
    capture_target(ctx)
    sources = {name: captured_rows(ctx.folder / "extract" / name) for name in ctx.plan.source_tables}
    transform(ctx, sources, captured_rows(ctx.folder / "target"), ctx.plan.digest)
