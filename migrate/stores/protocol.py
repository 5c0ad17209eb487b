"""What an object store promises. Every implementation passes tests/stores/.

Names are `/`-separated parts of `[A-Za-z0-9._-]`, none of them `.`, `..` or a temporary name; other
names raise UsageError from every call but `list`. A store's own errors never leave it: what cannot be
reached, written or is full is Unreachable; bytes that are not there or are not what was said are
Corrupt. Nothing is retried here: a wrapper may, around the calls that say idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable


class Store(Protocol):
    location: str  # safe to show
    at_once: int  # how many calls at the same time make it faster; every store stands any number

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        """The file's bytes under `name`, durable and whole when it returns; replaces. Idempotent.

        Corrupt if the bytes do not have that SHA-256: then nothing is under a name that was free
        before. `link` allows sharing the bytes with `path`: only for files of our own that nobody
        changes in place."""
        ...

    def put_bytes(self, name: str, data: bytes) -> None:
        """Durable and whole when it returns; replaces. Idempotent."""
        ...

    def put_if_absent(self, name: str, data: bytes) -> bool:
        """As `put_bytes`, but False, with nothing changed, where `name` exists; of several callers at
        the same time exactly one gets True. Not idempotent: after an Unreachable look with `exists`."""
        ...

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The bytes as a stream. Corrupt where `name` is missing or is no plain file."""
        ...

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        """The bytes at once. Corrupt where `name` is missing or longer than `limit` bytes."""
        ...

    def fetch(self, name: str, to: Path) -> None:
        """A private copy (0600) at `to`, whole or not at all; replaces. Errors as `open_read`. Idempotent."""
        ...

    def exists(self, name: str) -> bool: ...

    def size(self, name: str) -> int:
        """Bytes. Corrupt where `name` is missing."""
        ...

    def age(self, name: str) -> float:
        """Seconds since `name` was last put, by the store's clock. Corrupt where `name` is missing."""
        ...

    def list(self, prefix: str = "") -> list[str]:
        """Names that begin with `prefix`, sorted; also what others put there under names that no other
        call accepts, and symbolic links (never followed)."""
        ...

    def version(self, name: str) -> str:
        """What the store calls the bytes that are under `name` now; empty where it keeps no versions. Corrupt where
        `name` is missing."""
        ...

    def at(self, versions: Mapping[str, str]) -> Store:
        """The same store, reading the names in `versions` as they were then, whatever was put over them since."""
        ...

    def delete(self, name: str) -> None:
        """Gone, durably, when it returns. Idempotent. Raises ObjectLocked where the store keeps it for a promised time."""
        ...

    def tidy(self, *, older_than: float) -> int:
        """Removes what killed writers left half written more than `older_than` seconds ago; returns how many. Idempotent."""
        ...


@runtime_checkable
class Locking(Protocol):
    """What a `Store` has besides where it may keep objects from being deleted for a time."""

    def locked_until(self, name: str) -> str:
        """ "locked until 2026-12-24", or "" where it is free. Corrupt where `name` is missing."""
        ...


@runtime_checkable
class Probed(Protocol):
    """What a `Store` has besides where it is not known of itself that `put_if_absent` is honoured."""

    def probe(self) -> None:
        """Tries it, once. Raises UsageError where it is not, and nobody allowed that; Unreachable."""
        ...
