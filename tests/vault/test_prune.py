"""Pruning: the manifest first, never the last proven backup, by recorded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from migrate import failpoints
from migrate.errors import Busy, Corrupt, ObjectLocked, UsageError
from migrate.model import Verdict
from migrate.stores.local import LocalStore
from migrate.vault import lease
from migrate.vault.check import check_backup
from migrate.vault.prune import GRACE_SECONDS, Pruned, prune
from migrate.vault.reader import list_backups, open_backup
from migrate.vault.retention import Retention
from migrate.vault.verdicts import PROVEN, put_verdict
from migrate.vault.writer import write_backup

from tests.stores.faulty import FaultyStore
from tests.vault.building import FACTS, SCHEMA, make, staged


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """Four backups, names against the order of time; each has rows of its own."""
    store = LocalStore(tmp_path / "backups")
    for n, id_ in enumerate(["d", "c", "b", "a"]):
        make(store, tmp_path / "s", id_=id_, at=f"2026-0{n + 1}-01T00:00:00+00:00", word=id_)
    return store


def ids(store: LocalStore) -> list[str]:
    return [i.id for i in list_backups(store)]


def prove(store: LocalStore, id_: str, passed: bool = True) -> None:
    put_verdict(store, open_backup(store, id_), Verdict(PROVEN, passed))


def test_a_dry_run_changes_nothing(store: LocalStore) -> None:
    before = store.list()
    found = prune(store, keep=Retention(last=1), grace_seconds=-1)
    assert found.dry_run
    assert found.backups == ("d", "c", "b")
    assert len(found.objects) == 12
    assert found.bytes > 0
    assert store.list() == before


@pytest.mark.promise(29)
def test_p29_the_newest_by_recorded_time_stay(store: LocalStore) -> None:
    found = prune(store, keep=Retention(last=2), dry_run=False, grace_seconds=-1)
    assert ids(store) == ["b", "a"]
    assert found.backups == ("d", "c")
    for id_ in ("b", "a"):
        assert all(v.passed for v in check_backup(store, id_))
    assert len(store.list("objects/")) == 8


@pytest.mark.promise(29)
def test_p29_the_last_proven_backup_never_goes(store: LocalStore) -> None:
    prove(store, "d")
    prove(store, "c")
    prove(store, "b", passed=False)
    found = prune(store, keep=Retention(last=1), dry_run=False, grace_seconds=-1)
    assert ids(store) == ["c", "a"]
    assert dict(found.kept) == {"a": "among the newest 1", "c": "the last proven one"}
    assert all(v.passed for v in check_backup(store, "c"))


def test_a_proof_that_was_overtaken_by_a_failed_test_counts_no_more(store: LocalStore) -> None:
    prove(store, "d")
    prove(store, "c")
    prove(store, "c", passed=False)
    prune(store, keep=Retention(last=1), dry_run=False, grace_seconds=-1)
    assert ids(store) == ["d", "a"]


def test_the_manifest_goes_first(store: LocalStore) -> None:
    watched = FaultyStore(store)
    prune(watched, keep=Retention(last=3), dry_run=False, grace_seconds=-1)
    deletes = [line for line in watched.log if line.startswith("delete")]
    assert deletes[0] == "delete d/manifest.json"


@pytest.mark.parametrize("nth", range(1, 9))
def test_interrupted_anywhere_no_backup_is_half_and_the_rerun_finishes(store: LocalStore, nth: int) -> None:
    failpoints.arm(f"store.delete.folder_fsynced:{nth}:raise")
    with pytest.raises(failpoints.FailpointError):
        prune(store, keep=Retention(last=2), dry_run=False, grace_seconds=-1)
    failpoints.arm()
    for id_ in ids(store):
        assert all(v.passed for v in check_backup(store, id_))
    prune(store, keep=Retention(last=2), dry_run=False, grace_seconds=-1)
    assert ids(store) == ["b", "a"]
    assert len(store.list("objects/")) == 8


@pytest.mark.fineprint(30)
def test_f30_young_objects_stay_for_a_backup_that_is_being_written(store: LocalStore) -> None:
    found = prune(store, keep=Retention(last=1), dry_run=False)
    assert (found.objects, found.waiting) == ((), 12)
    assert len(store.list("objects/")) == 16
    assert ids(store) == ["a"]


def test_objects_that_others_share_stay(store: LocalStore, tmp_path: Path) -> None:
    make(store, tmp_path / "again", id_="e", at="2026-09-01T00:00:00+00:00", word="d")
    prune(store, keep=Retention(last=1), dry_run=False, grace_seconds=-1)
    assert ids(store) == ["e"]
    assert all(v.passed for v in check_backup(store, "e"))


class Clocked(LocalStore):
    """A folder whose clock the test sets, so that an hour passes at once."""

    now = 0.0

    def _noted(self, name: str) -> None:
        self.times = {**getattr(self, "times", {}), name: self.now}

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        super().put_file(name, path, sha256=sha256, link=link)
        self._noted(name)

    def put_bytes(self, name: str, data: bytes) -> None:
        super().put_bytes(name, data)
        self._noted(name)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        self._noted(name) if not self.exists(name) else None
        return super().put_if_absent(name, data)

    def age(self, name: str) -> float:
        super().age(name)  # Corrupt where it is missing
        return float(self.now - self.times[name])


@pytest.fixture
def clocked(tmp_path: Path) -> Clocked:
    store = Clocked(tmp_path / "backups")
    for n, id_ in enumerate("dcba"):
        make(store, tmp_path / "s", id_=id_, at=f"2026-0{n + 1}-01T00:00:00+00:00", word=id_)
    return store


def really(store: LocalStore, last: int = 1) -> Pruned:
    return prune(store, keep=Retention(last=last), dry_run=False)


@pytest.mark.fineprint(30)
def test_f30_objects_go_a_grace_after_their_tombstone(clocked: Clocked) -> None:
    clocked.now = 10 * GRACE_SECONDS  # however old they are
    first = really(clocked)
    assert (first.objects, first.waiting) == ((), 12)
    assert len(clocked.list("tombstones/")) == 1
    clocked.now += GRACE_SECONDS
    assert really(clocked).objects == ()
    clocked.now += 1
    shown = prune(clocked, keep=Retention(last=1))
    assert (len(shown.objects), shown.waiting) == (12, 0)
    assert len(clocked.list("objects/")) == 16
    assert len(really(clocked).objects) == 12
    assert len(clocked.list("objects/")) == 4
    assert clocked.list("tombstones/") == []
    assert all(v.passed for v in check_backup(clocked, "a"))


@pytest.mark.fineprint(30)
def test_f30_an_object_that_a_new_backup_took_over_stays(clocked: Clocked, tmp_path: Path) -> None:
    """Unreferenced and marked, it is put again by a backup that was killed before its manifest: its lease ran out."""
    really(clocked)
    clocked.now = 0.5 * GRACE_SECONDS
    failpoints.arm("vault.manifest.before:1:raise")
    with pytest.raises(failpoints.FailpointError):
        make(clocked, tmp_path / "s", id_="e", at="2026-09-01T00:00:00+00:00", word="d")
    failpoints.arm()
    clocked.now = 1.2 * GRACE_SECONDS
    found = really(clocked)
    assert len(found.objects) == 8  # those of c and b, not those of d
    make(clocked, tmp_path / "s", id_="e", at="2026-09-01T00:00:00+00:00", word="d")
    assert all(v.passed for v in check_backup(clocked, "e"))


@pytest.mark.fineprint(30)
@pytest.mark.parametrize("kind", [lease.BACKUP, lease.RESTORE])
def test_f30_no_object_goes_while_somebody_works_with_the_vault(clocked: Clocked, kind: str) -> None:
    really(clocked)
    clocked.now = 2 * GRACE_SECONDS
    with lease.shared(clocked, kind, "d", required=True):
        found = really(clocked)
        assert found.objects == ()
        assert found.held_up == (
            "a backup is being written" if kind == lease.BACKUP else "d is being restored"
        )
    assert len(really(clocked).objects) == 12


@pytest.mark.fineprint(30)
def test_f30_what_a_backup_is_still_sending_is_not_tidied_away(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On S3 an upload counts from its beginning, and a large one takes longer than the grace."""
    tidied: list[float] = []
    monkeypatch.setattr(Clocked, "tidy", lambda self, *, older_than: tidied.append(older_than))
    with lease.shared(clocked, lease.BACKUP, "e", required=True):
        really(clocked)
    assert tidied == []
    really(clocked)
    assert tidied == [GRACE_SECONDS]


@pytest.mark.fineprint(30)
def test_f30_the_lease_of_a_killed_backup_runs_out(clocked: Clocked) -> None:
    really(clocked)
    clocked.now = 2 * GRACE_SECONDS
    clocked.put_bytes("leases/backup-0123456789abcdef.json", b'{"kind": "backup", "backup": "x"}')
    assert really(clocked).held_up
    clocked.now += lease.TTL
    assert len(really(clocked).objects) == 12
    clocked.now += 4 * lease.TTL
    really(clocked)
    assert clocked.list("leases/") == []


def test_a_backup_that_is_restored_stays(clocked: Clocked) -> None:
    with lease.shared(clocked, lease.RESTORE, "c", required=True):
        found = really(clocked)
        assert found.backups == ("d", "b")
        assert dict(found.kept)["c"] == "somebody works with it"
    assert really(clocked).backups == ("c",)


def test_a_restore_that_finds_its_backup_being_pruned_waits(store: LocalStore, tmp_path: Path) -> None:
    """Whoever comes second sees the first: the prune ends, and only then is the manifest read."""
    failpoints.arm("vault.prune.manifest_deleted:1:pause=0.7")
    pruning = threading.Thread(target=really, args=(store, 3))
    pruning.start()
    while store.exists("d/manifest.json"):
        time.sleep(0.01)
    with lease.shared(store, lease.RESTORE, "d", required=True):
        assert not pruning.is_alive() or not store.list("leases/prune")
        assert ids(store) == ["c", "b", "a"]
    pruning.join()


@pytest.mark.promise(29)
def test_p29_backups_written_while_a_prune_goes_on_are_whole(store: LocalStore, tmp_path: Path) -> None:
    """Two backups of rows whose objects are just being removed, at the same time as the prune."""
    really(store)
    failpoints.arm("vault.prune.object_deleted:*:pause=0.02")
    threads = [
        threading.Thread(
            target=prune,
            args=(store,),
            kwargs={"keep": Retention(last=1), "dry_run": False, "grace_seconds": -1},
        ),
        *(
            threading.Thread(
                target=make,
                args=(store, tmp_path / "s"),
                kwargs={"id_": f"new{n}", "at": "2026-09-01T00:00:00+00:00", "word": "d"},
            )
            for n in range(2)
        ),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failpoints.arm()
    assert set(ids(store)) >= {"new0", "new1"}
    for id_ in ("new0", "new1"):
        assert all(v.passed for v in check_backup(store, id_))


def test_of_two_prunes_one_is_told_to_come_back(store: LocalStore) -> None:
    with lease.exclusive(store), pytest.raises(Busy, match="another prune"):
        really(store)
    assert ids(store) == ["d", "c", "b", "a"]
    really(store)
    assert ids(store) == ["a"]


def test_what_a_run_needs_stays(store: LocalStore) -> None:
    found = prune(store, keep=Retention(last=1), needed={"c": "run r1 is undone against it", "gone": "x"})
    assert dict(found.kept)["c"] == "run r1 is undone against it"
    assert found.backups == ("d", "b")


def test_only_the_backups_of_one_mapping(store: LocalStore, tmp_path: Path) -> None:
    facts = replace(FACTS, id="other", mapping="other", created_at="2020-01-01T00:00:00+00:00")
    write_backup(store, manifest=facts, schema=SCHEMA, parts=staged(tmp_path / "o"))
    assert prune(store, keep=Retention(last=1), mapping="m").backups == ("d", "c", "b")
    assert prune(store, keep=Retention(last=1), mapping="other").kept == (("other", "among the newest 1"),)


def test_what_a_killed_backup_left_goes_and_strange_things_stay(clocked: Clocked, tmp_path: Path) -> None:
    failpoints.arm("vault.manifest.before:1:raise")
    with pytest.raises(failpoints.FailpointError):
        make(clocked, tmp_path / "s", id_="half", word="half")
    failpoints.arm()
    clocked.put_bytes("notes/readme.txt", b"mine")
    really(clocked, 4)
    assert clocked.list("half/")
    clocked.now = GRACE_SECONDS + 1
    really(clocked, 4)
    assert clocked.list("half/") == []
    assert clocked.list("notes/") == ["notes/readme.txt"]
    assert len(clocked.list("objects/")) == 16
    assert ids(clocked) == ["d", "c", "b", "a"]


@pytest.mark.fineprint(30)
def test_f30_locked_backups_say_until_when(store: LocalStore) -> None:
    class Keeping(LocalStore):
        def locked_until(self, name: str) -> str:
            return "locked until 2030-01-01" if name.startswith("c/") else ""

        def delete(self, name: str) -> None:
            if name.startswith("objects/"):
                raise ObjectLocked("no", until="locked until 2030-01-02")
            super().delete(name)

    keeping = Keeping(store.folder)
    found = prune(keeping, keep=Retention(last=1), dry_run=False, grace_seconds=-1)
    assert dict(found.kept)["c"] == "locked until 2030-01-01"
    assert found.backups == ("d", "b")
    assert found.objects == ()
    assert {why for _, why in found.locked} == {"locked until 2030-01-02"}
    assert len(found.locked) == 8
    assert len(store.list("objects/")) == 16


def test_what_cannot_be_understood_stops_everything(store: LocalStore) -> None:
    (store.folder / "c" / "manifest.json").write_text("{")
    with pytest.raises(Corrupt, match="what it needs is unknown"):
        prune(store, keep=Retention(last=1), dry_run=False, grace_seconds=-1)
    assert len(store.list("objects/")) == 16
    with pytest.raises(UsageError):
        prune(store, keep=Retention(last=0))
