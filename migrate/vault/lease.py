"""Leases in the store: who works with a vault just now, so that nothing is taken away beneath them.

    leases/backup-TOKEN.json     somebody writes a backup: objects may be needed by a manifest that is not there yet
    leases/restore-TOKEN.json    somebody reads the backup that it names
    leases/prune-000001.json     somebody takes backups away; the highest number holds, and there is one at a time

A lease is an object that its holder puts again and again while it works. It holds as long as it is younger than TTL by
the store's own clock, so clocks of machines do not matter, and that of a holder which was killed runs out by itself.
Any number of backups and restores go on at the same time. They and a prune exclude each other in turn: each first says
that it is there and then looks for the other, so at least one of them sees the other. Backups and restores wait for a
prune, which is quick; a prune leaves alone what they need.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from migrate import failpoints
from migrate.errors import Busy, Corrupt, MigrateError, Transient, Unreachable
from migrate.stores.protocol import Store

TTL = 300.0  # seconds that a lease holds without being put again
_RENEWALS = 5  # within that time
_FOLDER = "leases/"
_LIMIT = 4096
_PRUNE = re.compile(r"leases/prune-(\d{6})\.json")
BACKUP, RESTORE, PRUNE = "backup", "restore", "prune"


@dataclass(frozen=True)
class Holder:
    """A lease that holds. `backup`: the one that is read or written; "" where that is not known."""

    name: str
    kind: str
    backup: str
    age: float  # seconds since it was put last


class Lease:
    """One that we hold; see `shared` and `exclusive`."""

    def __init__(self, store: Store, name: str, data: bytes, ttl: float) -> None:
        self._store, self.name, self._data, self._ttl = store, name, data, ttl
        self._over, self._lost = threading.Event(), False
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewing.start()

    def must_hold(self) -> None:
        """Raises Transient where it ran out: the machine slept, or the store could not be reached for too long."""
        if not self._lost and (age := _age(self._store, self.name)) is not None and age < self._ttl:
            return
        raise Transient(
            "the lease on the vault ran out while the work went on",
            where=self._store.location,
            kept="No manifest was written and none is half removed.",
            hint="Run the same command again.",
        )

    def _renew(self) -> None:
        while not self._over.wait(self._ttl / _RENEWALS):
            with suppress(MigrateError):  # the next time; `must_hold` tells if it was too late
                age = _age(self._store, self.name)
                if age is None or age >= self._ttl:  # others may have gone on without us meanwhile
                    self._lost = True
                    return
                self._store.put_bytes(self.name, self._data)

    def release(self) -> None:
        """Never raises: what cannot be removed runs out."""
        self._over.set()
        self._renewing.join()
        with suppress(MigrateError):
            self._store.delete(self.name)


@contextmanager
def shared(
    store: Store, kind: str, backup: str, *, required: bool, ttl: float = TTL
) -> Iterator[Lease | None]:
    """Holds a lease of `kind` for the body, and waits for a prune that is at work to end (at most until its lease runs out).

    `required` is False for those who only read: where they may not write into the store, they go on without (None).
    Raises Unreachable, Busy where prunes follow each other without end."""
    data = _content(kind, backup)
    name = f"{_FOLDER}{kind}-{secrets.token_hex(8)}.json"
    try:
        store.put_bytes(name, data)
    except Unreachable:
        if required:
            raise
        yield None
        return
    lease = Lease(store, name, data, ttl)
    try:
        failpoints.hit("vault.lease.put")
        _wait_for_prunes(store, ttl)
        yield lease
    finally:
        lease.release()


@contextmanager
def exclusive(store: Store, *, ttl: float = TTL) -> Iterator[Lease]:
    """Holds the prune's lease. Raises Busy where another prune holds it; one that ran out is overtaken."""
    numbers = _numbers(store)
    last = max(numbers, default=0)
    if last:
        age = _age(store, numbers[last])
        if age is not None and age < ttl:
            raise _busy(store, age, ttl)
    data = _content(PRUNE, "")
    name = f"{_FOLDER}{PRUNE}-{last + 1:06d}.json"
    if not store.put_if_absent(name, data):  # of two that overtake at the same time one wins
        raise _busy(store, 0.0, ttl)
    lease = Lease(store, name, data, ttl)
    try:
        if max(_numbers(store)) != last + 1:  # looked before a quicker one had ended, and came after it
            raise _busy(store, 0.0, ttl)
        for number, old in numbers.items():
            if number <= last:
                store.delete(old)
        failpoints.hit("vault.lease.exclusive")
        yield lease
    finally:
        lease.release()


def holders(store: Store, *, ttl: float = TTL) -> list[Holder]:
    """Every lease that holds now, of whatever kind."""
    found = []
    for name in store.list(_FOLDER):
        age = _age(store, name)
        if age is None or age >= ttl:
            continue
        kind = name.removeprefix(_FOLDER).partition("-")[0]
        found.append(Holder(name, kind, _backup_of(store, name), age))
    return found


def forget_those_that_ran_out(store: Store, *, ttl: float = TTL) -> None:
    """What killed holders left, long after; a sleeper that wakes up puts its own again."""
    for name in store.list(_FOLDER):
        age = _age(store, name)
        if age is not None and age > 4 * ttl:
            store.delete(name)


def _wait_for_prunes(store: Store, ttl: float) -> None:
    ends = time.monotonic() + 2 * ttl
    while any(h.kind == PRUNE for h in holders(store, ttl=ttl)):
        if time.monotonic() > ends:
            raise Busy(
                "backups are being pruned in this vault without end",
                where=store.location,
                kept="Nothing was changed.",
                hint="Run the same command again when that is done.",
            )
        time.sleep(min(0.5, ttl / 10))


def _content(kind: str, backup: str) -> bytes:
    return json.dumps({"kind": kind, "backup": backup, "since": datetime.now(UTC).isoformat()}).encode()


def _backup_of(store: Store, name: str) -> str:
    try:
        content = json.loads(store.read_bytes(name, limit=_LIMIT))
    except (Corrupt, ValueError):
        return ""
    found = content.get("backup") if isinstance(content, dict) else None
    return found if isinstance(found, str) else ""


def _age(store: Store, name: str) -> float | None:
    """None: it is gone."""
    try:
        return store.age(name)
    except Corrupt:
        return None


def _numbers(store: Store) -> dict[int, str]:
    return {int(m[1]): name for name in store.list(f"{_FOLDER}{PRUNE}-") if (m := _PRUNE.fullmatch(name))}


def _busy(store: Store, age: float, ttl: float) -> Busy:
    return Busy(
        "another prune is at work in this vault",
        where=store.location,
        kept="Nothing was removed.",
        hint=f"Run it again when that has ended; if it was killed, in {max(1, round(ttl - age))} seconds.",
    )
