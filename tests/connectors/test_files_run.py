"""Whole runs from exports as people have them: a workbook, parts of a month each, packed files, totals, odd names."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.spreadsheets import xlsx, zipped
from tests.runs import World, balance, complete, files, is_one_clear_paragraph, places_of

TARGET = [
    "CREATE TABLE firms(id INTEGER PRIMARY KEY, no TEXT UNIQUE, name TEXT, since DATE, size INTEGER)",
    "CREATE TABLE people(id TEXT PRIMARY KEY, no TEXT UNIQUE, name TEXT, firm INTEGER REFERENCES firms(id), born DATE)",
    "CREATE TABLE notes(id TEXT PRIMARY KEY, body TEXT)",
]
SOURCE = """, nulls: ["", "#N/A"], tables: {
  firms: {file: "Export 2026.xlsx", sheet: "Firms 2026", skip_first: 2, skip_last: 1},
  people: {file: "people-*", dates: [D.M.YYYY, YYYY-MM-DD, M/D/YYYY], skip_last: 1},
  notes: {file: "export (1).zip", member: "in/notes.csv", encoding: cp1252, nulls: []}}"""
ENTITIES = """
  firms: {from: firms, key: Nr, into: firms, fields: {no: Nr, name: Name, since: {from: Since, read_as: date}, size: Staff}}
  people:
    from: people
    where: "_file not like '%-0.csv'"
    key: no
    into: people
    fields: {no: no, name: name, firm: {from: firm, ref: firms}, born: {from: born, read_as: date}}
  notes: {from: notes, key: content, into: notes, fields: {body: text}}
"""


def exports() -> dict[str, bytes]:
    firms: list[list[Any]] = [["Firms of Acme"], [], ["Nr", "Name", "Since", "Staff"]]
    firms += [["007", "Acme", "2020-01-31", 12], ["8", "Bölt", None, 3], ["Total", None, None, 15]]
    return {
        "Export 2026.xlsx": xlsx(Firms_2026=firms, Old=[["x"], [1]]),
        "people-0.csv": b"no,name,firm,born\n0,Old,8,\nend,,,\n",
        "people-1.csv": b"no,name,firm,born\n1,Ada,007,10.12.1815\n2,Bob,8\n\n3,Cy,9,\nend,,,\n",
        "people-2.csv.gz": gzip.compress(
            b"name,no,born,firm\nDi,4,1999-01-02,#N/A\nEd,5,2/3/1990,8\nend,,,\n",
            mtime=0,  # parameters of tests are made of it, and are the same in every worker
        ),
        "people-3.csv": b"no,name,firm,born\n6,Fay,8,12/31/1990\nend,,,\n",
        "export (1).zip": zipped(
            {"in/notes.csv": "text\nZoë\nZoë\n".encode("cp1252"), "in/more.csv": b"a\n"}
        ),
    }


def world_of(folder: Path) -> World:
    return files(folder, exports(), TARGET, ENTITIES, source_more=SOURCE)


@pytest.mark.promise(7)
@pytest.mark.promise(10)
@pytest.mark.promise(16)
def test_exports_as_people_have_them(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    document = world.run("-v")
    assert document["state"] == "verified"
    assert "people: without the last 1 rows of each file" in world.done[0].err
    assert world.target.rows("SELECT no, name, since, size FROM firms ORDER BY no") == [
        ("007", "Acme", "2020-01-31", 12),
        ("8", "Bölt", None, 3),
    ]
    assert world.target.rows(
        "SELECT p.no, p.name, f.no, p.born FROM people p LEFT JOIN firms f ON f.id = p.firm ORDER BY p.no"
    ) == [
        ("1", "Ada", "007", "1815-12-10"),
        ("4", "Di", None, "1999-01-02"),
        ("5", "Ed", "8", "1990-02-03"),
        ("6", "Fay", "8", "1990-12-31"),
    ]
    assert world.target.rows("SELECT body FROM notes") == [("Zoë",), ("Zoë",)]
    assert balance(document, "people") == {
        **dict.fromkeys(("merged", "unchanged"), 0),
        "in": 7,
        "loaded": 4,
        "quarantined": 2,
        "excluded": 1,
    }
    found = {(r["file"], r["line"]): r for r in world.quarantine()}
    assert {place: row["codes"] for place, row in found.items()} == {
        ("people-1.csv", 3): ["ragged_row"],
        ("people-1.csv", 5): ["ref_missing"],
    }
    assert found["people-1.csv", 3]["raw"].strip() == "2,Bob,8"
    assert "_file" not in found["people-1.csv", 5]["row"]
    shown = world.command("quarantine", "show", "latest", "people-1.csv:3", "--json").document
    assert [row["line"] for row in shown] == [3]
    assert "people-1.csv:3" in world.command("quarantine", "list", "latest").out
    assert "line 5 of people-1.csv" in world.command("quarantine", "show", "latest", "3").out
    world.command("quarantine", "export", "latest", str(tmp_path / "fix"))
    with (tmp_path / "fix" / "people.csv").open(newline="") as file:
        assert {(r["_file"], r["_line"]) for r in csv.DictReader(file)} == {
            ("people-1.csv", "3"),
            ("people-1.csv", "5"),
        }
    for path in (tmp_path / "exports").iterdir():  # kept byte for byte, packed as they are
        assert places_of([world.vault], path.read_bytes()), path.name
    assert balance(world.run(), "people")["unchanged"] == 4


def test_a_later_part_changes_nothing_of_the_earlier_ones(tmp_path: Path) -> None:
    """Rows known by their line stay who they were when the next month's file comes."""
    entity = "  people: {from: people, key: line, into: people, fields: {name: name}}\n"
    more = ', tables: {people: {file: "people-*.csv"}}'
    content = {"people-1.csv": b"name\nAda\n", "people-2.csv": b"name\nBob\nAda\n"}
    target = ["CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT)"]
    world = files(tmp_path, content, target, entity, source_more=more)
    assert balance(world.run(), "people")["loaded"] == 3
    (tmp_path / "exports" / "people-1.csv").write_bytes(b"name\nAda\nEve\n")
    (tmp_path / "exports" / "people-3.csv").write_bytes(b"name\nCy\n")
    found = balance(world.run(), "people")
    assert (found["unchanged"], found["loaded"]) == (3, 2)
    assert world.target.rows("SELECT name FROM people ORDER BY name") == [
        (n,) for n in ("Ada", "Ada", "Bob", "Cy", "Eve")
    ]


@pytest.mark.parametrize(
    ("name", "data", "code", "words"),
    [
        ("Export 2026.xlsx", exports()["Export 2026.xlsx"][:-100], 6, ["Export 2026.xlsx", "damaged"]),
        ("Export 2026.xlsx", xlsx(Firms=[["Nr"]]), 2, ["Firms 2026", "Did you mean 'Firms'"]),
        ("people-2.csv.gz", exports()["people-2.csv.gz"][:-9], 6, ["people-2.csv.gz", "not whole"]),
        ("people-3.csv", b"no,name,firm\nend,,\n", 2, ["people-3.csv", "no column born"]),
        ("export (1).zip", zipped({"a.csv": b"a\n"}), 2, ["in/notes.csv", "a.csv"]),
    ],
)
def test_exports_that_cannot_be_read_are_one_clear_paragraph(
    tmp_path: Path, name: str, data: bytes, code: int, words: list[str]
) -> None:
    world = world_of(tmp_path)
    (tmp_path / "exports" / name).write_bytes(data)
    is_one_clear_paragraph(world.says(code=code), *words)
    complete(world.run(code=code))
    assert world.target.rows("SELECT * FROM people") == []


def test_profile_and_doctor_know_these_files(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    folder = tmp_path / "exports"
    world.write()
    names = {
        "Export 2026.xlsx": ["Export 2026.Firms 2026", "Export 2026.Old"],
        "people-2.csv.gz": ["people-2"],
    }
    for name, tables in names.items():
        assert list(world.command("profile", str(folder / name), "--json").document) == tables
    done = world.command("profile", str(folder / "export (1).zip"))
    assert done.code == 2
    assert "2 tables" in done.err
    found = {c["check"]: c for c in world.command("doctor", str(world.mapping), "--json").document}
    assert found["mapping"]["passed"]
    assert found["python-calamine"]["passed"]
