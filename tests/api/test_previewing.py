"""`migrate preview`: one real row step by step, with what the target has of it; nothing is changed anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import MappingError, UsageError

from tests.runs import World, bare, files

SOURCE = (
    "CREATE TABLE companies(id INTEGER PRIMARY KEY, name TEXT)",
    "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Bolt')",
    "CREATE TABLE people(id INTEGER, co INTEGER, full_name TEXT, mail TEXT, land TEXT, rep TEXT)",
    "INSERT INTO people VALUES (1, 1, ' Ada ', 'ADA@x.com', 'uk', 'zoe'), (2, 2, NULL, 'none', 'Mars', 'nobody'), "
    "(3, 9, 'Cy', NULL, NULL, NULL), (4, 1, 'Di', NULL, NULL, NULL), (4, 1, 'Eve', NULL, NULL, NULL)",
)
TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE users(id INTEGER PRIMARY KEY, login TEXT, active INTEGER)",
    "INSERT INTO users VALUES (7, 'zoe', 1), (8, 'zoe', 0)",
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL, mail TEXT, "
    "land CHAR(2), owner_id INTEGER REFERENCES users(id))",
    "INSERT INTO contacts(id, name, mail) VALUES ('c9', 'Cy', 'cy@x.com')",
)
MAPPED = """
  accounts: {from: companies, key: id, into: accounts, fields: {name: name}}
  contacts:
    from: people
    where: "full_name <> 'Eve' OR full_name IS NULL"
    key: id
    into: contacts
    match: [name]
    fields:
      account_id: {from: co, ref: accounts}
      name: {from: full_name, do: [trim], check: required}
      mail: {from: mail, do: [lower], check: [{pattern: "[^@]+@[^@]+"}], on_fail: empty_and_flag}
      land: {from: land, do: [upper], map: {UK: GB}}
      owner_id: {from: rep, find: {in: users, by: login, active: "1", missing: empty_and_flag}}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = bare(tmp_path_factory.mktemp("preview"), SOURCE, TARGET, MAPPED)
    made.run("--only", "accounts")
    return made


def row(world: World, key: str, place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = api.preview(world.mapping, "contacts", key)["rows"][place]
    return found


def by_column(found: dict[str, Any]) -> dict[str, Any]:
    return {f["column"]: f for f in found["fields"]}


def test_a_row_step_by_step(world: World) -> None:
    before = [db.path.read_bytes() for db in (world.source, world.target)]
    found = row(world, "1")
    assert found["source"]["full_name"] == " Ada "
    assert found["fate"] == "added to contacts"
    assert (found["reasons"], found["events"]) == ([], [])
    fields = by_column(found)
    assert [(s["step"], s["value"]) for s in fields["name"]["steps"]] == [
        ("from", " Ada "),
        ("trim", "Ada"),
        ("check: required", "Ada"),
    ]
    assert [(s["step"], s["value"]) for s in fields["land"]["steps"]][1:] == [("upper", "UK"), ("map", "GB")]
    assert (fields["land"]["type"], fields["name"]["nullable"]) == ("CHAR(2)", False)
    assert fields["account_id"]["value"] == {"ref": ["accounts", "1"]}
    loaded = world.target.one("SELECT id FROM accounts WHERE name = 'Acme'")
    assert fields["account_id"]["found"] == [f'["{loaded}"]']
    assert fields["owner_id"]["value"] == {"find": ["users", "login", "zoe", "active", "1"]}
    assert fields["owner_id"]["found"] == ['["7"]']
    assert before == [db.path.read_bytes() for db in (world.source, world.target)]


def test_what_speaks_against_a_row_and_what_rules_did_to_it(world: World) -> None:
    found = row(world, "2")
    assert found["fate"] == "quarantine"
    assert [(r["field"], r["code"]) for r in found["reasons"]] == [
        ("name", "required"),
        ("land", "unmapped_value"),
    ]
    assert found["events"] == [{"field": "mail", "code": "emptied"}]
    fields = by_column(found)
    assert [s["broken"] for s in fields["mail"]["steps"]] == [False, False, True]
    assert fields["owner_id"]["found"] == []
    out = world.command("preview", str(world.mapping), "contacts", "--key", "2").out
    assert "name: required (empty)" in out
    assert "= nothing (TEXT), emptied" in out
    assert "in the target: not there" in out


def test_what_the_target_has_of_a_row(world: World) -> None:
    found = row(world, "3")
    assert found["target"] == {"loaded_as": None, "match": {"name": "Cy"}, "found": ['["c9"]']}
    assert found["fate"] == 'written over contacts ["c9"], which matches'
    assert by_column(found)["account_id"]["found"] == []
    loaded = api.preview(world.mapping, "accounts", "2")["rows"][0]
    assert loaded["fate"].startswith('is in the target already, as accounts ["')


def test_rows_that_share_a_key_are_all_shown(world: World) -> None:
    assert row(world, "4", 0)["fate"] == "added to contacts"
    assert row(world, '["4"]', 1)["fate"] == "left out: where"
    assert "Row 2 of 2" in world.command("preview", str(world.mapping), "contacts", "--key", "4").out


def test_what_is_not_there_is_said(world: World) -> None:
    with pytest.raises(UsageError) as caught:
        api.preview(world.mapping, "contacts", "99")
    assert caught.value.exit_code == 2
    assert "no row of contacts has the key" in caught.value.message
    with pytest.raises(UsageError) as caught:
        api.preview(world.mapping, "contact", "1")
    assert "contacts" in caught.value.hint
    broken = world.folder / "broken.yaml"
    broken.write_text(world.mapping.read_text().replace("{from: full_name", "{from: full_nam"))
    with pytest.raises(MappingError) as wrong:
        api.preview(broken, "contacts", "1")
    assert {p.code for p in wrong.value.problems} == {"unknown_column"}
    broken.write_text(world.mapping.read_text().replace("target.db", "nowhere.db"))
    assert world.command("preview", str(broken), "contacts", "--key", "1").code == 5


def test_references_by_other_columns_and_to_one_of_several(world: World) -> None:
    """Which row has these values is known in a run only; of several entities the one that has the row is found."""
    file = world.folder / "others.yaml"
    file.write_text(
        world.mapping.read_text()
        .replace("ref: accounts", "ref: {to: accounts, by: name}")
        .replace("find: {in: users, by: login", "ref: {to: [accounts, contacts]}, x: {in: users, by: login")
        .replace(', x: {in: users, by: login, active: "1", missing: empty_and_flag}', "")
        .replace("owner_id: {from: rep", "land2: {from: co"),
        encoding="utf-8",
    )
    world.target.run("ALTER TABLE contacts ADD COLUMN land2 TEXT")
    found = api.preview(file, "contacts", "1")["rows"][0]
    fields = by_column(found)
    assert fields["account_id"]["value"] == {"ref": ["accounts", "1"]}
    assert fields["account_id"]["found"] is None
    assert fields["land2"]["value"] == {"ref": ["accounts or contacts", "1"]}
    assert len(fields["land2"]["found"]) == 1


def test_files_by_line_and_words_that_mean_nothing(tmp_path: Path) -> None:
    made = files(
        tmp_path,
        {"people.csv": b"full_name,land\nAda,uk\n-,uk\n"},
        ("CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT)",),
        "  contacts: {from: people, key: line, into: contacts, fields: {name: full_name}}\n",
        source_more=', nulls: ["-"]',
    )
    made.write()
    found = row(made, "3")
    assert by_column(found)["name"]["value"] is None
    assert row(made, "2")["source"] == {"full_name": "Ada", "land": "uk"}
    assert not made.home.exists()


SHAPES = """
  people:
    from: people
    key: id
    into: contacts
    with:
      home: {table: homes, on: {id: person}, where: "kind = 'home'", rows: one_or_none}
      town: {table: towns, on: {home.town: id}, rows: one_or_none}
    fields: {name: full_name, mail: home.street, land: town.land}
  phones:
    from: people
    explode: {number: [tel, mobile], kind: [office, cell]}
    key: [id, kind]
    into: phones
    fields: {person: {from: id, ref: people}, number: number, kind: kind}
  first_streets:
    from: homes
    one_per: street
    key: street
    into: contacts
    fields: {name: street}
  facts:
    from: facts
    pivot: {per: person, name: what, value: value, columns: [size, colour]}
    key: person
    into: contacts
    fields: {name: colour, mail: size}
  counted:
    query: "SELECT person, count(*) AS n FROM homes GROUP BY person"
    key: person
    into: contacts
    fields: {name: n}
  calls: {from: actions, key: id, into: contacts, fields: {name: body}}
  mails: {from: actions, key: id, into: contacts, fields: {name: body}}
"""
SPLIT = "split: {actions: {calls: \"type = 'call'\", mails: \"type = 'mail'\", leave_out: {void: \"type = 'x'\"}, otherwise: quarantine}}"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = bare(
        tmp_path_factory.mktemp("shapes"),
        (
            "CREATE TABLE people(id INTEGER PRIMARY KEY, full_name TEXT, tel TEXT, mobile TEXT)",
            "INSERT INTO people VALUES (1, 'Ada', '12', '34'), (2, 'Bob', '56', NULL)",
            "CREATE TABLE homes(id INTEGER PRIMARY KEY, person INTEGER, kind TEXT, street TEXT, town INTEGER)",
            "INSERT INTO homes VALUES (1, 1, 'home', 'Elm', 7), (2, 1, 'work', 'Oak', 8), (3, 2, 'work', 'Elm', 8)",
            "CREATE TABLE towns(id INTEGER PRIMARY KEY, land TEXT)",
            "INSERT INTO towns VALUES (7, 'NO'), (8, 'SE')",
            "CREATE TABLE facts(person INTEGER, what TEXT, value TEXT)",
            "INSERT INTO facts VALUES (1, 'size', 'L'), (1, 'colour', 'red'), (2, 'size', 'S')",
            "CREATE TABLE actions(id INTEGER PRIMARY KEY, type TEXT, body TEXT)",
            "INSERT INTO actions VALUES (1, 'call', 'hi'), (2, 'mail', 'ho'), (3, 'x', 'y'), (4, 'fax', 'z')",
        ),
        (
            "CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT, mail TEXT, land TEXT)",
            "CREATE TABLE phones(id INTEGER PRIMARY KEY, person INTEGER REFERENCES contacts(id), number TEXT, kind TEXT)",
        ),
        SHAPES,
        more=SPLIT,
    )
    made.write()
    return made


@pytest.mark.parametrize(
    ("entity", "key", "values"),
    [
        ("people", "1", [{"name": "Ada", "mail": "Elm", "land": "NO"}]),
        ("people", "2", [{"name": "Bob", "mail": None, "land": None}]),
        (
            "phones",
            '["1","cell"]',
            [{"person": {"ref": ["people", "1"]}, "number": "34", "kind": "cell"}],
        ),
        ("first_streets", "Elm", [{"name": "Elm"}, {}]),
        ("facts", "1", [{"name": "red", "mail": "L"}]),
        ("counted", "1", [{"name": "2"}]),
        ("mails", "2", [{"name": "ho"}]),
    ],
)
def test_every_road_is_the_one_that_a_run_takes(
    shapes: World, entity: str, key: str, values: list[dict[str, Any]]
) -> None:
    rows = api.preview(shapes.mapping, entity, key)["rows"]
    found = [{f["column"]: f["value"] for f in r.get("fields", ())} for r in rows]
    assert found == values
    if len(rows) > 1:
        assert rows[1]["fate"] == "left out: one_per"
    assert all(not name.startswith("__") for r in rows for name in r["source"])


@pytest.mark.parametrize(
    ("key", "said"), [("1", "goes to calls"), ("3", "is left out: void"), ("4", "fits no road")]
)
def test_a_split_says_where_the_row_goes(shapes: World, key: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        api.preview(shapes.mapping, "mails", key)
    assert said in caught.value.hint
