"""What the mapping decides about doubtful input: lossy values, columns and values that nobody mapped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import World, balance, bare, complete, is_one_clear_paragraph, small

MAPPED = (
    "  deals: {from: deals, key: id, into: deals, "
    "fields: {id: id, price: {from: price, read_as: decimal}, stage: {from: stage, map: {new: open, won: won}, unmapped: %s}}}\n"
)


def deals(folder: Path, *, lossy: str = "error", unmapped: str = "quarantine") -> World:
    return bare(
        folder,
        [
            "CREATE TABLE deals(id INTEGER PRIMARY KEY, price TEXT, stage TEXT)",
            "INSERT INTO deals VALUES (1, '1.50', 'new'), (2, '2.505', 'won'), (3, '3', 'Lost?')",
        ],
        ["CREATE TABLE deals(id INTEGER PRIMARY KEY, price DECIMAL(8,2), stage TEXT)"],
        MAPPED % unmapped,
        policy=f"max_quarantine: 100%, lossy: {lossy}",
    )


def test_lossy_error_stops_before_the_load(tmp_path: Path) -> None:
    world = deals(tmp_path)
    is_one_clear_paragraph(world.says(code=3), "deals.price", "Nothing was loaded")
    assert world.target.rows("SELECT * FROM deals") == []


def test_lossy_quarantine_keeps_the_row_back(tmp_path: Path) -> None:
    world = deals(tmp_path, lossy="quarantine")
    world.run()
    assert world.codes("deals") == {'["2"]': ["lossy"], '["3"]': ["unmapped_value"]}


def test_lossy_allow_counts_what_was_lost(tmp_path: Path) -> None:
    world = deals(tmp_path, lossy="allow")
    world.run()
    assert [i for (i,) in world.target.rows("SELECT id FROM deals ORDER BY id")] == [1, 2]
    assert world.command("report", "latest", "--json").document["events"] == {"deals.price: lossy_allowed": 1}


@pytest.mark.parametrize(
    ("unmapped", "stage"), [("keep", "Lost?"), ("{default: other}", "other"), ("{default: null}", None)]
)
def test_a_value_outside_of_the_map_goes_as_the_mapping_says(
    tmp_path: Path, unmapped: str, stage: str | None
) -> None:
    world = deals(tmp_path, lossy="allow", unmapped=unmapped)
    assert balance(world.run(), "deals")["loaded"] == 3
    assert world.target.rows("SELECT stage FROM deals WHERE id = 3") == [(stage,)]


def test_unmapped_stop_ends_before_the_backup(tmp_path: Path) -> None:
    world = deals(tmp_path, lossy="allow", unmapped="stop")
    said = world.says(code=3)
    is_one_clear_paragraph(said, "m.yaml", "1 value", "1 row", "Nothing was loaded")
    assert "Lost?" not in said
    assert world.command("status", "--json").document["stages"][-1]["stage"] == "profile"
    world.source.run("UPDATE deals SET stage = 'won' WHERE id = 3")
    assert balance(world.run("--fresh"), "deals")["loaded"] == 3


def test_a_filled_column_that_nothing_uses(tmp_path: Path) -> None:
    """error stops and names it; left_behind decides it; warn says it and goes on; ignore is silent. Empty ones never count."""
    world = small(tmp_path)
    world.source.run(
        "ALTER TABLE people ADD COLUMN fax TEXT",
        "ALTER TABLE people ADD COLUMN telex TEXT",
        "UPDATE people SET fax = '123'",
    )
    world.policy += ", unmapped: error"
    said = world.says(code=3)
    is_one_clear_paragraph(said, "people.fax", "left_behind")
    assert "telex" not in said
    complete(world.run(code=3))
    world.policy = world.policy.replace("unmapped: error", "unmapped: warn")
    world.write()
    done = world.command("run", str(world.mapping))
    assert done.code == 0
    problems = world.command("report", "latest", "--json").document["plan"]["problems"]
    assert [(p["code"], p["message"]) for p in problems] == [
        ("unmapped", "people.fax is filled and nothing uses it")
    ]
    planned = world.command("plan", str(world.mapping), "--json").document["problems"]
    assert [p["message"] for p in planned] == [p["message"] for p in problems]
    world.policy = world.policy.replace("unmapped: warn", "unmapped: ignore")
    world.write()
    done = world.command("run", str(world.mapping))
    assert done.code == 0
    assert world.command("report", "latest", "--json").document["plan"]["problems"] == []
    world.policy = world.policy.replace("unmapped: ignore", "unmapped: error")
    world.more = 'left_behind: {people.fax: {why: "nobody has one", decided: "2026-11-02"}}'
    assert world.run()["state"] == "verified"
    assert "people.fax" in str(world.command("report", "latest", "--json").document)
