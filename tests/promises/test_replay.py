"""Quarantine → fix → replay: the same rows under the same identity, once each, with every proof (F14)."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate import failpoints

from tests.runs import ENGINES, Done, World, balance, bare, is_one_clear_paragraph

TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, revenue INTEGER, legacy_id TEXT)",
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL, "
    "email TEXT UNIQUE, legacy_id TEXT)",
)
SOURCE = (
    "CREATE TABLE companies(id INTEGER PRIMARY KEY, title TEXT, turnover INTEGER)",
    "INSERT INTO companies VALUES (1, 'Acme', 10), (2, '', 20), (3, 'Cato', 30)",
    "CREATE TABLE people(id INTEGER PRIMARY KEY, co INTEGER, full_name TEXT, mail TEXT)",
    "INSERT INTO people VALUES (1, 1, 'Ada', 'ada@acme.io'), (2, 2, 'Bob', 'bob@acme.io'), (3, 2, NULL, 'cy@acme.io'), "
    "(4, 1, 'Dee', 'ada@acme.io'), (5, 1, '=cmd()', 'not an address')",
)
ENTITIES = """
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: {from: title, check: required}, revenue: turnover, legacy_id: id}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      account_id: {from: co, ref: accounts}
      name: {from: full_name, check: required}
      email: {from: mail, check: email}
      legacy_id: id
"""
CONTACTS = "SELECT legacy_id, name, email FROM contacts ORDER BY legacy_id"


def crm(folder: Path, target_url: str = "") -> World:
    """Account 2 has no name, so contacts 2 and 3 wait for it; 3 has none either; 4's e-mail only the database refuses; 5's
    is no address."""
    folder.mkdir(exist_ok=True)
    return bare(folder, SOURCE, TARGET, ENTITIES, source_more=", nulls: ['']", target_url=target_url)


class Fixing:
    """A run, its exported rows, and what a person makes of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.run = str(world.run()["run"])
        self.folder = world.folder / "fix"
        self.export()

    def export(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        assert self.world.command("quarantine", "export", self.run, str(self.folder)).code == 0

    def edit(self, entity: str, change: Callable[[dict[str, str]], Any]) -> None:
        path = self.folder / f"{entity}.csv"
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = list(rows[0])
        for row in rows:
            change(row)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)

    def set(self, entity: str, key: int, **cells: str) -> None:
        self.edit(entity, lambda row: row["_key"] == f'["{key}"]' and row.update(cells))

    def replay(self, *more: str, files: str = "") -> Done:
        return self.world.command("quarantine", "replay", self.run, "--from", str(self.folder / files), *more)

    def replayed(self) -> dict[str, Any]:
        done = self.replay("--json")
        assert done.code == 0, done.out + done.err
        document: dict[str, Any] = done.document
        return document


@pytest.fixture
def fixing(tmp_path: Path) -> Fixing:
    return Fixing(crm(tmp_path / "crm"))


@pytest.mark.fineprint(14)
@pytest.mark.promise(10)
def test_f14_p10_corrected_rows_are_loaded_and_those_that_waited_follow(fixing: Fixing) -> None:
    """Same identity, only the rows corrected; the balance, the quarantine and the report of the run follow."""
    world = fixing.world
    before = world.target.rows(CONTACTS)
    assert world.codes("contacts") == {
        '["2"]': ["parent_quarantined"], '["3"]': ["parent_quarantined", "required"],
        '["4"]': ["db_unique"], '["5"]': ["email_syntax"],
    }  # fmt: skip
    fixing.set("accounts", 2, title="Bolt")
    fixing.set("contacts", 5, mail="eve@acme.io")
    document = fixing.replayed()
    assert document["corrected"] == {"accounts": 1, "contacts": 1}
    assert world.target.rows("SELECT legacy_id, name, revenue FROM accounts ORDER BY 1") == [
        ("1", "Acme", 10), ("2", "Bolt", 20), ("3", "Cato", 30),
    ]  # fmt: skip
    assert world.target.rows(CONTACTS) == [
        *before, ("2", "Bob", "bob@acme.io"), ("5", "=cmd()", "eve@acme.io"),
    ]  # fmt: skip
    assert world.codes("contacts") == {'["3"]': ["required"], '["4"]': ["db_unique"]}
    assert world.codes("accounts") == {}
    for told in (document, world.command("status", fixing.run, "--json").document):
        assert balance(told, "contacts")["loaded"] == 3
        assert balance(told, "contacts")["quarantined"] == 2
        assert balance(told, "accounts")["loaded"] == 3
    report = world.command("report", fixing.run, "--json").document
    assert report["balances"]["contacts"]["loaded"] == 3
    assert [(r["corrected"], r["loaded"]) for r in report["replays"]] == [(2, 3)]
    assert {(q["entity"], q["code"]) for q in report["quarantine"]} == {
        ("contacts", "required"), ("contacts", "db_unique"),
    }  # fmt: skip
    assert world.command("verify", fixing.run).code == 0


@pytest.mark.fineprint(14)
def test_f14_a_file_is_carried_out_once_and_what_fails_again_stays_with_its_new_reason(
    fixing: Fixing,
) -> None:
    world = fixing.world
    fixing.set("accounts", 2, title="Bolt")
    fixing.set("contacts", 4, mail="nowhere")  # was refused by the database, is no address now
    fixing.set("contacts", 3, full_name="Cy")
    first = fixing.replayed()
    assert world.codes("contacts") == {'["4"]': ["email_syntax"], '["5"]': ["email_syntax"]}
    [left] = [r for r in world.quarantine(fixing.run) if r["key"] == '["4"]']
    assert left["row"]["mail"] == "nowhere"  # as it was corrected
    again = fixing.replayed()
    assert (again["done_before"], again["replay"]) == (True, first["replay"])
    fixing.set("contacts", 3, full_name="Cyrus")
    is_one_clear_paragraph(fixing.replay().err, "out of date", "contacts.csv, line", "export")
    fixing.export()
    fixing.set("contacts", 4, mail="dee@acme.io")
    second = fixing.replayed()
    assert second["replay"] == f"{fixing.run}-r2"
    assert [r[0] for r in world.target.rows(CONTACTS)] == ["1", "2", "3", "4"]
    assert world.codes("contacts") == {'["5"]': ["email_syntax"]}
    assert world.command("verify", fixing.run).code == 0


@pytest.mark.fineprint(14)
def test_f14_the_next_run_knows_the_correction_until_the_source_row_changes(fixing: Fixing) -> None:
    """A stored patch on (system, entity, key, source hash): the bad value is still at the source, and the row unchanged."""
    world = fixing.world
    fixing.set("accounts", 2, title="Bolt")
    fixing.replayed()
    planned = world.command("plan", str(world.mapping), "--json").document
    assert planned["entities"]["accounts"]["unchanged"] == 3
    again = world.run()
    assert balance(again, "accounts") == {
        "in": 3, "loaded": 0, "unchanged": 3, "merged": 0, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert world.target.one("SELECT count(*) FROM accounts") == 3
    fixing.set("contacts", 5, mail="eve@acme.io")
    is_one_clear_paragraph(fixing.replay().err, "newer", "export")
    world.source.run(
        "UPDATE companies SET turnover = 21 WHERE id = 2"
    )  # another row now: it speaks for itself
    world.run()
    assert world.codes("accounts") == {'["2"]': ["required"]}
    world.source.run("UPDATE companies SET title = 'Bolt', turnover = 20 WHERE id = 2")  # as it was corrected
    assert balance(world.run(), "accounts")["unchanged"] == 3


@pytest.mark.fineprint(14)
@ENGINES
def test_f14_a_rollback_takes_replayed_rows_back_too(tmp_path: Path, target_url: str) -> None:
    world = crm(tmp_path / "crm", target_url)
    fixing = Fixing(world)
    fixing.set("accounts", 2, title="Bolt")
    fixing.set("contacts", 4, mail="dee@acme.io")  # was refused by the database
    replay = fixing.replayed()["replay"]
    assert [r[0] for r in world.target.rows(CONTACTS)] == ["1", "2", "4"]
    assert balance(world.run(), "accounts")["unchanged"] == 3
    seen = world.command("rollback", fixing.run, "--preview", "--json").document
    assert seen["conflicts"] == []
    assert world.target.one("SELECT count(*) FROM accounts") == 3
    done = world.command("rollback", fixing.run, "--yes", "--json")
    assert done.code == 0, done.out
    assert [r["run"] for r in done.document["replays"]] == [replay]
    assert done.document["proof"]["passed"]
    assert world.target.rows("SELECT * FROM accounts") == []
    assert world.target.ours("crosswalk") == 0
    is_one_clear_paragraph(fixing.replay().err, "rolled back")
    assert balance(world.run(), "accounts")["loaded"] == 3  # the correction is kept
    assert world.target.one("SELECT name FROM accounts WHERE legacy_id = '2'") == "Bolt"


def told(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What is undone of a run and of its replays, and what stays why."""
    every = [*document.get("replays", ()), document]
    conflicts = [sorted(tuple(c.items()) for c in one["conflicts"]) for one in every]
    return [(one["run"], one["entities"], kept) for one, kept in zip(every, conflicts, strict=True)]


def foretold_and_undone(world: World, run: str, code: int) -> dict[str, Any]:
    """The undo of a run, of which the preview has foretold everything."""
    seen = world.command("rollback", run, "--preview", "--json").document
    done = world.command("rollback", run, "--yes", "--json")
    assert done.code == code, done.out
    document: dict[str, Any] = done.document
    assert told(seen) == told(document)
    return document


@pytest.mark.fineprint(14, 32)
@ENGINES
def test_f14_f32_what_an_edited_replayed_row_keeps_is_foretold(tmp_path: Path, target_url: str) -> None:
    """Dee came by the replay and was edited: she stays, and so does her account, which the run itself had loaded."""
    world = crm(tmp_path / "crm", target_url)
    fixing = Fixing(world)
    fixing.set("accounts", 2, title="Bolt")
    fixing.set("contacts", 4, mail="dee@acme.io")
    fixing.replayed()
    world.target.run("UPDATE contacts SET name = 'Deedee' WHERE name = 'Dee'")
    done = foretold_and_undone(world, fixing.run, code=3)
    assert world.target.rows(
        "SELECT c.name, a.name FROM contacts c JOIN accounts a ON a.id = c.account_id"
    ) == [("Deedee", "Acme")]
    assert [c["reason"] for c in done["replays"][0]["conflicts"]] == ["changed since the load"]
    assert [c["reason"] for c in done["conflicts"]] == ["a row of contacts that stays refers to it"]


@pytest.mark.fineprint(14, 33)
def test_f14_f33_a_part_that_leaves_something_of_a_replay_is_refused_in_the_preview_too(
    fixing: Fixing,
) -> None:
    fixing.set("accounts", 2, title="Bolt")
    replay = fixing.replayed()["replay"]
    seen = fixing.world.command("rollback", fixing.run, "--preview", "--only", "contacts", "--json")
    assert seen.code == 2
    assert replay in seen.error["message"]


@pytest.mark.fineprint(14)
def test_f14_a_replay_undone_by_itself_takes_its_corrections_back(fixing: Fixing) -> None:
    world = fixing.world
    fixing.set("accounts", 2, title="Bolt")
    replay = fixing.replayed()["replay"]
    assert world.command("rollback", replay, "--yes").code == 0
    assert world.target.one("SELECT count(*) FROM accounts") == 2
    assert balance(world.command("status", fixing.run, "--json").document, "accounts")["quarantined"] == 1
    world.run()
    assert world.codes("accounts") == {'["2"]': ["required"]}


@pytest.mark.fineprint(14)
def test_f14_a_replay_undone_in_part_keeps_its_corrections_and_the_report_follows(fixing: Fixing) -> None:
    world = fixing.world
    fixing.set("accounts", 2, title="Bolt")
    fixing.set("contacts", 5, mail="eve@acme.io")
    replay = fixing.replayed()["replay"]
    assert world.command("rollback", replay, "--yes", "--only", "contacts").code == 0
    world.run()
    assert world.codes("accounts") == {}
    assert world.target.one("SELECT name FROM accounts WHERE legacy_id = '2'") == "Bolt"


@pytest.mark.fineprint(14)
def test_f14_what_was_given_up_is_no_correction_after_a_rollback(fixing: Fixing) -> None:
    world = fixing.world
    fixing.set("accounts", 2, title="Wrong")
    failpoints.arm("replay.begun:1:raise")
    assert fixing.replay().code == 1
    failpoints.arm()
    fixing.set("accounts", 2, title="Bolt")
    assert fixing.replayed()["replay"].endswith("-r2")
    assert world.command("rollback", fixing.run, "--yes").code == 0
    world.run()
    assert world.target.one("SELECT name FROM accounts WHERE legacy_id = '2'") == "Bolt"


@pytest.mark.fineprint(14)
def test_f14_the_runs_report_follows_its_replays(fixing: Fixing) -> None:
    """Of a replay that no longer verifies, and of one that was undone by itself."""
    world = fixing.world
    fixing.set("accounts", 2, title="Bolt")
    replay = fixing.replayed()["replay"]
    world.target.run("UPDATE accounts SET name = 'somebody' WHERE legacy_id = '2'")
    assert world.command("verify", fixing.run).code == 3
    assert world.command("report", fixing.run, "--json").document["state"] == "failed"
    world.target.run("UPDATE accounts SET name = 'Bolt' WHERE legacy_id = '2'")
    assert world.command("verify", fixing.run).code == 0
    assert world.command("report", fixing.run, "--json").document["state"] == "verified"
    assert world.command("rollback", replay, "--yes").code == 0
    found = world.command("report", fixing.run, "--json").document
    assert (found["state"], found["balances"]["accounts"]["quarantined"]) == ("verified", 1)
    assert [r["state"] for r in found["replays"]] == ["rolled_back"]


@pytest.mark.fineprint(14)
def test_f14_what_does_not_fit_is_refused_before_anything_is_written(fixing: Fixing) -> None:
    """Each in one paragraph that names the line; nothing is in the target or the ledger afterwards."""
    world, path = fixing.world, fixing.folder / "contacts.csv"
    exported = path.read_bytes()

    def refused(*words: str, code: int = 2) -> None:
        done = fixing.replay(files="contacts.csv")
        assert done.code == code, done.out + done.err
        is_one_clear_paragraph(done.err, "contacts.csv", "Nothing was changed", *words)
        path.write_bytes(exported)

    def changed(old: str, new: str) -> None:
        path.write_text(exported.decode().replace(old, new), encoding="utf-8")

    refused("no value was changed")
    path.write_text('"_run"x,_row\n', encoding="utf-8")
    refused("the file is no CSV", "line 1")
    fixing.edit("contacts", lambda row: row.update(_run="20200101-000000-abcd"))
    refused("run 20200101-000000-abcd", "line 2")
    fixing.edit("contacts", lambda row: row.update(_row=""))
    refused("`_row`", "line 2")
    fixing.set("contacts", 5, _row="4294967295-" + "0" * 32)
    refused("not in the quarantine")
    lines = exported.decode().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[-1]]), encoding="utf-8")
    refused("more than once", "line 5; ")
    fixing.set("contacts", 5, _key='["6"]')
    refused("`_key`", "line 4")
    fixing.set("contacts", 5, id="6")
    refused("'id' says which row", "line 4")
    fixing.set("contacts", 5, co="many")
    refused("'co' is no int", "line 4")
    changed("full_name", "full_nom")
    refused("no column 'full_nom'")
    changed("_row", "_rwo")
    refused("no column _row")
    path.write_bytes(exported.decode().replace("Bob", "Böb").encode("cp1252"))
    refused("not UTF-8", "CSV UTF-8", "line 2")
    path.write_bytes(exported.decode().encode("utf-16"))
    refused("UTF-16")
    path.write_text(exported.decode().replace("\r\n", ",more\r\n", 2), encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(",more", "", 1), encoding="utf-8")
    refused("cells", "line 2")
    is_one_clear_paragraph(fixing.replay(files="nobody.csv").err, "nobody.csv", "cannot be read")
    assert world.target.one("SELECT count(*) FROM contacts") == 1
    assert len(world.command("runs", "--json").document) == 1


@pytest.mark.fineprint(14)
def test_f14_what_an_unfinished_replay_was_given_is_not_exported_over(fixing: Fixing) -> None:
    """The corrections are a person's work: until the replay has ended they lie nowhere else."""
    fixing.set("contacts", 5, mail="eve@acme.io")
    path = fixing.folder / "contacts.csv"
    edited = path.read_bytes()
    failpoints.arm("replay.begun:1:raise")
    assert fixing.replay().code == 1
    failpoints.arm()
    again = fixing.world.command("quarantine", "export", fixing.run, str(fixing.folder))
    assert again.code == 2, again.out
    assert path.read_bytes() == edited
    assert fixing.replayed()["state"] in ("verified", "partial")


@pytest.mark.fineprint(14)
def test_f14_parquet_semicolons_and_a_preview(fixing: Fixing) -> None:
    """As spreadsheets write files: with a mark before the text and semicolons; and with what tells NULL from empty."""
    world = fixing.world
    fixing.set("accounts", 2, title='-Bolt, "and" sons')
    path = fixing.folder / "accounts.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    seen = fixing.replay("--preview", "--json").document
    assert (seen["replay"], seen["columns"]) == (None, {"accounts.title": 1})
    assert world.target.one("SELECT count(*) FROM accounts") == 2
    assert fixing.replayed()["corrected"] == {"accounts": 1}
    assert world.target.one("SELECT name FROM accounts WHERE legacy_id = '2'") == '-Bolt, "and" sons'
    out = world.folder / "parquet"
    assert world.command("quarantine", "export", fixing.run, str(out), "--format", "parquet").code == 0
    table = pq.read_table(out / "contacts.parquet")
    rows_ = table.to_pylist()
    [five] = [r for r in rows_ if r["_key"] == '["5"]']
    assert five["full_name"] == "=cmd()"  # no formula is run in Parquet
    five["mail"] = None
    pq.write_table(pa.Table.from_pylist(rows_, table.schema), out / "contacts.parquet")
    done = world.command("quarantine", "replay", fixing.run, "--from", str(out), "--json")
    assert done.document["columns"] == {"contacts.mail": 1}
    assert world.target.rows("SELECT name, email FROM contacts WHERE legacy_id = '5'") == [("=cmd()", None)]


@pytest.mark.fineprint(14)
def test_f14_a_corrected_value_that_a_loaded_row_has_speaks_against_the_corrected_row_alone(
    tmp_path: Path,
) -> None:
    world = crm(tmp_path / "crm")
    world.entities = ENTITIES.replace("check: email}", "check: [email, unique]}")
    world.source.run("UPDATE people SET mail = NULL WHERE id = 4")
    fixing = Fixing(world)
    fixing.set("contacts", 5, mail="ada@acme.io")
    document = fixing.replayed()
    assert document["loaded"] == 0
    assert world.codes("contacts")['["5"]'] == ["unique"]
    assert balance(document, "contacts")["loaded"] == 2
    assert world.command("verify", fixing.run).code == 0
