"""Ctrl-C and SIGTERM: the first asks the run to stop in order, the second ends the process at once.

Both are safe, because any process may die at any time; the first is only friendlier.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from migrate.errors import Interrupted

_ASKING = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the body the first signal is a KeyboardInterrupt, the second ends the process with exit code 9.

    A signal that the parent process told us to ignore (nohup, a job in the background) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            _end_at_once()
        asked = True
        _say("\nStopping; once more ends at once.\n")
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in _ASKING}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _end_at_once() -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        _say(_SHOW_CURSOR)
    os._exit(Interrupted.exit_code)


def _say(text: str) -> None:
    """Straight to the descriptor: a handler must not wait for the lock of a half-written stream."""
    try:
        os.write(2, text.encode())
    except OSError:  # nobody is there to read it, and the signal must still do its work
        return
