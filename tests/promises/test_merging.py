"""Rows that are one and the same become one row in the target, and every one of them is accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from migrate import api

from tests.runs import ENGINES, World, balance, bare

MAPPED = """
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: company_name, city: town, phone: tel, notes: note, changed: updated}
    duplicates:
      same: [[phone], [name, city]]
      survive: {default: {most_recent: changed}, city: first_filled, name: longest, notes: concat}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      account_id: {from: co, ref: accounts}
      firm_id: {from: firm, ref: {to: accounts, by: company_name, missing: empty_and_flag}}
      name: full_name
"""
COMPANIES = [
    ("1", "Acme", "Leeds", "0113 1", "first", "2024-01-01"),
    ("2", "Acme Limited", None, "0113 1", "second", "2026-01-01"),
    ("3", "Acme", "Leeds", "0113 9", None, None),
    ("4", "Bolt", "York", None, None, "2025-01-01"),
    ("5", "Cog", "York", None, None, "2025-01-01"),
]
PEOPLE = [
    ("1", "1", None, "Ada"),
    ("2", "2", "Acme Limited", "Bob"),
    ("3", "3", "Acme", "Cy"),
    ("4", "4", "Bolt", "Di"),
]


def world(folder: Path, entities: str = MAPPED, **more: str) -> World:
    made = bare(
        folder,
        [
            "CREATE TABLE companies(id TEXT PRIMARY KEY, company_name TEXT, town TEXT, tel TEXT, note TEXT, updated TEXT)",
            "CREATE TABLE people(id TEXT PRIMARY KEY, co TEXT, firm TEXT, full_name TEXT)",
        ],
        [
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, phone TEXT, notes TEXT, changed TEXT)",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), "
            "firm_id TEXT REFERENCES accounts(id), name TEXT)",
        ],
        entities,
        policy="max_quarantine: 100%",
        **more,
    )
    made.source.fill("companies", COMPANIES)
    made.source.fill("people", PEOPLE)
    return made


@pytest.mark.fineprint(13)
@pytest.mark.fineprint(18)
def test_rows_that_are_one_become_one_and_their_children_follow(tmp_path: Path) -> None:
    small = world(tmp_path)
    document = small.run()
    assert document["state"] == "verified"
    assert balance(document, "accounts") == {
        "in": 5, "loaded": 3, "unchanged": 0, "merged": 2, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    rows = small.target.rows("SELECT name, city, phone, notes, changed FROM accounts ORDER BY name")
    # the name: the longest; the city: the first filled; notes: all; the rest: the most recent that is filled
    assert rows[0] == ("Acme Limited", "Leeds", "0113 1", "first; second", "2026-01-01")
    assert [r[0] for r in rows[1:]] == ["Bolt", "Cog"]
    there = small.target.rows(
        "SELECT c.name, a.name, f.name FROM contacts c JOIN accounts a ON a.id = c.account_id "
        "LEFT JOIN accounts f ON f.id = c.firm_id ORDER BY 1"
    )
    assert there == [
        ("Ada", "Acme Limited", None),
        ("Bob", "Acme Limited", "Acme Limited"),
        ("Cy", "Acme Limited", "Acme Limited"),
        ("Di", "Bolt", "Bolt"),
    ]


def test_trace_tells_what_a_row_became_part_of_and_which_row_gave_a_value(tmp_path: Path) -> None:
    small = world(tmp_path)
    small.run()
    told = small.command("trace", "latest", "accounts", "2", "--json").document["story"]
    assert any(step["what"] == 'merged into ["1"]' for step in told)
    told = small.command("trace", "latest", "accounts", "1", "--json").document["story"]
    assert {s["what"] for s in told} >= {'name: from ["2"] (survive)', "notes: from several rows (survive)"}


@pytest.mark.fineprint(13)
def test_a_second_run_changes_nothing_and_a_change_in_any_member_is_one_of_the_survivor(
    tmp_path: Path,
) -> None:
    entities = MAPPED.replace("    into: accounts\n", "    into: accounts\n    match: [phone]\n", 1)
    small = world(tmp_path, entities)
    small.run()
    again = small.run()
    assert balance(again, "accounts")["unchanged"] == 3
    assert balance(again, "accounts")["merged"] == 2
    small.source.run("UPDATE companies SET note = 'third' WHERE id = '2'")
    changed = small.run()
    assert balance(changed, "accounts")["loaded"] == 1
    assert small.target.one("SELECT notes FROM accounts WHERE city = 'Leeds'") == "first; third"
    assert small.target.one("SELECT count(*) FROM accounts") == 3


@pytest.mark.fineprint(13)
def test_two_rows_that_are_both_loaded_are_never_merged(tmp_path: Path) -> None:
    small = world(
        tmp_path, MAPPED.partition("    duplicates:")[0] + "\n" + MAPPED[MAPPED.index("  contacts:") :]
    )
    small.run()
    assert small.target.one("SELECT count(*) FROM accounts") == 5
    small.entities = MAPPED.replace("    into: accounts\n", "    into: accounts\n    match: [phone]\n", 1)
    document = small.run()
    assert balance(document, "accounts")["merged"] == 0
    assert small.target.one("SELECT count(*) FROM accounts") == 5


@pytest.mark.fineprint(13)
def test_a_quarantined_survivor_takes_its_group_along(tmp_path: Path) -> None:
    entities = MAPPED.replace(
        "name: company_name,", "name: company_name, parent: {from: up, ref: accounts},", 1
    )
    small = world(tmp_path, entities)
    small.source.run(
        "ALTER TABLE companies ADD COLUMN up TEXT", "UPDATE companies SET up = 'nobody' WHERE id = '2'"
    )
    small.target.run("ALTER TABLE accounts ADD COLUMN parent TEXT REFERENCES accounts(id)")
    document = small.run()
    assert balance(document, "accounts")["merged"] == 0
    codes = small.codes("accounts")
    assert codes['["1"]'] == ["ref_missing"]
    assert codes['["2"]'] == codes['["3"]'] == ["merged_quarantined"]
    assert small.target.one("SELECT count(*) FROM accounts") == 2


@pytest.mark.fineprint(13)
@pytest.mark.parametrize(
    ("up", "parents"),
    [
        # 2 and 3 become part of 1. What stands above itself at the source already is no merge's doing.
        ({"1": "2", "4": "5", "5": "4"}, {"Acme Limited": None, "Bolt": "Cog", "Cog": "Bolt"}),
        ({"1": "4", "4": "5", "5": "3"}, {"Acme Limited": None, "Bolt": "Cog", "Cog": "Acme Limited"}),
    ],
)
def test_a_merge_that_closes_a_circle_leaves_nobody_above_himself(
    tmp_path: Path, up: dict[str, str], parents: dict[str, str | None]
) -> None:
    entities = MAPPED.replace(
        "name: company_name,", "name: company_name, parent: {from: up, ref: accounts},", 1
    )
    small = world(tmp_path, entities)
    small.source.run(
        "ALTER TABLE companies ADD COLUMN up TEXT",
        *(f"UPDATE companies SET up = '{parent}' WHERE id = '{key}'" for key, parent in up.items()),
    )
    small.target.run("ALTER TABLE accounts ADD COLUMN parent TEXT REFERENCES accounts(id)")
    assert small.run()["state"] == "verified"
    found = small.target.rows("SELECT a.name, p.name FROM accounts a LEFT JOIN accounts p ON p.id = a.parent")
    assert dict(found) == parents


def test_rules_that_compare_all_with_all_are_refused_at_plan_with_the_number_of_pairs(tmp_path: Path) -> None:
    entities = MAPPED.replace("same: [[phone], [name, city]]", "similar: {city: text}")
    small = world(tmp_path, entities)
    small.source.fill("companies", [(f"m{n}", "X", "Leeds", None, None, None) for n in range(2200)])
    done = small.command("plan", str(small.write()), "--json")
    assert done.code == 2
    assert "would compare all rows with all: 2,429,910 pairs" in done.error["message"]
    assert small.target.one("SELECT count(*) FROM accounts") == 0


@ENGINES
@pytest.mark.fineprint(13)
def test_a_row_stays_the_same_row_of_the_target_when_its_survivor_is_gone(
    tmp_path: Path, target_url: str
) -> None:
    """Also when what was merged is no longer alike, and for children that name a row by a key which is gone."""
    entities = MAPPED.replace("    into: accounts\n", "    into: accounts\n    match: [phone]\n", 1)
    small = world(tmp_path, entities, target_url=target_url)
    small.run()
    before = small.target.rows("SELECT id, name FROM accounts ORDER BY id")
    small.source.run(
        "DELETE FROM companies WHERE id = '1'",
        "UPDATE companies SET tel = '0113 5', note = 'on its own' WHERE id = '2'",
        "UPDATE companies SET town = 'Hull' WHERE id = '3'",
    )
    document = small.run()
    assert balance(document, "accounts") == {
        "in": 4, "loaded": 1, "unchanged": 2, "merged": 1, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert balance(document, "contacts")["unchanged"] == 4
    assert small.target.rows("SELECT id, name FROM accounts ORDER BY id") == before
    assert small.target.one("SELECT notes FROM accounts WHERE name = 'Acme Limited'") == "on its own"
    told = small.command("trace", "latest", "accounts", "2", "--json").document["story"]
    assert any("update" in step["what"] for step in told)
    again = small.run()
    assert balance(again, "accounts")["loaded"] == 0
    assert small.target.one("SELECT count(*) FROM accounts") == 3
    small.source.run("INSERT INTO companies VALUES ('1', 'Acme', 'Leeds', '0113 1', 'first', '2024-01-01')")
    small.run()
    assert small.target.rows("SELECT id, name FROM accounts ORDER BY id") == before
    for run in [r["run"] for r in small.command("runs", "--json").document][:4]:
        assert small.command("rollback", run, "--yes").code in (0, 2)  # 2: a run that wrote nothing
    assert small.target.one("SELECT count(*) FROM accounts") == 0
    assert small.target.ours("merged") == 0


PAIR = """
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: {from: company_name, check: required}, city: town, phone: {from: tel, check: unique}, notes: note}
    duplicates: {same: [[city]], survive: {default: first_filled}}
"""


@pytest.mark.parametrize("another", [False, True])
def test_who_is_part_of_a_known_row_in_quarantine_waits_whatever_other_pairs_there_are(
    tmp_path: Path, another: bool
) -> None:
    """A row's fate, and that of rows with its values, does not hang on whether anybody else has a duplicate."""
    small = world(tmp_path, PAIR)
    small.source.run("DELETE FROM companies")
    rows = [("K1", "Acme", "Leeds", "1", None, None), ("K2", "Acme", "Leeds", "7", None, None)]
    rows += [("5", "Eve", "Ulm", "8", None, None), ("6", "Eva", "Ulm", "9", None, None)] if another else []
    small.source.fill("companies", rows)
    assert small.run()["state"] == "verified"
    small.source.run("UPDATE companies SET company_name = NULL WHERE id = 'K1'")
    small.source.fill("companies", [("4", "Dot", "York", "7", None, None)])
    document = small.run()
    assert small.codes("accounts") == {'["K1"]': ["required"], '["K2"]': ["merged_quarantined"]}
    assert balance(document, "accounts")["excluded"] == 0


@pytest.mark.fineprint(13)
@pytest.mark.fineprint(18)
def test_rows_that_would_be_part_of_a_row_that_the_target_refuses_are_listed(tmp_path: Path) -> None:
    small = world(tmp_path)
    small.target.run(
        "CREATE TRIGGER no BEFORE INSERT ON accounts WHEN NEW.city = 'Leeds' BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    document = small.run()
    assert balance(document, "accounts") == {
        "in": 5, "loaded": 2, "unchanged": 0, "merged": 0, "quarantined": 3, "excluded": 0,
    }  # fmt: skip
    codes = small.codes("accounts")
    assert codes['["2"]'] == codes['["3"]'] == ["merged_rejected"]
    assert small.target.one("SELECT count(*) FROM _migrate_merged") == 0


def test_rolling_back_leaves_nothing_of_a_merge(tmp_path: Path) -> None:
    small = world(tmp_path)
    run = small.run()["run"]
    assert small.command("rollback", run, "--yes").code == 0
    assert small.target.one("SELECT count(*) FROM accounts") == 0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("same: [[phone]", "same: [[fone]", "no field gives `fone`"),
        ("city: first_filled", "town: first_filled", "no field gives `town`"),
        ("{most_recent: changed}", "{most_recent: updated}", "no field gives `updated`"),
        ("city: first_filled", "city: target_wins", "does nothing under `write: add`"),
        (
            "    into: accounts",
            "    write: link\n    match: [name]\n    into: accounts",
            "`duplicates` does nothing under",
        ),
    ],
)
def test_rules_that_do_not_fit_the_entity_are_told(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    small = world(tmp_path, MAPPED.replace(before, after, 1))
    assert said in small.says(code=2)


def test_a_killed_run_merges_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate import failpoints

    small = world(tmp_path)

    def stop(name: str) -> None:
        if name == "transform.before_settle":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "hit", stop)
        small.run(code=9)
    document = small.run()
    assert balance(document, "accounts")["merged"] == 2
    assert small.target.one("SELECT count(*) FROM accounts") == 3


@pytest.mark.promise(26)
def test_a_value_that_thousands_share_is_named_as_a_placeholder_and_merges_nobody(tmp_path: Path) -> None:
    """A word for nothing, and a real number that everybody has: nobody is taken for somebody else."""
    small = world(tmp_path, MAPPED.replace("[[phone], [name, city]]", "[[phone]]"))
    small.source.fill(
        "companies",
        [(f"m{n}", f"Firm {n}", None, ("0000000", "0113 4960000")[n % 2], None, None) for n in range(2000)],
    )
    document = small.run()
    assert balance(document, "accounts")["merged"] == 1  # 1 and 2, as without them
    told = api.report("latest", home=small.home)["duplicates"]["accounts"]
    assert (told["placeholders"], told["largest"]) == (2, 2)
    named = json.loads(
        (small.run_folder(document["run"]) / "transform" / "accounts" / "placeholders.json").read_text()
    )
    assert {(p["values"][0], p["rows"]) for p in named} == {("0000000", 1000), ("0113 4960000", 1000)}


@ENGINES
@pytest.mark.promise(24)
def test_every_value_says_on_request_which_record_it_came_from(tmp_path: Path, target_url: str) -> None:
    """`with` brings a field of the row that gave another one: where a value comes from, per value."""
    entities = MAPPED.replace(
        "changed: updated}",
        'changed: updated, phone_from: {text: "acme companies {id}"}, notes_from: {text: "acme companies {id}"}}',
    ).replace("notes: concat}", "notes: concat, phone_from: {with: phone}, notes_from: {with: notes}}")
    small = world(tmp_path, entities, target_url=target_url)
    small.target.run(
        f"ALTER TABLE accounts ADD COLUMN phone_from {'VARCHAR(200)' if small.target.is_mysql else 'TEXT'}",
        f"ALTER TABLE accounts ADD COLUMN notes_from {'VARCHAR(200)' if small.target.is_mysql else 'TEXT'}",
    )
    small.source.run(
        "UPDATE companies SET tel = '0113 2', town = 'Leeds', company_name = 'Acme' WHERE id = '2'"
    )
    assert small.run()["state"] == "verified"
    # 2 changed last, so its number survives; the notes are those of 1 and 2, for 3 has none.
    assert small.target.rows("SELECT name, phone, phone_from, notes, notes_from FROM accounts ORDER BY name")[0] == (
        "Acme", "0113 2", "acme companies 2", "first; second", "acme companies 1; acme companies 2",
    )  # fmt: skip
    assert balance(small.run(), "accounts")["unchanged"] == 3
