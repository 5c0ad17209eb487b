"""What the ledger knows of a vault that the vault shows nothing of by itself: that it is an older copy of itself.

A vault that was put back whole, manifests and all, is in itself as it once was. The ledger remembers the newest manifest
that its program wrote there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrate.api.places import find_home, ledger_of
from migrate.errors import GateClosed, MappingError, MigrateError, UsageError
from migrate.ledger.records import BackupRow
from migrate.mapping.load import load_mapping
from migrate.model import Verdict
from migrate.stores.protocol import Store
from migrate.stores.registry import open_store
from migrate.vault.layout import is_id
from migrate.vault.reader import BackupInfo, list_backups

CHECK = "vault"
HINT = (
    "Is it an older copy that was put back, or another vault in its place? Bring the newer one back before anything is "
    "written here. If what is missing is lost for good, make a new backup: it is then the newest."
)


def lacking(place: Store, infos: Sequence[BackupInfo], home: Path | None) -> list[BackupRow]:
    """Backups of this vault that the ledger knows and the vault does not have, newest first: those that are newer than the
    newest known one that is there, and than every other of their system that is. Older ones may have been pruned from elsewhere, of
    which this ledger does not hear; the newest of a system never is."""
    try:
        with ledger_of(home) as ledger:
            rows = ledger.backups()
    except UsageError:  # no ledger, which knows nothing
        return []
    here = {info.id for info in infos}
    # a vault keeps what it was called when the backup was made, also where it was moved since
    names = {place.location} | {row.vault for row in rows if row.vault and row.id in here}
    newest: dict[tuple[str, str, str], str] = {}  # whoever made them
    for info in infos:  # oldest first
        if info.manifest is not None:
            newest[info.manifest.mapping, info.manifest.system, info.manifest.role] = info.created_at
    missing: list[BackupRow] = []
    for row in rows:  # newest first
        if row.vault not in names or not is_id(row.id):
            continue
        if row.id in here:
            break
        if row.created_at > newest.get((row.mapping, row.system, row.role), ""):
            missing.append(row)
    return missing


def sentence(missing: Sequence[BackupRow]) -> str:
    count = f"{len(missing)} backup{'s' if len(missing) != 1 else ''}"
    newest = missing[0]
    which = "the newest" if len(missing) > 1 else "made"
    return f"This vault lacks {count} that this ledger knows, {which} of {newest.created_at[:19]} UTC ({newest.id})"


def verdict(missing: Sequence[BackupRow]) -> Verdict:
    """A failed one: what is checked here may be whole, and the vault is not what it was."""
    return Verdict(
        CHECK,
        False,
        "the newest backup that this ledger knows",
        "an older one",
        f"{sentence(missing)}. {HINT}",
        {"missing": [row.id for row in missing]},
    )


def vault_checks(mapping: Path | str | None, home: Path | None) -> list[dict[str, Any]]:
    """For `doctor`: the vault of a mapping, or that beside the ledger; nothing where no ledger knows of a backup."""
    try:
        root = find_home(home)
        with ledger_of(root) as ledger:
            if not ledger.backups():
                return []
        if mapping is None:
            to, base = "backups/", root.parent
        else:
            loaded = load_mapping(mapping)
            to, base = loaded.policy.backup.to, Path(loaded.base)
    except (UsageError, MappingError):  # no ledger yet; what is wrong with a mapping is said of its own
        return []
    try:
        place = open_store(to, base=base)
        gone = lacking(place, list_backups(place), root)
    except MigrateError as error:
        return [_checked(False, error.message, error.hint, error.exit_code)]
    if not gone:
        return [_checked(True, f"{place.location}: the newest backup that the ledger knows is there", "", 0)]
    return [_checked(False, f"{place.location}. {sentence(gone)}", HINT, GateClosed.exit_code)]


def _checked(passed: bool, found: str, hint: str, code: int) -> dict[str, Any]:
    said = {"check": CHECK, "passed": passed, "found": found, "hint": hint}
    return said if passed else {**said, "exit_code": code}
