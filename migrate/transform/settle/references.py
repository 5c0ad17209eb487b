"""Lookups into the target, and references with the cascade behind them, to a fixpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from migrate.duck import count, identifier, literal, parquet
from migrate.mapping.model import Default, Find, Outcome
from migrate.transform.settle.outcomes import CANDIDATES, apply_reference_outcome, look_up
from migrate.transform.settle.road import Road
from migrate.transform.settle.tables import good


def resolve_lookups(db: duckdb.DuckDBPyConnection, road: Road, targets: Mapping[str, Path]) -> None:
    """`find`: into the proven backup of the target, never at rows made in this run."""
    for fld, find in road.finds.items():
        if not road.rows:
            continue
        column = identifier(f"__find.{fld}")
        # Not what `unique` emptied, nor what is not written.
        silent = " UNION ALL ".join(
            f"SELECT rid FROM {t} WHERE entity = {literal(road.entity)} AND field = {literal(fld)}"
            for t in ("patch", "moot")
        )
        rows = f"(SELECT * FROM {parquet(road.rows)} WHERE __rid NOT IN ({silent}))"
        # Distinct values first: pick columns of a CRM repeat a few owners thousands of times.
        look_up(db, find, f"SELECT DISTINCT {column} AS v FROM {parquet(road.rows)}", targets)
        db.execute(
            f"INSERT INTO patch SELECT {literal(road.entity)}, r.__rid, {literal(fld)}, 0, l.value "
            f"FROM {rows} r JOIN looked l ON l.v = r.{column} WHERE l.n = 1"
        )
        found = (
            f"FROM {rows} r JOIN looked l ON l.v = r.{column} JOIN {good(road.entity)} g ON g.rid = r.__rid"
        )
        nothing = literal(f"nothing found in {find.table}")
        # Both before any of them is dealt with: a look behind this one takes its place.
        db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE found_none AS SELECT r.__rid AS rid, 0 AS item, {nothing} AS detail {found} WHERE l.n = 0;
            CREATE OR REPLACE TEMP TABLE found_several AS
            SELECT r.__rid AS rid, 0 AS item, 'candidates: ' || l.candidates AS detail {found} WHERE l.n > 1;
            """
        )
        for outcome, code, rows in (
            (find.missing, "find_missing", "found_none"),
            (find.ambiguous, "find_ambiguous", "found_several"),
        ):
            apply_reference_outcome(db, road, fld, outcome, code, f"SELECT * FROM {rows}", targets)


def resolve_references(
    db: duckdb.DuckDBPyConnection, roads: Sequence[Road], targets: Mapping[str, Path]
) -> None:
    """Resolve references against rows that will be there; a row that goes takes its children along, to a fixpoint."""
    referring = [(road, fld) for road in roads for fld in road.refs]
    if not referring:
        return
    db.execute(
        """
        CREATE TABLE lost AS SELECT DISTINCT s.entity, s.key FROM state s SEMI JOIN bad b ON b.entity = s.entity AND b.rid = s.rid
        WHERE s.key IS NOT NULL;
        -- First pass: references to nobody, and those whose parent is neither a row that stays nor known from an earlier run.
        CREATE TABLE broken AS
        SELECT entity, rid, field, item, code, detail, NULL::VARCHAR AS parent, NULL::VARCHAR AS parent_key FROM unresolved
        UNION ALL
        SELECT e.entity, e.rid, e.field, e.item, CASE
            WHEN EXISTS (SELECT 1 FROM bad b JOIN state s ON s.entity = b.entity AND s.rid = b.rid
                         WHERE b.code = 'key_not_unique' AND s.entity = e.parent AND s.key = e.parent_key) THEN 'ref_ambiguous'
            WHEN EXISTS (SELECT 1 FROM lost l WHERE l.entity = e.parent AND l.key = e.parent_key) THEN 'parent_quarantined'
            WHEN EXISTS (SELECT 1 FROM gone g WHERE g.entity = e.parent AND g.key = e.parent_key) THEN 'parent_excluded'
            ELSE 'ref_missing' END, NULL, e.parent, e.parent_key
        FROM edge e
        WHERE NOT EXISTS (SELECT 1 FROM state s WHERE s.entity = e.parent AND s.key = e.parent_key
                          AND NOT EXISTS (SELECT 1 FROM bad b WHERE b.entity = s.entity AND b.rid = s.rid))
          AND NOT EXISTS (SELECT 1 FROM known_before k WHERE k.entity = e.parent AND k.key = e.parent_key);
        """
    )
    while True:
        before = count(db, "SELECT count(*) FROM (SELECT DISTINCT entity, rid FROM bad)")
        for road, fld in referring:
            where = f"entity = {literal(road.entity)} AND field = {literal(fld)}"
            for code in ("ref_missing", "parent_quarantined", "parent_excluded", "ref_ambiguous"):
                if not count(db, f"SELECT count(*) FROM broken WHERE {where} AND code = {literal(code)}"):
                    continue
                detail = f"coalesce(detail, parent || ' ' || {_candidates() if code == 'ref_ambiguous' else literal('')})"
                apply_reference_outcome(
                    db,
                    road,
                    fld,
                    _outcome(road, fld, code),
                    code,
                    f"SELECT rid, item, {detail} AS detail FROM broken x WHERE {where} AND code = {literal(code)}",
                    targets,
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
            SELECT e.entity, e.rid, e.field, e.item, 'parent_quarantined' AS code, NULL::VARCHAR AS detail, e.parent, e.parent_key
            FROM edge e
            SEMI JOIN newly n ON n.entity = e.parent AND n.key = e.parent_key
            ANTI JOIN known_before k ON k.entity = e.parent AND k.key = e.parent_key;
            """
        )


def _outcome(road: Road, fld: str, code: str) -> Outcome | Default | Find:
    """What the mapping says about a reference that finds no row to point at."""
    ref = road.refs[fld]
    if code == "parent_excluded" and road.on_parent_excluded is not None:
        # Rows that may be left out with their parents are gone by now.
        return "empty_and_flag" if road.on_parent_excluded == "empty" else "quarantine"
    return ref.ambiguous if code == "ref_ambiguous" else ref.missing


def _candidates() -> str:
    """Where the rows stand that share the parent's key: part and ordinal, never values (P3)."""
    return (
        "(SELECT 'candidates: ' || array_to_string((list('part ' || (s.rid >> 32) || ' row ' || (s.rid & 4294967295) ORDER BY s.rid))"
        f"[1:{CANDIDATES}], ', ') FROM state s WHERE s.entity = x.parent AND s.key = x.parent_key)"
    )
