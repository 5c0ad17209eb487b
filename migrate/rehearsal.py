"""Rehearse: a whole run into the proven scratch copy of the target, so that its real constraints speak (F28, P4).

The target is read, backed up and restored into scratch like before any load; then every stage runs against that
copy. Nothing is written to the target itself: no row, no table of ours, no sequence moves.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Target
from migrate.connectors.registry import SERVERS, open_scratch, open_target
from migrate.context import Context, Progress
from migrate.dry_run import counted, pin_from, workplace
from migrate.errors import GateClosed
from migrate.ledger.receipts import meta_table, meta_tables
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.opening import home_of, opened
from migrate.planning import scratch_url
from migrate.run import Outcome, run_stage, walk
from migrate.stages import STAGES
from migrate.stages.backup import backup_target
from migrate.state.proven import known_crosswalk, known_merged, proven_backups
from migrate.state.records import meta_rows
from migrate.vault.capture import read_capture
from migrate.vault.restore import restore_test


def rehearse(
    path: Path | str, *, home: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """The document of `migrate plan` with `rehearsal`: how the load into the copy went, and what the database refused.

    `exit_code` is that of the run it rehearsed. Raises GateClosed where the copy is not equal to the target."""
    mapping = load_mapping(path)
    with workplace(mapping, home) as place:
        trial = _backed_up_to(mapping, place / "vault")
        with opened(trial, home=place / "proof", progress=progress, hold=False) as (ctx, _):
            run_stage(ctx, STAGES[0])
            backup_target(ctx)
            with _proven_copy(ctx) as url:
                return _rehearsed(ctx, _aimed_at(trial, url), place / "run", home_of(mapping, home), progress)


def _backed_up_to(mapping: Mapping, vault: Path) -> Mapping:
    backup = mapping.policy.backup.model_copy(update={"to": str(vault)})
    return mapping.model_copy(update={"policy": mapping.policy.model_copy(update={"backup": backup})})


def _aimed_at(mapping: Mapping, url: str) -> Mapping:
    """The mapping with the copy as its target; restore tests stay where they are."""
    scratch = mapping.scratch.model_copy(update={"target": scratch_url(mapping, "target")[1]})
    target = mapping.target.model_copy(update={"url": url})
    return mapping.model_copy(update={"target": target, "scratch": scratch})


@contextmanager
def _proven_copy(ctx: Context) -> Iterator[str]:
    """The URL of a scratch database that holds what the target holds, value for value; gone afterwards."""
    backup = proven_backups(ctx)["target"]
    engine, server = scratch_url(ctx.mapping, "target")
    name = f"migrate_scratch_{secrets.token_hex(6)}"
    ctx.ledger.put_scratch(name, "target", ctx.run)
    folder = ctx.room("scratch")
    scratch = open_scratch(engine, server, folder=folder, name=name, run=ctx.run)
    failpoints.hit("rehearsal.scratch_created")
    try:
        taken = read_capture(ctx.folder / "target")
        failed = [
            v
            for v in restore_test(backup, scratch, trusted=True, violations=taken.violations)
            if not v.passed
        ]
        if failed:
            raise GateClosed(
                f"the copy of the target is not equal to it: {failed[0].check}. {failed[0].reason}".strip(),
                kept="Nothing was changed.",
                hint="Without a proven copy there is nothing to rehearse in; a run would stop here too.",
            )
        url = _inside(server, name) if engine in SERVERS else scratch.url
        scratch.close()  # the run that follows holds it as its target
        _seed(ctx, url)
        yield url
    finally:
        scratch.drop()
    ctx.ledger.remove_scratch(name)


def _inside(server: str | None, name: str) -> str:
    """The URL of database `name` on the server of another URL."""
    return urlsplit(server or "")._replace(path=f"/{name}").geturl()


def _seed(ctx: Context, url: str) -> None:
    """What earlier runs left in the target's own tables: who is known, and which runs there were."""
    crosswalk = known_crosswalk(ctx)
    if crosswalk is None:
        return
    copy = open_target(url, base=Path(ctx.mapping.base), work=ctx.home / "work")
    try:
        copy.create_tables(meta_tables(copy.meta))
        _put(copy, "crosswalk", pq.read_table(crosswalk))
        merged = known_merged(ctx)
        if merged is not None:
            _put(copy, "merged", pq.read_table(merged))
        for rows in meta_rows(ctx.target, "run"):
            _put(copy, "run", rows)
    finally:
        copy.close()


def _put(copy: Target, name: str, rows: pa.Table) -> None:
    table = meta_table(name, copy.meta)
    schema = arrow_schema(table.columns)
    transaction = copy.begin()
    try:
        transaction.insert(table, rows.select(schema.names).cast(schema), stop_after=0)
        transaction.commit()
    except BaseException:
        transaction.rollback()
        raise


def _rehearsed(
    proof: Context, mapping: Mapping, place: Path, home: Path, progress: Progress | None
) -> dict[str, Any]:
    with opened(mapping, home=place, progress=progress) as (ctx, _):
        pin_from(ctx, home)
        outcome = walk(ctx, False, STAGES)
        document = counted(ctx, [])
        document["rehearsal"] = _told(ctx, outcome, proof)
        document["exit_code"] = outcome.error.exit_code if outcome.error is not None else 0
        return document


def _told(ctx: Context, outcome: Outcome, proof: Context) -> dict[str, Any]:
    """How the load into the copy went. Triggers, views and functions of the target are not in the copy."""
    refused: Counter[tuple[str, str, str]] = Counter()
    for rows in meta_rows(ctx.target, "reject"):
        for row in rows.select(["entity", "code", "object"]).to_pylist():
            refused[row["entity"], row["code"], row["object"] or ""] += 1
    failed = [v for _, v in ctx.ledger.verdicts(ctx.run) if not v.passed]
    triggers = [
        f"{t.name}: {', '.join(t.triggers)}"
        for t in proof.target.schema(proof.plan.touched).tables
        if t.triggers
    ]
    return {
        "state": outcome.state,
        "rejected": [
            {"entity": entity, "code": code, "constraint": constraint, "rows": count}
            for (entity, code, constraint), count in sorted(refused.items())
        ],
        "failed": [asdict(v) for v in failed],
        "error": dict(outcome.error.as_json()) if outcome.error is not None else None,
        "not_rehearsed": triggers,
    }
