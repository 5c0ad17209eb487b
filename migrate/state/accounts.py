"""Every source table and how its rows ended: on roads, left out by a reason, quarantined, beside other rows, or unread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from migrate.connectors.protocol import COUNTED
from migrate.context import Context
from migrate.duck import parquet, workspace
from migrate.ledger.records import JSON
from migrate.mapping.left_behind import left_behind
from migrate.mapping.model import Entity
from migrate.mapping.query import parse_query
from migrate.mapping.road_model import Split
from migrate.mapping.usage import table_maps
from migrate.model import PartRef, Verdict
from migrate.state.left_out import excluded_files
from migrate.state.roads import road_folder, spec_of, split_folder
from migrate.transform.own_columns import BASE
from migrate.transform.roads.shape import read_shaped
from migrate.transform.roads.spec import RoadSpec
from migrate.transform.roads.splitting import chosen, read_counts
from migrate.vault.capture import Rows


def unread_notes(ctx: Context) -> list[str]:
    """Tables with rows that nothing reads and `left_behind` does not name, in words."""
    notes = []
    for source, tables in ctx.plan.unread.items():
        for table, rows in tables.items():
            name = _name(ctx, source, table)
            if rows == 0 or left_behind(ctx.mapping, table, name):
                continue
            notes.append(f"{name} has {_counted(rows)} and nothing reads it")
    return notes


def _counted(rows: int | None) -> str:
    if rows is None:
        return "rows that could not be counted"
    return "1 row" if rows == 1 else f"{'at least ' if rows >= COUNTED else ''}{rows:,} rows"


def _name(ctx: Context, source: str, table: str) -> str:
    return table if len(ctx.mapping.sources) == 1 else f"{source}.{table}"


def accounts(ctx: Context, sources: Mapping[str, Rows]) -> tuple[dict[str, JSON], list[Verdict]]:
    """Per source table ("source.table" where there are several sources) what became of its rows, and for each whose
    rows do not simply lie on roads as they are the verdict that none of them is missing, and none there twice.

    `rows`; `roads`: entity → rows of the table on its road; `excluded`: entity → reason → rows of the road that it leaves
    out; `left_out`: reason → rows and `quarantined`, of a split
    table; `joins`: ENTITY.JOIN → rows, used, unused; `pivots`, `queries`, `maps`: who else reads it; or, of a table
    that nothing reads, `left_behind`: why (else null), and rows no further than COUNTED."""
    found: dict[str, JSON] = {}
    verdicts = []
    specs = {name: spec_of(ctx, name, sources) for name in ctx.entities}
    for source, tables in ctx.plan.source_tables.items():
        for table in tables:
            parts = tuple(sources[source].parts[table])
            account, wrong = _account(ctx, source, table, parts, specs)
            name = _name(ctx, source, table)
            found[name] = account
            verdicts += [] if wrong is None else [_verdict(name, sum(p.rows for p in parts), wrong)]
    for source, others in ctx.plan.unread.items():
        for table, rows in others.items():
            name = _name(ctx, source, table)
            left = left_behind(ctx.mapping, table, name)
            found[name] = {"rows": rows, "left_behind": (left.why or left.decided or "") if left else None}
    return found, verdicts


def with_names(ctx: Context, tables: Mapping[str, JSON]) -> dict[str, JSON]:
    """The same for the eyes of who plans: with the names that pivots met and do not list, the most frequent first."""
    found: dict[str, JSON] = json.loads(json.dumps(tables))
    for account in found.values():
        for kind in ("joins", "pivots"):
            readers = _dict(_dict(account).get(kind))
            for reader, counts in readers.items():
                name, _, join = reader.partition(".")
                shaped = read_shaped(road_folder(ctx, name))
                if shaped is not None and isinstance(counts, dict) and "names" in counts:
                    counts["names"] = (shaped.joins[join] if join else shaped.pivot)["names"]
    return found


def _verdict(name: str, rows: int, wrong: list[str]) -> Verdict:
    return Verdict(
        check=f"table {name}",
        passed=not wrong,
        expected=f"{rows} rows, each on a road, left out by a reason, or quarantined",
        found="; ".join(wrong) or f"{rows} rows of the table accounted for",
        reason="; ".join(wrong),
    )


def _account(
    ctx: Context, source: str, table: str, parts: tuple[PartRef, ...], specs: Mapping[str, RoadSpec]
) -> tuple[dict[str, JSON], list[str] | None]:
    rows = sum(p.rows for p in parts)
    account: dict[str, JSON] = {"rows": rows}
    roads: dict[str, JSON] = {}
    wrong: list[str] | None = None
    split = ctx.mapping.split.get(table)
    split = split if split is not None and split.source == source else None
    for name, spec in specs.items():
        if (spec.entity.source, spec.entity.table) != (source, table):
            continue
        roads[name] = rows
        if not spec.plain:
            roads[name], told = _on_road(ctx, spec, parts, split)
            wrong = (wrong or []) + [f"{name}: {t}" for t in told]
    if roads:
        account["roads"] = roads
        excluded: dict[str, JSON] = {name: reasons for name in roads if (reasons := _excluded(ctx, name))}
        account |= {"excluded": excluded} if excluded else {}
    if split is not None:
        wrong = (wrong or []) + _of_split(ctx, split, rows, account)
    account |= _others(ctx, source, table)
    return account, wrong


def _excluded(ctx: Context, name: str) -> dict[str, JSON]:
    """Reason → rows of an entity's road that it leaves out."""
    files = [path for path in excluded_files(ctx.folder / "transform" / name) if path.exists()]
    if not files:
        return {}
    with workspace(ctx.room("temp")) as db:
        sql = f"SELECT reason, count(*) FROM {parquet(files)} GROUP BY reason ORDER BY reason"
        return {str(reason): int(rows) for reason, rows in db.execute(sql).fetchall()}


def _of_split(ctx: Context, split: Split, rows: int, account: dict[str, JSON]) -> list[str]:
    counts = read_counts(split_folder(ctx, split.table))
    if counts is None:
        return ["where its rows went is no longer known"]
    account |= {"left_out": dict(counts.left_out), "quarantined": counts.quarantined}
    ended = sum(counts.roads.values()) + sum(counts.left_out.values()) + counts.quarantined
    return [] if ended == rows == counts.rows else [f"{ended} of {rows} rows ended somewhere"]


def _on_road(
    ctx: Context, spec: RoadSpec, parts: tuple[PartRef, ...], split: Split | None
) -> tuple[int, list[str]]:
    """Rows of the table that rows of the road were made of, from the road's own files, and what is wrong with them."""
    folder = road_folder(ctx, spec.entity.name)
    shaped = read_shaped(folder)
    if shaped is None:
        return 0, ["its rows are no longer there"]
    if spec.pivot is not None:
        rows = sum(p.rows for p in parts) if split is None else _sent(ctx, split, spec.entity)
        counted = {k: int(v) for k, v in shaped.pivot.items() if isinstance(v, int)}
        ended = sum(counted.values())
        return counted.get("used", 0), [] if ended == rows else [f"{ended} of {rows} rows were looked at"]
    with workspace(ctx.room("temp")) as db:
        _came(ctx, db, spec, parts, split)
        files = [folder / p.path for p in shaped.parts]
        made = parquet(files) if files else f"(SELECT NULL :: BIGINT AS {BASE} LIMIT 0)"
        db.execute(f"CREATE TABLE made AS SELECT DISTINCT {BASE} AS rid FROM {made}")
        missing = _one(db, "SELECT count(*) FROM came ANTI JOIN made USING (rid)")
        strange = _one(db, "SELECT count(*) FROM made ANTI JOIN came USING (rid)")
        rows = _one(db, "SELECT count(*) FROM made")
    told = [f"{missing} rows are missing"] if missing else []
    return rows, told + ([f"{strange} rows came from nowhere"] if strange else [])


def _sent(ctx: Context, split: Split, entity: Entity) -> int:
    counts = read_counts(split_folder(ctx, split.table))
    return counts.roads.get(entity.name, 0) if counts is not None else 0


def _came(
    ctx: Context,
    db: duckdb.DuckDBPyConnection,
    spec: RoadSpec,
    parts: tuple[PartRef, ...],
    split: Split | None,
) -> None:
    """Table `came`: the rows of the table that have to be on the road."""
    db.execute("CREATE TABLE came (rid BIGINT)")
    for rids in _rids(split_folder(ctx, split.table) if split is not None else None, spec, parts, split):
        db.register("incoming", pa.table({"rid": rids}))
        db.execute("INSERT INTO came SELECT rid FROM incoming")
        db.unregister("incoming")


def _rids(
    folder: Path | None, spec: RoadSpec, parts: tuple[PartRef, ...], split: Split | None
) -> Iterator[Any]:
    for ref in parts:
        if folder is None or split is None:
            ordinals = np.arange(ref.rows, dtype=np.int64)
        else:
            ordinals = chosen(folder, split, spec.entity.name, ref)
        yield pa.array((np.int64(ref.index) << 32) + ordinals)


def _others(ctx: Context, source: str, table: str) -> dict[str, JSON]:
    """Who reads the table besides the roads that begin there."""
    known = ctx.ledger.run_facts(ctx.run)
    joins, pivots = _dict(known.get("joins")), _dict(known.get("pivots"))
    mine: dict[str, dict[str, JSON]] = {"joins": {}, "pivots": {}, "queries": {}, "maps": {}}
    for name, entity in ctx.entities.items():
        for join, given in entity.with_.items():
            if (given.source, given.table) == (source, table):
                mine["joins"][f"{name}.{join}"] = joins.get(f"{name}.{join}")
        if entity.pivot is not None and (entity.source, entity.table) == (source, table):
            mine["pivots"][name] = pivots.get(name)
        if entity.query is not None and entity.source == source and table in parse_query(entity.query).tables:
            mine["queries"][name] = None
    for name, (_, of) in table_maps(ctx.entities.values()).items():
        if (of.source, of.table) == (source, table):
            mine["maps"][name] = None
    found: dict[str, JSON] = {}
    for kind, readers in mine.items():
        if readers:
            found[kind] = dict(readers) if kind in ("joins", "pivots") else list(readers)
    return found


def _dict(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, dict) else {}


def _one(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(db.execute(sql).fetchall()[0][0])
