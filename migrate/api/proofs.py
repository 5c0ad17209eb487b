"""Which vault is meant, and the proof of one backup in it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from migrate.api.places import find_home
from migrate.connectors.registry import drop_scratch, engine_of, open_scratch
from migrate.errors import Corrupt, UsageError
from migrate.model import Verdict
from migrate.stores.protocol import Store
from migrate.stores.registry import open_store
from migrate.vault.check import HIGHEST, check_backup
from migrate.vault.reader import Backup, open_backup
from migrate.vault.restore import restore_test
from migrate.vault.verdicts import PROVEN, put_verdicts


def place_of(store: str | None, home: Path | None) -> Store:
    """The vault named, or `backups/` beside the `.migrate` folder, or below the current one."""
    if store is not None:
        return open_store(store, base=Path.cwd())
    try:
        base = find_home(home).parent
    except UsageError:
        base = Path.cwd()
    return open_store("backups/", base=base)


def prove(place: Store, name: str, scratch: str | None, *, known: str) -> list[Verdict]:
    """All levels of one backup, the verdicts kept beside it. `known`: what a ledger remembers of its manifest's SHA-256,
    "" where none does; only then its SQL expressions may run."""
    found = check_backup(place, name, HIGHEST, known_sha256=known)
    try:
        backup = open_backup(place, name)
    except Corrupt:  # what L0 said already; there is nothing to keep verdicts beside
        return found
    failed = [v.check for v in found if not v.passed]
    if failed:  # a backup that was proven once is so no longer
        found.append(Verdict(PROVEN, False, "restored and equal", "not restored", ", ".join(failed)))
    else:
        restored = _restored_in_scratch(backup, scratch, trusted=known == backup.manifest_sha256)
        # L0 and L1 come first in a restore test too; once is enough
        found += [v for v in restored if not (v.passed and v.check.startswith(("L0", "L1")))]
    put_verdicts(place, backup, found)
    return found


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
