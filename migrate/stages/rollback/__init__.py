"""Undo a run: updated rows get their before-image, inserted rows go, the crosswalk is as it was; then it is proven.

Everything is decided from the target's own records. Each step commits rows and records together,
so that a killed rollback goes on where it stood when the command is given again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import Busy, Drift, GateClosed, MigrateError, UsageError
from migrate.ledger.receipts import meta_table
from migrate.model import Verdict
from migrate.planning import state_columns
from migrate.stages.rollback.created import created_and_gone, foreseen, undone_tables
from migrate.stages.rollback.returned import (
    anything_missing,
    bring_back,
    close_cycles,
    deleted,
    plan_returns,
    still_missing,
)
from migrate.stages.rollback.victims import Conflict, Undo, changed, chunks, decide, images, key_table
from migrate.state.created import Undone, withdraw
from migrate.state.identity import renamed_rows
from migrate.state.proven import proven_backups
from migrate.state.records import meta_rows, writers
from migrate.vault.reader import Backup

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
    along: Sequence[str] = (),
) -> RolledBack:
    """Undo what this run wrote. Raises UsageError where a later run wrote too, or dependants are left out of `only`.

    `along`: later runs that are undone before this one; in a preview their rows count as gone."""
    declared = ctx.target.schema(ctx.plan.touched)
    waiting = created_and_gone(ctx, declared)
    gone = [name for name in ctx.plan.touched if name not in declared.table_names and name not in waiting]
    if gone:
        raise Drift(
            f"the target has no table {', '.join(gone)} any more",
            kept="Nothing was changed.",
            hint="Bring it back (the backup of the target holds it as it was before the load) and try again.",
        )
    _refuse_later_runs(ctx, along if preview else ())
    backup = _backup(ctx)
    undos = decide(ctx, declared, only, force, along if preview else ())
    _refuse_dependants(ctx, only)
    plan_returns(ctx, {u.entity: u for u in undos})
    created = foreseen(ctx, undos, only) if preview else []
    if not preview:
        ctx.ledger.audit("rollback started", ctx.run, {"only": list(only), "force": list(force)})
        _execute(ctx, undos)
        failpoints.hit("rollback.executed")
        created = withdraw(ctx, undone_tables(ctx, only))
        failpoints.hit("rollback.withdrawn")
        if not _left(ctx, undos):
            _mark(ctx)
            ctx.ledger.set_state(ctx.run, "rolled_back")
        failpoints.hit("rollback.marked")
    proof = None if preview else _prove(ctx, undos, backup, created)
    conflicts = [asdict(c) for u in undos for c in u.conflicts.values()]
    result = RolledBack(
        preview=preview,
        entities={
            u.entity: {
                "delete": len(u.deletes),
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


def _refuse_later_runs(ctx: Context, along: Sequence[str]) -> None:
    """Only a row's last writer is undone (F33); `along` are undone before."""
    runs = [r for rows in meta_rows(ctx.target, "run") for r in rows.to_pylist()]
    mine = next((r for r in runs if r["run"] == ctx.run), None)
    if mine is None:
        raise UsageError(
            f"there is nothing to undo: run {ctx.run} wrote nothing to this target",
            kept="Nothing was changed.",
            hint="`migrate runs` shows how many rows each run loaded.",
        )
    wrote = writers(ctx.target)
    later = [
        r["run"]
        for r in runs
        if r["started"] > mine["started"]
        and r["state"] != "rolled_back"
        and r["run"] in wrote
        and r["run"] not in along
    ]
    if later:
        raise UsageError(
            f"later runs wrote to this target: {', '.join(sorted(later))}",
            kept="Nothing was changed.",
            hint="Roll those back first, the newest first.",
        )


def _refuse_dependants(ctx: Context, only: Sequence[str]) -> None:
    if not only:
        return
    for name, plan in ctx.plan.entities.items():
        needed = {p for parents in plan.refs.values() for p in parents} & set(only)
        if needed and name not in only:
            raise UsageError(
                f"{name} refers to {', '.join(sorted(needed))}",
                kept="Nothing was changed.",
                hint=f"Add --only {name}.",
            )


def _execute(ctx: Context, undos: Sequence[Undo]) -> None:
    work = Steps(ctx, ctx.target.raise_fence(ctx.run), undos)
    failpoints.hit("rollback.fence_raised")
    waiting = _restore(work)
    _open_cycles(work)
    for undo in undos:
        for keys in chunks(undo.deletes):
            _committed(work, lambda t, undo=undo, keys=keys: _delete(work, t, undo, keys))
            ctx.progress.advance(len(keys))
        for keys in chunks(sorted(undo.linked)):
            _committed(work, lambda t, undo=undo, keys=keys: _forget(ctx, t, undo, keys))
    waiting += _bring_back(work)
    while waiting:  # values that rows hand on to one another come free one after the other
        restoring = _restore(work)
        left = restoring + _bring_back(work)
        if left >= waiting and not restoring:
            break  # what is not back is listed as conflicts
        if left >= waiting:
            raise GateClosed(
                f"{left} rows could not be given back their earlier values: the database refuses them",
                kept="Everything else was undone; the journal is kept.",
                hint="Something took their unique values since; free them and run the rollback again.",
            )
        waiting = left
    by_name = {u.entity: u for u in undos}
    for one in deleted(ctx, by_name):
        _committed(work, lambda t, one=one: close_cycles(ctx, t, one))
    still_missing(ctx, by_name)
    _restore_crosswalk(work)
    _restore_merged(work)


def _bring_back(steps: Steps) -> int:
    """Rows that the run deleted, parents first; how many the database refused so far."""
    refused: list[int] = []
    chunks_ = list(deleted(steps.ctx, {u.entity: u for u in steps.undos}))
    order = {name: i for i, name in enumerate(steps.ctx.plan.order)}
    for one in sorted(chunks_, key=lambda one: order[one.undo.entity]):
        _committed(steps, lambda t, one=one: refused.append(bring_back(steps.ctx, t, one)))
    return sum(refused)


@dataclass(frozen=True)
class Steps:
    """What all steps of one undo share: the fence it took, and what it decided."""

    ctx: Context
    fence: int
    undos: Sequence[Undo]


def _committed(steps: Steps, work: Callable[..., object]) -> None:
    """One step in one transaction, if no other process took over meanwhile."""
    transaction = steps.ctx.target.begin()
    try:
        if transaction.fence() != steps.fence:
            raise Busy(
                "another process took over this target",
                kept="What was undone so far stays undone.",
                hint="Let the other process finish, then run the rollback again.",
            )
        work(transaction)
        failpoints.hit("rollback.before_commit")
        transaction.commit()
        failpoints.hit("rollback.committed")
    except BaseException:
        transaction.rollback()
        raise


def _still_ours(
    steps: Steps, transaction: Transaction, undo: Undo, keys: Sequence[str], sources: Mapping[str, str]
) -> list[str]:
    """Those of `keys` that may be undone now, their rows locked: what was decided is looked at once more, for
    somebody may have edited a row since, or pointed at it. The others become conflicts."""
    table = undo.table
    found = transaction.fetch(
        table, table.primary_key, key_table(table, keys), list(table.column_names), lock=True
    )
    if not undo.forced:
        crosswalk = meta_table("crosswalk", steps.ctx.target.meta)
        entries = _entries(undo, [sources[k] for k in keys])
        known = transaction.fetch(crosswalk, crosswalk.primary_key, entries, ["target_key", "row_hash"])
        state = state_columns(steps.ctx.mapping, table)
        for key in changed(table, found, known, state, unknown=False):
            undo.conflicts[key] = Conflict(undo.entity, table.name, key, "changed since the load")
    return [k for k in keys if k not in undo.conflicts]


def _unreferenced(steps: Steps, undo: Undo, keys: Sequence[str]) -> list[str]:
    """Those of `keys` that no row refers to which stays; asked while their rows are locked (F32)."""
    table = undo.table
    rows = steps.ctx.target.references_to(table, table.primary_key, key_table(table, keys))
    if rows.num_rows:
        for row in rows.to_pylist():
            if not any(u.undoes(row["table"], row["row_key"]) for u in steps.undos):
                reason = f"a row of {row['table']} that stays refers to it"
                undo.conflicts[row["ref_key"]] = Conflict(undo.entity, table.name, row["ref_key"], reason)
    return [k for k in keys if k not in undo.conflicts]


def _restore(steps: Steps) -> int:
    """Before-images of updated rows; returns how many the database refused (they wait until the inserted rows are gone)."""
    by_entity = {u.entity: u for u in steps.undos}
    refused: list[int] = []
    for row, before in images(steps.ctx, "rows"):
        undo = by_entity.get(row["entity"])
        if undo is None:
            continue
        table = undo.table
        keys = canon.source_keys(before, table.primary_key, table.types)
        chosen = before.filter(pc.is_in(keys, pa.array(undo.restores, pa.string())))
        if not chosen.num_rows:
            continue
        plain = [c.name for c in table.columns if c.generated is None and c.name in before.column_names]

        _committed(
            steps,
            lambda t, undo=undo, rows=chosen.select(plain): refused.append(_give_back(steps, t, undo, rows)),
        )
    return sum(refused)


def _give_back(steps: Steps, transaction: Transaction, undo: Undo, rows: pa.Table) -> int:
    """Before-images of one part; how many the database refused."""
    keys = canon.source_keys(rows, undo.table.primary_key, undo.table.types)
    names = [str(k) for k in keys.to_pylist()]
    still = _still_ours(steps, transaction, undo, names, undo.updated)
    rows = rows.filter(pc.is_in(keys, pa.array(still, pa.string())))
    if not rows.num_rows:
        return 0
    refused = transaction.update(undo.table, undo.table.primary_key, rows, stop_after=rows.num_rows)
    left = np.setdiff1d(np.arange(rows.num_rows), [r.ordinal for r in refused])
    _stands_so(steps.ctx, transaction, undo, rows.take(pa.array(left, pa.int64())), undo.updated)
    return len(refused)


def _stands_so(
    ctx: Context, transaction: Transaction, undo: Undo, rows: pa.Table, sources: Mapping[str, str]
) -> None:
    """Our record of how these rows stand follows each step, so that a rollback that goes on after a kill does
    not take its own earlier steps for edits of others. `sources`: target key → source key."""
    if not rows.num_rows:
        return
    table = undo.table
    keys = rows.select(list(table.primary_key))
    found = transaction.fetch(table, table.primary_key, keys, list(table.column_names))
    hashes = canon.row_hashes(found, table.types, state_columns(ctx.mapping, table))
    names = pa.table({"key": canon.source_keys(found, table.primary_key, table.types)}).to_pylist()
    entries = _entries(undo, [sources[n["key"]] for n in names]).append_column(
        "row_hash", canon.as_binary(hashes).cast(pa.binary())
    )
    crosswalk = meta_table("crosswalk", ctx.target.meta)
    transaction.update(crosswalk, crosswalk.primary_key, entries, stop_after=0)
    failpoints.hit("rollback.recorded")


def _open_cycles(steps: Steps) -> None:
    """Empty the columns that close cycles, so that children can go before parents."""
    for undo in steps.undos:
        deferred = steps.ctx.plan.entities[undo.entity].deferred
        if not deferred:
            continue
        for keys in chunks(undo.deletes):
            fields = [f for f in deferred if f not in undo.table.primary_key]
            _committed(
                steps, lambda t, undo=undo, keys=keys, fields=fields: _empty(steps, t, undo, keys, fields)
            )


def _empty(
    steps: Steps, transaction: Transaction, undo: Undo, keys: Sequence[str], fields: Sequence[str]
) -> None:
    still = _still_ours(steps, transaction, undo, keys, undo.inserted)
    if not still or not fields:
        return
    rows = key_table(undo.table, still)
    for name in fields:
        layout = arrow_schema([undo.table.column(name)]).field(0).type
        rows = rows.append_column(name, pa.nulls(rows.num_rows, layout))
    transaction.update(undo.table, undo.table.primary_key, rows, stop_after=0)
    _stands_so(steps.ctx, transaction, undo, rows, undo.inserted)


def _delete(steps: Steps, transaction: Transaction, undo: Undo, keys: Sequence[str]) -> None:
    still = _still_ours(steps, transaction, undo, keys, undo.inserted)
    still = _unreferenced(steps, undo, still) if still else []
    if not still:
        return
    transaction.delete(undo.table, undo.table.primary_key, key_table(undo.table, still))
    failpoints.hit("rollback.deleted")
    _forget(steps.ctx, transaction, undo, [undo.inserted[k] for k in still])


def _forget(ctx: Context, transaction: Transaction, undo: Undo, source_keys: Sequence[str]) -> None:
    """Crosswalk entries that this run made."""
    table = meta_table("crosswalk", ctx.target.meta)
    transaction.delete(table, table.primary_key, _entries(undo, source_keys))


def _entries(undo: Undo, source_keys: Sequence[str]) -> pa.Table:
    """The key columns of crosswalk entries."""
    system, entity = undo.identity
    count = len(source_keys)
    return pa.table(
        {
            "system": pa.array([system] * count, pa.string()),
            "entity": pa.array([entity] * count, pa.string()),
            "source_key": pa.array(list(source_keys), pa.string()),
        }
    )


def _restore_crosswalk(steps: Steps) -> None:
    """Entries that were there before get their earlier content; those of updated rows that were new go."""
    ctx, undos = steps.ctx, steps.undos
    by_name = {u.entity: u for u in undos}
    table = meta_table("crosswalk", ctx.target.meta)
    had: dict[str, set[str]] = {}
    for row, before in images(ctx, "crosswalk"):
        undo = by_name.get(row["entity"])
        if undo is None:
            continue
        kept = {undo.updated.get(k) for k in undo.conflicts}
        chosen = before.filter(
            pc.invert(pc.is_in(before["source_key"], pa.array([k for k in kept if k], pa.string())))
        )
        had.setdefault(undo.entity, set()).update(r["source_key"] for r in before.to_pylist())
        for i, column in enumerate(("system", "entity")):  # a later run may have renamed them since
            named = pa.repeat(undo.identity[i], chosen.num_rows)
            chosen = chosen.set_column(chosen.column_names.index(column), column, named)
        if chosen.num_rows:
            _committed(
                steps, lambda t, chosen=chosen: t.update(table, table.primary_key, chosen, stop_after=0)
            )
    for undo in undos:
        fresh = [undo.updated[k] for k in undo.restores if undo.updated[k] not in had.get(undo.entity, set())]
        for keys in chunks(sorted(fresh)):
            _committed(steps, lambda t, undo=undo, keys=keys: _forget(ctx, t, undo, keys))


def _restore_merged(steps: Steps) -> None:
    """What this run made part of other rows is no longer; of rows that stay for a conflict it is still so."""
    ctx = steps.ctx
    for undo in steps.undos:
        written = undo.inserted | undo.updated
        kept = pa.array([written[k] for k in undo.conflicts if k in written], pa.string())
        before = [rows for row, rows in images(ctx, "merged") if row["entity"] == undo.entity]
        for rows in meta_rows(ctx.target, "merged"):
            mine = pc.and_(
                pc.equal(rows["system"], undo.identity[0]), pc.equal(rows["entity"], undo.identity[1])
            )
            mine = pc.and_(mine, pc.equal(rows["run"], ctx.run))
            keys = rows.filter(pc.and_(mine, pc.invert(pc.is_in(rows["into_key"], kept))))
            names = [str(k) for k in keys["source_key"].to_pylist()]
            for some in chunks(sorted(names)):
                _committed(
                    steps,
                    lambda t, undo=undo, some=some, before=before: _part_again(ctx, t, undo, some, before),
                )


def _part_again(
    ctx: Context, transaction: Transaction, undo: Undo, source_keys: Sequence[str], before: Sequence[pa.Table]
) -> None:
    """Entries of `merged` go, or become what they were before."""
    table = meta_table("merged", ctx.target.meta)
    transaction.delete(table, table.primary_key, _entries(undo, source_keys))
    for rows in before:
        chosen = rows.filter(pc.is_in(rows["source_key"], pa.array(list(source_keys), pa.string())))
        for i, column in enumerate(("system", "entity")):
            named = pa.repeat(undo.identity[i], chosen.num_rows)
            chosen = chosen.set_column(chosen.column_names.index(column), column, named)
        if chosen.num_rows:
            transaction.insert(table, chosen, stop_after=0)
    failpoints.hit("rollback.parted")


def _mark(ctx: Context) -> None:
    """The run's row in the target says that it was rolled back."""
    table = meta_table("run", ctx.target.meta)
    rows = pa.table({"run": [ctx.run], "state": ["rolled_back"]})
    transaction = ctx.target.begin()
    try:
        transaction.update(table, table.primary_key, rows, stop_after=0)
        failpoints.hit("rollback.before_mark")
        transaction.commit()
    except BaseException:
        transaction.rollback()
        raise


def _left(ctx: Context, undos: Sequence[Undo]) -> bool:
    """Has this run rows of entities that were not undone? Then it stays a later run for those before it (F33)."""
    named = {u.entity for u in undos}
    if any(row["entity"] not in named for row, _ in images(ctx, "gone")) and anything_missing(ctx):
        return True
    undone = {u.identity for u in undos}
    for rows in meta_rows(ctx.target, "crosswalk", ["run", "system", "entity"]):
        mine = rows.filter(pc.equal(rows["run"], ctx.run)).group_by(["system", "entity"]).aggregate([])
        if {(r["system"], r["entity"]) for r in mine.to_pylist()} - undone:
            return True
    return False


def _backup(ctx: Context) -> Backup:
    """What the undone target is proven against: opened before anything is undone, for afterwards is too late."""
    try:
        return proven_backups(ctx)["target"]
    except MigrateError as error:
        error.kept, error.hint = (
            "Nothing was changed.",
            "An undo is proven against this backup: bring it back first.",
        )
        raise


def _prove(ctx: Context, undos: Sequence[Undo], backup: Backup, created: Sequence[Undone]) -> Verdict:
    """The touched tables against the backup taken before the load; under `--only` those that it names wholly. A table
    that was not there then must be gone, a column too."""
    undone = {u.entity for u in undos}
    others = {e.into for name, e in ctx.plan.entities.items() if name not in undone}
    tables = [name for name in ctx.plan.touched if name not in others]
    there = ctx.target.schema(tables)
    before = {t.name: t for t in backup.schema.tables}
    differences = [f"{one.what} stays: {one.reason}" for one in created if one.reason]
    told = {one.table for one in created if one.reason}
    for table in there.tables:
        new = table.name not in before
        more = [] if new else [c for c in table.column_names if c not in before[table.name].column_names]
        if table.name not in told and (new or more):
            differences.append(f"{table.name}: {', '.join(more) or 'it'} was not there before the load")
    with ctx.target.snapshot([n for n in tables if n in before]) as snapshot:
        for name in tables:
            if name not in before:
                continue
            table = snapshot.schema.table(name)
            types = {c: t for c, t in table.types.items() if c in before[name].column_names}
            expected = canon.Digest.parse(backup.manifest.digests[name])
            found = canon.digest(snapshot.read(name, list(types)), types)
            if found not in (
                expected,
                backup.expected(name),
            ):  # who was erased by request may be gone here too
                kept = sum(len(u.conflicts) for u in undos if u.table.name == name)
                why = f"{kept} rows kept as conflicts" if kept else "changed by others since the load"
                differences.append(f"{name}: {found.rows} rows, {expected.rows} before the load; {why}")
    return Verdict(
        check="rollback equals the backup before the load",
        passed=not differences,
        expected=f"{len(tables)} tables equal",
        found=f"{max(0, len(tables) - len(differences))} equal",
        reason="; ".join(differences),
        evidence={"differences": differences},
    )
