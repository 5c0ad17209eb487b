"""Pruning: the manifest first, never the last proven backup, by recorded time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from migrate import failpoints
from migrate.errors import Corrupt, UsageError
from migrate.model import Verdict
from migrate.stores.local import LocalStore
from migrate.vault.check import check_backup
from migrate.vault.prune import GRACE_SECONDS, prune
from migrate.vault.reader import list_backups, open_backup
from migrate.vault.verdicts import PROVEN, put_verdict

from tests.stores.faulty import FaultyStore
from tests.vault.building import make


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
    found = prune(store, keep=1, grace_seconds=-1)
    assert found.dry_run
    assert found.backups == ("d", "c", "b")
    assert len(found.objects) == 12
    assert found.bytes > 0
    assert store.list() == before


@pytest.mark.promise(29)
def test_p29_the_newest_by_recorded_time_stay(store: LocalStore) -> None:
    found = prune(store, keep=2, dry_run=False, grace_seconds=-1)
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
    found = prune(store, keep=1, dry_run=False, grace_seconds=-1)
    assert ids(store) == ["c", "a"]
    assert dict(found.kept) == {"a": "among the newest 1", "c": "the last proven one"}
    assert all(v.passed for v in check_backup(store, "c"))


def test_a_proof_that_was_overtaken_by_a_failed_test_counts_no_more(store: LocalStore) -> None:
    prove(store, "d")
    prove(store, "c")
    prove(store, "c", passed=False)
    prune(store, keep=1, dry_run=False, grace_seconds=-1)
    assert ids(store) == ["d", "a"]


def test_the_manifest_goes_first(store: LocalStore) -> None:
    watched = FaultyStore(store)
    prune(watched, keep=3, dry_run=False, grace_seconds=-1)
    deletes = [line for line in watched.log if line.startswith("delete")]
    assert deletes[0] == "delete d/manifest.json"


@pytest.mark.parametrize("nth", range(1, 9))
def test_interrupted_anywhere_no_backup_is_half_and_the_rerun_finishes(store: LocalStore, nth: int) -> None:
    failpoints.arm(f"store.delete.folder_fsynced:{nth}:raise")
    with pytest.raises(failpoints.FailpointError):
        prune(store, keep=2, dry_run=False, grace_seconds=-1)
    failpoints.arm()
    for id_ in ids(store):
        assert all(v.passed for v in check_backup(store, id_))
    prune(store, keep=2, dry_run=False, grace_seconds=-1)
    assert ids(store) == ["b", "a"]
    assert len(store.list("objects/")) == 8


@pytest.mark.fineprint(30)
def test_f30_young_objects_stay_for_a_backup_that_is_being_written(store: LocalStore) -> None:
    found = prune(store, keep=1, dry_run=False)
    assert found.objects == ()
    assert len(store.list("objects/")) == 16
    assert ids(store) == ["a"]


def test_objects_that_others_share_stay(store: LocalStore, tmp_path: Path) -> None:
    make(store, tmp_path / "again", id_="e", at="2026-09-01T00:00:00+00:00", word="d")
    prune(store, keep=1, dry_run=False, grace_seconds=-1)
    assert ids(store) == ["e"]
    assert all(v.passed for v in check_backup(store, "e"))


class Clocked(LocalStore):
    """A folder whose clock the test sets, so that a day passes at once."""

    now = 0.0

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        super().put_file(name, path, sha256=sha256, link=link)
        self.times = {**getattr(self, "times", {}), name: self.now}

    def age(self, name: str) -> float:
        return self.now - self.times[name]


@pytest.mark.fineprint(30)
def test_f30_an_object_that_a_new_backup_took_over_stays(tmp_path: Path) -> None:
    """Old and unreferenced, it is put again by a backup that is not finished when prune runs."""
    store = Clocked(tmp_path / "backups")
    for n, id_ in enumerate("dcba"):
        make(store, tmp_path / "s", id_=id_, at=f"2026-0{n + 1}-01T00:00:00+00:00", word=id_)
    assert prune(store, keep=1, dry_run=False).objects == ()  # d, c and b are gone, their objects are young
    store.now = 2 * GRACE_SECONDS
    failpoints.arm("vault.manifest.before:1:raise")
    with pytest.raises(failpoints.FailpointError):
        make(store, tmp_path / "s", id_="e", at="2026-09-01T00:00:00+00:00", word="d")
    failpoints.arm()
    found = prune(store, keep=1, dry_run=False)
    assert len(found.objects) == 8  # those of c and b, not those of d
    make(store, tmp_path / "s", id_="e", at="2026-09-01T00:00:00+00:00", word="d")
    assert all(v.passed for v in check_backup(store, "e"))


def test_what_cannot_be_understood_stops_everything(store: LocalStore) -> None:
    (store.folder / "c" / "manifest.json").write_text("{")
    with pytest.raises(Corrupt, match="what it needs is unknown"):
        prune(store, keep=1, dry_run=False, grace_seconds=-1)
    assert len(store.list("objects/")) == 16
    with pytest.raises(UsageError):
        prune(store, keep=0)
