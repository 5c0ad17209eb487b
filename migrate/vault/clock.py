"""Seconds per phase of a restore: the parts of the recovery time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PHASES = ("fetch", "decrypt", "decode", "schema", "load", "index", "verify", "files", "queries")


class Clock:
    """Adds up what each phase took. Of one thread."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, *, outside: str = "") -> Iterator[None]:
        """`outside`: the phase that goes on around it, and of which this is no part."""
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self._spent[name] = self._spent.get(name, 0.0) + spent
            if outside:
                self._spent[outside] = self._spent.get(outside, 0.0) - spent

    def waited(self, spent: float, of: Mapping[str, float], *, outside: str) -> None:
        """`spent` seconds were waited, while the phase `outside` went on, for what took `of` (seconds per phase) in other
        threads: shared out in proportion, so that phases still add up to the time that passed."""
        whole = sum(of.values())
        if whole <= 0:
            return
        for name, seconds in of.items():
            self._spent[name] = self._spent.get(name, 0.0) + spent * seconds / whole
        self._spent[outside] = self._spent.get(outside, 0.0) - spent

    def seconds(self) -> dict[str, float]:
        """In the order in which a restore goes through them."""
        names = sorted(self._spent, key=lambda n: PHASES.index(n) if n in PHASES else len(PHASES))
        return {name: round(max(0.0, self._spent[name]), 3) for name in names}
