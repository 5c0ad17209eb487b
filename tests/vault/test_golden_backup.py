"""A backup in the format of today, as it was written once, stays restorable by every later version.

`tests/golden/backup-format-1` was made by `migrate backup create` of `company` (tests/vault/restored_world.py), and
`backup-format-2` likewise, encrypted for the identity beside it and signed. They are never made again; a new format gets a
folder of its own.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from migrate.connectors.sqlite.scratch import open_scratch
from migrate.stores.local import LocalStore
from migrate.vault.check import check_backup
from migrate.vault.keyed import with_keys
from migrate.vault.keys import Keys
from migrate.vault.reader import list_backups, open_backup
from migrate.vault.restore import restore_test

from tests.vault.restored_world import company

SIGNER = "ed25519:UKgBkxJ56ayVeqNp8jcH+pCn4TYYM8SRFRb2AsaV17w="
GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.promise(30)
@pytest.mark.parametrize("name", sorted(p.name for p in GOLDEN.glob("backup-format-*")))
def test_p30_a_golden_backup_restores(name: str, tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / name, tmp_path / "vault")
    identity = (GOLDEN / "identity-of-format-2.txt").read_text()
    store = with_keys(LocalStore(tmp_path / "vault"), Keys(identities=(identity,), trusted=(SIGNER,)))
    (info,) = list_backups(store)
    assert info.problem == ""
    assert [v.passed for v in check_backup(store, info.id)] == [True] * 4
    scratch = open_scratch(None, folder=tmp_path, name="golden", run="r1")
    try:
        found = restore_test(open_backup(store, info.id), scratch, trusted=True)
        assert [v.check for v in found if not v.passed] == []
        assert bool(open_backup(store, info.id).signed_by) == (name == "backup-format-2")
        company(tmp_path / "as_it_was.db")
        for table in ("account", "contact"):
            with (
                closing(sqlite3.connect(scratch.path)) as db,
                closing(sqlite3.connect(tmp_path / "as_it_was.db")) as then,
            ):
                query = f"SELECT * FROM {table} ORDER BY id"
                assert db.execute(query).fetchall() == then.execute(query).fetchall()
    finally:
        scratch.drop()


def test_there_is_one_of_every_format_so_far() -> None:
    from migrate.vault import layout

    names = {p.name for p in GOLDEN.glob("backup-format-*")}
    assert {f"backup-format-{n}" for n in range(1, layout.SEALED + 1)} <= names
