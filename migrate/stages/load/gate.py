"""The gate: nothing is loaded before both backups were restored and compared, and the target is still as proven."""

from __future__ import annotations

from migrate import canon, failpoints
from migrate.connectors.ahead import rows_of
from migrate.context import Context
from migrate.errors import Corrupt, Drift, GateClosed
from migrate.model import Schema, Verdict
from migrate.planning import schema_digest, what_changed
from migrate.state.created import in_use, made_by, overlay, withdraw, without
from migrate.state.proven import proven_backups
from migrate.vault.check import check
from migrate.vault.reader import Backup

LEVELS = ("L0", "L1", "L2", "L3", "L4", "L5")


class TargetDrifted(Drift):
    """The target changed between its backup and the first write; the run may take the backup anew."""


def check_gate(ctx: Context) -> tuple[Verdict, ...]:
    """One verdict per backup; raises GateClosed unless every one reached L5 in this ledger and its bytes still hold.

    Trusts only this ledger's own verdicts (F29), and reads the stored bytes again (L0–L2)."""
    verdicts = []
    for part, backup in proven_backups(ctx).items():
        passed = {v.check.split()[0]: v.passed for _, v in ctx.ledger.verdicts_about(backup.manifest_sha256)}
        missing = [level for level in LEVELS if not passed.get(level)]
        now = [v for v in check(backup, 2, known_sha256=backup.manifest_sha256) if not v.passed]
        failpoints.hit("load.gate.checked")
        verdict = Verdict(
            check=f"backup {part}",
            passed=not missing and not now,
            expected="L5",
            found="L5" if not missing and not now else f"{', '.join(missing) or now[0].check} not passed",
            reason=now[0].reason if now else "",
        )
        ctx.ledger.put_verdict(ctx.run, "load", verdict)
        if now:
            raise Corrupt(
                f"the backup {backup.manifest.id} is damaged: {now[0].check} failed. {verdict.reason}".strip(),
                where=backup.manifest.id,
                kept="Nothing was loaded.",
                hint="Run with --fresh to take and prove the backup again.",
            )
        if not verdict.passed:
            raise GateClosed(
                f"the backup {backup.manifest.id} is not proven: {verdict.found}. {verdict.reason}".strip(),
                kept="Nothing was loaded.",
                hint="Run with --fresh to take and prove the backup again.",
            )
        verdicts.append(verdict)
    return tuple(verdicts)


def check_schema(ctx: Context) -> Schema:
    """The target's catalogue as planned, with what is to be created; raises Drift otherwise."""
    found = ctx.target.schema(ctx.plan.touched)
    watched = without(found, ctx.plan.creates)
    if schema_digest(watched) != ctx.plan.target_schema:
        raise Drift(
            "the target's tables are no longer as they were planned: "
            + what_changed(ctx.plan, "target", watched),
            where=ctx.target.url,
            kept="Nothing was changed by this command.",
            hint="Run with --fresh to plan anew.",
        )
    return overlay(found, ctx.plan.creates)


def check_target(ctx: Context, backup: Backup) -> Verdict:
    """The touched tables' rows, read in one snapshot, against the proven backup; raises TargetDrifted.

    What a try of this run that was killed created is empty, or it is Drift; where the backup has to be taken anew it
    is dropped first, so that no backup ever holds it."""
    _check_created(ctx)
    changed = []
    known = {t.name: t for t in backup.schema.tables}
    with ctx.target.snapshot([n for n in ctx.plan.touched if n in known]) as snapshot:
        for name, before in known.items():
            table = snapshot.schema.table(name)
            columns = [c for c in before.column_names if c in table.column_names]
            types = {c: table.column(c).type for c in columns}
            with rows_of(snapshot, name, columns) as batches:
                found = canon.digest(batches, types)
            expected = canon.Digest.parse(backup.manifest.digests[name])
            if found != expected:
                changed.append(name)
    failpoints.hit("load.gate.target_read")
    verdict = Verdict(
        check="target unchanged since its backup",
        passed=not changed,
        expected=f"{len(ctx.plan.touched)} tables unchanged",
        found=f"changed: {', '.join(changed)}" if changed else "unchanged",
    )
    ctx.ledger.put_verdict(ctx.run, "load", verdict)
    if changed:
        withdraw(ctx)
        raise TargetDrifted(
            f"the target changed after its backup: {', '.join(changed)}",
            kept="Nothing was loaded.",
            hint="Run again: the backup is taken and proven anew. Stop other writers if it keeps happening.",
        )
    return verdict


def _check_created(ctx: Context) -> None:
    """Nobody put anything into what a killed try of this run created."""
    used = in_use(ctx, made_by(ctx)) if ctx.plan.creates else {}
    if used:
        said = "; ".join(f"{step.words}: {why}" for step, why in used.items())
        raise Drift(
            f"others use what this run has created and not yet filled: {said}",
            where=ctx.target.url,
            kept="Nothing was loaded.",
            hint=f"Take that out and run the same command again; or `migrate rollback {ctx.run}`, which keeps what others use.",
        )
