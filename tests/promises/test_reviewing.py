"""Pairs that may be one wait for a person, and what was decided is remembered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import Corrupt, UsageError
from migrate.ledger.decisions import decisions_on
from migrate.ledger.ledger import Ledger

from tests.promises.test_merging import PEOPLE
from tests.runs import ENGINES, World, balance, bare

ROOT = Path(__file__).parents[2]
# 1 and 2 are one by phone, and so are 4 and 5; 3 has the name of 2, and would be the third of them.
MAPPED = """
  accounts:
    from: companies
    key: id
    into: accounts
    match: [phone]
    fields: {name: company_name, phone: tel, notes: note}
    duplicates: {same: [[phone], [name]], decide: {largest: 2}, survive: {notes: concat}}
  contacts:
    from: people
    key: id
    into: contacts
    match: [name]
    fields: {account_id: {from: co, ref: accounts}, name: full_name}
"""
COMPANIES = [
    ("1", "Acme", "0113 1", "first"),
    ("2", "Acme Limited", "0113 1", "second"),
    ("3", "Acme Limited", "0113 9", "third"),
    ("4", "Bolt", "0113 4", None),
]


def world(folder: Path, entities: str = MAPPED, target_url: str = "") -> World:
    made = bare(
        folder,
        [
            "CREATE TABLE companies(id TEXT PRIMARY KEY, company_name TEXT, tel TEXT, note TEXT)",
            "CREATE TABLE people(id TEXT PRIMARY KEY, co TEXT, firm TEXT, full_name TEXT)",
        ],
        [
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, phone TEXT, notes TEXT)",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT)",
        ],
        entities,
        policy="max_quarantine: 100%",
        target_url=target_url,
    )
    made.source.fill("companies", COMPANIES)
    made.source.fill("people", PEOPLE)
    made.write()
    return made


def listed(small: World, *more: str) -> dict[str, Any]:
    return dict(small.command("duplicates", "list", str(small.mapping), "--json", *more).document)


def decide(small: World, *words: str, code: int = 0) -> dict[str, Any]:
    what, *rest = words
    done = small.command("duplicates", what, str(small.mapping), *rest, "--json")
    assert done.code == code, done.out + done.err
    return dict(done.document) if code == 0 else {}


@pytest.mark.promise(26)
@pytest.mark.fineprint(13)
def test_what_a_person_decides_holds_in_the_next_run_and_is_asked_again_when_values_change(
    tmp_path: Path,
) -> None:
    small = world(tmp_path)
    small.command("run", str(small.mapping), "--to", "transform")
    queue = listed(small)
    assert (queue["waiting"], queue["masked"]) == (1, True)
    (pair,) = queue["pairs"]
    assert (pair["a"], pair["b"]) == ('["2"]', '["3"]')
    assert pair["doubt"] == "the cluster would have 3 rows"
    sides = {v["field"]: v for v in pair["values"]}
    assert sides["name"] == {"field": "name", "a": "A… (12)", "b": "A… (12)", "equal": True}
    assert "Acme" not in json.dumps(queue)
    shown = {v["field"]: v for v in listed(small, "--show-values")["pairs"][0]["values"]}
    assert (shown["phone"]["a"], shown["phone"]["b"]) == ("0113 1", "0113 9")

    # Nothing was loaded yet, so the run that goes on knows of it: 2 may not be one with 3, 1 may be.
    decide(small, "reject", pair["pair"])
    assert listed(small)["waiting"] == 0
    assert small.command("status", "--json").document["review"] == {}
    document = small.run()
    assert document["resumed"]
    assert balance(document, "accounts") == {
        "in": 4, "loaded": 3, "unchanged": 0, "merged": 1, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert listed(small)["pairs"] == []

    # Other values than those that were compared: still apart, and asked again.
    small.source.run("UPDATE companies SET tel = '0113 8' WHERE id = '3'")
    document = small.run()
    assert balance(document, "accounts")["merged"] == 1
    (pair,) = listed(small)["pairs"]
    assert (pair["earlier"], pair["said"]) == ("reject", "")
    assert json.loads((small.run_folder(document["run"]) / "report.json").read_text())["review"] == {
        "accounts": 1
    }
    assert "1 pair of rows that may be one" in small.command("status").out

    # Neither keys nor values are in the ledger, and who decided is in the audit trail.
    stored = (small.home / "ledger.db").read_bytes()
    assert b"0113 1" not in stored
    assert b"Acme Limited" not in stored
    with Ledger.open(small.home / "ledger.db") as ledger:
        assert ledger.verify_audit() == []
        (told,) = decisions_on(ledger, "acme", "accounts").values()
    assert told.who
    assert told.decision == "reject"


@pytest.mark.promise(26)
def test_a_value_that_is_compared_and_does_not_move_counts_for_what_was_decided(tmp_path: Path) -> None:
    """For want of consent it goes nowhere; whom it makes of a row is compared all the same, and asked again."""
    consent = "    consent: {phone: {no_if: note}}\n    duplicates:"
    small = world(
        tmp_path, MAPPED.replace("    match: [phone]\n", "", 1).replace("    duplicates:", consent, 1)
    )
    small.source.run("UPDATE companies SET note = 'no'", "UPDATE companies SET note = 'yes' WHERE id = '3'")
    small.command("run", str(small.mapping), "--to", "transform")
    (pair,) = listed(small)["pairs"]
    decide(small, "reject", pair["pair"])
    small.run()
    assert listed(small)["pairs"] == []
    small.source.run("UPDATE companies SET tel = '0113 8' WHERE id = '3'")
    small.run()
    (pair,) = listed(small)["pairs"]
    assert pair["earlier"] == "reject"


@ENGINES
@pytest.mark.fineprint(13)
def test_two_rows_of_the_target_become_one_where_a_person_says_so(tmp_path: Path, target_url: str) -> None:
    """Children follow; what becomes of the other row is as `on_gone` says; undo brings all of it back."""
    small = world(
        tmp_path,
        MAPPED.replace("    key: id\n", "    key: id\n    on_gone: delete\n    max_gone: 100%\n", 1),
        target_url,
    )
    small.run()
    assert small.target.one("SELECT count(*) FROM accounts") == 3
    before = small.target.rows("SELECT * FROM contacts ORDER BY id")
    small.run()
    (pair,) = listed(small)["pairs"]
    assert pair["doubt"] == "both are loaded already"
    left = decide(small, "accept", "--all-above", "0.5")["left"]
    assert [one["pair"] for one in left] == [pair["pair"]]
    decide(small, "accept", pair["pair"])
    assert decide(small, "accept", pair["pair"])["already"] == 1
    run = small.run()
    assert run["state"] == "verified"
    assert balance(run, "accounts")["merged"] == 2
    assert small.target.rows("SELECT notes FROM accounts WHERE name LIKE 'Acme%'") == [
        ("first; second; third",)
    ]
    assert small.target.one("SELECT count(*) FROM accounts") == 2
    assert small.target.one("SELECT count(DISTINCT account_id) FROM contacts") == 2
    quiet = small.run()
    assert balance(quiet, "accounts")["loaded"] == 0
    small.source.run("UPDATE companies SET company_name = 'Acme Ltd.', note = 'now' WHERE id = '3'")
    small.run()  # no longer alike, and one row all the same
    assert small.target.one("SELECT count(*) FROM accounts") == 2
    for name in [r["run"] for r in small.command("runs", "--json").document][:3]:
        assert small.command("rollback", name, "--yes").code in (0, 2)
    assert small.target.one("SELECT count(*) FROM accounts") == 3
    assert small.target.rows("SELECT * FROM contacts ORDER BY id") == before


@pytest.mark.promise(21)
def test_a_killed_decision_is_whole_or_not_there_and_two_at_once_are_both_remembered(tmp_path: Path) -> None:
    small = world(tmp_path)
    small.source.fill(
        "companies", [("7", "Cog", "1", None), ("8", "Cog", "2", None), ("9", "Dot", "2", None)]
    )
    small.command("run", str(small.mapping), "--to", "transform")
    first, second = (p["pair"] for p in listed(small)["pairs"])
    for point, there in (("ledger.decision.written", 0), ("ledger.decision.committed", 1)):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "migrate",
                "duplicates",
                "reject",
                "latest",
                first,
                "--home",
                str(small.home),
            ],
            env=os.environ | {"PYTHONPATH": str(ROOT), "MIGRATE_FAILPOINT": f"{point}:1:kill"},
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
        with Ledger.open(small.home / "ledger.db") as ledger:
            assert len(decisions_on(ledger, "acme", "accounts")) == there
            assert ledger.verify_audit() == []
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda p: api.duplicates_accept("latest", [p], home=small.home), (first, second)))
    assert {p["said"] for p in listed(small)["pairs"]} == {"accept"}
    (small.home / "decisions.key").unlink()
    error = small.run("--fresh", code=Corrupt.exit_code)
    assert "the key by which their decisions are told is not there" in error["message"]


def test_what_is_not_in_the_queue_cannot_be_decided(tmp_path: Path) -> None:
    small = world(tmp_path)
    with pytest.raises(UsageError, match="there are no runs yet"):
        api.duplicates_list(str(small.mapping), home=small.home)
    small.command("run", str(small.mapping), "--to", "transform")
    for words in (
        ["accept", "ffff"],
        ["accept"],
        ["reject", "ffff", "--entity", "accounts"],
        ["reject", "f", "--entity", "contacts"],
    ):
        decide(small, *words, code=2)
    assert listed(small)["waiting"] == 1
