"""Circles that merging closes: a row whose parent became part of it would be its own parent, alone or by way of others."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from migrate.duck import literal
from migrate.transform.settle.outcomes import apply_outcome
from migrate.transform.settle.road import Road

CODE = "merge_circle"


def cut_circles(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """The reference with which a row that others became part of leads back to itself is emptied and counted; where it must
    not be empty the row is quarantined. Of a circle one reference is cut. All references are `edge`s by now."""
    for road in roads:
        if road.merging is None:
            continue
        for fld, ref in road.refs.items():
            if road.entity in ref.entities and fld not in road.listed:
                apply_outcome(db, road, fld, "empty_and_flag", CODE, _found(db, road, fld))
                db.execute(
                    f"DELETE FROM edge USING hit h WHERE edge.entity = {literal(road.entity)} "
                    f"AND edge.field = {literal(fld)} AND edge.rid = h.rid"
                )


def _found(db: duckdb.DuckDBPyConnection, road: Road, fld: str) -> str:
    """SELECT rid, item, detail of the rows whose reference closes a circle."""
    name = literal(road.entity)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE up AS SELECT s.rid, s.key, e.parent_key FROM edge e
        JOIN state s ON s.entity = e.entity AND s.rid = e.rid
        WHERE e.entity = {name} AND e.parent = {name} AND e.field = {literal(fld)};
        CREATE OR REPLACE TEMP TABLE walk AS
        WITH RECURSIVE w(start, key) AS (
            SELECT DISTINCT u.key, u.parent_key FROM up u SEMI JOIN merged m ON m.entity = {name} AND m.into_rid = u.rid
            UNION SELECT w.start, u.parent_key FROM w JOIN up u ON u.key = w.key
        ) SELECT * FROM w;
        CREATE OR REPLACE TEMP TABLE closed AS SELECT start FROM walk WHERE key = start;
        """
    )
    return (
        "SELECT u.rid, 0 AS item, 'what was merged into it is above it' AS detail FROM up u SEMI JOIN closed c ON c.start = u.key "
        "WHERE NOT EXISTS (SELECT 1 FROM walk w SEMI JOIN closed d ON d.start = w.key WHERE w.start = u.key AND w.key < u.key)"
    )
