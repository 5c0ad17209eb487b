"""F17: what an unchanged second run does not do again, and what it proves all the same."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints
from migrate.state import standing_proofs

from tests.runs import ACCOUNTS_MAPPED, CONTACTS_MAPPED, World, at_point, small


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    failpoints.arm()


def matched(folder: Path, target_url: str = "", source_url: str = "") -> World:
    world = small(folder, target_url, source_url)
    world.entities = "".join(
        mapped.replace(f"into: {name}\n", f"into: {name}\n    match: [legacy_id]\n")
        for name, mapped in (("accounts", ACCOUNTS_MAPPED), ("contacts", CONTACTS_MAPPED))
    )
    world.run()
    return world


def passed(world: World, *arguments: str) -> tuple[dict[str, Any], list[str]]:
    """A run's document, and the points of the program that it passed."""
    points: list[str] = []
    original = failpoints.hit

    def hit(name: str) -> None:
        points.append(name)
        original(name)

    failpoints.hit = hit
    try:
        return world.run(*arguments), points
    finally:
        failpoints.hit = original


def restored_rows(document: dict[str, Any]) -> list[str]:
    return [v["found"] for v in document["verdicts"] if v["check"] == "L4 restored"]


@pytest.mark.fineprint(17)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb"])
def test_f17_a_second_run_with_nothing_changed_restores_nothing(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    """The source's proof stands, the target's is not needed; that every byte is there is looked at again."""
    urls = []
    if engine != "sqlite":
        make = request.getfixturevalue(f"make_{'pg' if engine == 'postgresql' else 'my'}_database")
        urls = [make(), make()]
    world = matched(tmp_path, *urls)
    objects = set(world.objects())
    document, points = passed(world)
    assert document["state"] == "verified"
    assert "restore_test.scratch_created" not in points
    assert "load.tables_created" not in points
    assert len(restored_rows(document)) == 1
    assert "2 tables are, byte for byte, those of the restore of" in restored_rows(document)[0]
    levels = {b["role"]: b["level"] for b in world.command("report", "latest", "--json").document["backups"]}
    assert levels == {"source": "L5", "target": "none"}
    assert "backup target" not in {v["check"] for v in document["verdicts"]}
    assert (
        len(set(world.objects()) - objects) == 2
    )  # what the first run loaded; the source's parts are the same


@pytest.mark.fineprint(17)
def test_f17_what_changed_is_restored_with_all_that_keys_connect_and_the_target_before_the_first_write(
    tmp_path: Path,
) -> None:
    world = matched(tmp_path)
    world.source.run("UPDATE people SET full_name = 'Ada L.' WHERE id = 1")
    failpoints.arm("restore_test.scratch_created:2:raise")  # the target's; the source's came in its own stage
    world.write()
    assert world.command("run", str(world.mapping)).code == 1
    failpoints.arm()
    assert world.target.rows("SELECT name FROM contacts WHERE legacy_id = '1'") == [("Ada",)]
    document, points = passed(world)
    assert document["resumed"]
    assert points.index("restore_test.checkpointed") < points.index("load.tables_created")
    assert world.target.rows("SELECT name FROM contacts WHERE legacy_id = '1'") == [("Ada L.",)]
    source, target = restored_rows(document)
    assert source == "3 rows"  # people; companies kept its proof, for the source connects them by no key
    assert target == "5 rows"  # of the target no state was proven yet that has these rows
    verdicts = {v["check"]: v for v in document["verdicts"]}
    assert verdicts["L5 unchanged tables"]["found"].startswith("1 tables are, byte for byte")
    assert {"backup source:source", "backup target"} <= verdicts.keys()
    # the next run keeps companies from the first proof and people from the second
    assert "2 tables are" in restored_rows(world.run())[0]


@pytest.mark.fineprint(17)
@pytest.mark.fineprint(35)
def test_f35_f17_of_a_target_that_drifts_only_what_changed_is_stored_and_restored_again(
    tmp_path: Path,
) -> None:
    """The whole target is read again, for a backup is of one moment; bytes and proofs that hold are kept."""
    world = small(tmp_path)
    world.policy += ", backup: {to: backups/, tables: [touched, prices]}"
    world.target.run("CREATE TABLE prices (id INTEGER PRIMARY KEY, price INTEGER)")
    world.target.run("INSERT INTO prices VALUES (1, 10), (2, 20)")
    world.target.fill("accounts", [("mine", "Ours", None, None)])
    with at_point(
        "stage.load.started", lambda: world.target.fill("accounts", [("new", "Sold today", None, None)])
    ):
        document, points = passed(world)
    assert document["state"] == "verified"
    assert points.count("backup.target.captured") == 2
    first, second = sorted(world.vault.glob("*-target-*/manifest.json"), key=lambda p: p.stat().st_mtime_ns)
    objects = [
        {p["table"]: p["sha256"] for p in json.loads(path.read_bytes())["manifest"]["parts"]}
        for path in (first, second)
    ]
    assert objects[0]["prices"] == objects[1]["prices"]
    assert objects[0]["accounts"] != objects[1]["accounts"]
    assert restored_rows(document)[-1] == "2 rows"  # accounts; prices keep the proof of a moment ago
    kept = [v["found"] for v in document["verdicts"] if v["check"] == "L5 unchanged tables"]
    assert len(kept) == 1
    assert kept[0].startswith("1 tables are, byte for byte")


@pytest.mark.fineprint(17)
def test_f17_tables_that_keys_connect_keep_their_proof_together_or_not_at_all(tmp_path: Path) -> None:
    """In the target contacts refer to accounts, so one changed contact has both restored."""
    world = matched(tmp_path)
    world.run()
    world.target.run("UPDATE contacts SET email = NULL WHERE legacy_id = '2'")
    world.source.run("UPDATE companies SET town = 'York' WHERE id = 1")
    assert restored_rows(world.run())[1] == "5 rows"


@pytest.mark.fineprint(17)
def test_f17_a_proof_that_is_old_or_of_another_engine_or_unwanted_does_not_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = matched(tmp_path)
    standing = restored_rows(world.run())[0]
    assert "2 tables are" in standing
    with monkeypatch.context() as changed:
        changed.setattr(standing_proofs, "scratch_engine", lambda ctx, part: "sqlite 1.0")
        assert restored_rows(world.run()) == ["5 rows"]
    _age(world, timedelta(days=6))
    assert "2 tables are" in restored_rows(world.run())[0]
    _age(world, timedelta(days=2))  # what was kept in between does not make the proof younger
    assert restored_rows(world.run()) == ["5 rows"]
    assert "2 tables are" in restored_rows(world.run())[0]
    _age(world, timedelta(days=-1))  # by a clock that was ahead
    assert restored_rows(world.run()) == ["5 rows"]
    assert "2 tables are" in restored_rows(world.run())[0]
    world.policy += ", proof_days: 0"
    assert restored_rows(world.run()) == ["5 rows"]


def _age(world: World, by: timedelta) -> None:
    """Every proof on record is older by that much."""
    with closing(sqlite3.connect(world.home / "ledger.db")) as ledger, ledger:
        rows = ledger.execute("SELECT id, evidence FROM verdict WHERE \"check\" = 'L5'").fetchall()
        for id_, text in rows:
            evidence = json.loads(text)
            for table, at in evidence.get("proven", {}).items():
                evidence["proven"][table] = (datetime.fromisoformat(at).astimezone(UTC) - by).isoformat()
            ledger.execute("UPDATE verdict SET evidence = ? WHERE id = ?", (json.dumps(evidence), id_))


@pytest.mark.fineprint(17)
@pytest.mark.parametrize("what", ["schema", "pruned", "bytes"])
def test_f17_another_schema_a_pruned_proof_or_damaged_bytes_keep_nothing(tmp_path: Path, what: str) -> None:
    world = matched(tmp_path)
    if what == "schema":
        world.source.run("CREATE UNIQUE INDEX one_mail ON people(mail)")
        assert restored_rows(world.run())[0] == "3 rows"
    elif what == "pruned":
        for manifest in world.vault.glob("*-source-*/manifest.json"):
            manifest.unlink()
        assert restored_rows(world.run()) == ["5 rows"]
    else:
        world.run("--to", "backup")
        for path in world.objects():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert "damaged" in world.run(code=6)["message"]
