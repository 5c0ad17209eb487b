"""Settle every row's fate: what can only be decided over whole tables.

Per part, `apply` has computed values and each row's own reasons. Here, out of core in DuckDB, come
keys that are not unique, `unique` checks, rows already known or found in the target, lookups, and
references with their cascade to a fixpoint. Nothing here knows a database: input and output are
Parquet files. Every row ends in exactly one of settled or quarantine.

Files read, per entity (see `migrate.transform.apply`): rows, reasons, excluded. `__m.COLUMN` in rows
is the canonical text of a match value. Target files, per target table: `tkey` (JSON), `row_hash`,
`c.COLUMN` canonical texts, `h.ENTITY` hash of the columns that the entity's values hold in rows that are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from migrate import failpoints
from migrate.duck import count, literal, workspace
from migrate.durable import atomic_file
from migrate.transform.settle.doubles import one_row_per_match
from migrate.transform.settle.operations import decide_operations, leave_to_target, one_writer
from migrate.transform.settle.references import resolve_lookups, resolve_references
from migrate.transform.settle.road import Road, Settled, Stranger, provisional
from migrate.transform.settle.tables import collect, doubles_among, keys_and_uniques, strangers_among

__all__ = ["Road", "Settled", "Stranger", "provisional", "settle"]


def settle(
    roads: Sequence[Road],
    *,
    systems: Mapping[str, str],
    runs: Sequence[str] = (),
    crosswalk: Path | None,
    targets: Mapping[str, Path],
    out: Path,
    temp: Path,
) -> Settled:
    """Decide all rows of all `roads` and write `out/ENTITY/{settled,quarantine,patches,events}.parquet`.

    `systems`: entity → source system, also of entities that have no road in this run but whose rows an
    earlier run may have loaded. `runs`: earlier runs of this mapping.

    settled: rid, key, hash, op (insert|update|link|unchanged), tkey (JSON or null), known.
    quarantine: rid, key, fields, codes, details (lists). patches: rid, field, value (text or null):
    what replaces a reference or a lookup. events: rid, field, code, original.
    """
    with workspace(temp) as db:
        collect(db, roads, crosswalk)
        doubles = doubles_among(db, systems)
        strangers = strangers_among(db, roads, systems, runs)
        if strangers or doubles:
            return Settled({}, {}, {}, (), strangers, doubles)
        for road in roads:
            keys_and_uniques(db, road)
        # What `unique` emptied refers to nothing and looks up nothing any more.
        db.execute(
            "DELETE FROM edge e USING patch p WHERE p.entity = e.entity AND p.rid = e.rid AND p.field = e.field"
        )
        for road in roads:
            decide_operations(db, road, targets.get(road.into))
            leave_to_target(db, road, targets.get(road.into))
            resolve_lookups(db, road, targets)
        one_writer(db, roads)
        one_row_per_match(db, roads)
        resolve_references(db, roads, targets, systems)
        return _write(db, roads, out)


def _write(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], out: Path) -> Settled:
    quarantined: dict[str, int] = {}
    kept: dict[str, int] = {}
    operations: dict[str, dict[str, int]] = {}
    for road in roads:
        name = literal(road.entity)
        folder = out / road.entity
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        bad = f"SELECT DISTINCT rid FROM bad WHERE entity = {name}"
        selects = {
            "settled": f"""SELECT o.rid, s.key, s.hash, o.op, o.tkey, o.known FROM op o
                JOIN state s ON s.entity = o.entity AND s.rid = o.rid
                WHERE o.entity = {name} AND o.rid NOT IN ({bad}) ORDER BY o.rid""",
            "quarantine": f"""SELECT b.rid, any_value(s.key) AS key, list(b.field ORDER BY b.field, b.code) AS fields,
                list(b.code ORDER BY b.field, b.code) AS codes, list(b.detail ORDER BY b.field, b.code) AS details
                FROM (SELECT DISTINCT entity, rid, field, code, detail FROM bad WHERE entity = {name}) b
                LEFT JOIN state s ON s.entity = b.entity AND s.rid = b.rid GROUP BY b.rid ORDER BY b.rid""",
            "patches": f"""SELECT rid, field, CASE WHEN bool_or(value IS NULL) THEN NULL ELSE any_value(value) END AS value FROM patch
                WHERE entity = {name} AND rid NOT IN ({bad}) GROUP BY rid, field ORDER BY rid, field""",
            "events": f"SELECT rid, field, code, original FROM event WHERE entity = {name} ORDER BY rid, field, code",
        }
        for file, select in selects.items():
            with atomic_file(folder / f"{file}.parquet", point="transform.settled") as temporary:
                db.execute(f"COPY ({select}) TO {literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd)")
            failpoints.hit(f"transform.settled.{file}")
        quarantined[road.entity] = count(db, f"SELECT count(DISTINCT rid) FROM bad WHERE entity = {name}")
        operations[road.entity] = dict(
            db.execute(
                f"SELECT op, count(*) FROM op WHERE entity = {name} AND rid NOT IN ({bad}) GROUP BY op ORDER BY op"
            ).fetchall()
        )
        kept[road.entity] = count(db, f"SELECT count(*) FROM state WHERE entity = {name}")
    stops = tuple(row[0] for row in db.execute("SELECT text FROM stop ORDER BY text").fetchall())
    return Settled(quarantined, kept, operations, stops)
