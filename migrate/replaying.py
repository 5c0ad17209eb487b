"""Corrected rows of a run are sent again: by a run of their own that reads the same proven backup (decision 0049)."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from migrate import failpoints
from migrate.context import Context
from migrate.durable import copy_bytes, make_private_folder, write_bytes
from migrate.errors import Drift, UsageError
from migrate.ledger.records import JSON, UNFINISHED
from migrate.mapping.usage import columns_read
from migrate.opening import MAPPING_COPY, MAPS_COPY, STAGED
from migrate.parts import write_rows
from migrate.plan_model import Plan
from migrate.planning import entity_digest, identity_of, schema_digest, shapes_of
from migrate.state.deciding import DECIDED
from migrate.state.fixed_rows import fixes_file
from migrate.state.fixes import SCHEMA, WITHDRAWN
from migrate.state.identity import first_names
from migrate.state.mail_servers import ANSWERS
from migrate.state.proven import proven_backups
from migrate.state.records import writers
from migrate.state.replays import (
    ENDED,
    FOLDER,
    FREE,
    GIVEN,
    HELD,
    open_run,
    replay_number,
    replay_of,
    replays_of,
)
from migrate.transform.given_values import unfit
from migrate.transform.roads.table import road_spec

# Reasons of rows that had nothing wrong with themselves: they follow the row that they waited for.
WAITING = ("parent_quarantined", "parent_rejected", "merged_quarantined", "known_quarantined")
FILES = "files"  # run fact of a replay: the digests of the files that it was given
_HELD = pa.schema([(n, pa.string()) for n in ("entity", "key", "field", "code", "detail")])
_FREE = pa.schema([(n, pa.string()) for n in ("entity", "key")])


@dataclass(frozen=True)
class Correction:
    """One row of a file in which a person changed something. `hash`: the row as it stood when it was exported; `cells`:
    column → text, None for NULL; `where`: the file and its line."""

    entity: str
    key: str
    hash: bytes
    cells: Mapping[str, str | None]
    where: str


def refuse_unreplayable(ctx: Context) -> None:
    """`ctx`: the run. Raises UsageError or Drift where no row of it can be sent again."""
    info = ctx.ledger.run(ctx.run)
    if info.state == "rolled_back":
        raise UsageError(
            f"run {ctx.run} was rolled back",
            kept="Nothing was changed.",
            hint="Run the mapping again; its own export can be replayed.",
        )
    if info.state not in ENDED:
        raise UsageError(
            f"run {ctx.run} is unfinished ({info.state})",
            kept="Nothing was changed.",
            hint=f"Finish it first: migrate run {ctx.mapping.path}. Where too many rows are in quarantine, set max_quarantine for it.",
        )
    newer = next((r.run for r in ctx.ledger.runs() if r.mapping == info.mapping), ctx.run)
    if newer != ctx.run and replay_of(newer) != ctx.run:
        raise Drift(
            f"run {newer} of the same mapping is newer and has read the source since",
            where=ctx.run,
            kept="Nothing was changed.",
            hint=f"Export its rows and correct those: migrate quarantine export {newer} DIR.",
        )


def unfinished_replay(ctx: Context, digest: str | None) -> str | None:
    """The replay to go on with; one of another file (`digest`) that wrote nothing is given up. Raises UsageError."""
    last = next((r for r in reversed(replays_of(ctx.ledger, ctx.run)) if r.state != "rolled_back"), None)
    if last is None or last.state not in UNFINISHED or last.state in ENDED:
        return None
    if digest is None or ctx.ledger.run_facts(last.run).get("file") == digest:
        return last.run
    if last.run in writers(ctx.target):
        raise UsageError(
            f"the replay {last.run} of another file is unfinished and has written to the target",
            kept="Nothing was changed by this command.",
            hint=f"Finish it first: migrate quarantine replay {ctx.run}",
        )
    # First, so that no kill leaves them to be taken for corrections that hold.
    ctx.ledger.put_run_facts(last.run, {WITHDRAWN: True})
    ctx.ledger.set_state(last.run, "failed")
    ctx.ledger.audit("run abandoned", last.run, {"fresh": False})
    for name in STAGED:
        shutil.rmtree(ctx.ledger.root / last.run / name, ignore_errors=True)
    return None


def refuse_unfit(ctx: Context, corrections: Sequence[Correction]) -> None:
    """Columns that are not there, that say which row it is, or whose type the new value is not of. Raises UsageError."""
    schemas = {
        part.partition(":")[2]: backup.schema
        for part, backup in proven_backups(ctx).items()
        if part.startswith("source:")
    }
    wrong: list[str] = []
    for name in dict.fromkeys(c.entity for c in corrections):
        entity = ctx.mapping.entities[name]
        mine = [c for c in corrections if c.entity == name]
        table = road_spec(ctx.mapping, name, schemas).table
        if entity.key_is_content:
            wrong.append(
                f"rows of {name} are known by their content, and would be other rows ({mine[0].where})"
            )
            continue
        identity = _key_columns(ctx, name)
        for column in dict.fromkeys(c for one in mine for c in one.cells):
            rows = [one for one in mine if column in one.cells]
            if column not in table.column_names:
                wrong.append(f"{name} has no column {column!r} ({rows[0].where})")
            elif column in identity:
                wrong.append(f"{column!r} says which row of {name} it is, and was changed ({rows[0].where})")
            else:
                bad = unfit([one.cells[column] for one in rows], table.column(column).type)
                wrong += [
                    f"the new value of {column!r} is no {table.column(column).type.kind.value} ({rows[i].where})"
                    for i in bad
                ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UsageError(
            f"the corrections do not fit: {'; '.join(wrong[:5])}{more}",
            kept="Nothing was changed.",
            hint="Correct the file; a row's key, its lists and its bytes are corrected at the source.",
        )


def _key_columns(ctx: Context, name: str) -> set[str]:
    """Source columns that the key is made of; of a let value all that it reads."""
    entity = ctx.mapping.entities[name]
    found: set[str] = set()
    waiting = list(entity.key)
    while waiting:
        column = waiting.pop()
        if column in entity.let and column not in found:
            waiting += columns_read(entity.let[column])
        found.add(column)
    return found


def begin_replay(
    ctx: Context,
    corrections: Sequence[Correction],
    waiting: Iterable[Mapping[str, str]],
    digest: str,
    files: Sequence[str],
) -> str:
    """Everything that the replay needs, in a folder of its own, then its row in the ledger: from there on it is resumed.

    `ctx`: the run that is corrected, which holds the target. `waiting`: the rows in its quarantine (entity, key, field,
    code, detail; one per reason). `digest`: of the files together, `files`: of each."""
    run = f"{ctx.run}-r{1 + max((replay_number(r.run) for r in replays_of(ctx.ledger, ctx.run)), default=0)}"
    folder = ctx.home / "runs" / run
    if folder.exists():
        shutil.rmtree(folder)  # of a try that was killed here: the ledger knows no such run
    make_private_folder(folder)
    _copy(ctx.folder / MAPPING_COPY, folder / MAPPING_COPY)
    for path in (ctx.folder / MAPS_COPY).glob("*"):
        _copy(path, folder / MAPS_COPY / path.name)
    for path in (ctx.folder / "extract").glob("*/*"):
        if path.is_file():
            _copy(path, folder / "extract" / path.parent.name / path.name)
    for path in (ctx.folder / "transform").glob("*/*weights.json"):  # what is alike is decided as before
        _copy(path, folder / "transform" / path.parent.name / path.name)
    for path in (ctx.folder / ANSWERS).glob("*"):
        _copy(path, folder / ANSWERS / path.name)
    make_private_folder(folder / FOLDER)
    write_rows(_given(ctx, corrections), folder / FOLDER / GIVEN, point="replay.given")
    held, free = _scope(corrections, list(waiting))
    write_rows(held, folder / FOLDER / HELD, point="replay.held")
    write_rows(free, folder / FOLDER / FREE, point="replay.free")
    plan = _plan(ctx, run)
    write_bytes(folder / "plan.json", json.dumps(plan.as_json(), indent=1).encode(), point="replay.plan")
    failpoints.hit("replay.prepared")
    known = ctx.ledger.run_facts(ctx.run)
    facts: dict[str, JSON] = {
        name: known.get(name) for name in ("only", "source", "base", DECIDED) if name in known
    }
    counts: dict[str, JSON] = dict(Counter(c.entity for c in corrections))
    columns: dict[str, JSON] = dict(Counter(f"{c.entity}.{name}" for c in corrections for name in c.cells))
    ctx.ledger.begin_run(
        run,
        ctx.mapping.name,
        ctx.mapping.digest,
        {**facts, "file": digest, FILES: list(files), "corrected": counts, "columns": columns},
    )
    failpoints.hit("replay.begun")
    ctx.ledger.audit("replay started", run, {"of": ctx.run, "file": digest, "corrected": counts})
    return run


def _copy(source: Path, target: Path) -> None:
    make_private_folder(target.parent)
    copy_bytes(source, target)
    target.chmod(0o600)


def _given(ctx: Context, corrections: Sequence[Correction]) -> pa.Table:
    """The corrections by what the source has; those of a row that was corrected before take over what they leave."""
    before: dict[tuple[str, str], tuple[bytes, dict[str, str | None]]] = {}
    last = replace(ctx, run=(name := open_run(ctx.ledger, ctx.run)), folder=ctx.home / "runs" / name)
    for entity in {c.entity for c in corrections}:
        path = fixes_file(last, entity)
        for row in pq.read_table(path).to_pylist() if path.exists() else ():
            before[entity, row["key"]] = (row["hash"], json.loads(row["cells"]))
    rows = []
    for one in corrections:
        hash_, cells = before.get((one.entity, one.key), (one.hash, {}))
        system, entity = identity_of(ctx.mapping, one.entity)
        texts = json.dumps({**cells, **one.cells}, ensure_ascii=False)
        rows.append({"system": system, "entity": entity, "key": one.key, "hash": hash_, "cells": texts})
    return pa.Table.from_pylist(rows, SCHEMA)


def _scope(
    corrections: Sequence[Correction], reasons: Sequence[Mapping[str, str]]
) -> tuple[pa.Table, pa.Table]:
    """Rows that stay in quarantine with their reasons, and rows that may be written."""
    corrected = {(c.entity, c.key) for c in corrections}
    own = {(r["entity"], r["key"]) for r in reasons if r["code"] not in WAITING}
    free = corrected | ({(r["entity"], r["key"]) for r in reasons} - own)
    held = [r for r in reasons if (r["entity"], r["key"]) not in free and r["code"] not in WAITING]
    return (
        pa.Table.from_pylist(held, _HELD),
        pa.Table.from_pylist([{"entity": e, "key": k} for e, k in sorted(free)], _FREE),
    )


def _plan(ctx: Context, run: str) -> Plan:
    """The run's plan, held against the target as it is now."""
    target = ctx.target.schema(ctx.plan.touched)
    gone = [name for name in ctx.plan.touched if name not in target.table_names]
    if gone:
        raise Drift(
            f"the target has no table {', '.join(gone)} any more",
            where=ctx.target.url,
            kept="Nothing was changed.",
            hint="Bring it back, or run the mapping again.",
        )
    names = first_names(ctx)
    shapes = {k: v for k, v in ctx.plan.shapes.items() if k.startswith("source:")}
    return replace(
        ctx.plan,
        run=run,
        target_schema=schema_digest(target),
        entities={
            name: replace(
                plan, digest=entity_digest(ctx.mapping.entities[name], target.table(plan.into), names)
            )
            for name, plan in ctx.plan.entities.items()
        },
        shapes=shapes | shapes_of("target", target),
        creates=(),
        ddl=(),
    )
