"""Rows that became part of another one: who refers to them refers to that one, and what becomes of it becomes of them (F13)."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from migrate.duck import identifier, literal, parquet
from migrate.transform.settle.road import Road


def collect_merged(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Table `merged(entity, rid, key, into_rid, into_key)`; references by key are turned."""
    db.execute(
        "CREATE TABLE merged(entity VARCHAR, rid BIGINT, key VARCHAR, into_rid BIGINT, into_key VARCHAR)"
    )
    for road in roads:
        if road.merging is not None:
            db.execute(
                f'INSERT INTO merged SELECT {literal(road.entity)}, rid, key, "into", into_key FROM {parquet([road.merging])}'
            )
    db.execute(
        "UPDATE edge SET parent_key = m.into_key FROM merged m WHERE m.entity = edge.parent AND m.key = edge.parent_key"
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
