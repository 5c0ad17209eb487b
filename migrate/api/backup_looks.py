"""The vault: list, show, check."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from migrate.api.lacking import HINT, lacking, sentence, verdict
from migrate.api.proofs import named, on_record, place_of, prove
from migrate.errors import Corrupt
from migrate.vault.check import HIGHEST, check_backup
from migrate.vault.keyed import keys_of
from migrate.vault.keys import Keys
from migrate.vault.native import ddl_of
from migrate.vault.reader import Backup, list_backups, open_backup
from migrate.vault.verdicts import is_proven, verdicts


def backups(
    *, store: str | None = None, home: Path | None = None, keys: Keys | None = None
) -> list[dict[str, Any]]:
    """Newest first, by recorded time; behind them those that are newer than all of these by the ledger, and not there
    (`missing`). `keys` here and below: `backup_keys`, by default those of the environment."""
    place = place_of(store, home, keys)
    found: list[dict[str, Any]] = []
    infos = list_backups(place)
    for info in infos:
        manifest = info.manifest
        if manifest is None:
            found.append({"id": info.id, "problem": info.problem})
            continue
        try:
            backup = open_backup(place, info.id)
        except Corrupt as error:
            found.append({"id": info.id, "problem": str(error)})
            continue
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
                "encrypted": manifest.seal is not None,
                "signed_by": backup.signed_by,
                "proven": is_proven(place, info.id, backup.manifest_sha256),
            }
        )
    gone = lacking(place, infos, home)
    return [
        *sorted(found, key=lambda b: str(b.get("created_at", "")), reverse=True),
        *({"id": row.id, "missing": True, "problem": sentence(gone), "hint": HINT} for row in gone),
    ]


def backup_show(
    id: str, *, store: str | None = None, home: Path | None = None, keys: Keys | None = None
) -> dict[str, Any]:
    """Manifest, tables, what is not carried, and every verdict so far. Of an encrypted backup that does not open here
    the columns and what is not carried are unknown, and `locked` says why."""
    place = place_of(store, home, keys)
    backup = open_backup(place, named(place, id, home))
    manifest = asdict(replace(backup.manifest, parts=(), files=()))
    for name in ("parts", "files"):
        del manifest[name]
    return {
        **manifest,
        "manifest_sha256": backup.manifest_sha256,
        "signed_by": backup.signed_by,
        **(_contents(backup) if backup.typed is not None else _outside(backup)),
        "verdicts": [
            {
                "at": s.at,
                "signed_by": s.signer(keys_of(place)),
                **{k: v for k, v in asdict(s.verdict).items() if k != "evidence"},
                "table": s.verdict.evidence.get("table", ""),
            }
            for s in verdicts(place, backup.manifest.id)
        ],
    }


def backup_ddl(
    id: str, *, store: str | None = None, home: Path | None = None, keys: Keys | None = None
) -> str:
    """The DDL text that the engine's own program wrote when the backup was made (`native` of `backup_show` says which).

    Raises UsageError where the backup keeps none, Corrupt where it is damaged, Locked (GateClosed) where it is encrypted
    and does not open here."""
    place = place_of(store, home, keys)
    return ddl_of(open_backup(place, named(place, id, home)))


def _contents(backup: Backup) -> dict[str, Any]:
    return {
        "tables": [
            {
                "table": t.name,
                "rows": backup.rows_stored(t.name),
                "parts": len(backup.parts_by_table[t.name]),
                "columns": len(t.columns),
                "not_carried": list(t.not_carried),
            }
            for t in backup.schema.tables
        ],
        "not_carried": list(backup.schema.not_carried),
    }


def _outside(backup: Backup) -> dict[str, Any]:
    """What an encrypted backup says without a key."""
    parts = backup.manifest.parts
    return {
        "locked": str(backup.locked),
        "tables": [
            {
                "table": name,
                "rows": sum(p.rows for p in parts if p.table == name),
                "parts": sum(p.table == name for p in parts),
            }
            for name in backup.manifest.digests
        ],
    }


def backup_check(
    id: str,
    *,
    level: int = 3,
    scratch: str | None = None,
    store: str | None = None,
    home: Path | None = None,
    keys: Keys | None = None,
) -> list[dict[str, Any]]:
    """Levels L0 to `level`; 4 and 5 restore the backup into a scratch database, compare every value, drop it,
    and keep the verdicts beside the manifest. A failed verdict `vault` says that the vault lacks newer backups that the
    ledger knows.

    `scratch`: a server of the backup's engine where databases may be made; SQLite and files need none.
    From 3 on the rows of an encrypted backup are read, which needs an identity of a recipient.
    Raises UsageError where a server's backup has none, Unreachable where the scratch cannot be made, Locked (GateClosed)
    where the identity is missing or another one."""
    place = place_of(store, home, keys)
    name = named(place, id, home)
    known = on_record(name, home)
    if level <= HIGHEST:
        found = check_backup(place, name, level, known_sha256=known)
    else:
        found = prove(place, name, scratch, known=known, home=home)
    gone = lacking(place, list_backups(place), home)
    return [asdict(v) for v in (*found, *([verdict(gone)] if gone else ()))]
