"""Names of objects, the same on every store."""

from __future__ import annotations

import re

from migrate.durable import TEMPORARY_PREFIX
from migrate.errors import UsageError

_PART = re.compile(r"[A-Za-z0-9._-]{1,200}")


def checked(name: str) -> tuple[str, ...]:
    """The parts of a valid name; UsageError otherwise."""
    parts = tuple(name.split("/"))
    for part in parts:
        if not _PART.fullmatch(part) or part in (".", "..") or part.startswith(TEMPORARY_PREFIX):
            raise UsageError(f"{name[:100]!r} is no name for an object.")
    return parts
