"""SIGKILL while roads are made: the same command again ends as if nothing had happened.

One run is killed at the first passing of every point that making roads adds, and goes on after each kill.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.faults import child
from tests.promises.test_roads import ENTITIES, MORE, SOURCE, TABLES, TARGET
from tests.runs import World, bare

OURS = ("transform.road", "transform.split", "transform.query")


def world_in(folder: Path) -> World:
    folder.mkdir()
    return bare(folder, SOURCE, TARGET, ENTITIES, more=MORE)


def mapping_of(world: World) -> Path:
    """The mapping where a child looks for the state folder beside it."""
    path = world.folder / "mapping.yaml"
    path.write_text(world.write().read_text())
    return path


def standing(world: World) -> dict[str, Any]:
    """What must not depend on a kill: rows, figures, what became of every table; and that nothing is left over."""
    [report] = world.home.glob("runs/*/report.json")
    document = json.loads(report.read_text())
    return {
        **{t: world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in TABLES},
        **{key: document[key] for key in ("state", "balances", "tables", "joins", "quarantine")},
        "left over": [p.name for p in world.home.rglob("*") if p.name.startswith(".tmp-")]
        + [p.name for p in world.home.glob("runs/*/temp/*")]
        + [p.name for p in world.home.glob("runs/*/roads/*/query")],
    }


@pytest.mark.promise(21)
def test_p21_killed_while_roads_are_made_a_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    calm, world = world_in(tmp_path / "calm"), world_in(tmp_path / "killed")
    log = tmp_path / "log"
    done = child.command("run", mapping_of(calm), log=log)
    assert done.code == 0, done.answer
    passed = dict.fromkeys(child.passings(log))
    points = [p for p in passed if p.startswith(OURS) and not p.endswith("fsynced")]
    assert len(points) >= 12
    mapping = mapping_of(world)
    for point in points:
        killed = child.command("run", mapping, arm=f"{point}:1:kill")
        assert killed.code == -signal.SIGKILL, (point, killed.answer)
    done = child.command("run", mapping)
    assert done.code == 0, done.answer
    assert standing(world) == standing(calm)
    assert standing(calm)["left over"] == []
