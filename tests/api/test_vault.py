"""Backups with no migration around them: made, proven, listed, restored, pruned."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate.cli import main
from migrate.errors import Unreachable
from migrate.stores.local import LocalStore
from migrate.vault import lease

from tests.runs import Db, Done, command, complete, is_one_clear_paragraph, small


@pytest.fixture
def crm(tmp_path: Path) -> Db:
    found = Db(f"sqlite:///{tmp_path}/crm.db")
    found.run(
        "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, boss INTEGER REFERENCES people(id))",
        "CREATE TABLE notes(id INTEGER PRIMARY KEY, body)",
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN SELECT 1; END",
    )
    found.fill("people", [(1, "Ada", None), (2, "Bob", 1)])
    found.fill("notes", [(1, "x"), (2, 2.5), (3, None)])
    return found


def backup(folder: Path, *arguments: str) -> Done:
    return command(
        "backup", *arguments, "--store", str(folder / "vault"), "--home", str(folder / ".migrate"), "--json"
    )


def test_a_database_is_backed_up_proven_and_restored(crm: Db, tmp_path: Path) -> None:
    done = backup(tmp_path, "create", str(crm.path))
    assert done.code == 0, done.out
    made = done.document
    assert made["proven"] is True
    assert made["rows"] == 5
    assert sorted(made["tables"]) == ["notes", "people"]
    assert any("trigger" in note for note in made["not_carried"])
    assert made["verdicts"][-1]["check"] == "L5"
    (listed,) = backup(tmp_path, "list").document
    assert listed["id"] == made["backup"]
    assert listed["proven"]
    into = Db(f"sqlite:///{tmp_path}/again.db")
    assert backup(tmp_path, "restore", "latest", "--into", into.url).code == 0
    for table in ("people", "notes"):
        query = f"SELECT *, typeof(body) FROM {table}" if table == "notes" else f"SELECT * FROM {table}"
        assert into.rows(query) == crm.rows(query)
    assert not [p for p in (tmp_path / ".migrate" / "work").rglob("*") if p.is_file()]  # no rows stay behind


def test_a_second_backup_of_the_same_rows_stores_nothing_again(crm: Db, tmp_path: Path) -> None:
    backup(tmp_path, "create", str(crm.path), "--no-prove")
    objects = {p.name for p in (tmp_path / "vault" / "objects").iterdir()}
    crm.fill("notes", [(4, "new")])
    assert backup(tmp_path, "create", str(crm.path), "--no-prove").code == 0
    assert (
        len({p.name for p in (tmp_path / "vault" / "objects").iterdir()} - objects) == 1
    )  # the changed table


def test_a_server_is_backed_up_and_proven_on_another(pg_database: str, tmp_path: Path) -> None:
    source = Db(pg_database)
    source.run("CREATE TABLE people(id int PRIMARY KEY, name text)", "INSERT INTO people VALUES (1, 'Ada')")
    done = backup(tmp_path, "create", pg_database, "--scratch", pg_database, "--name", "prod")
    assert done.code == 0, done.out
    assert done.document["proven"] is True
    assert "-prod-" in done.document["backup"]


def test_what_cannot_be_proven_is_not_even_begun(pg_database: str, tmp_path: Path) -> None:
    Db(pg_database).run("CREATE TABLE people(id int PRIMARY KEY)")
    done = backup(tmp_path, "create", pg_database)
    assert done.code == 2
    assert "--no-prove" in done.error["hint"]
    assert not (tmp_path / "vault").exists()
    done = backup(tmp_path, "create", pg_database, "--no-prove")
    assert done.code == 0
    assert done.document["proven"] is None
    assert not backup(tmp_path, "list").document[0]["proven"]


@pytest.mark.parametrize(
    ("what", "code", "word"),
    [("nowhere.db", 5, "no such file"), ("text.txt", 2, "database"), ("sqlite:///{}/none.db", 5, "none.db")],
)
def test_what_is_no_database_is_said_so(what: str, code: int, word: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("x")
    given = what.format(tmp_path) if "{}" in what else str(tmp_path / what)
    done = command("backup", "create", given, "--store", str(tmp_path / "v"), "--home", str(tmp_path / "h"))
    assert done.code == code, done.err
    is_one_clear_paragraph(done.err, word)


def test_a_table_that_is_not_there_makes_no_backup(crm: Db, tmp_path: Path) -> None:
    done = backup(tmp_path, "create", str(crm.path), "--table", "peple")
    assert done.code == 2
    assert "peple" in done.error["message"]
    assert backup(tmp_path, "list").document == []


@pytest.mark.promise(29)
def test_pruning_shows_first_and_never_takes_the_last_proven_one(crm: Db, tmp_path: Path) -> None:
    proven = backup(tmp_path, "create", str(crm.path)).document["backup"]
    others = []
    for n in range(10, 13):
        crm.fill("notes", [(n, "more")])
        others.append(backup(tmp_path, "create", str(crm.path), "--no-prove").document["backup"])
    shown = backup(tmp_path, "prune", "--keep", "1").document
    assert shown["dry_run"]
    assert shown["removed"] == others[:2]
    assert {k["backup"] for k in shown["kept"]} == {proven, others[-1]}
    assert len(backup(tmp_path, "list").document) == 4
    assert backup(tmp_path, "prune", "--keep", "1", "--yes").document["removed"] == others[:2]
    assert {b["id"] for b in backup(tmp_path, "list").document} == {proven, others[-1]}
    into = f"sqlite:///{tmp_path}/again.db"
    assert backup(tmp_path, "restore", proven, "--into", into).code == 0


def test_people_read_what_happened(crm: Db, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate")]
    assert main(["backup", "create", str(crm.path), *where]) == 0
    assert main(["backup", "create", str(crm.path), "--no-prove", *where]) == 0
    assert main(["backup", "prune", "--keep", "1", *where]) == 0
    out = capsys.readouterr().out
    for words in ("every value is equal", "Not proven", "not carried", "Nothing was removed: give --yes"):
        assert words in out


@pytest.mark.promise(29)
def test_a_mappings_own_words_decide_what_stays(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.policy = "max_quarantine: 100%, backup: {keep: {last: 1}}"
    runs = []
    for n in range(3):
        world.source.run(f"INSERT INTO companies VALUES ({90 + n}, 'New {n}', NULL)")
        runs.append(world.run()["run"])
    other = backup(tmp_path, "create", str(world.source.path), "--no-prove")
    assert other.code == 0
    done = world.command("backup", "prune", str(world.mapping), "--json")
    assert done.code == 0, done.out
    assert all(r.startswith((runs[0], runs[1])) for r in done.document["removed"])
    assert len(done.document["removed"]) == 4
    assert done.document["dry_run"]
    done = world.command("backup", "prune", str(world.mapping), "--yes", "--json")
    assert len(done.document["removed"]) == 4
    assert done.document["objects"] == 0
    assert done.document["waiting"] > 0
    assert world.command("rollback", "latest", "--yes", "--json").code == 0


def test_a_mapping_without_words_about_it_says_what_to_write(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.write()
    done = world.command("backup", "prune", str(world.mapping), "--json")
    assert done.code == 2
    assert "keep: {last: 3" in done.error["hint"]


def test_what_a_run_needs_stays_for_its_undo(tmp_path: Path) -> None:
    world = small(tmp_path)
    run = world.run()["run"]
    world.source.run("INSERT INTO companies VALUES (90, 'New', NULL)")
    world.run("--to", "restore-test")
    found = world.command("backup", "prune", "--keep", "1", "--store", str(world.vault), "--json").document
    assert found["removed"] == []
    whys = {k["why"] for k in found["kept"] if k["backup"].startswith(run)}
    assert whys <= {f"run {run} is undone against it", "the last proven one"}


def test_by_days_and_with_nothing_said(crm: Db, tmp_path: Path) -> None:
    backup(tmp_path, "create", str(crm.path), "--no-prove")
    newest = backup(tmp_path, "create", str(crm.path), "--no-prove").document["backup"]
    found = backup(tmp_path, "prune", "--keep-daily", "7", "--keep-yearly", "1").document
    assert [k["backup"] for k in found["kept"]] == [newest]
    assert found["kept"][0]["why"].startswith("the newest of day 20")
    assert backup(tmp_path, "prune").code == 2
    assert backup(tmp_path, "prune", "--keep-last", "0").code == 2


def test_while_another_prune_is_at_work(crm: Db, tmp_path: Path) -> None:
    backup(tmp_path, "create", str(crm.path), "--no-prove")
    with lease.exclusive(LocalStore(tmp_path / "vault")):
        done = backup(tmp_path, "prune", "--keep", "1", "--yes")
    assert done.code == 8
    complete(done.error)
    assert backup(tmp_path, "prune", "--keep", "1", "--yes").code == 0


def test_a_vault_that_may_only_be_read_is_restored_from(
    crm: Db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(tmp_path, "create", str(crm.path))

    def refuse(self: LocalStore, name: str, data: bytes) -> None:
        raise Unreachable("not allowed", where=name)

    monkeypatch.setattr(LocalStore, "put_bytes", refuse)
    done = backup(tmp_path, "restore", "latest", "--into", f"sqlite:///{tmp_path}/again.db")
    assert done.code == 0, done.out


def test_a_mapping_is_backed_up_with_no_run(tmp_path: Path) -> None:
    """What it reads of its sources and may write of its target; a drill of the mapping finds them."""
    world = small(tmp_path)
    world.write()
    done = world.command("backup", "create", str(world.mapping), "--json")
    assert done.code == 0, done.out
    made = done.document
    assert made["proven"] is True
    assert [(b["role"], b["proven"]) for b in made["backups"]] == [("source", True), ("target", True)]
    assert {"people"} <= set(made["backups"][0]["tables"])
    assert "contacts" in made["backups"][1]["tables"]
    assert world.command("drill", str(world.mapping), "--json").document["passed"]
    assert world.run()["state"] == "verified"  # and a run takes its own all the same
    refused = world.command("backup", "create", str(world.mapping), "--table", "people", "--json")
    assert refused.code == 2
