"""A backup restored for good, into a place that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from migrate import failpoints
from migrate.api.places import home_to_be
from migrate.api.proofs import named, on_record, place_of, prove
from migrate.connectors.registry import SERVERS, engine_of, open_restore_place, open_target
from migrate.context import Progress, Silent
from migrate.durable import make_private_folder, work_folder
from migrate.errors import GateClosed, UsageError
from migrate.ledger.ledger import Ledger
from migrate.model import Manifest
from migrate.stores.protocol import Store
from migrate.vault.create import create
from migrate.vault.keys import Keys
from migrate.vault.place import chosen_of, restore_into
from migrate.vault.reader import Backup, open_backup


def backup_restore(
    id: str,
    into: str,
    *,
    tables: Sequence[str] = (),
    replace: bool = False,
    scratch: str | None = None,
    trust_sql: bool = False,
    store: str | None = None,
    home: Path | None = None,
    keys: Keys | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Restores a backup, or these `tables` of it, into the database at the URL `into`, and compares every value.

    The place is empty, or `replace` is given: then the tables in the way are backed up into the same vault first, that
    backup is proven by a restore (on the server `scratch`; SQLite needs none), and only then they go. Broken off anywhere,
    the same call goes on. `trust_sql`: SQL expressions of a manifest that this ledger did not write, and no trusted key
    signed, may run. `keys`: as `backup_keys`.
    Raises UsageError where the place is not empty or of another engine, Unreachable for a lost connection, a missing
    right or a full disk, GateClosed where the backup does not open, or what is in the way cannot be saved or cannot go, Busy where another restore
    is under way. What does not restore, or is not equal, is in the answer (`passed` False)."""
    told = progress or Silent()
    vault = place_of(store, home, keys)
    name = named(vault, id, home)
    known = on_record(name, home)
    backup = open_backup(vault, name)
    if backup.locked:  # before a database is made for nothing
        raise backup.locked
    backup.effects  # noqa: B018 - nor where it cannot be told what was erased
    if tables:
        chosen_of(backup, tables)  # says at once which are not there
    needed = _fitting_engine(backup, into)
    if replace and scratch is None and needed in SERVERS:
        raise UsageError(
            f"what is replaced is saved and proven first, on a server of {needed}, and none was named",
            kept="Nothing was changed.",
            hint=f"Give --scratch {needed}://…, where a database may be made and dropped.",
        )
    told.stage("restore", None)
    place = open_restore_place(into, base=Path.cwd())
    try:
        done = restore_into(
            backup,
            place,
            trusted=trust_sql or known == backup.manifest_sha256 or bool(backup.signed_by),
            tables=tables,
            save=partial(_save, vault, backup.manifest, into, scratch, home) if replace else None,
            known_sha256=known,
        )
    finally:
        place.close()
    passed = all(v.passed for v in done.verdicts)
    _remember(home, {"backup": name, "into": place.url, "passed": passed, "replaced": done.replaced})
    return {
        "backup": name,
        "into": place.url,
        "state": done.state,
        "tables": list(done.schema.table_names),
        "rows": done.rows,
        "erased": dict(backup.effects.rows),
        "replaced": done.replaced or None,
        "not_restored": list(done.not_restored),
        "not_carried": [
            *done.schema.not_carried,
            *(f"{t.name}: {note}" for t in done.schema.tables for note in t.not_carried),
        ],
        "passed": passed,
        "verdicts": [asdict(v) for v in done.verdicts],
    }


def _fitting_engine(backup: Backup, into: str) -> str:
    """The engine of the place. Raises UsageError where the backup is of another."""
    engine, found = backup.manifest.engine, engine_of(into)
    needed = "sqlite" if engine == "files" else engine
    if found != needed:
        raise UsageError(
            f"a backup of {engine} is not restored in {found}",
            where=backup.manifest.id,
            kept="Nothing was changed.",
            hint=f"Give the URL of a {needed} database; `migrate run` carries rows from one engine to another.",
        )
    return needed


def _save(
    vault: Store, of: Manifest, url: str, scratch: str | None, home: Path | None, tables: Sequence[str]
) -> str:
    """A backup of what is to be replaced, made and proven. Whether it is still what is there is asked when nobody can
    write there any more (`restore_into`). It is of the system that replaces it, so that whoever was erased there does not
    come back from it."""
    root = make_private_folder(home_to_be(home))
    with work_folder(root / "work", "replace-") as folder:
        database = open_target(url, base=Path.cwd(), work=folder)
        try:
            made = create(
                database,
                vault,
                system=of.system,
                mapping=(of.mapping, of.mapping_digest),
                role="replaced",
                called="replaced",
                tables=tables,
                folder=folder,
                advance=lambda _: None,
            )
            failpoints.hit("restore.saved")
            sha256 = open_backup(vault, made.id).manifest_sha256
            with Ledger.open(root / "ledger.db") as ledger:
                ledger.put_backup(made, sha256, vault=vault.location)
                ledger.audit(
                    "backup created", "", {"backup": made.id, "why": "its tables are to be replaced"}
                )
            failed = next(
                (v for v in prove(vault, made.id, scratch, known=sha256, home=home) if not v.passed), None
            )
            if failed is not None:
                raise GateClosed(
                    f"the backup of what is to be replaced does not restore: {failed.check} failed. {failed.reason}".strip(),
                    where=made.id,
                    kept="Nothing was replaced; that backup is kept.",
                    hint=f"See `migrate backup show {made.id}`.",
                )
            failpoints.hit("restore.saved_and_proven")
        finally:
            database.close()
    return made.id


def _remember(home: Path | None, said: dict[str, Any]) -> None:
    path = home_to_be(home) / "ledger.db"
    if path.is_file():
        with Ledger.open(path) as ledger:
            ledger.audit("backup restored", "", said)
