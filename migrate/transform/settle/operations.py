"""insert, update, link, unchanged: known rows by the crosswalk, others by `match` in the proven backup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from migrate.duck import identifier, literal, parquet
from migrate.transform.settle.road import Road, provisional
from migrate.transform.settle.tables import good

CANDIDATES = 5


def decide_operations(db: duckdb.DuckDBPyConnection, road: Road, target: Path | None) -> None:
    """insert, update, link or unchanged: known rows by the crosswalk, others by `match` in the proven backup."""
    name, system = literal(road.entity), literal(road.system)
    if target is None:
        if road.write == "link":
            db.execute(
                f"INSERT INTO bad SELECT {name}, rid, '', 'link_missing', 'the target table is empty' FROM {good(road.entity)}"
            )
        else:
            db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM {good(road.entity)}")
        return
    hash_column = identifier(f"h.{road.entity}")
    untouched = f"(x.target_hash IS NULL OR x.target_hash = t.{hash_column})"
    again = f"CASE WHEN {road.write == 'add_or_update'} AND {untouched} THEN 'recheck' ELSE 'unchanged' END"
    changed = "'update'" if road.write == "add_or_update" else "'changed_since_load'"
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE known AS
        SELECT g.rid, x.target_key AS tkey,
               CASE WHEN t.tkey IS NULL THEN 'target_gone'
                    WHEN {road.write == "link"} THEN 'unchanged'
                    WHEN x.source_hash = g.hash AND x.plan = {road.plan} THEN 'unchanged'
                    WHEN x.source_hash = g.hash AND x.plan = {provisional(road.plan)} THEN {again}
                    WHEN x.target_hash IS NOT NULL AND x.target_hash <> t.{hash_column} THEN 'edited_in_target'
                    ELSE {changed} END AS verdict
        FROM {good(road.entity)} g
        JOIN xw x ON x.system = {system} AND x.entity = {name} AND x.source_key = g.key
        LEFT JOIN {parquet([target])} t ON t.tkey = x.target_key;
        INSERT INTO op SELECT {name}, rid, verdict, tkey, TRUE FROM known WHERE verdict IN ('unchanged', 'update', 'recheck');
        INSERT INTO bad SELECT {name}, rid, '', verdict, '' FROM known WHERE verdict NOT IN ('unchanged', 'update', 'recheck');
        """
    )
    new = f"(SELECT g.* FROM {good(road.entity)} g WHERE g.rid NOT IN (SELECT rid FROM known))"
    if not road.match:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM {new}")
        return
    on = " AND ".join(f"t.{identifier(f'c.{c}')} = r.{identifier(f'__m.{c}')}" for c in road.match)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE matched AS
        SELECT g.rid, count(t.tkey) AS n, min(t.tkey) AS tkey,
               array_to_string((list(t.tkey ORDER BY t.tkey))[1:{CANDIDATES}], ', ') AS candidates
        FROM {new} g JOIN {parquet(road.rows)} r ON r.__rid = g.rid
        LEFT JOIN {parquet([target])} t ON {on}
        GROUP BY g.rid;
        INSERT INTO bad SELECT {name}, rid, '', 'match_ambiguous', 'candidates in the target: ' || candidates
        FROM matched WHERE n > 1;
        """
        if road.rows
        else "CREATE OR REPLACE TEMP TABLE matched(rid BIGINT, n BIGINT, tkey VARCHAR, candidates VARCHAR)"
    )
    found = {"link": "'link'", "add_or_update": "'update'"}.get(road.write)
    if found is None:
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', 'match_conflict', 'is in the target already as ' || tkey FROM matched WHERE n = 1"
        )
    else:
        db.execute(f"INSERT INTO op SELECT {name}, rid, {found}, tkey, FALSE FROM matched WHERE n = 1")
    if road.write == "link":
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', 'link_missing', 'no row in the target matches' FROM matched WHERE n = 0"
        )
    else:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM matched WHERE n = 0")
        db.execute(
            f"""
            INSERT INTO bad SELECT {name}, o.rid, '', 'match_conflict', d.n || ' source rows match target row ' || d.tkey
            FROM op o JOIN (SELECT tkey, count(*) AS n FROM op WHERE entity = {name} AND tkey IS NOT NULL
                            GROUP BY tkey HAVING count(*) > 1 AND bool_or(op = 'update')) d ON d.tkey = o.tkey
            WHERE o.entity = {name} AND NOT o.known;
            """
        )


def one_writer(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Two entities that would update the same target row: neither may, for each would find the other's values."""
    into = ", ".join(f"({literal(r.entity)}, {literal(r.into)})" for r in roads)
    if len({r.into for r in roads}) == len(roads):
        return
    db.execute(
        f"""
        INSERT INTO bad
        SELECT o.entity, o.rid, '', 'match_conflict', 'several entities update target row ' || o.tkey
        FROM op o JOIN (VALUES {into}) i(entity, target) ON i.entity = o.entity
        JOIN (SELECT i2.target, o2.tkey FROM op o2 JOIN (VALUES {into}) i2(entity, target) ON i2.entity = o2.entity
              WHERE o2.op = 'update' GROUP BY ALL HAVING count(DISTINCT o2.entity) > 1) d
          ON d.target = i.target AND d.tkey = o.tkey
        WHERE o.op = 'update'
        """
    )
