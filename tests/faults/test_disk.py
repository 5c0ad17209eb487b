"""The disk fails, fills up or is asked in the wrong order; a person presses Ctrl-C."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import Output
from migrate.model import Manifest

from tests.faults import child
from tests.faults.conftest import ENGINES, Base
from tests.faults.world import difference
from tests.runs import rows_per_part

CHUNKS = 2
# What `migrate.durable`, the ledger and the SQLite connector pass around a write of theirs.
_WRITES = (".written", ".fsynced", ".renamed", ".linked", ".folder_fsynced", ".committed")

Fault = tuple[str, str, int, str]  # where passings count from, point, which passing, action


def faults(base: Base, actions: Sequence[str], points: Callable[[str], bool]) -> list[list[Fault]]:
    """Chains: the first passing of each of the `points`, one per section of the run and chain, the actions in turn."""
    seen: set[str] = set()
    lists: list[list[Fault]] = []
    for since, cases in child.cases(base.passed).items():
        lists.append([])
        for point, nth in cases:
            if points(point) and point not in seen:
                seen.add(point)
                lists[-1].append((since, point, nth, actions[len(seen) % len(actions)]))
    return [[f for f in row if f is not None] for row in zip_longest(*lists)]


def is_a_write(point: str) -> bool:
    return point.endswith(_WRITES) or point.startswith("sqlite.")


def each_write_once(point: str) -> bool:
    """Each place where a file is written at its first moment; that a failed fsync or rename is told is the same code for all."""
    later = (".fsynced", ".renamed", ".linked", ".folder_fsynced", ".committed")
    return is_a_write(point) and (not point.endswith(later) or point.startswith("transform.rows."))


def told(base: Base, chain: Sequence[Fault], code: int) -> list[str]:
    """What is wrong where each fault must end the command with `code`, and one more command finishes the run."""
    wrong = []
    over = False
    with base.world() as world:
        for since, point, nth, action in chain:
            done = world.run(arm=f"{point}:{nth}:{action}", since=since)
            if done.code != code:
                wrong.append(f"{since} {point}:{nth}:{action}: exit {done.code}: {done.answer}")
            over = over or "verified" in world.states()  # the fault came after the end
        done = world.run()
        if done.code != 0:
            return [*wrong, f"then exit {done.code}: {done.answer}"]
        if world.states() != ["verified"] * (2 if over else 1):
            wrong.append(f"runs: {world.states()}")
        found, left = world.standing(), world.left_over()
    expected = base.standing_again if over else base.standing
    return wrong + list(filter(None, [difference(expected, found)])) + left


@pytest.mark.promise(28)
@pytest.mark.parametrize("engine", ENGINES[:1])  # the files are the same whatever the databases are
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_p28_a_full_or_failing_disk_stops_with_exit_5_and_the_same_command_resumes(
    bases: Callable[[str], Base], engine: str, chunk: int
) -> None:
    base = bases(engine)
    chains = faults(base, ("enospc", "eio"), each_write_once)
    assert sum(map(len, chains)) > 30
    wrong = [w for chain in chains[chunk::CHUNKS] for w in told(base, chain, 5)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES[:2])
def test_p28_every_moment_of_every_write(bases: Callable[[str], Base], engine: str) -> None:
    base = bases(engine)
    wrong = [w for chain in faults(base, ("enospc", "eio"), is_a_write) for w in told(base, chain, 5)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_ctrl_c_is_exit_9_and_resumable(bases: Callable[[str], Base], engine: str) -> None:
    base = bases(engine)
    inside = [
        "extract.captured", "profile.checkpointed", "backup.target.captured", "restore_test.scratch_created", "transform.part_done",
        "load.part.inserted", "load.links.updated", "verify.entity_read",
    ]  # fmt: skip
    for chain in faults(base, ("interrupt",), lambda point: point in inside):
        with base.world() as world:
            for since, point, nth, action in chain:
                done = world.run(arm=f"{point}:{nth}:{action}", since=since)
                assert done.code == 9, f"{since} {point}: {done}"
                assert world.states() == ["interrupted"], point
            done = world.run()
            assert done.code == 0, done
            assert done.answer["resumed"]
            assert world.states() == ["verified"]
            assert not difference(base.standing, world.standing())
            assert not world.left_over()


class Disk:
    """The order in which files were made durable: fsync of the data, rename, fsync of the folder."""

    def __init__(self) -> None:
        self.synced: set[tuple[int, int]] = set()  # data that was synced
        self.placed: dict[tuple[int, int], bool] = {}  # named after its data was synced
        self.listed: set[Path] = set()  # the folder synced after the name was given
        self.waiting: dict[Path, list[Path]] = {}

    def fsync(self, fd: int) -> None:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            self.listed.update(self.waiting.pop(Path(f"/proc/self/fd/{fd}").readlink(), []))
        else:
            self.synced.add((found.st_dev, found.st_ino))

    def named(self, path: Path) -> None:
        found = path.stat()
        self.placed[found.st_dev, found.st_ino] = (found.st_dev, found.st_ino) in self.synced
        self.listed.discard(path.resolve())
        self.waiting.setdefault(path.parent.resolve(), []).append(path.resolve())

    def durable(self, path: Path) -> str:
        """Empty, or what was left out."""
        found = path.stat()
        if not self.placed.get((found.st_dev, found.st_ino)):
            return f"{path.name}: named before its data was synced, or not by a rename"
        return (
            ""
            if path.resolve() in self.listed
            else f"{path.name}: the folder was not synced after the name was given"
        )


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Disk, list[str]]]:
    disk = Disk()
    early: list[str] = []
    fsync, rename, link = os.fsync, Path.rename, os.link
    checkpoint, backup = Ledger.put_checkpoint, Ledger.put_backup

    def fsynced(fd: int) -> None:
        fsync(fd)
        disk.fsync(fd)

    def renamed(self: Path, target: Path) -> Path:
        result = rename(self, target)
        disk.named(Path(target))
        return result

    def linked(src: Any, dst: Any, **options: Any) -> None:
        link(src, dst, **options)
        disk.named(Path(dst))

    def checkpointed(
        self: Ledger,
        run: str,
        stage: str,
        part: str,
        inputs: str,
        outputs: Sequence[Output] = (),
        *rest: Any,
        **more: Any,
    ) -> None:
        for output in outputs:
            early.extend(f"{stage} {part}: {w}" for w in [disk.durable(self.root / run / output.path)] if w)
        checkpoint(self, run, stage, part, inputs, outputs, *rest, **more)

    def backed_up(self: Ledger, manifest: Manifest, manifest_sha256: str, **more: Any) -> None:
        vault = self.root.parent.parent / "backups"
        files = [vault / p.path for p in manifest.parts] + sorted((vault / manifest.id).glob("*.*"))
        assert any(f.name == "manifest.json" for f in files)
        early.extend(f"backup {manifest.id}: {w}" for f in files for w in [disk.durable(f)] if w)
        backup(self, manifest, manifest_sha256, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsynced)
        patch.setattr(os, "link", linked)
        patch.setattr(Path, "rename", renamed)
        patch.setattr(Ledger, "put_checkpoint", checkpointed)
        patch.setattr(Ledger, "put_backup", backed_up)
        rows_per_part(patch, child.ROWS_PER_PART)
        yield disk, early


@pytest.mark.parametrize("engine", ENGINES[:2])
def test_no_row_of_the_ledger_speaks_of_bytes_that_may_not_be_there(
    bases: Callable[[str], Base], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """data → fsync → rename → fsync of the folder → ledger row, for every output of every checkpoint and every backup."""
    with bases(engine).world() as world, watched(monkeypatch) as (disk, early):
        assert api.run(world.mapping, home=world.home)["state"] == "verified"
        assert not early, "\n".join(early)
        assert len(disk.placed) > 40
        assert all(disk.placed.values())
        shutil.rmtree(world.home / "runs")
