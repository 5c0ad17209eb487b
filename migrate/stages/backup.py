"""Backup: the extracted bytes of every source, and the touched target tables, go to the vault; manifest last."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from migrate import __version__, canon, failpoints
from migrate.connectors.protocol import Database
from migrate.context import Context
from migrate.durable import sha256_file
from migrate.errors import Drift, GateClosed
from migrate.ledger.receipts import meta_table
from migrate.model import Manifest, Schema, Table
from migrate.parts import stream_rows
from migrate.planning import digest_of, schema_digest, what_changed
from migrate.retry import retried
from migrate.stages.result import Result
from migrate.state.created import tables_there, without
from migrate.state.identity import in_names_of
from migrate.state.proven import CROSSWALK, MERGED
from migrate.vault.capture import Capture, capture, read_capture
from migrate.vault.native import described
from migrate.vault.reader import open_backup
from migrate.vault.writer import write_backup

NAME = "backup"


def run(ctx: Context) -> Result:
    rows, resumed = 0, True
    for source in ctx.plan.source_tables:
        part = f"source:{source}"
        if ctx.ledger.checkpoint(ctx.run, NAME, part, ctx.plan.digest) is None:
            resumed = False
            folder = ctx.folder / "extract" / source
            taken = read_capture(folder)
            system, database = ctx.mapping.sources[source].system, ctx.sources[source]
            _store(ctx, part, "source", system, database, taken, folder, tuple(taken.parts))
            rows += taken.rows
        else:
            _drop_staged(ctx.folder / "extract" / source)
    if ctx.ledger.checkpoint(ctx.run, NAME, "target", ctx.plan.digest) is None:
        resumed = False
        rows += backup_target(ctx)
    else:
        _drop_staged(ctx.folder / "target")
    return Result(rows=None if resumed else rows, resumed=resumed)


def backup_target(ctx: Context) -> int:
    """The touched tables of the target into the vault; how many rows."""
    taken = retried(partial(capture_target, ctx), note=ctx.progress.note)
    failpoints.hit("backup.target.captured")
    touched = [name for name in ctx.plan.touched if name in taken.parts]  # the others are yet to be created
    _store(ctx, "target", "target", "target", ctx.target, taken, ctx.folder / "target", touched)
    return sum(p.rows for name in touched for p in taken.parts[name])


def capture_target(ctx: Context) -> Capture:
    """The touched tables and, in the same snapshot, our own crosswalk and what was merged, as earlier runs left them. Tables that this run is
    to create are not there, and there is nothing of them to back up."""
    folder = ctx.room("target")
    ours = {"crosswalk": CROSSWALK, "merged": MERGED}
    touched = tables_there(ctx)
    declared = without(ctx.target.schema(ctx.plan.touched), ctx.plan.creates)
    if schema_digest(declared) != ctx.plan.target_schema:
        raise Drift(
            "the target's tables are no longer as they were planned: "
            + what_changed(ctx.plan, "target", declared),
            where=ctx.target.url,
            kept="Nothing was loaded.",
            hint="Run again with --fresh to plan anew.",
        )
    there = ctx.target.schema([ctx.target.meta(name) for name in ours]).table_names
    return capture(
        ctx.target,
        touched,
        folder,
        advance=ctx.progress.advance,
        point="backup.target",
        workers=ctx.workers,
        note=ctx.progress.note,
        beside={
            ctx.target.meta(name): partial(_keep_ours, ctx, name, folder / file)
            for name, file in ours.items()
            if ctx.target.meta(name) in there
        },
    )


def _keep_ours(ctx: Context, name: str, path: Path, stored: Table, batches: Iterator[pa.RecordBatch]) -> None:
    """What earlier runs loaded, as transform and load look it up, under the names that the mapping has now."""
    declared = meta_table(name, ctx.target.meta)
    rows = (ctx.target.as_declared(pa.Table.from_batches([b]), stored, declared) for b in batches)
    stream_rows((in_names_of(ctx.mapping, r) for r in rows), path, point=f"backup.{name}")


def _store(
    ctx: Context,
    part: str,
    role: str,
    system: str,
    database: Database,
    taken: Capture,
    folder: Path,
    tables: Sequence[str],
) -> None:
    """Into the vault, then the ledger, then the staged copies go."""
    schema = Schema(
        engine=database.engine,
        version=taken.schema.version,
        tables=tuple(t for t in taken.schema.tables if t.name in tables),
        sequences=taken.schema.sequences,
        enums=taken.schema.enums,
        extensions=taken.schema.extensions,
        not_carried=taken.schema.not_carried,
    )
    stamp = datetime.now(UTC)
    parts = [p for name in tables for p in taken.parts[name]]
    manifest = Manifest(
        # The same capture gives the same id, so that a run killed here finds its own backup again.
        id=f"{ctx.run}-{part.replace(':', '-')}-{digest_of([taken.snapshot, taken.taken_at])[:8]}",
        role=role,
        run=ctx.run,
        system=system,
        engine=database.engine,
        snapshot=taken.snapshot,
        snapshot_at=taken.taken_at,
        created_at=stamp.isoformat(timespec="microseconds"),
        mapping=ctx.mapping.name,
        mapping_digest=ctx.mapping.digest,
        schema_digest="",
        algorithm=canon.ALGORITHM,
        parts=tuple(parts),
        digests={name: taken.digests[name] for name in tables},
        files=taken.files,
        code_version=__version__,
        audit_head=ctx.ledger.audit_head(),
        violations=taken.violations,
    )
    written = write_backup(
        ctx.store,
        manifest=manifest,
        schema=schema,
        parts=[(p, folder / p.path) for p in parts],
        files=taken.files,
        native=described(database, tables, folder),
    )
    sha256 = open_backup(ctx.store, written.id).manifest_sha256
    if len(written.parts) != len(parts):
        raise GateClosed("the backup does not hold every part", where=written.id, kept="Nothing was loaded.")
    failpoints.hit("backup.manifest_written")
    ctx.ledger.put_backup(written, sha256, vault=ctx.store.location)
    kept = {"crosswalk_sha256": folder / CROSSWALK, "merged_sha256": folder / MERGED}
    ctx.ledger.put_checkpoint(
        ctx.run,
        NAME,
        part,
        ctx.plan.digest,
        [],
        {
            "backup": written.id,
            "manifest_sha256": sha256,
            "role": role,
            **{fact: sha256_file(path) if path.exists() else None for fact, path in kept.items()},
        },
    )
    failpoints.hit("backup.checkpointed")
    _drop_staged(folder)


def _drop_staged(folder: Path) -> None:
    """Raw rows are in the vault now; only the description of the capture stays."""
    for child in folder.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
            failpoints.hit("backup.staged_dropped")
