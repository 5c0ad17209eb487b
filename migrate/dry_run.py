"""What a run would do, counted and not guessed: plan, extract, profile and transform, with nothing loaded."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from migrate.arrow import layout
from migrate.connectors.protocol import Target
from migrate.context import Context, Progress
from migrate.durable import make_private_folder
from migrate.errors import GateClosed, MigrateError, TooManyQuarantined
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.model import Table
from migrate.opening import home_of, opened
from migrate.report.document import quarantine_counts
from migrate.run import run_stage
from migrate.stages import STAGE_NAMES, STAGES
from migrate.stages.backup import capture_target
from migrate.stages.load.assign import assign
from migrate.stages.report import quarantined
from migrate.stages.settled import settled_counts
from migrate.stages.transform import transform
from migrate.state.to_load import part_indexes, part_path
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
        operations = _operations(ctx) if counts else {}
        entities = {}
        for name in ctx.entities:
            count = counts.get(name, {})
            done = operations.get(name, Counter())
            written = done["insert"] + done["update"] + done["link"]
            entities[name] = {
                "rows": count.get("in", 0),
                "inserts": done["insert"],
                "updates": done["update"],
                "unchanged": sum(count.get("operations", {}).values()) - written,
                "links": done["link"],
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
            "quarantine": quarantine_counts(quarantined(ctx)),
            "problems": [*ctx.plan.problems, *unused_problems(ctx), *problems],
        }


def _problem(code: str, error: MigrateError) -> dict[str, str]:
    hint = error.hint if code != "quarantine" else "Correct the mapping or the source, or set max_quarantine."
    return {"code": code, "where": error.where, "message": error.message, "hint": hint}


def _operations(ctx: Context) -> dict[str, Counter[str]]:
    """What would be written, row by row decided as load does it: an update that changes nothing is none (P2)."""
    assign(
        replace(ctx, target=cast(Target, _Unreserved(ctx.target))),
        ctx.target.schema(ctx.plan.touched),
        ctx.plan.digest,
    )
    found: dict[str, Counter[str]] = {}
    for name in ctx.entities:
        found[name] = Counter()
        for index in part_indexes(ctx, name):
            rows = pq.read_table(part_path(ctx, name, index), columns=["__op"])
            found[name].update(str(op) for op in rows["__op"].to_pylist())
    return found


class _Unreserved:
    """The target, but for keys: a dry run takes none from its sequences."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def reserve_keys(self, table: Table, column: str, count: int) -> pa.Array[Any]:
        """Numbers that stand for the keys a run would get."""
        type_ = layout(table.column(column).type)
        return pa.array(range(-count, 0), pa.int64()).cast(type_, safe=False)


def _transform(ctx: Context) -> None:
    """Fates of all rows, from the extracted copy and a copy of the touched target tables; no vault in between."""
    capture_target(ctx)
    sources = {name: captured_rows(ctx.folder / "extract" / name) for name in ctx.plan.source_tables}
    transform(ctx, sources, captured_rows(ctx.folder / "target"), ctx.plan.digest)
