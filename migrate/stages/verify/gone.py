"""Rows that are gone at the source: each known row is accounted for, and what was to be done with the gone ones is done.

Told from the target as it stands now. A row that was to go and is still there was kept by the load, for a row refers to
it or somebody changed it meanwhile; that is no failure, and it is counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from migrate import canon
from migrate.connectors.protocol import Target
from migrate.context import Context
from migrate.duck import count, literal, parquet, workspace
from migrate.model import Table, Verdict
from migrate.planning import identity_of, state_columns
from migrate.state.gone import NOT_SO, gone_file, gone_rows, keep_ends
from migrate.state.left_out import excluded_files
from migrate.state.proven import known_crosswalk
from migrate.transform.settle import FLAGGED


def gone_of(
    ctx: Context, target: Target, name: str, table: Table, found: Path, crosswalk: Path
) -> list[Verdict]:
    """The verdict on one entity, where earlier runs loaded rows of it; what became of gone rows goes to the run's facts.

    `found`: the target table as it stands, `crosswalk`: the target's own, both read by this verification."""
    before = known_crosswalk(ctx)
    facts = ctx.ledger.run_facts(ctx.run).get("gone")
    if before is None or not isinstance(facts, dict) or name not in facts:
        return []
    ended, wrong = _ends(ctx, target, name, table, found, crosswalk)
    keep_ends(ctx.folder, name, ended)
    ends = Counter(end for end in ended.values() if end != NOT_SO)
    known, nowhere = _accounted(ctx, name, before)
    told = facts[name]
    ctx.ledger.put_run_facts(
        ctx.run, {"gone": {**facts, name: {**(told if isinstance(told, dict) else {}), "ended": dict(ends)}}}
    )
    wrong += [f"{nowhere} loaded rows are neither there, nor left out, nor gone"] if nowhere else []
    return [
        Verdict(
            check=f"verify gone {name}",
            passed=not wrong,
            expected=f"{known} rows of earlier runs accounted for",
            found="; ".join(wrong) or f"{known - nowhere} rows of earlier runs accounted for",
            reason="; ".join(wrong),
        )
    ]


def _ends(
    ctx: Context, target: Target, name: str, table: Table, found: Path, crosswalk: Path
) -> tuple[dict[str, str], list[str]]:
    """Source key → how it ended: deleted, flagged, or why the row was kept; and what is wrong with any."""
    gone = gone_file(ctx, name)
    ends: dict[str, str] = {}
    if not gone.exists():
        return ends, []
    system, _ = identity_of(ctx.mapping, name)
    with workspace(ctx.room("temp"), on_disk=False) as db:
        rows = db.execute(
            f"""
            SELECT g.key, g.verdict, g.tkey, x.source_key IS NOT NULL, f.key IS NOT NULL,
                   x.origin = {literal(FLAGGED)} AND x.run = {literal(ctx.run)}, f.owned IS NOT DISTINCT FROM x.target_hash
            FROM {parquet([gone])} g
            LEFT JOIN (SELECT * FROM {parquet([crosswalk])} WHERE entity = {literal(name)} AND system = {literal(system)}) x
                ON x.source_key = g.key
            LEFT JOIN {parquet([found])} f ON f.key = g.tkey
            """
        ).fetchall()
    wrong: Counter[str] = Counter()
    asked: dict[str, str] = {}
    for key, verdict, tkey, known, there, flagged, same in rows:
        if verdict == "delete" and known:
            asked[key] = tkey
        elif verdict == "delete":
            ends[key] = NOT_SO if there else "deleted"
            wrong["rows were deleted and are in the target all the same"] += there
        elif verdict == "flag" and flagged:
            well = there and same
            ends[key] = "flagged" if well else NOT_SO
            wrong["rows were flagged and do not stand so"] += not well
        else:
            ends[key] = "target_changed" if verdict == "flag" else verdict
    why = _kept_why(ctx, target, name, table, sorted(set(asked.values())))
    ends |= {key: why.get(tkey, "target_gone") for key, tkey in asked.items()}
    return ends, [f"{n} {what}" for what, n in (+wrong).items()]


def _kept_why(ctx: Context, target: Target, name: str, table: Table, tkeys: list[str]) -> dict[str, str]:
    """Target key → why, of rows that were to be deleted and are known still: a row refers to them, or they changed since it
    was decided. Those that are not there are not in it."""
    if not tkeys:
        return {}
    gone = gone_rows(ctx, name, "delete")
    hashes = dict(zip(gone["tkey"].to_pylist(), gone["row_hash"].to_pylist(), strict=True))
    parts = list(zip(*(json.loads(k) for k in tkeys), strict=True))
    keys: dict[str, pa.Array[Any]] = {
        column: canon.from_text(pa.array(list(texts), pa.string()), table.column(column).type)
        for column, texts in zip(table.primary_key, parts, strict=True)
    }
    transaction = target.begin()
    try:
        found = transaction.fetch(table, table.primary_key, pa.table(keys), list(table.column_names))
    finally:
        transaction.rollback()
    now = canon.as_binary(canon.row_hashes(found, table.types, state_columns(ctx.mapping, table))).to_pylist()
    names = canon.source_keys(found, table.primary_key, table.types).to_pylist()
    return {
        str(key): "referenced" if stands == hashes[str(key)] else "target_changed"
        for key, stands in zip(names, now, strict=True)
    }


def _accounted(ctx: Context, name: str, before: Path) -> tuple[int, int]:
    """Entries that the crosswalk had before this run, and those that no row, rule or list of gone rows accounts for."""
    folder = ctx.folder / "transform" / name
    system, _ = identity_of(ctx.mapping, name)
    bare = "->>'$[0]'" if ctx.entities[name].key_is_content else ""
    ended = [
        f"SELECT key FROM {parquet([folder / f'{place}.parquet'])}" for place in ("settled", "quarantine")
    ]
    if gone_file(ctx, name).exists():
        ended.append(f"SELECT key FROM {parquet([gone_file(ctx, name)])}")
    files = excluded_files(folder)
    left = (
        f"SELECT key{bare} AS key FROM {parquet(files)}" if files else "SELECT NULL::VARCHAR AS key LIMIT 0"
    )
    mine = (
        f"(SELECT * FROM {parquet([before])} WHERE entity = {literal(name)} AND system = {literal(system)})"
    )
    with workspace(ctx.room("temp"), on_disk=False) as db:
        known = count(db, f"SELECT count(*) FROM {mine}")
        nowhere = count(
            db,
            f"SELECT count(*) FROM {mine} x ANTI JOIN ({' UNION ALL '.join(ended)}) e ON e.key = x.source_key "
            f"ANTI JOIN ({left}) l ON l.key = x.source_key{bare}",
        )
    return known, nowhere
