"""Parts brought ahead of whoever restores or checks them: in order, bounded, and with their errors in their place."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from migrate.errors import Corrupt, Unreachable
from migrate.stores.local import LocalStore
from migrate.vault import layout
from migrate.vault.ahead import parts_ahead
from migrate.vault.check import check
from migrate.vault.clock import Clock

from tests.vault.building import make


class Slow(LocalStore):
    """Says how many parts were asked for, and can fail at one."""

    at_once = 2

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.read: list[str] = []
        self.fails = ""
        self.lock = threading.Lock()

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        if name.startswith("objects/"):
            with self.lock:
                self.read.append(name)
        if name == self.fails:
            raise Unreachable("the network went away")
        return super().read_bytes(name, limit=limit)


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_parts_come_in_order_and_no_more_are_read_than_may_wait(tmp_path: Path, at_once: int) -> None:
    store = Slow(tmp_path / "vault")
    store.at_once = at_once
    backup = make(store, tmp_path / "s", contacts=2_000)
    refs = backup.manifest.parts
    assert len(refs) == 21
    store.read.clear()
    with parts_ahead(backup, refs) as brought:
        first = next(brought)
        time.sleep(0.3)  # as far as it goes by itself
        # one is taken, one waits, one is decoded; the others are fetched
        assert len(store.read) <= 3 + (at_once if at_once > 1 else 0)
        found = [first, *brought]
    assert [p.ref for p in found] == list(refs)
    assert [p.rows.num_rows for p in found] == [r.rows for r in refs]
    assert all(p.rows.equals(backup.part(p.ref)) for p in found)


def test_nothing_is_read_any_more_once_nobody_takes(tmp_path: Path) -> None:
    store = Slow(tmp_path / "vault")
    backup = make(store, tmp_path / "s", contacts=2_000)
    before = threading.active_count()
    with parts_ahead(backup, backup.manifest.parts) as brought:
        next(brought)
    assert threading.active_count() == before
    read = len(store.read)
    time.sleep(0.2)
    assert len(store.read) == read


def test_an_unreachable_store_is_said_where_its_part_would_be_taken(tmp_path: Path) -> None:
    store = Slow(tmp_path / "vault")
    backup = make(store, tmp_path / "s", contacts=500)
    store.fails = backup.manifest.parts[3].path
    taken = list[Any]()
    with (
        pytest.raises(Unreachable, match="network"),
        parts_ahead(backup, backup.manifest.parts) as brought,
    ):
        taken.extend(brought)
    assert len(taken) == 3


def test_a_damaged_part_hides_none_behind_it(tmp_path: Path) -> None:
    store = Slow(tmp_path / "vault")
    backup = make(store, tmp_path / "s", contacts=500)
    first, second, third = backup.manifest.parts[:3]
    (store.folder / first.path).write_bytes(b"x" * first.bytes)
    (store.folder / third.path).unlink()
    with parts_ahead(backup, backup.manifest.parts) as brought:
        found = list(brought)
    assert found[1].rows.num_rows == second.rows
    for damaged in (found[0], found[2]):
        with pytest.raises(Corrupt):
            damaged.rows  # noqa: B018
    (store.folder / layout.object_name(third.sha256)).write_bytes(b"y" * third.bytes)
    verdict = check(backup, 2)[-1]
    assert "2 problems" in verdict.found


def test_phases_add_up_to_the_time_that_passed() -> None:
    clock = Clock()
    with clock.phase("load"):
        began = time.monotonic()
        time.sleep(0.05)
        clock.waited(0.04, {"fetch": 3.0, "decode": 1.0}, outside="load")
        passed = time.monotonic() - began
    said = clock.seconds()
    assert said["fetch"] == pytest.approx(0.03, abs=0.001)
    assert said["decode"] == pytest.approx(0.01, abs=0.001)
    assert sum(said.values()) == pytest.approx(passed, abs=0.01)
