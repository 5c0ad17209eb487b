"""New rows that `duplicates` found in the target: never inserted a second time."""

from __future__ import annotations

import duckdb

from migrate.duck import literal, parquet
from migrate.transform.settle.road import Road

SKIPPED = "in_target"  # reason of rows that are left out because the target has them


def found_in_target(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    """What becomes of rows that would be new and that the target has: one of them is that row; of several none is taken (P3)."""
    if road.in_target is None:
        return
    name, then = literal(road.entity), road.in_target.then
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE met AS SELECT a.* FROM {parquet([road.in_target.path])} a
        SEMI JOIN op o ON o.entity = {name} AND o.rid = a.rid AND o.op = 'insert';
        INSERT INTO bad SELECT {name}, rid, '', 'match_ambiguous', 'candidates in the target: ' || candidates FROM met WHERE n > 1;
        DELETE FROM op USING met m WHERE op.entity = {name} AND op.rid = m.rid AND m.n > 1;
        """
    )
    if then in ("update", "link"):
        db.execute(
            f"UPDATE op SET op = {literal(then)}, tkey = m.tkey FROM met m WHERE op.entity = {name} AND op.rid = m.rid AND m.n = 1"
        )
    elif then == "skip":
        db.execute(
            f"""
            INSERT INTO left_out SELECT {name}, m.rid, s.key, '{SKIPPED}' FROM met m
            JOIN state s ON s.entity = {name} AND s.rid = m.rid WHERE m.n = 1;
            INSERT INTO gone SELECT {name}, m.rid, s.key FROM met m
            JOIN state s ON s.entity = {name} AND s.rid = m.rid WHERE m.n = 1;
            DELETE FROM state USING met m WHERE state.entity = {name} AND state.rid = m.rid AND m.n = 1;
            DELETE FROM edge USING met m WHERE edge.entity = {name} AND edge.rid = m.rid AND m.n = 1;
            DELETE FROM unresolved USING met m WHERE unresolved.entity = {name} AND unresolved.rid = m.rid AND m.n = 1;
            DELETE FROM op USING met m WHERE op.entity = {name} AND op.rid = m.rid AND m.n = 1;
            """
        )
    else:
        db.execute(
            f"""
            INSERT INTO bad SELECT {name}, rid, '', 'duplicate_in_target', 'is in the target already as ' || tkey FROM met WHERE n = 1;
            DELETE FROM op USING met m WHERE op.entity = {name} AND op.rid = m.rid AND m.n = 1;
            """
        )
