"""Undo, on both engines: what users did since is kept, what the run did goes, and the rest is proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints

from tests.runs import World, bare

SOURCE = (
    "CREATE TABLE companies(id INTEGER PRIMARY KEY, name TEXT, code TEXT, tel TEXT, parent INTEGER)",
    "CREATE TABLE people(id INTEGER PRIMARY KEY, co INTEGER, name TEXT)",
    "INSERT INTO companies VALUES (1, 'Acme Ltd', 'c1', '999', NULL), (2, 'Bolt', 'c2', '222', NULL), "
    "(3, 'Coil', 'c3', NULL, 1), (4, 'Dyna', 'c4', NULL, 3), (5, 'Acme', 'c5', NULL, NULL)",
    "INSERT INTO people VALUES (1, 3, 'Ada'), (2, 4, 'Bob'), (3, 1, 'Cy')",
)
TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, code TEXT UNIQUE, phone TEXT, "
    "parent_id TEXT REFERENCES accounts(id))",
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT)",
    "CREATE TABLE invoices(id INTEGER PRIMARY KEY, contact_id TEXT REFERENCES contacts(id) ON DELETE CASCADE)",
    "CREATE TABLE visits(id INTEGER PRIMARY KEY, account_id TEXT REFERENCES accounts(id) ON DELETE SET NULL)",
    "INSERT INTO accounts VALUES ('p1', 'Acme', 'c1', '111', NULL), ('p2', 'Bolt', 'c2', '222', NULL), "
    "('p9', 'Zinc', 'c9', NULL, NULL)",
)
MAPPED = """
  accounts:
    from: companies
    key: id
    into: accounts
    match: [code]
    write: add_or_update
    fields: {name: name, code: code, phone: tel, parent_id: {from: parent, ref: accounts}}
  contacts:
    from: people
    key: id
    into: contacts
    fields: {account_id: {from: co, ref: accounts}, name: name}
"""
STATE = {
    "accounts": "SELECT id, name, code, phone, parent_id FROM accounts ORDER BY code",
    "contacts": "SELECT id, account_id, name FROM contacts ORDER BY name",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("pg_database")
    return bare(tmp_path, SOURCE, TARGET, MAPPED, target_url=url)


def state(world: World) -> dict[str, list[tuple[Any, ...]]]:
    return {name: world.target.rows(query) for name, query in STATE.items()}


def undo(world: World, *more: str, run: str = "latest", code: int = 0) -> Any:
    """The document of `migrate rollback`; exit 3 where the target does not equal the backup afterwards."""
    done = world.command("rollback", run, "--yes", "--json", *more)
    assert done.code == code, done.out + done.err
    return done.error if code == 2 else done.document


def account(world: World, code: str) -> str:
    return str(world.target.one(f"SELECT id FROM accounts WHERE code = '{code}'"))


def contact(world: World, name: str) -> str:
    return str(world.target.one(f"SELECT id FROM contacts WHERE name = '{name}'"))


def our_rows(world: World, table: str) -> int:
    name = f"_migrate_{table}" if world.target.is_sqlite else f"migrate_meta.{table}"
    return int(world.target.one(f"SELECT count(*) FROM {name}"))


def run_states(world: World) -> list[str]:
    name = "_migrate_run" if world.target.is_sqlite else "migrate_meta.run"
    return [row[0] for row in world.target.rows(f"SELECT state FROM {name} ORDER BY started")]


def test_everything_is_undone_and_proven(world: World) -> None:
    """Also a unique value that an updated row gave up and a new row took."""
    before = state(world)
    document = world.run()
    assert document["balances"]["accounts"]["loaded"] == 4
    assert document["balances"]["accounts"]["unchanged"] == 1  # Bolt is as it was
    loaded = state(world)
    assert ("p1", "Acme Ltd", "c1", "999", None) in loaded["accounts"]
    assert {a[1] for a in loaded["accounts"]} == {"Acme", "Acme Ltd", "Bolt", "Coil", "Dyna", "Zinc"}

    preview = undo(world, "--preview")
    assert preview["preview"] is True
    assert preview["entities"]["accounts"] == {"delete": 3, "restore": 1, "bring_back": 0, "conflicts": 0}
    assert preview["entities"]["contacts"] == {"delete": 3, "restore": 0, "bring_back": 0, "conflicts": 0}
    assert state(world) == loaded
    assert our_rows(world, "crosswalk") == 8

    done = undo(world)
    assert done["state"] == "rolled_back"
    assert done["proof"] == {"passed": True, "differences": []}
    assert state(world) == before
    assert our_rows(world, "crosswalk") == 0
    again = undo(world)
    assert again["proof"]["passed"] is True
    assert state(world) == before
    world.run()
    assert state(world) == loaded  # the same keys again: uuid5


@pytest.mark.fineprint(32)
def test_f32_rows_of_others_are_never_taken_along(world: World) -> None:
    """ON DELETE CASCADE and SET NULL in the target: what users hung onto loaded rows keeps these rows."""
    world.run()
    bob, coil = contact(world, "Bob"), account(world, "c3")
    world.target.run(f"INSERT INTO invoices VALUES (1, '{bob}')", f"INSERT INTO visits VALUES (1, '{coil}')")
    done = undo(world, code=3)
    assert world.target.rows("SELECT id, contact_id FROM invoices") == [(1, bob)]
    assert world.target.rows("SELECT id, account_id FROM visits") == [(1, coil)]
    # Bob stays for his invoice, and so does his account Dyna and its parent Coil.
    assert {r[2] for r in state(world)["contacts"]} == {"Bob"}
    assert {r[2] for r in state(world)["accounts"]} == {"c1", "c2", "c3", "c4", "c9"}
    assert {c["key"] for c in done["conflicts"]} >= {f'["{bob}"]', f'["{coil}"]'}
    assert {c["entity"] for c in done["conflicts"]} == {"accounts", "contacts"}
    assert done["proof"]["passed"] is False
    assert len(done["proof"]["differences"]) == 2


def test_what_somebody_changed_since_is_kept(world: World) -> None:
    world.run()
    world.target.run(
        "UPDATE accounts SET phone = 'mine' WHERE code IN ('c1', 'c4')",
        "UPDATE contacts SET name = 'Cyril' WHERE name = 'Cy'",
    )
    done = undo(world, code=3)
    rows = {r[2]: r for r in state(world)["accounts"]}
    assert rows["c1"][1] == "Acme Ltd"  # an updated row that was changed keeps what it has
    assert rows["c1"][3] == rows["c4"][3] == "mine"
    assert set(rows) == {"c1", "c2", "c3", "c4", "c9"}  # Coil is the parent of the changed Dyna
    assert [r[2] for r in state(world)["contacts"]] == ["Cyril"]
    assert {c["reason"] for c in done["conflicts"]} >= {"changed since the load"}
    assert len(done["conflicts"]) == 4
    assert done["proof"]["passed"] is False


@pytest.mark.fineprint(32)
@pytest.mark.parametrize("what", ["an edit", "a reference"])
def test_f32_what_happens_between_the_decision_and_the_deletion_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Rows are looked at again as they go: an edit, and a row of a user that would cascade, come too late to be decided."""
    world.run()
    bob, hit = contact(world, "Bob"), failpoints.hit
    statement = (
        f"INSERT INTO invoices VALUES (1, '{bob}')"
        if what == "a reference"
        else "UPDATE contacts SET name = 'Bobby' WHERE name = 'Bob'"
    )

    def meanwhile(point: str) -> None:
        if point == "rollback.fence_raised":
            world.target.run(statement)
        hit(point)

    monkeypatch.setattr(failpoints, "hit", meanwhile)
    done = undo(world, code=3)
    invoices = [(1, bob)] if what == "a reference" else []
    assert world.target.rows("SELECT id, contact_id FROM invoices") == invoices
    assert {r[2] for r in state(world)["contacts"]} == {"Bob" if what == "a reference" else "Bobby"}
    reasons = {c["key"]: c["reason"] for c in done["conflicts"] if c["entity"] == "contacts"}
    said = "a row of invoices that stays refers to it" if what == "a reference" else "changed since the load"
    assert reasons == {f'["{bob}"]': said}


def test_force_names_the_table_whose_changes_go_too(world: World) -> None:
    before = state(world)
    world.run()
    world.target.run(
        "UPDATE accounts SET phone = 'mine' WHERE code IN ('c1', 'c4')",
        "UPDATE contacts SET name = 'Cyril' WHERE name = 'Cy'",
    )
    done = undo(world, "--force", "accounts", "--force", "contacts")
    assert done["proof"]["passed"] is True
    assert state(world) == before


@pytest.mark.fineprint(33)
def test_f33_only_the_last_run_is_undone(world: World) -> None:
    before = state(world)
    first = world.run()["run"]
    between = state(world)
    world.source.run(
        "UPDATE companies SET tel = '777' WHERE id = 1", "INSERT INTO people VALUES (4, 1, 'Di')"
    )
    second = world.run()["run"]
    assert ("p1", "Acme Ltd", "c1", "777", None) in state(world)["accounts"]
    assert len(state(world)["contacts"]) == 4
    refused = undo(world, run=first, code=2)
    assert second in refused["message"]
    assert undo(world, run=second)["proof"]["passed"] is True
    assert state(world) == between
    assert undo(world, run=first)["proof"]["passed"] is True
    assert state(world) == before


@pytest.mark.fineprint(33)
def test_f33_which_run_is_later_is_told_by_the_fence_and_not_by_clocks(world: World) -> None:
    """Of runs that an earlier layout wrote only the clock is known."""
    ours = "_migrate_" if world.target.is_sqlite else "migrate_meta."
    first = world.run()["run"]
    world.source.run("INSERT INTO people VALUES (4, 1, 'Di')")
    second = world.run()["run"]
    loaded = state(world)
    world.target.run(f"UPDATE {ours}run SET started = '2001-01-01' WHERE run = '{second}'")
    assert second in undo(world, run=first, code=2)["message"]
    world.target.run(f"DELETE FROM {ours}fenced WHERE run = '{first}'")
    assert second in undo(world, run=first, code=2)["message"]
    assert undo(world, "--preview", run=second)["entities"]["contacts"]["delete"] == 1
    world.target.run(f"DELETE FROM {ours}fenced")
    assert first in undo(world, run=second, code=2)["message"]
    assert state(world) == loaded


@pytest.mark.fineprint(33)
def test_f33_a_fence_that_was_lost_begins_anew_and_the_order_goes_on(world: World) -> None:
    ours = "_migrate_" if world.target.is_sqlite else "migrate_meta."
    first = world.run()["run"]
    world.source.run("INSERT INTO people VALUES (4, 1, 'Di')")
    world.target.run(f"DROP TABLE {ours}fence", f"UPDATE {ours}fenced SET fence = 7")
    second = world.run()["run"]
    assert second in undo(world, run=first, code=2)["message"]
    assert world.target.rows(f"SELECT run, fence FROM {ours}fenced ORDER BY fence") == [
        (first, 7),
        (second, 8),
    ]


@pytest.mark.fineprint(33)
def test_f33_a_part_of_a_run_is_undone_with_its_dependants_or_not_at_all(world: World) -> None:
    before = state(world)
    world.run()
    loaded = state(world)
    refused = undo(world, "--only", "accounts", code=2)
    assert "contacts" in refused["message"]
    assert state(world) == loaded
    part = undo(world, "--only", "contacts")
    assert part["proof"]["passed"] is True  # of the tables that were asked for
    assert state(world)["contacts"] == []
    assert state(world)["accounts"] == loaded["accounts"]
    assert our_rows(world, "run") == 1
    assert run_states(world) == ["loading"]  # its accounts are still there, so no earlier run may be undone
    assert undo(world)["proof"]["passed"] is True
    assert run_states(world) == ["rolled_back"]
    assert state(world) == before


def test_a_killed_rollback_goes_on(world: World, request: pytest.FixtureRequest) -> None:
    from migrate import failpoints

    before = state(world)
    world.run()
    for point in ("rollback.deleted:1:raise", "rollback.before_commit:3:raise", "rollback.committed:2:raise"):
        failpoints.arm(point)
        try:
            assert world.command("rollback", "latest", "--yes", "--json").code == 1
        finally:
            failpoints.arm()
    assert undo(world)["proof"]["passed"] is True
    assert state(world) == before
