"""What is particular to a folder as a store: modes, links, symbolic links, crashes."""

from __future__ import annotations

import hashlib
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from migrate import durable, failpoints
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.stores.local import LocalStore
from migrate.stores.registry import open_store


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "vault")


def test_everything_is_private(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f").chmod(0o644)
    store.put_file("a/b/f", tmp_path / "f", sha256=hashlib.sha256(b"x").hexdigest())
    store.put_bytes("a/b/g", b"x")
    store.put_if_absent("a/b/h", b"x")
    modes = {stat.S_IMODE(p.stat().st_mode) for p in store.folder.rglob("*") if p.is_file()}
    folders = {stat.S_IMODE(p.stat().st_mode) for p in [store.folder, *store.folder.rglob("*")] if p.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o644  # not ours


def test_link_shares_the_bytes_on_one_file_system(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    store.put_file("f", tmp_path / "f", sha256=hashlib.sha256(b"x").hexdigest(), link=True)
    assert (store.folder / "f").stat().st_ino == (tmp_path / "f").stat().st_ino


def test_symbolic_links_are_never_followed(store: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (store.folder / "folder").symlink_to(outside)
    (store.folder / "file").symlink_to(outside / "secret")
    for call in (
        lambda: store.read_bytes("file", limit=100),
        lambda: store.read_bytes("folder/secret", limit=100),
        lambda: store.size("file"),
        lambda: store.fetch("folder/secret", tmp_path / "x"),
        lambda: store.put_bytes("folder/new", b""),
        lambda: store.put_if_absent("folder/new", b""),
        lambda: store.delete("folder/secret"),
        lambda: store.exists("file"),
    ):
        with pytest.raises(Corrupt, match="symbolic link"):
            call()
    assert store.list() == ["file", "folder"]  # seen, so that a check can complain
    assert store.list("folder/") == []
    assert [p.name for p in outside.iterdir()] == ["secret"]


def test_what_others_put_there_is_listed(store: LocalStore) -> None:
    (store.folder / "odd name").write_bytes(b"")
    assert store.list() == ["odd name"]


@pytest.mark.parametrize("call", ["put_file", "put_bytes", "put_if_absent", "fetch"])
@pytest.mark.parametrize("action", ["enospc", "eio", "raise"])
def test_a_failed_write_leaves_nothing(store: LocalStore, tmp_path: Path, call: str, action: str) -> None:
    (tmp_path / "f").write_bytes(b"x")
    store.put_bytes("there", b"x")
    acts: dict[str, Callable[[], object]] = {
        "put_file": lambda: store.put_file("new", tmp_path / "f", sha256=hashlib.sha256(b"x").hexdigest()),
        "put_bytes": lambda: store.put_bytes("new", b"x"),
        "put_if_absent": lambda: store.put_if_absent("new", b"x"),
        "fetch": lambda: store.fetch("there", tmp_path / "fetched"),
    }
    moments = ("written", "fsynced", "linked" if call == "put_if_absent" else "renamed", "folder_fsynced")
    for moment in moments:
        failpoints.arm(f"store.{call}.{moment}:1:{action}")
        with pytest.raises((Unreachable, failpoints.FailpointError)) as caught:
            acts[call]()
        failpoints.arm()
        assert isinstance(caught.value, Unreachable) == (action != "raise")
        assert [p.name for p in store.folder.iterdir()] == ["there"]
        assert not (tmp_path / "fetched").exists()


def test_tidy_takes_what_a_kill_left(store: LocalStore) -> None:
    store.put_bytes("objects/a", b"")
    (store.folder / "objects" / ".tmp-0123456789abcdef").write_bytes(b"half")
    assert store.list() == ["objects/a"]
    assert store.tidy(older_than=3600) == 0
    assert store.tidy(older_than=-1) == 1
    assert [p.name for p in (store.folder / "objects").iterdir()] == ["a"]


def test_age_counts_from_the_last_put(store: LocalStore, tmp_path: Path) -> None:
    import os

    (tmp_path / "f").write_bytes(b"x")
    os.utime(tmp_path / "f", (0, 0))
    store.put_file("f", tmp_path / "f", sha256=hashlib.sha256(b"x").hexdigest(), link=True)
    assert store.age("f") < 60


def test_locations(tmp_path: Path) -> None:
    assert open_store("backups", base=tmp_path).location == str((tmp_path / "backups").resolve())
    assert open_store(f"file://{tmp_path}/x", base=Path("/")).location == str((tmp_path / "x").resolve())
    with pytest.raises(UsageError):
        open_store("gs://bucket", base=tmp_path)


def test_a_folder_that_empties_and_fills_loses_nothing(tmp_path: Path) -> None:
    """Leases come and go: the last one takes its folder along while another is being put."""
    store = LocalStore(tmp_path / "store")
    failed: list[BaseException] = []

    def work(own: int) -> None:
        try:
            for n in range(40):
                store.put_bytes(f"leases/{own}-{n}", b"1")
                assert store.exists(f"leases/{own}-{n}")
                store.list("leases/")
                store.delete(f"leases/{own}-{n}")
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store.list() == []


def test_ages_are_by_the_clock_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on a server has the server's: here this machine's is two hours ahead, or behind."""
    real = time.time
    for ahead in (7200.0, -7200.0):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: real() + ahead)
        store = LocalStore(tmp_path / str(ahead))
        store.put_bytes("f", b"x")
        left = store.folder / f"{durable.TEMPORARY_PREFIX}left"
        left.write_bytes(b"")
        assert store.age("f") < 60
        assert store.tidy(older_than=3600) == 0
        assert store.tidy(older_than=-60) == 1
        assert store.list() == ["f"]
        assert [p.name for p in store.folder.iterdir()] == ["f"]
