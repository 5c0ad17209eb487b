"""Somebody who is a customer already is never created as a new lead (P3, F18)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs import ENGINES, World, balance, bare

ROOT = Path(__file__).parents[2]
CONTACTS = """
  accounts:
    from: companies
    key: id
    into: accounts
    match: [legacy_id]
    fields: {name: company_name, website: web, legacy_id: id}
  contacts:
    from: people
    key: id
    into: contacts
    match: [legacy_id]
    fields: {account_id: {from: co, ref: accounts}, name: full_name, email: mail, phone: tel, legacy_id: id}
"""
LEADS = """
  leads:
    from: prospects
    key: id
    into: leads
    fields: {name: full_name, email: mail, phone: tel, legacy_id: id}
    known_as: {contacts: [email, phone], accounts: [{domain_of: email}], then: link}
"""
CALLS = """
  calls:
    from: calls
    key: id
    into: calls
    fields: {about: {from: whom, ref: {to: [contacts, leads], missing: quarantine}}, text: said}
"""
PROSPECTS = [
    ("L1", "Ada", " ADA@acme.example ", None),  # in the target
    ("L2", "Bob", None, "0044 113 496 0999"),  # among the rows of this run, by telephone
    ("L3", "Cy", "cy@bolt.example", None),  # works for an account
    ("L4", "Di", "di@gmail.com", None),  # so does an account's web site, and is nobody's company
    ("L5", "Ed", "none@none.com", "0000000"),
    ("L6", "Flo", "flo@new.example", None),
]
NEW = ["Di", "Ed", "Flo"]


def world(folder: Path, entities: str = CONTACTS + LEADS + CALLS, target_url: str = "") -> World:
    made = bare(
        folder,
        [
            "CREATE TABLE companies(id TEXT PRIMARY KEY, company_name TEXT, web TEXT)",
            "CREATE TABLE people(id TEXT PRIMARY KEY, co TEXT, full_name TEXT, mail TEXT, tel TEXT)",
            "CREATE TABLE prospects(id TEXT PRIMARY KEY, full_name TEXT, mail TEXT, tel TEXT)",
            "CREATE TABLE calls(id TEXT PRIMARY KEY, whom TEXT, said TEXT)",
        ],
        [
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT, website TEXT, legacy_id TEXT)",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT, "
            "email TEXT, phone TEXT, legacy_id TEXT)",
            "CREATE TABLE leads(id TEXT PRIMARY KEY, name TEXT, email TEXT, phone TEXT, legacy_id TEXT)",
            "CREATE TABLE calls(id TEXT PRIMARY KEY, about TEXT, text TEXT)",
        ],
        entities,
        policy="max_quarantine: 100%",
        target_url=target_url,
    )
    made.source.fill("companies", [("1", "Bolt", "https://www.bolt.example/x"), ("2", "Mail", "gmail.com")])
    made.source.fill("people", [("1", "1", "Bob", "bob@bolt.example", "+44 (0)113 4960999")])
    made.source.fill("prospects", PROSPECTS)
    made.source.fill("calls", [(p[0] + "0", p[0], f"to {p[1]}") for p in PROSPECTS])
    made.target.fill(
        "contacts",
        [
            ("t1", None, "Ada", "ada@acme.example", None, None),
            ("t2", None, "Nobody", "none@none.com", "0000000", None),
        ],
    )
    return made


def leads(made: World) -> list[str]:
    return [row[0] for row in made.target.rows("SELECT name FROM leads ORDER BY 1")]


def report(made: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sorted((made.home / "runs").glob("*/report.json"))[-1].read_text())
    return found


def known(made: World) -> dict[str, Any]:
    found: dict[str, Any] = report(made)["known_as"]["leads"]
    return found


@pytest.mark.promise(3)
@pytest.mark.fineprint(18)
def test_a_lead_who_is_a_customer_is_linked_and_who_refers_to_it_refers_to_the_customer(
    tmp_path: Path,
) -> None:
    made = world(tmp_path)
    document = made.run()
    assert document["state"] == "verified"
    assert leads(made) == NEW
    assert balance(document, "leads") == {
        "in": 6, "loaded": 3, "unchanged": 3, "merged": 0, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert known(made) == {
        "then": "link",
        "rows": 3,
        "rules": {
            "accounts by domain of email": {"link": 1},
            "contacts by email": {"link": 1},
            "contacts by phone": {"link": 1},
        },
        "shared": {},
    }
    about = dict(made.target.rows("SELECT text, about FROM calls"))
    bob = made.target.one("SELECT id FROM contacts WHERE name = 'Bob'")
    assert (about["to Ada"], about["to Bob"]) == ("t1", bob)
    assert "to Cy" not in about  # known as an account, which no call can be about
    told = made.command("trace", "latest", "leads", "L1", "--json").document["story"]
    assert any(step["what"] == 'known as contacts ["t1"] of the target (contacts by email)' for step in told)


@ENGINES
@pytest.mark.promise(3)
def test_a_second_run_decides_the_same_and_a_rollback_takes_it_back(tmp_path: Path, target_url: str) -> None:
    made = world(tmp_path, target_url=target_url)
    before = made.target.rows("SELECT * FROM contacts ORDER BY id")
    made.run()
    assert made.target.one("SELECT about FROM calls WHERE text = 'to Ada'") == "t1"
    again = made.run()
    assert known(made)["rows"] == 3
    assert balance(again, "leads")["unchanged"] == 6
    assert leads(made) == NEW
    # A lead that is one already stays one, also when a customer of that name comes.
    made.source.run("INSERT INTO people VALUES ('2', '1', 'Flo', 'flo@new.example', NULL)")
    made.source.run("UPDATE prospects SET full_name = 'Flo R' WHERE id = 'L6'")
    made.run()
    assert known(made)["rows"] == 3
    assert len(leads(made)) == 3
    for run in [r["run"] for r in made.command("runs", "--json").document]:
        assert made.command("rollback", run, "--yes").code in (0, 2)  # 2: a run that wrote nothing
    assert leads(made) == []
    assert made.target.rows("SELECT * FROM contacts ORDER BY id") == before


@pytest.mark.parametrize("point", ["transform.known.found:1", "load.part.committed:2"])
def test_a_killed_run_goes_on_and_decides_the_same(tmp_path: Path, point: str) -> None:
    made = world(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "run", str(made.write()), "--home", str(made.home)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MIGRATE_FAILPOINT": f"{point}:kill"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr[-2000:]
    document = made.run()
    assert document["state"] == "verified"
    assert (leads(made), known(made)["rows"]) == (NEW, 3)


@pytest.mark.fineprint(18)
def test_known_leads_are_skipped_or_quarantined_as_the_mapping_says(tmp_path: Path) -> None:
    for then, place in (("skip", "excluded"), ("quarantine", "quarantined")):
        (tmp_path / then).mkdir()
        made = world(tmp_path / then, (CONTACTS + LEADS + CALLS).replace("then: link", f"then: {then}"))
        document = made.run()
        assert leads(made) == NEW
        assert balance(document, "leads")[place] == 3
        assert known(made)["rules"]["contacts by email"] == {then: 1}
        if then == "skip":
            assert (
                report(made)["tables"]["prospects"]["excluded"]["leads"]["known_as: contacts by email"] == 1
            )
        else:
            assert made.codes("leads")['["L1"]'] == ["known_already"]


@pytest.mark.promise(3)
def test_who_may_be_several_is_linked_to_none(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.target.run("INSERT INTO contacts VALUES ('t3', NULL, 'Ada too', 'ada@acme.example', NULL, NULL)")
    document = made.run()
    assert made.codes("leads") == {'["L1"]': ["known_ambiguous"]}
    assert balance(document, "leads")["quarantined"] == 1


def test_who_is_known_as_a_row_in_quarantine_waits_with_it(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.source.run("UPDATE people SET co = 'nobody'")
    document = made.run()
    assert document["state"] == "verified"
    assert made.codes("leads") == {'["L2"]': ["known_quarantined"]}
    assert leads(made) == NEW


TWICE = LEADS.replace("known_as:", "duplicates: {same: [[email]]}\n    known_as:")


@pytest.mark.promise(3)
def test_p3_who_is_part_of_a_linked_row_is_linked_like_it(tmp_path: Path) -> None:
    made = world(tmp_path, CONTACTS + TWICE + CALLS)
    made.source.run("INSERT INTO prospects VALUES ('L7', 'Ada L.', ' ADA@acme.example ', NULL)")
    made.source.run("INSERT INTO calls VALUES ('C7', 'L7', 'again')")
    done = made.run()
    assert balance(done, "leads") == {
        "in": 7, "loaded": 3, "unchanged": 4, "merged": 0, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert sorted(n for (n,) in made.target.rows("SELECT name FROM leads")) == NEW
    assert made.target.one("SELECT about FROM calls WHERE text = 'again'") == "t1"


@pytest.mark.promise(3)
def test_p3_who_is_part_of_a_row_that_waits_with_a_customer_waits_too(tmp_path: Path) -> None:
    made = world(tmp_path, CONTACTS + TWICE + CALLS)
    made.source.run("UPDATE prospects SET mail = 'bob@twice.example' WHERE id = 'L2'")
    made.source.run("INSERT INTO prospects VALUES ('L7', 'Bob T.', 'bob@twice.example', NULL)")
    made.source.run("UPDATE people SET co = 'nobody'")
    done = made.run()
    assert balance(done, "leads")["quarantined"] == 2
    assert made.codes("leads") == {key: ["known_quarantined"] for key in ('["L2"]', '["L7"]')}


def test_who_is_known_as_a_row_that_the_target_refuses_ends_in_quarantine_with_it(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.target.run("CREATE UNIQUE INDEX one_name ON contacts(name)")
    made.target.run("INSERT INTO contacts VALUES ('t3', NULL, 'Bob', NULL, NULL, NULL)")
    document = made.run()
    assert document["state"] == "verified"
    assert balance(document, "leads") == {
        "in": 6, "loaded": 3, "unchanged": 2, "merged": 0, "quarantined": 1, "excluded": 0,
    }  # fmt: skip


def test_a_list_of_objects_in_the_target_is_looked_into(tmp_path: Path) -> None:
    entities = CONTACTS + LEADS.replace("[email, phone]", '[{email: "emails[*].email"}]') + CALLS
    made = world(tmp_path, entities)
    made.target.run(
        "ALTER TABLE contacts ADD COLUMN emails TEXT",
        """UPDATE contacts SET emails = '[{"email": "x@y.example"}, {"email": "Flo@New.example"}]' WHERE id = 't1'""",
    )
    made.run()
    assert known(made)["rules"]["contacts by email"] == {"link": 1}
    assert "Flo" not in leads(made)


def test_a_check_over_the_table_counts_the_rows_that_come_into_it(tmp_path: Path) -> None:
    """Who is linked to a customer is no row of this table, before the load and after it."""
    made = world(tmp_path)
    made.more += "\nchecks: [{count: leads}]\n"
    made.run()
    [verdict] = [v for v in report(made)["verdicts"] if v["check"].startswith("count leads")]
    assert (verdict["passed"], verdict["found"]) == (True, str(len(leads(made))))
