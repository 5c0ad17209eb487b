"""Backups proven by a restore: L0 to L5 of every backup of a run that is not proven yet.

What a restore shows of tables that did not change is kept from an earlier proof (`migrate.state.standing_proofs`).
The backup of a target that earlier runs loaded waits until there is something to write: a run that finds nothing
needs no restore of it (F17), and nothing is written before."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from migrate import failpoints
from migrate.connectors.registry import drop_scratch, open_scratch
from migrate.context import Context
from migrate.errors import Corrupt, GateClosed
from migrate.model import Verdict
from migrate.planning import scratch_url
from migrate.retry import retried
from migrate.state.proven import known_crosswalk, proven_backups
from migrate.state.standing_proofs import Standing, evidence, standing
from migrate.vault.capture import read_capture
from migrate.vault.check import check
from migrate.vault.reader import Backup
from migrate.vault.restore import restore_test
from migrate.vault.verdicts import PROVEN, put_verdicts

STAGE = "restore-test"


def may_wait(ctx: Context, part: str) -> bool:
    """The target's backup, where earlier runs loaded rows: whether this run writes at all is only known after transform."""
    return part == "target" and known_crosswalk(ctx) is not None


def prove(ctx: Context, parts: Sequence[str] | None = None) -> tuple[list[Verdict], int]:
    """Verdicts on those backups (all without `parts`) that are not proven yet, and their rows; none: all are.

    Raises Corrupt or GateClosed at the first that does not hold."""
    verdicts: list[Verdict] = []
    rows = 0
    for part, backup in proven_backups(ctx).items():
        if parts is not None and part not in parts:
            continue
        if ctx.ledger.checkpoint(ctx.run, STAGE, part, backup.manifest_sha256) is not None:
            continue
        found = _prove(ctx, part, backup)
        verdicts += found
        rows += sum(p.rows for p in backup.manifest.parts)
        failed = next((v for v in found if not v.passed), None)
        if failed is not None and failed.check.startswith(("L0", "L1", "L2", "L3")):
            raise Corrupt(
                f"the backup is damaged: {failed.check} failed. {failed.reason}".strip(),
                where=backup.manifest.id,
                kept="Nothing was loaded; the backup is kept for inspection.",
                hint="Run with --fresh to take the backup again.",
            )
        if failed is not None:
            raise GateClosed(
                f"the backup does not restore: {failed.check} failed. {failed.reason}".strip(),
                where=backup.manifest.id,
                kept="Nothing was loaded; the backup is kept for inspection.",
                hint=f"See `migrate backup show {backup.manifest.id}`.",
            )
        ctx.ledger.put_checkpoint(ctx.run, STAGE, part, backup.manifest_sha256)
        failpoints.hit("restore_test.checkpointed")
    return verdicts, rows


def _prove(ctx: Context, part: str, backup: Backup) -> list[Verdict]:
    """L0–L3 from the stored bytes, then L4 and L5 in a scratch database of the same engine, as far as an earlier proof
    does not stand. Every byte is hashed in any case: it is by them that tables are the same."""
    role, _, source = part.partition(":")
    violations = read_capture(ctx.folder / ("target" if role == "target" else f"extract/{source}")).violations
    verdicts = check(backup, 1, known_sha256=backup.manifest_sha256)
    kept = standing(ctx, part, backup, violations)
    level = 2 if kept.tables.keys() == set(backup.schema.table_names) and kept.tables else 3
    if all(v.passed for v in verdicts):
        # The bytes are hashed and decoded while they are restored, which hashes what it takes by itself. What
        # the restore found counts only where they are whole.
        with ThreadPoolExecutor(1, thread_name_prefix="check") as beside:
            checking = beside.submit(check, backup, level, known_sha256=backup.manifest_sha256)
            restored = retried(
                partial(_restored, ctx, part, backup, violations, kept), note=ctx.progress.note
            )
            verdicts = checking.result()
        if all(v.passed for v in verdicts):
            if level < 3:
                verdicts.append(_kept("L3 rows", kept))
            verdicts += restored
    put_verdicts(ctx.store, backup, verdicts)
    ctx.ledger.put_verdicts(ctx.run, STAGE, verdicts, subject=backup.manifest_sha256)
    proven = all(v.passed for v in verdicts)
    ctx.ledger.put_verdict(
        ctx.run,
        STAGE,
        Verdict(
            check=f"backup {part}",
            passed=proven,
            expected="restored and equal",
            found="restored and equal" if proven else next(v.check for v in verdicts if not v.passed),
        ),
    )
    failpoints.hit("restore_test.verdicts_written")
    return verdicts


def _restored(
    ctx: Context, part: str, backup: Backup, violations: Sequence[str] | None, kept: Standing
) -> list[Verdict]:
    """L4 and L5: of tables that did not change from their standing proof, of the others by a restore."""
    anew = [t for t in backup.schema.table_names if t not in kept.tables]
    if anew or not kept.tables:
        found = _restore(ctx, part, backup, violations, anew if kept.tables else None)
    else:
        found = [_kept("L4 restored", kept), _kept(PROVEN, kept)]
    if anew and kept.tables:
        found.insert(-1, _kept("L5 unchanged tables", kept))
    if found[-1].check == PROVEN and found[-1].passed:
        found[-1] = replace(found[-1], evidence={**found[-1].evidence, **evidence(backup, kept)})
    return found


def _kept(check_: str, kept: Standing) -> Verdict:
    """A level that an earlier restore of the same bytes showed."""
    return Verdict(
        check=check_,
        passed=True,
        expected="proven by a restore",
        found=f"{len(kept.tables)} tables are, byte for byte, those of the restore of {kept.since}",
        evidence={"tables": sorted(kept.tables)},
    )


def _restore(
    ctx: Context,
    part: str,
    backup: Backup,
    violations: Sequence[str] | None,
    tables: Sequence[str] | None,
) -> list[Verdict]:
    role, _, source = part.partition(":")
    engine, url = scratch_url(ctx.mapping, role, source)
    for left in ctx.ledger.scratches():
        if left.run == ctx.run and left.location == part:  # a try that lost its connection
            if drop_scratch(engine, url, folder=ctx.room("scratch"), name=left.name):
                ctx.ledger.remove_scratch(left.name)
            else:
                ctx.progress.note(f"the scratch database {left.name} is still in use: it is dropped later")
    name = f"migrate_scratch_{secrets.token_hex(6)}"
    ctx.ledger.put_scratch(name, part, ctx.run)
    failpoints.hit("restore_test.scratch_registered")
    scratch = open_scratch(engine, url, folder=ctx.room("scratch"), name=name, run=ctx.run)
    failpoints.hit("restore_test.scratch_created")
    try:
        # This ledger wrote the manifest a moment ago, so its expressions may run in scratch (F26).
        found = restore_test(backup, scratch, trusted=True, violations=violations, tables=tables)
        failpoints.hit("restore_test.compared")
    finally:
        scratch.drop()
    failpoints.hit("restore_test.scratch_dropped")
    ctx.ledger.remove_scratch(name)
    return found
