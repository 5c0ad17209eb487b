"""What the ledger takes and gives. Facts are JSON: names, counts, digests, times – never row content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = str | int | float | bool | None | list["JSON"] | dict[str, "JSON"]


@dataclass(frozen=True)
class Output:
    """A file that a finished part left; `path` is relative to the run folder."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Checkpoint:
    """Valid only if `inputs` is still the digest of the inputs and every output is there with its hash."""

    stage: str
    part: str
    inputs: str
    outputs: tuple[Output, ...]
    facts: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class StageRow:
    """`seconds` of all attempts that ended: what a killed process spent is not known."""

    stage: str
    state: str  # "running" | "done" | "stopped"
    seconds: float | None
    rows: int | None
    attempts: int = 1


@dataclass(frozen=True)
class BackupRow:
    """Summary of a manifest that this ledger's program wrote; the vault is the truth."""

    id: str
    vault: str
    role: str
    run: str
    system: str
    engine: str
    snapshot_at: str
    created_at: str
    mapping: str
    manifest_sha256: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class ScratchRow:
    name: str
    location: str
    run: str


@dataclass(frozen=True)
class DrillRow:
    """One restore of one backup for practice. Times are ISO 8601 UTC; `verdicts` carry no evidence."""

    id: str
    backup: str
    vault: str
    manifest_sha256: str
    mapping: str
    role: str
    system: str
    engine: str
    state: str  # running | passed | failed | broken off
    started: str
    snapshot_at: str
    rows: int
    bytes: int
    reason: str = ""
    ended: str | None = None
    rpo_seconds: float | None = None
    rto_seconds: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    verdicts: tuple[Mapping[str, JSON], ...] = ()


@dataclass(frozen=True)
class JobRow:
    """What became of one job of a schedule at one of its times; `seq` counts upwards."""

    schedule: str
    job: str
    kind: str  # backup | drill | prune
    cron: str
    timezone: str
    due: str
    state: str  # known | running | done | failed | missed | overlapped | interrupted | retired
    started: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    reason: str = ""
    facts: Mapping[str, JSON] = field(default_factory=dict)
    seq: int = 0


RUN_STATES = ("running", "stopped", "partial", "interrupted", "failed", "verified", "rolled_back")
UNFINISHED = ("running", "stopped", "partial", "interrupted", "failed")

# A killed run is found in "running". A rolled-back run is never resumed; a verified one is done.
NEXT_STATES: dict[str, frozenset[str]] = {
    **{state: frozenset(RUN_STATES) for state in UNFINISHED},
    "verified": frozenset({"verified", "rolled_back"}),
    "rolled_back": frozenset({"rolled_back"}),
}
