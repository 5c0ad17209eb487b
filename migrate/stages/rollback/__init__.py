"""Undo a run: updated rows get their before-image, inserted rows go, the crosswalk is as it was; then it is proven.

Everything is decided from the target's own records. Each step commits rows and records together,
so that a killed rollback goes on where it stood when the command is given again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from migrate import failpoints
from migrate.context import Context
from migrate.errors import Drift
from migrate.model import Verdict
from migrate.stages.rollback.created import created_and_gone, foreseen, undone_tables
from migrate.stages.rollback.execute import execute
from migrate.stages.rollback.foretold import Foretold
from migrate.stages.rollback.proof import prove
from migrate.stages.rollback.records import left, mark
from migrate.stages.rollback.refused import backup_before, refuse_dependants, refuse_later_runs
from migrate.stages.rollback.returned import plan_returns
from migrate.stages.rollback.victims import decide
from migrate.state.created import withdraw
from migrate.state.identity import renamed_rows

SHOWN = 200


@dataclass(frozen=True)
class RolledBack:
    """What was (or would be) undone; `differences` are tables that do not equal the pre-load backup, and why."""

    preview: bool
    entities: dict[str, dict[str, int]]
    conflicts: list[dict[str, str]]
    proof: Verdict | None
    renamed: list[dict[str, object]] = field(
        default_factory=list
    )  # crosswalk names this run changed: they stay
    created: list[dict[str, object]] = field(default_factory=list)  # tables and columns this run made

    def as_json(self) -> dict[str, object]:
        proof = None
        if self.proof is not None:
            proof = {"passed": self.proof.passed, "differences": self.proof.evidence.get("differences", [])}
        return {
            "preview": self.preview,
            "entities": self.entities,
            "conflicts": self.conflicts,
            "proof": proof,
            "renamed": self.renamed,
            "created": self.created,
        }


def rollback(
    ctx: Context,
    *,
    preview: bool,
    only: Sequence[str] = (),
    force: Sequence[str] = (),
    after: Foretold | None = None,
    tell: bool = False,
) -> RolledBack:
    """Undo what this run wrote. Raises UsageError where a later run wrote too, or dependants are left out of `only`.

    `after`: in a preview, what later runs leave that are undone before this one; `tell`: note there what this one
    leaves."""
    after = after or Foretold()
    declared = ctx.target.schema(ctx.plan.touched)
    waiting = created_and_gone(ctx, declared)
    gone = [name for name in ctx.plan.touched if name not in declared.table_names and name not in waiting]
    if gone:
        raise Drift(
            f"the target has no table {', '.join(gone)} any more",
            kept="Nothing was changed.",
            hint="Bring it back (the backup of the target holds it as it was before the load) and try again.",
        )
    refuse_later_runs(ctx, after.runs)
    backup = backup_before(ctx)
    undos = decide(ctx, declared, only, force, after, foretell=preview)
    refuse_dependants(ctx, only)
    plan_returns(ctx, {u.entity: u for u in undos})
    created = foreseen(ctx, undos, only) if preview else []
    if preview and tell:
        after.note(ctx, undos, whole=not left(ctx, undos))
    if not preview:
        ctx.ledger.audit("rollback started", ctx.run, {"only": list(only), "force": list(force)})
        execute(ctx, undos)
        failpoints.hit("rollback.executed")
        created = withdraw(ctx, undone_tables(ctx, only))
        failpoints.hit("rollback.withdrawn")
        if not left(ctx, undos):
            mark(ctx)
            ctx.ledger.set_state(ctx.run, "rolled_back")
        failpoints.hit("rollback.marked")
    proof = None if preview else prove(ctx, undos, backup, created)
    conflicts = [asdict(c) for u in undos for c in u.conflicts.values()]
    result = RolledBack(
        preview=preview,
        entities={
            u.entity: {
                "delete": u.deleted(),
                "restore": len(u.restores),
                "bring_back": len(u.returns),
                "conflicts": len(u.conflicts),
            }
            for u in undos
        },
        conflicts=conflicts[:SHOWN],
        proof=proof,
        renamed=[
            {k: v for k, v in row.items() if k not in ("run", "renamed_at")}
            for row in renamed_rows(ctx)
            if row["run"] == ctx.run
        ],
        created=[one.as_json() for one in created],
    )
    if proof is not None:
        ctx.ledger.supersede_verdicts(ctx.run, "rollback")
        ctx.ledger.put_verdict(ctx.run, "rollback", proof)
        ctx.ledger.put_run_facts(ctx.run, {"kept": len(conflicts)})
        ctx.ledger.audit("rolled back", ctx.run, {"equal": proof.passed, "conflicts": len(conflicts)})
    return result
