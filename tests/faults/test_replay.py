"""SIGKILL at the points of a replay; the same command again must end as if nothing had happened.

The first passing of every point, in chains: one replay is killed at several points, one after the other. Points that a
chain has gone beyond are tried alone.
"""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from migrate import api

from tests.faults import child
from tests.faults.conftest import Base
from tests.faults.world import World, difference, saved

CHAINS = 5
_FIXES = {
    ("accounts", '["3"]'): {"name": "Gamma"},
    ("contacts", '["13"]'): {"name": "Gus"},
    ("deals", '["22"]'): {"amount": "1"},
}


@dataclass(frozen=True)
class Replayed:
    template: World  # after the run, its corrected files beside it
    base: Base
    passed: list[str]
    standing: dict[str, Any]


def corrected(world: World) -> None:
    """An account that others wait for, a contact that waits and lacks a name, a deal that only the database refused."""
    for written in api.quarantine_export("latest", world.folder / "fix", home=world.home):
        path = Path(written)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row.update(_FIXES.get((path.stem, row["_key"]), {}))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture(scope="module")
def replayed(bases: Callable[[str], Base], tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    place = tmp_path_factory.mktemp("replays")
    base = bases("sqlite")
    with base.world(base.loaded) as world:
        before = {name: len(rows) for name, rows in world.rows().items()}
        corrected(world)
        template = saved(world, place / "template")
        done = world.replay(log=place / "log")
        assert done.code == 0, done.answer
        after = {name: len(rows) for name, rows in world.rows().items()}
        grown = {name: after[name] - before[name] for name in after}
        # Deal 23 and note 32 waited for what was corrected.
        assert grown == {"users": 0, "accounts": 1, "contacts": 1, "deals": 2, "notes": 1}
        return Replayed(template, base, child.passings(place / "log"), world.standing())


def converges(given: Replayed, points: Sequence[str]) -> tuple[str, list[str]]:
    """Empty, or what is wrong after kills at `points`, one after the other; and the points that were not reached."""
    missed = []
    with given.base.world(given.template) as world:
        for point in points:
            killed = world.replay(arm=f"{point}:1:kill")
            if killed.code == 0:
                missed.append(point)
            elif killed.code != -signal.SIGKILL:
                return f"{point}: exit {killed.code}: {killed.answer}", missed
        done = world.replay()
        if done.code != 0 or done.answer["state"] != "verified":
            return f"exit {done.code}: {done.answer}", missed
        told = [difference(given.standing, world.standing())]
        told += [f"left over: {world.left_over()}"] if world.left_over() else []
        told += [f"runs: {world.states()}"] if world.states() != ["verified", "verified"] else []
        return "\n".join(filter(None, told)), missed


_OWN = (
    "replay.",
    "fixes.",
    "run.",
    "stage.",
    "load.part.",
    "transform.fixes_placed",
    "transform.checkpointed",
    "verify.",
)


def check(given: Replayed, points: Sequence[str]) -> None:
    wrong, missed = converges(given, points)
    alone = {p: told for p in points if (told := converges(given, [p])[0])} if wrong else {}
    assert not wrong, alone or wrong
    for point in missed:
        assert converges(given, [point]) == ("", []), point


@pytest.mark.fineprint(14)
@pytest.mark.promise(21)
def test_f14_p21_killed_where_it_is_no_run_like_others_a_replay_ends_as_if_nothing_had_happened(
    replayed: Replayed,
) -> None:
    points = [p for p in dict.fromkeys(replayed.passed) if p.startswith(_OWN) and not p.endswith("fsynced")]
    assert {"replay.begun", "replay.prepared", "fixes.pinned.renamed"} & set(points)
    check(replayed, points)


@pytest.mark.slow
@pytest.mark.parametrize("chain", range(CHAINS))
def test_p21_every_point_of_a_replay(replayed: Replayed, chain: int) -> None:
    points = [p for p in dict.fromkeys(replayed.passed) if not p.endswith("fsynced")]
    check(replayed, points[chain::CHAINS])
