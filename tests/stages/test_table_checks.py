"""Checks over tables in whole runs: what would be lost stops before the load, what was lost fails verification."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from migrate import api

from tests.runs import World, balance, bare

SOURCE = (
    "CREATE TABLE opportunities(id INTEGER PRIMARY KEY, phase TEXT, worth DECIMAL(12,2))",
    "INSERT INTO opportunities VALUES (1, 'new', 10.25), (2, 'in work', 20), (3, 'signed', 999.5), (4, 'signed', NULL), (5, 'lost', -3)",
)
TARGET = (
    "CREATE TABLE deals(id TEXT PRIMARY KEY, stage TEXT, amount DECIMAL(12,2) CHECK (amount < 10000), legacy_id TEXT)",
)
DEALS = """
  deals:
    from: opportunities
    key: id
    into: deals
    fields:
      stage: {from: phase, map: {new: open, "in work": open, signed: won, lost: lost}}
      amount: worth
      legacy_id: id
"""
CHECKS = (
    "checks: [{sum: amount, of: deals, by: stage}, {count: deals}, {count: amount, of: deals, by: stage}]"
)


def world(folder: Path, *more: str, checks: str = CHECKS, entities: str = DEALS) -> World:
    return bare(folder, (*SOURCE, *more), TARGET, entities, more=checks)


def test_sums_and_counts_are_the_same_and_stay_so_when_somebody_edits_the_target(tmp_path: Path) -> None:
    made = world(tmp_path)
    first = made.run()
    assert {v["check"]: (v["passed"], v["expected"], v["found"]) for v in first["verdicts"][-3:]} == {
        "sum deals.amount by stage": (True, "1026.75 in 3 groups", "1026.75"),
        "count deals": (True, "5", "5"),
        "count deals.amount by stage": (True, "4 in 3 groups", "4"),
    }
    report = api.report("latest", home=made.home)
    (total, *_) = report["checks"]
    assert [(g["of"], g["before"], g["after"]) for g in total["groups"]] == [
        ({"stage": "won"}, "999.5", "999.5"),
        ({"stage": "open"}, "30.25", "30.25"),
        ({"stage": "lost"}, "-3", "-3"),
    ]
    assert "sum deals.amount by stage: 1026.75 before, 1026.75 after" in made.command("report", "latest").out

    made.target.run("UPDATE deals SET amount = 1 WHERE legacy_id = '3'")
    made.source.run(
        "INSERT INTO opportunities VALUES (6, 'new', 5)", "DELETE FROM opportunities WHERE id = 5"
    )
    second = made.run()
    assert balance(second, "deals")["unchanged"] == 4
    found = second["verdicts"][-3]
    assert (found["passed"], found["expected"]) == (True, "35.25 in 2 groups")
    assert found["found"] == "35.25, 1 row edited there since left out"
    assert "sum deals.amount by stage: 35.25" in made.command("verify", "latest").out


def test_what_quarantine_would_take_stops_before_the_load_unless_the_check_allows_it(tmp_path: Path) -> None:
    made = world(tmp_path, "INSERT INTO opportunities VALUES (7, 'parked', 4)")
    error = made.run(code=3)
    assert error["message"] == (
        "sum deals.amount by stage would not be the same in the target: 1030.75 in 4 groups before, 1026.75 after "
        "(apart in 1 of 4 groups, 4 in all; 4 in 1 row in quarantine)"
    )
    assert error["kept"].startswith("Nothing was loaded")
    assert made.target.one("SELECT count(*) FROM deals") == 0
    out = tmp_path / "plan.json"
    done = made.command("plan", str(made.mapping), "--json", "--out", str(out))
    assert (done.code, done.document["exit_code"]) == (3, 3)
    assert "would not be the same" in done.document["problems"][0]["message"]
    assert json.loads(out.read_text()) == done.document
    assert "a run would stop with exit code 3" in made.command("plan", str(made.mapping)).out
    made.more = (
        "checks: [{sum: amount, of: deals, within: 0.4%}, {count: deals, within: 20%, why: one is parked}]"
    )
    done = made.run()
    assert [v["passed"] for v in done["verdicts"][-2:]] == [True, True]
    assert done["verdicts"][-1]["found"] == "5"


def test_groups_that_differ_before_the_load_are_named_in_a_private_file_and_nowhere_else(
    tmp_path: Path,
) -> None:
    made = world(
        tmp_path,
        "INSERT INTO opportunities VALUES (7, 'zzz-kept-apart', 4)",
        entities=DEALS.replace("lost: lost", "lost: lost, zzz-kept-apart: zzz-group").replace(
            "amount: worth", "amount: {from: worth, check: [{range: {min: -5, max: 900}}]}"
        ),
    )
    made.source.run("UPDATE opportunities SET worth = 901.5 WHERE id = 7")
    error = made.run(code=3)
    run = made.command("runs", "--json").document[0]["run"]
    path = made.run_folder(run) / "transform" / "checks.differences.json"
    assert str(path) in error["hint"]
    assert path.stat().st_mode & 0o777 == 0o600
    sums = {one["check"]: one["groups"] for one in json.loads(path.read_text())}
    apart = {
        group["of"]["stage"]: (group["before"], group["after"]) for group in sums["sum deals.amount by stage"]
    }
    assert apart == {"won": ("999.5", "0"), "zzz-group": ("901.5", "0")}
    assert "zzz-group" not in made.printed()
    told = [
        made.home / "ledger.db",
        made.run_folder(run) / "report.json",
        made.run_folder(run) / "report.html",
    ]
    assert not [file for file in told if b"zzz-group" in file.read_bytes()]
    # What a plan found is gone with it: its hint names no file and no run.
    (problem, *_) = made.command("plan", str(made.mapping), "--json").document["problems"]
    assert "--to transform" in problem["hint"]
    assert "differences" not in problem["hint"]


def test_what_the_database_refuses_fails_verification(tmp_path: Path) -> None:
    made = world(tmp_path, "INSERT INTO opportunities VALUES (7, 'new', 20000), (8, 'signed', 9)")
    error = made.run(code=3)
    assert (
        "verification failed: sum deals.amount by stage: apart in 1 of 3 groups, 20000 in all"
        in error["message"]
    )
    assert "20000 in 1 row in quarantine" in error["message"]
    out = made.command("report", "latest").out
    assert "20030.25" in out
    assert "-20000" in out
    assert made.target.one("SELECT count(*) FROM deals") == 6


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ("[{sum: stage, of: deals}]", '"stage" holds text values, which make no sum'),
        ("[{sum: amount, of: deals, by: legacy_id}, {count: amount, of: deals}]", ""),
    ],
)
def test_plan_looks_at_the_types(tmp_path: Path, checks: str, said: str) -> None:
    made = world(tmp_path, checks=f"checks: {checks}")
    done = made.command("plan", str(made.write()))
    assert done.code == (2 if said else 0)
    assert said in done.err
    assert not said or "m.yaml:6:11" in done.err


def test_rounding_emptied_values_and_defaults_are_differences_to_the_source(tmp_path: Path) -> None:
    """The source's own figures count where it has plain ones; else those that the mapping reads."""
    made = world(
        tmp_path,
        "CREATE TABLE offers(id INTEGER PRIMARY KEY, phase TEXT, worth TEXT)",
        "INSERT INTO offers VALUES (1, 'new', '10.4'), (2, 'in work', '9000'), (3, 'signed', '£1,200.50'), (4, 'lost', NULL)",
        checks="checks: [{sum: amount, of: deals, by: stage}, {count: amount, of: deals, within: 100%}]",
        entities=DEALS.replace("opportunities", "offers").replace(
            "amount: worth",
            "amount: {from: worth, do: [currency, {round: 0}], lossy: allow, default: '7', "
            "check: [{range: {max: 5000}, on_fail: empty_and_flag}]}",
        ),
    )
    error = made.run(code=3)
    assert (
        "10211.4 in 3 groups before, 1218 after (apart in 2 of 3 groups, 8993.4 in all)" in error["message"]
    )
    made.more = "checks: [{sum: amount, of: deals, within: 90%}]"
    found = made.run()["verdicts"][-1]
    assert (found["expected"], found["found"]) == ("10211.4", "1218")


def test_rows_that_became_part_of_others_are_told_and_the_surviving_value_is_held_to_its_own_row(
    tmp_path: Path,
) -> None:
    """Deal 2 is 1, and what survives of both is the amount of 2: before and after are that, and what 1 had is told."""
    made = world(tmp_path)
    made.source.run(
        "UPDATE opportunities SET phase = 'signed' WHERE id <= 2", "ALTER TABLE opportunities ADD code TEXT",
        "UPDATE opportunities SET code = CASE WHEN id <= 2 THEN 'A' ELSE 'B' || id END",
    )  # fmt: skip
    made.target.run("ALTER TABLE deals ADD code TEXT")
    made.entities = DEALS.replace(
        "amount: worth",
        "amount: {from: worth, do: [{round: 0}], lossy: allow}\n      code: code",
    )
    made.entities += "    duplicates: {same: [[code]], survive: {amount: {most_recent: legacy_id}}}\n"
    made.more = "checks: [{sum: amount, of: deals, by: stage, within: 1%}, {count: deals}]"
    done = made.run()
    assert balance(done, "deals")["merged"] == 1
    total, rows = done["verdicts"][-2:]
    assert (total["passed"], total["found"]) == (
        True,
        "1017, 10.25 in 1 row that became part of others left out",
    )
    assert total["expected"] == "1016.5 in 2 groups"
    assert (rows["expected"], rows["found"]) == ("4", "4, 1 in 1 row that became part of others left out")
    assert api.report("latest", home=made.home)["checks"][0]["merged"] == {"amount": "10.25", "rows": 1}
    assert made.command("verify", "latest").code == 0
