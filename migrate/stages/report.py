"""Report: what is known of the run, from ledger and files, as one document; also of a run that did not finish."""

from __future__ import annotations

import json
import platform
import resource
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from migrate import __version__
from migrate.context import Context
from migrate.errors import MigrateError
from migrate.ledger.ledger import Ledger
from migrate.report.dictionary import brief, data_dictionary
from migrate.report.document import build_report, write_report
from migrate.report.html.render import write_page
from migrate.stages.result import Result
from migrate.state.conflicts import conflict_counts
from migrate.state.counts import gone_counts
from migrate.state.evidence import digests, drill_history, duplicate_counts, is_signed, policy_facts
from migrate.state.examples import quarantine_examples
from migrate.state.filled import column_use
from migrate.state.quarantine import SPLIT
from migrate.state.replays import balances_of, open_quarantine, replay_facts
from migrate.state.unused import unused_problems
from migrate.state.waiting import waiting_counts
from migrate.vault.capture import table_folder
from migrate.vault.verdicts import PROVEN

NAME = "report"
_OF_LEDGER = ("balances", "tables", "joins", "archived", "stale", "known_as", "quality", "edited")
_LIBRARIES = ("pyarrow", "polars", "duckdb", "psycopg", "adbc-driver-postgresql", "pymysql", "sqlalchemy")


def run(ctx: Context) -> Result:
    facts(
        ctx, state="verified"
    )  # what is missing shows before the run is called done; the run's end writes it
    return Result()


def write(ctx: Context, *, state: str, exit_code: int = 0, error: MigrateError | None = None) -> Path:
    """`report.json` and `report.html` in the run's folder; the path of the first. Values of rows are in neither."""
    document = build_report(facts(ctx, state=state, exit_code=exit_code, error=error))
    path = write_report(ctx.folder, document)
    write_page(ctx.folder, document)
    return path


def facts(
    ctx: Context, *, state: str, exit_code: int = 0, error: MigrateError | None = None
) -> dict[str, Any]:
    """Everything the report is made of; what a stage did not reach is simply not there. `error`: what stopped the run."""
    return {
        **of_ledger(ctx.ledger, ctx.run, state=state),
        "exit_code": exit_code,
        "stopped_by": _words_of(error),
        "quarantine": quarantined(ctx, examples=True),
        "review": waiting_counts(ctx.ledger, ctx.run, ctx.mapping),
        "columns": column_use(ctx),
        "gone": gone_counts(ctx),
        "conflicts": {
            name: counts for name in ctx.mapping.entities if (counts := conflict_counts(ctx, name))
        },
        "events": _events(ctx),
        "plan": _plan(ctx),
        "dictionary": brief(data_dictionary(ctx.mapping)),
        "glossary": dict(ctx.mapping.glossary),
        "profile": _profile(ctx),
        "backups": _backups(ctx),
        "duplicates": duplicate_counts(ctx),
        "policy": policy_facts(ctx),
        "digests": digests(ctx),
        "peak_mb": peak_mb(),
        "environment": {
            "migrate": __version__,
            "python": platform.python_version(),
            "system": platform.system(),
            "machine": platform.machine(),
            "engines": {"target": ctx.target.engine, **{n: s.engine for n, s in ctx.sources.items()}},
            "libraries": {name: version(name) for name in _LIBRARIES},
        },
    }


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def of_ledger(ledger: Ledger, run: str, *, state: str) -> dict[str, Any]:
    """What the ledger alone knows of a run: all that is left to say where neither its files nor its databases can be read."""
    info, known, verdicts = ledger.run(run), ledger.run_facts(run), [v for _, v in ledger.verdicts(run)]
    return {
        "run": run,
        "mapping": info.mapping,
        "state": state,
        "started": info.started,
        "ended": info.ended,
        "stages": [
            {"stage": s.stage, "state": s.state, "seconds": s.seconds, "rows": s.rows, "attempts": s.attempts}
            for s in ledger.stages(run)
        ],
        **{name: known.get(name) or {} for name in _OF_LEDGER},
        "balances": balances_of(ledger, run),
        "replays": replay_facts(ledger, run),
        "kept": known.get("kept"),
        "created": known.get("created") or [],
        "verdicts": verdicts,
        "checks": [v.evidence for v in verdicts if "whole" in v.evidence],
        "drills": drill_history(ledger, info.mapping),
    }


def _words_of(error: MigrateError | None) -> dict[str, str] | None:
    """An error's own words hold neither values of rows nor secrets."""
    if error is None:
        return None
    return {"message": error.message, "where": error.where, "kept": error.kept, "hint": error.hint}


def quarantined(ctx: Context, *, examples: bool = False) -> list[dict[str, Any]]:
    """Counts by entity, field and code, with masked `examples` if asked for; of a run with replays what is left. A row with several reasons counts under each."""
    counts: Counter[tuple[str, str, str]] = Counter()
    files = quarantine_files(ctx)
    for path in sorted(open_quarantine(ctx).glob("*.parquet")):
        name = files.get(path.name)
        if name is not None:
            rows = pq.read_table(path, columns=["fields", "codes"])
            for row in rows.to_pylist():
                reasons = zip(row["fields"], row["codes"], strict=True)
                counts.update((name, field or "", code) for field, code in reasons)
    shown = quarantine_examples(ctx, files) if examples else {}
    return [
        {
            "entity": e,
            "field": f,
            "code": c,
            "count": n,
            **({"examples": shown.get((e, f, c), [])} if examples else {}),
        }
        for (e, f, c), n in counts.items()
    ]


def quarantine_files(ctx: Context) -> dict[str, str]:
    """Name of a quarantine file → the entity, or the split table, whose rows are in it."""
    files = {
        f"{name}{end}": name for name in ctx.mapping.entities for end in (".parquet", ".rejects.parquet")
    }
    return files | {f"{table_folder(table)}{SPLIT}.parquet": table for table in ctx.mapping.split}


def _events(ctx: Context) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name in ctx.mapping.entities:
        for path in (ctx.folder / "transform" / name).glob("events*.parquet"):
            rows = pq.read_table(path, columns=["field", "code"])
            pairs = zip(rows["field"].to_pylist(), rows["code"].to_pylist(), strict=True)
            counts.update(f"{name}.{field}: {code}" for field, code in pairs)
    return dict(counts)


def _plan(ctx: Context) -> dict[str, Any]:
    if not (ctx.folder / "plan.json").exists():
        return {}
    plan = ctx.plan
    return {
        "mapping": ctx.mapping.name,
        "digest": plan.digest,
        "order": list(plan.order),
        "deferred": {name: list(e.deferred) for name, e in plan.entities.items() if e.deferred},
        "touched": list(plan.touched),
        "problems": [*plan.problems, *unused_problems(ctx)],
        "left_behind": [item.model_dump() for item in ctx.mapping.left_behind],
    }


def _profile(ctx: Context) -> dict[str, Any]:
    folder = ctx.folder / "profile"
    return {
        p.name.removesuffix(".masked.json"): json.loads(p.read_text())
        for p in sorted(folder.glob("*.masked.json"))
    }


def _proven(ctx: Context, manifest_sha256: str) -> bool:
    return any(v.check == PROVEN and v.passed for _, v in ctx.ledger.verdicts_about(manifest_sha256))


def _backups(ctx: Context) -> list[dict[str, Any]]:
    return [
        {
            "id": b.id,
            "role": b.role,
            "system": b.system,
            "engine": b.engine,
            "snapshot_at": b.snapshot_at,
            "created_at": b.created_at,
            "rows": b.rows,
            "bytes": b.bytes,
            "level": "L5" if _proven(ctx, b.manifest_sha256) else "none",
            "manifest_sha256": b.manifest_sha256,
            "signed": is_signed(ctx, b),
        }
        for b in ctx.ledger.backups()
        if b.run == ctx.run
    ]
