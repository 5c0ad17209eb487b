"""Quality rules in a whole run: what is quarantined, emptied, warned of, and what the report says."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate import api

from tests.runs import World, balance, bare

SOURCE = (
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, mail TEXT, tel TEXT, country TEXT, born DATE, closed DATE)",
    """INSERT INTO people VALUES
        (1, 'Ada Lovelace', 'ada@gmail.com', '020 7946 0018', 'UK', '1980-01-01', '2020-01-01'),
        (2, 'ADA', 'ada@acme.co.uk', '1234567890', 'US', '2980-01-01', NULL),
        (3, 'Mickey Mouse', 'x@gmial.com', '+49 30 901820', NULL, NULL, '2020-01-01'),
        (4, 'Bob Ltd', 'nobody', '12', 'GB', '2021-01-01', '2020-01-01'),
        (5, 'Bob Smith', 'Bob@Gone.example', '02079460018', 'GB', '1999-01-01', '2020-01-01')""",
)
TARGET = (
    "CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT, email TEXT, phone TEXT, born DATE, closed DATE)",
)
CONTACTS = """
  contacts:
    from: people
    key: id
    into: contacts
    max_quarantine: 90%
    fields:
      name: {from: name, check: [person, not_test_data]}
      email: {from: mail, check: [{email: {undeliverable: empty_and_flag, bounced: bounces.txt}}]}
      phone: {from: tel, check: [{phone: {region: {from: country}}}], on_fail: empty_and_flag}
      born: {from: born, check: [{not_after: today}]}
      closed: {from: closed, check: [{not_before: {from: born}}, {expr: {sql: "closed >= born", code: closed_before_born}}]}
"""


def world(folder: Path, entities: str = CONTACTS) -> World:
    made = bare(folder, SOURCE, TARGET, entities)
    (made.folder / "bounces.txt").write_text("# last month\nbob@gone.example\n", encoding="utf-8")
    return made


@pytest.mark.promise(7)
def test_every_reason_of_a_row_is_kept_and_every_change_counted(tmp_path: Path) -> None:
    made = world(tmp_path)
    assert balance(made.run(), "contacts")["quarantined"] == 3
    rows = {
        row["key"]: set(row["codes"])
        for row in made.command("quarantine", "list", "latest", "--json").document
    }
    assert rows == {
        '["2"]': {"name_caps", "not_after"},
        '["3"]': {"test_data"},
        '["4"]': {"name_company", "not_before", "closed_before_born"},
    }
    events = api.report("latest", home=made.home)["events"]
    assert events == {
        "contacts.email: email_bounced_emptied": 1,
        "contacts.email: email_reserved_emptied": 1,
        "contacts.email: email_syntax_emptied": 1,
        "contacts.email: email_typo": 1,
        "contacts.phone: phone_implausible_emptied": 1,
        "contacts.phone: phone_invalid_emptied": 1,
    }
    assert made.target.rows("SELECT name, email FROM contacts ORDER BY name") == [
        ("Ada Lovelace", "ada@gmail.com"),
        ("Bob Smith", None),
    ]


def test_a_list_that_changed_is_a_changed_mapping(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.write()
    first = made.command("plan", str(made.mapping), "--json").document["digest"]
    (made.folder / "bounces.txt").write_text("other@gone.example\n", encoding="utf-8")
    assert made.command("plan", str(made.mapping), "--json").document["digest"] != first


def test_a_list_that_is_not_there_is_named_where_the_mapping_names_it(tmp_path: Path) -> None:
    made = world(tmp_path)
    (made.folder / "bounces.txt").unlink()
    assert "there is no file bounces.txt" in made.says(code=2)


def test_scores_before_and_after_and_a_least_score_as_a_gate(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.run()
    quality = api.report("latest", home=made.home)["quality"]["contacts"]
    assert quality["rows"] == {"before": 5, "after": 2}
    assert quality["scores"] == {
        # 23 of 25 values are there; of the two rows that go on one has lost its address by rule
        "completeness": {"before": 0.92, "after": 0.9},
        "validity": {"before": 0.2, "after": 1.0},
        "uniqueness": {"before": 1.0, "after": 1.0},
        "consistency": {"before": 0.6, "after": 1.0},
    }
    assert api.report("latest", home=made.home)["columns"] == {"unmapped": [], "empty": [], "rare": []}
    assert "Quality, at the source and of the rows that go on" in made.command("report", "latest").out


def test_rows_that_are_worse_than_asked_for_stop_before_the_load(tmp_path: Path) -> None:
    made = world(tmp_path, CONTACTS + "    min_quality: {completeness: 95%, validity: 50%}\n")
    error = made.run(code=3)
    assert error["message"] == (
        "the rows are not good enough: completeness is 90.0%, at least 95.0% is asked for"
    )
    assert error["where"] == "contacts"
    assert made.target.one("SELECT count(*) FROM contacts") == 0
    made.entities = CONTACTS + "    min_quality: {completeness: 90%}\n"
    made.run()


def test_an_entity_without_rows_has_no_scores_to_fall_short_of(tmp_path: Path) -> None:
    made = world(tmp_path, CONTACTS + "    min_quality: {validity: 100%, uniqueness: 100%}\n")
    made.source.run("DELETE FROM people")
    made.run()
    assert (
        api.report("latest", home=made.home)["quality"]
        .get("contacts", {"scores": {}})["scores"]
        .get("validity", {"after": None})["after"]
        is None
    )


DEALS_SOURCE = (
    "CREATE TABLE opportunities(id INTEGER PRIMARY KEY, stage TEXT, amount TEXT, closes DATE, changed DATE)",
    """INSERT INTO opportunities VALUES (1, 'open', '10.50', '2001-01-01', '9999-01-01'), (2, 'won', '7', '2001-01-01', NULL),
        (3, 'open', '5', '9999-01-01', '2001-01-01'), (4, NULL, '3', '2001-01-01', NULL), (5, 'open', '4', '9999-01-01', NULL)""",
)
DEALS = """
  deals:
    from: opportunities
    key: id
    into: deals
    fields:
      amount: {from: amount, do: [decimal]}
      closes_on:
        from: closes
        on_fail: warn
        check: [{stale: {open: "stage <> 'won'", touched: {from: changed}, untouched: 90 days, amount: amount}}]
"""


def test_stale_open_deals_are_listed_with_their_amounts(tmp_path: Path) -> None:
    target = ("CREATE TABLE deals(id INTEGER PRIMARY KEY, amount DECIMAL(12,2), closes_on DATE)",)
    made = bare(tmp_path, DEALS_SOURCE, target, DEALS)
    made.run()
    report = api.report("latest", home=made.home)
    assert report["stale"] == {"deals.closes_on": {"rows": 2, "amount": "amount", "sum": "15.5"}}
    assert report["quality"]["deals"]["scores"]["timeliness"] == {"before": 0.6, "after": 0.6}
    cells = api.quarantine_cells("latest", code="stale", home=made.home)
    assert [(c["key"], c["value"], c["amount"]) for c in cells] == [
        ('["1"]', "2001-01-01", "10.50"),
        ('["3"]', "9999-01-01", "5.00"),
    ]
    told = " ".join(made.command("report", "latest").out.split())
    assert told.count("2 stale deals in the forecast") == 1
    assert "amount 15.5 in all" in told
    (tmp_path / "other").mkdir()
    other = bare(
        tmp_path / "other", DEALS_SOURCE, target, DEALS.replace("on_fail: warn", "on_fail: quarantine")
    )
    other.run()
    assert other.codes("deals") == {'["1"]': ["stale"], '["3"]': ["stale"]}
    assert api.report("latest", home=other.home)["stale"]["deals.closes_on"]["sum"] == "15.5"


def test_columns_that_are_empty_hardly_filled_or_forgotten_are_named(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.source.run(
        "ALTER TABLE people ADD COLUMN fax TEXT",
        "UPDATE people SET fax = '1', born = NULL, country = NULL WHERE id < 9",
        "UPDATE people SET country = 'UK' WHERE id = 1",
    )
    made.policy = "low_use: 30%"
    made.run()
    columns = api.report("latest", home=made.home)["columns"]
    assert columns == {
        "unmapped": [{"table": "people", "column": "fax", "filled": 1.0}],
        "empty": [{"table": "people", "column": "born", "filled": 0.0}],
        "rare": [{"table": "people", "column": "country", "filled": 0.2}],
    }
    said = made.command("report", "latest").out
    assert "Filled, and nothing uses them: people.fax" in said
    assert "Hardly filled: people.country" in said


def test_a_run_keeps_its_own_copy_of_the_lists(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.run()
    (made.folder / "bounces.txt").unlink()
    assert made.command("verify", "latest").code == 0
    assert made.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
