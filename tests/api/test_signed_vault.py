"""Signed backups from the command line and in a migration."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from migrate import api

from tests.runs import Db, Done, World, command, places_of, small


@pytest.fixture
def crm(tmp_path: Path) -> Db:
    found = Db(f"sqlite:///{tmp_path}/crm.db")
    found.run("CREATE TABLE people(id INTEGER PRIMARY KEY, age INTEGER CHECK (age > 0))")
    found.fill("people", [(1, 7), (2, 8)])
    return found


@pytest.fixture
def key(tmp_path: Path) -> dict[str, str]:
    return api.backup_keygen(tmp_path / "keys", signing=True)


def backup(folder: Path, *arguments: str | Path, home: str = ".migrate") -> Done:
    where = ["--store", str(folder / "vault"), "--home", str(folder / home), "--json"]
    return command("backup", *map(str, arguments), *where)


@pytest.mark.fineprint(26)
@pytest.mark.fineprint(29)
def test_a_signature_stands_in_for_the_ledger_elsewhere(crm: Db, key: dict[str, str], tmp_path: Path) -> None:
    """Expressions run only from manifests that this ledger wrote or a trusted key signed."""
    done = backup(tmp_path, "create", crm.path, "--sign", key["secret_file"])
    assert done.code == 0, done.out
    assert done.document["signed_by"] == key["public"]
    unknown = backup(tmp_path, "check", "latest", "--level", "5", home="other")
    assert unknown.code == 3
    assert any(v["check"] == "L5 expressions" and not v["passed"] for v in unknown.document)
    for given in (key["public"], key["pem"]):
        trusted = backup(tmp_path, "check", "latest", "--level", "5", "--trust", given, home="other")
        assert trusted.code == 0, trusted.out
    shown = backup(tmp_path, "show", "latest", "--trust", key["public"]).document
    assert shown["signed_by"] == key["public"]
    assert {v["signed_by"] for v in shown["verdicts"]} == {key["public"], ""}, (
        "checks had no key to sign with"
    )


def test_unsigned_backups_are_refused_where_signers_are_named(
    crm: Db, key: dict[str, str], tmp_path: Path
) -> None:
    assert backup(tmp_path, "create", crm.path).code == 0
    trust = ["--trust", key["public"]]
    for arguments in (["show", "latest"], ["restore", "latest", "--into", f"sqlite:///{tmp_path}/r.db"]):
        done = backup(tmp_path, *arguments, *trust)
        assert done.code == 6, done.out
        assert "not signed" in done.error["message"]
    assert backup(tmp_path, "check", "latest", *trust).code == 6
    (listed,) = backup(tmp_path, "list", *trust).document
    assert "not signed" in listed["problem"]


@pytest.fixture
def world(tmp_path: Path, key: dict[str, str]) -> World:
    made = small(tmp_path)
    made.policy = (
        f"max_quarantine: 100%, backup: {{sign: {{key: '{key['secret_file']}'}}, require_signature: true}}"
    )
    return made


@pytest.mark.fineprint(29)
def test_a_migration_signs_and_loads_past_signed_backups_only(world: World, key: dict[str, str]) -> None:
    world.run("--to", "restore-test")
    secret = Path(key["secret_file"]).read_text().splitlines()[1]
    assert secret not in world.printed()
    assert not places_of([world.home, world.vault], secret.encode())
    away = [(p, p.with_name("away")) for p in world.vault.glob("*/signatures")]
    assert len(away) == 2
    for here, there in away:
        shutil.move(here, there)
    error = world.run(code=6)
    assert "not signed" in error["message"]
    assert world.target.one("SELECT count(*) FROM contacts") == 0
    for here, there in away:
        shutil.move(there, here)
    assert world.run()["state"] == "verified"
