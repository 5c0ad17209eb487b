"""Only some rows may be written: those that were corrected, and those that waited for them (F14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from migrate.duck import literal, parquet
from migrate.transform.settle.road import Road


@dataclass(frozen=True)
class Scope:
    """`held`: entity, key, field, code, detail of rows that stay in quarantine as they were. `free`: entity and key of
    rows that may be written. All other rows stay as they are."""

    held: Path
    free: Path


def hold_back(db: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Rows that nobody corrected keep the reasons that they had. Before anything else is decided."""
    db.execute(
        f"""
        CREATE TABLE free AS SELECT DISTINCT entity, key FROM {parquet([scope.free])};
        CREATE TABLE held AS SELECT s.entity, s.rid, h.field, h.code, h.detail
        FROM {parquet([scope.held])} h JOIN state s ON s.entity = h.entity AND s.key = h.key;
        INSERT INTO bad SELECT * FROM held;
        """
    )


def stand_still(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Known rows that are not free are unchanged, whatever their own or others' values would make of them now; what
    would be wrong with them is no longer asked. Rows that the target has lost are told as such. Operations are decided
    before, references after it."""
    systems = ", ".join(f"({literal(r.entity)}, {literal(r.system)})" for r in roads)
    db.execute(
        f"""
        CREATE TABLE writable AS
        SELECT s.entity, s.rid FROM state s SEMI JOIN free f ON f.entity = s.entity AND f.key = s.key
        UNION SELECT m.entity, m.into_rid FROM merged m SEMI JOIN free f ON f.entity = m.entity AND f.key = m.key;
        CREATE TABLE still AS
        SELECT s.entity, s.rid, any_value(x.target_key) AS tkey FROM state s
        JOIN (VALUES {systems}) y(entity, system) ON y.entity = s.entity
        JOIN xw x ON x.system = y.system AND x.entity = s.entity AND x.source_key = s.key
        ANTI JOIN writable w ON w.entity = s.entity AND w.rid = s.rid
        ANTI JOIN (SELECT entity, rid FROM held UNION ALL SELECT entity, rid FROM bad WHERE code = 'target_gone') b
            ON b.entity = s.entity AND b.rid = s.rid
        GROUP BY s.entity, s.rid;
        """
    )
    for table in ("bad", "op", "edge", "unresolved", "patch", "conflict"):
        db.execute(f"DELETE FROM {table} t USING still s WHERE s.entity = t.entity AND s.rid = t.rid")
    db.execute("INSERT INTO op SELECT entity, rid, 'unchanged', tkey, TRUE FROM still")


def astray(db: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Rows that would be written all the same, in words; after everything is decided."""
    found = db.execute(
        """
        SELECT o.entity, count(*) FROM op o
        ANTI JOIN writable w ON w.entity = o.entity AND w.rid = o.rid
        ANTI JOIN bad b ON b.entity = o.entity AND b.rid = o.rid
        WHERE o.op <> 'unchanged' GROUP BY o.entity ORDER BY o.entity
        """
    ).fetchall()
    return tuple(f"{count} rows of {entity}" for entity, count in found)
