"""`migrate demo` as a stranger runs it: the real process, the real databases, from nothing to a verified run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from migrate.report.meanings import MEANINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def migrate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIGRATE_", "DEMO_", "CI"))}
    return subprocess.run(
        [sys.executable, "-m", "migrate", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def document(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)


def rows(database: Path, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(query, parameters).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder in which the demo was run once, and what it answered."""
    folder = tmp_path_factory.mktemp("world")
    return folder, document(migrate(folder, "demo", "--json"))


def test_the_demo_is_verified_and_every_row_is_accounted_for(world: tuple[Path, dict[str, Any]]) -> None:
    _, run = world
    assert f"\ncd {run['folder']}\n" in README
    assert run["state"] == "verified"
    assert [s["stage"] for s in run["stages"]] == [
        "plan", "extract", "profile", "backup", "restore-test", "transform", "load", "verify", "report",
    ]  # fmt: skip
    assert all(v["passed"] for v in run["verdicts"])
    assert set(run["balances"]) == {
        "owners",
        "accounts",
        "contacts",
        "deals",
        "notes",
        "leads",
    }
    for entity, b in run["balances"].items():
        assert b["in"] == b["loaded"] + b["unchanged"] + b["merged"] + b["quarantined"] + b["excluded"], (
            entity
        )
    assert {e: b["in"] for e, b in run["balances"].items()} == {
        "owners": 14, "accounts": 400, "contacts": 2000, "deals": 800, "notes": 600, "leads": 240,
    }  # fmt: skip
    assert run["balances"]["accounts"]["excluded"] == 16
    assert run["balances"]["contacts"]["excluded"] == 24


def test_the_target_holds_what_the_balance_says(world: tuple[Path, dict[str, Any]]) -> None:
    folder, run = world
    target = folder / run["folder"] / "crm.db"
    assert rows(target, "PRAGMA foreign_key_check") == []
    own = {"deals": 40, "notes": 0, "leads": 30}
    for table, before in own.items():
        assert rows(target, f"SELECT count(*) FROM {table}") == [(before + run["balances"][table]["loaded"],)]
    coffee = "SELECT name FROM accounts WHERE legacy_id = '376'"
    assert rows(target, coffee) == [("Zoë's Café ☕ & Bäckerei",)]
    assert rows(target, "SELECT count(*) FROM contacts WHERE country = 'NO'") != [(0,)]  # Norway is not False
    assert rows(target, "SELECT count(*) FROM contacts WHERE legacy_no = '17'") == [(0,)]
    assert rows(target, "SELECT count(*) FROM contacts WHERE legacy_no = '000017'") == [
        (1,)
    ]  # leading zeros survive
    assert (
        rows(
            target,
            "SELECT count(*) FROM accounts a JOIN contacts c ON c.id = a.primary_contact_id AND c.account_id = a.id",
        )[0][0]
        > 100
    )


def test_rows_in_quarantine_are_explained(world: tuple[Path, dict[str, Any]]) -> None:
    folder, run = world
    found = document(migrate(folder / run["folder"], "quarantine", "list", "latest", "--json"))
    assert len(found) == sum(b["quarantined"] for b in run["balances"].values())
    codes = {code for row in found for code in row["codes"]}
    assert {
        "required", "unmapped_value", "type", "too_long", "key_missing", "key_not_unique", "ref_missing",
        "parent_quarantined", "db_unique", "db_check", "ragged_row", "bad_encoding", "unique", "range",
    } <= codes  # fmt: skip
    assert all(row["row"] is not None and row["reasons"] for row in found)


def test_the_summary_names_the_report_and_the_report_reads(world: tuple[Path, dict[str, Any]]) -> None:
    folder, run = world
    assert Path(folder, run["report"]).is_file()
    done = migrate(folder / run["folder"], "report", "latest")
    assert done.returncode == 0
    assert done.stdout.startswith("Verified")
    assert "Report: " in done.stdout


def test_the_report_tells_of_the_five_nightmares(world: tuple[Path, dict[str, Any]]) -> None:
    folder, run = world
    text = Path(folder, run["page"]).read_text(encoding="utf-8")
    for caught in (
        "stale deals in the forecast",
        "rows of leads that are somebody who is known already (accounts by domain of email: 1 linked; contacts by email: 4 linked)",
        "backups, unproven until now: restored",
        "duplicates: rows that became one",
        "dead e-mail addresses that did not move",
        "kept longer than the rule allows (retention: archived)",
    ):
        assert caught in text


def test_the_report_shows_every_rule_doing_something(world: tuple[Path, dict[str, Any]]) -> None:
    """Every code of the rules about quality and consent, and every other way in which a row is decided about."""
    folder, run = world
    found = json.loads(Path(folder, run["report"]).read_text(encoding="utf-8"))
    told = {q["code"] for q in found["quarantine"]}
    told |= {name.partition(": ")[2].removesuffix("_emptied") for name in found["events"]}
    about_values = {"required", "unique", "pattern", "range", "max_length"}
    in_order = list(MEANINGS)
    first, last = in_order.index("email_syntax"), in_order.index("consent_unknown")
    codes = {*about_values, *in_order[first : last + 1], "nobody_to_call"} - {
        "expr"
    }  # it has a name of its own
    # Nobody is asked by the demo, and it has no list of bounced addresses; what is emptied is told as that.
    assert codes - told == {"email_no_mx", "email_bounced", "pattern"}
    assert found["events"]["accounts.phone: emptied"]
    assert {
        "type",
        "unmapped_value",
        "ref_missing",
        "parent_quarantined",
        "match_conflict",
        "db_unique",
    } <= told

    assert found["duplicates"]["leads"]["merged"] == 6
    assert found["review"] == {"leads": 1}
    assert found["known_as"]["leads"]["rows"] == 5
    assert found["archived"]["notes"]["rows"] > 100
    assert found["stale"]["deals.closes_on"]["sum"]
    assert [c["column"] for kind in ("empty", "rare") for c in found["columns"][kind]] == ["pager", "mobile"]
    assert all(
        found["quality"]["notes"]["scores"][s]["after"] for s in ("validity", "timeliness", "consistency")
    )
    # Survivorship: values of the latest of two, and every one says whose it is.
    lineage = Path(folder, run["report"]).parent / "transform" / "leads" / "lineage.parquet"
    assert pq.read_table(lineage).num_rows > 0


def test_the_second_run_changes_nothing(world: tuple[Path, dict[str, Any]]) -> None:
    folder, run = world
    before = rows(folder / run["folder"] / "crm.db", "SELECT * FROM contacts ORDER BY id")
    again = document(migrate(folder, "demo", "--json"))
    assert again["state"] == "verified"
    for entity, balance in again["balances"].items():
        assert balance["loaded"] == 0, entity
        assert balance["in"] == run["balances"][entity]["in"]
    assert rows(folder / run["folder"] / "crm.db", "SELECT * FROM contacts ORDER BY id") == before


def test_trace_tells_a_rows_story(world: tuple[Path, dict[str, Any]]) -> None:
    folder, run = world
    told = document(migrate(folder / run["folder"], "trace", "latest", "contacts", "000017", "--json"))
    assert told["story"]
    assert told["source"]["person_no"] == "000017"


def test_rollback_brings_the_target_back(tmp_path: Path) -> None:
    run = document(migrate(tmp_path, "demo", "made", "--json"))
    assert run["folder"] == "made"
    tables = ("users", "accounts", "contacts", "deals", "notes", "leads")
    from migrate.demo.generate import generate

    generate(tmp_path / "fresh")
    made = tmp_path / "made"
    document(migrate(made, "quarantine", "export", run["run"], "fix", "--json"))
    path = made / "fix" / "accounts.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",Ruritania,", ",Wales,"), encoding="utf-8")
    replayed = document(migrate(made, "quarantine", "replay", run["run"], "--from", "fix", "--json"))
    # The company, and a deal that waited for it.
    assert (replayed["corrected"], replayed["loaded"]) == ({"accounts": 1}, 2)
    report = json.loads((made / replayed["report"]).read_text(encoding="utf-8"))
    assert [r["loaded"] for r in report["replays"]] == [2]
    undone = document(migrate(made, "rollback", run["run"], "--yes", "--json"))
    assert undone["proof"]["passed"]
    for table in tables:
        query = f"SELECT * FROM {table} ORDER BY id"
        assert rows(tmp_path / "made" / "crm.db", query) == rows(tmp_path / "fresh" / "crm.db", query), table


def test_the_projects_copy_of_the_mapping_runs_too(tmp_path: Path) -> None:
    """mappings/demo.yaml finds the same databases through DEMO_FOLDER."""
    from migrate.demo.generate import generate

    generate(tmp_path / "data")
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "demo.yaml").write_text((ROOT / "mappings" / "demo.yaml").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "run", "mappings/demo.yaml", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DEMO_FOLDER": "data"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert document(done)["state"] == "verified"
