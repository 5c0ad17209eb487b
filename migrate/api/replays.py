"""Corrected rows go back into the run that set them aside."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from migrate.api.fix_files import FileRow, cell_text, file_bytes, read_files, same_cell
from migrate.api.places import context_of, find_home, ledger_of, run_id
from migrate.api.quarantined import quarantined_rows
from migrate.context import Context, Progress
from migrate.errors import Drift, MigrateError, UsageError
from migrate.replaying import (
    Correction,
    begin_replay,
    refuse_unfit,
    refuse_unreplayable,
    unfinished_replay,
)
from migrate.run import walk
from migrate.stages import STAGES
from migrate.stages.report import write as write_report
from migrate.state.replays import ENDED, balances_of, open_quarantine, replay_facts, replay_of, replays_of

_NAMED = 5  # rows named in one message


def quarantine_replay(
    run: str,
    files: Sequence[Path] = (),
    *,
    preview: bool = False,
    home: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Send the corrected rows of exported files (or folders of them) through transform, rules, gate, load and verify, into
    the target of the run; rows that waited for them follow. Other rows stay as they are. `preview`: only what was
    corrected. Without files an unfinished replay goes on.

    Returns {"run", "replay", "corrected": {entity: rows}, "columns": {ENTITY.COLUMN: cells}, and of a replay "state",
    "done_before", "loaded", "quarantined", "balances" of the run with all of its replays, "report"}.
    Raises UsageError or Drift where a file does not fit, before anything is written; else as `run`."""
    place = find_home(home)
    with ledger_of(place) as ledger:
        name = run_id(ledger, run)
        name = replay_of(name) or name
    digest, rows, parts = None, [], list[str]()
    if files:
        rows = read_files(files)
        hashes = [hashlib.sha256(content) for content in file_bytes(files)]
        digest = hashlib.sha256(b"".join(h.digest() for h in hashes)).hexdigest()
        parts = [h.hexdigest() for h in hashes]
        _refuse_others(rows, name)
    with context_of(name, place, progress, hold=not preview) as ctx:
        before = _done(ctx, digest)
        if before is not None and not preview:
            return _told(ctx, before, done_before=True)
        refuse_unreplayable(ctx)
        replay = None if preview else unfinished_replay(ctx, digest)
        if replay is None:
            if digest is None:
                raise UsageError(
                    f"run {name} has no unfinished replay",
                    kept="Nothing was changed.",
                    hint="Give the corrected files: --from FILE.",
                )
            there = list(quarantined_rows(open_quarantine(ctx)))
            corrections = _corrections(ctx, rows, there)
            refuse_unfit(ctx, corrections)
            if preview:
                return _previewed(name, corrections)
            replay = begin_replay(ctx, corrections, _reasons(ctx), digest, parts)
            resumed = False
        else:
            resumed = True
    with context_of(replay, place, progress, hold=True) as ctx:
        outcome = walk(ctx, resumed, STAGES)
    if outcome.error is not None:
        raise outcome.error
    with context_of(name, place, progress, hold=False) as ctx:
        return _told(ctx, replay, done_before=False)


def _done(ctx: Context, digest: str | None) -> str | None:
    """The replay that has carried out just these files."""
    for info in replays_of(ctx.ledger, ctx.run):
        if digest and info.state in ENDED and ctx.ledger.run_facts(info.run).get("file") == digest:
            return info.run
    return None


def _told(ctx: Context, replay: str, *, done_before: bool) -> dict[str, Any]:
    """What a replay did; the report of its run follows it, also where a kill came between."""
    report = write_report(ctx, state=ctx.ledger.run(ctx.run).state)
    facts: Any = ctx.ledger.run_facts(replay)
    mine: Any = next(r for r in replay_facts(ctx.ledger, ctx.run) if r["run"] == replay)
    return {
        "run": ctx.run,
        "replay": replay,
        "state": mine["state"],
        "done_before": done_before,
        "corrected": facts.get("corrected") or {},
        "columns": facts.get("columns") or {},
        "loaded": mine["loaded"],
        "quarantined": mine["quarantined"],
        "balances": balances_of(ctx.ledger, ctx.run),
        "report": str(report),
        "exit_code": 0,
    }


def _previewed(name: str, corrections: Sequence[Correction]) -> dict[str, Any]:
    return {
        "run": name,
        "replay": None,
        "preview": True,
        "corrected": dict(Counter(c.entity for c in corrections)),
        "columns": dict(Counter(f"{c.entity}.{name}" for c in corrections for name in c.cells)),
    }


def _refuse_others(rows: Sequence[FileRow], run: str) -> None:
    """Rows of another run, and rows that are not named or named twice."""
    other = next((r for r in rows if r.run != run), None)
    if other is not None:
        said = f"run {other.run}" if other.run else "no run (`_run` is empty)"
        raise _refused(
            f"these are rows of {said}, not of run {run}",
            [other.where],
            hint=f"Export again: migrate quarantine export {run} DIR.",
        )
    unnamed = [r.where for r in rows if not r.row]
    if unnamed:
        raise _refused("rows have no `_row`, by which they are known", unnamed)
    seen = Counter((r.entity, r.row) for r in rows)
    twice = [r.where for r in rows if seen[r.entity, r.row] > 1]
    if twice:
        raise _refused("rows are there more than once (`_row`)", twice)


def _refused(
    message: str, where: Sequence[str], hint: str = "", kind: type[MigrateError] = UsageError
) -> MigrateError:
    more = f" and {len(where) - _NAMED} more" if len(where) > _NAMED else ""
    return kind(
        message,
        where=f"{'; '.join(where[:_NAMED])}{more}",
        kept="Nothing was changed.",
        hint=hint
        or "Start from a file that `migrate quarantine export` wrote, and change only values of rows.",
    )


def _corrections(
    ctx: Context, rows: Sequence[FileRow], there: Sequence[Mapping[str, Any]]
) -> list[Correction]:
    """The rows of the files in which somebody changed something. Raises UsageError or Drift."""
    known = {(r["entity"], r["id"]): r for r in there}
    strange = [r for r in rows if (r.entity, r.row) not in known]
    if strange:
        _refuse_strange(ctx, strange)
        rows = [r for r in rows if (r.entity, r.row) in known]
    moved = [r.where for r in rows if (known[r.entity, r.row]["key"] or "") != r.key]
    if moved:
        raise _refused("`_key` was changed, by which the row is known in source and target", moved)
    found: list[Correction] = []
    nowhere: list[str] = []
    for row in rows:
        stood = known[row.entity, row.row]
        cells = _changed(row, stood)
        if cells and (stood.get("split") or not row.key):
            nowhere.append(row.where)
        elif cells:
            hash_ = bytes.fromhex(row.row.rpartition("-")[2])
            found.append(Correction(row.entity, row.key, hash_, cells, row.where))
    if nowhere:
        raise _refused(
            "rows without a key, and rows that fit no road, cannot be sent again: nothing would tell which they are",
            nowhere,
            hint="Correct them at the source, or the mapping, and run it again; leave these rows as they were exported.",
        )
    if not found:
        raise _refused("no value was changed in any row", sorted({r.where.rpartition(", ")[0] for r in rows}))
    return found


def _changed(row: FileRow, stood: Mapping[str, Any]) -> dict[str, str | None]:
    """Cells that are not as they were exported."""
    values = stood["row"] or {}
    return {
        column: text
        for column, text in row.cells.items()
        if not same_cell(text, cell_text(values.get(column)), exact=row.exact)
    }


def _refuse_strange(ctx: Context, strange: Sequence[FileRow]) -> None:
    """Rows that are not in quarantine: were they, or were they never? Those that were and that nobody changed are passed over."""
    before: dict[tuple[str, str], dict[str, Any]] = {}
    places = set()
    for run in (ctx.run, *(i.run for i in replays_of(ctx.ledger, ctx.run))):
        for one in quarantined_rows(ctx.ledger.root / run / "quarantine"):
            before[one["entity"], one["id"]] = one
            places.add((one["entity"], one["id"].partition("-")[0]))
    unknown = [r.where for r in strange if (r.entity, r.row.partition("-")[0]) not in places]
    if unknown:
        raise _refused("rows are not in the quarantine of this run (`_row`)", unknown)
    stale = [
        r.where for r in strange if (r.entity, r.row) not in before or _changed(r, before[r.entity, r.row])
    ]
    if stale:
        raise _refused(
            "the file is out of date: rows were sent again since, or are not as they were exported",
            stale,
            f"Export again what is left, into an empty folder: migrate quarantine export {ctx.run} DIR.",
            Drift,
        )


def _reasons(ctx: Context) -> list[dict[str, str]]:
    """Every reason of every row in quarantine that has a key, as its files have them."""
    found = []
    for path in sorted(open_quarantine(ctx).glob("*.parquet")):
        name = path.name.removesuffix(".parquet").removesuffix(".rejects")
        if name not in ctx.mapping.entities:
            continue
        for row in pq.read_table(path, columns=["key", "fields", "codes", "details"]).to_pylist():
            for field, code, detail in zip(row["fields"], row["codes"], row["details"], strict=True):
                if row["key"] is not None:
                    found.append(
                        {
                            "entity": name,
                            "key": row["key"],
                            "field": field,
                            "code": code,
                            "detail": detail,
                        }
                    )
    return found
