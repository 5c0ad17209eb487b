"""A second run that finds nothing to write: what it takes over from the first, what it reads once, and what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints

from tests.promises.test_standing_proofs import matched, passed
from tests.runs import World, balance


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    failpoints.arm()


def profile_files(world: World, document: Any) -> dict[str, Path]:
    return {p.name: p for p in (world.run_folder(document["run"]) / "profile").glob("source.*.json")}


@pytest.mark.fineprint(17)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f17_nothing_to_write_is_verified_against_the_backup_of_the_target_and_says_so(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    urls = []
    if engine == "postgresql":
        make = request.getfixturevalue("make_pg_database")
        urls = [make(), make()]
    world = matched(tmp_path, *urls)
    document, points = passed(world)
    assert points.count("backup.target.snapshot_open") == 1
    assert "verify.crosswalk" not in {p.split(":")[0].removesuffix(".written") for p in points}
    found = {v["check"]: v for v in document["verdicts"]}
    for name, rows in (("accounts", 2), ("contacts", 3)):
        said = found[f"verify unchanged {name}"]
        assert said["passed"]
        assert said["found"].startswith(
            f"{rows} rows in place, 0 of them edited in the target since they were loaded, as it was backed up at 20"
        )
        assert document["balances"][name]["unchanged"] == rows
    world.target.run("DELETE FROM contacts WHERE legacy_id = '2'")
    again = world.command("verify", "latest", "--json")  # asked for by a person: the target as it stands
    assert again.code == 3
    assert "1 rows are no longer in the target" in again.error["message"]


@pytest.mark.fineprint(17)
def test_f17_a_row_that_vanished_before_the_second_run_is_not_called_unchanged(tmp_path: Path) -> None:
    world = matched(tmp_path)
    world.target.run("DELETE FROM contacts WHERE legacy_id = '2'")
    document = world.run()
    assert list(world.codes("contacts").values()) == [["target_gone"]]
    assert (balance(document, "contacts")["unchanged"], balance(document, "contacts")["quarantined"]) == (
        2,
        1,
    )
    (tmp_path / "edited").mkdir()
    edited = matched(tmp_path / "edited")
    edited.target.run("UPDATE contacts SET name = 'Somebody' WHERE legacy_id = '2'")
    document, _ = passed(edited)
    said = next(v for v in document["verdicts"] if v["check"] == "verify unchanged contacts")
    assert "1 of them edited in the target" in said["found"]


def test_profiles_of_tables_that_did_not_change_are_taken_over_and_damaged_ones_are_made_again(
    tmp_path: Path,
) -> None:
    world = matched(tmp_path)
    first = profile_files(world, world.run())
    world.source.run("UPDATE people SET full_name = 'Ada L.' WHERE id = 1")
    second = profile_files(world, world.run())
    assert first.keys() == second.keys()
    same = {name for name in first if first[name].samefile(second[name])}
    assert same == {name for name in first if "companies" in name}
    assert len(same) == 2  # with samples and masked
    damaged = next(second[name] for name in same if "masked" in name)
    kept = damaged.read_bytes()
    damaged.write_bytes(kept.replace(b"1", b"2"))  # in the first run too: it is one file
    third = profile_files(world, world.run())
    assert third[damaged.name].read_bytes() == kept
