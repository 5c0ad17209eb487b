"""Leases: they hold while their holder lives, run out by the store's clock, and exclude what has to be excluded."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from migrate.errors import Busy, Transient, Unreachable
from migrate.stores.local import LocalStore
from migrate.stores.protocol import Store
from migrate.stores.s3 import S3Store
from migrate.vault import lease

from tests.stores.faulty import FaultyStore
from tests.stores.servers import s3_location


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path / "vault") if request.param == "local" else S3Store(s3_location(versions=True))


@pytest.mark.fineprint(30)
def test_f30_it_is_there_while_the_body_runs_and_gone_after(store: Store) -> None:
    with lease.shared(store, lease.BACKUP, "b1", required=True) as held:
        assert held is not None
        held.must_hold()
        (found,) = lease.holders(store)
        assert (found.kind, found.backup) == ("backup", "b1")
    assert store.list("leases/") == []


def test_it_is_gone_after_an_error_too(store: Store) -> None:
    with pytest.raises(KeyError), lease.shared(store, lease.BACKUP, "b1", required=True):
        raise KeyError
    assert store.list("leases/") == []


@pytest.mark.fineprint(30)
def test_f30_it_is_renewed_while_its_holder_works(store: Store) -> None:
    ttl = 3.0  # the clock of S3 counts seconds
    with lease.shared(store, lease.RESTORE, "b1", required=True, ttl=ttl) as held:
        time.sleep(ttl + 0.7)
        assert lease.holders(store, ttl=ttl)
        assert held is not None
        held.must_hold()


@pytest.mark.fineprint(30)
def test_f30_one_that_ran_out_holds_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_RENEWALS", 0.1)  # the holder sleeps
    store = LocalStore(tmp_path)
    with lease.shared(store, lease.BACKUP, "b1", required=True, ttl=0.2) as held:
        time.sleep(0.3)
        assert lease.holders(store, ttl=0.2) == []
        assert held is not None
        with pytest.raises(Transient, match="ran out"):
            held.must_hold()


def test_a_sleeper_that_wakes_up_does_not_take_it_up_again(tmp_path: Path) -> None:
    class Sleeping(LocalStore):
        asleep = 0.0

        def age(self, name: str) -> float:
            return super().age(name) + self.asleep

    store = Sleeping(tmp_path)
    with lease.shared(store, lease.BACKUP, "b1", required=True, ttl=0.5) as held:
        assert held is not None
        store.asleep = 10
        time.sleep(0.3)
        store.asleep = 0
        with pytest.raises(Transient):
            held.must_hold()


@pytest.mark.fineprint(30)
def test_f30_any_number_of_backups_and_restores_hold_at_once(store: Store) -> None:
    with (
        lease.shared(store, lease.BACKUP, "b1", required=True) as one,
        lease.shared(store, lease.BACKUP, "b2", required=True) as two,
        lease.shared(store, lease.RESTORE, "b1", required=True),
    ):
        assert len(lease.holders(store)) == 3
        for held in (one, two):
            assert held is not None
            held.must_hold()


@pytest.mark.fineprint(30)
def test_f30_of_many_prunes_at_once_one_holds(store: Store) -> None:
    started, got, lost = threading.Barrier(6), [], []

    def take() -> None:
        started.wait()
        try:
            with lease.exclusive(store):
                got.append(1)
                time.sleep(1.0)
        except Busy:
            lost.append(1)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(lost)) == (1, 5)
    with lease.exclusive(store):
        pass


@pytest.mark.fineprint(30)
def test_f30_a_prune_that_was_killed_is_overtaken_when_its_lease_ran_out(tmp_path: Path) -> None:
    class Clock(LocalStore):
        later = 0.0

        def age(self, name: str) -> float:
            return super().age(name) + (self.later if name.endswith("000007.json") else 0)

    store = Clock(tmp_path)
    store.put_bytes("leases/prune-000007.json", b"{}")
    with pytest.raises(Busy, match=r"in \d+ seconds"), lease.exclusive(store):
        pass
    store.later = lease.TTL
    with lease.exclusive(store) as held:
        assert held.name == "leases/prune-000008.json"
        assert store.list("leases/") == [held.name]


def test_who_may_not_write_reads_without(tmp_path: Path) -> None:
    store = FaultyStore(LocalStore(tmp_path), fail_at=1)
    with lease.shared(store, lease.RESTORE, "b1", required=False) as held:
        assert held is None
    store = FaultyStore(LocalStore(tmp_path), fail_at=1)
    with pytest.raises(Unreachable), lease.shared(store, lease.BACKUP, "b1", required=True):
        pass


def test_garbage_among_the_leases_counts_as_somebody(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_bytes("leases/backup-x.json", b"\xff{")
    (found,) = lease.holders(store)
    assert (found.kind, found.backup) == ("backup", "")
