"""Encrypted backups from the command line: keys by option and environment, and what a wrong or missing one ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from migrate import api

from tests.runs import Db, Done, World, command, is_one_clear_paragraph, places_of, small

IDENTITY = "MIGRATE_BACKUP_IDENTITY"
CANARY = "canary-of-a-person"


@pytest.fixture
def crm(tmp_path: Path) -> Db:
    found = Db(f"sqlite:///{tmp_path}/crm.db")
    found.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    found.fill("people", [(1, CANARY), (2, "Bob")])
    return found


@pytest.fixture
def escrow(tmp_path: Path) -> Path:
    return Path(api.backup_keygen(tmp_path / "escrow")["secret_file"])


def public(identity: Path) -> str:
    return identity.read_text().splitlines()[0].removeprefix("# public key: ")


def backup(folder: Path, *arguments: str | Path) -> Done:
    where = ["--store", str(folder / "vault"), "--home", str(folder / ".migrate"), "--json"]
    return command("backup", *map(str, arguments), *where)


@pytest.mark.fineprint(30)
def test_a_backup_is_encrypted_proven_listed_and_restored(crm: Db, escrow: Path, tmp_path: Path) -> None:
    done = backup(tmp_path, "create", crm.path, "-r", public(escrow), "-i", escrow)
    assert done.code == 0, done.out
    assert done.document["proven"] is True
    assert done.document["encrypted_for"] == [public(escrow)]
    assert not places_of([tmp_path / "vault", tmp_path / ".migrate"], CANARY.encode())
    assert not places_of([tmp_path / "vault", tmp_path / ".migrate"], escrow.read_text().split()[-1].encode())
    (listed,) = backup(tmp_path, "list").document
    assert listed["encrypted"]
    assert listed["proven"]
    shown = backup(tmp_path, "show", "latest").document
    assert "no identity was given" in shown["locked"]
    assert shown["tables"] == [{"table": "people", "rows": 2, "parts": 1}]
    assert backup(tmp_path, "show", "latest", "-i", escrow).document["tables"][0]["columns"] == 2
    into = Db(f"sqlite:///{tmp_path}/again.db")
    assert backup(tmp_path, "restore", "latest", "--into", into.url, "-i", escrow).code == 0
    assert into.rows("SELECT * FROM people") == crm.rows("SELECT * FROM people")


def test_verdicts_beside_it_give_no_hash_of_rows_to_guess_against(
    crm: Db, escrow: Path, tmp_path: Path
) -> None:
    done = backup(tmp_path, "create", crm.path, "-r", public(escrow), "-i", escrow)
    clear = next(v["found"] for v in done.document["verdicts"] if v["check"] == "L5 values")
    assert clear.startswith("canon-1:2:")
    assert places_of([tmp_path / "vault"], b"keyed-")
    assert not places_of([tmp_path / "vault"], clear.rpartition(":")[2].encode())


def test_the_environment_says_it_too(
    crm: Db, escrow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIGRATE_BACKUP_RECIPIENTS", public(escrow))
    monkeypatch.setenv(IDENTITY, escrow.read_text().split()[-1])  # the key itself
    assert backup(tmp_path, "create", crm.path).document["encrypted_for"]
    assert backup(tmp_path, "check", "latest", "--level", "5").code == 0


@pytest.mark.promise(30)
def test_a_lost_key_is_found_before_it_is_needed(crm: Db, escrow: Path, tmp_path: Path) -> None:
    """Exit 3: nothing is proven. Whatever the command, the paragraph says what to do, and nothing was changed."""
    done = backup(tmp_path, "create", crm.path, "-r", public(escrow))
    assert done.code == 3
    assert "no identity" in done.error["message"]
    assert not list((tmp_path / "vault").rglob("*.json"))
    assert backup(tmp_path, "create", crm.path, "-r", public(escrow), "--no-prove").code == 0
    other = Path(api.backup_keygen(tmp_path / "other")["secret_file"])
    for wrong in ((), ("-i", other)):
        for level in ("3", "5"):
            done = backup(tmp_path, "check", "latest", "--level", level, *wrong)
            assert done.code == 3, done.out
            assert "encrypted" in done.error["message"]
            assert "--identity" in done.error["hint"]
        assert backup(tmp_path, "check", "latest", "--level", "2", *wrong).code == 0
        into = tmp_path / "none.db"
        assert backup(tmp_path, "restore", "latest", "--into", f"sqlite:///{into}", *wrong).code == 3
        assert not into.exists()
    assert not backup(tmp_path, "list").document[0]["proven"]


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (None, 5, "no such file"),
        ("", 2, "empty"),
        ("garbage", 2, "none"),
        ("AGE-SECRET-KEY-1GARBAGE", 2, "none"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n", 2, "none"),
    ],
)
def test_what_is_no_identity_is_said_so(
    text: str | None, code: int, word: str, crm: Db, escrow: Path, tmp_path: Path
) -> None:
    backup(tmp_path, "create", crm.path, "-r", public(escrow), "--no-prove")
    given = tmp_path / "key.txt"
    if text is not None:
        given.write_text(text)
    where = ["--store", str(tmp_path / "vault"), "--home", str(tmp_path / "h")]
    done = command("backup", "check", "latest", "-i", str(given), *where)
    assert done.code == code, done.err
    is_one_clear_paragraph(done.err, word)
    assert "GARBAGE" not in done.err


@pytest.mark.parametrize("given", ["age1garbage", "AGE-SECRET-KEY-1ABC", "nowhere.txt", "ssh-ed25519 AAAA"])
def test_what_is_no_recipient_is_said_so(given: str, crm: Db, tmp_path: Path) -> None:
    done = backup(tmp_path, "create", crm.path, "-r", given, "--no-prove")
    assert done.code == (5 if given == "nowhere.txt" else 2), done.out
    assert "SECRET" not in done.out
    assert not list((tmp_path / "vault").rglob("*.json"))


def test_a_new_key_is_private_and_takes_no_others_place(escrow: Path, tmp_path: Path) -> None:
    assert escrow.stat().st_mode & 0o777 == 0o600
    before = escrow.read_text()
    done = command("backup", "keygen", str(escrow.parent), "--json")
    assert done.code == 2
    assert escrow.read_text() == before
    made = command("backup", "keygen", str(tmp_path / "signing"), "--signing", "--json").document
    assert made["public"].startswith("ed25519:")
    assert Path(made["secret_file"]).stat().st_mode & 0o777 == 0o600


@pytest.fixture
def world(tmp_path: Path, escrow: Path) -> World:
    made = small(tmp_path)
    made.policy = f"max_quarantine: 100%, backup: {{encrypt: {{recipients: ['{public(escrow)}'], identity: '{escrow}'}}}}"
    return made


@pytest.mark.promise(30)
def test_a_migration_with_encrypted_backups_loads_verifies_and_is_undone(world: World, escrow: Path) -> None:
    names = world.source.rows("SELECT * FROM people")
    email = next(str(v) for row in names for v in row if "@" in str(v))
    assert world.run()["state"] == "verified"
    assert not places_of([world.vault], email.encode())
    manifests = [json.loads(p.read_text())["manifest"] for p in world.vault.glob("*/manifest.json")]
    assert {m["role"] for m in manifests} == {"source", "target"}
    assert all(m["seal"] for m in manifests)
    assert world.run()["state"] == "verified"  # nothing to write: proofs stand
    secret = escrow.read_text().split()[-1]
    assert secret not in world.printed()
    assert not places_of([world.home, world.vault], secret.encode())


def test_a_migration_stops_before_it_reads_where_the_key_is_lost(world: World, escrow: Path) -> None:
    world.write()
    escrow.rename(escrow.with_suffix(".away"))
    done = world.command("run", str(world.mapping), "--json")
    assert done.code == 5
    assert "identity" in done.error["message"]
    api.backup_keygen(escrow.parent)  # another one in its place
    done = world.command("run", str(world.mapping), "--json")
    assert done.code == 3
    assert "does not open it" in done.error["message"]
    assert not list(world.vault.glob("*/manifest.json"))
    escrow.unlink()
    escrow.with_suffix(".away").rename(escrow)
    assert world.run()["state"] == "verified"


@pytest.mark.promise(30)
def test_a_restore_test_without_the_key_closes_the_gate(world: World, escrow: Path) -> None:
    """The key goes between backup and proof: nothing is loaded, and with the key the same command goes on."""
    world.run("--to", "backup")
    key = escrow.read_text()
    escrow.write_text("# lost\n")
    done = world.command("run", str(world.mapping), "--json")
    assert done.code == 3, done.out
    escrow.write_text(key)
    assert world.run()["state"] == "verified"


@pytest.mark.parametrize(
    ("backup_", "code", "word"),
    [
        ("{encrypt: {recipients: [AGE-SECRET-KEY-1ABC]}}", "wrong_value", "secret key"),
        ("{encrypt: {recipients: [age1x], identity: AGE-SECRET-KEY-1ABC}}", "secret", "${NAME}"),
        ("{encrypt: {identity: x}}", "missing_key", "recipients"),
        ("{encrypt: {recipents: [age1x]}}", "unknown_key", "recipients"),
        ("{encrypt: {recipients: []}}", "empty", "recipients"),
        ("{sign: {key: '-----BEGIN PRIVATE KEY-----'}}", "secret", "${NAME}"),
        ("{require_signature: true}", "missing_key", "trusted"),
        ("{require_signature: maybe}", "wrong_value", "true"),
    ],
)
def test_a_mapping_that_names_keys_wrongly_is_refused_at_its_place(
    backup_: str, code: str, word: str, tmp_path: Path
) -> None:
    world = small(tmp_path)
    world.policy = f"backup: {backup_}"
    world.write()
    done = world.command("plan", str(world.mapping), "--json")
    assert done.code == 2, done.out
    found = [p for p in done.error["problems"] if p["code"] == code] if "problems" in done.error else []
    assert found, done.out
    assert any(word in p["message"] + p["hint"] for p in found)
    assert ":" in found[0]["where"]
    assert "1ABC" not in done.out
