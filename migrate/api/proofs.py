"""Which vault is meant, which backup in it, and the proof of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from migrate.api.lacking import HINT, lacking, sentence
from migrate.api.places import find_home, ledger_of
from migrate.api.scratch_places import scratch_for
from migrate.errors import Corrupt, UsageError
from migrate.model import Verdict
from migrate.stores.protocol import Store
from migrate.stores.registry import open_store
from migrate.vault.check import HIGHEST, check_backup
from migrate.vault.keyed import with_keys
from migrate.vault.keys import Keys, keys_from, keys_of_environment
from migrate.vault.reader import Backup, list_backups, open_backup
from migrate.vault.restore import restore_test
from migrate.vault.verdicts import PROVEN, put_verdicts


def backup_keys(
    *,
    recipients: Sequence[str] = (),
    identity: str | None = None,
    signing_key: str | None = None,
    trusted: Sequence[str] = (),
    require_signature: bool = False,
    erasure_secret: str | None = None,
) -> Keys:
    """The keys of a vault: those given, and where nothing is given, those that the environment names (MIGRATE_BACKUP_…).

    `recipients` and `trusted` are public keys or files of them; `identity`, `signing_key` and `erasure_secret` say where a secret lies: a
    file, or keyring:SERVICE/NAME. Raises Unreachable where it is not there, UsageError where it is no key."""
    given = keys_from(
        recipients=recipients,
        identity=identity,
        signing=signing_key,
        trusted=trusted,
        require_signature=require_signature,
        erasure=erasure_secret,
        base=Path.cwd(),
    )
    return given.over(keys_of_environment())


def place_of(store: str | None, home: Path | None, keys: Keys | None = None) -> Store:
    """The vault named, or `backups/` beside the `.migrate` folder, or below the current one; with these keys, or those of
    the environment."""
    keys = keys if keys is not None else keys_of_environment()
    if store is not None:
        return with_keys(open_store(store, base=Path.cwd()), keys)
    try:
        base = find_home(home).parent
    except UsageError:
        base = Path.cwd()
    return with_keys(open_store("backups/", base=base), keys)


def named(place: Store, given: str, home: Path | None = None) -> str:
    """A backup by its id, by the beginning of it, or `latest`. Raises UsageError, which says so where the ledger knows of
    backups that the vault lacks."""
    infos = list_backups(place)
    names = [i.id for i in infos]
    if given == "latest" and names:
        whole = [i for i in infos if i.manifest is None or i.manifest.role != "archive"]
        return max(whole or infos, key=lambda i: i.created_at).id
    found = [n for n in names if n == given] or [n for n in names if n.startswith(given)]
    if len(found) == 1:
        return found[0]
    gone = [] if found else lacking(place, infos, home)
    raise UsageError(
        f"{'no backup is' if not found else f'{len(found)} backups are'} named {given}",
        where=place.location,
        hint=f"{sentence(gone)}. {HINT}" if gone else "`migrate backup list` lists them.",
    )


def on_record(id_: str, home: Path | None) -> str:
    """What the ledger remembers of the manifest's SHA-256; "" where there is no ledger or it does not know it."""
    try:
        with ledger_of(home) as ledger:
            return next((b.manifest_sha256 for b in ledger.backups() if b.id == id_), "")
    except UsageError:
        return ""


def prove(place: Store, name: str, scratch: str | None, *, known: str, home: Path | None) -> list[Verdict]:
    """All levels of one backup, the verdicts kept beside it. `known`: what a ledger remembers of its manifest's SHA-256,
    "" where none does; only then, or where a trusted key signed it, its SQL expressions may run."""
    found = check_backup(place, name, HIGHEST, known_sha256=known)
    try:
        backup = open_backup(place, name)
    except Corrupt:  # what L0 said already; there is nothing to keep verdicts beside
        return found
    failed = [v.check for v in found if not v.passed]
    if failed:  # a backup that was proven once is so no longer
        found.append(Verdict(PROVEN, False, "restored and equal", "not restored", ", ".join(failed)))
    else:
        trusted = known == backup.manifest_sha256 or bool(backup.signed_by)
        restored = _restored_in_scratch(backup, scratch, home, trusted=trusted)
        # L0 and L1 come first in a restore test too; once is enough
        found += [v for v in restored if not (v.passed and v.check.startswith(("L0", "L1")))]
    put_verdicts(place, backup, found)
    return found


def _restored_in_scratch(
    backup: Backup, url: str | None, home: Path | None, *, trusted: bool
) -> list[Verdict]:
    """`trusted`: this ledger wrote the manifest, or a trusted key signed it, so that its SQL expressions may run (F26)."""
    with scratch_for(backup, url, home, run="backup check") as scratch:
        return restore_test(backup, scratch, trusted=trusted)
