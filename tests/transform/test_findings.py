"""Why a run has to stop, told once for all parts."""

from __future__ import annotations

import numpy as np
from migrate.transform.findings import Findings, Stop, told_together


def found(rows: int) -> list[Stop]:
    findings = Findings("people", np.array([True, *[False] * rows]))
    findings.reason(np.ones(rows + 1, dtype=np.bool_), "born", "lossy", "its zone is lost", stop=True)
    return findings.stops


def test_the_same_of_several_parts_is_told_once() -> None:
    stops = [*found(1), Stop("people: unique", 1), *found(3)]
    assert told_together(stops) == [
        "people.born: lossy (its zone is lost) in 4 rows",
        "people: unique in 1 row",
    ]
