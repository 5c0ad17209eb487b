"""SIGKILL at every point of a run and of a rollback; the same command again must end as if nothing had happened.

By default the first and the last passing of every point, in chains: one run is killed once in every
stage, and goes on after each kill. `pytest -m slow` kills at every passing, each in a run of its own.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from itertools import zip_longest

import pytest

from tests.faults import child
from tests.faults.conftest import ENGINES, Base
from tests.faults.world import World, difference

CHUNKS = 8

Kill = tuple[str, str, int]  # stage, point, which passing since the stage began


def chains(base: Base) -> list[list[Kill]]:
    """Every case once, one per stage and chain."""
    found = child.cases(base.passed)
    lists = [[(stage, point, nth) for point, nth in cases] for stage, cases in found.items()]
    return [[kill for kill in row if kill is not None] for row in zip_longest(*lists)]


def _killed(world: World, kills: Sequence[Kill]) -> bool:
    """Kill at each in turn; True if the run had ended already when it was killed last."""
    for stage, point, nth in kills:
        done = world.run(arm=f"{point}:{nth}:kill", stage=stage)
        assert done.code == -signal.SIGKILL, f"{stage} {point}:{nth} was not passed: {done}"
    states = [state for (state,) in world.ledger("SELECT state FROM run")] if (world.home / "ledger.db").exists() else []
    return states == ["verified"]


def converges(base: Base, kills: Sequence[Kill]) -> str:
    """Empty, or what is wrong once the run was killed there and started again."""
    with base.world() as world:
        over = _killed(world, kills)
        done = world.run()
        if done.code != 0 or done.answer["state"] != "verified":
            return f"exit {done.code}: {done.answer}"
        runs = world.ledger("SELECT run, state FROM run")
        if [state for _, state in runs] != ["verified"] * (2 if over else 1):
            return f"runs: {runs}"
        wrong = difference(base.standing, world.standing() | ({"runs": base.standing["runs"]} if over else {}))
        left = world.left_over()
        return "\n".join(filter(None, [wrong, f"left over: {left}" if left else ""]))


@pytest.mark.promise(9)
@pytest.mark.promise(21)
@pytest.mark.fineprint(1)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_p21_p9_killed_anywhere_a_run_ends_as_if_nothing_had_happened(
    bases: Callable[[str], Base], engine: str, chunk: int
) -> None:
    base = bases(engine)
    told = []
    for kills in chains(base)[chunk::CHUNKS]:
        wrong = converges(base, kills)
        if wrong:
            alone = {kill: told_alone for kill in kills if (told_alone := converges(base, [kill]))}
            told.append(f"{alone or {tuple(kills): wrong}}")
    assert not told, "\n".join(told)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk", range(32))
def test_p21_every_passing_of_every_point(bases: Callable[[str], Base], engine: str, chunk: int) -> None:
    base = bases(engine)
    every = [
        (stage, point, nth)
        for stage, cases in child.cases(base.passed, all_of_them=True).items()
        for point, nth in cases
    ]
    wrong = {kill: told for kill in every[chunk::32] if (told := converges(base, [kill]))}
    assert not wrong


def undone(base: Base, point: str, nth: int) -> str:
    """Empty, or what is wrong once a rollback was killed there and started again."""
    with base.world(base.loaded) as world:
        killed = world.rollback(arm=f"{point}:{nth}:kill")
        if killed.code != -signal.SIGKILL:
            return f"not passed: {killed}"
        done = world.rollback()
        if done.code != 0 or done.answer["state"] != "rolled_back":
            return f"exit {done.code}: {done.answer}"
        told = [] if done.answer["proof"]["passed"] else [str(done.answer["proof"]), str(done.answer["conflicts"])]
        told.append(difference(base.before, world.rows()))
        if world.meta("crosswalk"):
            told.append(f"crosswalk: {len(world.meta('crosswalk'))} entries")
        if [r["state"] for r in world.meta("run")] != ["rolled_back"]:
            told.append(f"run: {world.meta('run')}")
        told += world.left_over()
        return "\n".join(filter(None, told))


@pytest.mark.promise(21)
@pytest.mark.promise(25)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk", range(2))
def test_p21_p25_killed_anywhere_a_rollback_ends_in_the_target_as_it_was(
    bases: Callable[[str], Base], engine: str, chunk: int
) -> None:
    base = bases(engine)
    points = [case for cases in child.cases(base.rollback_passed).values() for case in cases]
    wrong = {(point, nth): told for point, nth in points[chunk::2] if (told := undone(base, point, nth))}
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_p21_every_passing_of_every_point_of_a_rollback(bases: Callable[[str], Base], engine: str) -> None:
    base = bases(engine)
    points = [case for cases in child.cases(base.rollback_passed, all_of_them=True).values() for case in cases]
    wrong = {(point, nth): told for point, nth in points if (told := undone(base, point, nth))}
    assert not wrong
