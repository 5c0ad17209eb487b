"""The dry run meets the target's real constraints (P4), and a run is held to its plan (P2)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runs import Db, World, bare, is_one_clear_paragraph, places_of, small

TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT CHECK (city <> 'Ghost Town'))"
)
SOURCE = "CREATE TABLE companies(id INTEGER PRIMARY KEY, company_name TEXT, town TEXT)"
ENTITIES = """
  accounts: {from: companies, key: id, into: accounts, fields: {name: company_name, city: town}}
"""


def world_of(folder: Path, target_url: str = "") -> World:
    world = bare(folder, [SOURCE], [TARGET], ENTITIES, target_url=target_url)
    world.source.fill(
        "companies", [(i, f"Company {i}", "Ghost Town" if i == 3 else "Leeds") for i in range(1, 7)]
    )
    return world


@pytest.mark.promise(4)
@pytest.mark.fineprint(28)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p4_the_rehearsal_finds_what_only_the_database_knows(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("pg_database") if engine == "postgresql" else ""
    world = world_of(tmp_path, url)
    world.target.fill("accounts", [("ours", "Ours", "Hull")])
    before, tables = world.target.rows("SELECT * FROM accounts"), world.target.tables()

    counted = world.command("plan", str(world.write()), "--json").document
    assert counted["entities"]["accounts"]["inserts"] == 6  # a count does not know the CHECK
    done = world.command("plan", str(world.mapping), "--rehearse", "--json")
    found = done.document["rehearsal"]
    assert (done.code, found["state"], found["failed"], found["error"]) == (0, "verified", [], None)
    assert [(r["entity"], r["code"], r["rows"]) for r in found["rejected"]] == [("accounts", "db_check", 1)]

    assert world.target.rows("SELECT * FROM accounts") == before
    assert world.target.tables() == tables  # none of ours either
    assert list((world.home / "plans").iterdir()) == []
    assert places_of([world.home], b"Company") == []
    if engine == "postgresql":
        assert (
            world.target.rows("SELECT datname FROM pg_database WHERE datname LIKE 'migrate_scratch_%'") == []
        )
    assert "1 rows refused (db_check" in world.command("plan", str(world.mapping), "--rehearse").out


def test_p4_a_rehearsal_that_fails_says_so_and_knows_earlier_runs(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.run()
    world.source.run("INSERT INTO companies VALUES (7, 'New', 'Ghost Town')")
    again = world.command("plan", str(world.mapping), "--rehearse", "--json").document
    assert again["rehearsal"]["state"] == "verified"
    plain = world.command("plan", str(world.mapping), "--json")
    assert (plain.code, plain.document["exit_code"]) == (0, 0)
    counts = again["entities"]["accounts"]
    assert (counts["inserts"], counts["unchanged"], counts["quarantined"]) == (2, 5, 0)  # 3 is tried again

    world.policy = "max_quarantine: 0%"
    done = world.command("plan", str(world.write()), "--rehearse", "--json")
    assert (done.code, done.document["exit_code"], done.document["rehearsal"]["state"]) == (4, 4, "failed")
    assert "refused more than 0 rows" in done.document["rehearsal"]["error"]["message"]


def plan_of(world: World) -> Path:
    out = world.folder / "plan.json"
    assert world.command("plan", str(world.write()), "--out", str(out)).code == 0
    return out


@pytest.mark.promise(2)
def test_p2_a_run_that_is_as_planned_runs(tmp_path: Path) -> None:
    world = small(tmp_path)
    document = world.run("--plan", str(plan_of(world)))
    assert document["state"] == "verified"
    assert world.run("--plan", str(plan_of(world)))["balances"]["contacts"]["unchanged"] == 3


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("INSERT INTO people VALUES (4, 1, 'Di', NULL)", "contacts: rows 3 planned, 4 now"),
        ("UPDATE people SET co = 9 WHERE id = 1", "contacts: inserts 3 planned, 2 now"),
        ("ALTER TABLE people ADD COLUMN fax TEXT", "the tables of source source changed"),
    ],
)
def test_p2_a_run_stops_where_the_plan_no_longer_holds(tmp_path: Path, change: str, words: str) -> None:
    world = small(tmp_path)
    plan = plan_of(world)
    world.source.run(change)
    is_one_clear_paragraph(
        world.says("--plan", str(plan), code=7), words, "since the plan" if "tables" in words else "planned"
    )
    is_one_clear_paragraph(world.says(code=7), words)  # a resumed run is still held to it
    assert world.target.rows("SELECT * FROM contacts") == []
    assert world.run("--fresh")["state"] == "verified"


def test_p2_the_mapping_counts_too_and_other_files_are_refused(tmp_path: Path) -> None:
    world = small(tmp_path)
    plan = plan_of(world)
    world.more = "description: another\n"
    assert "the mapping changed since the plan was made" in world.says("--plan", str(plan), code=7)
    for content, words in ((b"{", "not a plan"), (b'{"a": 1}', "not a plan"), (b"\xff", "not a plan")):
        plan.write_bytes(content)
        assert words in world.says("--plan", str(plan), code=2)
    assert "cannot be read" in world.says("--plan", str(tmp_path / "none.json"), code=2)
    plan.write_text(json.dumps({"mapping": "other", "digests": {}, "entities": {}}))
    assert "the plan of other" in world.says("--plan", str(plan), code=2)


def test_a_killed_rehearsal_is_swept_by_the_next_plan(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    left = world.home / "plans" / "plan-left" / "proof"
    left.mkdir(parents=True)
    (left.parent / "alive").touch()
    (left / "rows.parquet").write_bytes(b"Company")
    assert world.command("plan", str(world.write())).code == 0
    assert not left.exists()
    assert isinstance(world.target, Db)
