"""Every source row ends in exactly one place: set equality over persisted rows, never counters in memory (F18)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from migrate.context import Context
from migrate.duck import literal, parquet, workspace
from migrate.model import RowBalance, Verdict
from migrate.parts import RID_SHIFT, stream_rows
from migrate.planning import known_table
from migrate.state.left_out import excluded_files
from migrate.state.records import meta_rows
from migrate.state.roads import entity_rows
from migrate.state.standing import target_file


def balance_of(ctx: Context, name: str, expected: Path, crosswalk: Path) -> Verdict:
    """The verdict on one entity; its RowBalance goes to the run's facts.

    `expected`: rows that must be in the target (rid, source_key); they count as loaded only where
    the target's own crosswalk has them under this run.
    """
    parts = entity_rows(ctx, name).parts
    folder = ctx.folder / "transform" / name
    system = ctx.mapping.sources[ctx.mapping.entities[name].source].system
    known = (
        f"(SELECT source_key, run FROM {parquet([crosswalk])} "
        f"WHERE entity = {literal(name)} AND system = {literal(system)})"
    )
    rejects = ctx.folder / "quarantine" / f"{name}.rejects.parquet"
    excluded = excluded_files(folder)
    refused = f"ANTI JOIN {parquet([rejects])} r ON r.rid = s.rid" if rejects.exists() else ""
    ended = [
        *([f"SELECT rid, 'excluded' AS place FROM {parquet(excluded)}"] if excluded else []),
        f"SELECT rid, 'quarantined' AS place FROM {parquet([folder / 'quarantine.parquet'])}",
        *([f"SELECT rid, 'quarantined' AS place FROM {parquet([rejects])}"] if rejects.exists() else []),
        f"SELECT e.rid, 'loaded' AS place FROM {parquet([expected])} e "
        f"SEMI JOIN {known} x ON x.source_key = e.source_key AND x.run = {literal(ctx.run)}",
        f"SELECT s.rid, 'unchanged' AS place FROM {parquet([folder / 'settled.parquet'])} s "
        f"SEMI JOIN {known} x ON x.source_key = s.key ANTI JOIN {parquet([expected])} e ON e.rid = s.rid {refused}",
    ]
    merged = folder / "merged.parquet"
    if merged.exists():
        into = f"SEMI JOIN {known} x ON x.source_key = m.into_key"
        spared = f"ANTI JOIN {parquet([rejects])} r ON r.rid = m.rid" if rejects.exists() else ""
        ended.append(f"SELECT m.rid, 'merged' AS place FROM {parquet([merged])} m {into} {spared}")
    ended += _known(ctx, name, folder, crosswalk)
    came = [f"SELECT {p.index << RID_SHIFT} + i AS rid FROM range({p.rows}) r(i)" for p in parts]
    with workspace(ctx.room("temp")) as db:
        db.execute(f"CREATE TABLE ended AS {' UNION ALL '.join(ended)}")
        db.execute(f"CREATE TABLE came AS {' UNION ALL '.join(came) or 'SELECT 0::BIGINT AS rid LIMIT 0'}")
        places = dict(db.execute("SELECT place, count(*) FROM ended GROUP BY place").fetchall())
        row = db.execute(
            "SELECT (SELECT count(*) FROM (SELECT rid FROM ended GROUP BY rid HAVING count(*) > 1)), "
            "(SELECT count(*) FROM came ANTI JOIN ended USING (rid)), "
            "(SELECT count(*) FROM ended ANTI JOIN came USING (rid))"
        ).fetchone()
        assert row is not None
        twice, nowhere, strange = (int(n) for n in row)
    balance = RowBalance(
        rows_in=sum(p.rows for p in parts),
        loaded=places.get("loaded", 0),
        unchanged=places.get("unchanged", 0),
        merged=places.get("merged", 0),
        quarantined=places.get("quarantined", 0),
        excluded=places.get("excluded", 0),
    )
    others = ctx.ledger.run_facts(ctx.run).get("balances")
    balances = dict(others) if isinstance(others, dict) else {}
    ctx.ledger.put_run_facts(ctx.run, {"balances": {**balances, name: dict(balance.as_json())}})
    reasons = [
        f"{n} rows {word}"
        for n, word in (
            (twice, "ended in two places"),
            (nowhere, "ended nowhere"),
            (strange, "came from nowhere"),
        )
        if n
    ]
    return Verdict(
        check=f"balance {name}",
        passed=balance.balanced and not reasons,
        expected=f"{balance.rows_in} rows",
        found=f"{balance.rows_in - nowhere} rows accounted for",
        reason="; ".join(reasons),
    )


def _known(ctx: Context, name: str, folder: Path, crosswalk: Path) -> list[str]:
    """Where rows ended that are linked to somebody who is known already: as unchanged where that row is in the target,
    and in quarantine where the target refused it."""
    path = folder / "known.parquet"
    if not path.exists():
        return []
    selects = []
    linked = f"(SELECT * FROM {parquet([path])} WHERE outcome = 'link')"
    entity = ctx.mapping.entities[name].known_as
    for place in sorted({known_table(ctx.mapping, t) for t in entity.tables} if entity is not None else ()):
        there = target_file(ctx, place)
        if there.exists():
            selects.append(
                f"SELECT k.rid, 'unchanged' AS place FROM {linked} k SEMI JOIN {parquet([there])} t ON t.tkey = k.tkey "
                f"WHERE k.place = {literal(place)}"
            )
    for parent in ctx.entities:
        system = ctx.mapping.sources[ctx.mapping.entities[parent].source].system
        new = f"SELECT k.rid FROM {linked} k"
        mine = f"k.parent = {literal(parent)} AND k.tkey IS NULL"
        selects.append(
            f"SELECT rid, 'unchanged' AS place FROM ({new} SEMI JOIN {parquet([crosswalk])} x ON x.source_key = k.pkey "
            f"AND x.entity = {literal(parent)} AND x.system = {literal(system)} WHERE {mine})"
        )
        rejects = ctx.folder / "quarantine" / f"{parent}.rejects.parquet"
        if rejects.exists():
            selects.append(
                f"SELECT rid, 'quarantined' AS place FROM ({new} SEMI JOIN {parquet([rejects])} r ON r.rid = k.prid WHERE {mine})"
            )
    return selects


def read_crosswalk(ctx: Context, names_of_run: Callable[[pa.Table], pa.Table]) -> Path:
    """The target's crosswalk, read now, once for all entities, under the names of this run's mapping
    (`names_of_run` puts them there): `verify/crosswalk.parquet`. Looks at nothing but the target."""
    path = ctx.place("verify", "crosswalk.parquet")
    names = ("system", "entity", "source_key", "target_key", "origin", "run")
    texts: list[pa.Field[Any]] = [pa.field(name, pa.string()) for name in names]
    hashes: pa.Field[Any] = pa.field("target_hash", pa.binary())
    schema = pa.schema([*texts, hashes])
    rows = (names_of_run(r) for r in meta_rows(ctx.target, "crosswalk", schema.names))
    stream_rows(rows, path, point="verify.crosswalk", schema=schema)
    return path
