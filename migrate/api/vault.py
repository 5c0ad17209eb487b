"""The vault, written: backups made with no migration, and old ones taken away."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from migrate.api.places import home_to_be
from migrate.api.proofs import place_of, prove
from migrate.connectors.registry import engine_of, open_source
from migrate.context import Progress, Silent
from migrate.durable import make_private_folder
from migrate.errors import Unreachable, UsageError
from migrate.ledger.ledger import Ledger
from migrate.vault import prune as pruning
from migrate.vault.create import create
from migrate.vault.reader import open_backup

_SQLITE = (".db", ".sqlite", ".sqlite3")


def backup_create(
    what: str,
    *,
    tables: Sequence[str] = (),
    system: str | None = None,
    scratch: str | None = None,
    prove_it: bool = True,
    store: str | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """A backup of the database at a URL, of a SQLite file or of a folder of files; proven by a restore where it can be.

    `scratch`: a server where the restored copy may be made and dropped; SQLite and files need none. `system`: what the
    backup is called after, by default the database's name. `proven` is None where that was not wanted.
    Raises UsageError where a server's backup has no `scratch`, what stops the backup; a proof that fails is in the answer (`proven` False)."""
    told = progress or Silent()
    url = _url(what)
    engine = engine_of(url)
    if prove_it and scratch is None and engine not in ("sqlite", "files"):
        raise UsageError(
            f"a backup of {engine} is proven on a server of its own kind, and none was named",
            kept="Nothing was read.",
            hint=f"Give --scratch {engine}://…, where a database may be made and dropped; or --no-prove, and prove it later.",
        )
    place = place_of(store, home)
    root = make_private_folder(home_to_be(home))
    with tempfile.TemporaryDirectory(prefix="create-", dir=make_private_folder(root / "work")) as name:
        told.stage("backup", None)
        database = open_source(url, base=Path.cwd(), work=Path(name))
        try:
            made = create(
                database,
                place,
                system=_safe(system or _called(url)),
                tables=tables,
                folder=Path(name),
                advance=told.advance,
            )
        finally:
            database.close()
    backup = open_backup(place, made.id)
    with Ledger.open(root / "ledger.db") as ledger:
        ledger.put_backup(made, backup.manifest_sha256)
        ledger.audit("backup created", "", {"backup": made.id})
    answer = {
        "backup": made.id,
        "store": place.location,
        "system": made.system,
        "engine": made.engine,
        "snapshot_at": made.snapshot_at,
        "tables": list(backup.schema.table_names),
        "rows": sum(p.rows for p in made.parts),
        "bytes": sum(p.bytes for p in made.parts) + sum(f.bytes for f in made.files),
        "not_carried": [
            *backup.schema.not_carried,
            *(f"{t.name}: {note}" for t in backup.schema.tables for note in t.not_carried),
        ],
    }
    needs = engine_of(url) not in ("sqlite", "files")
    if not prove_it or (needs and scratch is None):
        why = (
            "it was not asked for" if not prove_it else f"no --scratch was given, and {made.engine} needs one"
        )
        return {**answer, "proven": None, "unproven": why, "verdicts": []}
    told.stage("restore-test", None)
    found = prove(place, made.id, scratch, known=backup.manifest_sha256, home=home)
    return {
        **answer,
        "proven": all(v.passed for v in found),
        "verdicts": [asdict(v) for v in found],
    }


def backup_prune(
    *, keep: int, really: bool = False, store: str | None = None, home: Path | None = None
) -> dict[str, Any]:
    """What would go, or went (`really`): all but the newest `keep` backups of each mapping, system and role, never the last
    proven one. Raises UsageError for keep < 1, Corrupt where a manifest cannot be read."""
    place = place_of(store, home)
    done = pruning.prune(place, keep=keep, dry_run=not really)
    if really:
        _forget(done.backups, home)
    return {
        "removed": list(done.backups),
        "kept": [{"backup": id_, "why": why} for id_, why in done.kept],
        "objects": len(done.objects),
        "bytes": done.bytes,
        "dry_run": done.dry_run,
    }


def _forget(gone: Sequence[str], home: Path | None) -> None:
    path = home_to_be(home) / "ledger.db"
    if path.is_file():
        with Ledger.open(path) as ledger:
            for id_ in gone:
                ledger.remove_backup(id_)
            ledger.audit("backups pruned", "", {"backups": list(gone)})


def _url(what: str) -> str:
    path = Path(what).expanduser()
    if ":" in what and not path.exists():
        return what
    if path.is_dir():
        return f"files:{path.absolute()}"
    if path.suffix.lower() in _SQLITE and path.is_file():
        return f"sqlite:///{path.absolute()}"
    if path.is_file():
        raise UsageError(
            "a backup is of a database or of a folder of files",
            where=what,
            hint="Give a URL, a SQLite file, or the folder that the file is in.",
        )
    raise Unreachable("there is no such file or folder", where=what)


def _called(url: str) -> str:
    """The database's name, as its URL says it; never user or password."""
    name = re.split(r"[?#]", url)[0].rstrip("/").rpartition("/")[2]
    return name if "@" not in name and ":" not in name else engine_of(url)


def _safe(name: str) -> str:
    for ending in _SQLITE:
        name = name.removesuffix(ending)
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")[:60] or "database"
