"""Undo of rows that are a matter of their own, in chunks: what is found as they go, and what of it goes at the same time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints, run
from migrate.stages.rollback import deleting, victims
from migrate.stages.rollback.several import worked

from tests.runs import ENGINES, World, bare

ROWS = 40
SOURCE = (
    "CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT)",
    *(f"INSERT INTO notes VALUES ({i}, 'note {i}')" for i in range(1, ROWS + 1)),
)
TARGET = (
    "CREATE TABLE notes(id INTEGER PRIMARY KEY, body VARCHAR(80))",
    "CREATE TABLE tags(id INTEGER PRIMARY KEY, note_id INTEGER, FOREIGN KEY (note_id) REFERENCES notes(id))",
    "INSERT INTO notes VALUES (1000, 'theirs')",
)
MAPPED = """
  notes:
    from: notes
    key: id
    into: notes
    write: add
    fields: {id: id, body: body}
"""


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several threads, and several chunks for each of them."""
    monkeypatch.setattr(victims, "CHUNK", 4)
    monkeypatch.setattr(run, "_WORKERS", 3)
    monkeypatch.setattr("os.cpu_count", lambda: 3)


@pytest.fixture
def world(tmp_path: Path, target_url: str) -> World:
    return bare(tmp_path, SOURCE, TARGET, MAPPED, target_url=target_url)


def notes(world: World) -> list[tuple[Any, ...]]:
    return world.target.rows("SELECT id, body FROM notes ORDER BY id")


def undo(world: World, *more: str, code: int = 0) -> Any:
    done = world.command("rollback", "latest", "--json", *(more or ("--yes",)))
    assert done.code == code, done.out + done.err
    return done.document


@pytest.mark.usefixtures("small_chunks")
@ENGINES
def test_rows_are_read_once_and_what_was_changed_or_referred_to_is_kept_as_foretold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run()
    world.target.run(
        "UPDATE notes SET body = 'mine' WHERE id IN (3, 17)",
        "INSERT INTO tags VALUES (1, 17), (2, 22)",
        "DELETE FROM notes WHERE id = 30",
    )
    seen = undo(world, "--preview")
    assert len(notes(world)) == ROWS
    ahead: list[int] = []
    changed_since = victims._changed_since

    def counted(ctx: Any, undo: Any, left: Any) -> None:
        ahead.append(left.num_rows)
        changed_since(ctx, undo, left)

    monkeypatch.setattr(victims, "_changed_since", counted)
    done = undo(world, "--yes", code=3)
    assert sum(ahead) == 2  # before anything is touched only those are read that a row refers to
    assert notes(world) == [(3, "mine"), (17, "mine"), (22, "note 22"), (1000, "theirs")]
    by_key = {c["key"]: c["reason"] for c in done["conflicts"]}
    assert by_key == {c["key"]: c["reason"] for c in seen["conflicts"]}
    assert by_key == {
        '["3"]': "changed since the load",
        '["17"]': "changed since the load",
        '["22"]': "a row of tags that stays refers to it",
    }
    assert seen["entities"] == done["entities"]
    assert world.target.ours("crosswalk") == 3
    again = undo(world, "--yes", code=3)
    assert {c["key"] for c in again["conflicts"]} == set(by_key)
    assert undo(world, "--yes", "--force", "notes", code=3)["entities"]["notes"]["conflicts"] == 2
    assert notes(world) == [
        (17, "mine"),
        (22, "note 22"),
        (1000, "theirs"),
    ]  # no force for what is referred to


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.promise(21)
@pytest.mark.parametrize(
    "point", ["rollback.deleted:3:raise", "rollback.before_commit:2:raise", "rollback.committed:4:raise"]
)
@ENGINES
def test_p21_one_chunk_fails_and_those_beside_it_are_whole(world: World, point: str) -> None:
    """After that every row has its entry, and what went has none; the same command goes on."""
    before = notes(world)
    world.run()
    failpoints.arm(point)
    try:
        assert world.command("rollback", "latest", "--yes", "--json").code == 1
    finally:
        failpoints.arm()
    left = [str(row[0]) for row in notes(world) if row[0] <= ROWS]
    name = "migrate_meta.crosswalk" if world.target.engine == "postgresql" else "_migrate_crosswalk"
    entries = [row[0] for row in world.target.rows(f"SELECT target_key FROM {name}")]
    assert 0 < len(left) < ROWS
    assert sorted(entries) == sorted(f'["{key}"]' for key in left)
    assert undo(world)["proof"]["passed"] is True
    assert notes(world) == before
    assert world.target.ours("crosswalk") == 0


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("target_url", ["postgresql"], indirect=True)
def test_chunks_go_at_the_same_time_and_with_a_trigger_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting = threading.Barrier(2)
    threads: set[str] = set()
    taken = deleting._all_taken

    def noted(*arguments: Any) -> bool:
        threads.add(threading.current_thread().name)
        return taken(*arguments)

    def together(*arguments: Any) -> bool:
        threads.add(threading.current_thread().name)
        if len(threads) == 1 or meeting.n_waiting:
            meeting.wait(timeout=20)  # nobody comes where they go one after the other
        return taken(*arguments)

    world.run()
    monkeypatch.setattr(deleting, "_all_taken", together)
    undo(world)
    assert len(threads) >= 2
    world.target.run(
        "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "CREATE TRIGGER stamped BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION stamp()",
    )
    world.run()
    threads.clear()
    monkeypatch.setattr(deleting, "_all_taken", noted)
    undo(world)
    assert threads == {"MainThread"}


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_worked_on_comes_in_its_order(workers: int) -> None:
    assert list(worked(lambda n: n * n, range(20), workers=workers)) == [(n, n * n) for n in range(20)]


@pytest.mark.parametrize("workers", [1, 3])
def test_after_an_error_nothing_new_is_begun_and_nothing_is_under_way(workers: int) -> None:
    begun: list[int] = []
    ended: list[int] = []
    gone_on = threading.Event()

    def work(n: int) -> int:
        begun.append(n)
        if n == 2:
            raise ValueError(n)
        gone_on.wait(0.05)
        ended.append(n)
        return n

    with pytest.raises(ValueError, match="2"):
        list(worked(work, range(50), workers=workers))
    assert max(begun) < 10
    assert sorted(ended) == sorted(set(begun) - {2})
