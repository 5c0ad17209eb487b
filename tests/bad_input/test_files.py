"""Files as people export them: ragged, in the wrong encoding, with a BOM, with quotes that span lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runs import World, balance, complete, files, is_one_clear_paragraph

TARGET = "CREATE TABLE leads(id TEXT PRIMARY KEY, no TEXT, name TEXT, city TEXT)"
MAPPED = "  leads: {from: leads, key: no, into: leads, fields: {no: no, name: name, city: city}}\n"


def world_of(folder: Path, data: bytes, **more: Any) -> World:
    return files(folder, {"leads.csv": data}, [TARGET], MAPPED, **more)


def loaded(world: World) -> list[tuple[Any, ...]]:
    return world.target.rows("SELECT no, name, city FROM leads ORDER BY no")


GOOD = [("1", "Ada", "Leeds"), ("2", "Bob", "York")]


@pytest.mark.parametrize(
    ("data", "more", "expected"),
    [
        (b"\xef\xbb\xbfno,name,city\n1,Ada,Leeds\n2,Bob,York\n", "", GOOD),
        (b"no,name,city\r\n1,Ada,Leeds\r\n2,Bob,York", "", GOOD),
        ("no,name,city\n1,Ada,Leeds\n2,Bob,York\n".encode("utf-16"), ", encoding: utf-16", GOOD),
        ("no,name,city\n1,Zoë,Kön\n".encode("cp1252"), ", encoding: cp1252", [("1", "Zoë", "Kön")]),
        (b'no,name,city\n1,"A ""q"", x","two\nlines"\n', "", [("1", 'A "q", x', "two\nlines")]),
        (b"city,spare,no,name\nLeeds,,1,Ada\nYork,,2,Bob\n", "", GOOD),
        (b"no,name,city\n", "", []),
    ],
    ids=["bom", "crlf-no-end", "utf-16", "cp1252", "quoted-newlines", "other-order", "header-only"],
)
def test_files_that_are_read_as_they_are_meant(
    tmp_path: Path, data: bytes, more: str, expected: list[tuple[str, ...]]
) -> None:
    world = world_of(tmp_path, data, source_more=more)
    document = world.run()
    assert loaded(world) == expected
    assert balance(document, "leads")["in"] == len(expected)


@pytest.mark.parametrize(
    ("data", "more", "words"),
    [
        (b"no,name,city\n1,Zo\xeb,Leeds\n", "", ["leads.csv:2", "UTF-8", "encoding"]),
        (b"no,name,name,city\n1,Ada,A,Leeds\n", "", ["leads.csv", "name"]),
        (b"", "", ["leads.csv", "empty"]),
        (b"no,,city\n1,Ada,Leeds\n", "", ["leads.csv"]),
        (b"no,name,city\n1,Ada,Leeds\n", ", encoding: utf-61", ["utf-61"]),
    ],
    ids=["not-utf-8", "duplicate-header", "empty-file", "unnamed-column", "no-such-encoding"],
)
def test_files_that_would_be_guesses_are_refused(
    tmp_path: Path, data: bytes, more: str, words: list[str]
) -> None:
    world = world_of(tmp_path, data, source_more=more)
    world.write()
    done = world.command("run", str(world.mapping))
    assert done.code == 2, done.out + done.err
    for word in words:
        assert word in done.err, done.err
    if not done.err.startswith("the mapping has"):
        is_one_clear_paragraph(done.err)
        complete(world.run(code=2))
    assert loaded(world) == []


def test_broken_records_stay_behind_and_the_others_arrive(tmp_path: Path) -> None:
    """Ragged both ways, bytes that are no text, a NUL, and a quote that nobody closes."""
    data = b'no,name,city\n1,Ada,Leeds\n2,Bob\n3,C,D,E\n4,\xff,York\n5,N\x00l,York\n6,Fay,Bath\n7,"open,York\n8,lost,Hull\n'
    world = world_of(tmp_path, data, source_more=", encoding: utf-8")
    document = world.run()
    assert loaded(world) == [("1", "Ada", "Leeds"), ("6", "Fay", "Bath"), ("8", "lost", "Hull")]
    found = {r["line"]: r["codes"][0] for r in world.quarantine()}
    assert {line: found[line] for line in (3, 4, 5, 6)} == {
        3: "ragged_row",
        4: "ragged_row",
        5: "bad_encoding",
        6: "nul_byte",
    }
    assert found[8] in ("bad_row", "ragged_row")
    assert balance(document, "leads")["quarantined"] == len(found)
    raw = {r["line"]: r["raw"] for r in world.quarantine()}
    assert raw[5].rstrip("\n") == "4,\\xff,York"
    assert raw[8].rstrip("\n") == '7,"open,York'  # an open quote does not swallow the rest of the file


def test_a_file_that_is_missing_is_told_with_its_neighbours(tmp_path: Path) -> None:
    world = world_of(tmp_path, b"no,name,city\n")
    (tmp_path / "exports" / "leads.csv").rename(tmp_path / "exports" / "lead.csv")
    problems = world.run(code=2)["problems"]
    assert problems[0]["code"] == "unknown_table"
    assert "leads" in problems[0]["message"]
    world.source_url = f"files:{tmp_path}/nowhere"
    error = world.run(code=5)
    complete(error)
    assert "nowhere" in error["where"] + error["message"]


def test_a_file_that_changes_while_it_is_read_is_drift(tmp_path: Path) -> None:
    from tests.runs import at_point

    world = world_of(tmp_path, b"no,name,city\n1,Ada,Leeds\n")
    path = tmp_path / "exports" / "leads.csv"
    with at_point("extract.snapshot_open", lambda: path.write_bytes(b"no,name,city\n1,Eve,Leeds\n")):
        error = world.run(code=7)
    complete(error)
    assert "leads" in error["message"] + error["where"]
    world.run("--fresh")
    assert loaded(world) == [("1", "Eve", "Leeds")]
