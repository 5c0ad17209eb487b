"""Quality scores of a run's entities, from what transform found: before its rules worked, and of the rows that go on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.duck import identifier, literal, parquet, workspace
from migrate.ledger.records import JSON
from migrate.mapping.model import Entity
from migrate.rules.scores import DIMENSIONS, finding, measured, own_codes, share


def quality_scores(ctx: Context) -> dict[str, JSON]:
    """Entity → rows {before, after} and scores {dimension: {before, after}}. Before are all rows that no rule leaves out,
    as the source has them; after are those that are neither left out nor quarantined. No values are in it."""
    found: dict[str, JSON] = {}
    with workspace(ctx.room("temp")) as db:
        for name, entity in ctx.entities.items():
            folder = ctx.folder / "transform" / name
            files = sorted(folder.glob("rows-*.parquet"))
            if files and (folder / "settled.parquet").exists():
                found[name] = _of_entity(db, entity, folder, files)
    return found


def stale_deals(ctx: Context) -> dict[str, JSON]:
    """ENTITY.FIELD → rows that its `stale` rule found, the field of their amounts and the sum of these (text, exact)."""
    found: dict[str, JSON] = {}
    with workspace(ctx.room("temp")) as db:
        for name, entity in ctx.entities.items():
            folder = ctx.folder / "transform" / name
            rows, events = sorted(folder.glob("rows-*.parquet")), sorted(folder.glob("events-[0-9]*.parquet"))
            for field, amount in amounts_of(entity).items() if rows else ():
                told = (
                    f"SELECT rid FROM {parquet(events)} WHERE field = {literal(field)} AND code LIKE 'stale%'"
                    if events
                    else ""
                )
                set_aside = (
                    f"SELECT rid FROM (SELECT rid, unnest(codes) AS code, unnest(fields) AS field FROM "
                    f"{parquet([folder / 'quarantine.parquet'])}) WHERE code = 'stale' AND field = {literal(field)}"
                )
                which = f"{told} UNION {set_aside}" if told else set_aside
                total = (
                    f"sum(TRY_CAST({identifier(amount)} AS DECIMAL(38, 4)))::VARCHAR" if amount else "NULL"
                )
                count, sum_ = db.execute(
                    f"SELECT count(*), {total} FROM {parquet(rows)} WHERE __rid IN ({which})"
                ).fetchall()[0]
                if count:
                    exact = None if sum_ is None else format(Decimal(sum_).normalize(), "f")
                    found[f"{name}.{field}"] = {"rows": int(count), "amount": amount or None, "sum": exact}
    return found


def amounts_of(entity: Entity) -> dict[str, str]:
    """Field with a `stale` rule → the field of the amounts, "" where none is named."""
    return {
        name: str(rule.argument.get("amount") or "") if isinstance(rule.argument, dict) else ""
        for name, field in entity.fields.items()
        for rule in field.check
        if rule.name == "stale"
    }


def _of_entity(
    db: duckdb.DuckDBPyConnection, entity: Entity, folder: Path, files: list[Path]
) -> dict[str, JSON]:
    before = sum(pq.read_metadata(f).num_rows for f in files)
    after = pq.read_metadata(folder / "settled.parquet").num_rows
    _findings(db, entity, folder)
    asked = measured(entity)
    scores: dict[str, JSON] = {}
    counts = {
        dimension: (int(all_), int(left))
        for dimension, all_, left in db.execute(
            """SELECT dimension, count(DISTINCT rid),
                count(DISTINCT rid) FILTER (NOT mended AND rid IN (SELECT rid FROM going)) FROM found GROUP BY dimension"""
        ).fetchall()
    }
    for dimension in DIMENSIONS:
        if dimension == "completeness":
            scores[dimension] = _completeness(db, entity, files, before, after)
        elif dimension in asked:
            all_, left = counts.get(dimension, (0, 0))
            scores[dimension] = {"before": share(before, min(all_, before)), "after": share(after, left)}
    return {"rows": {"before": before, "after": after}, "scores": scores}


def _findings(db: duckdb.DuckDBPyConnection, entity: Entity, folder: Path) -> None:
    """`found(rid, dimension, mended)`, `going(rid)`: rows that go to the target or are there as they are."""
    events = [*sorted(folder.glob("events-[0-9]*.parquet")), *folder.glob("events.parquet")]
    told = f"SELECT rid, field, code FROM {parquet(events)} UNION ALL " if events else ""
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE going AS SELECT rid FROM {parquet([folder / 'settled.parquet'])}"
    )
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE told AS {told}SELECT rid, unnest(fields), unnest(codes) "
        f"FROM {parquet([folder / 'quarantine.parquet'])}"
    )
    own = own_codes(entity)
    codes = [code for (code,) in db.execute("SELECT DISTINCT code FROM told").fetchall()]
    known = [(code, one.dimension, one.mended) for code in codes if (one := finding(code, own)) is not None]
    values = ", ".join(f"({literal(c)}, {literal(d)}, {m})" for c, d, m in known) or "(NULL, NULL, FALSE)"
    db.execute(
        "CREATE OR REPLACE TEMP TABLE found AS SELECT t.rid, k.dimension, k.mended FROM told t "
        f"JOIN (VALUES {values}) k(code, dimension, mended) USING (code)"
    )


def _completeness(
    db: duckdb.DuckDBPyConnection, entity: Entity, files: list[Path], before: int, after: int
) -> dict[str, JSON]:
    """Filled values of the fields that take one from the source. A value that a rule emptied was filled before; one that was
    refused was so too, unless it is missing."""
    fields = [
        name
        for name, field in entity.fields.items()
        if (field.from_ or field.first_of) and not (field.ref or field.find or field.list)
    ]
    if not fields or not before:
        return {"before": None, "after": None}
    there, staying = sum(_filled(f, fields) for f in files), 0
    counts = " + ".join(f"count(r.{identifier(f)})" for f in fields)
    if after < before:
        staying = int(
            db.execute(
                f"SELECT {counts} FROM {parquet(files)} r ANTI JOIN going g ON g.rid = r.__rid"
            ).fetchall()[0][0]
        )
    names = ", ".join(literal(f) for f in fields)
    lost = int(
        db.execute(
            f"""SELECT count(*) FROM (SELECT DISTINCT rid, field FROM told WHERE field IN ({names})
            AND (regexp_matches(code, '(emptied|defaulted)$') OR code IN ('type', 'no_consent', 'too_long', 'lossy', 'unmapped_value')))"""
        ).fetchall()[0][0]
    )
    cells = before * len(fields)
    going: Any = round((there - staying) / (after * len(fields)), 4) if after else None
    return {"before": round(min(there + lost, cells) / cells, 4), "after": going}


def _filled(file: Path, fields: list[str]) -> int:
    """By the statistics of the file, which hold how many values are NULL; read where they do not."""
    metadata = pq.read_metadata(file)
    places = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    total = 0
    for name in fields:
        told = [
            statistics.null_count
            for group in range(metadata.num_row_groups if name in places else 0)
            if (statistics := metadata.row_group(group).column(places[name]).statistics) is not None
        ]
        nulls = [n for n in told if n is not None]
        if name in places and len(nulls) == metadata.num_row_groups:
            total += metadata.num_rows - sum(nulls)
        else:
            column = pq.read_table(file, columns=[name])[name]
            total += len(column) - column.null_count
    return total
