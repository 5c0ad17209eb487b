"""Bytes that change behind the program's back: at each place it is noticed, and nothing is loaded on their word."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.runs import World, at_point, complete, is_one_clear_paragraph, small


def flip(path: Path) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def untouched(world: World) -> bool:
    return world.target.rows("SELECT 1 FROM accounts") + world.target.rows("SELECT 1 FROM contacts") == []


@pytest.mark.promise(30)
@pytest.mark.parametrize("stage", ["restore-test", "transform", "load"])
def test_a_bit_that_flips_in_the_vault_closes_the_gate(tmp_path: Path, stage: str) -> None:
    """Before the restore test, after it, and between transform and load; in a part of the source."""
    world = small(tmp_path)

    def damage() -> None:
        for path in world.objects():
            flip(path)

    with at_point(f"stage.{stage}.started", damage):
        world.write()
        done = world.command("run", str(world.mapping), "--json")
    assert done.code == 6, done.out
    complete(done.error)
    assert untouched(world)
    # the same command does not trust them either; a fresh one reads and proves anew
    assert world.command("run", str(world.mapping), "--json").code == 6
    assert world.run("--fresh")["state"] == "verified"


@pytest.mark.parametrize("name", ["manifest.json", "schema.json"])
def test_a_manifest_that_was_deleted_or_changed_is_noticed(tmp_path: Path, name: str) -> None:
    world = small(tmp_path)
    world.run("--to", "restore-test")
    for path in world.vault.glob(f"*-source-*/{name}"):
        kept = path.read_bytes()
        path.unlink()
        error = world.run(code=6)
        complete(error)
        assert untouched(world)
        path.write_bytes(kept.replace(b"people", b"puople"))
        complete(world.run(code=6))
        path.write_bytes(kept)
    assert world.run()["state"] == "verified"


@pytest.mark.parametrize("damage", ["flipped", "deleted", "truncated"])
def test_a_staged_part_that_is_damaged_is_made_again_not_trusted(tmp_path: Path, damage: str) -> None:
    for stage, pattern in (("extract", "extract/**/*.parquet"), ("transform", "transform/*/rows-*.parquet")):
        (tmp_path / stage).mkdir()
        world = small(tmp_path / stage)
        run = world.run("--to", stage)["run"]
        parts = sorted(world.run_folder(run).glob(pattern))
        assert parts
        for path in parts:
            if damage == "flipped":
                flip(path)
            elif damage == "deleted":
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[:-10])
        document = world.run()
        assert document["resumed"]
        assert document["state"] == "verified"
        assert len(world.target.rows("SELECT * FROM contacts")) == 3


@pytest.mark.parametrize("file", ["transform/contacts/settled.parquet", "targets/contacts.parquet"])
def test_decisions_that_changed_afterwards_are_never_carried_out(tmp_path: Path, file: str) -> None:
    world = small(tmp_path)
    world.entities = world.entities.replace("into: contacts\n", "into: contacts\n    match: [legacy_id]\n")
    world.target.fill("contacts", [("c", None, "Old", None, "1")])
    run = world.run("--to", "transform")["run"]
    flip(world.run_folder(run) / file)
    assert world.run()["state"] == "verified"
    assert len(world.target.rows("SELECT * FROM contacts")) == 3


def test_transformed_rows_that_change_right_before_the_load_are_not_believed(tmp_path: Path) -> None:
    """Expectations are made from these rows, so that no comparison with the target could find the change."""
    world = small(tmp_path)

    def damage() -> None:
        for path in world.home.rglob("transform/contacts/rows-*.parquet"):
            rows = pq.read_table(path)
            names = pc.replace_substring(rows["name"], "Ada", "Eve")
            pq.write_table(rows.set_column(rows.column_names.index("name"), "name", names), path)

    with at_point("stage.load.started", damage):
        error = world.run(code=6)
    complete(error)
    assert untouched(world)
    assert world.run()["state"] == "verified"
    assert world.target.rows("SELECT name FROM contacts ORDER BY name") == [("Ada",), ("Bob",), ("Cy",)]


def test_a_damaged_ledger_is_told_and_left_alone(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run("--to", "restore-test")
    ledger = world.home / "ledger.db"
    data = bytearray(ledger.read_bytes())
    data[100:3000] = b"\xaa" * 2900
    for path in world.home.glob("ledger.db-*"):
        path.unlink()
    ledger.write_bytes(data)
    said = world.says(code=6)
    is_one_clear_paragraph(said, "ledger.db")
    assert ledger.read_bytes() == bytes(data)
    assert untouched(world)
    ledger.write_text("not a database at all, " * 100)
    is_one_clear_paragraph(world.says(code=6), "ledger.db")


def test_a_vault_that_went_away_is_told(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run("--to", "restore-test")
    shutil.move(world.vault, tmp_path / "elsewhere")
    error = world.run(code=6)
    complete(error)
    assert untouched(world)
    shutil.rmtree(world.vault, ignore_errors=True)
    shutil.move(tmp_path / "elsewhere", world.vault)
    assert world.run()["state"] == "verified"
