"""P24, F9: rows that are one have the most restrictive consent of all of them, with its date and source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from migrate import api

from tests.runs import World, bare

MAPPED = """
  contacts:
    from: people
    key: id
    into: contacts
    match: [email]
    let:
      other: {from: mail2}
    fields:
      name: name
      email: mail
      phone: tel
      emails: {list: [{email: mail}, {email: other}]}
      email_opt_out: {from: opt_out, do: [{consent: opt_out}]}
      may_call: {from: may_call, do: [{consent: opt_in}]}
      said_by: source
      said_on: said
    consent:
      email: {no_if: opt_out, opt_out: email_opt_out, fields: [email, other]}
      phone: {yes_if: may_call, opt_in: may_call}
      provenance: said_by
      dated: said_on
    duplicates:
      same: [[email], [phone]]
      survive: {default: {most_recent: said_on}, name: longest}
"""
PEOPLE = [
    ("1", "Ada", "ada@x.com", "01134960991", None, "no", "yes", "web", "2026-03-01"),
    ("2", "Ada L", "ADA@x.com", None, "a@y.com", "yes", "yes", "form", "2025-01-01"),
    ("3", "Ada Lovelace", "ada@x.com", None, None, "yes", "yes", "fair", "2024-01-01"),
    ("4", "Bob", "bob@x.com", "01134960994", None, "no", "yes", "web", "2026-03-01"),
    ("5", "Bobby", "bob@x.com", "01134960995", None, "no", None, "list", "2023-01-01"),
    ("6", "Cy", "cy@x.com", "01134960996", None, "no", "yes", "web", "2023-01-01"),
    ("7", "Cyril", "cy@x.com", "01134960997", None, "no", "yes", "shop", "2024-01-01"),
]


def world(folder: Path) -> World:
    made = bare(
        folder,
        [
            "CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT, mail TEXT, tel TEXT, mail2 TEXT, opt_out TEXT, may_call TEXT, "
            "source TEXT, said TEXT)"
        ],
        [
            "CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT, email TEXT, phone TEXT, emails JSON, "
            "email_opt_out BOOLEAN, may_call BOOLEAN, said_by TEXT, said_on TEXT)"
        ],
        MAPPED,
        policy="max_quarantine: 100%",
    )
    made.source.fill("people", PEOPLE)
    return made


SHOWN = "SELECT name, email, phone, email_opt_out, may_call, said_by, said_on FROM contacts ORDER BY name"


@pytest.mark.promise(24)
@pytest.mark.fineprint(9)
def test_the_most_restrictive_consent_of_a_group_counts_with_its_date_and_source(tmp_path: Path) -> None:
    made = world(tmp_path)
    document = made.run()
    assert document["state"] == "verified"
    ada, bob, cy = made.target.rows(SHOWN)
    # Two say no to e-mail: the later one counts. No other row's address moves in its place.
    assert ada == ("Ada Lovelace", None, "01134960991", 1, 1, "form", "2025-01-01")
    # One does not say yes to calls.
    assert bob == ("Bobby", "bob@x.com", None, 0, 0, "list", "2023-01-01")
    # Nobody refuses anything: as `survive` says.
    assert cy == ("Cyril", "cy@x.com", "01134960997", 0, 1, "shop", "2024-01-01")
    lists = [
        json.loads(row[0] or "[]") for row in made.target.rows("SELECT emails FROM contacts ORDER BY name")
    ]
    assert {"email": "a@y.com"} not in lists[0]
    cells = made.command("quarantine", "cells", "latest", "--code", "no_consent", "--json").document
    assert {(c["field"], c["value"]) for c in cells} >= {("email", "ada@x.com"), ("phone", "01134960994")}
    assert api.report("latest", home=made.home)["balances"]["contacts"]["merged"] == 4


@pytest.mark.promise(24)
@pytest.mark.fineprint(9)
def test_a_no_of_any_member_reaches_the_row_that_the_target_has(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.target.run(
        "INSERT INTO contacts(name, email, phone, email_opt_out, may_call, said_by) VALUES ('Ada', 'ada@x.com', '9', 0, 0, 'ours')"
    )
    made.run()
    there = made.target.rows(SHOWN.replace("ORDER", "WHERE id = 1 ORDER"))
    # A no to e-mail is heard, and a no to calls stays; the address is the target's own.
    assert there == [("Ada Lovelace", "ada@x.com", "01134960991", 1, 0, "ours", None)]
    assert made.target.one("SELECT count(*) FROM contacts") == 3
    again = made.run()
    assert again["state"] == "verified"
    assert made.target.one("SELECT count(*) FROM contacts") == 3
