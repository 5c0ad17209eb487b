"""The four lamps of a run: what has to be proven before and after the first write.

A lamp is on only for checks that were made and passed; a check that was not made leaves it dark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

LAMPS = ("backup source", "backup target", "restore test", "verification")
_LEVELS = frozenset({"l0", "l1", "l2", "l3", "l4", "l5"})
_WORDS = re.compile(r"[A-Za-z0-9]+")


def lamps(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, bool | None]:
    """Lamp → True (all its checks passed), False (one failed), None (no check was made)."""
    shown: dict[str, bool | None] = dict.fromkeys(LAMPS)
    for verdict in verdicts:
        lamp = lamp_of(str(verdict.get("check", "")))
        if lamp is not None:
            shown[lamp] = bool(verdict.get("passed")) and shown[lamp] is not False
    return shown


def lamp_of(check: str) -> str | None:
    """By the words of the check's name.

    `L0` to `L5` are the levels of a restore test; `backup source:crm`, `backup target` and `target unchanged since its
    backup` say that the load may trust that backup; `verify`, `balance`, `orphans` and checks over tables (`sum`,
    `count`) look at the loaded target."""
    if check.startswith(("sum ", "count ")):
        return "verification"
    words = {word.lower() for word in _WORDS.findall(check)}
    if words & _LEVELS:
        return "restore test"
    if words & {"verify", "balance", "orphans"}:
        return "verification"
    if "backup" in words:
        return "backup target" if "target" in words else "backup source"
    return None
