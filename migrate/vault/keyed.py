"""A vault: a store, and the keys with which what lies there is read and written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from migrate.stores.protocol import Locking, Probed, Store
from migrate.vault import age, signature
from migrate.vault.keys import NO_KEYS, Keys


class KeyedStore:
    """Implements `Store` by another one, which sees only what is to be stored; the keys stay here."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self.keys = store, keys
        self.location, self.at_once = store.location, store.at_once

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        self._store.put_file(name, path, sha256=sha256, link=link)

    def put_bytes(self, name: str, data: bytes) -> None:
        self._store.put_bytes(name, data)

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._store.put_if_absent(name, data)

    def open_read(self, name: str) -> AbstractContextManager[BinaryIO]:
        return self._store.open_read(name)

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        return self._store.read_bytes(name, limit=limit)

    def fetch(self, name: str, to: Path) -> None:
        self._store.fetch(name, to)

    def exists(self, name: str) -> bool:
        return self._store.exists(name)

    def size(self, name: str) -> int:
        return self._store.size(name)

    def age(self, name: str) -> float:
        return self._store.age(name)

    def list(self, prefix: str = "") -> list[str]:
        return self._store.list(prefix)

    def version(self, name: str) -> str:
        return self._store.version(name)

    def at(self, versions: Mapping[str, str]) -> KeyedStore:
        return KeyedStore(self._store.at(versions), self.keys)

    def delete(self, name: str) -> None:
        self._store.delete(name)

    def locked_until(self, name: str) -> str:
        return self._store.locked_until(name) if isinstance(self._store, Locking) else ""

    def probe(self) -> None:
        if isinstance(self._store, Probed):
            self._store.probe()

    def tidy(self, *, older_than: float) -> int:
        return self._store.tidy(older_than=older_than)


def with_keys(store: Store, keys: Keys) -> Store:
    """The store as a vault with these keys, and no others that it may have had."""
    return KeyedStore(store._store if isinstance(store, KeyedStore) else store, keys)


def keys_of(store: Store) -> Keys:
    """The keys that came with the store; none where it is a plain one."""
    return store.keys if isinstance(store, KeyedStore) else NO_KEYS


def check_ready(store: Store, *, proving: bool) -> None:
    """That backups can be written with the keys at hand and, if they are to be proven, read again: said before anything is read.

    Raises UsageError for a key that is none, Locked where no identity opens what would be encrypted."""
    keys = keys_of(store)
    signature.check_keys(keys)
    if not keys.recipients:
        return
    age.check_recipients(keys.recipients)
    if keys.identities:
        age.check_pair(keys.recipients, keys.identities)
    elif proving:
        raise age.Locked(
            "backups are to be encrypted, and no identity was given that opens them: nothing could be proven",
            kept="Nothing was read or changed.",
            hint="Give the identity of one of the recipients: --identity FILE, MIGRATE_BACKUP_IDENTITY or "
            "`policy.backup.encrypt.identity`.",
        )
