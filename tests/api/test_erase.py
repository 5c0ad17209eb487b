"""Erasure by request: recorded once, left out of every restore, drill, undo and run from then on, and exactly that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from migrate import api
from migrate.connectors.registry import open_source
from migrate.stores.local import LocalStore
from migrate.vault.create import create

from tests.runs import Db, Done, World, balance, command, is_one_clear_paragraph, places_of, small

SECRET = "MIGRATE_ERASURE_SECRET"


@pytest.fixture
def crm(tmp_path: Path) -> Db:
    found = Db(f"sqlite:///{tmp_path}/crm.db")
    found.run(
        "CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT, boss INTEGER REFERENCES people(id))",
        "CREATE TABLE notes(id INTEGER PRIMARY KEY, who INTEGER NOT NULL REFERENCES people(id), said TEXT)",
        "CREATE TABLE likes(id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes(id))",
    )
    found.fill("people", [(1, "ada@x.org", None), (2, "bob@x.org", 1), (3, "cy@x.org", 2), (4, None, None)])
    found.fill("notes", [(1, 1, "a"), (2, 2, "b"), (3, 3, "c")])
    found.fill("likes", [(1, 1), (2, 2), (3, None)])
    return found


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    file = api.backup_keygen(tmp_path / "keys", erasure=True)["secret_file"]
    monkeypatch.setenv(SECRET, file)
    return Path(file).read_text().strip()


def vault(folder: Path, *arguments: str | Path) -> Done:
    where = ["--store", str(folder / "vault"), "--home", str(folder / ".migrate"), "--json"]
    return command(*map(str, arguments), *where)


def erased(folder: Path, *arguments: str) -> dict[str, object]:
    done = vault(folder, "erase", "--system", "crm", *arguments)
    assert done.code == 0, done.out
    (one,) = done.document["erasures"]
    found: dict[str, object] = one
    return found


@pytest.mark.fineprint(31)
def test_no_restore_brings_back_who_was_erased_and_the_rest_is_exact(
    crm: Db, secret: str, tmp_path: Path
) -> None:
    assert vault(tmp_path, "backup", "create", crm.path).code == 0
    told = erased(tmp_path, "--table", "people", "--key", "2")
    assert told["left_out"] == {"people": 1, "notes": 1}, "a note must have somebody, so it goes along"
    assert told["references_emptied"] == {"people": 1, "likes": 1}
    into = Db(f"sqlite:///{tmp_path}/again.db")
    done = vault(tmp_path, "backup", "restore", "latest", "--into", into.url)
    assert done.code == 0, done.out
    assert done.document["erased"] == {"people": 1, "notes": 1}
    assert into.rows("SELECT * FROM people") == [
        (1, "ada@x.org", None),
        (3, "cy@x.org", None),
        (4, None, None),
    ]
    assert into.rows("SELECT * FROM notes") == [(1, 1, "a"), (3, 3, "c")]
    assert into.rows("SELECT * FROM likes") == [(1, 1), (2, None), (3, None)]
    checked = vault(tmp_path, "backup", "check", "latest", "--level", "5")
    assert checked.code == 0, checked.out
    (line,) = [v for v in checked.document if v["check"] == "L4 erased"]
    assert line["found"] == "2 rows left out by request, 2 references to them emptied"
    drilled = vault(tmp_path, "drill", "latest")
    assert drilled.code == 0, drilled.out
    assert "left out by request" in drilled.out
    where = ["--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate")]
    assert "2 rows left out by request" in command("drill", "latest", *where).out, "people read it too"


@pytest.mark.fineprint(31)
def test_what_a_restore_replaced_does_not_bring_them_back_either(
    crm: Db, secret: str, tmp_path: Path
) -> None:
    backup = vault(tmp_path, "backup", "create", crm.path).document["backup"]
    erased(tmp_path, "--table", "people", "--key", "2")
    done = vault(tmp_path, "backup", "restore", backup, "--into", crm.url, "--replace")
    assert done.code == 0, done.out
    saved = done.document["replaced"]
    assert "-replaced-" in saved
    into = Db(f"sqlite:///{tmp_path}/again.db")
    done = vault(tmp_path, "backup", "restore", saved, "--into", into.url)
    assert done.code == 0, done.out
    assert [row[0] for row in into.rows("SELECT id FROM people ORDER BY 1")] == [1, 3, 4]


@pytest.mark.fineprint(31)
def test_what_the_vault_keeps_does_not_say_who(crm: Db, secret: str, tmp_path: Path) -> None:
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    erased(tmp_path, "--table", "people", "--by", "mail", "--key", "bob@x.org")
    folders = [tmp_path / "vault" / "erasures", tmp_path / ".migrate"]
    assert (tmp_path / "vault" / "erasures" / "000000.json").is_file()
    for word in ("bob@x.org", secret):
        assert not places_of(folders, word.encode())


def test_any_column_may_say_who_and_each_is_recorded_once(crm: Db, secret: str, tmp_path: Path) -> None:
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    (tmp_path / "keys.txt").write_text("ada@x.org\n\nnobody@x.org\n")
    first = erased(tmp_path, "--table", "people", "--by", "mail", "--key-file", str(tmp_path / "keys.txt"))
    assert (first["recorded"], first["known_before"], first["matched"]) == (2, 0, 1)
    again = erased(tmp_path, "--table", "people", "--by", "mail", "--key", "ada@x.org")
    assert (again["recorded"], again["known_before"], again["matched"]) == (0, 1, 1)
    assert (first["matched_by_key"], again["matched_by_key"]) == ([1, 0], [1])
    assert len(list((tmp_path / "vault" / "erasures").iterdir())) == 2
    assert again["left_out"] == {"people": 1, "notes": 1}


def test_a_key_that_no_row_has_is_said_to_be_one(crm: Db, secret: str, tmp_path: Path) -> None:
    """What earlier requests leave out is not told as the work of this one."""
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    erased(tmp_path, "--table", "people", "--key", "1")
    told = erased(tmp_path, "--table", "people", "--key", "77")
    assert (told["recorded"], told["matched"]) == (1, 0)
    where = ("--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate"))
    said = command("erase", "--system", "crm", "--table", "people", "--key", "77", *where).out
    assert "No row of the newest backup" in said
    assert "With all erasures so far" in said


@pytest.mark.fineprint(31)
def test_a_key_among_several_that_no_row_has_is_told_by_its_place_and_never_by_itself(
    crm: Db, secret: str, tmp_path: Path
) -> None:
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    (tmp_path / "keys.txt").write_text("nobody@x.org\n\nbob@x.org\n")
    where = ("--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate"))
    keys = ("--key", "ada@x.org", "--key", "someone@x.org", "--key-file", str(tmp_path / "keys.txt"))
    asked = ("erase", "--system", "crm", "--table", "people", "--by", "mail", *keys)
    told = command(*asked, *where, "--json").document["erasures"][0]
    assert (told["matched"], told["matched_by_key"]) == (2, [1, 0, 0, 1])
    said = " ".join(command(*asked, *where).out.split())
    assert "No row of it has 2 of the keys given (by their order: 2, 3)" in said
    assert "x.org" not in said


def test_older_backups_of_what_was_replaced_that_do_not_say_whose_it_was_are_told(
    crm: Db, secret: str, tmp_path: Path
) -> None:
    """Earlier versions called their system `replaced`: under that name an erasure reaches them."""
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    database = open_source(crm.url, base=tmp_path, work=tmp_path / "work")
    made = create(
        database,
        LocalStore(tmp_path / "vault"),
        system="replaced",
        tables=("people",),
        folder=tmp_path / "work",
        advance=lambda _: None,
    )
    database.close()
    where = ("--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate"), "--json")
    done = command("erase", "--system", "crm", "--table", "people", "--key", "2", *where).document
    assert done["owner_unknown"] == [{"system": "replaced", "table": "people", "backups": 1}]
    said = command("erase", "--system", "crm", "--table", "people", "--key", "2", *where[:-1]).out
    assert "--system replaced --table people" in " ".join(said.split())
    done = command("erase", "--system", "replaced", "--table", "people", "--key", "2", *where).document
    assert done["owner_unknown"] == []
    into = Db(f"sqlite:///{tmp_path}/older.db")
    done = vault(tmp_path, "backup", "restore", made.id, "--into", into.url, "--trust-sql")
    assert [row[0] for row in into.rows("SELECT id FROM people ORDER BY 1")] == [1, 3, 4]


def test_backups_made_later_leave_them_out_too(crm: Db, secret: str, tmp_path: Path) -> None:
    """The database may have them still, or again: it is what is restored that they are kept out of."""
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    erased(tmp_path, "--table", "people", "--key", "4")
    done = vault(tmp_path, "backup", "create", crm.path)
    assert done.code == 0, done.out
    assert done.document["proven"]
    into = Db(f"sqlite:///{tmp_path}/again.db")
    vault(tmp_path, "backup", "restore", "latest", "--into", into.url)
    assert into.one("SELECT count(*) FROM people") == 3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--system", "crm", "--table", "peple", "--key", "1"], "peple"),
        (["--system", "nobody", "--table", "people", "--key", "1"], "nobody"),
        (["--system", "crm", "--table", "people", "--by", "email", "--key", "1"], "email"),
        (["--system", "crm", "--table", "people"], "--key"),
        (["--system", "crm", "--table", "people", "--key", "abc"], "no value of people.id"),
        (["--system", "crm", "--table", "people", "--key", '["1","2"]'], "no value of people.id"),
        (["--table", "people", "--key", "1"], "--system"),
    ],
)
def test_a_request_that_would_erase_nothing_is_refused(
    arguments: list[str], word: str, crm: Db, secret: str, tmp_path: Path
) -> None:
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    where = ["--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate")]
    done = command("erase", *arguments, *where)
    assert done.code == 2, done.err
    is_one_clear_paragraph(done.err, word)
    assert not (tmp_path / "vault" / "erasures").exists()


@pytest.mark.fineprint(31)
def test_without_the_secret_nothing_is_restored(
    crm: Db, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault(tmp_path, "backup", "create", crm.path)
    erased(tmp_path, "--table", "people", "--key", "2")
    other = api.backup_keygen(tmp_path / "other", erasure=True)["secret_file"]
    into = tmp_path / "again.db"
    for given in ("", other):
        monkeypatch.setenv(SECRET, given)
        for arguments in (
            ["backup", "restore", "latest", "--into", f"sqlite:///{into}"],
            ["backup", "check", "latest", "--level", "5"],
            ["drill", "latest"],
            ["erase", "--system", "crm", "--table", "people", "--key", "3"],
        ):
            done = vault(tmp_path, *arguments)
            assert done.code == 3, done.out
            assert "secret" in done.out
        assert vault(tmp_path, "backup", "check", "latest", "--level", "3").code == 0, "bytes are bytes"
    assert not into.exists()
    assert len(list((tmp_path / "vault" / "erasures").iterdir())) == 1


@pytest.mark.parametrize(
    ("damage", "code"),
    [("first", 6), ("edited", 3), ("swapped", 6)],
)
def test_records_that_somebody_touched_are_found(
    damage: str, code: int, crm: Db, secret: str, tmp_path: Path
) -> None:
    vault(tmp_path, "backup", "create", crm.path, "--no-prove")
    for key in ("1", "2"):
        erased(tmp_path, "--table", "people", "--key", key)
    first, second = sorted((tmp_path / "vault" / "erasures").iterdir())
    if damage == "first":
        first.unlink()
    elif damage == "edited":
        first.write_text(first.read_text().replace('"people"', '"notes"'))
    else:
        one, two = first.read_text(), second.read_text()
        first.write_text(two)
        second.write_text(one)
    done = vault(tmp_path, "backup", "restore", "latest", "--into", f"sqlite:///{tmp_path}/r.db")
    assert done.code == code, done.out


@pytest.mark.fineprint(31)
@pytest.mark.parametrize("left", [0, 1])
def test_a_chain_without_its_end_is_seen_in_the_vault_alone(
    crm: Db, secret: str, tmp_path: Path, left: int
) -> None:
    """A manifest says how many there were; the ledger is not asked. What is appended to a cut chain does not heal it."""
    assert vault(tmp_path, "backup", "create", crm.path).code == 0
    old = vault(tmp_path, "backup", "list").document[0]["id"]
    erased(tmp_path, "--table", "people", "--key", "1", "--key", "2")
    assert vault(tmp_path, "backup", "create", crm.path).code == 0
    shutil.rmtree(tmp_path / ".migrate")
    records = sorted((tmp_path / "vault" / "erasures").iterdir())
    assert len(records) == 2
    for record in records[left:]:
        record.unlink()
    for _ in range(2):
        done = vault(tmp_path, "backup", "restore", old, "--into", f"sqlite:///{tmp_path}/again.db")
        assert done.code == 6, done.out
        assert "erasures by request are missing from this vault" in done.error["message"]
        assert not (tmp_path / "again.db").exists()
        again = vault(tmp_path, "erase", "--system", "crm", "--table", "people", "--key", "3")
        assert again.code == 6, "nor is anything appended"


def test_unsigned_records_are_refused_where_signatures_are_required(
    crm: Db, secret: str, tmp_path: Path
) -> None:
    key = api.backup_keygen(tmp_path / "signing", signing=True)
    vault(tmp_path, "backup", "create", crm.path, "--no-prove", "--sign", key["secret_file"])
    erased(tmp_path, "--table", "people", "--key", "1", "--sign", key["secret_file"])
    restore = ["backup", "restore", "latest", "--trust", key["public"], "--into"]
    assert vault(tmp_path, *restore, f"sqlite:///{tmp_path}/a.db").code == 0
    erased(tmp_path, "--table", "people", "--key", "2")
    done = vault(tmp_path, *restore, f"sqlite:///{tmp_path}/b.db")
    assert done.code == 6, done.out


def test_original_files_that_hold_them_stay_where_they_are(secret: str, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "people.csv").write_text("id,mail\n1,ada@x.org\n2,bob@x.org\n")
    assert vault(tmp_path, "backup", "create", folder, "--name", "crm").code == 0
    erased(tmp_path, "--table", "people", "--by", "mail", "--key", "bob@x.org")
    done = vault(tmp_path, "backup", "check", "latest", "--level", "5")
    assert done.code == 0, done.out
    assert "not brought back" in done.out


@pytest.fixture
def world(tmp_path: Path, secret: str) -> World:
    return small(tmp_path)


def key_of(world: World, entity: str, key: str) -> Done:
    return world.command("erase", str(world.mapping), "--entity", entity, "--key", key, "--json")


@pytest.mark.fineprint(31)
def test_a_run_does_not_load_who_was_erased_from_its_source(world: World) -> None:
    world.run("--to", "backup")
    assert key_of(world, "contacts", "2").code == 0
    document = world.run("--fresh")
    assert document["state"] == "verified"
    assert balance(document, "contacts")["in"] == 2
    assert sorted(n for (n,) in world.target.rows("SELECT name FROM contacts")) == ["Ada", "Cy"]


def test_a_run_that_read_them_before_is_begun_anew(world: World) -> None:
    """It knows its rows by their place in a part, and that is another one now."""
    world.run("--to", "transform")
    assert key_of(world, "contacts", "1").code == 0
    error = world.run(code=7)
    assert "erased by request since this run read them" in error["message"]
    assert world.target.one("SELECT count(*) FROM contacts") == 0
    document = world.run("--fresh")
    assert document["state"] == "verified"
    assert balance(document, "contacts") | {"in": 2, "loaded": 2} == balance(document, "contacts")


@pytest.mark.fineprint(31)
def test_of_an_entity_the_row_in_the_target_is_erased_too(world: World) -> None:
    """In later backups of the target, that is: in the first one it was not yet there."""
    world.run()
    document = key_of(world, "contacts", "2").document
    assert document["not_in_target"] == 0
    told = document["erasures"]
    assert [(t["system"], t["table"], t["recorded"]) for t in told] == [
        ("acme", "people", 1),
        ("target:small", "contacts", 1),
    ]
    assert [t["left_out"] for t in told] == [{"people": 1}, {}]
    world.source.run("UPDATE people SET full_name = 'Ada L' WHERE id = 1")
    document = world.run()
    assert document["state"] == "verified"
    target = next(p for p in world.vault.glob(f"{document['run']}-target*"))
    shown = world.command(
        "backup", "check", target.name, "--level", "5", "--store", str(world.vault), "--json"
    )
    assert shown.code == 0, shown.out
    assert "1 row left out by request" in shown.out
    # another migration's target may have the same key, for somebody else
    other = world.folder / "mappings" / "other.yaml"
    other.write_text(world.mapping.read_text().replace("name: small", "name: other"))
    made = world.command("backup", "create", str(other), "--store", str(world.vault), "--json")
    assert made.code == 0, made.out
    others = [m.parent.name for m in world.vault.glob("*/manifest.json") if '"other"' in m.read_text()]
    (theirs,) = [name for name in others if "-target-" in name]
    asked = ("backup", "check", theirs, "--level", "5", "--store", str(world.vault), "--json")
    assert "left out by request" not in world.command(*asked).out
    key = str(world.target.one("SELECT id FROM contacts WHERE name = 'Bob'"))
    named = ("erase", "--system", "target", "--table", "contacts", "--key", key)
    done = world.command(*named, "--store", str(world.vault), "--json")
    assert done.code == 0, done.out  # "target" alone is of the targets of all migrations
    assert "1 row left out by request" in world.command(*asked).out


@pytest.mark.fineprint(31)
def test_undo_does_not_bring_back_who_was_erased(world: World) -> None:
    """A row that the run deleted, for it was gone at the source, and that was erased by request before the undo."""
    world.entities = world.entities.rstrip() + "\n    on_gone: delete\n"
    world.policy = "max_quarantine: 100%, max_gone: 100%"
    world.run()
    world.source.run("DELETE FROM people WHERE id IN (1, 2)")
    document = world.run()
    assert document["state"] == "verified"
    assert world.target.one("SELECT count(*) FROM contacts") == 1
    # by the column that both sides have
    store = str(world.vault)
    done = world.command(
        "erase", "--system", "target", "--table", "contacts", "--by", "email", "--key", "bob@example.com",
        "--store", store, "--json",
    )  # fmt: skip
    assert done.code == 0, done.out
    done = world.command("rollback", document["run"], "--yes", "--json")
    assert done.code == 0, done.out
    assert sorted(n for (n,) in world.target.rows("SELECT name FROM contacts")) == ["Ada", "Cy"]
    assert done.document["proof"]["passed"], "what stays away was asked to"
