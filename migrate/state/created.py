"""What a run creates in its target: how the catalogue looks with it and without it, and what was made so far.

The record lies in the target's own table `created`, written before each statement (`making`) and after it (`made`), so
that any ledger knows what is ours, and a killed process' work is found again. `dropped` says that it was undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.creation import Step, engine_module, is_new, is_there, rows_in_use, unmake
from migrate.connectors.protocol import Target
from migrate.context import Context
from migrate.errors import Busy, GateClosed
from migrate.ledger.receipts import meta_table
from migrate.ledger.records import JSON
from migrate.model import Schema, Table
from migrate.state.records import meta_rows

_KINDS = ("reference", "index", "column", "table")  # the order in which things are dropped


def overlay(present: Schema, created: Sequence[Table]) -> Schema:
    """The catalogue as it will be. What is there already stands as the catalogue has it."""
    tables = {t.name: t for t in present.tables}
    for made in created:
        there = tables.get(made.name)
        if there is None:
            if is_new(made):
                tables[made.name] = made
            continue
        columns = [c for c in made.columns if c.name not in there.column_names]
        taken = {f.columns for f in there.foreign_keys}
        keys = [f for f in made.foreign_keys if f.columns not in taken and not is_new(made)]
        tables[made.name] = replace(
            there,
            columns=(*there.columns, *columns),
            foreign_keys=(*there.foreign_keys, *keys),
        )
    return replace(present, tables=tuple(sorted(tables.values(), key=lambda t: t.name)))


def without(present: Schema, created: Sequence[Table]) -> Schema:
    """The catalogue as it was before anything of `created` was made, as far as that can be told; the same before and
    after, so that everything else can be watched for drift."""
    by_name = {t.name: t for t in created}
    found = []
    for table in present.tables:
        made = by_name.get(table.name)
        if made is None:
            found.append(table)
        elif not is_new(made):
            found.append(_stripped(table, made))
    return replace(present, tables=tuple(found))


def _stripped(table: Table, made: Table) -> Table:
    """Without the columns that are made; `sql`, which holds them too, is left out whether they are there or not."""
    new = set(made.column_names)
    indexes = {i.name for i in made.indexes}
    return replace(
        table,
        columns=tuple(c for c in table.columns if c.name not in new),
        # An index over new columns alone came with them: some engines make one for each foreign key.
        indexes=tuple(
            i for i in table.indexes if i.name not in indexes and not (i.columns and set(i.columns) <= new)
        ),
        uniques=tuple(u for u in table.uniques if u.name not in indexes),
        foreign_keys=tuple(f for f in table.foreign_keys if not new & set(f.columns)),
        sql="",
    )


def declared_target(ctx: Context, target: Target | None = None) -> Schema:
    """The touched tables as the load finds them: the catalogue, and what is to be created and is not there yet."""
    return overlay((target or ctx.target).schema(ctx.plan.touched), ctx.plan.creates)


def tables_there(ctx: Context, target: Target | None = None) -> list[str]:
    """Touched tables but for those that are yet to be created, in the plan's order. One that is missing and is not to
    be created stays in the list: reading it says so."""
    waiting = {t.name for t in ctx.plan.creates if is_new(t)}
    waiting -= set((target or ctx.target).schema(sorted(waiting)).table_names) if waiting else set()
    return [name for name in ctx.plan.touched if name not in waiting]


def of_this_run(ctx: Context) -> tuple[Table, ...]:
    """What is created for the entities of this run, with what their references need; under `--only` less than all."""
    into = {e.into for e in ctx.entities.values()}
    return tuple(t for t in ctx.plan.creates if t.name in into)


# ------------------------------------------------------------------ the record


@dataclass(frozen=True)
class Made:
    """How one thing stands in the record. `state`: making | made | dropped | kept."""

    position: int
    state: str


def record_of(ctx: Context) -> dict[Step, Made]:
    """All that this run ever began to make, in the order in which it was begun."""
    found: dict[Step, Made] = {}
    for rows in meta_rows(ctx.target, "created"):
        for row in rows.filter(pc.equal(rows["run"], ctx.run)).to_pylist():
            step = Step(row["kind"], row["target_table"], row["name"])
            found[step] = Made(int(row["position"]), row["state"])
    return dict(sorted(found.items(), key=lambda item: item[1].position))


def made_by(ctx: Context) -> dict[Step, Made]:
    """What this run made or began to make, and has not dropped."""
    return {step: made for step, made in record_of(ctx).items() if made.state != "dropped"}


def note(ctx: Context, step: Step, state: str, *, position: int, fence: int | None = None) -> None:
    """Write down how a step stands, in a transaction of its own. `fence`: what this process holds, if it loads."""
    table = meta_table("created", ctx.target.meta)
    row = {
        "run": ctx.run,
        "position": position,
        "kind": step.kind,
        "target_table": step.table,
        "name": step.name,
        "state": state,
        "noted_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    rows = pa.Table.from_pylist([row], arrow_schema(table.columns))
    transaction = ctx.target.begin()
    try:
        if fence is not None and transaction.fence() != fence:
            raise Busy(
                "another process took over this target",
                kept="What was created so far stays.",
                hint="Let the other process finish.",
            )
        keys = rows.select(list(table.primary_key))
        if transaction.fetch(table, table.primary_key, keys, list(table.primary_key)).num_rows:
            transaction.update(table, table.primary_key, rows, stop_after=0)
        else:
            transaction.insert(table, rows, stop_after=0)
        transaction.commit()
    except BaseException:
        transaction.rollback()
        raise


# ------------------------------------------------------------------ undo


@dataclass(frozen=True)
class Undone:
    """One table or column that a run created: dropped, or why it is kept. `gone`: somebody else dropped it."""

    what: str
    table: str
    reason: str = ""
    gone: bool = False

    def as_json(self) -> dict[str, object]:
        return {"what": self.what, "dropped": not self.reason, "reason": self.reason}


def in_use(ctx: Context, steps: Iterable[Step], *, rows: bool = True) -> dict[Step, str]:
    """Tables and columns among `steps` that must stay, and why: somebody else's rows, values or objects need them.

    `rows` False: only what others made of them is looked at, for rows will go first."""
    wanted = [s for s in steps if s.kind in ("table", "column")]
    ours = set(steps)
    present = ctx.target.schema(sorted({s.table for s in wanted}))
    found: dict[Step, str] = {}
    there = [s for s in wanted if s.table in present.table_names and is_there(s, present.table(s.table))]
    grew = True
    while grew:
        grew = False
        going = {s.table for s in there if s.kind == "table" and s not in found}
        for step in there:
            if step in found:
                continue
            why = _needed(ctx, step, present.table(step.table), ours, going, rows=rows)
            if why:
                found[step], grew = why, True
    return found


def _needed(ctx: Context, step: Step, present: Table, ours: set[Step], going: set[str], *, rows: bool) -> str:
    column = step.name if step.kind == "column" else None
    module = engine_module(ctx.target.engine)
    with ctx.target.changing() as connection:
        used = [
            u for u in module.used_by(connection, step.table, column) if u.removeprefix("table ") not in going
        ]
        count = rows_in_use(connection, ctx.target.engine, step.table, column) if rows else 0
    if count:
        what = (
            f"hold a value in {column}"
            if column
            else "are in it that this run did not write or could not undo"
        )
        return f"{count} rows {what}"
    if used:
        return f"{', '.join(used)} need{'s' if len(used) == 1 else ''} it"
    if column is None and present.triggers:
        return f"it has triggers ({', '.join(present.triggers)})"
    if column is not None:
        theirs = _over(present, column, ours)
        if theirs:
            return f"{', '.join(theirs)} need{'s' if len(theirs) == 1 else ''} it"
    return ""


def _over(present: Table, column: str, ours: set[Step]) -> list[str]:
    """Indexes and constraints over a column that this run did not make."""
    names = {s.name for s in ours if s.table == present.name and s.kind in ("index", "reference")}
    found = [f"index {i.name}" for i in present.indexes if column in i.columns and i.name not in names]
    found += [f"constraint {u.name}" for u in present.uniques if column in u.columns and u.name not in names]
    found += [f"check {c.name}" for c in present.checks if column in c.sql]
    return found


def withdraw(ctx: Context, only: Collection[str] | None = None) -> list[Undone]:
    """Drop what this run created, where nobody else uses it, and write that down. `only`: of these tables.

    Idempotent, and goes on where a kill stopped it."""
    if not ctx.plan.creates:
        return []
    made = made_by(ctx)
    steps = [s for s in made if only is None or s.table in only]
    kept = in_use(ctx, steps)
    stay = {s.table for s in kept if s.kind == "table"}
    found = []
    for step in sorted(steps, key=lambda s: _KINDS.index(s.kind)):
        with_column = _of_kept_column(ctx, step, kept)
        if step in kept or step.table in stay or with_column:
            if step.kind in ("table", "column"):
                found.append(Undone(step.words, step.table, kept.get(step, "its table stays")))
                note(ctx, step, "kept", position=made[step].position)
            continue
        gone = not _drop(ctx, step)
        failpoints.hit("created.dropped")
        note(ctx, step, "dropped", position=made[step].position)
        failpoints.hit("created.drop_noted")
        if step.kind in ("table", "column"):
            found.append(Undone(step.words, step.table, gone=gone))
    if found:
        dropped: list[JSON] = [u.what for u in found if not u.reason]
        ctx.ledger.audit("created things dropped", ctx.run, {"dropped": dropped})
    return sorted(found, key=lambda u: u.what)


def _of_kept_column(ctx: Context, step: Step, kept: dict[Step, str]) -> bool:
    """Is it an index or reference over a column that stays?"""
    if step.kind not in ("index", "reference"):
        return False
    columns = {s.name for s in kept if s.kind == "column" and s.table == step.table}
    for table in ctx.plan.creates:
        if table.name == step.table:
            over = {i.name: i.columns for i in table.indexes} | {
                f.name: f.columns for f in table.foreign_keys
            }
            return bool(columns & set(over.get(step.name, ())))
    return False


def _drop(ctx: Context, step: Step) -> bool:
    """False where it is not there any more."""
    present = ctx.target.schema([step.table])
    table = present.table(step.table) if present.tables else None
    if not is_there(step, table):
        return False
    failpoints.hit("created.before_drop")
    with ctx.target.changing() as connection:
        if step.kind in ("table", "column"):
            column = step.name if step.kind == "column" else None
            engine_module(ctx.target.engine).lock(connection, step.table)
            if rows_in_use(connection, ctx.target.engine, step.table, column):
                raise GateClosed(
                    f"somebody wrote to {step.words} while it was to be dropped",
                    kept="It stays; what was undone so far stays undone.",
                    hint="Run the same command again: it is looked at anew.",
                )
        unmake(connection, ctx.target.engine, step)
    return True
