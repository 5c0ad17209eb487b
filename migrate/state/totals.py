"""Checks over tables: the files that both sides are read from, and the verdict of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon
from migrate.context import Context
from migrate.duck import identifier, literal, parquet, workspace
from migrate.mapping.model import TableCheck
from migrate.model import Schema, Table, Verdict
from migrate.parts import stream_rows
from migrate.rules.totals import judged, totals
from migrate.state.left_out import left_out_with_parents
from migrate.state.waiting import UNMERGED
from migrate.transform.witness import AMOUNT, ORIGIN


@dataclass(frozen=True)
class Side:
    """Relations in SQL over one entity. `lost`: rid of rows that are in quarantine or refused. `there`: key, edited and
    `c.COLUMN` of what the rows that came (`came`, see `migrate.rules.totals`) are in the target."""

    lost: str
    there: str


def checks_of(ctx: Context) -> tuple[TableCheck, ...]:
    """Those of the mapping whose entity is in this run."""
    return tuple(check for check in ctx.mapping.checks if check.of in ctx.entities)


def columns_of(checks: Sequence[TableCheck], entity: str) -> list[str]:
    """Target columns that any of the checks looks at in one entity, each once."""
    return list(dict.fromkeys(c for check in checks if check.of == entity for c in check.columns))


def verdicts(ctx: Context, declared: Schema, side: Callable[[str, str], Side]) -> list[Verdict]:
    """One per check of this run. `side` is asked with an entity and the relation of its rows that came.

    A sum that cannot be made fails its check."""
    checks = checks_of(ctx)
    found: list[Verdict] = []
    for entity in dict.fromkeys(check.of for check in checks):
        table = declared.table(ctx.mapping.entities[entity].into)
        file = ctx.room("temp") / f"{entity}.came.parquet"
        others = ctx.room("temp") / f"{entity}.parts.parquet"
        try:
            columns = columns_of(checks, entity)
            witnessed = _came(ctx, entity, table, columns, file)
            merged = parquet([others]) if _parts(ctx, entity, table, columns, others) else ""
            with workspace(ctx.room("temp")) as db:
                sides = side(entity, came := parquet([file]))
                db.execute(f"CREATE TABLE lost AS {sides.lost}; CREATE TABLE target AS {sides.there}")
                found += [_verdict(db, c, came, witnessed, merged) for c in checks if c.of == entity]
        finally:
            file.unlink(missing_ok=True)
            others.unlink(missing_ok=True)
    return found


def _verdict(
    db: duckdb.DuckDBPyConnection, check: TableCheck, came: str, witnessed: Sequence[str], merged: str
) -> Verdict:
    try:
        return judged(check, totals(db, check, came, "lost", "target", witnessed, merged))
    except duckdb.OutOfRangeException:
        return Verdict(
            check.words, False, "a sum", "none", "its numbers are too large to be added up exactly"
        )


def _came(ctx: Context, entity: str, table: Table, columns: Sequence[str], path: Path) -> list[str]:
    """Writes the rows that came on the road as `migrate.rules.totals` wants them; gives the names of the witnesses."""
    folder = ctx.folder / "transform" / entity
    gone = left_out_with_parents(folder).combine_chunks()
    links = folder / "known.parquet"
    if links.exists():  # who is linked to a row of another table is no row of this one
        linked = pq.read_table(links, columns=["rid", "outcome"])
        linked = linked.filter(pc.equal(linked["outcome"], "link"))
        gone = pa.concat_arrays([gone, linked["rid"].combine_chunks()])
    files = sorted(folder.glob("rows-*.parquet"))
    return _laid_down(files, table, columns, path, lambda rids: pc.invert(pc.is_in(rids, gone)))


def _parts(ctx: Context, entity: str, table: Table, columns: Sequence[str], path: Path) -> bool:
    """Writes the rows that became part of others, and those, likewise, as they were before; False where there is none."""
    folder = ctx.folder / "transform" / entity
    file = folder / "merged.parquet"
    merged = pq.read_table(file, columns=["rid", "into"]) if file.exists() else None
    if merged is None or not merged.num_rows:
        return False
    rows = pa.concat_arrays([merged["rid"].combine_chunks(), merged["into"].combine_chunks()])
    files = sorted(folder.glob(f"{UNMERGED}-*.parquet"))
    _laid_down(files, table, columns, path, lambda rids: pc.is_in(rids, rows))
    return True


def _laid_down(
    files: Sequence[Path],
    table: Table,
    columns: Sequence[str],
    path: Path,
    wanted: Callable[[pa.ChunkedArray[Any]], Any],
) -> list[str]:
    known = set(pq.read_schema(files[0]).names) if files else set()
    kinds = {"w": ORIGIN, "a": AMOUNT}
    witnesses = {f"{k}.{c}": p + c for c in columns for k, p in kinds.items() if p + c in known}
    names = ["rid", "key", *(f"c.{c}" for c in columns), *witnesses]
    fields: list[pa.Field[Any]] = [pa.field(n, pa.int64() if n == "rid" else pa.string()) for n in names]

    def tables() -> Iterator[pa.Table]:
        for file in files:
            rows = pq.read_table(file, columns=["__rid", "__key", *columns, *witnesses.values()])
            rows = rows.filter(wanted(rows["__rid"]))
            content: list[Any] = [rows["__rid"], rows["__key"]]
            content += [canon.canonical_text(rows[c], table.column(c).type) for c in columns]
            content += [rows[c] for c in witnesses.values()]
            yield pa.table(content, names=names)

    stream_rows(tables(), path, point="totals.came", schema=pa.schema(fields))
    return list(witnesses)


def columns_in(columns: Sequence[str], alias: str) -> str:
    """`, a."c.COLUMN"…` for a SELECT."""
    return "".join(f", {alias}.{identifier(f'c.{c}')}" for c in columns)


def foreseen(ctx: Context, declared: Schema, known: Path | None) -> list[Verdict]:
    """The checks before anything is loaded: as if all that is not in quarantine goes in as it was made. A row in quarantine
    that an earlier run loaded (`known`: the crosswalk) is in the target, whatever stands there now."""

    def side(entity: str, came: str) -> Side:
        spec = ctx.mapping.entities[entity]
        quarantined = parquet([ctx.folder / "transform" / entity / "quarantine.parquet"])
        lost = f"SELECT q.rid FROM {quarantined} q"
        if known is not None:
            system = ctx.mapping.sources[spec.source].system
            own = f"x.entity = {literal(entity)} AND x.system = {literal(system)} AND x.source_key = q.key"
            lost += f" WHERE NOT EXISTS (SELECT 1 FROM {parquet([known])} x WHERE {own})"
        columns = columns_in(columns_of(checks_of(ctx), entity), "c")
        there = (
            f"SELECT c.key, FALSE AS edited{columns} FROM {came} c WHERE c.rid NOT IN (SELECT rid FROM lost)"
        )
        return Side(lost, there)

    return verdicts(ctx, declared, side)
