"""After the gate and before the first part: tables and columns that `create: if_missing` asks for (F6).

One thing at a time, each written down in the target before and after: an engine may end the transaction with each
statement (MySQL), and a killed process' work must be found again. What is there already and is ours is passed over.
"""

from __future__ import annotations

from migrate import failpoints
from migrate.connectors.creation import Step, is_there, make, steps, unlike
from migrate.context import Context
from migrate.errors import Drift
from migrate.model import Schema, Table
from migrate.state.created import Made, declared_target, made_by, note, of_this_run, record_of


def create_missing(ctx: Context, fence: int, declared: Schema) -> Schema:
    """The catalogue with everything in it that this run needs; `declared` as it is where there is nothing to create.

    Raises Drift where something of the name is there that this run did not make, or that is not as it is wanted."""
    wanted = of_this_run(ctx)
    if not wanted:
        return declared
    every = steps(ctx.plan.creates, ctx.target.engine)
    record = record_of(ctx)
    for step in steps(wanted, ctx.target.engine):
        table = next(t for t in wanted if t.name == step.table)
        made = record.get(step, Made(every.index(step), ""))
        _one(ctx, fence, step, table, made)
    _tell(ctx)
    return declared_target(ctx)


def created_notes(ctx: Context) -> tuple[str, ...]:
    """What this run created, in words."""
    if not of_this_run(ctx):
        return ()
    made = [step.words for step in made_by(ctx) if step.kind in ("table", "column")]
    return (f"created in the target: {', '.join(made)}",) if made else ()


def _one(ctx: Context, fence: int, step: Step, table: Table, made: Made) -> None:
    position = made.position
    found = ctx.target.schema([step.table])
    present = found.table(step.table) if found.tables else None
    if present is not None and is_there(step, present):
        difference = unlike(step, table, present)
        if made.state in ("", "dropped") or difference:
            raise _not_ours(step, difference)
        if made.state != "made":
            note(ctx, step, "made", position=position, fence=fence)
        return
    note(ctx, step, "making", position=position, fence=fence)
    failpoints.hit("load.create.intended")
    with ctx.target.changing() as connection:
        make(connection, ctx.target.engine, ctx.plan.creates, step)
        failpoints.hit("load.create.executed")
    failpoints.hit("load.create.committed")
    note(ctx, step, "made", position=position, fence=fence)
    failpoints.hit("load.create.noted")


def _not_ours(step: Step, difference: str) -> Drift:
    if difference:
        return Drift(
            f"{step.words} is not as this run is to create it: {difference}",
            kept="Nothing was loaded.",
            hint="Drop it or make it so, then run the same command again; or correct the mapping and run with --fresh.",
        )
    return Drift(
        f"{step.words} was to be created, and somebody else has created it since the plan",
        kept="Nothing was loaded.",
        hint="Run with --fresh to plan anew with what is there now.",
    )


def _tell(ctx: Context) -> None:
    """The ledger knows it too: for reports, and in the audit trail."""
    names = [step.words for step in made_by(ctx) if step.kind in ("table", "column")]
    if ctx.ledger.run_facts(ctx.run).get("created") != names:
        ctx.ledger.put_run_facts(ctx.run, {"created": list(names)})
        failpoints.hit("load.create.told")
        ctx.ledger.audit("created in the target", ctx.run, {"what": list(names)})
