"""Chunks that are worked on at the same time, with what became of them in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def worked(work: Callable[[In], Out], items: Iterable[In], *, workers: int) -> Iterator[tuple[In, Out]]:
    """Every item with what `work` makes of it, in their order. One worker: in this thread, each when it is asked for.

    What one of them raises is raised here. Whatever ends it, none is under way any more when it has ended, and none
    that waited is begun."""
    if workers <= 1:
        for item in items:
            yield item, work(item)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="rollback") as pool:
        running: deque[tuple[In, Future[Out]]] = deque()
        waiting = iter(items)
        try:
            while True:
                for item in waiting:
                    running.append((item, pool.submit(work, item)))
                    if (
                        len(running) > workers
                    ):  # one waits, so that nobody is idle while the first is looked at
                        break
                if not running:
                    return
                item, future = running.popleft()
                yield item, future.result()
        finally:
            for _, future in running:
                future.cancel()
            wait([future for _, future in running])
