"""Again: a run that died, a run after a run, runs that stop on the way, and a world that moves meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from migrate import failpoints
from migrate.ledger.ledger import Ledger

from tests.runs import ENGINES, World, at_point, balance, complete, is_one_clear_paragraph, small

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    failpoints.arm()


def content(world: World) -> list[list[tuple[object, ...]]]:
    return [world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in ("accounts", "contacts")]


@pytest.mark.promise(9)
@pytest.mark.parametrize(
    ("engine", "point"),
    [
        ("sqlite", "load.part.crosswalk"),
        ("sqlite", "load.part.before_commit"),
        ("sqlite", "load.part.committed"),
        ("postgresql", "load.part.before_commit"),
    ],
)
def test_p9_a_load_that_breaks_anywhere_in_a_part_duplicates_nothing(
    tmp_path: Path, point: str, engine: str, request: pytest.FixtureRequest
) -> None:
    """The part and its receipt commit in one transaction: before it nothing is there, after it it is not done again."""
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    failpoints.arm(f"{point}:2:raise")  # the second part: contacts
    world.write()
    assert world.command("run", str(world.mapping)).code == 1
    failpoints.arm()
    receipt = "_migrate_receipt" if engine == "sqlite" else "migrate_meta.receipt"
    committed = point == "load.part.committed"
    assert world.target.one("SELECT count(*) FROM contacts") == (3 if committed else 0)
    assert world.target.one(f"SELECT count(*) FROM {receipt}") == (2 if committed else 1)
    document = world.run()
    assert document["resumed"]
    assert balance(document, "contacts")["loaded"] == 3
    assert [len(t) for t in content(world)] == [2, 3]


@pytest.mark.promise(21)
@pytest.mark.parametrize(
    "point",
    ["backup.manifest_written:1", "restore_test.scratch_created:2", "sqlite.commit.before:4", "load.part.committed:1", "verify.entity_read:1"],
)  # fmt: skip
def test_p21_after_sigkill_the_same_command_ends_as_if_nothing_had_happened(
    tmp_path: Path, point: str
) -> None:
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    world, whole = small(tmp_path / "killed"), small(tmp_path / "whole")
    world.write()
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "run", str(world.mapping), "--home", str(world.home)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MIGRATE_FAILPOINT": f"{point}:kill"},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    document = world.run()
    assert document["resumed"]
    assert document["state"] == "verified"
    whole.run()
    assert content(world) == content(whole)  # keys are uuid5: equal to the letter
    assert list((world.home / "runs").rglob("migrate_scratch_*")) == []


@pytest.mark.fineprint(12)
@pytest.mark.promise(2)
def test_f12_a_second_run_writes_only_what_changed(tmp_path: Path) -> None:
    """Equal → unchanged; changed under write: add → changed_since_load; edited by a user → edited_in_target."""
    world = small(tmp_path)
    world.entities = world.entities.replace("into: contacts\n", "into: contacts\n    match: [legacy_id]\n")
    world.run()
    before = content(world)
    document = world.run()
    assert not document["resumed"]
    assert content(world) == before
    assert balance(document, "accounts")["unchanged"] == 2
    assert balance(document, "contacts")["unchanged"] == 3
    world.source.run(
        "UPDATE companies SET town = 'York' WHERE id = 1",  # write: add
        "UPDATE people SET full_name = 'Ada L.' WHERE id = 1",  # write: add_or_update
        "UPDATE people SET full_name = 'Cyrus' WHERE id = 3",  # edited over there too
        "INSERT INTO people VALUES (4, 2, 'Dee', 'dee@example.com')",
    )
    world.target.run("UPDATE contacts SET name = 'Cy (VIP)' WHERE legacy_id = '3'")
    document = world.run()
    assert world.codes("accounts") == {'["1"]': ["changed_since_load"]}
    assert world.codes("contacts") == {'["3"]': ["edited_in_target"]}
    assert balance(document, "contacts") == {
        "in": 4, "loaded": 2, "unchanged": 1, "merged": 0, "quarantined": 1, "excluded": 0,
    }  # fmt: skip
    assert world.target.rows("SELECT name FROM contacts ORDER BY legacy_id") == [
        ("Ada L.",),
        ("Bob",),
        ("Cy (VIP)",),
        ("Dee",),
    ]
    assert world.target.rows("SELECT city FROM accounts WHERE legacy_id = '1'") == [("Leeds",)]


@pytest.mark.fineprint(34)
def test_f34_stopped_and_partial_runs_never_say_verified(tmp_path: Path) -> None:
    world = small(tmp_path)
    assert world.run("--to", "transform")["state"] == "stopped"
    assert world.target.tables() == ["accounts", "contacts"]
    assert world.command("report", "latest", "--json").document["state"] == "stopped"
    assert world.run("--only", "accounts")["state"] == "partial"
    assert [len(t) for t in content(world)] == [2, 0]
    document = world.run("--only", "contacts")
    assert document["state"] == "partial"
    assert set(document["balances"]) == {"contacts"}
    assert [len(t) for t in content(world)] == [2, 3]
    assert world.target.one("SELECT count(*) FROM contacts WHERE account_id IS NULL") == 0


@pytest.mark.fineprint(34)
def test_f34_only_without_its_parents_names_them(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.write()
    done = world.command("run", str(world.mapping), "--only", "contacts")
    assert done.code == 2
    is_one_clear_paragraph(done.err, "accounts", "contacts")
    assert [len(t) for t in content(world)] == [0, 0]


@pytest.mark.fineprint(33)
def test_f33_a_run_that_was_undone_is_not_resumed_and_only_the_last_writer_is_undone(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = world.entities.replace("into: contacts\n", "into: contacts\n    match: [legacy_id]\n")
    first = world.run()["run"]
    world.source.run("UPDATE people SET full_name = 'Ada L.' WHERE id = 1")
    second = world.run()["run"]
    early = world.command("rollback", first, "--yes")  # its row was written by the second run since
    assert early.code == 2
    is_one_clear_paragraph(early.err, second, "Nothing was changed", "newest first")
    undone = world.command("rollback", second, "--yes", "--json").document
    assert undone["proof"]["passed"]
    assert world.target.rows("SELECT name FROM contacts WHERE legacy_id = '1'") == [("Ada",)]
    assert world.command("rollback", first, "--yes", "--json").document["proof"]["passed"]
    assert content(world) == [[], []]
    assert world.command("status", first, "--json").document["state"] == "rolled_back"
    again = world.run()
    assert again["run"] not in (first, second)
    assert not again["resumed"]
    assert [len(t) for t in content(world)] == [2, 3]


@pytest.mark.fineprint(16)
def test_f16_once_the_manifest_is_there_the_source_is_not_read_again(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run("--to", "backup")
    world.source.run(
        "UPDATE people SET full_name = 'Too late'", "INSERT INTO people VALUES (9, 1, 'New', NULL)"
    )
    document = world.run()
    assert document["resumed"]
    assert balance(document, "contacts")["in"] == 3
    assert world.target.rows("SELECT name FROM contacts ORDER BY name") == [("Ada",), ("Bob",), ("Cy",)]


@pytest.mark.fineprint(16)
def test_f16_expressions_that_give_something_else_each_time_are_refused(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = world.entities.replace("name: company_name", 'name: {expr: "company_name || random()"}')
    problems = world.run(code=2)["problems"]
    assert any("random" in p["message"] for p in problems)


@pytest.mark.fineprint(6)
def test_f6_before_the_gate_only_our_own_tables_may_appear_in_the_target(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run("--to", "transform")
    assert world.target.tables() == ["accounts", "contacts"]
    # keys and expectations are fixed after the gate and before the first row
    failpoints.arm("load.assigned:1:raise")
    world.write()
    assert world.command("run", str(world.mapping)).code == 1
    failpoints.arm()
    assert {t for t in world.target.tables() if not t.startswith(("_migrate_", "sqlite_"))} == {
        "accounts",
        "contacts",
    }
    assert content(world) == [[], []]
    folder = next((world.home / "runs").iterdir())
    assigned = {p: p.read_bytes() for p in (folder / "load").rglob("*.parquet")}
    assert len(assigned) >= 4
    world.run()
    assert {p: p.read_bytes() for p in assigned} == assigned  # keys once assigned stay


@pytest.mark.fineprint(35)
@pytest.mark.promise(2)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f35_a_target_that_moved_after_its_backup_is_proven_anew(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    with at_point(
        "stage.load.started", lambda: world.target.fill("accounts", [("mine", "Sold today", None, None)])
    ):
        document = world.run()
    assert document["state"] == "verified"
    assert len(world.target.rows("SELECT * FROM accounts")) == 3
    assert len(list(world.vault.glob("*-target-*/manifest.json"))) == 2
    # what the undo goes back to is the second backup: the sale stays
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    assert world.target.rows("SELECT name FROM accounts") == [("Sold today",)]


@pytest.mark.fineprint(35)
@pytest.mark.promise(2)
def test_f35_under_stop_a_target_that_moved_ends_the_run(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.policy += ", target_drift: stop"
    with at_point(
        "stage.load.started", lambda: world.target.fill("accounts", [("mine", "Sold", None, None)])
    ):
        error = world.run(code=7)
    complete(error)
    assert "accounts" in error["message"]
    assert [len(t) for t in content(world)] == [1, 0]


@pytest.mark.fineprint(9)
@ENGINES
def test_f9_a_row_that_changed_between_decision_and_lock_is_rejected_not_overwritten(
    tmp_path: Path, target_url: str
) -> None:
    """After the gate has looked at the whole target, and before the part locks the row, a user edits it."""
    world = small(tmp_path, target_url)
    world.entities = world.entities.replace("into: accounts\n", "into: accounts\n    match: [legacy_id]\n")
    world.target.fill("accounts", [("a1", "Acme old", None, "1"), ("a2", "Bolt old", None, "2")])
    edit = "UPDATE accounts SET city = 'edited a moment ago' WHERE id = 'a1'"
    with at_point("load.assigned", lambda: world.target.run(edit)):
        document = world.run()
    assert world.codes("accounts") == {'["1"]': ["target_changed"]}
    assert world.target.rows("SELECT name, city FROM accounts ORDER BY id") == [
        ("Acme old", "edited a moment ago"),
        ("Bolt", None),
    ]
    # the row is there all the same, so its children are not lost
    assert balance(document, "contacts")["loaded"] == 3
    # the next run decides again, on the row as it is now
    world.run()
    assert world.target.rows("SELECT name, city FROM accounts ORDER BY id") == [
        ("Acme", "Leeds"),
        ("Bolt", None),
    ]


TRIGGERS = {
    "sqlite": {
        "drop": [
            "CREATE TRIGGER t BEFORE INSERT ON contacts WHEN NEW.name = 'Bob' BEGIN SELECT RAISE(IGNORE); END"
        ],
        "change": [
            "CREATE TRIGGER t AFTER INSERT ON contacts BEGIN UPDATE contacts SET email = upper(email) WHERE id = NEW.id; END"
        ],
    },
    "postgresql": {
        "drop": [
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.name = 'Bob' THEN RETURN NULL; END IF; RETURN NEW; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION f()",
        ],
        "change": [
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email = upper(NEW.email); RETURN NEW; END $$",
            "CREATE TRIGGER t BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION f()",
        ],
    },
    "mysql": {  # no trigger drops a row there: it can only refuse it, and says so
        "drop": [
            "CREATE TRIGGER t BEFORE INSERT ON contacts FOR EACH ROW IF NEW.name = 'Bob' THEN SIGNAL SQLSTATE '45000'; END IF",
        ],
        "change": [
            "CREATE TRIGGER t BEFORE INSERT ON contacts FOR EACH ROW SET NEW.email = upper(NEW.email)"
        ],
    },
}


@pytest.mark.fineprint(10)
@pytest.mark.promise(14)
@ENGINES
def test_f10_a_row_that_a_trigger_drops_is_a_reject_whatever_the_driver_says(
    tmp_path: Path, target_url: str
) -> None:
    world = small(tmp_path, target_url)
    world.target.run(*TRIGGERS[world.target.engine]["drop"])
    document = world.run()
    code = "db_other" if world.target.is_mysql else "dropped_by_trigger"
    assert world.codes("contacts") == {'["2"]': [code]}
    assert balance(document, "contacts") == {
        "in": 3, "loaded": 2, "unchanged": 0, "merged": 0, "quarantined": 1, "excluded": 0,
    }  # fmt: skip
    assert [r[2] for r in world.target.rows("SELECT * FROM contacts ORDER BY name")] == ["Ada", "Cy"]


@pytest.mark.fineprint(10)
@pytest.mark.promise(14)
@ENGINES
def test_f10_a_value_that_a_trigger_changes_fails_unless_target_sets_names_it(
    tmp_path: Path, target_url: str
) -> None:
    world = small(tmp_path, target_url)
    world.target.run(*TRIGGERS[world.target.engine]["change"])
    said = world.says(code=3)
    is_one_clear_paragraph(said, "contacts", "email", "trigger", "target_sets", "rolled back")
    assert "example.com" not in said.lower()
    assert world.target.one("SELECT count(*) FROM contacts") == 0
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    world.entities = world.entities.replace(
        "      legacy_id: id\n", "      legacy_id: id\n    target_sets: {email: any}\n"
    )
    assert world.run()["state"] == "verified"
    mails = [m for (m,) in world.target.rows("SELECT email FROM contacts ORDER BY name")]
    assert mails == ["ADA@EXAMPLE.COM", "BOB@EXAMPLE.COM", None]


@pytest.mark.fineprint(17)
def test_f17_nothing_to_write_needs_no_gate(tmp_path: Path) -> None:
    """The second run finds every row unchanged: a backup that went bad meanwhile does not stop what writes nothing."""
    world = small(tmp_path)
    world.run()
    receipts = world.target.rows("SELECT * FROM _migrate_receipt ORDER BY run, part")
    before = content(world)

    def damage() -> None:
        for path in world.objects():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-1] + b"?")

    with at_point("stage.load.started", damage):
        document = world.run()
    assert document["state"] == "verified"
    assert content(world) == before
    assert world.target.rows("SELECT * FROM _migrate_receipt ORDER BY run, part") == receipts
    # as soon as there is a row to write, the same damage closes the gate
    world.source.run("INSERT INTO people VALUES (4, 1, 'Dee', NULL)")
    with at_point("stage.load.started", damage):
        world.run(code=6)
    assert content(world) == before


def test_a_scratch_that_cannot_be_dropped_yet_is_not_forgotten(tmp_path: Path) -> None:
    world = small(tmp_path)
    run = world.run()["run"]
    name = f"migrate_scratch_{'0' * 12}"
    folder = world.home / "runs" / run / "scratch"
    folder.mkdir(exist_ok=True)
    held = folder / f"{name}.sqlite"
    held.write_bytes(b"somebody else's")
    with Ledger.open(world.home / "ledger.db") as ledger:
        ledger.put_scratch(name, "target", run)
    world.run()
    with Ledger.open(world.home / "ledger.db") as ledger:
        assert [s.name for s in ledger.scratches()] == [name]
    assert held.exists()
    held.write_bytes(b"")  # ours, killed before it was marked
    world.run()
    with Ledger.open(world.home / "ledger.db") as ledger:
        assert ledger.scratches() == []
    assert not held.exists()
