"""SIGKILL at every point of a run and of a rollback; the same command again must end as if nothing had happened.

By default the first and the last passing of every point, in chains: one run is killed once in every
section of a stage, and goes on after each kill. Points after an fsync are left to `pytest -m slow`, which kills at
every passing, each in a run of its own: a kill, unlike a power cut, finds the same files before and
after an fsync (that fsyncs come in the right order is tests/faults/test_disk.py).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

import pytest

from tests.faults import child
from tests.faults.conftest import ENGINES, Base
from tests.faults.world import difference

CHUNKS = 6

Kill = tuple[str, str, int]  # where passings count from, point, which passing


_ENDS = ("mysql.commit", "mysql.rows")


def _of_mariadb(passed: Sequence[str]) -> list[str]:
    """The points of its own connector, in the order of their first passing: what else a run passes is the same
    whatever the databases are."""
    return [point for point in dict.fromkeys(passed) if point.startswith("mysql.")]


def chains(base: Base) -> list[list[Kill]]:
    """Every case once, one per section of the run (child.py) and chain."""
    if base.template.engine == "mysql":
        points = _of_mariadb(base.passed)
        return [[("", point, 1) for point in points[n::CHUNKS]] for n in range(CHUNKS)]
    return _chained(
        [(since, point, nth) for point, nth in cases if not point.endswith("fsynced")]
        for since, cases in child.cases(base.passed).items()
    )


def _chained(sections: Iterable[list[Kill]]) -> list[list[Kill]]:
    """Of every section one kill, as long as it has any."""
    return [[kill for kill in row if kill is not None] for row in zip_longest(*sections)]


def converges(base: Base, kills: Sequence[Kill]) -> tuple[str, Sequence[Kill]]:
    """Empty, or what is wrong once a run was killed at each in turn and started again; and the kills that were not
    reached, because an earlier one came between what they count from and its checkpoint."""
    missed: list[Kill] = []
    over = False
    with base.world() as world:
        for since, point, nth in kills:
            killed = world.run(arm=f"{point}:{nth}:kill", since=since)
            if killed.code == 0:
                missed.append((since, point, nth))
            elif killed.code != -signal.SIGKILL:
                return f"{since} {point}:{nth}: exit {killed.code}: {killed.answer}", missed
            over = over or "verified" in world.states()
        if missed and len(kills) > 1:
            return "", missed
        if missed:
            return "was not passed", missed
        done = world.run()
        if done.code != 0 or done.answer["state"] != "verified":
            return f"exit {done.code}: {done.answer}", missed
        if world.states() != ["verified"] * (2 if over else 1):  # over: the kill came after the end
            return f"runs: {world.states()}", missed
        left, found = world.left_over(), world.standing()
    expected = base.standing_again if over else base.standing
    wrong = [difference(expected, found), f"left over: {left}" if left else ""]
    return "\n".join(filter(None, wrong)), missed


def convicted(base: Base, kills: Sequence[Kill]) -> dict[Kill | str, str]:
    """Nothing, or which of the kills leaves what wrong. Each that a chain did not reach is tried alone."""
    wrong, missed = converges(base, kills)
    if not wrong and not missed:
        return {}
    alone: dict[Kill | str, str] = {kill: told for kill in kills if (told := converges(base, [kill])[0])}
    return alone or ({f"only together: {kills}": wrong} if wrong else {})


@pytest.mark.promise(9)
@pytest.mark.promise(21)
@pytest.mark.fineprint(1)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_p21_p9_killed_anywhere_a_run_ends_as_if_nothing_had_happened(
    bases: Callable[[str], Base], engine: str, chunk: int
) -> None:
    base = bases(engine)
    wrong = [found for kills in chains(base)[chunk::CHUNKS] if (found := convicted(base, kills))]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("chunk", range(32))
def test_p21_every_passing_of_every_point(bases: Callable[[str], Base], engine: str, chunk: int) -> None:
    base = bases(engine)
    every = [
        (since, point, nth)
        for since, cases in child.cases(base.passed, all_of_them=True).items()
        for point, nth in cases
    ]
    wrong = {kill: told for kill in every[chunk::32] if (told := converges(base, [kill])[0])}
    assert not wrong


@pytest.mark.parametrize("engine", ENGINES)
def test_what_hundreds_of_commands_need_is_imported_once(bases: Callable[[str], Base], engine: str) -> None:
    """The modules to be named at the top of child.py; each command would load them again."""
    assert bases(engine).imported == []


def undone(base: Base, kills: Sequence[Kill]) -> str:
    """Empty, or what is wrong once a rollback was killed at each in turn and started again."""
    with base.world(base.loaded) as world:
        for since, point, nth in kills:
            killed = world.rollback(arm=f"{point}:{nth}:kill", since=since)
            if killed.code != -signal.SIGKILL:
                return f"{since} {point}:{nth} was not passed: {killed}"
        done = world.rollback()
        if done.code != 0 or done.answer["state"] != "rolled_back":
            return f"exit {done.code}: {done.answer}"
        told = (
            []
            if done.answer["proof"]["passed"]
            else [str(done.answer["proof"]), str(done.answer["conflicts"])]
        )
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
    chains = _chained(
        [(since, point, nth) for point, nth in cases]
        for since, cases in child.cases(base.rollback_passed).items()
    )
    if base.template.engine == "mysql":
        points = _of_mariadb(base.rollback_passed)
        chains = [[("", point, 1)] for point in points if point.startswith(_ENDS)]
    wrong = [f"{kills}: {told}" for kills in chains[chunk::2] if (told := undone(base, kills))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_p21_every_passing_of_every_point_of_a_rollback(bases: Callable[[str], Base], engine: str) -> None:
    base = bases(engine)
    every = [
        (since, point, nth)
        for since, cases in child.cases(base.rollback_passed, all_of_them=True).items()
        for point, nth in cases
    ]
    wrong = {kill: told for kill in every if (told := undone(base, [kill]))}
    assert not wrong
