"""Lookups into the target, and references with the cascade behind them, to a fixpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from migrate.duck import count, identifier, literal, parquet
from migrate.mapping.model import Default, Find, Outcome
from migrate.transform.settle.operations import CANDIDATES
from migrate.transform.settle.road import Road
from migrate.transform.settle.tables import apply_outcome, good


def _conditions(find: Find) -> str:
    return " AND ".join(
        [*(f"t.{identifier(f'c.{c}')} = {literal(v)}" for c, v in find.where.items()), "TRUE"]
    )


def _constant(db: duckdb.DuckDBPyConnection, find: Find, targets: Mapping[str, Path]) -> Outcome | Default:
    """A lookup that does not depend on the row: a default value where exactly one is found, else its outcome."""
    path = targets.get(find.table)
    rows = (
        []
        if path is None
        else db.execute(
            f"SELECT t.tkey->>'$[0]' FROM {parquet([path])} t WHERE {_conditions(find)} LIMIT 2"
        ).fetchall()
    )
    if len(rows) == 1:
        return Default(default=rows[0][0])
    return find.missing if not rows else find.ambiguous


def resolve_lookups(db: duckdb.DuckDBPyConnection, road: Road, targets: Mapping[str, Path]) -> None:
    """`find`: into the proven backup of the target, never at rows made in this run."""
    for fld, find in road.finds.items():
        if not road.rows:
            continue
        column = identifier(f"__find.{fld}")
        path = targets.get(find.table)
        join = (
            f"LEFT JOIN {parquet([path])} t ON {_conditions(find)}"
            if path
            else "LEFT JOIN (SELECT NULL::VARCHAR AS tkey) t ON FALSE"
        )
        if find.by and path:
            join += f" AND t.{identifier(f'c.{find.by}')} = r.{column}"
        # Not what `unique` emptied, nor what is not written.
        silent = " UNION ALL ".join(
            f"SELECT rid FROM {t} WHERE entity = {literal(road.entity)} AND field = {literal(fld)}"
            for t in ("patch", "moot")
        )
        rows = f"(SELECT * FROM {parquet(road.rows)} WHERE __rid NOT IN ({silent}))"
        # Distinct values first: pick columns of a CRM repeat a few owners thousands of times.
        db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE looked AS
            SELECT r.v, count(t.tkey) AS n, min(t.tkey->>'$[0]') AS value,
                   array_to_string((list(t.tkey ORDER BY t.tkey))[1:{CANDIDATES}], ', ') AS candidates
            FROM (SELECT DISTINCT {column} AS v, {column} FROM {parquet(road.rows)} WHERE {column} IS NOT NULL) r
            {join} GROUP BY r.v;
            INSERT INTO patch SELECT {literal(road.entity)}, r.__rid, {literal(fld)}, l.value
            FROM {rows} r JOIN looked l ON l.v = r.{column} WHERE l.n = 1;
            """
        )
        found = (
            f"FROM {rows} r JOIN looked l ON l.v = r.{column} JOIN {good(road.entity)} g ON g.rid = r.__rid"
        )
        apply_outcome(
            db,
            road,
            fld,
            find.missing,
            "find_missing",
            f"SELECT r.__rid AS rid, 'nothing found in {find.table.replace(chr(39), chr(39) * 2)}' AS detail {found} WHERE l.n = 0",
        )
        apply_outcome(
            db,
            road,
            fld,
            find.ambiguous,
            "find_ambiguous",
            f"SELECT r.__rid AS rid, 'candidates: ' || l.candidates AS detail {found} WHERE l.n > 1",
        )


def resolve_references(
    db: duckdb.DuckDBPyConnection,
    roads: Sequence[Road],
    targets: Mapping[str, Path],
    systems: Mapping[str, str],
) -> None:
    """Resolve references against rows that will be there; a row that goes takes its children along, to a fixpoint."""
    known = ", ".join(f"({literal(entity)}, {literal(system)})" for entity, system in systems.items())
    by_name = {road.entity: road for road in roads}
    outcomes: dict[tuple[str, str], tuple[Outcome | Default, Outcome | Default]] = {}
    for road in roads:
        for fld, ref in road.refs.items():
            missing = _constant(db, ref.missing, targets) if isinstance(ref.missing, Find) else ref.missing
            ambiguous = (
                _constant(db, ref.ambiguous, targets) if isinstance(ref.ambiguous, Find) else ref.ambiguous
            )
            outcomes[road.entity, fld] = (missing, ambiguous)
    if not outcomes:
        return
    db.execute(
        f"""
        CREATE TABLE systems AS SELECT * FROM (VALUES {known}) v(entity, system);
        CREATE TABLE known_before AS
        SELECT x.entity, x.source_key AS key FROM xw x JOIN systems s ON s.entity = x.entity AND s.system = x.system
        WHERE {_still_there(roads, targets)};
        CREATE TABLE lost AS SELECT DISTINCT s.entity, s.key FROM state s SEMI JOIN bad b ON b.entity = s.entity AND b.rid = s.rid
        WHERE s.key IS NOT NULL;
        -- First pass: edges whose parent is neither a row that stays nor known from an earlier run.
        CREATE TABLE broken AS
        SELECT e.*, CASE
            WHEN EXISTS (SELECT 1 FROM bad b JOIN state s ON s.entity = b.entity AND s.rid = b.rid
                         WHERE b.code = 'key_not_unique' AND s.entity = e.parent AND s.key = e.parent_key) THEN 'ref_ambiguous'
            WHEN EXISTS (SELECT 1 FROM lost l WHERE l.entity = e.parent AND l.key = e.parent_key) THEN 'parent_quarantined'
            WHEN EXISTS (SELECT 1 FROM gone g WHERE g.entity = e.parent AND g.key = e.parent_key) THEN 'parent_excluded'
            ELSE 'ref_missing' END AS code
        FROM edge e
        WHERE NOT EXISTS (SELECT 1 FROM state s WHERE s.entity = e.parent AND s.key = e.parent_key
                          AND NOT EXISTS (SELECT 1 FROM bad b WHERE b.entity = s.entity AND b.rid = s.rid))
          AND NOT EXISTS (SELECT 1 FROM known_before k WHERE k.entity = e.parent AND k.key = e.parent_key);
        """
    )
    while True:
        before = count(db, "SELECT count(*) FROM (SELECT DISTINCT entity, rid FROM bad)")
        for (entity, fld), (missing, ambiguous) in outcomes.items():
            where = f"entity = {literal(entity)} AND field = {literal(fld)}"
            for code in ("ref_missing", "parent_quarantined", "parent_excluded", "ref_ambiguous"):
                if not count(db, f"SELECT count(*) FROM broken WHERE {where} AND code = {literal(code)}"):
                    continue
                outcome = ambiguous if code == "ref_ambiguous" else missing
                detail = f"parent || ' ' || {_candidates() if code == 'ref_ambiguous' else literal('')}"
                apply_outcome(
                    db,
                    by_name[entity],
                    fld,
                    outcome,
                    code,
                    f"SELECT rid, {detail} AS detail FROM broken x WHERE {where} AND code = {literal(code)}",
                )
        if count(db, "SELECT count(*) FROM (SELECT DISTINCT entity, rid FROM bad)") == before:
            return
        # Next pass: only edges to rows that were lost just now.
        db.execute(
            """
            CREATE OR REPLACE TEMP TABLE newly AS
            SELECT DISTINCT s.entity, s.key FROM state s SEMI JOIN bad b ON b.entity = s.entity AND b.rid = s.rid
            ANTI JOIN lost l ON l.entity = s.entity AND l.key = s.key
            WHERE s.key IS NOT NULL;
            INSERT INTO lost SELECT * FROM newly;
            CREATE OR REPLACE TABLE broken AS
            SELECT e.*, 'parent_quarantined' AS code FROM edge e
            SEMI JOIN newly n ON n.entity = e.parent AND n.key = e.parent_key
            ANTI JOIN known_before k ON k.entity = e.parent AND k.key = e.parent_key;
            """
        )


def _still_there(roads: Sequence[Road], targets: Mapping[str, Path]) -> str:
    """Rows of `xw x` that are in the target still, as far as its tables were looked at."""
    there = [
        f"(x.entity <> {literal(r.entity)} OR x.target_key IN (SELECT tkey FROM {parquet([targets[r.into]])}))"
        for r in roads
        if r.into in targets
    ]
    return " AND ".join(there) or "TRUE"


def _candidates() -> str:
    """Where the rows stand that share the parent's key: part and ordinal, never values (P3)."""
    return (
        "(SELECT 'candidates: ' || array_to_string((list('part ' || (s.rid >> 32) || ' row ' || (s.rid & 4294967295) ORDER BY s.rid))"
        f"[1:{CANDIDATES}], ', ') FROM state s WHERE s.entity = x.parent AND s.key = x.parent_key)"
    )
