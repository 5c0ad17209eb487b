"""What may be written, mode by mode: rows that are found, rows that are new, and what of a row stays the target's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runs import ACCOUNTS_MAPPED, CONTACTS_MAPPED, World, at_point, balance, complete, small

MATCHED = "into: accounts\n    match: [legacy_id]"


def mode(write: str, *more: str) -> str:
    lines = "".join(f"\n    {line}" for line in (f"write: {write}", *more))
    return ACCOUNTS_MAPPED.replace("into: accounts", MATCHED + lines)


def accounts(world: World) -> list[Any]:
    return world.target.rows(
        "SELECT name, city, legacy_id FROM accounts ORDER BY coalesce(legacy_id, ''), name"
    )


def there(world: World) -> None:
    """One of the two companies is in the target already, and a row of somebody else's."""
    world.target.fill("accounts", [("a1", "Old Acme", "Hull", "1"), ("a9", "Ours", None, None)])


def world_of(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> World:
    return small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")


def rolled_back(world: World, run: str, before: list[Any]) -> None:
    done = world.command("rollback", run, "--yes", "--json")
    assert done.code == 0, done.out
    assert done.document["proof"]["passed"]
    assert accounts(world) == before


def nothing_written(world: World) -> Any:
    """A run in which nothing changed: no row, no receipt."""
    receipts = "_migrate_receipt" if world.target.is_sqlite else "migrate_meta.receipt"
    before, count = accounts(world), world.target.one(f"SELECT count(*) FROM {receipts}")
    document = world.run()
    assert accounts(world) == before
    assert world.target.one(f"SELECT count(*) FROM {receipts}") == count
    return document


def edited(document: Any) -> int:
    """Rows that verify counts as edited since they were loaded."""
    found = {v["check"]: v["found"] for v in document["verdicts"]}["verify unchanged accounts"]
    return int(found.split(", ")[1].split()[0])


# ------------------------------------------------------------------ update, add_or_link


@pytest.mark.promise(2)
@pytest.mark.promise(1)
def test_p1_p2_update_changes_what_it_finds_and_never_brings_a_row(tmp_path: Path) -> None:
    world = small(tmp_path)
    there(world)
    before = accounts(world)
    world.entities = mode("update") + CONTACTS_MAPPED.replace("key: id", 'key: id\n    where: "co = 1"')
    world.write()
    plan = world.command("plan", str(world.mapping), "--json").document["entities"]["accounts"]
    assert (plan["inserts"], plan["updates"], plan["quarantined"]) == (0, 1, 1)
    document = world.run()
    assert world.codes("accounts") == {'["2"]': ["update_missing"]}
    assert accounts(world) == [("Ours", None, None), ("Acme", "Leeds", "1")]
    assert balance(document, "contacts")["loaded"] == 2
    assert world.target.one("SELECT count(*) FROM contacts WHERE account_id = 'a1'") == 2
    nothing_written(world)
    world.source.run("UPDATE companies SET town = 'York' WHERE id = 1")
    assert balance(world.run(), "accounts")["loaded"] == 1  # known now: found by the crosswalk
    assert ("Acme", "York", "1") in accounts(world)
    assert world.command("rollback", "latest", "--yes").code == 0
    assert ("Acme", "Leeds", "1") in accounts(world)
    rolled_back(world, document["run"], before)


@pytest.mark.promise(2)
def test_p2_add_or_link_writes_nothing_to_what_it_finds(tmp_path: Path) -> None:
    world = small(tmp_path)
    there(world)
    before = accounts(world)
    world.entities = mode("add_or_link") + CONTACTS_MAPPED
    world.write()
    plan = world.command("plan", str(world.mapping), "--json").document["entities"]["accounts"]
    assert (plan["inserts"], plan["updates"], plan["links"]) == (1, 0, 1)
    document = world.run()
    assert set(accounts(world)) == {*before, ("Bolt", None, "2")}
    assert balance(document, "accounts") == balance(document, "accounts") | {"loaded": 1, "unchanged": 1}
    assert world.target.one("SELECT count(*) FROM contacts WHERE account_id = 'a1'") == 2
    again = nothing_written(world)
    assert balance(again, "accounts")["unchanged"] == 2
    # a linked row stays linked whatever changes on either side; one that we brought is as under `add`
    world.source.run("UPDATE companies SET town = 'York'")
    world.target.run("UPDATE accounts SET name = 'By hand' WHERE id = 'a1'")
    again = world.run()
    assert balance(again, "accounts")["unchanged"] == 1
    assert edited(again) == 0
    assert world.codes("accounts") == {'["2"]': ["changed_since_load"]}
    world.target.run("UPDATE accounts SET name = 'Old Acme' WHERE id = 'a1'")
    rolled_back(world, document["run"], before)


@pytest.mark.promise(1)
def test_p1_what_is_not_written_speaks_against_no_row(tmp_path: Path) -> None:
    """A linked row's own references and lookups are nobody's business: it is linked though they lead nowhere."""
    world = small(tmp_path)
    world.target.fill("contacts", [("c1", None, "Old Ada", "ada@example.com", "1")])
    world.entities = (
        ACCOUNTS_MAPPED.replace("key: id", "key: id\n    where: \"company_name <> 'Acme'\"")
        + CONTACTS_MAPPED.replace(
            "into: contacts", "into: contacts\n    match: [legacy_id]\n    write: add_or_link"
        )
        + "  notes:\n    from: people\n    key: full_name\n    into: notes\n"
        "    fields: {body: full_name, contact_id: {from: id, ref: contacts}}\n"
    )
    world.target.run("CREATE TABLE notes(id TEXT PRIMARY KEY, contact_id TEXT NOT NULL, body TEXT)")
    world.run()
    # Bob is new, and his company stays out; Ada is there, and hers does not matter
    assert world.codes("contacts") == {'["2"]': ["parent_excluded"]}
    assert world.target.rows("SELECT body FROM notes WHERE contact_id = 'c1'") == [("Ada",)]
    assert balance(world.run(), "contacts")["unchanged"] == 2


# ------------------------------------------------------------------ existing

KEEPING = "existing: {city: fill_empty, name: keep}"


@pytest.mark.promise(2)
@pytest.mark.fineprint(9)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p2_f9_existing_says_what_of_a_row_stays_the_targets_own(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    world = world_of(tmp_path, engine, request)
    world.target.run("ALTER TABLE accounts ADD COLUMN phone TEXT")
    world.source.run(
        "ALTER TABLE companies ADD COLUMN tel TEXT",
        "UPDATE companies SET tel = '555'",
        "INSERT INTO companies VALUES (3, 'Cog', 'Bath', '777'), (4, 'Dab', NULL, '888')",
    )
    world.target.fill(
        "accounts",
        [
            ("a1", "Old Acme", "Hull", "1", "1"),
            ("a2", "Old Bolt", " \t", "2", "2"),
            ("a4", "Old Dab", "", "4", "888"),
        ],
    )
    before = accounts(world)
    world.entities = mode("add_or_update", KEEPING).replace("city: town", "city: town, phone: tel")
    world.write()
    plan = world.command("plan", str(world.mapping), "--json").document["entities"]["accounts"]
    assert (plan["inserts"], plan["updates"], plan["links"]) == (1, 2, 1)
    document = world.run()
    rows = world.target.rows("SELECT name, city, phone FROM accounts ORDER BY legacy_id")
    assert rows == [
        ("Old Acme", "Hull", "555"),  # overwritten: the phone alone
        ("Old Bolt", " \t", "555"),  # blank, but there is nothing to fill it with
        ("Cog", "Bath", "777"),  # new: whole
        ("Old Dab", "", "888"),  # nothing left to write: linked
    ]
    assert balance(document, "accounts") == balance(document, "accounts") | {"loaded": 3, "unchanged": 1}
    nothing_written(world)
    # what is the target's own is no edit, neither where it was found nor where we filled it
    world.source.run("UPDATE companies SET town = 'Ely', tel = '556' WHERE id IN (1, 2, 3)")
    world.target.run(
        "UPDATE accounts SET name = 'VIP Acme', city = NULL WHERE id = 'a1'",
        "UPDATE accounts SET name = 'VIP Cog', city = 'Rome' WHERE legacy_id = '3'",
        "UPDATE accounts SET phone = 'by hand' WHERE id = 'a2'",
    )
    again = world.run()
    assert world.codes("accounts") == {'["2"]': ["edited_in_target"]}
    rows = world.target.rows("SELECT name, city, phone FROM accounts ORDER BY legacy_id")
    assert rows == [
        ("VIP Acme", "Ely", "556"),  # emptied by hand, so it is filled again
        ("Old Bolt", " \t", "by hand"),
        ("VIP Cog", "Rome", "556"),
        ("Old Dab", "", "888"),
    ]
    assert edited(again) == 0
    assert again["state"] == "verified"
    assert world.command("rollback", again["run"], "--yes", "--json").document["proof"]["passed"]
    assert world.target.rows("SELECT name, city FROM accounts WHERE id = 'a1'") == [("VIP Acme", None)]
    world.target.run(
        "UPDATE accounts SET name = 'Old Acme', city = 'Hull' WHERE id = 'a1'",
        "UPDATE accounts SET name = 'Cog', city = 'Bath' WHERE legacy_id = '3'",
        "UPDATE accounts SET phone = '555' WHERE id = 'a2'",
    )
    rolled_back(world, document["run"], before)


@pytest.mark.fineprint(9)
@pytest.mark.parametrize("edited", ["city", "name"])
def test_f9_what_existing_decided_on_is_looked_at_once_more_under_the_lock(
    tmp_path: Path, edited: str
) -> None:
    """Empty in the backup, filled a moment before its part: the value is not written over. Nor is a kept one."""
    world = small(tmp_path)
    world.target.fill("accounts", [("a1", "Old Acme", None, "1"), ("a2", "Old Bolt", None, "2")])
    world.entities = mode("update", KEEPING)

    def edit() -> None:
        world.target.run(f"UPDATE accounts SET {edited} = 'by hand' WHERE id = 'a1'")

    with at_point("load.assigned", edit):
        world.run()
    assert world.codes("accounts") == {'["1"]': ["target_changed"]}
    world.run()
    city, name = ("by hand", "Old Acme") if edited == "city" else ("Leeds", "by hand")
    assert world.target.rows("SELECT name, city FROM accounts ORDER BY id") == [
        (name, city),
        ("Old Bolt", None),
    ]


TREE = """
  accounts:
    from: companies
    key: id
    into: accounts
    match: [legacy_id]
    existing: {parent_id: %s}
    fields: {name: company_name, legacy_id: id, parent_id: {from: parent, ref: accounts}}
"""


def tree(tmp_path: Path, rule: str) -> World:
    world = small(tmp_path)
    world.source.run(
        "ALTER TABLE companies ADD COLUMN parent INTEGER",
        "INSERT INTO companies VALUES (3, 'Cog', NULL, 2)",
        "UPDATE companies SET parent = 3 WHERE id < 3",
    )
    world.target.run("ALTER TABLE accounts ADD COLUMN parent_id TEXT REFERENCES accounts(id)")
    world.target.fill("accounts", [("a2", "Old", None, "2", None), ("a1", "Old", None, "1", "a2")])
    world.entities = TREE % rule
    return world


def parents(world: World) -> dict[str, str | None]:
    """Legacy key → legacy key of the parent."""
    rows = world.target.rows(
        "SELECT a.legacy_id, p.legacy_id FROM accounts a LEFT JOIN accounts p ON p.id = a.parent_id"
    )
    return dict(rows)


@pytest.mark.fineprint(11)
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("overwrite", {"1": "3", "2": "3", "3": "2"}),
        ("keep", {"1": "2", "2": None, "3": "2"}),
        ("fill_empty", {"1": "2", "2": "3", "3": "2"}),
    ],
)
def test_f11_the_second_pass_obeys_existing(
    tmp_path: Path, rule: str, expected: dict[str, str | None]
) -> None:
    world = tree(tmp_path, rule)
    run = world.run()["run"]
    assert parents(world) == expected
    nothing_written(world)
    assert world.command("rollback", run, "--yes", "--json").document["proof"]["passed"]
    assert parents(world) == {"1": "2", "2": None}


@pytest.mark.fineprint(11)
@pytest.mark.promise(1)
def test_p1_f11_a_kept_reference_that_leads_nowhere_speaks_against_no_row(tmp_path: Path) -> None:
    world = tree(tmp_path, "keep")
    world.source.run("UPDATE companies SET parent = 99")
    world.run()
    assert world.codes("accounts") == {'["3"]': ["ref_missing"]}  # the new one has to have it
    assert parents(world) == {"1": "2", "2": None}
    world.entities = TREE % "fill_empty"
    world.run()
    assert world.codes("accounts") == {'["2"]': ["ref_missing"], '["3"]': ["ref_missing"]}


@pytest.mark.fineprint(9)
@pytest.mark.fineprint(11)
def test_f9_f11_nothing_is_written_over_what_somebody_put_there_between_the_passes(tmp_path: Path) -> None:
    world = tree(tmp_path, "overwrite")

    def edit() -> None:
        world.target.run("UPDATE accounts SET parent_id = 'a1' WHERE id = 'a2'")

    with at_point("load.part.committed", edit):
        error = world.run(code=3)
    complete(error)
    assert "parent_id" in error["message"]
    assert world.target.one("SELECT parent_id FROM accounts WHERE id = 'a2'") == "a1"
    world.target.run("UPDATE accounts SET parent_id = NULL WHERE id = 'a2'")
    assert world.run()["resumed"]
    assert parents(world) == {"1": "3", "2": "3", "3": "2"}


# ------------------------------------------------------------------ known rows, a changed mapping


@pytest.mark.fineprint(12)
def test_f12_a_column_that_the_mapping_gains_or_gives_up_is_no_edit(tmp_path: Path) -> None:
    """The crosswalk's hash is held against the columns that it was made over, also where the mapping has others now."""
    world = small(tmp_path)
    world.entities = mode("add_or_update").replace("city: town, ", "")
    world.run()
    world.target.run("UPDATE accounts SET name = 'By hand' WHERE legacy_id = '2'")
    world.entities = mode("add_or_update")
    world.run()
    assert world.codes("accounts") == {'["2"]': ["edited_in_target"]}
    assert accounts(world)[0] == ("Acme", "Leeds", "1")
    world.target.run("UPDATE accounts SET city = 'Hull' WHERE legacy_id = '1'")
    world.source.run("UPDATE companies SET company_name = 'Acme Ltd' WHERE id = 1")
    world.entities = mode("add_or_update", "existing: {city: keep}")
    world.run()  # keep is new: what stands there was an edit of a column that was ours
    assert '["1"]' in world.codes("accounts")
    world.target.run("UPDATE accounts SET city = 'Leeds' WHERE legacy_id = '1'")
    world.run()
    assert accounts(world)[0] == ("Acme Ltd", "Leeds", "1")
    world.target.run("UPDATE accounts SET city = 'Hull' WHERE legacy_id = '1'")
    world.source.run("UPDATE companies SET company_name = 'Acme' WHERE id = 1")
    world.run()
    assert accounts(world)[0] == ("Acme", "Hull", "1")


@pytest.mark.fineprint(12)
def test_f12_what_people_read_in_a_mapping_changes_no_row(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.entities = (ACCOUNTS_MAPPED + CONTACTS_MAPPED).replace(
        "key: id", "key: id\n    why: because\n    max_quarantine: 5%"
    )
    assert balance(world.run(), "contacts")["unchanged"] == 3


# ------------------------------------------------------------------ match


@pytest.mark.fineprint(8)
@pytest.mark.parametrize("write", ["add_or_update", "add_or_link"])
def test_f8_rows_with_one_match_value_are_not_both_added(tmp_path: Path, write: str) -> None:
    world = small(tmp_path)
    world.source.run(
        "INSERT INTO companies VALUES (3, 'Twin', 'Bath'), (4, 'Twin', 'Bath'), (5, NULL, 'Ely'), (6, NULL, 'Ely')"
    )
    world.target.run(
        "DROP TABLE contacts",
        "DROP TABLE accounts",
        "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT, city TEXT)",
    )
    entity = f"""
  accounts:
    from: companies
    key: id
    into: accounts
    match: [name]
    write: {write}
    fields: {{name: company_name, city: town}}
"""
    world.entities = entity
    world.run()
    assert world.codes("accounts") == {'["3"]': ["match_conflict"], '["4"]': ["match_conflict"]}
    assert (
        world.target.one("SELECT count(*) FROM accounts") == 4
    )  # nothing equals nothing: the nameless are two
    # one of them alone comes in; the other would be the same row
    world.source.run("DELETE FROM companies WHERE id = 3")
    world.run()
    world.source.run("INSERT INTO companies VALUES (3, 'Twin', 'Bath')")
    world.run()
    again = ["match_conflict"] if write == "add_or_update" else []
    assert world.codes("accounts") == ({'["3"]': again} if again else {})
    assert world.target.one("SELECT count(*) FROM accounts") == 5


@pytest.mark.fineprint(8)
def test_f8_two_entities_do_not_both_add_what_matches_once(tmp_path: Path) -> None:
    world = small(tmp_path)
    first = mode("add_or_update")
    second = mode("add_or_link").replace("  accounts:", "  firms:", 1)
    world.entities = first + second
    document = world.run()
    assert balance(document, "accounts")["loaded"] == 2
    assert world.codes("firms") == {'["1"]': ["match_conflict"], '["2"]': ["match_conflict"]}
    document = world.run()  # now the rows are there
    assert balance(document, "firms")["unchanged"] == 2
    assert [name for name, _, _ in accounts(world)] == ["Acme", "Bolt"]


@pytest.mark.fineprint(8)
def test_f8_no_update_changes_a_key(tmp_path: Path) -> None:
    """A row that match finds under another key than the mapping gives: it keeps it, or it waits."""
    world = small(tmp_path)
    there(world)
    fields = "fields: {id: id, name: company_name, city: town, legacy_id: id}"
    world.entities = mode("add_or_update").replace(
        "fields: {name: company_name, city: town, legacy_id: id}", fields
    )
    world.run()
    assert world.codes("accounts") == {'["1"]': ["key_changed"]}
    world.entities = mode("add_or_update", "existing: {id: keep}").replace(
        "fields: {name: company_name, city: town, legacy_id: id}", fields
    )
    world.run()
    assert world.target.rows(
        "SELECT id, name FROM accounts WHERE legacy_id IS NOT NULL ORDER BY legacy_id"
    ) == [
        ("a1", "Acme"),
        ("2", "Bolt"),
    ]


# ------------------------------------------------------------------ target_sets


SEEN = """
  accounts:
    from: companies
    key: id
    into: accounts
    match: [legacy_id]
    fields: {name: company_name, legacy_id: id, seen: {from: seen, read_as: date}}
    target_sets: {seen: at_least}
"""


@pytest.mark.promise(16)
def test_p16_at_least_is_compared(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.source.run(
        "ALTER TABLE companies ADD COLUMN seen TEXT",
        "UPDATE companies SET seen = '2026-03-0' || id",
        "INSERT INTO companies VALUES (3, 'Cog', NULL, NULL)",  # nothing is written, so nothing is asked
    )
    world.target.run("ALTER TABLE accounts ADD COLUMN seen date")
    world.entities = SEEN

    def set_by_trigger(row: str, value: str) -> Any:
        statement = f"UPDATE accounts SET seen = {value} WHERE legacy_id = '{row}'"
        return at_point("load.checkpointed", lambda: world.target.run(statement))

    with set_by_trigger("1", "'2026-03-09'"):
        assert world.run()["state"] == "verified"
    nothing_written(world)
    world.source.run("UPDATE companies SET seen = '2026-03-05' WHERE id IN (1, 2)")  # nothing else is new
    assert balance(world.run(), "accounts")["loaded"] == 1
    seen = "SELECT seen FROM accounts ORDER BY legacy_id"
    assert world.target.rows(seen) == [("2026-03-09",), ("2026-03-05",), (None,)]
    world.source.run("UPDATE companies SET seen = '2026-03-06' WHERE id = 2")
    with set_by_trigger("2", "'2026-03-05'"):
        error = world.run(code=3)
    assert "1 rows whose seen is less than what was written" in error["message"]


def test_at_least_of_a_text_is_refused_by_the_plan(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = mode("add_or_update", "target_sets: {city: at_least, nmae: any}")
    problems = world.run(code=2)["problems"]
    assert [p["code"] for p in problems] == ["type", "unknown_column"]
    assert "did you mean 'name'" in problems[1]["hint"]
