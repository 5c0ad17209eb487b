"""A backup into a store that is far away: its parts are sent while the others are still read.

Nothing of it is a backup before the manifest, which is written last and by `write_backup`. What was sent counts there only
while the lease under which it was sent holds: else a prune may have taken it away again, and it is sent anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrate.errors import MigrateError
from migrate.model import PartRef
from migrate.stores.protocol import Probed, Store
from migrate.vault import lease
from migrate.vault.keyed import keys_of
from migrate.vault.objects import Known, named_already, store_or_share


@dataclass(frozen=True)
class Sent:
    """`objects`: SHA-256 and size of what lies in the vault and was read back. `known`: what earlier backups named when
    the first was sent."""

    held: lease.Lease
    known: Known
    objects: Known


class Begun:
    """`part` may be called by several threads. As many are sent at the same time as the store takes; those that wait lie on
    disk, so that a slow network neither fills the memory nor keeps the snapshot open."""

    def __init__(self, store: Store, id_: str) -> None:
        self._store, self._id, self._lock = store, id_, threading.Lock()
        self._parts: dict[tuple[str, int], Future[None]] = {}
        self._stack = ExitStack()
        self._pool = ThreadPoolExecutor(store.at_once, thread_name_prefix="store")
        # the client, the lease and the manifests of earlier backups take a while of their own
        self._start: Future[tuple[lease.Lease, Known]] = self._pool.submit(self._started)

    def _started(self) -> tuple[lease.Lease, Known]:
        held = self._stack.enter_context(lease.shared(self._store, lease.BACKUP, self._id, required=True))
        assert held is not None
        if isinstance(self._store, Probed):  # what would refuse the manifest is said before much is read
            self._store.probe()
        return held, named_already(self._store)

    def part(self, ref: PartRef, path: Path) -> None:
        """Sends a part that is whole on disk and stays there until the context ends. Raises what another one failed with."""
        with self._lock:
            if (failed := self._failed()) is not None:
                raise failed
            if (ref.sha256, ref.bytes) not in self._parts:
                self._parts[ref.sha256, ref.bytes] = self._pool.submit(self._send, ref, path)

    def _send(self, ref: PartRef, path: Path) -> None:
        _, known = self._start.result()
        store_or_share(self._store, ref, path, known, link=True)

    def _failed(self) -> BaseException | None:
        futures: list[Future[Any]] = [self._start, *self._parts.values()]
        done = (f for f in futures if f.done() and not f.cancelled())
        return next((error for f in done if (error := f.exception()) is not None), None)

    def sent(self) -> Sent | None:
        """Once all are through; None where the lease did not hold, and what was sent does not count. Raises the first error."""
        held, known = self._start.result()
        for part in self._parts.values():
            part.result()
        try:
            held.must_hold()
        except MigrateError:
            return None
        return Sent(held, known, frozenset(self._parts))

    def end(self) -> None:
        """Those that wait are given up, those under way end first."""
        self._pool.shutdown(cancel_futures=True)
        self._stack.close()


@contextmanager
def begun(store: Store, id_: str) -> Iterator[Begun | None]:
    """Of the backup that `id_` will name. None where nothing is sent ahead: a folder takes links, and what is to be encrypted is stored by `store_sealed`."""
    if store.at_once <= 1 or keys_of(store).recipients:
        yield None
        return
    made = Begun(store, id_)
    try:
        yield made
    finally:
        made.end()
