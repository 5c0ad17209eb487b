"""P24, F9: without consent a value does not move, and an import never weakens what the target holds."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from migrate import api

from tests.runs import World, at_point, bare

SOURCE = (
    """CREATE TABLE people(id INTEGER PRIMARY KEY, code TEXT, name TEXT, mail TEXT, tel TEXT, opt_out TEXT,
        do_not_email INTEGER, may_call TEXT)""",
    """INSERT INTO people VALUES
        (1, 'ada', 'Ada', 'ada@x.com', '1', 'no', 0, 'yes'),
        (2, 'bob', 'Bob', 'bob@x.com', '2', 'yes', 0, 'no'),
        (3, 'cy', 'Cy', 'cy@x.com', '3', NULL, 1, NULL),
        (4, 'di', 'Di', 'di@x.com', '4', 'ask her', NULL, 'maybe'),
        (5, 'ed', 'Ed', 'ed@x.com', '5', '', NULL, 'Y')""",
)
TARGET = (
    """CREATE TABLE contacts(id INTEGER PRIMARY KEY, code TEXT UNIQUE, name TEXT, email TEXT, phone TEXT,
        email_opt_out BOOLEAN, may_call BOOLEAN, consent_source TEXT)""",
    """INSERT INTO contacts(code, name, email, phone, email_opt_out, may_call, consent_source) VALUES
        ('ada', 'Ada', 'old.ada@x.com', '9', 1, 0, 'ours'), ('bob', 'Bob', 'old.bob@x.com', '8', 0, 1, 'ours')""",
)
CONSENT = """
    consent:
      email: {no_if: [opt_out, do_not_email], opt_out: email_opt_out, basis: legitimate interest}
      phone: {yes_if: may_call, opt_in: may_call}
      merge: most_restrictive
      provenance: consent_source
"""
FIELDS = """
      code: code
      name: name
      email: mail
      phone: tel
      email_opt_out: {from: opt_out, do: [{consent: opt_out}]}
      may_call: {from: may_call, do: [{consent: opt_in}]}
      consent_source: {value: acme}
"""
CONTACTS = f"""
  contacts:
    from: people
    key: id
    into: contacts
    match: [code]
{CONSENT}
    fields:{FIELDS}
"""
SHOWN = "SELECT code, email, phone, email_opt_out, may_call, consent_source FROM contacts ORDER BY code"
AFTER = [
    ("ada", "ada@x.com", "1", 1, 0, "ours"),
    ("bob", "old.bob@x.com", "8", 1, 0, "acme"),
    ("cy", None, None, 0, 0, "acme"),
    ("di", None, None, 1, 0, "acme"),
    ("ed", "ed@x.com", "5", 0, 1, "acme"),
]


def world(folder: Path, entities: str = CONTACTS) -> World:
    return bare(folder, SOURCE, TARGET, entities)


@pytest.mark.promise(24)
def test_p24_values_without_consent_stay_and_the_stricter_side_wins(tmp_path: Path) -> None:
    made = world(tmp_path)
    before = made.target.rows("SELECT * FROM contacts ORDER BY id")
    done = made.run()
    assert made.target.rows(SHOWN) == AFTER
    events = api.report("latest", home=made.home)["events"]
    assert events["contacts.email: no_consent"] == 3
    assert events["contacts.phone: no_consent"] == 3
    assert events["contacts.email: consent_unknown"] == 1
    kept = pq.read_table(
        next(made.run_folder(done["run"]).glob("transform/contacts/events-*.parquet"))
    ).to_pylist()
    assert {e["original"] for e in kept if e["code"] == "no_consent" and e["field"] == "email"} == {
        "bob@x.com",
        "cy@x.com",
        "di@x.com",
    }
    assert {e["original"] for e in kept if e["code"] == "consent_unknown"} == {"ask her", "maybe"}
    cells = made.command("quarantine", "cells", "latest", "--code", "no_consent", "--entity", "contacts")
    assert "bob@x.com" in cells.out
    assert made.command("quarantine", "cells", "latest", "--entity", "nobody").code == 2
    assert "bob@x.com" not in (made.run_folder(done["run"]) / "report.json").read_text()
    assert made.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    assert made.target.rows("SELECT * FROM contacts ORDER BY id") == before


@pytest.mark.promise(24)
def test_p24_a_later_import_does_not_weaken_what_somebody_said_since(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.run()
    made.target.run("UPDATE contacts SET email_opt_out = 1, consent_source = 'by mail' WHERE code = 'ed'")
    made.source.run("UPDATE people SET name = 'Edwin', opt_out = 'no' WHERE id = 5")
    made.run()
    assert made.target.rows(
        "SELECT name, email_opt_out, may_call, consent_source FROM contacts WHERE code = 'ed'"
    ) == [("Edwin", 1, 1, "by mail")]
    made.source.run("UPDATE people SET opt_out = 'yes', may_call = 'no' WHERE id = 1")
    made.run()
    assert made.target.rows("SELECT email_opt_out, may_call FROM contacts WHERE code = 'ada'") == [(1, 0)]


@pytest.mark.promise(24)
@pytest.mark.fineprint(9)
@pytest.mark.parametrize("point", ["load.assigned", "transform.before_settle"])
def test_p24_who_unsubscribes_while_the_run_is_on_stays_unsubscribed(tmp_path: Path, point: str) -> None:
    made = world(tmp_path)

    def unsubscribe() -> None:
        made.target.run(
            "UPDATE contacts SET email_opt_out = 1, consent_source = 'the link' WHERE code = 'bob'"
        )

    made.source.run("UPDATE people SET opt_out = 'no', do_not_email = 0 WHERE id = 2")
    with at_point(point, unsubscribe):
        made.run()
    assert made.target.one("SELECT email_opt_out FROM contacts WHERE code = 'bob'") == 1
    made.run()
    assert made.target.rows("SELECT email_opt_out, consent_source FROM contacts WHERE code = 'bob'") == [
        (1, "the link")
    ]


def test_a_required_value_without_consent_quarantines_its_row(tmp_path: Path) -> None:
    made = world(tmp_path, CONTACTS.replace("email: mail", "email: {from: mail, check: required}"))
    made.run()
    assert made.codes("contacts") == {f'["{n}"]': ["no_consent"] for n in (2, 3, 4)}


@pytest.mark.promise(24)
@pytest.mark.parametrize("default", ["keep", "fill_empty"])
def test_p24_a_new_no_is_heard_whatever_existing_says(tmp_path: Path, default: str) -> None:
    made = world(tmp_path, CONTACTS + f"    existing: {{default: {default}}}\n")
    made.run()
    shown = made.target.rows(
        "SELECT code, email, email_opt_out, may_call FROM contacts ORDER BY code LIMIT 2"
    )
    assert shown == [("ada", "old.ada@x.com", 1, 0), ("bob", "old.bob@x.com", 1, 0)]


def test_words_of_ones_own(tmp_path: Path) -> None:
    own = CONTACTS.replace("merge: most_restrictive", 'yes: [maybe]\n      no: ["ask her"]')
    made = world(tmp_path, own)
    made.run()
    assert made.target.rows("SELECT email, phone FROM contacts WHERE code = 'di'") == [("di@x.com", "4")]


def test_values_behind_lists_are_held_back_by_their_let(tmp_path: Path) -> None:
    entities = """
  contacts:
    from: people
    key: id
    into: contacts
    let: {address: {from: mail, do: [lower]}}
    consent: {email: {no_if: opt_out, fields: address}}
    fields: {code: code, name: {text: "{code} {address}"}}
"""
    made = bare(tmp_path, SOURCE, (TARGET[0],), entities)
    made.run()
    assert made.target.rows("SELECT name FROM contacts ORDER BY code") == [
        ("ada ada@x.com",), ("bob ",), ("cy cy@x.com",), ("di ",), ("ed ed@x.com",)
    ]  # fmt: skip
