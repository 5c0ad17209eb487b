"""The dossier of a run: one file for those who own the data, and its check without anything else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from migrate import api
from migrate.api.places import ledger_of, run_id
from migrate.dossier.archive import write_archive
from migrate.dossier.build import Run, dossier_files
from migrate.dossier.check import check_dossier, check_files
from migrate.dossier.layout import DOSSIER, SIGNATURE
from migrate.errors import Unreachable, UsageError
from migrate.opening import mapping_of, vault_of
from migrate.vault import strict_json
from migrate.vault.keyed import check_ready, keys_of
from migrate.vault.keys import Keys, keys_of_environment
from migrate.vault.signature import check_keys


def dossier(run: str, file: Path | str, *, home: Path | None = None) -> dict[str, Any]:
    """Writes the dossier of a run into `file` (0600, wholly or not at all; an older file gives way).

    {dossier, run, bytes, sha256, files, signed, omitted}. Signed where a key signs backups. Raises UsageError (no such
    folder, the run's mapping cannot be read), Corrupt where run or vault are not what they were, Unreachable."""
    path = Path(file)
    if not path.parent.is_dir():
        raise UsageError("there is no such folder", where=str(path.parent))
    if path.is_dir():
        raise UsageError("this is a folder, not a file", where=str(path))
    api.report(run, home=home)  # written anew where the run left none
    with ledger_of(home) as ledger:
        name = run_id(ledger, run)
        folder, facts = ledger.root / name, ledger.run_facts(name)
        mapping = mapping_of(folder, str(facts["source"]), str(facts.get("base") or ""))
        if mapping.digest != ledger.run(name).mapping_digest:
            raise UsageError(
                f"the mapping is no longer the one of run {name}",
                where=mapping.path,
                hint="Put the mapping of that run back (version control has it) and try again.",
            )
        store = vault_of(mapping)
        check_ready(store, proving=False)
        source = Run(name, folder, _bytes(Path(mapping.path)), mapping.files)
        files = dossier_files(source, ledger, store)
    check_files(
        files, path, Keys(signing=keys_of(store).signing)
    )  # one that does not hold is given to nobody
    write_archive(path, files)
    data = path.read_bytes()
    return {
        "dossier": str(path),
        "run": name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "files": len(files),
        "signed": SIGNATURE in files,
        "omitted": strict_json.parse(files[DOSSIER], DOSSIER)["omitted"],
    }


def dossier_verify(file: Path | str, *, keys: Keys | None = None) -> dict[str, Any]:
    """Checks a dossier with nothing but itself and, where given, trusted keys (`backup_keys`; by default those of the
    environment): {dossier, run, mapping, state, program, signed_by, checked, not_checked, omitted}.

    Raises Corrupt naming what is not as it was written, UsageError, Unreachable."""
    trusted = keys if keys is not None else keys_of_environment()
    check_keys(trusted)
    return check_dossier(Path(file), trusted)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unreachable(f"the mapping cannot be read: {error.strerror}", where=str(path)) from error
