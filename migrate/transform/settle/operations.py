"""insert, update, link, unchanged: known rows by the crosswalk, others by `match` in the proven backup."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from migrate.duck import identifier, literal, parquet
from migrate.transform.settle.in_target import found_in_target
from migrate.transform.settle.match_texts import match_texts, tell_references
from migrate.transform.settle.outcomes import CANDIDATES
from migrate.transform.settle.road import Road, provisional
from migrate.transform.settle.tables import good


def decide_operations(db: duckdb.DuckDBPyConnection, road: Road, target: Path | None) -> None:
    """insert, update, link or unchanged: known rows by the crosswalk, others by `match` in the proven backup."""
    name = literal(road.entity)
    if target is None:
        _all_new(db, road)
        return
    _known(db, road, target)
    new = f"(SELECT g.* FROM {good(road.entity)} g WHERE g.rid NOT IN (SELECT rid FROM known))"
    if not road.match:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM {new}")
        found_in_target(db, road)
        _one_source_row(db, road)
        return
    _match(db, road, target, new)
    _found(db, road)
    if road.inserts:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM matched WHERE n = 0")
    else:
        code, why = _MISSING[road.write]
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', {literal(code)}, {literal(why)} FROM matched WHERE n = 0"
        )
    found_in_target(db, road)
    _one_source_row(db, road)


def _one_source_row(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    """Of several new rows that would be written to one row of the target none is, for each would find another's values."""
    name = literal(road.entity)
    if road.write != "link" and (road.match or road.in_target is not None):
        db.execute(
            f"""
            INSERT INTO bad SELECT {name}, o.rid, '', 'match_conflict', d.n || ' source rows match target row ' || d.tkey
            FROM op o JOIN (SELECT tkey, count(*) AS n FROM op WHERE entity = {name} AND tkey IS NOT NULL
                            GROUP BY tkey HAVING count(*) > 1 AND bool_or(op = 'update')) d ON d.tkey = o.tkey
            WHERE o.entity = {name} AND NOT o.known;
            """
        )


_MISSING = {
    "link": ("link_missing", "no row in the target matches"),
    "update": ("update_missing", "no row in the target matches"),
}


def _all_new(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    """The target table was not looked into: it holds nothing that a row could be."""
    name = literal(road.entity)
    if road.inserts:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM {good(road.entity)}")
    else:
        code = literal(_MISSING[road.write][0])
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', {code}, 'the target table is empty' FROM {good(road.entity)}"
        )


def _known(db: duckdb.DuckDBPyConnection, road: Road, target: Path) -> None:
    """Rows that the crosswalk knows; leaves them in the table `known`."""
    name, system = literal(road.entity), literal(road.system)
    stands = _stands(road)
    edited = f"(x.target_hash IS NOT NULL AND x.target_hash IS DISTINCT FROM {stands})"
    again = f"CASE WHEN {road.updates} AND NOT {edited} THEN 'recheck' ELSE 'unchanged' END"
    changed = "'update'" if road.updates else "'changed_since_load'"
    conflict = {"keep": "'kept'", "overwrite": changed}.get(road.on_conflict, "'edited_in_target'")
    linked = f"({road.write == 'link'} OR ({road.write == 'add_or_link'} AND x.origin = 'link'))"
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE known AS
        SELECT g.rid, x.target_key AS tkey, {linked} AS linked,
               CASE WHEN t.tkey IS NULL THEN 'target_gone'
                    WHEN {linked} THEN 'unchanged'
                    WHEN x.origin = '{FLAGGED}' THEN CASE WHEN {edited} THEN {conflict} ELSE {changed} END
                    WHEN x.source_hash = g.hash AND x.plan = {road.plan} THEN CASE
                        WHEN g.rid IN (SELECT rid FROM turned WHERE entity = {name}) THEN {again} ELSE 'unchanged' END
                    WHEN x.source_hash IN (g.base, g.hash) AND x.plan = {provisional(road.plan)} THEN {again}
                    WHEN {edited} THEN {conflict}
                    ELSE {changed} END AS verdict, {edited} AS edited
        FROM {good(road.entity)} g
        JOIN xw x ON x.system = {system} AND x.entity = {name} AND x.source_key = g.key
        LEFT JOIN {parquet([target])} t ON t.tkey = x.target_key;
        INSERT INTO op SELECT {name}, rid, CASE verdict WHEN 'kept' THEN 'unchanged' ELSE verdict END, tkey, TRUE
        FROM known WHERE verdict IN ('unchanged', 'kept', 'update', 'recheck');
        INSERT INTO bad SELECT {name}, rid, '', verdict, ''
        FROM known WHERE verdict NOT IN ('unchanged', 'kept', 'update', 'recheck');
        INSERT INTO conflict
        SELECT {name}, rid, tkey, CASE verdict WHEN 'kept' THEN 'kept' WHEN 'update' THEN 'overwritten' ELSE 'quarantined' END
        FROM known WHERE edited AND verdict IN ('kept', 'update', 'edited_in_target');
        """
    )


FLAGGED = "flag"  # the crosswalk's `origin` of a row that was flagged as gone: should it come back, it is written anew


def _stands(road: Road) -> str:
    """The hash that a known row's columns have in the target now: those columns that its plan was about."""
    own = f"t.{identifier(f'h.{road.entity}')}"
    cases = [
        f"WHEN x.plan IN ({plan}, {provisional(plan)}) THEN {f't.{identifier(column)}' if column else 'NULL'}"
        for plan, column in road.hashes.items()
    ]
    return f"CASE {' '.join(cases)} ELSE {own} END" if cases else own


def _match(db: duckdb.DuckDBPyConnection, road: Road, target: Path, new: str) -> None:
    """`matched(rid, n, tkey, candidates)`: how many rows of the target each new row matches, and which."""
    if not road.rows:
        db.execute(
            "CREATE OR REPLACE TEMP TABLE matched(rid BIGINT, n BIGINT, tkey VARCHAR, candidates VARCHAR)"
        )
        return
    tell_references(db, road)
    joins, texts, _ = match_texts(road, "r")
    on = " AND ".join(f"t.{identifier(f'c.{c}')} = {text}" for c, text in texts.items())
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE matched AS
        SELECT g.rid, count(t.tkey) AS n, min(t.tkey) AS tkey,
               array_to_string((list(t.tkey ORDER BY t.tkey))[1:{CANDIDATES}], ', ') AS candidates
        FROM {new} g JOIN {parquet(road.rows)} r ON r.__rid = g.rid{joins}
        LEFT JOIN {parquet([target])} t ON {on}
        GROUP BY g.rid;
        INSERT INTO bad SELECT {literal(road.entity)}, rid, '', 'match_ambiguous', 'candidates in the target: ' || candidates
        FROM matched WHERE n > 1;
        """
    )


def _found(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    name = literal(road.entity)
    if road.write == "add":
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', 'match_conflict', 'is in the target already as ' || tkey FROM matched WHERE n = 1"
        )
    else:
        op = "'update'" if road.updates else "'link'"
        db.execute(f"INSERT INTO op SELECT {name}, rid, {op}, tkey, FALSE FROM matched WHERE n = 1")


def leave_to_target(db: duckdb.DuckDBPyConnection, road: Road, target: Path | None) -> None:
    """`moot(entity, rid, field)`: references and lookups that nobody asks about, for what they give is not written:
    those of linked rows, and those that `existing` leaves to a row that is there. `decide_operations` comes before."""
    name = literal(road.entity)
    for fld in [*road.refs, *road.finds]:
        into = f"INSERT INTO moot SELECT {name}, o.rid, {literal(fld)}"
        if road.write == "add_or_link":
            db.execute(f"{into} FROM op o WHERE o.entity = {name} AND o.op = 'link'")
            if target is not None:
                db.execute(f"{into} FROM known o WHERE o.linked AND o.verdict = 'unchanged'")
        if target is not None and road.on_conflict == "keep":
            db.execute(f"{into} FROM known o WHERE o.verdict = 'kept'")
        rule = road.yields.get(fld)
        if rule is None or target is None:
            continue
        filled = f"AND trim(coalesce(t.{identifier(f'c.{fld}')}, '')) <> ''" if rule == "fill_empty" else ""
        db.execute(
            f"{into} FROM op o JOIN {parquet([target])} t ON t.tkey = o.tkey WHERE o.entity = {name} {filled}"
        )
    for table in ("edge", "unresolved"):
        db.execute(
            f"DELETE FROM {table} e USING moot m WHERE e.entity = {name} AND m.entity = e.entity AND m.rid = e.rid AND m.field = e.field"
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
