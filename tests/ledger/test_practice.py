"""What the ledger keeps of drills and jobs, and that a ledger of the first layout learns it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from migrate.ledger import upgrade
from migrate.ledger.ledger import Ledger
from migrate.ledger.practice import drills, jobs, newest_jobs, put_drill, put_job
from migrate.ledger.records import JSON, DrillRow, JobRow

DRILL = DrillRow(
    id="d1", backup="b", vault="v", manifest_sha256="ab", mapping="", role="source", system="crm", engine="sqlite",
    state="running", started="2026-01-01T00:00:00+00:00", snapshot_at="2025-12-31T00:00:00+00:00", rows=3, bytes=9,
)  # fmt: skip
JOB = JobRow("s", "nightly", "backup", "0 2 * * *", "UTC", "2026-01-01T02:00:00+00:00", "done")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "home" / "ledger.db") as opened:
        yield opened


def test_a_drill_is_replaced_by_what_became_of_it(ledger: Ledger) -> None:
    put_drill(ledger, DRILL)
    verdict: dict[str, JSON] = {"check": "L5", "passed": True, "expected": "", "found": "", "reason": ""}
    ended = replace(DRILL, state="passed", rto_seconds=1.5, seconds={"load": 1.0}, verdicts=(verdict,))
    put_drill(ledger, ended)
    put_drill(ledger, replace(DRILL, id="d0", started="2025-01-01T00:00:00+00:00"))
    assert [d.id for d in drills(ledger)] == ["d1", "d0"]
    assert drills(ledger)[0] == ended


def test_jobs_are_appended_and_the_newest_of_each_is_known(ledger: Ledger) -> None:
    first = put_job(ledger, JOB)
    put_job(ledger, replace(JOB, job="weekly"))
    second = put_job(ledger, replace(JOB, state="running"))
    assert second > first
    assert put_job(ledger, replace(JOB, seq=second, state="failed", exit_code=3)) == second
    assert [(j.job, j.state) for j in newest_jobs(ledger)] == [("nightly", "failed"), ("weekly", "done")]
    assert len(jobs(ledger, schedule="s")) == 3
    assert jobs(ledger, schedule="other") == []


def test_a_ledger_of_the_first_layout_learns_of_drills_and_keeps_its_runs(tmp_path: Path) -> None:
    path = tmp_path / "home" / "ledger.db"
    path.parent.mkdir(mode=0o700)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = upgrade._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO run VALUES ('r1', 'm', 'd', 'verified', '2026-01-01T00:00:00+00:00', NULL, '{}')"
        )
    engine.dispose()
    with Ledger.open(path) as ledger:
        assert drills(ledger) == []
        put_drill(ledger, DRILL)
        assert [r.run for r in ledger.runs()] == ["r1"]
    assert list(path.parent.glob("*-from-0001-*"))
