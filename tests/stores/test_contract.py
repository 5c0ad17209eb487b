"""What every store promises, run against the real ones. A new store joins `STORES`."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from migrate.errors import Corrupt, UsageError
from migrate.stores.local import LocalStore
from migrate.stores.protocol import Store
from migrate.stores.s3 import S3Store

from tests.stores.faulty import FaultyStore
from tests.stores.servers import rclone_location, s3_location

STORES: dict[str, Callable[[Path], Store]] = {
    "local": lambda folder: LocalStore(folder / "vault"),
    "faulty wrapper that never fails": lambda folder: FaultyStore(LocalStore(folder / "vault")),
    "s3": lambda folder: S3Store(s3_location()),
    "s3 with versions": lambda folder: S3Store(s3_location(versions=True)),
    "s3 that ignores conditions": lambda folder: S3Store(rclone_location("&conditional=unchecked")),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return STORES[request.param](tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1000)
    return path


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_comes_back_as_it_went(store: Store, file: Path, tmp_path: Path, link: bool) -> None:
    store.put_file("objects/a", file, sha256=sha(file), link=link)
    store.put_file("objects/a", file, sha256=sha(file), link=link)  # idempotent
    assert store.exists("objects/a")
    assert store.size("objects/a") == 3000
    assert 0 <= store.age("objects/a") < 60
    with store.open_read("objects/a") as stream:
        assert stream.read() == file.read_bytes()
    store.fetch("objects/a", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_not_what_was_said_is_not_stored(store: Store, file: Path, link: bool) -> None:
    with pytest.raises(Corrupt):
        store.put_file("objects/a", file, sha256="0" * 64, link=link)
    assert not store.exists("objects/a")
    assert store.list() == []


def test_what_is_not_linked_is_not_shared(store: Store, file: Path) -> None:
    store.put_file("objects/a", file, sha256=sha(file))
    file.write_bytes(b"edited by its owner")
    assert store.read_bytes("objects/a", limit=5000) == b"abc" * 1000


def test_bytes_are_replaced_or_kept_as_asked(store: Store) -> None:
    store.put_bytes("x/y", b"1")
    store.put_bytes("x/y", b"2")
    assert store.read_bytes("x/y", limit=10) == b"2"
    assert store.put_if_absent("x/y", b"3") is False
    assert store.read_bytes("x/y", limit=10) == b"2"
    assert store.put_if_absent("x/z", b"3") is True
    assert store.read_bytes("x/z", limit=1) == b"3"


def test_of_many_only_one_puts_if_absent(store: Store, request: pytest.FixtureRequest) -> None:
    if "ignores" in request.node.name:
        pytest.skip("what `conditional=unchecked` says in so many words")
    won: list[int] = []

    def put(n: int) -> None:
        if store.put_if_absent("one", str(n).encode()):
            won.append(n)

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read_bytes("one", limit=10) == str(won[0]).encode()


def test_a_limit_is_a_limit(store: Store) -> None:
    store.put_bytes("x", b"12345")
    assert store.read_bytes("x", limit=5) == b"12345"
    with pytest.raises(Corrupt, match="longer"):
        store.read_bytes("x", limit=4)


def test_what_is_missing_is_corrupt_except_where_one_may_ask(store: Store, tmp_path: Path) -> None:
    assert not store.exists("a/b")
    assert store.list("a/") == []
    store.delete("a/b")
    for call in (
        lambda: store.size("a/b"),
        lambda: store.age("a/b"),
        lambda: store.read_bytes("a/b", limit=1),
        lambda: store.fetch("a/b", tmp_path / "x"),
        lambda: store.open_read("a/b").__enter__(),
    ):
        with pytest.raises(Corrupt):
            call()
    assert not (tmp_path / "x").exists()


def test_list_is_sorted_and_by_prefix(store: Store) -> None:
    for name in ("b/2", "b/1", "a", "b.x", "c/d/e"):
        store.put_bytes(name, b"")
    assert store.list() == ["a", "b.x", "b/1", "b/2", "c/d/e"]
    assert store.list("b/") == ["b/1", "b/2"]
    assert store.list("b") == ["b.x", "b/1", "b/2"]
    assert store.list("c/d/") == ["c/d/e"]


def test_delete_is_idempotent_and_takes_only_its_own(store: Store) -> None:
    store.put_bytes("a/1", b"")
    store.put_bytes("a/2", b"")
    store.delete("a/1")
    store.delete("a/1")
    assert store.list() == ["a/2"]
    store.delete("a/2")
    assert store.list() == []
    store.put_bytes("a/1", b"again")
    assert store.exists("a/1")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/..",
        "../a",
        "a/../../b",
        "a b",
        "ä",
        "a\\b",
        "a\0b",
        "a\n",
        "~",
        "x" * 201,
        ".tmp-0",
    ],
)
def test_names_are_strict(store: Store, file: Path, tmp_path: Path, name: str) -> None:
    for call in (
        lambda: store.put_file(name, file, sha256=sha(file)),
        lambda: store.put_bytes(name, b""),
        lambda: store.put_if_absent(name, b""),
        lambda: store.open_read(name).__enter__(),
        lambda: store.read_bytes(name, limit=1),
        lambda: store.fetch(name, tmp_path / "x"),
        lambda: store.exists(name),
        lambda: store.size(name),
        lambda: store.delete(name),
    ):
        with pytest.raises(UsageError):
            call()
    assert store.list() == []


def test_tidy_leaves_what_is_whole_or_young(store: Store) -> None:
    store.put_bytes("a", b"")
    assert store.tidy(older_than=0) == 0
    assert store.list() == ["a"]
