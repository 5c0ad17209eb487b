"""The one place where work is tried again: a few times, with growing waits, and only after a `Transient` error.

What is tried again must leave nothing behind when it fails: a capture empties its folder, a restore test makes a
new scratch database, a part of a load looks at its receipt first, a stage goes on from its checkpoints.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from migrate import failpoints
from migrate.errors import Transient

WAITS = (1.0, 4.0, 15.0)  # seconds before the second, third, fourth try: a server restarts in that time

_T = TypeVar("_T")


def retried(work: Callable[[], _T], *, note: Callable[[str], None]) -> _T:
    """The result of `work`, tried len(WAITS) + 1 times; every new try is told to `note`.

    Raises what `work` raises; after the last try that is the Transient error, saying how often it was tried. Work inside
    work that was tried often enough is not tried again by whoever is around it."""
    for number, seconds in enumerate(WAITS, 2):
        try:
            return work()
        except Transient as error:
            if error.in_vain:
                raise
            place = f" ({error.where})" if error.where else ""
            note(f"{error.message}{place}; try {number} of {len(WAITS) + 1} in {seconds:g} s")
            failpoints.hit("retry.waiting")
            time.sleep(seconds)
    try:
        return work()
    except Transient as error:
        if error.in_vain:
            raise
        error.in_vain = True
        error.message = f"{error.message}, and {len(WAITS) + 1} tries were in vain"
        raise
