"""Named points where tests can kill, fail or pause the program; off costs one `is None` test.

`MIGRATE_FAILPOINT="name:nth:action"` fires at the nth passing of `name` (nth counts from 1, `*` is
every passing). Actions: kill (SIGKILL), raise, enospc, eio, interrupt (KeyboardInterrupt),
pause=SECONDS. Several are separated by `;`.
`MIGRATE_FAILPOINT_LOG=file` appends the name of every point that is passed.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from dataclasses import dataclass, field


class FailpointError(RuntimeError):
    """Raised by the action `raise`: stands for a crash that Python sees."""


@dataclass
class _Armed:
    rules: dict[str, list[tuple[int | None, str]]]
    log_path: str | None
    passed: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def _parse(text: str) -> dict[str, list[tuple[int | None, str]]]:
    rules: dict[str, list[tuple[int | None, str]]] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, nth, action = item.split(":", 2)
        rules.setdefault(name, []).append((None if nth == "*" else int(nth), action))
    return rules


def _from_environment() -> _Armed | None:
    text, log_path = os.environ.get("MIGRATE_FAILPOINT", ""), os.environ.get("MIGRATE_FAILPOINT_LOG")
    return _Armed(_parse(text), log_path) if text or log_path else None


_armed: _Armed | None = _from_environment()


def arm(text: str = "", log_path: str | None = None) -> None:
    """Arm points in this process (tests); `arm()` turns everything off."""
    global _armed
    _armed = _Armed(_parse(text), log_path) if text or log_path else None


def hit(name: str) -> None:
    """Pass the point `name`."""
    if _armed is not None:
        _fire(_armed, name)


def _fire(armed: _Armed, name: str) -> None:
    with armed.lock:
        count = armed.passed[name] = armed.passed.get(name, 0) + 1
        if armed.log_path:
            with open(armed.log_path, "a") as log:  # noqa: PTH123 - hot only in tests, no Path needed
                log.write(name + "\n")
    for nth, action in armed.rules.get(name, ()):
        if nth is None or nth == count:
            _act(name, action)


def _act(name: str, action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise FailpointError(name)
    elif action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif action == "eio":
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    elif action == "interrupt":
        raise KeyboardInterrupt
    elif action.startswith("pause="):
        time.sleep(float(action.removeprefix("pause=")))
    else:
        raise ValueError(f"unknown failpoint action {action!r}")
