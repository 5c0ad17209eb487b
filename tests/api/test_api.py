"""The public interface over one real run: what a notebook sees."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import MigrateError, UsageError

from tests.runs import Db, World, files

TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, legacy_id TEXT)",
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL CHECK (name <> 'Bad'), legacy_id TEXT)",
)
MAPPED = """
  accounts:
    from: companies
    where: "town IS NULL OR town <> 'Nowhere'"
    key: id
    into: accounts
    fields: {name: {from: company_name, check: [required]}, city: town, legacy_id: id}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      account_id: {from: co, ref: accounts}
      name: {from: full_name, check: [{max_length: 20}]}
      legacy_id: id
"""
COMPANIES = b'id,company_name,town\r\n1,Acme,Leeds\r\n2,"Bolt, Ltd",\r\n3,,York\r\n4,Zed,Nowhere\r\n5,=HYPER,@x\r\n5,+1,-2\r\n'
PEOPLE = b"id,co,full_name\r\n1,1,Ada\r\n2,9,=cmd()\r\n3,1,@sum but far too long\r\n4,3,-1\r\n5,1\r\n6,2,Bad\r\n7,4,Di\r\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("api")
    made = files(folder, {"companies.csv": COMPANIES, "people.csv": PEOPLE}, TARGET, MAPPED)
    made.source_more = ", nulls: ['']"
    made.write()
    return made


@pytest.fixture(scope="module")
def done(world: World) -> dict[str, Any]:
    return api.run(world.mapping, home=world.home)


def test_a_run_in_its_documented_shape(world: World, done: dict[str, Any]) -> None:
    assert done["state"] == "verified"
    assert [s["stage"] for s in done["stages"]][-1] == "report"
    assert done["balances"]["accounts"] == {
        "in": 6, "loaded": 2, "unchanged": 0, "merged": 0, "quarantined": 3, "excluded": 1,
    }  # fmt: skip
    assert done["balances"]["contacts"]["quarantined"] == 6
    assert all(set(v) == {"check", "passed", "expected", "found", "reason"} for v in done["verdicts"])
    json.dumps(done)


def test_status_and_runs(world: World, done: dict[str, Any]) -> None:
    found = api.status(home=world.home)
    assert found["run"] == done["run"]
    assert found["resumable"] is False
    assert found["balances"] == done["balances"]
    assert [(r["run"], r["state"], r["mapping"]) for r in api.runs(home=world.home)] == [
        (done["run"], "verified", "small")
    ]
    assert api.status(done["run"][:10], home=world.home)["run"] == done["run"]
    with pytest.raises(UsageError):
        api.status("2020", home=world.home)


@pytest.mark.promise(7)
def test_p7_quarantine_holds_line_bytes_codes_and_the_row(world: World, done: dict[str, Any]) -> None:
    rows = api.quarantine("latest", home=world.home)
    people = {r["key"]: r for r in rows if r["entity"] == "contacts" and r["key"]}
    assert {k: r["codes"] for k, r in people.items() if r["stage"] == "transform"} == {
        '["2"]': ["ref_missing"],
        '["3"]': ["max_length"],
        '["4"]': ["parent_quarantined"],
        '["7"]': ["parent_excluded"],
    }
    assert people['["6"]']["codes"] == ["db_check"]
    assert people['["6"]']["stage"] == "load"
    assert people['["2"]']["line"] == 3
    assert people['["2"]']["row"] == {"id": "2", "co": "9", "full_name": "=cmd()"}
    broken = [r for r in rows if r["codes"] == ["ragged_row"]]
    assert [(r["line"], r["raw"].strip()) for r in broken] == [(6, "5,1")]
    assert {tuple(r["codes"]) for r in api.quarantine("latest", entity="accounts", home=world.home)} == {
        ("required",),
        ("key_not_unique",),
    }
    with pytest.raises(UsageError):
        api.quarantine("latest", entity="nobody", home=world.home)


def test_an_export_runs_no_formula_and_is_private(world: World, done: dict[str, Any], tmp_path: Path) -> None:
    written = api.quarantine_export("latest", tmp_path / "out", home=world.home)
    assert sorted(Path(p).name for p in written) == ["accounts.csv", "contacts.csv"]
    for path in map(Path, written):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with path.open(newline="") as file:
            for row in csv.reader(file):
                assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
    with Path(tmp_path / "out" / "contacts.csv").open(newline="") as file:
        by_key = {r["_key"]: r for r in csv.DictReader(file)}
    assert by_key['["2"]']["full_name"] == "'=cmd()"
    assert by_key['["2"]']["_codes"] == "ref_missing"
    assert by_key['["4"]']["full_name"] == "'-1"


def test_trace_tells_every_kind_of_story(world: World, done: dict[str, Any]) -> None:
    def told(entity: str, key: str) -> str:
        found = api.trace("latest", entity, key, home=world.home)
        return " | ".join(s["what"] for s in found["story"])

    loaded = api.trace("latest", "contacts", "1", home=world.home)
    assert loaded["source"] == {"id": "1", "co": "1", "full_name": "Ada"}
    assert loaded["target"]["name"] == "Ada"
    assert loaded["story"][-1]["what"] == "is in the target"
    assert "insert by run" in told("contacts", "1")
    assert "left out by where" in told("accounts", "4")
    assert "quarantined (account_id: ref_missing (accounts))" in told("contacts", "2")
    assert "refused by the database: db_check" in told("contacts", "6")
    assert told("accounts", "5").count("key_not_unique") == 2
    assert api.trace("latest", "contacts", '["1"]', home=world.home)["key"] == '["1"]'
    for entity, key in (("contacts", "99"), ("nobody", "1")):
        with pytest.raises(UsageError):
            api.trace("latest", entity, key, home=world.home)


def test_the_report_is_there_and_can_be_made_again(world: World, done: dict[str, Any]) -> None:
    first = api.report("latest", home=world.home)
    Path(first["path"]).unlink()
    second = api.report("latest", home=world.home)
    assert second["balances"] == first["balances"] == done["balances"]
    assert Path(second["path"]).is_file()
    assert "Ada" not in Path(second["path"]).read_text()


def test_plan_counts_what_a_run_would_do(world: World, done: dict[str, Any]) -> None:
    """After the run, so everything that was loaded is unchanged; nothing is written anywhere."""
    before = sorted(p for p in world.vault.rglob("*"))
    found = api.plan(world.mapping, home=world.home)
    assert found["order"] == ["accounts", "contacts"]
    assert found["entities"]["accounts"]["unchanged"] == 2
    assert found["entities"]["accounts"]["inserts"] == 0
    assert found["entities"]["contacts"]["rows"] == 7
    assert sorted(p for p in world.vault.rglob("*")) == before
    assert len(api.runs(home=world.home)) == 1


def test_backups_are_listed_shown_checked_and_restored(
    world: World, done: dict[str, Any], tmp_path: Path
) -> None:
    found = api.backups(home=world.home)
    assert {b["role"] for b in found} == {"source", "target"}
    assert all(b["proven"] for b in found)
    target = next(b for b in found if b["role"] == "target")
    shown = api.backup_show(target["id"], home=world.home)
    assert {t["table"]: t["rows"] for t in shown["tables"]} == {"accounts": 0, "contacts": 0}
    assert {v["check"].split()[0] for v in shown["verdicts"]} >= {"L0", "L1", "L2", "L3", "L4", "L5"}
    assert all(v["passed"] for v in api.backup_check(target["id"], home=world.home))
    place = tmp_path / "restored.db"
    restored = api.backup_restore(target["id"], f"sqlite:///{place}", home=world.home)
    assert restored["passed"] is True
    assert set(Db(f"sqlite:///{place}").tables()) >= {"accounts", "contacts"}
    again = api.backup_restore(target["id"], f"sqlite:///{place}", home=world.home)
    assert (again["state"], again["passed"]) == ("there already", True)  # compared again, nothing written
    Db(f"sqlite:///{place}").run("INSERT INTO accounts (id, name) VALUES ('x', 'Somebody')")
    with pytest.raises(MigrateError):  # it holds other rows by now (P27)
        api.backup_restore(target["id"], f"sqlite:///{place}", home=world.home)
    with pytest.raises(UsageError):
        api.backup_show("no-such-backup", home=world.home)


def test_profile_masks_unless_it_is_told_not_to(world: World) -> None:
    url = f"files:{world.folder / 'exports'}"
    masked = json.dumps(api.profile(url))
    assert "Leeds" not in masked
    plain = api.profile(url, tables=["companies"], samples=True)
    assert "Leeds" in json.dumps(plain)
    assert set(plain) == {"companies"}
    with pytest.raises(UsageError):
        api.profile(url, tables=["nothing"])


def test_doctor_says_what_will_not_work(world: World, tmp_path: Path) -> None:
    assert all(c["passed"] for c in api.doctor(world.mapping, home=world.home))
    broken = tmp_path / "broken.yaml"
    broken.write_text("migrate: 1\nname: x\n")
    found = {c["check"]: c["passed"] for c in api.doctor(broken)}
    assert found["mapping"] is False
    assert found["Python"] is True


@pytest.mark.promise(16)
def test_p16_verify_reads_the_target_again(world: World, done: dict[str, Any]) -> None:
    assert api.verify("latest", home=world.home)["run"] == done["run"]
    world.target.run("UPDATE contacts SET name = 'Eve' WHERE name = 'Ada'")
    with pytest.raises(MigrateError) as caught:
        api.verify("latest", home=world.home)
    assert caught.value.exit_code == 3
    assert "Eve" not in str(caught.value)
    differences = json.loads(
        (world.run_folder(done["run"]) / "verify" / "contacts.differences.json").read_text()
    )
    assert [(c["column"], c["expected"], c["found"]) for c in differences["cells"]] == [
        ("name", "Ada", "Eve")
    ]
    world.target.run("UPDATE contacts SET name = 'Ada' WHERE name = 'Eve'")
    assert api.verify("latest", home=world.home)["exit_code"] == 0


def test_options_that_mean_nothing_are_refused(world: World) -> None:
    with pytest.raises(UsageError):
        api.run(world.mapping, workers=0, home=world.home)
    with pytest.raises(UsageError):
        api.run(world.mapping, to="nowhere", home=world.home)
    with pytest.raises(UsageError):
        api.run(world.mapping, only=["nobody"], home=world.home)
