"""`was`: a mapping gives system or entity another name, and the rows stay who they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints

from tests.runs import ACCOUNTS_MAPPED, CONTACTS_MAPPED, World, balance, complete, small

ROOT = Path(__file__).parents[2]
RENAMED = ACCOUNTS_MAPPED.replace("  accounts:", "  firms:").replace(
    "key: id", "key: id\n    was: {entity: accounts}"
)
BOTH = RENAMED + CONTACTS_MAPPED.replace("ref: accounts", "ref: firms")


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    failpoints.arm()


def content(world: World) -> list[Any]:
    return [world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in ("accounts", "contacts")]


def meta(world: World, name: str) -> str:
    return f"_migrate_{name}" if world.target.is_sqlite else f"migrate_meta.{name}"


def known(world: World) -> list[Any]:
    return world.target.rows(
        f"SELECT system, entity, count(*) FROM {meta(world, 'crosswalk')} GROUP BY system, entity ORDER BY 1, 2"
    )


def names(world: World) -> list[Any]:
    return world.target.rows(
        f"SELECT old_system, old_entity, system, entity, row_count FROM {meta(world, 'renamed')} ORDER BY 1, 2"
    )


def run_as(world: World, system: str = "acme") -> Any:
    """A run of the mapping with another name of its system."""
    world.write()
    world.mapping.write_text(
        world.mapping.read_text().replace("{system: acme, url", f"{{system: {system}, url")
    )
    done = world.command("run", str(world.mapping), "--json")
    assert done.code == 0, done.out
    return done.document


@pytest.mark.fineprint(15)
@pytest.mark.promise(2)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p2_f15_rows_of_a_renamed_entity_are_the_same_rows(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    """Nothing is loaded again, nothing is looked at again (`write: add`), and references hold."""
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    first = world.run()["run"]
    before = content(world)
    world.entities = BOTH
    world.write()
    plan = world.command("plan", str(world.mapping), "--json").document["entities"]
    assert (plan["firms"]["unchanged"], plan["contacts"]["unchanged"]) == (2, 3)
    assert known(world) == [("acme", "accounts", 2), ("acme", "contacts", 3)]
    document = world.run()
    assert balance(document, "firms")["unchanged"] == 2
    assert balance(document, "contacts")["unchanged"] == 3
    assert content(world) == before
    assert known(world) == [("acme", "contacts", 3), ("acme", "firms", 2)]
    assert names(world) == [("acme", "accounts", "acme", "firms", 2)]
    assert world.command("verify", first, "--json").code == 0  # by its own names
    world.source.run("INSERT INTO people VALUES (4, 2, 'Dee', NULL)")
    world.entities = BOTH.replace("    was: {entity: accounts}\n", "")  # it is known now
    last = world.run()
    assert balance(last, "contacts") == balance(last, "contacts") | {"loaded": 1, "unchanged": 3}
    assert world.target.one("SELECT count(*) FROM contacts WHERE account_id IS NULL") == 0
    # both runs are undone by their own copies of the mapping, whatever their rows are called today
    assert world.command("rollback", last["run"], "--yes", "--json").document["proof"]["passed"]
    assert content(world) == before
    undone = world.command("rollback", first, "--yes", "--json").document
    assert undone["proof"]["passed"]
    assert content(world) == [[], []]
    assert known(world) == []


@pytest.mark.fineprint(15)
def test_f15_a_system_and_an_entity_get_other_names_again_and_again(tmp_path: Path) -> None:
    world = small(tmp_path)
    matched = "into: accounts\n    match: [legacy_id]"
    world.entities = ACCOUNTS_MAPPED.replace("into: accounts", matched)
    world.run()
    world.entities = RENAMED.replace("into: accounts", matched).replace(
        "{entity: accounts}", "{system: acme, entity: accounts}"
    )
    run_as(world, "acme-2")
    assert known(world) == [("acme-2", "firms", 2)]
    world.source.run("UPDATE companies SET town = 'York' WHERE id = 2")
    world.entities = world.entities.replace("  firms:", "  companies:").replace(
        "was: {system: acme, entity: accounts}",
        "was: [{system: acme-2, entity: firms}, {system: acme, entity: accounts}]",
    )
    document = run_as(world, "acme-3")
    assert balance(document, "companies") == balance(document, "companies") | {"loaded": 1, "unchanged": 1}
    assert known(world) == [("acme-3", "companies", 2)]
    assert world.target.rows("SELECT city FROM accounts ORDER BY legacy_id") == [("Leeds",), ("York",)]
    story = world.command("trace", "latest", "companies", "2", "--json").document
    assert story["target"]["city"] == "York"
    done = world.command("rollback", "latest", "--yes")
    assert done.code == 0
    assert "Rows of firms (acme-2) stay known as companies (acme-3)" in " ".join(done.out.split())
    assert known(world) == [("acme-3", "companies", 2)]
    assert world.target.rows("SELECT city FROM accounts ORDER BY legacy_id") == [("Leeds",), (None,)]


@pytest.mark.fineprint(15)
def test_f15_the_stop_says_how_to_say_it(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = ACCOUNTS_MAPPED
    world.run()
    world.entities = ACCOUNTS_MAPPED.replace("  accounts:", "  firms:")
    error = world.run(code=7)
    complete(error)
    assert "write `was: {entity: accounts}` into firms" in error["hint"]
    world.entities = RENAMED.replace("was: {entity: accounts}", "was: {entity: acounts}")
    assert "write `was: {entity: accounts}` into firms" in world.run(code=7)["hint"]
    world.entities = RENAMED
    assert balance(world.run(), "firms")["unchanged"] == 2
    world.entities = ACCOUNTS_MAPPED  # the old mapping again
    assert "write `was: {entity: firms}` into accounts" in world.run(code=7)["hint"]


@pytest.mark.fineprint(15)
def test_f15_a_key_under_both_names_stops_the_run(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.target.run(
        "INSERT INTO _migrate_crosswalk SELECT system, 'firms', source_key, target_key, origin, run, plan, source_hash, "
        "target_hash, row_hash FROM _migrate_crosswalk WHERE entity = 'accounts' AND source_key = '[\"1\"]'"
    )
    before = known(world)
    world.entities = BOTH
    error = world.run(code=7)
    complete(error)
    assert "1 keys of firms (acme)" in error["message"]
    assert known(world) == before


@pytest.mark.fineprint(15)
@pytest.mark.promise(21)
@pytest.mark.parametrize(("point", "more"), [("rewritten", True), ("recorded", False), ("done", False)])
def test_p21_f15_a_rename_that_breaks_is_done_once(tmp_path: Path, point: str, more: bool) -> None:
    world = small(tmp_path)
    world.run()
    if more:
        world.source.run("INSERT INTO people VALUES (4, 2, 'Dee', NULL)")
    world.entities = BOTH
    world.write()
    failpoints.arm(f"load.names.{point}:1:raise")
    assert world.command("run", str(world.mapping)).code == 1
    failpoints.arm()
    committed = point == "done"
    assert known(world)[0] == (("acme", "contacts", 3) if committed else ("acme", "accounts", 2))
    assert len(names(world)) == committed
    document = world.run()
    assert document["resumed"]
    assert balance(document, "firms")["unchanged"] == 2
    assert known(world) == [("acme", "contacts", 3 + more), ("acme", "firms", 2)]
    assert names(world) == [("acme", "accounts", "acme", "firms", 2)]


@pytest.mark.fineprint(15)
@pytest.mark.promise(21)
def test_p21_f15_killed_in_the_middle_of_a_rename_the_same_command_ends_it(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.entities = BOTH
    world.write()
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "run", str(world.mapping), "--home", str(world.home)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MIGRATE_FAILPOINT": "load.names.rewritten:1:kill"},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert known(world) == [("acme", "accounts", 2), ("acme", "contacts", 3)]
    assert world.run()["state"] == "verified"
    assert known(world) == [("acme", "contacts", 3), ("acme", "firms", 2)]


@pytest.mark.fineprint(35)
def test_f35_a_rename_is_no_first_write_the_target_is_looked_at_all_the_same(tmp_path: Path) -> None:
    """Stopped right after the rename, and the target moves: the rows that come are decided on the target as it is."""
    world = small(tmp_path)
    world.run()
    world.source.run("INSERT INTO people VALUES (4, 2, 'Dee', NULL)")
    world.entities = BOTH
    world.write()
    failpoints.arm("load.names.done:1:raise")
    assert world.command("run", str(world.mapping)).code == 1
    failpoints.arm()
    world.target.fill("accounts", [("mine", "Sold today", None, None)])
    backups = len(list(world.vault.glob("*-target-*/manifest.json")))
    assert world.run()["state"] == "verified"
    assert len(list(world.vault.glob("*-target-*/manifest.json"))) == backups + 1
    assert known(world) == [("acme", "contacts", 4), ("acme", "firms", 2)]


@pytest.mark.fineprint(15)
@pytest.mark.fineprint(34)
def test_f15_f34_a_part_of_a_renamed_mapping_knows_its_parents(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run("--only", "accounts")
    world.entities = BOTH
    document = world.run("--only", "contacts")
    assert balance(document, "contacts")["loaded"] == 3
    assert known(world) == [("acme", "contacts", 3), ("acme", "firms", 2)]
    assert balance(world.run(), "firms")["unchanged"] == 2
