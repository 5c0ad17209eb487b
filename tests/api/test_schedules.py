"""Schedules carried out for real: jobs, their outcomes, and what doctor and status say of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.ledger import practice
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import JobRow

from tests.runs import Db, Done, command, complete, places_of, small

JOBS = """\
  nightly: {cron: "0 2 * * *", backup: crm.db}
  drill: {cron: "0 4 * * *", drill: latest, file: drill.yaml}
  tidy: {cron: "0 5 * * *", prune: {last: 1}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    crm = Db(f"sqlite:///{tmp_path}/crm.db")
    crm.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT)")
    crm.fill("people", [(n, f"n{n}") for n in range(1, 51)])
    write(tmp_path, JOBS)
    expect(tmp_path, 50)
    return tmp_path


def write(folder: Path, jobs: str) -> None:
    (folder / "schedule.yaml").write_text(f"migrate: 1\nname: acme\njobs:\n{jobs}")


def expect(folder: Path, people: int) -> None:
    (folder / "drill.yaml").write_text(
        f"migrate: 1\nqueries: [{{name: people, sql: SELECT count(*) FROM people, at_least: {people}}}]\n"
    )


def do(folder: Path, job: str) -> Done:
    return command("schedule", str(folder / "schedule.yaml"), "--job", job, "--json")


def rows(folder: Path) -> list[JobRow]:
    with Ledger.open(folder / ".migrate" / "ledger.db") as ledger:
        return practice.jobs(ledger)


def failing(folder: Path) -> dict[str, str]:
    checks = command("doctor", "--home", str(folder / ".migrate"), "--json").document
    return {c["check"]: c["found"] for c in checks if not c["passed"]}


def test_a_backup_a_drill_and_a_prune(folder: Path) -> None:
    for job in ("nightly", "drill", "nightly", "tidy"):
        done = do(folder, job)
        assert done.code == 0, done.out
        (outcome,) = done.document["outcomes"]
        assert (outcome["job"], outcome["state"], outcome["exit_code"]) == (job, "done", 0)
    assert outcome["facts"]["removed"]
    kept = rows(folder)
    assert [r.job for r in kept] == ["tidy", "nightly", "drill", "nightly"]
    assert kept[2].facts["drills"]
    assert failing(folder) == {}
    with Ledger.open(folder / ".migrate" / "ledger.db") as ledger:
        assert ledger.verify_audit() == []


def test_a_drill_that_fails_is_said_by_doctor_and_status_until_one_passes(folder: Path) -> None:
    do(folder, "nightly")
    expect(folder, 51)
    done = do(folder, "drill")
    assert done.code == 3
    assert "query people" in done.document["outcomes"][0]["reason"]
    assert failing(folder).keys() == {"drill drill of schedule acme", "last drill of crm"}
    doctor = command("doctor", "--home", str(folder / ".migrate"))
    assert doctor.code == 3
    assert "docs/drills.md" in doctor.out
    status = command("status", "--home", str(folder / ".migrate"))  # with backups and drills, and no run
    assert status.code == 3, status.err
    assert "There are no runs yet." in status.out
    assert "last drill of crm" in status.out
    expect(folder, 50)
    assert do(folder, "drill").code == 0
    assert failing(folder) == {}
    assert command("doctor", "--home", str(folder / ".migrate")).code == 0
    assert command("status", "--home", str(folder / ".migrate")).code == 2


def test_status_of_a_run_says_it_too(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    assert world.command("status").code == 0
    (tmp_path / "drill.yaml").write_text("migrate: 1\nqueries: [{of: target, sql: SELECT 1, equals: 2}]\n")
    assert world.command("drill", str(world.mapping), "-f", str(tmp_path / "drill.yaml")).code == 3
    done = world.command("status", "--json")
    assert done.code == 3
    assert [c["check"] for c in done.document["practice"]] == ["last drill of target (small)"]
    assert "last drill of target" in world.command("status").out
    assert world.command("doctor", str(world.mapping)).code == 3


def test_a_job_that_nobody_ran_is_missed(folder: Path) -> None:
    do(folder, "nightly")
    now = datetime.now(UTC)
    assert all(c["passed"] for c in api.practice_checks(folder / ".migrate", now=now))
    (missed,) = [
        c for c in api.practice_checks(folder / ".migrate", now=now + timedelta(days=2)) if not c["passed"]
    ]
    assert missed["check"] == "backup nightly of schedule acme"
    assert missed["found"].startswith("missed: it was due 20")
    assert missed["exit_code"] == 3
    with Ledger.open(folder / ".migrate" / "ledger.db") as ledger:
        practice.put_job(ledger, replace(practice.jobs(ledger)[0], seq=0, state="retired"))
    assert api.practice_checks(folder / ".migrate", now=now + timedelta(days=2)) == []


def test_a_job_that_was_killed_says_so(folder: Path) -> None:
    line = [sys.executable, "-m", "migrate", "schedule", str(folder / "schedule.yaml"), "--job", "nightly"]
    done = subprocess.run(
        line, env={**os.environ, "MIGRATE_FAILPOINT": "create.captured:1:kill"}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert failing(folder) == {"backup nightly of schedule acme": "broken off: the process ended"}
    assert do(folder, "nightly").code == 0
    assert failing(folder) == {}


def test_what_fails_says_why_and_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_URL", "postgresql://me:secret-canary@127.0.0.1:1/db")
    write(folder, '  pg: {cron: "0 2 * * *", backup: "${CRM_URL}", scratch: "${CRM_URL}"}\n' + JOBS)
    done = do(folder, "pg")
    assert done.code == 5
    (row,) = rows(folder)
    assert (row.state, row.exit_code) == ("failed", 5)
    assert "cannot connect" in row.reason
    assert places_of([folder / ".migrate"], b"secret-canary") == []
    assert "secret-canary" not in done.out
    assert do(folder, "nightly").code == 0  # the others go on


def test_what_is_wrong_is_said_before_anything_is_done(folder: Path) -> None:
    done = do(folder, "nothing")
    assert done.code == 2
    assert "nightly, drill, tidy" in done.error["hint"]
    done = command("schedule", str(folder / "schedule.yaml"), "--job", "tidy", "--print", "cron", "--json")
    assert done.code == 2
    write(folder, "  a: {cron: x, drill: latest}\n")
    done = command("schedule", str(folder / "schedule.yaml"), "--json")
    assert done.code == 2
    assert done.error["problems"][0]["where"].endswith("schedule.yaml:4:13")


def test_the_loop_carries_out_what_is_due_and_ends(folder: Path) -> None:
    write(
        folder,
        '  a: {cron: "* * * * *", backup: crm.db}\n  b: {cron: "* * * * *", drill: latest, file: none.yaml}\n',
    )
    last = datetime.now(UTC).replace(second=0, microsecond=0)
    home = folder / ".migrate"
    with Ledger.open(home / "ledger.db") as ledger:
        for job, kind in (("a", "backup"), ("b", "drill")):
            practice.put_job(
                ledger,
                JobRow(
                    "acme", job, kind, "* * * * *", "UTC", (last - timedelta(minutes=1)).isoformat(), "done"
                ),
            )
    told: list[dict[str, Any]] = []
    found = api.schedule(
        folder / "schedule.yaml", until=datetime.now(UTC) + timedelta(seconds=2), told=told.append, home=home
    )
    states = [(o["job"], o["state"]) for o in found["outcomes"]]
    assert states[:2] == [("a", "done"), ("b", "failed")]
    assert [t["state"] for t in told][:4] == ["running", "done", "running", "failed"]


def test_a_schedule_that_runs_already_is_told(folder: Path) -> None:
    program = _started(folder)
    try:
        done = command("schedule", str(folder / "schedule.yaml"), "--json")
        assert done.code == 8
        complete(done.error)
        assert do(folder, "nightly").code == 0  # one job by hand is no hindrance
    finally:
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_it_ends_in_order(number: int, folder: Path) -> None:
    program = _started(folder)
    program.send_signal(number)
    out, err = program.communicate(timeout=20)
    assert program.returncode == 0, err
    assert "ended: 0 outcomes" in out


def test_at_work_it_ends_with_9_and_the_job_is_on_record(folder: Path) -> None:
    line = [sys.executable, "-m", "migrate", "schedule", str(folder / "schedule.yaml"), "--job", "nightly"]
    program = subprocess.Popen(
        line,
        env={**os.environ, "MIGRATE_FAILPOINT": "create.captured:1:pause=30"},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (folder / ".migrate" / "ledger.db").exists() or not [
        r for r in rows(folder) if r.state == "running"
    ]:
        time.sleep(0.05)
    while not list((folder / ".migrate" / "work").glob("create-*/rows/capture.json")):
        time.sleep(0.05)
    program.send_signal(signal.SIGTERM)
    assert program.wait(20) == 9
    (row,) = rows(folder)
    assert (row.state, row.exit_code) == ("interrupted", 9)


def _started(folder: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "migrate", "schedule", str(folder / "schedule.yaml")]
    program = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ledger = folder / ".migrate" / "ledger.db"
    while not ledger.exists() or len([r for r in rows(folder) if r.state == "known"]) < 3:
        assert program.poll() is None
        time.sleep(0.1)
    time.sleep(0.3)
    return program
