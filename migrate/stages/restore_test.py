"""Restore test: what the vault holds is restored into a scratch database and compared, value by value (L0–L5)."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from migrate import failpoints
from migrate.connectors.registry import drop_scratch, open_scratch
from migrate.context import Context
from migrate.errors import Corrupt, GateClosed
from migrate.model import Verdict
from migrate.planning import scratch_url
from migrate.retry import retried
from migrate.stages.result import Result
from migrate.state.proven import proven_backups
from migrate.vault.capture import read_capture
from migrate.vault.check import check
from migrate.vault.reader import Backup
from migrate.vault.restore import restore_test
from migrate.vault.verdicts import put_verdicts

NAME = "restore-test"


def run(ctx: Context) -> Result:
    verdicts: list[Verdict] = []
    rows, resumed = 0, True
    for part, backup in proven_backups(ctx).items():
        if ctx.ledger.checkpoint(ctx.run, NAME, part, backup.manifest_sha256) is not None:
            continue
        resumed = False
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
        ctx.ledger.put_checkpoint(ctx.run, NAME, part, backup.manifest_sha256)
        failpoints.hit("restore_test.checkpointed")
    return Result(rows=None if resumed else rows, verdicts=tuple(verdicts), resumed=resumed)


def _prove(ctx: Context, part: str, backup: Backup) -> list[Verdict]:
    """L0–L3 from the stored bytes, then L4 and L5 in a scratch database of the same engine."""
    verdicts = check(backup, 1, known_sha256=backup.manifest_sha256)
    if all(v.passed for v in verdicts):
        # The bytes are hashed and decoded while they are restored, which hashes what it takes by itself. What
        # the restore found counts only where they are whole.
        with ThreadPoolExecutor(1, thread_name_prefix="check") as beside:
            checking = beside.submit(check, backup, 3, known_sha256=backup.manifest_sha256)
            restored = retried(partial(_restore, ctx, part, backup), note=ctx.progress.note)
            verdicts = checking.result()
        if all(v.passed for v in verdicts):
            verdicts += restored
    put_verdicts(ctx.store, backup, verdicts)
    ctx.ledger.put_verdicts(ctx.run, NAME, verdicts, subject=backup.manifest_sha256)
    proven = all(v.passed for v in verdicts)
    ctx.ledger.put_verdict(
        ctx.run,
        NAME,
        Verdict(
            check=f"backup {part}",
            passed=proven,
            expected="restored and equal",
            found="restored and equal" if proven else next(v.check for v in verdicts if not v.passed),
        ),
    )
    failpoints.hit("restore_test.verdicts_written")
    return verdicts


def _restore(ctx: Context, part: str, backup: Backup) -> list[Verdict]:
    role, _, source = part.partition(":")
    engine, url = scratch_url(ctx.mapping, role, source)
    for left in ctx.ledger.scratches():
        if left.run == ctx.run and left.location == part:  # a try that lost its connection
            drop_scratch(engine, url, folder=ctx.room("scratch"), name=left.name)
            ctx.ledger.remove_scratch(left.name)
    name = f"migrate_scratch_{secrets.token_hex(6)}"
    ctx.ledger.put_scratch(name, part, ctx.run)
    failpoints.hit("restore_test.scratch_registered")
    scratch = open_scratch(engine, url, folder=ctx.room("scratch"), name=name, run=ctx.run)
    failpoints.hit("restore_test.scratch_created")
    try:
        # This ledger wrote the manifest a moment ago, so its expressions may run in scratch (F26).
        taken = read_capture(ctx.folder / ("target" if role == "target" else f"extract/{source}"))
        found = restore_test(backup, scratch, trusted=True, violations=taken.violations)
        failpoints.hit("restore_test.compared")
    finally:
        scratch.drop()
    failpoints.hit("restore_test.scratch_dropped")
    ctx.ledger.remove_scratch(name)
    return found
