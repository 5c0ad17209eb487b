"""What a person reads of real runs: every command's terminal view, on real files and databases."""

from __future__ import annotations

import csv
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest
from migrate import api
from migrate.errors import UsageError

from tests.cli.test_process import PROGRAM, environment
from tests.runs import World, bare, command, files, small

MESSY_TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, legacy_id TEXT)",
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL, "
    "phone TEXT, legacy_id TEXT)",
)
MESSY = """
  accounts:
    from: companies
    where: "town <> 'Nowhere'"
    key: id
    into: accounts
    fields: {name: {from: company_name, check: [required]}, city: town, legacy_id: id}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      account_id: {from: co, ref: {to: accounts, missing: empty_and_flag}}
      name: full_name
      phone: {from: tel, check: [{pattern: '[0-9]+'}], on_fail: empty_and_flag}
      legacy_id: id
"""
COMPANIES = b"id,company_name,town\n1,Acme,Leeds\n2,Gone,Nowhere\n3,,York\n"
PEOPLE = (
    "id,co,full_name,tel\n1,2,Ada,12\n2,1,Bob,none\n3,1\n4,1,Caf\xe9\n5,3,Eve,55\n6,1,X,1\n6,1,Y,2\n".encode(
        "cp1252"
    )
)


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("messy")
    world = files(folder, {"companies.csv": COMPANIES, "people.csv": PEOPLE}, MESSY_TARGET, MESSY)
    world.source_more = ", nulls: [''], encoding: cp1252"
    world.run()
    return world


def test_values_changed_by_rule_are_in_the_summary_and_in_the_trace(messy: World) -> None:
    out = messy.command("report", "latest").out
    assert "Changed on the way by rule: 3 values" in out
    assert re.search(r"1\s+contacts\.phone\s+failed a check and was emptied", out)
    told = messy.command("trace", "latest", "contacts", "1", "--json").document
    assert messy.command("trace", "latest", "1", "contacts", "--json").document == told
    story = told["story"]
    (event,) = [s for s in story if s["where"] == "contacts.account_id"]
    assert event["what"].startswith("account_id: parent_excluded_emptied (points at a row that is left out")
    assert "parent_excluded_emptied" in messy.command("trace", "latest", "contacts", "1").out


def test_a_reason_is_said_once(messy: World) -> None:
    (row,) = api.quarantine("latest", entity="accounts", home=messy.home)
    assert row["reasons"] == ["name: required (empty)"]


def test_a_double_key_shows_both_rows(messy: World) -> None:
    found = api.trace("latest", "contacts", "6", home=messy.home)
    assert [s["full_name"] for s in found["sources"]] == ["X", "Y"]
    out = messy.command("trace", "latest", "contacts", "6").out
    assert "full_name: X" in out
    assert "full_name: Y" in out


def test_a_row_without_a_key_is_found_by_its_line_and_exported_as_it_stood(
    messy: World, tmp_path: Path
) -> None:
    assert "line:5" in messy.command("quarantine", "list", "latest").out
    shown = messy.command("quarantine", "show", "latest", "line:5")
    assert shown.code == 0
    assert "ragged_row" in shown.out
    assert "as it stood in the file: 4,1,Caf\\xe9" in shown.out
    messy.command("quarantine", "export", "latest", str(tmp_path / "out"))
    with (tmp_path / "out" / "contacts.csv").open(newline="", encoding="utf-8") as file:
        raws = {row["_line"]: row["_raw"].strip() for row in csv.DictReader(file)}
    assert raws["4"] == "3,1"
    assert raws["5"] == "4,1,Caf\\xe9"
    assert raws["7"] == ""


def test_a_cell_of_a_column_of_many_types_is_exported_as_its_value(tmp_path: Path) -> None:
    world = bare(
        tmp_path,
        (
            "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n INTEGER)",
            "INSERT INTO t VALUES (1, NULL, 'many'), (2, NULL, 7), (3, NULL, 1.5), (4, NULL, x'00ff'), (5, NULL, NULL)",
        ),
        ("CREATE TABLE s(id TEXT PRIMARY KEY, name TEXT NOT NULL, n TEXT)",),
        "  s: {from: t, key: id, into: s, fields: {name: {from: name, check: [required]}, n: n}}\n",
    )
    world.run()
    found = {r["key"]: r["row"]["n"] for r in world.quarantine()}
    assert found == {
        '["1"]': "many",
        '["2"]': 7,
        '["3"]': 1.5,
        '["4"]': {"base64": "AP8="},
        '["5"]': None,
    }


@pytest.mark.parametrize("stage", ["extract", "restore-test", "transform"])
def test_verify_of_an_unfinished_run_says_so(tmp_path: Path, stage: str) -> None:
    world = small(tmp_path)
    world.run("--to", stage)
    done = world.command("verify", "latest")
    assert done.code == 2
    assert "has not finished its load" in done.err
    assert "Run the same command again" in done.err
    world.run()
    assert world.command("verify", "latest").code == 0


def test_verify_shows_what_it_checked_now_one_line_per_entity(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    found = api.verify("latest", home=world.home)
    assert not [v for v in found["verdicts"] if v["check"].startswith(("L", "backup"))]
    lines = world.command("verify", "latest").out.splitlines()
    (accounts,) = [line for line in lines if " accounts: " in line]
    assert "2 rows as written" in accounts
    assert not [line for line in lines if "L5" in line]
    world.target.run("UPDATE contacts SET name = 'Eve' WHERE name = 'Ada'")
    assert world.command("verify", "latest").code == 3


def test_runs_say_what_they_loaded_and_what_a_rollback_kept(tmp_path: Path) -> None:
    world = small(tmp_path)
    first = world.run()["run"]
    second = world.run()["run"]
    assert {r["run"]: r["loaded"] for r in api.runs(home=world.home)} == {second: 0, first: 5}
    assert re.search(rf"{first}\s+small\s+verified\s+5 ", world.command("runs").out)
    empty = world.command("rollback", second, "--yes")
    assert empty.code == 2
    assert "there is nothing to undo" in empty.err
    world.target.run("UPDATE contacts SET name = 'Eve' WHERE name = 'Ada'")
    assert world.command("rollback", first, "--yes").code == 3
    kept = next(r for r in api.runs(home=world.home) if r["run"] == first)["kept"]
    assert kept == 2  # the row, and the company it belongs to
    assert re.search(rf"{first}\s+small\s+rolled_back\s+5\s+2 ", world.command("runs").out)
    out = re.sub(r"\s+", " ", world.command("report", first).out)
    assert f"{kept} rows were kept: changed since the load, or needed by rows that were." in out


def test_profile_takes_a_file_a_database_and_an_encoding(messy: World, tmp_path: Path) -> None:
    people = messy.folder / "exports" / "people.csv"
    refused = command("profile", str(people))
    assert refused.code == 2
    assert "--encoding" in refused.err
    done = command("profile", str(people), "--encoding", "cp1252")
    assert done.code == 0
    assert "people: 7 rows, broken: 2 ragged_row" in done.out
    assert "companies" not in done.out
    assert len([line for line in done.out.splitlines() if "tel" in line]) == 1
    whole = command("profile", str(people), "--encoding", "cp1252", "--json").document
    assert [c["name"] for c in whole["people"]["columns"]] == ["id", "co", "full_name", "tel"]
    path = tmp_path / "some.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t AS SELECT 'ab' AS name")
    connection.commit()
    connection.close()
    assert "t: 1 rows" in command("profile", str(path)).out
    assert command("profile", str(path), "--encoding", "cp1252").code == 2
    assert command("profile", str(tmp_path / "nothing.csv")).code == 5
    (tmp_path / "notes.docx").write_text("x")
    assert command("profile", str(tmp_path / "notes.docx")).code == 2


def test_one_file_is_profiled_whatever_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "a.tsv").write_text("x\ty\n1\t2\n")
    (tmp_path / "bad.csv").write_bytes(b"x\n\xff\n")
    assert list(api.profile(str(tmp_path / "a.csv"))) == ["a.csv"]


def test_doctor_holds_the_mapping_against_both_sides(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.write()
    assert world.command("doctor", str(world.mapping)).code == 0
    world.entities = world.entities.replace("name: full_name", "name: ful_name")
    world.write()
    done = world.command("doctor", str(world.mapping))
    assert done.code == 2
    assert "ful_name" in done.out
    assert "\\n" not in done.out
    missing = world.command("doctor", str(tmp_path / "nope.yaml"))
    assert missing.code == 2
    assert "there is no such file" in missing.out
    assert "\\n" not in missing.out


def test_a_backup_is_checked_by_a_restore_and_the_verdicts_stay(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    for backup in api.backups(home=world.home):
        before = len(api.backup_show(backup["id"], home=world.home)["verdicts"])
        done = world.command("backup", "check", backup["id"], "--level", "5")
        assert done.code == 0, done.out + done.err
        assert "L5: restored and equal" in done.out
        after = api.backup_show(backup["id"], home=world.home)["verdicts"]
        assert [v["check"] for v in after[before:]][-1] == "L5"
        assert len(after) > before
    whole = world.command("backup", "check", "latest", "--level", "5", "--json").document
    assert {v["evidence"]["table"] for v in whole if v["check"] == "L5 values"}


@pytest.mark.fineprint(26)
def test_f26_a_manifest_that_no_ledger_knows_is_restored_without_its_sql_and_proves_nothing(
    tmp_path: Path,
) -> None:
    world = small(tmp_path)
    world.run()
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    done = command(
        "backup",
        "check",
        "latest",
        "--level",
        "5",
        "--store",
        str(world.vault),
        "--home",
        str(alone),
        "--json",
    )
    assert done.code == 3
    assert "not trusted" in next(v["reason"] for v in done.document if v["check"] == "L5 expressions")


def test_a_damaged_backup_is_proven_no_longer(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    named = next(b["id"] for b in api.backups(home=world.home) if b["role"] == "source")
    for stored in world.objects():
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.chmod(0o600)
        stored.write_bytes(bytes(data))
    done = world.command("backup", "check", named, "--level", "5")
    assert done.code == 6
    assert "not restored" in done.out
    assert next(b["proven"] for b in api.backups(home=world.home) if b["id"] == named) is False


def test_a_postgres_backup_needs_a_place_for_its_check(tmp_path: Path, pg_database: str) -> None:
    world = small(tmp_path, "", pg_database)
    world.more = f"scratch: {{source: '{pg_database}'}}"
    world.run()
    named = next(b["id"] for b in api.backups(home=world.home) if b["engine"] == "postgresql")
    with pytest.raises(UsageError, match="none was named"):
        api.backup_check(named, level=4, home=world.home)
    done = world.command("backup", "check", named, "--level", "4", "--scratch", pg_database)
    assert done.code == 0, done.out + done.err
    left = world.source.rows("SELECT datname FROM pg_database WHERE datname LIKE 'migrate_check_%'")
    assert left == []


def test_a_restored_backup_is_shown_one_line_per_table(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    done = world.command("backup", "restore", "latest", "--into", f"sqlite:///{tmp_path}/restored.db")
    assert done.code == 0
    assert "every value is equal: 2 tables" in done.out
    assert len([line for line in done.out.splitlines() if "L5 values" in line]) == 2
    assert len(done.out.splitlines()) < 20


def test_the_look_line_works_where_the_user_stands(messy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIGRATE_HOME", raising=False)
    monkeypatch.chdir(messy.folder.parent)
    out = messy.command("report", "latest").out
    (look,) = [line for line in out.splitlines() if line.startswith("Look: migrate ")]
    assert "--home" in look
    assert command(*look.removeprefix("Look: migrate ").split()).code == 0
    monkeypatch.chdir(messy.folder)
    out = messy.command("report", "latest").out
    (look,) = [line for line in out.splitlines() if line.startswith("Look: migrate ")]
    assert "--home" not in look
    assert command(*look.removeprefix("Look: migrate ").split()).code == 0


def test_a_report_cut_short_by_its_reader_is_no_error(messy: World) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "report", "latest", "--home", str(messy.home)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # gone before the first line
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (0, b"")
