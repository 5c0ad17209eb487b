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
    _leave_loaded(db, systems)
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


def _leave_loaded(db: duckdb.DuckDBPyConnection, systems: str) -> None:
    """A loaded row that may not change (`write: add`, or edited in the target) stays what it is: that it would, speaks
    against the corrected rows that would become part of it, and not against it."""
    db.execute(
        f"""
        CREATE TEMP TABLE spoiled AS
        SELECT m.entity, m.rid, m.key, any_value(b.code) AS code FROM merged m
        SEMI JOIN free f ON f.entity = m.entity AND f.key = m.key
        ANTI JOIN free g ON g.entity = m.entity AND g.key = m.into_key
        JOIN bad b ON b.entity = m.entity AND b.rid = m.into_rid
        JOIN (VALUES {systems}) y(entity, system) ON y.entity = m.entity
        SEMI JOIN xw x ON x.system = y.system AND x.entity = m.entity AND x.source_key = m.into_key
        ANTI JOIN held h ON h.entity = m.entity AND h.rid = m.into_rid
        WHERE b.code <> 'target_gone' GROUP BY m.entity, m.rid, m.key;
        INSERT INTO state SELECT entity, rid, key, NULL, NULL FROM spoiled;
        INSERT INTO bad SELECT entity, rid, '', code, 'of the loaded row that it is part of' FROM spoiled;
        DELETE FROM merged m USING spoiled s WHERE s.entity = m.entity AND s.rid = m.rid;
        """
    )


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
