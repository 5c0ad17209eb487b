"""A store that fails at the N-th call that writes or reads, around a real one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from migrate.errors import Unreachable
from migrate.stores.protocol import Store


class FaultyStore:
    """Passes everything on; the `fail_at`-th call (from 1) raises Unreachable, before or after it took effect."""

    def __init__(self, inner: Store, *, fail_at: int = 0, after: bool = False) -> None:
        self.inner, self.fail_at, self.after, self.calls = inner, fail_at, after, 0
        self.log: list[str] = []
        self.location, self.at_once = inner.location, 1

    def _before(self, what: str) -> None:
        self.calls += 1
        self.log.append(what)
        if self.calls == self.fail_at and not self.after:
            raise Unreachable(f"injected before {what}")

    def _after(self, what: str) -> None:
        if self.calls == self.fail_at and self.after:
            raise Unreachable(f"injected after {what}")

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        self._before(f"put_file {name}")
        self.inner.put_file(name, path, sha256=sha256, link=link)
        self._after(f"put_file {name}")

    def put_bytes(self, name: str, data: bytes) -> None:
        self._before(f"put_bytes {name}")
        self.inner.put_bytes(name, data)
        self._after(f"put_bytes {name}")

    def put_if_absent(self, name: str, data: bytes) -> bool:
        self._before(f"put_if_absent {name}")
        done = self.inner.put_if_absent(name, data)
        self._after(f"put_if_absent {name}")
        return done

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        self._before(f"open_read {name}")
        self._after(f"open_read {name}")
        return self.inner.open_read(name)

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        self._before(f"read_bytes {name}")
        self._after(f"read_bytes {name}")
        return self.inner.read_bytes(name, limit=limit)

    def fetch(self, name: str, to: Path) -> None:
        self._before(f"fetch {name}")
        self.inner.fetch(name, to)
        self._after(f"fetch {name}")

    def exists(self, name: str) -> bool:
        self._before(f"exists {name}")
        return self.inner.exists(name)

    def size(self, name: str) -> int:
        self._before(f"size {name}")
        return self.inner.size(name)

    def age(self, name: str) -> float:
        self._before(f"age {name}")
        return self.inner.age(name)

    def list(self, prefix: str = "") -> list[str]:
        self._before(f"list {prefix}")
        return self.inner.list(prefix)

    def version(self, name: str) -> str:
        self._before(f"version {name}")
        return self.inner.version(name)

    def at(self, versions: Mapping[str, str]) -> Store:
        return self if not versions else self.inner.at(versions)

    def delete(self, name: str) -> None:
        self._before(f"delete {name}")
        self.inner.delete(name)
        self._after(f"delete {name}")

    def tidy(self, *, older_than: float) -> int:
        self._before("tidy")
        return self.inner.tidy(older_than=older_than)
