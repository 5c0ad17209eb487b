"""What a stage hands back to the run."""

from __future__ import annotations

from dataclasses import dataclass

from migrate.model import Verdict


@dataclass(frozen=True)
class Result:
    """`resumed`: everything was there already from an earlier process of the same run."""

    rows: int | None = None
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    resumed: bool = False
