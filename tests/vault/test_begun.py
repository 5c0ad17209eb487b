"""Parts sent to a store that is far away while others are read: sent once, verified, and no half backup ever counts."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints
from migrate.connectors.registry import open_source
from migrate.errors import Corrupt, Transient, Unreachable, UsageError
from migrate.model import Manifest
from migrate.stores.local import LocalStore
from migrate.stores.protocol import Store
from migrate.stores.s3 import S3Store
from migrate.vault import lease
from migrate.vault.age import new_identity
from migrate.vault.check import check_backup
from migrate.vault.create import create
from migrate.vault.keyed import with_keys
from migrate.vault.keys import Keys

from tests.runs import at_point
from tests.stores.servers import KEYS, rclone_location, s3_location

TABLES = 8


class Far(LocalStore):
    """Takes several objects at the same time, notes which, and can fail, damage or wait."""

    at_once = 2

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.put: list[str] = []
        self.fails, self.damages = 0, 0
        self.lock = threading.Lock()

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        with self.lock:
            self.put.append(name)
            number = len(self.put)
        if number == self.fails:
            raise Unreachable("the network went away")
        super().put_file(name, path, sha256=sha256, link=link)
        if number == self.damages:
            super().put_bytes(name, b"x" * path.stat().st_size)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with sqlite3.connect(path) as db:
        for number in range(TABLES):
            db.execute(f"CREATE TABLE t{number}(id INTEGER PRIMARY KEY, word TEXT)")
            db.executemany(f"INSERT INTO t{number} VALUES(?,?)", [(i, f"w{number}-{i}") for i in range(20)])
    db.close()
    return path


def backed_up(source: Path, store: Store, tmp_path: Path) -> Manifest:
    database = open_source(f"sqlite:///{source}", base=tmp_path, work=tmp_path / "work")
    try:
        return create(
            database, store, system="acme", tables=(), folder=tmp_path / "work", advance=lambda _: None
        )
    finally:
        database.close()


def nothing_left(store: LocalStore) -> None:
    """No manifest, no lease, no thread, nothing of the source on disk."""
    assert [n for n in store.list() if not n.startswith("objects/")] == []
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("store", "lease"))]


def test_parts_are_there_before_the_last_was_read_and_each_was_sent_once(
    source: Path, tmp_path: Path
) -> None:
    store = Far(tmp_path / "vault")
    seen: list[int] = []

    def look() -> None:
        end = time.monotonic() + 10
        while len(store.list("objects/")) < TABLES and time.monotonic() < end:
            time.sleep(0.01)
        seen.append(len(store.list("objects/")))
        assert [n for n in store.list() if n.endswith("manifest.json")] == []

    with at_point("create.captured", look):
        made = backed_up(source, store, tmp_path)
    assert seen == [TABLES]
    assert sorted(store.put) == sorted(p.path for p in made.parts)
    assert all(v.passed for v in check_backup(store, made.id))
    assert store.list("leases/") == []


def test_the_first_error_stops_it_and_there_is_no_backup(source: Path, tmp_path: Path) -> None:
    store = Far(tmp_path / "vault")
    store.fails = 2
    with pytest.raises(Unreachable, match="network"):
        backed_up(source, store, tmp_path)
    nothing_left(store)
    store.fails = 0
    made = backed_up(source, store, tmp_path)
    assert all(v.passed for v in check_backup(store, made.id))


def test_what_is_not_kept_as_it_was_sent_stops_it(source: Path, tmp_path: Path) -> None:
    store = Far(tmp_path / "vault")
    store.damages = 3
    with pytest.raises(Corrupt, match="not what was stored"):
        backed_up(source, store, tmp_path)
    nothing_left(store)


@pytest.mark.parametrize("action", ["raise", "interrupt"])
def test_a_capture_that_breaks_off_leaves_no_backup(source: Path, tmp_path: Path, action: str) -> None:
    store = Far(tmp_path / "vault")
    failpoints.arm(f"create.captured:1:{action}")
    try:
        with pytest.raises((failpoints.FailpointError, KeyboardInterrupt)):
            backed_up(source, store, tmp_path)
    finally:
        failpoints.arm()
    nothing_left(store)


def test_what_was_sent_under_a_lease_that_ran_out_is_sent_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prune may have taken it away meanwhile: here it did."""
    store, asked = Far(tmp_path / "vault"), []
    original = lease.Lease.must_hold

    def once(self: lease.Lease) -> None:
        asked.append(1)
        if len(asked) == 1:
            for name in store.list("objects/"):
                store.delete(name)
            raise Transient("the lease ran out")
        original(self)

    monkeypatch.setattr(lease.Lease, "must_hold", once)
    made = backed_up(source, store, tmp_path)
    assert len(store.put) == 2 * TABLES
    assert len(asked) == 2
    assert all(v.passed for v in check_backup(store, made.id))
    assert store.list("leases/") == []


def test_an_object_that_went_before_the_manifest_is_seen(source: Path, tmp_path: Path) -> None:
    store = Far(tmp_path / "vault")
    with (
        pytest.raises(Corrupt),
        at_point("vault.checksums.stored", lambda: store.delete(store.list("objects/")[0])),
    ):
        backed_up(source, store, tmp_path)
    assert [n for n in store.list() if n.endswith("manifest.json")] == []


def test_a_second_backup_sends_what_changed(source: Path, tmp_path: Path) -> None:
    store = Far(tmp_path / "vault")
    backed_up(source, store, tmp_path)
    with sqlite3.connect(source) as db:
        db.execute("UPDATE t3 SET word = 'other' WHERE id = 1")
    db.close()
    store.put.clear()
    made = backed_up(source, store, tmp_path)
    assert len(store.put) == 1
    assert all(v.passed for v in check_backup(store, made.id))


def test_a_folder_and_what_is_to_be_encrypted_go_as_ever(source: Path, tmp_path: Path) -> None:
    local = Far(tmp_path / "vault")
    local.at_once = 1
    with at_point("create.captured", lambda: seen.append(local.list())):
        seen: list[Any] = []
        backed_up(source, local, tmp_path)
    far, (secret, public) = Far(tmp_path / "far"), new_identity()
    with at_point("create.captured", lambda: seen.append(far.list())):
        made = backed_up(source, with_keys(far, Keys(recipients=(public,), identities=(secret,))), tmp_path)
    assert seen == [[], []]
    assert made.seal is not None


def test_a_bucket_takes_it(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store = S3Store(s3_location(versions=True))
    made = backed_up(source, store, tmp_path)
    assert made.versions.keys() >= {p.path for p in made.parts}
    assert all(v.passed for v in check_backup(store, made.id))
    assert {n.partition("/")[0] for n in store.list()} == {made.id, "objects"}


def test_a_store_that_ignores_conditions_is_refused_before_the_backup_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store = S3Store(rclone_location())
    with pytest.raises(UsageError, match="If-None-Match"):
        backed_up(source, store, tmp_path)
    assert store.list() == []
