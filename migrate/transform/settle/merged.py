"""Rows that became part of another one: who refers to them refers to that one, and what becomes of it becomes of them (F13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from migrate.duck import identifier, literal, parquet
from migrate.transform.settle.road import Road


def parts_that_hold(before: Path, crosswalk: str) -> str:
    """SELECT system, entity, source_key, into_key: what earlier runs merged and is so still. `crosswalk`: a table; it knows
    the row itself, and no later run made the part a row of its own (names of runs are in their order)."""
    same = "{0}.entity = b.entity AND {0}.system = b.system"
    return (
        f"SELECT b.system, b.entity, b.source_key, b.into_key FROM {parquet([before])} b "
        f"SEMI JOIN {crosswalk} x ON {same.format('x')} AND x.source_key = b.into_key "
        f"ANTI JOIN {crosswalk} y ON {same.format('y')} AND y.source_key = b.source_key AND y.run > b.run"
    )


def collect_merged(
    db: duckdb.DuckDBPyConnection, roads: Sequence[Road], systems: Mapping[str, str], before: Path | None
) -> None:
    """Table `merged(entity, rid, key, into_rid, into_key)`; references by key are turned, and `turned(entity, rid)` are
    rows of which one was turned away from another row of the target, which people made part of its like.

    `before`: what earlier runs merged, which holds also of rows that are no longer there. A row that stands for one
    that it is part of, because that is gone, is under both keys, and no part of itself."""
    db.execute(
        "CREATE TABLE merged(entity VARCHAR, rid BIGINT, key VARCHAR, into_rid BIGINT, into_key VARCHAR); "
        "CREATE TABLE turned(entity VARCHAR, rid BIGINT)"
    )
    for road in roads:
        if road.merging is not None:
            db.execute(
                f'INSERT INTO merged SELECT {literal(road.entity)}, rid, key, "into", into_key FROM {parquet([road.merging])}'
            )
    ours = ", ".join(f"({literal(e)}, {literal(s)})" for e, s in systems.items()) or "(NULL, NULL)"
    earlier = (
        f"SELECT h.entity, h.source_key AS key, h.into_key FROM ({parts_that_hold(before, 'xw')}) h "
        f"JOIN (VALUES {ours}) o(entity, system) ON o.entity = h.entity AND o.system = h.system"
        if before is not None
        else "SELECT NULL::VARCHAR AS entity, NULL::VARCHAR AS key, NULL::VARCHAR AS into_key LIMIT 0"
    )
    db.execute(
        f"""
        CREATE TEMP TABLE merged_before AS {earlier};
        INSERT INTO turned SELECT DISTINCT e.entity, e.rid FROM edge e
        JOIN merged m ON m.entity = e.parent AND m.key = e.parent_key
        JOIN (VALUES {ours}) o(entity, system) ON o.entity = m.entity
        SEMI JOIN xw x ON x.entity = m.entity AND x.system = o.system AND x.source_key = m.key
        ANTI JOIN merged_before b ON b.entity = m.entity AND b.key = m.key;
        UPDATE edge SET parent_key = m.into_key FROM merged m WHERE m.entity = edge.parent AND m.key = edge.parent_key;
        DELETE FROM merged WHERE rid = into_rid;
        UPDATE edge SET parent_key = b.into_key FROM merged_before b WHERE b.entity = edge.parent AND b.key = edge.parent_key;
        """
    )


def names_of_merged(road: Road, how: str) -> str:
    """SELECT value, rid and key under which the rows that became part of others are looked for: those of the others."""
    column = identifier(how)
    return (
        f'SELECT DISTINCT u.{column} AS value, m."into" AS rid, m.into_key AS key FROM {parquet(road.unmerged)} u '
        f"JOIN {parquet([road.merging])} m ON m.rid = u.__rid WHERE u.{column} IS NOT NULL"
        if road.merging is not None
        else "SELECT NULL::VARCHAR AS value, NULL::BIGINT AS rid, NULL::VARCHAR AS key LIMIT 0"
    )


def share_fates(db: duckdb.DuckDBPyConnection) -> None:
    """A survivor that is quarantined, or left out with its parent, takes the rows along that are part of it. Last of all."""
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE along AS
        SELECT m.* FROM merged m SEMI JOIN bad b ON b.entity = m.entity AND b.rid = m.into_rid;
        INSERT INTO state SELECT entity, rid, key, NULL, NULL FROM along;
        INSERT INTO bad SELECT entity, rid, '', 'merged_quarantined', 'the row that it is part of is quarantined' FROM along;
        INSERT INTO left_out SELECT m.entity, m.rid, m.key, l.reason
        FROM merged m JOIN left_out l ON l.entity = m.entity AND l.rid = m.into_rid;
        DELETE FROM merged m USING along a WHERE a.entity = m.entity AND a.rid = m.rid;
        DELETE FROM merged m USING left_out l WHERE l.entity = m.entity AND l.rid = m.rid;
        """
    )
