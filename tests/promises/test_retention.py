"""F18: rows that are too old are left out by a reason of their own; archived ones lie in the vault and come back."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from migrate import api, failpoints

from tests.runs import World, balance, bare

SOURCE = (
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, seen TEXT, changed DATE)",
    """INSERT INTO people VALUES (1, 'Ada', '2026-01-31', NULL), (2, 'Bob', '2001-05-05', NULL), (3, 'Cy', NULL, NULL),
        (4, 'Di', '1999-01-01', '2026-02-02'), (5, 'Ed', 'long ago', NULL), (6, 'Flo', '1998-01-01', '1997-01-01')""",
)
TARGET = ("CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT)",)


def world(folder: Path, retention: str, more: str = "") -> World:
    entities = f"""
  contacts:
    from: people
    key: id
    into: contacts
    retention: {retention}
    {more}
    fields: {{name: name}}
"""
    return bare(folder, SOURCE, TARGET, entities, source_more=", nulls: ['']")


def names(made: World) -> set[str]:
    return {name for (name,) in made.target.rows("SELECT name FROM contacts")}


@pytest.mark.fineprint(18)
def test_f18_old_rows_are_excluded_by_reason_and_the_archive_restores(tmp_path: Path) -> None:
    made = world(tmp_path, "{by: [seen, changed], keep: 20 years, then: archive, if_empty: drop}")
    done = made.run()
    assert balance(done, "contacts") == {
        "in": 6, "loaded": 2, "unchanged": 0, "merged": 0, "quarantined": 1, "excluded": 3,
    }  # fmt: skip
    assert names(made) == {"Ada", "Di"}
    assert made.codes("contacts") == {'["5"]': ["type"]}
    report = api.report("latest", home=made.home)
    assert report["tables"]["people"]["excluded"] == {
        "contacts": {"retention: archived": 2, "retention: dropped": 1}
    }
    archive = report["archived"]["contacts"]
    assert archive["rows"] == 2
    listed = made.command("backup", "list", "--json").document
    assert any(b["id"] == archive["backup"] and b["role"] == "archive" and b["rows"] == 2 for b in listed)
    assert made.command("backup", "check", archive["backup"], "--json").code == 0
    restored = made.command(
        "backup", "restore", archive["backup"], "--into", f"sqlite:///{tmp_path}/archive.db"
    )
    assert restored.code == 0, restored.err
    found = (
        sqlite3.connect(tmp_path / "archive.db")
        .execute("SELECT id, name, seen FROM people ORDER BY id")
        .fetchall()
    )
    assert found == [(2, "Bob", "2001-05-05"), (6, "Flo", "1998-01-01")]


@pytest.mark.fineprint(18)
@pytest.mark.parametrize(
    ("retention", "loaded", "codes"),
    [
        ("{by: seen, keep: 20 years, then: drop}", {"Ada", "Cy"}, {'["5"]': ["type"]}),
        ("{by: seen, keep: 20 years, then: keep}", {"Ada", "Bob", "Cy", "Di", "Flo"}, {'["5"]': ["type"]}),
        (
            "{by: seen, keep: 20 years, then: drop, if_empty: quarantine}",
            {"Ada"},
            {'["3"]': ["required"], '["5"]': ["type"]},
        ),
    ],
)
def test_f18_what_becomes_of_old_and_of_undated_rows(
    tmp_path: Path, retention: str, loaded: set[str], codes: dict[str, list[str]]
) -> None:
    made = world(tmp_path, retention)
    made.run()
    assert names(made) == loaded
    assert made.codes("contacts") == codes


def test_where_comes_first_and_a_plan_archives_nothing(tmp_path: Path) -> None:
    made = world(tmp_path, "{by: seen, keep: 20 years, then: archive}", 'where: "id <> 2"')
    made.write()
    plan = made.command("plan", str(made.mapping), "--json")
    assert plan.code == 0
    assert not made.vault.exists() or not [
        b for b in made.command("backup", "list", "--json").document if b["role"] == "archive"
    ]
    made.run()
    excluded = api.report("latest", home=made.home)["tables"]["people"]["excluded"]
    assert excluded == {"contacts": {"retention: archived": 2, "where": 1}}


@pytest.mark.parametrize("rows", ["one_or_none", "any"])
def test_f18_rows_with_joined_ones_are_archived_with_what_the_mapping_uses_of_those(
    tmp_path: Path, rows: str
) -> None:
    source = (
        *SOURCE,
        "CREATE TABLE firms(id INTEGER PRIMARY KEY, person INTEGER, title TEXT, town TEXT)",
        "INSERT INTO firms VALUES (1, 1, 'Acme', 'Ulm'), (2, 2, 'Bolt', 'Bonn')",
    )
    entities = f"""
  contacts:
    from: people
    key: id
    into: contacts
    with: {{c: {{table: firms, on: {{id: person}}, rows: {rows}}}}}
    retention: {{by: seen, keep: 20 years, then: archive, if_empty: drop}}
    fields: {{name: name{", firm: c.title" if rows == "one_or_none" else ""}}}
"""
    target = ("CREATE TABLE contacts(id INTEGER PRIMARY KEY, name TEXT, firm TEXT)",)
    made = bare(tmp_path, source, target, entities, source_more=", nulls: ['']")
    made.run()
    archive = api.report("latest", home=made.home)["archived"]["contacts"]
    into = f"sqlite:///{tmp_path}/archive.db"
    assert made.command("backup", "restore", archive["backup"], "--into", into).code == 0
    found = sqlite3.connect(tmp_path / "archive.db").execute("SELECT * FROM people ORDER BY id")
    names = [column[0] for column in found.description]
    more = [("c.title", "Bolt")] if rows == "one_or_none" else []
    assert dict(zip(names, found.fetchone(), strict=True)) == dict(
        [("id", 2), ("name", "Bob"), ("seen", "2001-05-05"), ("changed", None), *more]
    )


def test_an_archive_outlives_prune(tmp_path: Path) -> None:
    made = world(tmp_path, "{by: seen, keep: 20 years, then: archive}")
    made.run()
    made.source.run("UPDATE people SET name = 'Bobby' WHERE id = 2")
    made.run()
    made.command("backup", "prune", "--keep", "1", "--yes")
    left = [b["id"] for b in made.command("backup", "list", "--json").document if b["role"] == "archive"]
    assert len(left) == 2


def test_a_column_that_holds_no_dates_is_named(tmp_path: Path) -> None:
    made = world(tmp_path, "{by: id, keep: 20 years, then: drop}")
    assert '"id" holds int values, which are no dates' in made.says(code=2)


@pytest.mark.parametrize("point", ["transform.archived", "vault.manifest.stored", "load.assigned"])
def test_a_run_that_dies_around_the_archive_keeps_one(tmp_path: Path, point: str) -> None:
    made = world(tmp_path, "{by: seen, keep: 20 years, then: archive}")
    nth = "3" if point == "vault.manifest.stored" else "1"  # source, target, archive
    failpoints.arm(f"{point}:{nth}:raise")
    try:
        made.write()
        made.command("run", str(made.mapping))
    finally:
        failpoints.arm()
    made.run()
    assert len([b for b in made.command("backup", "list", "--json").document if b["role"] == "archive"]) == 1
    assert names(made) == {"Ada", "Cy"}
