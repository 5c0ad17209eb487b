"""The vault: list, show, check, restore."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from migrate.api.places import find_home, ledger_of
from migrate.connectors.registry import drop_scratch, engine_of, open_restore_place, open_scratch
from migrate.errors import Corrupt, UsageError
from migrate.model import Verdict
from migrate.stores.protocol import Store
from migrate.stores.registry import open_store
from migrate.vault.check import HIGHEST, check_backup
from migrate.vault.reader import Backup, list_backups, open_backup
from migrate.vault.restore import restore_test
from migrate.vault.verdicts import PROVEN, is_proven, put_verdicts, verdicts


def _store(store: str | None, home: Path | None) -> Store:
    """The vault named, or `backups/` beside the `.migrate` folder, or below the current one."""
    if store is not None:
        return open_store(store, base=Path.cwd())
    try:
        base = find_home(home).parent
    except UsageError:
        base = Path.cwd()
    return open_store("backups/", base=base)


def backups(*, store: str | None = None, home: Path | None = None) -> list[dict[str, Any]]:
    """Newest first, by recorded time."""
    place = _store(store, home)
    found: list[dict[str, Any]] = []
    for info in list_backups(place):
        manifest = info.manifest
        if manifest is None:
            found.append({"id": info.id, "problem": info.problem})
            continue
        sha256 = open_backup(place, info.id).manifest_sha256
        found.append(
            {
                "id": info.id,
                "role": manifest.role,
                "system": manifest.system,
                "engine": manifest.engine,
                "created_at": manifest.created_at,
                "snapshot_at": manifest.snapshot_at,
                "run": manifest.run,
                "tables": len(manifest.digests),
                "rows": sum(p.rows for p in manifest.parts),
                "bytes": sum(p.bytes for p in manifest.parts) + sum(f.bytes for f in manifest.files),
                "proven": is_proven(place, info.id, sha256),
            }
        )
    return sorted(found, key=lambda b: str(b.get("created_at", "")), reverse=True)


def _named(place: Store, given: str) -> str:
    infos = list_backups(place)
    names = [i.id for i in infos]
    if given == "latest" and names:
        return max(infos, key=lambda i: i.created_at).id
    found = [n for n in names if n == given] or [n for n in names if n.startswith(given)]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{'no backup is' if not found else f'{len(found)} backups are'} named {given}",
        hint="`migrate backup list` lists them.",
    )


def backup_show(id: str, *, store: str | None = None, home: Path | None = None) -> dict[str, Any]:
    """Manifest, tables, what is not carried, and every verdict so far."""
    place = _store(store, home)
    backup = open_backup(place, _named(place, id))
    manifest = asdict(replace(backup.manifest, parts=(), files=()))
    for name in ("parts", "files"):
        del manifest[name]
    return {
        **manifest,
        "manifest_sha256": backup.manifest_sha256,
        "tables": [
            {
                "table": t.name,
                "rows": backup.rows(t.name),
                "parts": len(backup.parts_by_table[t.name]),
                "columns": len(t.columns),
                "not_carried": list(t.not_carried),
            }
            for t in backup.schema.tables
        ],
        "not_carried": list(backup.schema.not_carried),
        "verdicts": [
            {"at": s.at, **{k: v for k, v in asdict(s.verdict).items() if k != "evidence"}}
            for s in verdicts(place, backup.manifest.id)
        ],
    }


def backup_check(
    id: str,
    *,
    level: int = 3,
    scratch: str | None = None,
    store: str | None = None,
    home: Path | None = None,
) -> list[dict[str, Any]]:
    """Levels L0 to `level`; 4 and 5 restore the backup into a scratch database, compare every value, drop it,
    and keep the verdicts beside the manifest.

    `scratch`: a server of the backup's engine where databases may be made; SQLite and files need none.
    Raises UsageError where a server's backup has none, Unreachable where the scratch cannot be made."""
    place = _store(store, home)
    name = _named(place, id)
    known = _on_record(name, home)
    found = check_backup(place, name, min(level, HIGHEST), known_sha256=known)
    if level <= HIGHEST:
        return [asdict(v) for v in found]
    try:
        backup = open_backup(place, name)
    except Corrupt:  # what L0 said already; there is nothing to keep verdicts beside
        return [asdict(v) for v in found]
    failed = [v.check for v in found if not v.passed]
    if failed:  # a backup that was proven once is so no longer
        found.append(Verdict(PROVEN, False, "restored and equal", "not restored", ", ".join(failed)))
    else:
        restored = _restored_in_scratch(backup, scratch, trusted=known == backup.manifest_sha256)
        # L0 and L1 come first in a restore test too; once is enough
        found += [v for v in restored if not (v.passed and v.check.startswith(("L0", "L1")))]
    put_verdicts(place, backup, found)
    return [asdict(v) for v in found]


def _on_record(id_: str, home: Path | None) -> str:
    """What the ledger remembers of the manifest's SHA-256; "" where there is no ledger or it does not know it."""
    try:
        with ledger_of(home) as ledger:
            return next((b.manifest_sha256 for b in ledger.backups() if b.id == id_), "")
    except UsageError:
        return ""


def _restored_in_scratch(backup: Backup, url: str | None, *, trusted: bool) -> list[Verdict]:
    """`trusted`: this ledger wrote the manifest, so that its SQL expressions may run (F26)."""
    engine = backup.manifest.engine
    needed = "sqlite" if engine == "files" else engine
    if url is None and needed != "sqlite":
        raise UsageError(
            f"a backup of {engine} is restored on a server of its own kind, and none was named",
            where=backup.manifest.id,
            kept="Nothing was changed.",
            hint=f"Give --scratch {engine}://…, a server where a database may be made and dropped.",
        )
    if url is not None and engine_of(url) != needed:
        raise UsageError(
            f"a backup of {engine} is not restored in {engine_of(url)}", where=backup.manifest.id
        )
    # The same name for the same backup: what a killed check left is found by the next one, and dropped.
    name = f"migrate_check_{hashlib.sha256(backup.manifest.id.encode()).hexdigest()[:12]}"
    with tempfile.TemporaryDirectory(prefix="migrate-check-") as folder:
        drop_scratch(engine, url, folder=Path(folder), name=name)
        scratch = open_scratch(engine, url, folder=Path(folder), name=name, run="backup check")
        try:
            return restore_test(backup, scratch, trusted=trusted)
        finally:
            scratch.drop()


def backup_restore(
    id: str,
    into: str,
    *,
    tables: Sequence[str] = (),
    store: str | None = None,
    home: Path | None = None,
) -> dict[str, Any]:
    """Restore into an empty database and compare every value. Raises UsageError where it is not empty (P27)."""
    place = _store(store, home)
    backup = _chosen(open_backup(place, _named(place, id)), tables)
    database = open_restore_place(into, base=Path.cwd())
    try:
        found = restore_test(backup, database, trusted=True)
    finally:
        database.close()
    return {
        "backup": backup.manifest.id,
        "into": database.url,
        "tables": list(backup.schema.table_names),
        "rows": sum(p.rows for p in backup.manifest.parts),
        "passed": all(v.passed for v in found),
        "verdicts": [asdict(v) for v in found],
    }


def _chosen(backup: Backup, tables: Sequence[str]) -> Backup:
    if not tables:
        return backup
    missing = [t for t in tables if t not in backup.schema.table_names]
    if missing:
        raise UsageError(
            f"the backup has no table {', '.join(missing)}",
            hint=f"It has: {', '.join(backup.schema.table_names)}.",
        )
    raise UsageError(
        "restoring single tables is not built yet in this version", hint="Restore the whole backup."
    )
