"""References over whole runs: never silently empty, never the first of several, in an order that keeps them whole."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.runs import COMPANIES, PEOPLE, World, balance, bare, small

REPS = "CREATE TABLE reps(id INTEGER PRIMARY KEY, name TEXT)"
USERS = "CREATE TABLE users(id TEXT PRIMARY KEY, name TEXT)"


@pytest.mark.promise(1)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p1_a_reference_without_a_row_never_becomes_null(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    """A missing parent, a quarantined one and one left out: the child stays behind with the reason, each time."""
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    world.source.fill("companies", [(3, None, "nowhere"), (4, "Gone", "left out")])
    world.source.fill(
        "people",
        [(4, 99, "No parent", None), (5, 3, "Bad parent", None), (6, 4, "Parent out", None), (7, None, "Free", None)],
    )  # fmt: skip
    world.entities = world.entities.replace("  accounts:\n", '  accounts:\n    where: "id <> 4"\n')
    document = world.run()
    assert world.codes("contacts") == {
        '["4"]': ["ref_missing"],
        '["5"]': ["parent_quarantined"],
        '["6"]': ["parent_excluded"],
    }
    # the one row without an account is the one that had none at the source
    assert world.target.rows("SELECT legacy_id FROM contacts WHERE account_id IS NULL") == [("7",)]
    assert balance(document, "contacts") | {"in": 7, "loaded": 4, "quarantined": 3} == balance(
        document, "contacts"
    )


@pytest.mark.promise(1)
def test_p1_an_emptied_reference_is_asked_for_and_counted(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.source.fill("people", [(4, 99, "No parent", None)])
    world.entities = world.entities.replace(
        "{from: co, ref: accounts}", "{from: co, ref: {to: accounts, missing: empty_and_flag}}"
    )
    run = world.run()["run"]
    assert world.target.rows("SELECT legacy_id FROM contacts WHERE account_id IS NULL") == [("4",)]
    events = pq.read_table(world.run_folder(run) / "transform" / "contacts" / "events.parquet").to_pylist()
    assert [(e["field"], e["code"]) for e in events] == [("account_id", "ref_missing_emptied")]
    assert world.command("report", "latest", "--json").document["events"] == {
        "contacts.account_id: ref_missing_emptied": 1
    }


@pytest.mark.promise(3)
def test_p3_an_ambiguous_reference_is_quarantined_with_its_candidates(tmp_path: Path) -> None:
    """Two source rows of one key; two target rows for a match; two for a lookup: never the first hit."""
    world = bare(
        tmp_path,
        [
            "CREATE TABLE companies(id INTEGER, company_name TEXT, rep TEXT)",
            REPS,
            "INSERT INTO companies VALUES (1, 'Acme', 'zoe'), (1, 'Acme again', 'zoe'), (2, 'Bolt', 'max'), (3, 'Cool', 'zoe')",
            "CREATE TABLE people(id INTEGER PRIMARY KEY, co INTEGER)",
            "INSERT INTO people VALUES (1, 1), (2, 3)",
            "INSERT INTO reps VALUES (1, 'Twin'), (2, 'Solo')",
        ],
        [
            USERS,
            "INSERT INTO users VALUES ('u1', 'Twin'), ('u2', 'Twin'), ('u3', 'Solo'), ('m1', 'max'), ('m2', 'max'), ('z', 'zoe')",
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT, owner_id TEXT REFERENCES users(id))",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id))",
        ],
        """
  reps: {from: reps, key: id, into: users, write: link, match: {name: name}}
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: company_name, owner_id: {from: rep, find: {in: users, by: name}}}
  contacts: {from: people, key: id, into: contacts, fields: {account_id: {from: co, ref: accounts}}}
""",
    )
    world.run()
    found = {(r["entity"], r["key"], c): r["reasons"] for r in world.quarantine() for c in r["codes"]}
    assert set(found) == {
        ("reps", '["1"]', "match_ambiguous"),
        ("accounts", '["1"]', "key_not_unique"),
        ("accounts", '["2"]', "find_ambiguous"),
        ("contacts", '["1"]', "ref_ambiguous"),
    }
    assert '["u1"], ["u2"]' in found["reps", '["1"]', "match_ambiguous"][0]
    assert '["m1"], ["m2"]' in found["accounts", '["2"]', "find_ambiguous"][0]
    assert "part 0 row 0, part 0 row 1" in found["contacts", '["1"]', "ref_ambiguous"][0]
    assert world.target.rows("SELECT name FROM accounts") == [("Cool",)]


def _tree(tmp_path: Path, target_url: str) -> World:
    """Entities named children first; companies that point at themselves and at their main contact, in a circle."""
    return bare(
        tmp_path,
        [
            "CREATE TABLE companies(id INTEGER PRIMARY KEY, company_name TEXT, parent INTEGER, main INTEGER)",
            PEOPLE,
            "CREATE TABLE notes(id INTEGER PRIMARY KEY, person INTEGER, body TEXT)",
            # the first company's parent is the last one: no order of rows would do
            "INSERT INTO companies VALUES (1, 'Leaf', 3, 1), (2, 'Twig', 1, NULL), (3, 'Root', NULL, 2)",
            "INSERT INTO people VALUES (1, 1, 'Ada', NULL), (2, 3, 'Bob', NULL)",
            "INSERT INTO notes VALUES (1, 2, 'hello'), (2, 1, 'again')",
        ],
        [
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, parent_id TEXT REFERENCES accounts(id), "
            "main_id TEXT)",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts(id), name TEXT)",
            "CREATE TABLE notes(id TEXT PRIMARY KEY, contact_id TEXT NOT NULL REFERENCES contacts(id), body TEXT)",
        ],
        """
  notes: {from: notes, key: id, into: notes, fields: {contact_id: {from: person, ref: contacts}, body: body}}
  contacts: {from: people, key: id, into: contacts, fields: {account_id: {from: co, ref: accounts}, name: full_name}}
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: company_name, parent_id: {from: parent, ref: accounts}, main_id: {from: main, ref: contacts}}
""",
        target_url=target_url,
    )


@pytest.mark.promise(12)
@pytest.mark.fineprint(11)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p12_parents_go_first_and_circles_close_in_a_second_pass(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    world = _tree(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    if engine == "postgresql":  # SQLite adds no constraint to a table that is there
        world.target.run("ALTER TABLE accounts ADD FOREIGN KEY (main_id) REFERENCES contacts(id)")
    world.write()
    plan = world.command("plan", str(world.mapping), "--json").document
    assert plan["order"] == ["accounts", "contacts", "notes"]
    assert set(plan["deferred"]["accounts"]) == {"parent_id", "main_id"}
    assert world.target.tables() == [t for t in world.target.tables() if "migrate" not in t]
    world.run()
    assert world.target.rows(
        "SELECT a.name, p.name, c.name FROM accounts a LEFT JOIN accounts p ON p.id = a.parent_id "
        "LEFT JOIN contacts c ON c.id = a.main_id ORDER BY a.name"
    ) == [("Leaf", "Root", "Ada"), ("Root", None, "Bob"), ("Twig", "Leaf", None)]
    assert world.target.one("SELECT count(*) FROM notes n JOIN contacts c ON c.id = n.contact_id") == 2
    if engine == "sqlite":
        assert world.target.rows("PRAGMA foreign_key_check") == []


@pytest.mark.promise(12)
@pytest.mark.fineprint(11)
def test_f11_a_circle_of_columns_that_take_no_null_is_refused_by_the_plan(tmp_path: Path) -> None:
    world = bare(
        tmp_path,
        [COMPANIES, PEOPLE],
        [
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, main_id TEXT NOT NULL REFERENCES contacts(id))",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts(id), name TEXT)",
        ],
        """
  accounts: {from: companies, key: id, into: accounts, fields: {name: company_name, main_id: {from: town, ref: contacts}}}
  contacts: {from: people, key: id, into: contacts, fields: {account_id: {from: co, ref: accounts}, name: full_name}}
""",
    )
    problem = world.run(code=2)["problems"][0]
    assert problem["code"] == "cyclic_not_null"
    assert "accounts" in problem["message"]
    assert "contacts" in problem["message"]
    assert "NULL" in problem["hint"]
    assert world.target.tables() == ["accounts", "contacts"]


@pytest.mark.fineprint(11)
@pytest.mark.fineprint(5)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f11_rows_whose_parent_the_database_rejects_later_are_removed_again(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    """accounts → main contact, contacts → account. The contact is refused after its account stands there."""
    world = bare(
        tmp_path,
        [
            "CREATE TABLE companies(id INTEGER PRIMARY KEY, company_name TEXT, main INTEGER)",
            PEOPLE,
            "INSERT INTO companies VALUES (1, 'Acme', 1), (2, 'Bolt', 2)",
            "INSERT INTO people VALUES (1, 1, 'Ada', 'ok'), (2, 2, 'Bob', 'bad'), (3, 2, 'Child of Bolt', 'ok'), (4, 1, 'Cy', 'ok')",
        ],
        [
            "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, main_id TEXT)",
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT NOT NULL REFERENCES accounts(id), name TEXT, "
            "email TEXT CHECK (email <> 'bad'))",
        ],
        """
  accounts: {from: companies, key: id, into: accounts, fields: {name: company_name, main_id: {from: main, ref: contacts}}}
  contacts: {from: people, key: id, into: contacts, fields: {account_id: {from: co, ref: accounts}, name: full_name, email: mail}}
""",
        target_url=request.getfixturevalue("pg_database") if engine == "postgresql" else "",
    )
    document = world.run()
    assert world.codes("contacts") == {'["2"]': ["db_check"], '["3"]': ["parent_rejected"]}
    assert world.codes("accounts") == {'["2"]': ["parent_rejected"]}
    assert world.target.rows("SELECT name FROM accounts") == [("Acme",)]
    assert world.target.rows("SELECT name FROM contacts ORDER BY name") == [("Ada",), ("Cy",)]
    assert balance(document, "accounts")["quarantined"] == 1
    crosswalk = "_migrate_crosswalk" if engine == "sqlite" else "migrate_meta.crosswalk"
    assert world.target.one(f"SELECT count(*) FROM {crosswalk}") == 3


@pytest.mark.promise(2)
def test_p2_the_plan_states_inserts_and_updates_and_the_run_makes_just_those(
    tmp_path: Path, pg_database: str
) -> None:
    """A match on text against text: known rows are updates, never inserts, and the figures hold."""
    world = small(tmp_path, pg_database)
    world.target.fill("accounts", [("a1", "Acme (old)", None, "1"), ("x", "Ours", None, None)])
    world.entities = world.entities.replace("into: accounts\n", "into: accounts\n    match: [legacy_id]\n")
    world.write()
    plan = world.command("plan", str(world.mapping), "--json").document["entities"]
    assert {e: (p["inserts"], p["updates"]) for e, p in plan.items()} == {
        "accounts": (1, 1),
        "contacts": (3, 0),
    }
    world.run()
    assert world.target.rows("SELECT id = 'a1', name FROM accounts ORDER BY name") == [
        (True, "Acme"),
        (False, "Bolt"),
        (False, "Ours"),
    ]
    again = world.command("plan", str(world.mapping), "--json").document["entities"]
    assert {e: (p["inserts"], p["updates"], p["unchanged"]) for e, p in again.items()} == {
        "accounts": (0, 0, 2),
        "contacts": (0, 0, 3),
    }


@pytest.mark.promise(2)
def test_p2_a_key_that_turned_from_number_to_text_is_still_the_same_row(tmp_path: Path) -> None:
    """Identity is canonical text: a re-run never turns known rows into inserts because a type changed."""
    world = small(tmp_path)
    world.run()
    before = world.target.rows("SELECT * FROM contacts ORDER BY id")
    world.source.run(
        "ALTER TABLE people RENAME TO old",
        "CREATE TABLE people(id TEXT PRIMARY KEY, co INTEGER, full_name TEXT, mail TEXT)",
        "INSERT INTO people SELECT CAST(id AS TEXT), co, full_name, mail FROM old",
        "DROP TABLE old",
    )
    world.run()
    assert world.target.rows("SELECT * FROM contacts ORDER BY id") == before
    # under write: add a changed row waits for a decision; as an insert it would stand there twice
    assert {c for codes in world.codes("contacts").values() for c in codes} <= {"changed_since_load"}
