"""Which vault is meant, and the proof of one backup in it."""

from __future__ import annotations

from pathlib import Path

from migrate.api.places import find_home
from migrate.api.scratch_places import scratch_for
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


def prove(place: Store, name: str, scratch: str | None, *, known: str, home: Path | None) -> list[Verdict]:
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
        restored = _restored_in_scratch(backup, scratch, home, trusted=known == backup.manifest_sha256)
        # L0 and L1 come first in a restore test too; once is enough
        found += [v for v in restored if not (v.passed and v.check.startswith(("L0", "L1")))]
    put_verdicts(place, backup, found)
    return found


def _restored_in_scratch(
    backup: Backup, url: str | None, home: Path | None, *, trusted: bool
) -> list[Verdict]:
    """`trusted`: this ledger wrote the manifest, so that its SQL expressions may run (F26)."""
    with scratch_for(backup, url, home, run="backup check") as scratch:
        return restore_test(backup, scratch, trusted=trusted)
