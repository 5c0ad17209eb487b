"""Keys and references as they are fixed before the first row is written."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.runs import World, balance, bare, parquet_rows

SOURCE = (
    "CREATE TABLE groups(id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, boss INTEGER, owner TEXT, team INTEGER)",
    "CREATE TABLE members(person INTEGER, grp INTEGER, since TEXT)",
    "INSERT INTO groups VALUES (1, 'Red'), (2, 'Blue')",
    "INSERT INTO people VALUES (1, 'Ada', 2, 'o@x', NULL), (2, 'Bob', 1, 'nobody', 1), (3, 'Cy', NULL, NULL, 9)",
    "INSERT INTO members VALUES (1, 1, 'May'), (1, 2, 'June'), (2, 1, NULL), (3, 7, 'July'), (9, 1, 'Aug')",
)
TARGET = (
    "CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT, role TEXT)",
    "CREATE TABLE groups(id TEXT PRIMARY KEY, name TEXT)",
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, boss_id INTEGER REFERENCES people(id), "
    "owner_id INTEGER REFERENCES users(id), desk_id INTEGER REFERENCES users(id), group_id TEXT REFERENCES groups(id))",
    "CREATE TABLE members(person_id INTEGER NOT NULL REFERENCES people(id), group_id TEXT NOT NULL REFERENCES groups(id), "
    "since TEXT, PRIMARY KEY (person_id, group_id))",
    "INSERT INTO users VALUES (11, 'o@x', 'rep'), (12, 'desk@x', 'desk'), (13, 'two@x', 'rep'), (14, 'two@x', 'rep')",
    "INSERT INTO groups VALUES ('none', 'No group')",
)
MAPPED = """
  groups: {from: groups, key: id, into: groups, fields: {name: name}}
  people:
    from: people
    key: id
    into: people
    fields:
      name: name
      boss_id: {from: boss, ref: people}
      owner_id: {from: owner, find: {in: users, by: email, missing: empty_and_flag}, default: "13"}
      desk_id: {value: x, find: {in: users, role: desk}}
      group_id: {from: team, ref: {to: groups, missing: {default: none}}, default: none}
  members:
    from: members
    key: [person, grp]
    into: members
    fields: {person_id: {from: person, ref: people}, group_id: {from: grp, ref: groups}, since: since}
"""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return bare(tmp_path, SOURCE, TARGET, MAPPED)


def uuid_of(entity: str, key: str) -> str:
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:migrate:acme")
    return str(uuid.uuid5(namespace, f'["{entity}",{key}]'))


def test_keys_and_references_stand_as_the_mapping_says(world: World) -> None:
    document = world.run()
    assert all(v["passed"] for v in document["verdicts"])
    red, blue = uuid_of("groups", '["1"]'), uuid_of("groups", '["2"]')
    assert world.target.rows("SELECT id, name FROM groups WHERE id <> 'none' ORDER BY name") == [
        (blue, "Blue"),
        (red, "Red"),
    ]
    rows = world.target.rows(
        "SELECT p.name, b.name, p.owner_id, p.desk_id, p.group_id FROM people p LEFT JOIN people b ON b.id = p.boss_id "
        "ORDER BY p.name"
    )
    assert rows == [
        ("Ada", "Bob", 11, 12, "none"),  # no group of its own: the field's default
        ("Bob", "Ada", None, 12, red),  # an owner nobody knows: emptied, and flagged
        (
            "Cy",
            None,
            13,
            12,
            "none",
        ),  # no owner: the field's default; a group that is not there: its own default
    ]
    members = (
        "SELECT p.name, m.group_id, m.since FROM members m JOIN people p ON p.id = m.person_id ORDER BY 1, 3"
    )
    assert world.target.rows(members) == [("Ada", blue, "June"), ("Ada", red, "May"), ("Bob", red, None)]
    assert world.codes("members") == {'["3","7"]': ["ref_missing"], '["9","1"]': ["ref_missing"]}
    assert balance(document, "members") == {
        "in": 5, "loaded": 3, "unchanged": 0, "merged": 0, "quarantined": 2, "excluded": 0,
    }  # fmt: skip
    crosswalk = dict(
        world.target.rows("SELECT source_key, target_key FROM _migrate_crosswalk WHERE entity = 'members'")
    )
    ada = world.target.one("SELECT id FROM people WHERE name = 'Ada'")
    assert crosswalk['["1","2"]'] == f'["{ada}","{blue}"]'


def test_the_deferred_field_has_its_own_column_and_two_hashes(world: World) -> None:
    run = world.run()["run"]
    rows = parquet_rows(next((world.run_folder(run) / "load" / "people").glob("part-*.parquet")))
    by_key = {r["__key"]: r for r in rows}
    assert "boss_id" not in rows[0]
    assert by_key['["1"]']["d.boss_id"] == by_key['["2"]']["id"]
    assert by_key['["1"]']["__expected"] != by_key['["1"]']["__final"]
    assert {r["__op"] for r in rows} == {"insert"}
    assert all(f'["{r["id"]}"]' == r["__tkey"] for r in rows)


def test_a_second_run_changes_nothing_and_a_changed_row_is_not_keyed_anew(world: World) -> None:
    world.run()
    before = {
        t: world.target.rows(f"SELECT * FROM {t} ORDER BY 1, 2") for t in ("groups", "people", "members")
    }
    document = world.run()
    assert {e: balance(document, e)["loaded"] for e in document["balances"]} == {
        "groups": 0, "people": 0, "members": 0,
    }  # fmt: skip
    after = {t: world.target.rows(f"SELECT * FROM {t} ORDER BY 1, 2") for t in before}
    assert after == before
    world.source.run(
        "INSERT INTO members VALUES (3, 2, 'Sept')", "UPDATE people SET name = 'Cyd' WHERE id = 3"
    )
    world.run()
    assert world.codes("people") == {'["3"]': ["changed_since_load"]}
    new = "SELECT p.name, m.since FROM members m JOIN people p ON p.id = m.person_id WHERE m.since = 'Sept'"
    assert world.target.rows(new) == [("Cy", "Sept")]  # its parent is known from before: the reference holds


def test_an_ambiguous_lookup_is_quarantined_with_its_candidates(world: World) -> None:
    world.source.run("UPDATE people SET owner = 'two@x' WHERE id = 3")
    world.run()
    found = [r for r in world.quarantine() if r["entity"] == "people"]
    assert [(r["key"], r["codes"]) for r in found] == [('["3"]', ["find_ambiguous"])]
    assert '["13"]' in found[0]["reasons"][0]
    assert '["14"]' in found[0]["reasons"][0]
    assert world.target.one("SELECT count(*) FROM people") == 2


@pytest.mark.promise(1)
def test_p1_a_lookup_that_nothing_is_found_for_stops_where_it_says_stop(world: World) -> None:
    world.entities = MAPPED.replace("role: desk", "role: nobody, missing: stop")
    error = world.run(code=3)
    assert "people.desk_id: find_missing in 3 rows" in error["message"]
    assert world.target.one("SELECT count(*) FROM people") == 0
