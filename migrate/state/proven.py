"""How later stages reach the backups of a run: by the checkpoint of the backup stage, from the vault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from migrate.context import Context
from migrate.durable import sha256_file
from migrate.errors import Corrupt, Drift, GateClosed
from migrate.vault.capture import Capture, Rows, captured_rows, read_capture
from migrate.vault.reader import Backup, open_backup

CROSSWALK = "crosswalk.parquet"
MERGED = "merged.parquet"


def proven_backups(ctx: Context) -> dict[str, Backup]:
    """`source:NAME` and `target` → the backup whose manifest the checkpoint names.

    Raises Corrupt where the vault holds another manifest than was written."""
    found = {}
    for done in ctx.ledger.checkpoints(ctx.run, "backup"):
        backup = open_backup(ctx.store, str(done.facts["backup"]))
        if backup.manifest_sha256 != done.facts["manifest_sha256"]:
            raise Corrupt(
                "the manifest in the vault is not the one this run wrote",
                where=backup.manifest.id,
                kept="Nothing was loaded.",
                hint="Run with --fresh to take the backup again.",
            )
        found[done.part] = backup
    if "target" not in found:
        raise GateClosed("there is no backup of the target", kept="Nothing was loaded.")
    return found


def extracted_parts(ctx: Context, source: str) -> tuple[Capture, dict[str, list[Path]]]:
    """What was extracted from a source, and the part files per table: in staging, or already in the vault."""
    folder = ctx.folder / "extract" / source
    taken = read_capture(folder)
    files: dict[str, list[Path]] = {}
    for name, parts in taken.parts.items():
        staged = [folder / p.path for p in parts]
        if not all(p.exists() for p in staged):
            backup, cache = proven_backups(ctx)[f"source:{source}"], ctx.room("cache")
            staged = [backup.part_file(p, cache) for p in backup.parts_by_table[name]]
        files[name] = staged
    return taken, files


def extracted_rows(ctx: Context, source: str) -> Rows:
    """What was extracted from a source, wherever it lies by now."""
    folder = ctx.folder / "extract" / source
    staged = captured_rows(folder)
    there = all((folder / part.path).exists() for parts in staged.parts.values() for part in parts)
    return staged if there else source_rows(ctx, source)


def source_rows(ctx: Context, source: str) -> Rows:
    """Without those that were erased by request (F31), which are no rows of the run then: a part has as many as are left."""
    backup = proven_backups(ctx)[f"source:{source}"]
    _same_erasures(ctx, source, backup)
    stored = {(p.table, p.index): p for p in backup.manifest.parts}
    left = {
        table: tuple(replace(p, rows=p.rows - backup.effects.rows_in(p)) for p in parts)
        for table, parts in backup.parts_by_table.items()
    }
    return Rows(backup.schema, left, lambda ref: backup.part(stored[ref.table, ref.index]))


def _same_erasures(ctx: Context, source: str, backup: Backup) -> None:
    """A run knows rows by their place in a part: what is left out of it must stay what it was when they were first read."""
    name, now = f"erased:{source}", backup.effects.mark
    then = ctx.ledger.run_facts(ctx.run).get(name)
    if then is None:
        ctx.ledger.put_run_facts(ctx.run, {name: now})
    elif then != now:
        raise Drift(
            f"rows of {source} were erased by request since this run read them",
            where=backup.manifest.id,
            kept="What was loaded stays, and can be undone.",
            hint=f"Start anew with --fresh; if rows were loaded already, `migrate rollback {ctx.run}` first.",
        )


def target_rows(ctx: Context) -> Rows:
    """With every row that the target had: it has them still, whatever a restore would leave out (F31)."""
    backup = proven_backups(ctx)["target"]
    return Rows(backup.schema, backup.parts_by_table, backup.raw)


def known_crosswalk(ctx: Context) -> Path | None:
    """`target/crosswalk.parquet`: what earlier runs loaded, as it stood in the snapshot of the target's backup.

    None where no run has loaded anything yet. Raises Corrupt where the file is not the one that was written."""
    return _as_read(ctx, CROSSWALK, "crosswalk_sha256")


def known_merged(ctx: Context) -> Path | None:
    """`target/merged.parquet`: which source rows earlier runs made part of the row of another one; else as the crosswalk."""
    return _as_read(ctx, MERGED, "merged_sha256")


def _as_read(ctx: Context, name: str, fact: str) -> Path | None:
    path = ctx.folder / "target" / name
    recorded = [c.facts.get(fact) for c in ctx.ledger.checkpoints(ctx.run, "backup") if c.part == "target"]
    found = sha256_file(path) if path.exists() else None
    if recorded and found != recorded[0]:  # a dry run has no backup to record it
        raise Corrupt(
            "the staged copy of what earlier runs loaded is not the one that was read",
            where=str(path),
            kept="The target and the backups are as they were.",
            hint="Run with --fresh to read it again; if rows were loaded already, roll the run back first.",
        )
    return path if found else None
