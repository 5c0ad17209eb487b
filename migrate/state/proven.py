"""How later stages reach the backups of a run: by the checkpoint of the backup stage, from the vault."""

from __future__ import annotations

from pathlib import Path

from migrate.context import Context
from migrate.errors import Corrupt, GateClosed
from migrate.vault.capture import Capture, Rows, read_capture
from migrate.vault.reader import Backup, open_backup


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


def source_rows(ctx: Context, source: str) -> Rows:
    return _rows(ctx, proven_backups(ctx)[f"source:{source}"])


def target_rows(ctx: Context) -> Rows:
    return _rows(ctx, proven_backups(ctx)["target"])


def _rows(ctx: Context, backup: Backup) -> Rows:
    return Rows(backup.schema, backup.parts_by_table, backup.part)
