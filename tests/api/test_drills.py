"""Drills: a backup restored for practice, compared, asked, timed, and remembered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from migrate import api, failpoints
from migrate.errors import GateClosed, MigrateError
from migrate.ledger import practice
from migrate.ledger.ledger import Ledger
from migrate.stores.local import LocalStore
from migrate.vault.verdicts import is_proven, verdicts

from tests.runs import Db, Done, command, is_one_clear_paragraph, open_files, places_of, small

PHASES = ["fetch", "decrypt", "decode", "schema", "load", "index", "verify", "queries"]
CANARY = "Ada Lovelace-Canary"


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def crm(tmp_path: Path) -> Db:
    found = Db(f"sqlite:///{tmp_path}/crm.db")
    found.run(
        "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, boss INTEGER REFERENCES people(id))",
        "CREATE UNIQUE INDEX people_name ON people(name)",
    )
    found.fill("people", [(1, CANARY, None), *((n, f"n{n}", 1) for n in range(2, 501))])
    return found


def practise(folder: Path, *arguments: str) -> Done:
    where = ["--store", str(folder / "vault"), "--home", str(folder / ".migrate")]
    return command("drill", *arguments, *where, "--json")


def backed_up(folder: Path, url: str, *arguments: str) -> str:
    where = ["--store", str(folder / "vault"), "--home", str(folder / ".migrate")]
    done = command("backup", "create", url, *arguments, *where, "--json")
    assert done.code == 0, done.out
    found: str = done.document["backup"]
    return found


def history(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = command("drills", "--home", str(folder / ".migrate"), "--json").document
    return found


def drill_file(folder: Path, *queries: str, more: str = "") -> str:
    path = folder / "drill.yaml"
    lines = "".join(f"  - {{{q}}}\n" for q in queries)
    path.write_text(f"migrate: 1\n{more}queries:\n{lines}")
    return str(path)


@pytest.mark.promise(30)
def test_p30_a_drill_restores_compares_asks_and_remembers(crm: Db, tmp_path: Path) -> None:
    name = backed_up(tmp_path, crm.url, "--no-prove")
    file = drill_file(
        tmp_path,
        "name: people, sql: SELECT count(*) FROM people, at_least: 500",
        f"name: first, sql: SELECT name FROM people WHERE id = 1, equals: {CANARY}",
        more="limits: {rpo: 1h, rto: 10m}\n",
    )
    done = practise(tmp_path, "latest", "--file", file)
    assert done.code == 0, done.out + done.err
    (found,) = done.document["drills"]
    assert found["backup"] == name
    assert list(found["seconds"]) == PHASES
    assert found["rto_seconds"] >= sum(v for k, v in found["seconds"].items() if k != "queries") * 0.9
    assert 0 < found["rpo_seconds"] < 600
    assert (found["rows"], found["engine"], found["state"]) == (500, "sqlite", "passed")
    assert found["rows_per_second"] > 0
    assert [q["found"] for q in found["queries"]] == ["500", "a text"]
    checks = [v["check"] for v in found["verdicts"]]
    assert checks[:2] == ["L0 manifest", "L1 objects"]
    assert checks[-6:] == ["L5", "query people", "query first", "limit rpo", "limit rto", "drill"]
    store = LocalStore(tmp_path / "vault")
    kept = [v.verdict for v in verdicts(store, name)]
    assert [v.check for v in kept] == checks
    assert kept[-1].evidence["rto_seconds"] == found["rto_seconds"]
    assert is_proven(store, name, found["manifest_sha256"])  # a drill is a proof
    (listed,) = history(tmp_path)["drills"]
    assert listed["drill"] == found["drill"]
    # nothing of the copy stays, and no value is told anywhere
    work = tmp_path / ".migrate" / "work"
    assert list(work.rglob("*")) == []
    assert open_files(tmp_path / ".migrate") == []
    assert places_of([tmp_path / ".migrate"], CANARY.encode()) == []
    assert CANARY not in done.out
    with Ledger.open(tmp_path / ".migrate" / "ledger.db") as ledger:
        assert ledger.scratches() == []
        assert ledger.verify_audit() == []


def test_a_server_of_its_own_kind_serves(pg_database: str, tmp_path: Path) -> None:
    source = Db(pg_database)
    source.run(
        "CREATE TABLE people(id int PRIMARY KEY, at timestamptz, paid numeric(12,2) CHECK (paid >= 0))",
        "INSERT INTO people SELECT n, '2026-01-01Z'::timestamptz + n * interval '1 day', n / 4.0 FROM generate_series(1, 1000) n",
    )
    backed_up(tmp_path, pg_database, "--no-prove")
    done = practise(tmp_path, "latest")
    assert done.code == 2
    assert "--scratch postgresql://" in done.error["hint"]
    assert history(tmp_path)["drills"] == []
    file = drill_file(
        tmp_path,
        "sql: SELECT sum(paid) FROM people, equals: 125125",
        "sql: SELECT max(at) FROM people, between: [2028-01-01, 2029-01-01]",
        "sql: 'SELECT count(*) FROM pg_indexes WHERE tablename = $$people$$', at_least: 1",
        more=f'scratch: "{pg_database}"\n',
    )
    done = practise(tmp_path, "latest", "--file", file)
    assert done.code == 0, done.out
    assert done.document["drills"][0]["queries"][0]["found"] == "125125.00"
    with Ledger.open(tmp_path / ".migrate" / "ledger.db") as ledger:
        assert not ledger.scratches()


def test_mariadb(my_database: str, tmp_path: Path) -> None:
    source = Db(my_database)
    source.run(
        "CREATE TABLE people(id int PRIMARY KEY, born date, paid decimal(12,2))",
        "INSERT INTO people VALUES (1, '1980-02-29', 0.10), (2, NULL, 0.20)",
    )
    backed_up(tmp_path, my_database, "--no-prove")
    file = drill_file(
        tmp_path,
        "sql: SELECT sum(paid) FROM people, equals: 0.3",
        "sql: SELECT min(born) FROM people, equals: 1980-02-29",
        "sql: SELECT count(*) FROM people, between: [1, 2]",
    )
    done = practise(tmp_path, "latest", "--file", file, "--scratch", my_database)
    assert done.code == 0, done.out
    assert [q["passed"] for q in done.document["drills"][0]["queries"]] == [True] * 3


def test_a_query_that_is_not_answered_as_declared_fails_the_drill_not_the_proof(
    crm: Db, tmp_path: Path
) -> None:
    name = backed_up(tmp_path, crm.url)
    file = drill_file(
        tmp_path,
        "name: enough, sql: SELECT count(*) FROM people, at_least: 501, why: the extract was cut",
        "name: reads, sql: DELETE FROM people, equals: 1",
        "name: exists, sql: SELECT nam FROM people, equals: 1",
    )
    done = practise(tmp_path, name, "-f", file)
    assert done.code == 3
    (found,) = done.document["drills"]
    assert found["state"] == "failed"
    assert found["failed"] == ["query enough", "query reads", "query exists", "drill"]
    assert "the extract was cut" in found["queries"][0]["reason"]
    assert found["queries"][0]["reason"].endswith("drill.yaml:3:5")
    assert is_proven(LocalStore(tmp_path / "vault"), name, found["manifest_sha256"])
    shown = command(
        "drill", name, "-f", file, "--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate")
    )
    assert shown.code == 3
    assert "501" in shown.out


@pytest.mark.parametrize(("limit", "word"), [("rpo: 1s", "limit rpo"), ("rto: 1s", "limit rto")])
def test_a_limit_that_is_not_kept_fails_the_drill(
    limit: str, word: str, crm: Db, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(tmp_path, crm.url, "--no-prove")
    if "rpo" in limit:
        later = datetime.now(UTC) + timedelta(hours=1)

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return later

        monkeypatch.setattr("migrate.api.drilling.datetime", Clock)
    else:
        failpoints.arm("vault.restore.compared:1:pause=1.1")
    done = practise(
        tmp_path,
        "latest",
        "-f",
        drill_file(tmp_path, "sql: SELECT 1, equals: 1", more=f"limits: {{{limit}}}\n"),
    )
    assert done.code == 3
    assert done.document["drills"][0]["failed"] == [word, "drill"]


@pytest.mark.promise(30)
def test_p30_damage_is_found_by_the_drill_and_the_backup_is_proven_no_more(crm: Db, tmp_path: Path) -> None:
    name = backed_up(tmp_path, crm.url)
    (part,) = (tmp_path / "vault" / "objects").iterdir()
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(data)
    done = practise(tmp_path, name, "-f", drill_file(tmp_path, "sql: SELECT 1, equals: 1"))
    assert done.code == 3
    (found,) = done.document["drills"]
    assert found["failed"][0] == "L4 restored"
    assert found["queries"] == []  # what another copy says proves nothing
    assert not is_proven(LocalStore(tmp_path / "vault"), name, found["manifest_sha256"])
    part.unlink()
    done = practise(tmp_path, name)
    assert done.code == 6
    assert done.document["drills"][0]["failed"][0] == "L1 objects"
    assert [d["state"] for d in history(tmp_path)["drills"]] == ["failed", "failed"]


def test_a_mapping_means_the_latest_backups_of_both_sides(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.write()
    with pytest.raises(GateClosed, match="no backup of the source acme and of the target"):
        api.drill(str(world.mapping), home=world.home)
    first = world.run()["run"]
    world.source.fill("people", [(9, 1, "New", "new@example.com")])
    second = world.run()["run"]
    assert first != second
    file = drill_file(
        tmp_path,
        "name: people, of: source, sql: SELECT count(*) FROM people, equals: 4",
        "name: the same, of: acme, sql: SELECT count(*) FROM people, equals: 4",
        "name: contacts, of: target, sql: SELECT count(*) FROM contacts, equals: 3",
    )
    done = world.command("drill", str(world.mapping), "-f", file, "--json")
    assert done.code == 0, done.out
    assert [d["role"] for d in done.document["drills"]] == ["source", "target"]
    assert all(d["backup"].startswith(second) for d in done.document["drills"])
    assert [len(d["queries"]) for d in done.document["drills"]] == [2, 1]
    assert {t["system"] for t in history(tmp_path)["trend"]} == {"acme", "target"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sql: SELECT 1, equals: 1", "must say `of` which it is asked"),
        ("sql: SELECT 1, equals: 1, of: elsewhere", "no backup that is restored here is `elsewhere`"),
    ],
)
def test_a_query_belongs_to_one_backup(query: str, said: str, tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    done = world.command("drill", str(world.mapping), "-f", drill_file(tmp_path, query), "--json")
    assert done.code == 2
    (problem,) = done.error["problems"]
    assert said in problem["message"]
    assert problem["where"].endswith("drill.yaml:3:5")
    assert history(tmp_path)["drills"] == []


def test_the_trend_holds_the_last_against_those_before(crm: Db, tmp_path: Path) -> None:
    backed_up(tmp_path, crm.url, "--no-prove")
    practise(tmp_path, "latest")
    with Ledger.open(tmp_path / ".migrate" / "ledger.db") as ledger:
        (row,) = practice.drills(ledger)
        for n, seconds in enumerate([10.0, 2.0, 4.0, 6.0]):  # the newest first
            at = f"2030-01-0{9 - n}T00:00:00+00:00"
            practice.put_drill(ledger, replace(row, id=f"d{n}", started=at, rto_seconds=seconds))
        practice.put_drill(
            ledger,
            replace(row, id="x", state="failed", started="2031-01-01T00:00:00+00:00", rto_seconds=None),
        )
    (trend,) = history(tmp_path)["trend"]
    assert (trend["drills"], trend["passed"], trend["last"]) == (6, 5, "failed")
    assert trend["last_passed_at"] == "2030-01-09T00:00:00+00:00"
    assert trend["rto_seconds"] == 10.0
    assert trend["rto_median"] == pytest.approx(3.0, abs=0.5)
    assert trend["rto_change"] > 1
    assert (
        command("drills", "--home", str(tmp_path / ".migrate"), "--limit", "2", "--json").document["drills"][
            1
        ]["drill"]
        == "d0"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nothing"], 2, "no backup is named"),
        (["latest", "--file", "{}/none.yaml"], 2, "no such file"),
        (["latest", "--scratch", "postgresql://nobody@127.0.0.1:1/x"], 2, "not restored in postgresql"),
    ],
)
def test_what_cannot_be_is_said(arguments: list[str], code: int, word: str, crm: Db, tmp_path: Path) -> None:
    backed_up(tmp_path, crm.url, "--no-prove")
    done = command(
        "drill",
        *(a.format(tmp_path) for a in arguments),
        "--store",
        str(tmp_path / "vault"),
        "--home",
        str(tmp_path / ".migrate"),
    )
    assert done.code == code, done.err
    assert word in done.err
    if "file" not in word:
        is_one_clear_paragraph(done.err, word)
    assert history(tmp_path)["drills"] == []


def test_an_empty_vault_and_no_vault(tmp_path: Path) -> None:
    done = practise(tmp_path, "latest")
    assert done.code == 2
    assert "no backup in this vault" in done.error["message"]
    assert command("drills", "--home", str(tmp_path / "none"), "--json").document == {
        "drills": [],
        "trend": [],
    }


def test_what_could_not_be_carried_out_is_on_record_and_is_no_pass(pg_database: str, tmp_path: Path) -> None:
    Db(pg_database).run("CREATE TABLE people(id int PRIMARY KEY)")
    name = backed_up(tmp_path, pg_database, "--no-prove")
    done = practise(tmp_path, name, "--scratch", "postgresql://me:secret-canary@127.0.0.1:1/x")
    assert done.code == 5
    (found,) = history(tmp_path)["drills"]
    assert (found["state"], found["passed"]) == ("broken off", False)
    assert "cannot connect" in found["reason"]
    assert places_of([tmp_path / ".migrate"], b"secret-canary") == []
    assert not verdicts(LocalStore(tmp_path / "vault"), name)


def test_no_rows_at_all(tmp_path: Path) -> None:
    empty = Db(f"sqlite:///{tmp_path}/empty.db")
    empty.run("CREATE TABLE people(id INTEGER PRIMARY KEY)")
    backed_up(tmp_path, empty.url, "--no-prove")
    done = practise(
        tmp_path, "latest", "-f", drill_file(tmp_path, "sql: SELECT max(id) FROM people, equals: null")
    )
    assert done.code == 0, done.out
    assert done.document["drills"][0]["rows"] == 0


def test_files_are_drilled_in_sqlite(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "people.csv").write_text("id,name\n1,Ada\n2,Bob\n")
    backed_up(tmp_path, str(tmp_path / "exports"), "--no-prove")
    done = practise(
        tmp_path, "latest", "-f", drill_file(tmp_path, "sql: SELECT count(*) FROM people, equals: 2")
    )
    assert done.code == 0, done.out
    assert "files" in done.document["drills"][0]["seconds"]


def test_interrupted_it_says_so_and_leaves_nothing(crm: Db, tmp_path: Path) -> None:
    backed_up(tmp_path, crm.url, "--no-prove")
    failpoints.arm("vault.restore.rows_restored:1:interrupt")
    done = practise(tmp_path, "latest")
    failpoints.arm()
    assert done.code == 9
    assert [(d["state"], d["reason"]) for d in history(tmp_path)["drills"]] == [
        ("broken off", "KeyboardInterrupt")
    ]
    assert list((tmp_path / ".migrate" / "work").iterdir()) == []


@pytest.mark.fineprint(27)
@pytest.mark.parametrize(
    ("point", "server"),
    [
        ("drill.scratch_registered", False),
        ("drill.scratch_created", True),
        ("vault.restore.rows_restored", False),
    ],
)
def test_f27_killed_it_is_found_by_the_next_one(
    point: str, server: bool, crm: Db, pg_database: str, tmp_path: Path
) -> None:
    source = Db(pg_database)
    source.run("CREATE TABLE people(id int PRIMARY KEY)", "INSERT INTO people SELECT generate_series(1, 100)")
    name = backed_up(tmp_path, pg_database if server else crm.url, "--no-prove")
    scratch = ["--scratch", pg_database] if server else []
    line = ["drill", name, *scratch, "--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate")]
    done = subprocess.run(
        [sys.executable, "-m", "migrate", *line],
        env=_killing(point),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger.open(tmp_path / ".migrate" / "ledger.db") as ledger:
        (left,) = ledger.scratches()
    assert history(tmp_path)["drills"][0]["state"] == "broken off"
    assert command(*line).code == 0
    with Ledger.open(tmp_path / ".migrate" / "ledger.db") as ledger:
        assert ledger.scratches() == []
    assert list((tmp_path / ".migrate" / "work").iterdir()) == []
    assert source.rows(f"SELECT 1 FROM pg_database WHERE datname = '{left.name}'") == []


def _killing(point: str) -> dict[str, str]:
    return {**os.environ, "MIGRATE_FAILPOINT": f"{point}:1:kill"}


def test_two_at_once_do_not_meet(pg_database: str, tmp_path: Path) -> None:
    source = Db(pg_database)
    source.run("CREATE TABLE people(id int PRIMARY KEY)", "INSERT INTO people SELECT generate_series(1, 100)")
    name = backed_up(tmp_path, pg_database, "--no-prove")
    line = [sys.executable, "-m", "migrate", "drill", name, "--scratch", pg_database]
    line += ["--store", str(tmp_path / "vault"), "--home", str(tmp_path / ".migrate")]
    slow = {**os.environ, "MIGRATE_FAILPOINT": "vault.restore.rows_restored:1:pause=2"}
    both = [
        subprocess.Popen(line, env=slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for one in both:
        _, err = one.communicate(timeout=60)
        assert one.returncode == 0, err
    assert [d["state"] for d in history(tmp_path)["drills"]] == ["passed", "passed"]
    assert len(verdicts(LocalStore(tmp_path / "vault"), name)) == 2 * 8


def test_a_run_of_a_mapping_is_not_confused_by_a_drill_that_was_killed(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    with Ledger.open(world.home / "ledger.db") as ledger:
        ledger.put_scratch("migrate_scratch_0123456789ab", "outside a run: 0", "drill d1")
    world.source.fill("people", [(9, 1, "New", None)])
    document = world.run()
    assert (document["state"], document["resumed"]) == ("verified", False)
    assert world.target.one("SELECT count(*) FROM contacts WHERE name = 'New'") == 1
    # no scratch database of the run's own is left on record
    with Ledger.open(world.home / "ledger.db") as ledger:
        assert {s.run for s in ledger.scratches()} <= {"drill d1"}


def test_the_python_interface_raises_what_the_command_line_says(tmp_path: Path) -> None:
    with pytest.raises(MigrateError):
        api.drill("latest", store=str(tmp_path / "vault"), home=tmp_path / ".migrate")
