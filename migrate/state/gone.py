"""Rows that earlier runs loaded and whose source row is gone: which they are, and what the mapping has done with them.

Gone is what the crosswalk knows and the whole snapshot does not have. A row that is there but set aside (quarantine)
or left out by a rule (`where`) is not gone; one that people made part of another one is, for it is no row of its own. `transform/ENTITY/gone.parquet`: key (source key), tkey, verdict,
row_hash (as the last writer left the row), stands (as it was when the target was backed up). Verdicts:

flag, delete: to be done. keep: the mapping keeps it. Kept though the mapping says otherwise: flagged (an earlier run
did), linked and not_ours (we did not add it), edited, referenced (rows of the source still refer to it), shared
(another source row is known as this target row), target_gone, key_unknown (a row of the source has no readable key,
and might be it).

`verify/ENTITY.gone.parquet`: key and `ended`, how it stood with the row when the run was verified: deleted, flagged, or the
verdict by which it was kept, also one found at the load (referenced, target_gone, target_changed).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.duck import count, literal, parquet, workspace
from migrate.errors import GateClosed
from migrate.ledger.records import JSON
from migrate.mapping.model import Entity
from migrate.parts import stream_rows, write_rows
from migrate.planning import identity_of, limit_of_gone
from migrate.state.left_out import excluded_files
from migrate.state.ours import Written, added_by_us
from migrate.state.records import meta_rows
from migrate.state.standing import target_file
from migrate.transform.settle import FLAGGED

ACTED = ("flag", "delete")
_ROWS: list[pa.Field[Any]] = [
    pa.field("key", pa.string()),
    pa.field("tkey", pa.string()),
    pa.field("verdict", pa.string()),
    pa.field("row_hash", pa.binary()),
    pa.field("stands", pa.binary()),
]
SCHEMA = pa.schema(_ROWS)
_ENDED: list[pa.Field[Any]] = [pa.field("key", pa.string()), pa.field("ended", pa.string())]
NOT_SO = "not_as_decided"  # verification found the row otherwise, and said so


def gone_file(ctx: Context, name: str) -> Path:
    return ctx.folder / "transform" / name / "gone.parquet"


def gone_rows(ctx: Context, name: str, *verdicts: str) -> pa.Table:
    """Gone rows of an entity with one of these verdicts (all without any), in order of their keys."""
    path = gone_file(ctx, name)
    if not path.exists():
        return SCHEMA.empty_table()
    rows = pq.read_table(path)
    return rows.filter(pc.is_in(rows["verdict"], pa.array(verdicts))) if verdicts else rows


def keep_ends(folder: Path, name: str, ends: Mapping[str, str]) -> None:
    """`folder`: the run's; `ends`: source key → how it ended."""
    keys: list[Any] = list(ends)
    table = pa.table(
        [pa.array(keys, pa.string()), pa.array([ends[k] for k in keys], pa.string())],
        schema=pa.schema(_ENDED),
    )
    write_rows(table, _ends_file(folder, name), point="verify.gone")


def ends_of(folder: Path, name: str) -> dict[str, str]:
    """What `keep_ends` kept; nothing of a run that has not been verified."""
    path = _ends_file(folder, name)
    if not path.exists():
        return {}
    return {str(r["key"]): str(r["ended"]) for r in pq.read_table(path).to_pylist()}


def how_it_ended(state: str, decided: str, ended: str | None) -> str | None:
    """Of a gone row of a run in this state: what a rollback took back is undone, but not what an earlier run did."""
    taken_back = state == "rolled_back" and decided in ACTED and ended in ("flagged", "deleted")
    return "undone" if taken_back else ended


def _ends_file(folder: Path, name: str) -> Path:
    return folder / "verify" / f"{name}.gone.parquet"


def decide_gone(ctx: Context, crosswalk: Path | None) -> dict[str, Any]:
    """Write `gone.parquet` of every entity that earlier runs loaded rows of; returns the run's facts about them.

    After all rows of this run are settled. `crosswalk`: as it stood in the snapshot of the target's backup."""
    for name in ctx.entities:
        gone_file(ctx, name).unlink(missing_ok=True)
    facts: dict[str, Any] = {}
    if crosswalk is None:
        return facts
    tables = _tables(ctx)
    with workspace(ctx.room("temp")) as db:
        db.execute(f"CREATE VIEW xw AS SELECT * FROM {parquet([crosswalk])}")
        db.execute(
            "CREATE TABLE lost(entity VARCHAR, key VARCHAR, tkey VARCHAR, origin VARCHAR, run VARCHAR, row_hash BLOB)"
        )
        known = {name: _collect(ctx, db, name) for name in ctx.entities}
        for name, counts in known.items():
            if not counts["known"]:
                continue
            _judge(ctx, db, name, tables)
            rows = db.sql(
                "SELECT key, tkey, verdict, row_hash, stands FROM judged ORDER BY key"
            ).to_arrow_table()
            stream_rows(
                [_ours_only(ctx, db, name, rows)], gone_file(ctx, name), point="transform.gone", schema=SCHEMA
            )
            facts[name] = {**counts, **_verdicts(gone_rows(ctx, name))}
    return facts


def refuse_too_many(ctx: Context, facts: Mapping[str, Any]) -> None:
    """More rows than policy allows would be flagged or deleted: an export that was cut off looks like that. Raises
    GateClosed."""
    for name, told in facts.items():
        acting, limit = (
            sum(int(told.get(v, 0)) for v in ACTED),
            limit_of_gone(ctx.mapping, ctx.entities[name]),
        )
        if acting > int(limit * told["live"] + 1e-9):
            raise GateClosed(
                f"{acting} of {told['live']} loaded rows are gone at the source ({acting / told['live']:.1%}), and on_gone would "
                f"{ctx.entities[name].on_gone.then} them: the limit is {limit:.1%}",
                where=name,
                kept="Nothing was loaded; the backups are kept.",
                hint=f"Look whether the source is whole (`migrate gone {ctx.run}` lists the rows); if they are really gone, "
                "set max_gone, or say on_gone: keep.",
            )


def _verdicts(rows: pa.Table) -> dict[str, JSON]:
    counted = rows.group_by("verdict").aggregate([([], "count_all")]).to_pylist()
    found: dict[str, JSON] = {"gone": rows.num_rows}
    return found | {
        str(r["verdict"]): int(r["count_all"]) for r in sorted(counted, key=lambda r: str(r["verdict"]))
    }


def _tables(ctx: Context) -> dict[tuple[str, str], set[str]]:
    """(system, entity) → the target tables that its rows went to, of all mappings as far as the target knows."""
    found: dict[tuple[str, str], set[str]] = {}
    for rows in meta_rows(ctx.target, "placed"):
        for row in rows.to_pylist():
            found.setdefault((row["system"], row["entity"]), set()).add(row["target_table"])
    for name, entity in ctx.mapping.entities.items():
        found.setdefault(identity_of(ctx.mapping, name), set()).add(entity.into)
    return found


def _collect(ctx: Context, db: duckdb.DuckDBPyConnection, name: str) -> dict[str, int]:
    """Rows of an entity that are gone into `lost`; how many are known, left out by a rule, and live (known, not only
    linked, not flagged before)."""
    entity, folder = ctx.entities[name], ctx.folder / "transform" / name
    system, _ = identity_of(ctx.mapping, name)
    mine = f"(SELECT * FROM xw WHERE system = {literal(system)} AND entity = {literal(name)})"
    there = f"SELECT key FROM {parquet([folder / 'settled.parquet'])} UNION ALL SELECT key FROM {parquet([folder / 'quarantine.parquet'])}"
    # Of equal rows the number is not in the key of one that a rule left out.
    bare = "->>'$[0]'" if entity.key_is_content else ""
    files = excluded_files(folder)
    left = (
        f"SELECT key{bare} AS key FROM {parquet(files)}" if files else "SELECT NULL::VARCHAR AS key LIMIT 0"
    )
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE absent AS
        SELECT x.* FROM {mine} x ANTI JOIN ({there}) s ON s.key = x.source_key;
        INSERT INTO lost SELECT {literal(name)}, x.source_key, x.target_key, x.origin, x.run, x.row_hash
        FROM absent x ANTI JOIN ({left}) e ON e.key = x.source_key{bare};
        """
    )
    absent, gone = (
        count(db, "SELECT count(*) FROM absent"),
        count(db, f"SELECT count(*) FROM lost WHERE entity = {literal(name)}"),
    )
    return {
        "known": count(db, f"SELECT count(*) FROM {mine}"),
        "live": count(db, f"SELECT count(*) FROM {mine} WHERE origin NOT IN ('link', {literal(FLAGGED)})"),
        "left_out": absent - gone,
    }


def _judge(
    ctx: Context, db: duckdb.DuckDBPyConnection, name: str, tables: Mapping[tuple[str, str], set[str]]
) -> None:
    """`judged`: every gone row of an entity with its verdict, as far as files tell."""
    entity, folder = ctx.entities[name], ctx.folder / "transform" / name
    unknown = _unreadable(ctx, db, name)
    _others(ctx, db, entity, tables)
    pointed = folder / "pointed.parquet"
    refers = parquet([pointed]) if pointed.exists() else "(SELECT NULL::VARCHAR AS key LIMIT 0)"
    then = entity.on_gone.then
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE judged AS
        SELECT l.key, l.tkey, l.origin, l.run, l.row_hash, t.row_hash AS stands, CASE
            WHEN t.tkey IS NULL THEN 'target_gone'
            WHEN {literal(then)} = 'keep' THEN 'keep'
            WHEN l.origin = 'link' THEN 'linked'
            WHEN {literal(then)} = 'flag' AND l.origin = {literal(FLAGGED)} THEN 'flagged'
            WHEN {unknown} > 0 THEN 'key_unknown'
            WHEN o.tkey IS NOT NULL THEN 'shared'
            WHEN {literal(then)} = 'flag' THEN 'flag'
            WHEN l.row_hash IS NULL OR l.row_hash IS DISTINCT FROM t.row_hash THEN 'edited'
            WHEN p.key IS NOT NULL THEN 'referenced'
            ELSE 'delete' END AS verdict
        FROM (SELECT * FROM lost WHERE entity = {literal(name)}) l
        LEFT JOIN {parquet([target_file(ctx, entity.into)])} t ON t.tkey = l.tkey
        LEFT JOIN (SELECT DISTINCT tkey FROM others) o ON o.tkey = l.tkey
        LEFT JOIN {refers} p ON p.key = l.key
        """
    )


def _unreadable(ctx: Context, db: duckdb.DuckDBPyConnection, name: str) -> int:
    """Rows of this run whose key nobody can read, or of which a part is an empty text that no earlier run knew."""
    folder, (system, _) = ctx.folder / "transform" / name, identity_of(ctx.mapping, name)
    quarantined = parquet([folder / "quarantine.parquet"])
    known = f"(SELECT source_key FROM xw WHERE system = {literal(system)} AND entity = {literal(name)})"
    return count(
        db,
        f"""SELECT (SELECT count(*) FROM {quarantined} WHERE key IS NULL)
        + (SELECT count(*) FROM (SELECT key FROM {quarantined} UNION ALL SELECT key FROM {parquet([folder / "settled.parquet"])}) k
           ANTI JOIN {known} x ON x.source_key = k.key WHERE k.key LIKE '%""%')""",
    )


def _others(
    ctx: Context, db: duckdb.DuckDBPyConnection, entity: Entity, tables: Mapping[tuple[str, str], set[str]]
) -> None:
    """`others(tkey)`: rows of the entity's table that a source row which is not gone stands for: by the crosswalk, or
    found by `match` in this run. What another mapping loaded into nobody knows which table counts as well."""
    elsewhere = [pair for pair, names in tables.items() if entity.into not in names]
    pairs = ", ".join(f"({literal(s)}, {literal(e)})" for s, e in elsewhere) or "(NULL, NULL)"
    ours = ", ".join(f"({literal(identity_of(ctx.mapping, n)[0])}, {literal(n)})" for n in ctx.entities)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE others AS
        SELECT x.target_key AS tkey FROM xw x
        SEMI JOIN (SELECT tkey FROM lost) c ON c.tkey = x.target_key
        ANTI JOIN (SELECT * FROM (VALUES {pairs}) v(system, entity)) w ON w.system = x.system AND w.entity = x.entity
        ANTI JOIN (SELECT l.key, o.system, l.entity FROM lost l JOIN (VALUES {ours}) o(system, entity) ON o.entity = l.entity) g
            ON g.system = x.system AND g.entity = x.entity AND g.key = x.source_key
        """
    )
    for name, other in ctx.entities.items():
        if other.into == entity.into:
            settled = ctx.folder / "transform" / name / "settled.parquet"
            db.execute(f"INSERT INTO others SELECT tkey FROM {parquet([settled])} WHERE tkey IS NOT NULL")


def _ours_only(ctx: Context, db: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> pa.Table:
    """Of the rows to delete those that we added; the others are not_ours."""
    found = db.execute("SELECT key, origin, run, tkey FROM judged WHERE verdict = 'delete'").fetchall()
    entries = {key: Written(origin, run, tkey) for key, origin, run, tkey in found}
    strangers = pa.array(sorted(entries.keys() - added_by_us(ctx.target, entries)), pa.string())
    verdicts = pc.if_else(
        pc.is_in(rows["key"].combine_chunks(), strangers), "not_ours", rows["verdict"].combine_chunks()
    )
    return rows.set_column(rows.column_names.index("verdict"), "verdict", verdicts)
