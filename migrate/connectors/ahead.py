"""The next batches are read while those at hand are worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa

from migrate.connectors.protocol import Divided, Snapshot

_T = TypeVar("_T")
_WAITING = 2  # items read and not yet asked for


@contextmanager
def rows_of(
    snapshot: Snapshot, table: str, columns: Sequence[str] | None = None
) -> Iterator[Iterator[pa.RecordBatch]]:
    """`snapshot.read`, ahead of whoever takes the rows where a thread of its own may read."""
    batches = snapshot.read(table, columns)
    if not isinstance(snapshot, Divided):
        yield batches
        return
    with read_ahead(batches) as taken:
        yield taken


@contextmanager
def read_ahead(items: Iterator[_T], *, waiting: int = _WAITING) -> Iterator[Iterator[_T]]:
    """`items`, brought by a thread of its own: whoever sends them works at the same time as whoever takes them.

    `waiting`: items brought and not yet asked for, besides the one that is being brought. An error of `items` is raised where they are taken. When the context ends, the thread has ended and `items` is closed,
    also if not all of them were taken: what they come from is free again."""
    ready: queue.Queue[tuple[_T | None, BaseException | None]] = queue.Queue(waiting)
    enough = threading.Event()

    def put(item: _T | None, error: BaseException | None) -> None:
        while not enough.is_set():
            try:
                ready.put((item, error), timeout=0.1)
            except queue.Full:
                continue
            return

    def bring() -> None:
        try:
            for item in items:
                put(item, None)
                if enough.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again by the one who takes
            put(None, error)
        else:
            put(None, None)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def taken() -> Iterator[_T]:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    thread = threading.Thread(target=bring, name="ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        enough.set()
        _ended(thread)


def _ended(thread: threading.Thread) -> None:
    """Wait for it, whatever comes between: a connection that is closed while a thread reads from it ends the process."""
    interrupted: BaseException | None = None
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted
