"""Extract: every source table inside one consistent snapshot per source, as Parquet parts with digests.

An unfinished extract goes on under a new snapshot, which keeps those pieces of large tables that are still the same; a
finished one is never redone, and once the backup's manifest exists the source is never read again (F16).
"""

from __future__ import annotations

from functools import partial

from migrate import failpoints
from migrate.context import Context
from migrate.durable import sha256_file
from migrate.errors import Drift
from migrate.ledger.records import Output
from migrate.model import PartRef
from migrate.planning import schema_digest, what_changed
from migrate.retry import retried
from migrate.stages.result import Result
from migrate.vault.capture import Capture, capture, read_capture

NAME = "extract"


def run(ctx: Context) -> Result:
    rows, resumed = 0, True
    for source, tables in ctx.plan.source_tables.items():
        taken = finished(ctx, source)
        if taken is None:
            resumed = False
            taken = retried(partial(_extract, ctx, source, tables), note=ctx.progress.note)
        rows += taken.rows
    return Result(rows=rows, resumed=resumed)


def finished(ctx: Context, source: str) -> Capture | None:
    """The extract of a source, if it is whole or already in the vault."""
    folder = ctx.folder / "extract" / source
    if ctx.ledger.checkpoint(ctx.run, "backup", f"source:{source}", ctx.plan.digest) is not None:
        return read_capture(folder)
    if ctx.ledger.checkpoint(ctx.run, NAME, source, ctx.plan.digest) is not None:
        return read_capture(folder)
    return None


def _extract(ctx: Context, source: str, tables: tuple[str, ...]) -> Capture:
    database = ctx.sources[source]
    declared = database.schema(tables)
    if schema_digest(declared) != ctx.plan.source_schemas[source]:
        raise Drift(
            "the source's tables are no longer as they were planned: "
            + what_changed(ctx.plan, f"source:{source}", declared),
            where=database.url,
            kept="Nothing was loaded.",
            hint="Run again with --fresh to plan anew.",
        )
    taken = capture(
        database,
        tables,
        ctx.place("extract", source),
        advance=ctx.progress.advance,
        point="extract",
        workers=ctx.workers,
        note=ctx.progress.note,
    )
    failpoints.hit("extract.captured")
    for table in taken.schema.tables if database.engine == "files" else ():
        for left_out in table.not_carried:
            ctx.progress.note(f"{table.name}: without {left_out}")
    ctx.ledger.put_checkpoint(
        ctx.run,
        NAME,
        source,
        ctx.plan.digest,
        outputs(ctx, f"extract/{source}", taken.outputs),
        {"rows": taken.rows, "snapshot": taken.snapshot, "taken_at": taken.taken_at},
    )
    failpoints.hit("extract.checkpointed")
    return taken


def outputs(ctx: Context, folder: str, parts: list[PartRef]) -> list[Output]:
    """The files of a capture as the ledger remembers them."""
    index = ctx.folder / folder / "capture.json"
    return [Output(f"{folder}/{p.path}", p.sha256, p.bytes) for p in parts] + [
        Output(f"{folder}/capture.json", sha256_file(index), index.stat().st_size)
    ]
