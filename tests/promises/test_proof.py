"""Nothing counts before it is proven: restore, verification, and backups that are whole or not there at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from migrate import failpoints
from migrate.connectors.sqlite import scratch as sqlite_scratch

from tests.runs import Db, World, at_point, complete, is_one_clear_paragraph, small


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.mark.promise(16)
def test_p16_success_is_said_only_after_verification(tmp_path: Path) -> None:
    """Every row was loaded and every driver was content; then the table is emptied before the run looks again."""
    world = small(tmp_path)
    with at_point("stage.verify.started", lambda: world.target.run("DELETE FROM contacts")):
        error = world.run(code=3)
    complete(error)
    assert "verify contacts" in error["message"]
    assert "3 rows are missing" in error["message"]
    status = world.command("status", "--json").document
    assert status["state"] == "failed"
    report = world.command("report", "latest", "--json").document
    assert report["state"] == "failed"
    assert world.command("report", "latest").out.startswith("Not verified")


@pytest.mark.promise(16)
@pytest.mark.promise(22)
@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("null for empty", "UPDATE contacts SET email = NULL WHERE legacy_id = '1'"),
        ("trimmed", "UPDATE contacts SET name = 'Bob' WHERE legacy_id = '2'"),
        ("shifted between cells", "UPDATE contacts SET name = '1', email = '23' WHERE legacy_id = '3'"),
        ("other case", "UPDATE contacts SET name = 'ADA' WHERE legacy_id = '1'"),
        ("composed differently", "UPDATE contacts SET name = 'Zoe' || char(776) WHERE legacy_id = '4'"),
        ("two rows swapped", "UPDATE contacts SET name = CASE legacy_id WHEN '1' THEN 'Bob ' ELSE 'Ada' END WHERE legacy_id IN ('1', '2')"),
    ],
)  # fmt: skip
def test_p22_verification_compares_exactly(
    exact: tuple[World, Path], what: str, statement: str, tmp_path: Path
) -> None:
    """Length-prefixed, NULL-safe, no trimming, no folding: each small difference is found, and its cells are named."""
    world, original = exact
    world.target.path.write_bytes(original.read_bytes())
    assert world.command("verify", "latest", "--json").code == 0
    world.target.run(statement)
    done = world.command("verify", "latest", "--json")
    assert done.code == 3, what
    complete(done.error)
    assert "changed since" in done.error["message"]


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """A verified run, and a copy of its target."""
    folder = tmp_path_factory.mktemp("exact")
    world = small(folder)
    world.source.run(
        "DELETE FROM people",
        "INSERT INTO people VALUES (1, 1, 'Ada', ''), (2, 1, 'Bob ', 'b'), (3, 2, '12', '3'), (4, 2, 'Zo' || char(235), NULL)",
    )
    world.run()
    copy = folder / "copy.db"
    copy.write_bytes(world.target.path.read_bytes())
    return world, copy


@pytest.mark.promise(27)
def test_p27_a_restore_that_restored_nothing_is_no_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scratch database swallows all rows and says it wrote them: the gate stays closed."""
    world = small(tmp_path)

    def swallow(self: object, table: object, batches: object) -> int:
        del self, table
        return sum(b.num_rows for b in batches)  # type: ignore[attr-defined]

    monkeypatch.setattr(_scratch_class(), "restore_rows", swallow)
    error = world.run(code=3)
    complete(error)
    assert "does not restore" in error["message"]
    assert "L4" in error["message"]
    assert world.target.tables() == ["accounts", "contacts"]
    monkeypatch.undo()
    assert world.run()["state"] == "verified"


def _scratch_class() -> type:
    return next(c for c in vars(sqlite_scratch).values() if isinstance(c, type) and "restore_rows" in vars(c))


@pytest.mark.promise(27)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p27_a_backup_is_restored_only_into_a_place_that_is_proven_empty(
    tmp_path: Path, engine: str, make_pg_database: Callable[[], str]
) -> None:
    world = small(tmp_path, make_pg_database() if engine == "postgresql" else "")
    world.target.fill("accounts", [("a", "Ours", None, None)])
    world.run("--to", "restore-test")
    backups = world.command("backup", "list", "--json").document
    target = next(b for b in backups if b["role"] == "target")
    assert target["proven"]
    full = Db(make_pg_database() if engine == "postgresql" else f"sqlite:///{tmp_path}/full.db")
    full.run("CREATE TABLE precious(id INTEGER)", "INSERT INTO precious VALUES (1)")
    done = world.command("backup", "restore", target["id"], "--into", full.url)
    assert done.code == 2
    is_one_clear_paragraph(done.err, "empty")
    assert full.rows("SELECT * FROM precious") == [(1,)]
    place = Db(make_pg_database() if engine == "postgresql" else f"sqlite:///{tmp_path}/new.db")
    restored = world.command("backup", "restore", target["id"], "--into", place.url, "--json").document
    assert restored["passed"]
    assert place.rows("SELECT * FROM accounts") == [("a", "Ours", None, None)]


@pytest.mark.promise(28)
@pytest.mark.parametrize("action", ["eio", "enospc"])
def test_p28_a_part_that_fails_leaves_no_manifest_and_the_rerun_goes_on(tmp_path: Path, action: str) -> None:
    world = small(tmp_path)
    failpoints.arm(f"vault.object.stored:2:{action}")
    is_one_clear_paragraph(world.says(code=5), "disk", "kept", "again")
    failpoints.arm()
    assert list(world.vault.glob("*/manifest.json")) == []
    assert world.target.tables() == ["accounts", "contacts"]
    document = world.run()
    assert document["state"] == "verified"
    assert document["resumed"]
    assert len(list(world.vault.glob("*/manifest.json"))) == 2


@pytest.mark.promise(28)
def test_p28_an_object_that_is_not_what_was_stored_blocks_the_manifest(tmp_path: Path) -> None:
    """The store takes the bytes, answers that all is well, and keeps something else."""
    world = small(tmp_path)

    def spoil() -> None:
        path = world.objects()[0]
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"?")

    with at_point("vault.object.stored", spoil):
        error = world.run(code=6)
    complete(error)
    assert list(world.vault.glob("*/manifest.json")) == []
    assert world.target.tables() == ["accounts", "contacts"]
    assert world.run()["state"] == "verified"  # damaged bytes are not kept for the next try
