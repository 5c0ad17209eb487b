"""A plan names what to mend before any gate: unseen values with their counts, losses, references that fail."""

from __future__ import annotations

from pathlib import Path

from tests.runs import bare

SOURCE = "CREATE TABLE companies(id INTEGER PRIMARY KEY, name TEXT, kind TEXT, boss INTEGER, price TEXT)"
TARGET = "CREATE TABLE accounts(id INTEGER PRIMARY KEY, name VARCHAR(5), kind TEXT, boss_id INTEGER, price DECIMAL(8, 1))"
ENTITIES = """
  accounts:
    from: companies
    key: id
    into: accounts
    fields:
      id: id
      name: name
      kind: {from: kind, do: [lower], map: {own: ours, other: theirs}}
      boss_id: {from: boss, ref: {to: accounts, missing: empty_and_flag}}
      price: {from: price, read_as: decimal, lossy: allow}
"""


def test_a_plan_shows_unseen_values_losses_and_failing_references(tmp_path: Path) -> None:
    world = bare(tmp_path, [SOURCE], [TARGET], ENTITIES)
    kinds = ["OWN", "Odd", "odd", "New", "Odd", "own"]
    rows = [
        (i, "Acme", kind, 9 if i == 1 else None, "1.25" if i == 6 else "1.5")
        for i, kind in enumerate(kinds, 1)
    ]
    world.source.fill("companies", [*rows, (7, "Much too long", "own", 1, None)])
    plan = world.command("plan", str(world.write()), "--json").document
    found = plan["entities"]["accounts"]
    assert found["rows"] == 7
    assert found["unseen"]["kind"] == {
        "rows": 4,
        "examples": [{"value": "Odd", "rows": 2}, {"value": "New", "rows": 1}, {"value": "odd", "rows": 1}],
    }
    assert found["lossy"]["price"] == {"rows": 1, "examples": [{"value": "1.25", "rows": 1}]}
    assert found["lossy"]["name"] == {"rows": 1, "examples": [{"value": "Much too long", "rows": 1}]}
    assert found["references"] == {"boss_id": {"ref_missing": 1}}
    said = world.command("plan", str(world.mapping)).out
    assert "accounts.kind: values that no map has, in 4 rows" in said
    assert "Odd" in said
    assert world.target.rows("SELECT * FROM accounts") == []
