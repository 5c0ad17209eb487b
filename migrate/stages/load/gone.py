"""Rows that are gone at the source: flagged or deleted as the mapping says (`migrate.state.gone` decided which).

Twice in a run: first before anything else is written, so that values which must be unique come free for new rows; and
once more at the end, for rows that children referred to until this run moved them. Each time one transaction with one
receipt, for rows of several entities may only go together. Whatever changed since the decision stays: a row that is
not as it was, or that any row refers to which stays itself, by a foreign key or a reference of the mapping.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import GateClosed, TooManyQuarantined
from migrate.model import Kind, Table, Type
from migrate.planning import identity_of, owned_columns, plan_number, state_columns
from migrate.stages.load.receipts import Session, Work, journal, once
from migrate.state.gone import gone_rows
from migrate.transform.settle import FLAGGED

_CHUNK = 20_000  # rows: of one before-image, and of one look into the target
_DIGEST = {"key": Type(Kind.TEXT), "tkey": Type(Kind.TEXT), "verdict": Type(Kind.TEXT)}


def anything_gone(ctx: Context) -> bool:
    """Is there a row to flag or to delete?"""
    return any(gone_rows(ctx, name, "flag", "delete").num_rows for name in ctx.entities)


def act_on_gone(ctx: Context, session: Session, tables: Mapping[str, Table], when: str) -> None:
    """`tables`: entity → its target table, of all entities of the mapping whose table is there; `when`: first or last."""
    if not anything_gone(ctx):
        return
    rows = [gone_rows(ctx, name, "flag", "delete") for name in ctx.entities]
    digest = canon.digest([r.select(list(_DIGEST)) for r in rows], _DIGEST).text()
    part = f"gone/{when}"

    def work(transaction: Transaction) -> Work:
        done = 0
        if when == "first":
            for name in ctx.entities:
                done += _flag(_Act(ctx, session, transaction, part, name, tables[name]))
        acts = {
            name: _Act(ctx, session, transaction, part, name, tables[name])
            for name in ctx.entities
            if gone_rows(ctx, name, "delete").num_rows
        }
        return Work(done + _delete(ctx, transaction, acts, tables))

    once(session, part, digest, work)
    failpoints.hit("load.gone.done")


@dataclass(frozen=True)
class _Act:
    """What is done to gone rows of one entity, inside one transaction."""

    ctx: Context
    session: Session
    transaction: Transaction
    part: str
    name: str
    table: Table

    @property
    def key(self) -> tuple[str, ...]:
        return self.table.primary_key

    def keys(self, tkeys: pa.Array[Any]) -> pa.Table:
        """JSON keys as the key columns of the table."""
        parts = zip(*(json.loads(str(k)) for k in tkeys.to_pylist()), strict=True)
        columns = {
            column: canon.from_text(pa.array(list(texts), pa.string()), self.table.column(column).type)
            for column, texts in zip(self.key, parts, strict=True)
        }
        return pa.table(columns)

    def locked(self, gone: pa.Table, as_it_was: str) -> tuple[pa.Table, pa.Table]:
        """Rows of the target, locked, that stand as the column `as_it_was` of `gone` says; with their lines of `gone`."""
        found = self.transaction.fetch(
            self.table,
            self.key,
            self.keys(gone["tkey"].combine_chunks()),
            list(self.table.column_names),
            lock=True,
        )
        names = canon.source_keys(found, self.key, self.table.types)
        place = pc.index_in(names, gone["tkey"].combine_chunks())
        lines = gone.take(place)
        same = pc.equal(_hashes(self, found), lines[as_it_was].combine_chunks())
        same = pc.fill_null(same, False)
        return found.filter(same), lines.filter(same)

    def entries(self, source_keys: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Table:
        system, entity = identity_of(self.ctx.mapping, self.name)
        count = len(source_keys)
        return pa.table(
            {
                "system": pa.repeat(system, count),
                "entity": pa.repeat(entity, count),
                "source_key": source_keys,
            }
        )

    def remember(self, kind: str, number: int, table: str, rows: pa.Table) -> None:
        part = f"{self.part}/{self.name}/{number}"
        journal(self.session, self.transaction, part, kind, self.name, table, rows)

    def remember_entries(
        self, kind: str, number: int, source_keys: pa.Array[Any] | pa.ChunkedArray[Any]
    ) -> None:
        crosswalk = self.session.table("crosswalk")
        keys = self.entries(source_keys)
        before = self.transaction.fetch(
            crosswalk, crosswalk.primary_key, keys, list(crosswalk.column_names), lock=True
        )
        self.remember(kind, number, crosswalk.name, before)


def _hashes(act: _Act, rows: pa.Table) -> pa.Array[Any]:
    over = state_columns(act.ctx.mapping, act.table)
    return canon.as_binary(canon.row_hashes(rows, act.table.types, over)).cast(pa.binary())


def _chunks(rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    for number, start in enumerate(range(0, rows.num_rows, _CHUNK)):
        yield number, rows.slice(start, _CHUNK)


# ------------------------------------------------------------------ flag


def _flag(act: _Act) -> int:
    """The flag's column of rows that stand as they were backed up gets its value; nothing else of them changes."""
    how = act.ctx.entities[act.name].on_gone
    done = 0
    for number, gone in _chunks(gone_rows(act.ctx, act.name, "flag")):
        rows, lines = act.locked(gone, "stands")
        failpoints.hit("load.gone.locked")
        if not rows.num_rows or how.flag is None or how.value is None:
            continue
        act.remember("rows", number, act.table.name, rows)
        act.remember_entries("crosswalk", number, lines["key"])
        value = canon.from_text(pa.array([how.value], pa.string()), act.table.column(how.flag).type)
        wanted = pa.repeat(value[0], rows.num_rows)
        content = rows.select(list(act.key)).append_column(how.flag, wanted)
        try:
            refused: Sequence[object] = act.transaction.update(act.table, act.key, content, stop_after=0)
        except TooManyQuarantined:
            refused = ("refused",)
        if refused:
            raise GateClosed(
                f"the target does not take {how.value!r} for {how.flag}, by which on_gone flags rows",
                where=act.table.name,
                kept="The flags were rolled back; nothing was loaded.",
                hint="Choose a value that its constraints allow.",
            )
        failpoints.hit("load.gone.flagged")
        _flagged(act, rows, lines, how.flag, wanted)
        done += rows.num_rows
    return done


def _flagged(act: _Act, before: pa.Table, lines: pa.Table, column: str, wanted: pa.Array[Any]) -> None:
    """Read back, and remembered in the crosswalk as the row stands now; should its source row come back, `origin`
    says that it is to be written anew."""
    entity, types = act.ctx.entities[act.name], act.table.types
    found = act.transaction.fetch(
        act.table, act.key, before.select(list(act.key)), list(act.table.column_names)
    )
    order = pc.index_in(canon.source_keys(before, act.key, types), canon.source_keys(found, act.key, types))
    found = found.take(order)
    expected = before.set_column(before.column_names.index(column), column, wanted.cast(found[column].type))
    over = state_columns(act.ctx.mapping, act.table)
    wrong = canon.different(expected, found, types, over)
    if order.null_count or wrong:
        raise GateClosed(
            f"rows that were flagged as gone do not stand in the target as they were written: columns {', '.join(wrong)}",
            where=act.table.name,
            kept="The flags were rolled back.",
            hint="A trigger or the column's type changes values: name such columns in target_sets.",
        )
    owned = owned_columns(entity)
    entries = act.entries(lines["key"])
    count = entries.num_rows
    more: dict[str, Any] = {
        "origin": pa.repeat(FLAGGED, count),
        "run": pa.repeat(act.session.run, count),
        "plan": pa.repeat(pa.scalar(plan_number(act.ctx.plan.entities[act.name].digest), pa.int64()), count),
        "target_hash": canon.as_binary(canon.row_hashes(found, types, owned)).cast(pa.binary()),
        "row_hash": _hashes(act, found),
    }
    for name, values in more.items():
        entries = entries.append_column(name, values)
    table = act.session.table("crosswalk")
    refused = act.transaction.update(table, table.primary_key, entries, stop_after=0)
    if refused:
        raise RuntimeError(f"{table.name} refused {len(refused)} updates: {refused[0].code}")


# ------------------------------------------------------------------ delete


def _delete(
    ctx: Context, transaction: Transaction, acts: Mapping[str, _Act], tables: Mapping[str, Table]
) -> int:
    going = {name: _standing(act) for name, act in acts.items()}
    failpoints.hit("load.gone.locked")
    _keep_referenced(ctx, transaction, acts, tables, going)
    for name, act in acts.items():
        _journalled(act, going[name])
    for name, act in acts.items():
        _open_cycles(act, going[name])
    done = 0
    for name in reversed(list(acts)):
        done += _removed(acts[name], going[name])
    return done


def _standing(act: _Act) -> dict[str, str]:
    """Target key → source key of the rows that stand as our last writer left them; locked."""
    found: dict[str, str] = {}
    for _, gone in _chunks(gone_rows(act.ctx, act.name, "delete")):
        _, lines = act.locked(gone, "row_hash")
        found.update((str(r["tkey"]), str(r["key"])) for r in lines.select(["tkey", "key"]).to_pylist())
    return found


def _keep_referenced(
    ctx: Context,
    transaction: Transaction,
    acts: Mapping[str, _Act],
    tables: Mapping[str, Table],
    going: dict[str, dict[str, str]],
) -> None:
    """Take out of `going` every row that a row refers to which stays, to a fixpoint; asked while they are locked."""
    pointing: list[
        tuple[str, str, str, str]
    ] = []  # entity, key of its row; table, key of the row that refers to it
    for name, act in acts.items():
        for chunk in _in_chunks(sorted(going[name])):
            keys = act.keys(pa.array(chunk, pa.string()))
            found = ctx.target.references_to(act.table, act.key, keys).to_pylist()
            pointing += [(name, r["ref_key"], r["table"], r["row_key"]) for r in found]
            pointing += _mapped(ctx, transaction, name, chunk, tables)
    failpoints.hit("load.gone.referenced")
    by_table = {name: act.table.name for name, act in acts.items()}
    grew = True
    while grew:
        grew = False
        leaving = {(by_table[name], key) for name, keys in going.items() for key in keys}
        for name, key, table, row in pointing:
            if key in going[name] and (table, row) not in leaving:
                del going[name][key]
                grew = True


def _mapped(
    ctx: Context, transaction: Transaction, name: str, keys: Sequence[str], tables: Mapping[str, Table]
) -> Iterator[tuple[str, str, str, str]]:
    """References that only the mapping knows, for the target declares no foreign key."""
    first = {str(json.loads(key)[0]): key for key in keys}
    for other, table in tables.items():
        plan = ctx.plan.entities[other]
        for field, parents in plan.refs.items():
            known = (
                f for f in table.foreign_keys if f.columns == (field,) and f.ref_table == tables[name].name
            )
            if name not in parents or any(known):
                continue
            values = canon.from_text(pa.array(list(first), pa.string()), table.column(field).type)
            columns = [*table.primary_key, *({field} - set(table.primary_key))]
            found = transaction.fetch(table, (field,), pa.table({field: values}), columns)
            texts = canon.canonical_text(found[field], table.column(field).type).to_pylist()
            rows = canon.source_keys(found, table.primary_key, table.types).to_pylist()
            for text, row in zip(texts, rows, strict=True):
                yield name, first[str(text)], table.name, str(row)


def _journalled(act: _Act, going: Mapping[str, str]) -> None:
    """The rows and their crosswalk entries as they are, for undo."""
    for number, chunk in enumerate(_in_chunks(sorted(going))):
        keys = act.keys(pa.array(chunk, pa.string()))
        rows = act.transaction.fetch(act.table, act.key, keys, list(act.table.column_names), lock=True)
        act.remember("gone", number, act.table.name, rows)
        act.remember_entries("forgotten", number, pa.array([going[k] for k in chunk], pa.string()))
    failpoints.hit("load.gone.journalled")


def _open_cycles(act: _Act, going: Mapping[str, str]) -> None:
    """Columns that close cycles are emptied first, so that of rows which refer to one another any may go first."""
    fields = [f for f in act.ctx.plan.entities[act.name].deferred if f not in act.key]
    for chunk in _in_chunks(sorted(going)) if fields else ():
        rows = act.keys(pa.array(chunk, pa.string()))
        for field in fields:
            rows = rows.append_column(
                field, pa.nulls(rows.num_rows, arrow_schema([act.table.column(field)]).field(0).type)
            )
        if act.transaction.update(act.table, act.key, rows, stop_after=0):
            raise RuntimeError("a refused update did not stop the part")
        failpoints.hit("load.gone.opened")


def _removed(act: _Act, going: Mapping[str, str]) -> int:
    crosswalk = act.session.table("crosswalk")
    for chunk in _in_chunks(sorted(going)):
        deleted = act.transaction.delete(act.table, act.key, act.keys(pa.array(chunk, pa.string())))
        failpoints.hit("load.gone.deleted")
        if deleted != len(chunk):
            raise GateClosed(
                f"{len(chunk)} rows were to be deleted, and {deleted} went",
                where=act.table.name,
                kept="Nothing was deleted: the part was rolled back.",
                hint="A trigger of the target keeps rows, or takes others along: say on_gone: {flag: …}, or keep.",
            )
        entries = act.entries(pa.array([going[k] for k in chunk], pa.string()))
        act.transaction.delete(crosswalk, crosswalk.primary_key, entries)
        failpoints.hit("load.gone.forgotten")
    return len(going)


def _in_chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]
