"""Verify: the target read again on a new connection and compared with what transform expected, every row.

Success is said only here. Columns that the target sets itself are checked by their declared rule;
references must find their rows; and every source row must have ended in exactly one place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon, failpoints
from migrate.compare import SetDifference, cell_differences, compare_sets
from migrate.connectors.protocol import Target
from migrate.connectors.registry import open_target
from migrate.context import Context
from migrate.duck import literal, parquet, workspace
from migrate.durable import atomic_file, write_bytes
from migrate.errors import Corrupt, Drift, GateClosed
from migrate.mapping.model import Entity
from migrate.model import Schema, Table, Verdict
from migrate.parts import stream_rows
from migrate.planning import at_least_columns, compared_columns
from migrate.retry import retried
from migrate.stages.result import Result
from migrate.stages.verify.balance import balance_of, read_crosswalk
from migrate.stages.verify.found import found_path, read_backup, read_now
from migrate.stages.verify.gone import gone_of
from migrate.stages.verify.kept import unchanged_of
from migrate.stages.verify.set_by_target import kept, kept_type, set_by_target
from migrate.stages.verify.totals import totals_of
from migrate.state.accounts import accounts
from migrate.state.created import declared_target, tables_there
from migrate.state.identity import names_then
from migrate.state.loaded import loaded_rows
from migrate.state.proven import known_crosswalk, proven_backups
from migrate.state.records import Rejected, read_rejected
from migrate.state.replays import superseded_files
from migrate.state.roads import all_sources

NAME = "verify"


def run(ctx: Context) -> Result:
    """As the run goes: the target is read again, but by a run that found nothing to write. What such a run can say is
    what its own backup of the target shows, and it says so; somebody's writes since then are none of its business."""
    untouched = any(
        c.part == "done" and c.facts.get("untouched") for c in ctx.ledger.checkpoints(ctx.run, "load")
    )
    known = known_crosswalk(ctx) if untouched else None
    if known is None:
        return _verified(ctx, _as_it_stands)
    try:
        taken = proven_backups(ctx)["target"].manifest.snapshot_at
        return _verified(ctx, partial(_as_backed_up, known), as_of=taken)
    except (
        Corrupt
    ) as error:  # no proof was asked of it: nothing was written, and the target can speak for itself
        ctx.progress.note(f"{error.message}; the target itself is read instead")
        return _verified(ctx, _as_it_stands)


def again(ctx: Context) -> Result:
    """The target as it stands now, whatever the run did."""
    return _verified(ctx, _as_it_stands)


def _as_it_stands(ctx: Context, target: Target, declared: Schema) -> Path:
    """The tables and, beside them, our own crosswalk; returns where the crosswalk is."""
    with ThreadPoolExecutor(1, thread_name_prefix="crosswalk") as beside:
        reading = beside.submit(
            retried, partial(read_crosswalk, ctx, names_then(ctx)), note=ctx.progress.note
        )
        retried(partial(read_now, ctx, target, declared), note=ctx.progress.note)
        return reading.result()


def _as_backed_up(known: Path, ctx: Context, target: Target, declared: Schema) -> Path:
    del target
    read_backup(ctx, declared)
    return known


def _verified(ctx: Context, read: Callable[[Context, Target, Schema], Path], *, as_of: str = "") -> Result:
    """`as_of`: when the target was as it is compared here; empty: now."""
    ctx.ledger.supersede_verdicts(ctx.run, NAME)
    verdicts: list[Verdict] = []
    rows = 0
    target = open_target(ctx.mapping.target.url, base=Path(ctx.mapping.base), work=ctx.home / "work")
    try:
        declared = declared_target(ctx, target)
        _refuse_missing(ctx, tables_there(ctx, target))
        rejected = read_rejected(ctx)
        expected = {
            name: _expected(ctx, name, declared.table(e.into), rejected) for name, e in ctx.entities.items()
        }
        crosswalk = read(ctx, target, declared)
        for name, entity in ctx.entities.items():
            table = declared.table(entity.into)
            verdicts.append(_values(ctx, target, name, entity, table, expected[name]))
            verdicts += _orphans(ctx, name, table, declared, expected[name])
            verdicts.append(unchanged_of(ctx, name, expected[name], found_path(ctx, name), crosswalk, as_of))
            verdicts.append(balance_of(ctx, name, expected[name], crosswalk))
            verdicts += gone_of(ctx, target, name, table, found_path(ctx, name), crosswalk)
            rows += pq.read_metadata(expected[name]).num_rows
            ctx.progress.advance(pq.read_metadata(expected[name]).num_rows)
        verdicts += totals_of(ctx, declared, expected, crosswalk)
    finally:
        target.close()
    tables, told = accounts(ctx, all_sources(ctx))
    ctx.ledger.put_run_facts(ctx.run, {"tables": tables})
    verdicts += told
    ctx.ledger.put_verdicts(ctx.run, NAME, verdicts)
    failpoints.hit("verify.verdicts_written")
    failed = [v for v in verdicts if not v.passed]
    if failed:
        raise GateClosed(
            f"verification failed: {failed[0].check}: {failed[0].reason or failed[0].found}",
            where=ctx.target.url,
            kept="What was loaded stays.",
            hint=f"`migrate report {ctx.run}` lists the differences; `migrate rollback {ctx.run}` undoes the load.",
        )
    return Result(rows=rows, verdicts=tuple(verdicts))


def _refuse_missing(ctx: Context, there: list[str]) -> None:
    """Tables that the run created and that somebody, or its own rollback, has dropped."""
    gone = sorted({e.into for e in ctx.entities.values()} - set(there))
    if gone:
        raise Drift(
            f"the target has no table {', '.join(gone)} any more, which this run created",
            where=ctx.target.url,
            kept="Nothing was changed.",
            hint="A run that was rolled back cannot be verified; run the mapping again.",
        )


def _expected(ctx: Context, name: str, table: Table, rejected: Rejected) -> Path:
    """`verify/ENTITY.expected.parquet`: key (target key), hash, rid, source key of every row that must be there, and
    `s.COLUMN`, what was written to a column of which at least that is asked."""
    path = ctx.place("verify", f"{name}.expected.parquet")
    least = at_least_columns(ctx.mapping.entities[name])
    columns: list[tuple[str, pa.DataType]] = [
        ("key", pa.string()),
        ("hash", pa.binary()),
        ("rid", pa.int64()),
        ("source_key", pa.string()),
        *((f"s.{c}", kept_type(table.column(c).type)) for c in least),
    ]
    schema = pa.schema(columns)
    tables = (
        pa.table(
            [
                *(rows["__tkey"], rows["__final"].cast(pa.binary()), rows["__rid"], rows["__key"]),
                *(kept(rows[c], table.column(c).type) for c in least),
            ],
            names=schema.names,
        )
        for rows in _not_superseded(ctx, name, loaded_rows(ctx, name, table, rejected, values=bool(least)))
    )
    stream_rows(tables, path, point="verify.expected", schema=schema)
    return path


def _not_superseded(ctx: Context, name: str, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Without rows that a later replay of the run wrote once more: it is verified by itself."""
    files = superseded_files(ctx, name)
    if not files:
        return tables
    later = pa.concat_arrays(
        [c for f in files for c in pq.read_table(f, columns=["key"])["key"].chunks]
        or [pa.array([], pa.string())]
    )
    return (rows.filter(pc.invert(pc.is_in(rows["__tkey"], later))) for rows in tables)


def _ours(ctx: Context, name: str, expected: Path) -> Path:
    """Rows of the target that this run wrote, as found."""
    path = ctx.place("verify", f"{name}.ours.parquet")
    with (
        workspace(ctx.room("temp"), on_disk=False) as db,
        atomic_file(path, point="verify.ours") as temporary,
    ):
        db.execute(
            f"COPY (SELECT f.* FROM {parquet([found_path(ctx, name)])} f SEMI JOIN {parquet([expected])} e ON e.key = f.key) "
            f"TO {literal(str(temporary))} (FORMAT parquet)"
        )
    return path


def _values(ctx: Context, target: Target, name: str, entity: Entity, table: Table, expected: Path) -> Verdict:
    ours = _ours(ctx, name, expected)
    difference = compare_sets([expected], [ours], temp=ctx.room("temp"))
    wrong = set_by_target(entity, table, expected, ours, ctx.room("temp"))
    clean = not (difference.missing or difference.different or difference.duplicates or wrong)
    count = pq.read_metadata(expected).num_rows
    if not clean:
        _narrow(ctx, target, name, entity, table, difference)
    reasons = [
        f"{number} {word}"
        for number, word in (
            (difference.missing, "rows are missing"),
            (difference.different, "rows changed since they were written and read back"),
            (difference.duplicates, "keys occur more than once"),
        )
        if number
    ]
    reasons += wrong
    return Verdict(
        check=f"verify {name}",
        passed=clean,
        expected=f"{count} rows as written",
        found=f"{difference.matched} rows as written",
        reason="; ".join(reasons),
    )


def _narrow(
    ctx: Context, target: Target, name: str, entity: Entity, table: Table, difference: SetDifference
) -> None:
    """`verify/ENTITY.differences.json` (0600, holds values): missing keys, and cells that differ."""
    keys = list(difference.different_keys)
    cells = []
    if keys:
        wrote = [r.filter(pc.is_in(r["__tkey"], pa.array(keys))) for r in loaded_rows(ctx, name, table)]
        written = pa.concat_tables(wrote)
        compared = compared_columns(entity)
        transaction = target.begin()
        try:
            found = transaction.fetch(
                table, table.primary_key, written.select(list(table.primary_key)), list(table.column_names)
            )
        finally:
            transaction.rollback()
        stands = found.append_column("__tkey", canon.source_keys(found, table.primary_key, table.types))
        cells = cell_differences(
            written.select(["__tkey", *compared]),
            stands.select(["__tkey", *compared]),
            "__tkey",
            {c: table.column(c).type for c in compared},
            limit=100,
        )
    content = {"missing": list(difference.missing_keys), "cells": [asdict(c) for c in cells]}
    write_bytes(
        ctx.place("verify", f"{name}.differences.json"),
        json.dumps(content, indent=1, ensure_ascii=False).encode(),
        point="verify.differences",
    )


def _orphans(ctx: Context, name: str, table: Table, declared: Schema, expected: Path) -> Iterator[Verdict]:
    """References of our rows that find no row, whatever the target's own constraints let pass."""
    by_table = {e.into: n for n, e in ctx.entities.items()}
    for fk in table.foreign_keys:
        parent = by_table.get(fk.ref_table)
        if (
            len(fk.columns) != 1
            or parent is None
            or declared.table(fk.ref_table).primary_key != fk.ref_columns
        ):
            continue
        column = '"f.' + fk.columns[0].replace('"', '""') + '"'
        with workspace(ctx.room("temp"), on_disk=False) as db:
            row = db.execute(
                f"SELECT count(*) FROM {parquet([ctx.place('verify', f'{name}.ours.parquet')])} c "
                f"WHERE c.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parquet([found_path(ctx, parent)])} p "
                f"WHERE p.key->>'$[0]' = c.{column})"
            ).fetchone()
        count = int(row[0]) if row else 0
        yield Verdict(
            check=f"orphans {name}.{fk.columns[0]}",
            passed=count == 0,
            expected="0",
            found=str(count),
            reason=f"{count} rows refer to no row of {fk.ref_table}" if count else "",
        )
