"""Two processes on one target: one waits or is told off, and an older one that comes to life again writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from migrate.connectors.registry import open_target

from tests.faults import child
from tests.faults.conftest import ENGINES, Base
from tests.faults.world import World, difference


def _until(log: Path, point: str) -> None:
    deadline = time.monotonic() + 60
    while not (log.exists() and point in log.read_text().split()):
        assert time.monotonic() < deadline, f"{point} was not passed"
        time.sleep(0.02)


@pytest.mark.fineprint(3)
@pytest.mark.parametrize("engine", ENGINES)
def test_f03_the_second_of_two_runs_gets_busy_and_the_first_is_not_disturbed(
    bases: Callable[[str], Base], engine: str
) -> None:
    base = bases(engine)
    with base.world() as world:
        log, answer = world.folder / "log", world.folder / "first.json"
        first = child.start("run", world.mapping, arm="load.part.committed:2:pause=3", log=log, answer=answer)
        _until(log, "load.part.committed")
        second = child.command("run", world.mapping)
        assert second.code == 8, second
        undo = child.command("rollback", world.mapping)
        assert undo.code == 8, undo
        done = child.ended(first, answer)
        assert done.code == 0, done
        assert not difference(base.standing, world.standing())
        assert [s for (s,) in world.ledger("SELECT state FROM run")] == ["verified"]


def _take_over(world: World) -> None:
    """As another machine would, whose lock file or session the first cannot see."""
    if world.engine == "sqlite":
        target = open_target(f"sqlite:///{world.target}", base=world.folder, work=world.folder)
        target._held = 1  # type: ignore[attr-defined]
        target.raise_fence("another")
        return
    with psycopg.connect(world.target) as other:
        other.execute("UPDATE migrate_meta.fence SET value = value + 1, run = 'another'")


@pytest.mark.fineprint(3)
@pytest.mark.parametrize("engine", ENGINES)
def test_f03_a_worker_that_was_overtaken_writes_no_further_part(
    bases: Callable[[str], Base], engine: str
) -> None:
    base = bases(engine)
    with base.world() as world:
        log, answer = world.folder / "log", world.folder / "first.json"
        older = child.start("run", world.mapping, arm="load.part.committed:2:pause=2", log=log, answer=answer)
        _until(log, "load.part.committed")
        time.sleep(0.5)  # into the pause of the second part
        _take_over(world)
        receipts = len(world.meta("receipt"))
        done = child.ended(older, answer)
        assert done.code == 8, done
        assert "took over" in done.answer["message"]
        assert len(world.meta("receipt")) == receipts
        resumed = world.run()  # raises the fence in its turn
        assert resumed.code == 0, resumed
        assert not difference(base.standing, world.standing())
