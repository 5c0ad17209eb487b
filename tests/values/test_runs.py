"""Values over whole runs: let, cases, bands and maps from files and tables, first and second time."""

from __future__ import annotations

from pathlib import Path

from migrate import api

from tests.runs import World, balance, bare, files, is_one_clear_paragraph

SOURCE = [
    "CREATE TABLE people(id INTEGER PRIMARY KEY, site TEXT, mail TEXT, mail2 TEXT, staff INTEGER, kind TEXT, land TEXT)",
    "INSERT INTO people VALUES (1, 'a', NULL, ' Ada@X.org ', 5, 'k1', 'uk'), (2, 'a', 'bob@x.org', NULL, 50, 'k2', 'U.K.'), "
    "(3, 'b', '', NULL, 800, 'k1', NULL), (4, 'b', 'cy', 'dee@x.org', NULL, 'K2', 'Norge')",
    "CREATE TABLE kinds(code TEXT, name TEXT, note TEXT)",
    "INSERT INTO kinds VALUES ('k1', 'customer', 'x'), ('K2', 'partner', NULL), (NULL, 'none', NULL)",
]
TARGET = [
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, mail TEXT, size INTEGER, tier TEXT NOT NULL, kind TEXT, country TEXT, label TEXT)"
]
ENTITIES = """
  contacts:
    from: people
    key: code
    into: contacts
    let:
      code: {text: "{site}-{id}"}
      mail1: {from: {first_of: [mail, mail2]}, as: address}
    match: {label: code}
    fields:
      mail: mail1
      size: {from: staff, bands: {10: 10, 100: 100}, unmapped: keep}
      tier:
        choose:
          - {when: "staff >= 500 and mail1 is null", value: cold}
          - {when: "staff >= 10", value: big}
          - {when: "staff < 10", value: small}
      kind: {from: kind, map: kind, when: "site <> 'c'"}
      country: {from: land, map: country, unmapped: stop}
      label: code
"""
MORE = """
maps:
  kind: {table: kinds, from: code, to: name, ignore: case}
  country: {file: maps/lands.csv, from: land, to: code, ignore: case}
recipes:
  address: {do: [trim, lower], check: {pattern: '[^@ ]+@[^@ ]+'}, on_fail: empty_and_flag}
defaults: {unmapped: quarantine}
left_behind: {kinds.note: for people}
"""
LANDS = "land,code\nUK,GB\nU.K.,GB\nNorge,NO\n"


def world(folder: Path) -> World:
    (folder / "maps").mkdir()
    (folder / "maps" / "lands.csv").write_text(LANDS)
    # A column that is used and not counted as such would stop the run.
    policy = "max_quarantine: 100%, unmapped: error"
    return bare(folder, SOURCE, TARGET, ENTITIES, more=MORE, policy=policy)


def contacts(made: World) -> list[tuple[object, ...]]:
    return made.target.rows("SELECT label, mail, size, tier, kind, country FROM contacts ORDER BY label")


def test_values_arrive_and_a_second_run_sees_what_changed_in_maps(tmp_path: Path) -> None:
    made = world(tmp_path)
    done = made.run()
    assert contacts(made) == [
        ("a-1", "ada@x.org", 10, "small", "customer", "GB"),
        ("a-2", "bob@x.org", 100, "big", "partner", "GB"),
        ("b-3", None, 800, "cold", "customer", None),
    ]
    # Nobody knows how many work at b-4, and no case is for that.
    assert made.codes("contacts") == {'["b-4"]': ["no_case"]}
    assert balance(done, "contacts")["loaded"] == 3

    seen = api.preview(made.mapping, "contacts", "a-2")["rows"][0]
    assert seen["key"] == '["a-2"]'
    shown = {f["column"]: f["value"] for f in seen["fields"]}
    assert (shown["kind"], shown["country"], shown["size"]) == ("partner", "GB", "100")
    story = made.command("trace", "latest", "contacts", "b-4", "--json")
    assert "no_case" in story.out
    assert story.code == 0

    made.source.run("UPDATE kinds SET name = 'client' WHERE code = 'k1'")
    changed = made.run()
    assert (balance(changed, "contacts")["loaded"], balance(changed, "contacts")["unchanged"]) == (2, 1)
    assert [row[4] for row in contacts(made)] == ["client", "partner", "client"]

    lands = tmp_path / "maps" / "lands.csv"
    lands.write_text(LANDS.replace("U.K.,GB", "U.K.,UK"))
    made.run()
    assert [row[5] for row in contacts(made)] == ["GB", "UK", None]
    # A finished run does not need the file that it was made with.
    lands.unlink()
    assert made.command("rollback", "latest", "--yes").code == 0
    assert [row[5] for row in contacts(made)] == ["GB", "GB", None]


def test_values_that_maps_do_not_know_and_maps_that_are_none_stop_before_the_load(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.source.run("INSERT INTO people(id, site, land) VALUES (5, 'c', 'Mars'), (6, 'c', 'NORGE')")
    is_one_clear_paragraph(made.says(code=3), "1 values are not in the map (1 rows)")
    made.source.run("DELETE FROM people WHERE id = 5", "INSERT INTO kinds VALUES ('K1', 'other', NULL)")
    error = made.says("--fresh", code=3)
    is_one_clear_paragraph(
        error, "kind", "kinds (code to name)", "several results for 1 values", "Nothing was loaded"
    )
    assert contacts(made) == []


def test_a_map_of_a_table_that_is_not_there(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.more = MORE.replace("table: kinds, from: code, to: name", "table: kinds, from: cod, to: nam")
    problems = made.run(code=2)["problems"]
    assert [(p["code"], p["where"].rpartition("m.yaml:")[2]) for p in problems] == [
        ("unknown_column", "8:24"),
        ("unknown_column", "8:35"),
    ]
    made.more = MORE.replace("table: kinds", "table: kindz")
    assert [p["where"].rpartition("m.yaml:")[2] for p in made.run(code=2)["problems"]] == ["8:10"]


def test_files_with_a_lookup_between_them(tmp_path: Path) -> None:
    """A folder of files: NULL words count in the map's file too, and a broken record of it stops the run."""
    people = b"id,kind\n1,k1\n2,-\n3,k3\n"
    kinds = b"code,name\nk1,customer\n-,nothing\nk2,partner\n"
    made = files(
        tmp_path,
        {"people.csv": people, "kinds.csv": kinds},
        ["CREATE TABLE contacts(id TEXT PRIMARY KEY, kind TEXT)"],
        "  contacts: {from: people, key: id, into: contacts, fields: {id: id, kind: {from: kind, map: kind}}}\n",
        more="maps: {kind: {table: kinds, from: code, to: name}}",
        source_more=', nulls: ["-"]',
    )
    made.run()
    assert made.target.rows("SELECT id, kind FROM contacts ORDER BY id") == [("1", "customer"), ("2", None)]
    assert made.codes("contacts") == {'["3"]': ["unmapped_value"]}
    (tmp_path / "exports" / "kinds.csv").write_bytes(kinds + b"k4,a,b\n")
    is_one_clear_paragraph(made.says(code=3), "kinds (code to name)", "1 records that cannot be read")
