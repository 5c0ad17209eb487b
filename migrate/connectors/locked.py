"""A server's locks that are not to be had."""

from __future__ import annotations

from migrate.errors import Busy, Unreachable


class Locked(Unreachable):
    """A lock was waited for in vain; whoever knows the table may say who holds it (`locks` of the engine)."""


def busy() -> Busy:
    return Busy(
        "another run holds this target",
        kept="Nothing was changed.",
        hint="Wait until it ends; if it died, its lock goes with its connection and the same command takes over.",
    )
