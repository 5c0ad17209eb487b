"""What a report says beside rows and checks: rows that became one, the mapping's budgets, past drills, and the digests by
which everything can be told from anything else."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import __version__
from migrate.context import Context
from migrate.ledger import practice
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import BackupRow
from migrate.state.waiting import waiting_counts
from migrate.vault.layout import signature_name

DRILLS = 30  # the newest, in a report


def duplicate_counts(ctx: Context) -> dict[str, dict[str, int]]:
    """Per entity with `duplicates`: `merged` rows, `clusters` they are in with their survivors, `largest` cluster, pairs
    for `review` that nobody has decided since, `placeholders` (values that so many share that they say nothing)."""
    found = {}
    waiting = waiting_counts(ctx.ledger, ctx.run, ctx.mapping)
    for name, entity in ctx.mapping.entities.items():
        folder = ctx.folder / "transform" / name
        if entity.duplicates is None or not (folder / "merging.parquet").is_file():
            continue
        parts = pq.read_table(folder / "merging.parquet", columns=["rid", "into"])
        into = parts.filter(pc.not_equal(parts["rid"], parts["into"]))["into"]  # no part of itself
        sizes = pc.value_counts(into).field("counts")
        crowded = folder / "placeholders.json"
        found[name] = {
            "merged": len(into),
            "clusters": len(sizes),
            "largest": 1 + int(pc.max(sizes).as_py() or 0) if len(into) else 0,
            "review": waiting.get(name, 0),
            "placeholders": len(json.loads(crowded.read_text())) if crowded.is_file() else 0,
        }
    return found


def policy_facts(ctx: Context) -> dict[str, Any]:
    """The budgets of the mapping: shares of rows, and what becomes of values that would lose something."""
    policy = ctx.mapping.policy
    own = {n: e.max_quarantine for n, e in ctx.mapping.entities.items() if e.max_quarantine is not None}
    return {
        "max_quarantine": policy.max_quarantine,
        "own": own,
        "max_gone": policy.max_gone,
        "lossy": policy.lossy,
    }


def drill_history(ledger: Ledger, mapping: str) -> list[dict[str, Any]]:
    """The newest DRILLS drills of a mapping's backups, newest first, without their checks."""
    rows = [r for r in practice.drills(ledger) if r.mapping == mapping]
    return [{k: v for k, v in asdict(row).items() if k != "verdicts"} for row in rows[:DRILLS]]


def digests(ctx: Context) -> dict[str, Any]:
    """`mapping`, `plan` and `schemas` (known once planned), `code` (version), `audit`: head of the ledger's chain and how
    many of its links are broken."""
    info = ctx.ledger.run(ctx.run)
    known: dict[str, Any] = {"mapping": info.mapping_digest}
    if (ctx.folder / "plan.json").exists():
        plan = ctx.plan
        known |= {"plan": plan.digest, "schemas": {**plan.source_schemas, "target": plan.target_schema}}
    return {
        **known,
        "code": __version__,
        "audit": {"head": ctx.ledger.audit_head(), "broken": len(ctx.ledger.verify_audit())},
    }


def is_signed(ctx: Context, backup: BackupRow) -> bool:
    """Whether a signature lies beside the manifest; whose it is, `migrate backup check` says."""
    return ctx.store.exists(signature_name(backup.id, backup.manifest_sha256))
