"""Parts of a backup, fetched, opened and decoded ahead of whoever restores or checks them, in order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pyarrow as pa

from migrate.connectors.ahead import read_ahead
from migrate.errors import Corrupt
from migrate.model import PartRef
from migrate.vault.reader import Backup

_DECODED = 1  # parts that wait decoded, besides the one that is taken and the one that is being decoded


@dataclass(frozen=True)
class Part:
    """`seconds`: what bringing it took, as `fetch`, `decrypt` and `decode`, in the threads that did it."""

    ref: PartRef
    seconds: Mapping[str, float]
    found: pa.Table | Corrupt

    @property
    def rows(self) -> pa.Table:
        """Raises Corrupt where the part is not what the manifest says."""
        if isinstance(self.found, Corrupt):
            raise self.found
        return self.found


def parts_ahead(
    backup: Backup, refs: Sequence[PartRef], *, raw: bool = False
) -> AbstractContextManager[Iterator[Part]]:
    """`refs` one after the other. In memory are no more than three parts decoded and one more than `store.at_once` as they
    are stored. `raw`: with every row that was backed up, as `Backup.raw`; else as `Backup.part`.

    What a part is not comes with it; Unreachable, Locked and GateClosed are raised where the part would be taken. When the
    context ends, nothing is read any more."""
    decode = backup.decoded_raw if raw else backup.decoded
    return read_ahead(_brought(backup, refs, decode), waiting=_DECODED)


def _brought(
    backup: Backup, refs: Sequence[PartRef], decode: Callable[[PartRef, bytes], pa.Table]
) -> Iterator[Part]:
    at_once = backup.store.at_once
    if at_once <= 1:
        for ref in refs:
            yield _part(backup, ref, decode, _stored(backup, ref))
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="fetch") as pool:
        waiting: deque[tuple[PartRef, Future[_Stored]]] = deque()
        try:
            for ref in refs:
                waiting.append((ref, pool.submit(_stored, backup, ref)))
                if len(waiting) > at_once:
                    first, fetched = waiting.popleft()
                    yield _part(backup, first, decode, fetched.result())
            while waiting:
                first, fetched = waiting.popleft()
                yield _part(backup, first, decode, fetched.result())
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Stored:
    data: bytes | Corrupt
    seconds: float


def _stored(backup: Backup, ref: PartRef) -> _Stored:
    began = time.monotonic()
    try:
        data: bytes | Corrupt = backup.stored(ref)
    except Corrupt as error:
        data = error
    return _Stored(data, time.monotonic() - began)


def _part(
    backup: Backup, ref: PartRef, decode: Callable[[PartRef, bytes], pa.Table], stored: _Stored
) -> Part:
    seconds = {"fetch": stored.seconds}
    if isinstance(stored.data, Corrupt):
        return Part(ref, seconds, stored.data)
    try:
        began = time.monotonic()
        plain = backup.opened(ref, stored.data)
        seconds["decrypt"] = time.monotonic() - began
        began = time.monotonic()
        rows = decode(ref, plain)
        seconds["decode"] = time.monotonic() - began
    except Corrupt as error:
        return Part(ref, seconds, error)
    return Part(ref, seconds, rows)
