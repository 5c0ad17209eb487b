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
