"""Replays: runs that send corrected rows of another run again (decision 0049), and what became of that run by them.

A replay of `RUN` is called `RUN-r1`, `RUN-r2`, …. It reads the proven backup of the source that `RUN` took, never the
source, and writes no row but those that were corrected and those that waited for them. `replay/` in its folder:
`given.parquet`, what was corrected; `held.parquet`, rows that stay in quarantine and why; `free.parquet`, rows that may be written.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from migrate.context import Context
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import JSON
from migrate.model import RunInfo
from migrate.transform.settle.replay import Scope

FOLDER = "replay"
GIVEN, HELD, FREE = "given.parquet", "held.parquet", "free.parquet"
ENDED = ("verified", "partial")
_NAME = re.compile(r"(.+)-r([0-9]+)")


def replay_of(run: str) -> str | None:
    """The run whose rows `run` sends again; None where it is no replay."""
    found = _NAME.fullmatch(run)
    return found[1] if found else None


def replay_number(run: str) -> int:
    found = _NAME.fullmatch(run)
    return int(found[2]) if found else 0


def replays_of(ledger: Ledger, run: str) -> list[RunInfo]:
    """All replays of a run, the oldest first, however they ended."""
    return sorted(
        (r for r in ledger.runs() if replay_of(r.run) == run), key=lambda info: replay_number(info.run)
    )


def ended_replays(ledger: Ledger, run: str) -> list[str]:
    """Those whose rows are in the target and verified, the oldest first."""
    return [r.run for r in replays_of(ledger, run) if r.state in ENDED]


def open_run(ledger: Ledger, run: str) -> str:
    """The run whose quarantine is that of `run` by now: its last replay, or itself."""
    return [run, *ended_replays(ledger, run)][-1]


def open_quarantine(ctx: Context) -> Path:
    """The folder of the quarantine of a run as it is by now."""
    return ctx.home / "runs" / open_run(ctx.ledger, ctx.run) / "quarantine"


def scope_of(ctx: Context) -> Scope | None:
    """Which rows this run may write, where it is a replay."""
    if replay_of(ctx.run) is None:
        return None
    folder = ctx.folder / FOLDER
    return Scope(folder / HELD, folder / FREE)


def balances_of(ledger: Ledger, run: str) -> dict[str, Any]:
    """The balance of every entity of a run with its replays: rows that these loaded are loaded, not quarantined.

    A replay's own balance is over all rows of the run; what it finds unchanged the run had loaded, or found unchanged."""
    first: Any = ledger.run_facts(run).get("balances") or {}
    last = open_run(ledger, run)
    if last == run:
        return dict(first)
    found: dict[str, Any] = {}
    now: Any = ledger.run_facts(last).get("balances") or {}
    for name, balance in now.items():
        unchanged = int((first.get(name) or {}).get("unchanged", 0))
        found[name] = {
            **balance,
            "loaded": balance["loaded"] + balance["unchanged"] - unchanged,
            "unchanged": unchanged,
        }
    return {**first, **found}


def replay_facts(ledger: Ledger, run: str) -> list[dict[str, JSON]]:
    """Per replay of a run: its name and state, how many rows were corrected, written, and are in quarantine still."""
    found: list[dict[str, JSON]] = []
    for info in replays_of(ledger, run):
        facts: Any = ledger.run_facts(info.run)
        balances = facts.get("balances") or {}
        found.append(
            {
                "run": info.run,
                "state": info.state,
                "corrected": sum((facts.get("corrected") or {}).values()),
                "loaded": sum(int(b.get("loaded", 0)) for b in balances.values()),
                "quarantined": sum(int(b.get("quarantined", 0)) for b in balances.values()),
            }
        )
    return found


def superseded_files(ctx: Context, name: str) -> list[Path]:
    """`ENTITY.expected.parquet` of later replays of the same run: rows that stand as those left them."""
    run = replay_of(ctx.run) or ctx.run
    later = [r for r in ended_replays(ctx.ledger, run) if replay_number(r) > replay_number(ctx.run)]
    files = [ctx.ledger.root / r / "verify" / f"{name}.expected.parquet" for r in later]
    return [path for path in files if path.exists()]


def take_over_source(ctx: Context) -> None:
    """A replay goes by the proven backups of its run's sources: they are on record as its own, and not read again."""
    run = replay_of(ctx.run)
    if run is None or not (ctx.folder / "plan.json").exists():
        return
    for stage in ("backup", "profile"):
        for done in ctx.ledger.checkpoints(run, stage):
            mine = done.part.startswith("source:") or (stage, done.part) == ("profile", "done")
            if mine and ctx.ledger.checkpoint(ctx.run, stage, done.part, ctx.plan.digest) is None:
                ctx.ledger.put_checkpoint(ctx.run, stage, done.part, ctx.plan.digest, [], done.facts)
