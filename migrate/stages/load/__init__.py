"""Load: gate → our tables and fence → tables and columns of `create` → keys and expectations → parts, once each → second pass for cycles."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migrate import failpoints
from migrate.arrow import arrow_schema, give_back_memory
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import Corrupt, UsageError
from migrate.ledger.receipts import LAYOUT, meta_table, meta_tables
from migrate.model import Schema
from migrate.planning import identity_of, owned_columns, plan_number, state_columns
from migrate.retry import retried
from migrate.stages.load.all_parts import allowed_refusals, digest, first_pass, too_many
from migrate.stages.load.assign import assign
from migrate.stages.load.cascade import cascade
from migrate.stages.load.create import create_missing, created_notes
from migrate.stages.load.emptied import write_emptied
from migrate.stages.load.gate import TargetDrifted, check_gate, check_schema, check_target
from migrate.stages.load.gone import act_on_gone, anything_gone
from migrate.stages.load.links import link_part
from migrate.stages.load.names import mapped_columns, rename
from migrate.stages.load.parts import Lane
from migrate.stages.load.receipts import Session, Work, once
from migrate.stages.result import Result
from migrate.state.counts import settled_counts
from migrate.state.created import declared_target, of_this_run
from migrate.state.expected import check_counts
from migrate.state.identity import renames
from migrate.state.lost import lost_values
from migrate.state.proven import proven_backups
from migrate.state.proving import prove
from migrate.state.quarantine import write_rejects
from migrate.state.records import Rejected, fences, meta_rows, read_rejected, written_parts
from migrate.state.to_load import part_indexes, part_path

NAME = "load"
__all__ = ["NAME", "TargetDrifted", "run"]


def run(ctx: Context) -> Result:
    backups = proven_backups(ctx)
    inputs = canonical_inputs(ctx)
    if ctx.ledger.checkpoint(ctx.run, NAME, "done", inputs) is not None:
        return Result(resumed=True)
    if _nothing_to_write(ctx):
        return _nothing(ctx, inputs)
    proofs, _ = prove(ctx)
    verdicts = (*proofs, *check_gate(ctx))
    declared = check_schema(ctx)
    started = written_parts(ctx)
    if not started:
        verdicts += (check_target(ctx, backups["target"]),)
    _check_staged(ctx, inputs)
    session = retried(partial(_open_session, ctx), note=ctx.progress.note)
    declared = retried(partial(create_missing, ctx, session.fence, declared), note=ctx.progress.note)
    retried(partial(assign, ctx, declared, inputs), note=ctx.progress.note)
    give_back_memory()  # whole columns of keys; parts need theirs several at a time
    if not started:
        check_counts(ctx)
    rename(session, renames(ctx))
    failpoints.hit("load.assigned")
    there = declared.table_names  # not those that another run is to create
    tables = {n: declared.table(e.into) for n, e in ctx.mapping.entities.items() if e.into in there}
    act_on_gone(ctx, session, tables, "first")
    rows = _load(ctx, session, _lanes(ctx, session, declared))
    act_on_gone(ctx, session, tables, "last")
    write_rejects(ctx, _all_rejects(ctx))
    ctx.ledger.put_checkpoint(ctx.run, NAME, "done", inputs, [], {"rows": rows})
    failpoints.hit("load.checkpointed")
    return Result(rows=rows, verdicts=verdicts, notes=created_notes(ctx))


def _check_staged(ctx: Context, inputs: str) -> None:
    """What is expected of the target is made from the transformed rows: they are hashed before they are believed."""
    for part in ctx.ledger.checkpoints(ctx.run, "transform"):
        if part.inputs == inputs and ctx.ledger.checkpoint(ctx.run, "transform", part.part, inputs) is None:
            raise Corrupt(
                "transformed rows are not as they were written",
                where=part.part,
                kept="Nothing was loaded by this command.",
                hint="Run the same command again: they are made again from the backup.",
            )


def _nothing_to_write(ctx: Context) -> bool:
    """Every row is as an earlier run left it, and nothing is to be created."""
    if of_this_run(ctx):
        return False
    counts = settled_counts(ctx)
    quiet = all(set(counts[name]["operations"]) <= {"unchanged"} for name in ctx.entities)
    return quiet and not anything_gone(ctx)


def _nothing(ctx: Context, inputs: str) -> Result:
    """No write needs no gate (F17); only the run's own folder gets its empty parts, and the crosswalk new names."""
    assign(ctx, declared_target(ctx), inputs)
    check_counts(ctx)
    wanted = renames(ctx)
    if wanted:
        rename(_open_session(ctx), wanted)
    write_rejects(ctx, _all_rejects(ctx))
    ctx.ledger.put_checkpoint(ctx.run, NAME, "done", inputs, [], {"rows": 0, "untouched": not wanted})
    return Result(rows=0, notes=("nothing to write",))


def canonical_inputs(ctx: Context) -> str:
    """What the loaded rows depend on: the settled rows of the transform."""
    settled = ctx.ledger.checkpoints(ctx.run, "transform")
    return next(c.inputs for c in settled if c.part == "settled")


def _open_session(ctx: Context) -> Session:
    """Our own tables, made before the first part; then the fence, raised so that older workers fail."""
    ctx.target.create_tables(meta_tables(ctx.target.meta))
    failpoints.hit("load.tables_created")
    _check_layout(ctx)
    fence = ctx.target.raise_fence(ctx.run)
    failpoints.hit("load.fence_raised")
    session = Session(ctx.run, ctx.target, fence, ctx.progress.note)
    _register(ctx, session)
    return session


def _check_layout(ctx: Context) -> None:
    versions = [v for rows in meta_rows(ctx.target, "layout") for v in rows["version"].to_pylist()]
    if any(v is not None and v > LAYOUT for v in versions):
        raise UsageError(
            f"our tables in the target have layout {max(v for v in versions if v is not None)}, this version knows {LAYOUT}",
            where=ctx.target.url,
            kept="Nothing was loaded.",
            hint="Use the version of this program that wrote them, or a newer one.",
        )


def _register(ctx: Context, session: Session) -> None:
    """The run's row, the layout version, and what the hashes of this plan are over, in the target."""
    fence = max(session.fence, 1 + max(fences(session.target).values(), default=0))  # also where it was lost
    transaction = session.target.begin()
    try:
        rows: list[tuple[str, dict[str, Any]]] = [("layout", {"version": LAYOUT}), ("run", _run_row(ctx))]
        for name, entity in ctx.entities.items():
            number = plan_number(ctx.plan.entities[name].digest)
            rows.append(("mapped", {"plan": number, "columns": mapped_columns(owned_columns(entity))}))
            system, _ = identity_of(ctx.mapping, name)
            rows.append(("placed", {"system": system, "entity": name, "target_table": entity.into}))
        for name, row in rows:
            new = _put_once(session, transaction, name, row)
            if (
                new and name == "run"
            ):  # not where it is of an earlier layout: it would seem to be later than it is
                _put_once(session, transaction, "fenced", {"run": ctx.run, "fence": fence})
        transaction.commit()
    except BaseException:
        transaction.rollback()
        raise


def _put_once(session: Session, transaction: Transaction, name: str, row: dict[str, Any]) -> bool:
    """A row of one of our own tables, where there is none of its key yet; was there none?"""
    table = meta_table(name, session.target.meta)
    new = pa.Table.from_pylist([row], arrow_schema(table.columns))
    keys = new.select(list(table.primary_key))
    if transaction.fetch(table, table.primary_key, keys, list(table.primary_key)).num_rows:
        return False
    transaction.insert(table, new, stop_after=0)
    return True


def _run_row(ctx: Context) -> dict[str, Any]:
    return {
        "run": ctx.run,
        "mapping": ctx.mapping.name,
        "digest": ctx.mapping.digest,
        "state": "loading",
        "started": datetime.now(UTC).isoformat(timespec="microseconds"),
    }


def _lanes(ctx: Context, session: Session, declared: Schema) -> dict[str, Lane]:
    return {
        name: Lane(
            entity=entity,
            plan=ctx.plan.entities[name],
            system=ctx.mapping.sources[entity.source].system,
            table=declared.table(entity.into),
            state=tuple(state_columns(ctx.mapping, declared.table(entity.into))),
            session=session,
            members=_members(ctx, name),
        )
        for name, entity in ctx.entities.items()
    }


def _members(ctx: Context, name: str) -> pa.Table | None:
    path = ctx.folder / "transform" / name / "merged.parquet"
    return pq.read_table(path, columns=["key", "into_key"]) if path.exists() else None


def _load(ctx: Context, session: Session, lanes: dict[str, Lane]) -> int:
    rejected = read_rejected(ctx)
    rows = 0
    for name, lane in lanes.items():
        rows += first_pass(ctx, lane, rejected)
        if rejected.count(name):
            rejected = read_rejected(ctx)
    # Only now: a row may fall with a parent that any later entity lost, and while it does, the columns that
    # close cycles must still be empty.
    cascade(ctx, session, lanes, rejected)
    for name, lane in lanes.items():
        if rejected.count(name) > allowed_refusals(ctx, lane):
            raise too_many(
                ctx,
                name,
                part_indexes(ctx, name)[-1],
                allowed_refusals(ctx, lane),
                settled_counts(ctx)[name],
                committed=True,
            )
    for lane in lanes.values():
        if lane.plan.deferred:
            _second_pass(ctx, session, lane, rejected)
    write_emptied(ctx, lanes.values(), rejected)
    return rows


def _second_pass(ctx: Context, session: Session, lane: Lane, rejected: Rejected) -> None:
    name = lane.entity.name
    for index in part_indexes(ctx, name):
        rows = pq.read_table(part_path(ctx, name, index))
        if not rows.num_rows:
            continue

        def work(transaction: Transaction, rows: pa.Table = rows) -> Work:
            return link_part(
                lane, transaction, rows, lost_values(lane.plan.refs, rejected), rejected.rids.get(name, set())
            )

        once(session, f"{name}/{index}/links", digest(rows), work)


def _all_rejects(ctx: Context) -> pa.Table:
    schema = arrow_schema(meta_table("reject", ctx.target.meta).columns)
    found = list(meta_rows(ctx.target, "reject"))
    rows = pa.concat_tables(found) if found else schema.empty_table()
    return rows.filter(pa.compute.equal(rows["run"], ctx.run))
