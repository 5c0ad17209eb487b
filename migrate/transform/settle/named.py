"""References that a row alone cannot settle, and rows that are left out with their parents.

A reference by other columns than the key, or to one of several entities, is looked up among all rows of those
entities. Nothing is guessed (P3): rows of this run count before rows known from an earlier one, and these before
rows that a rule left out; among equals exactly one must fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from migrate.duck import count, identifier, literal, parquet
from migrate.transform.settle.merged import names_of_merged
from migrate.transform.settle.outcomes import CANDIDATES
from migrate.transform.settle.road import Road

_HERE, _BEFORE, _OUT = 0, 1, 2


def resolve_named(
    db: duckdb.DuckDBPyConnection,
    roads: Sequence[Road],
    targets: Mapping[str, Path],
    systems: Mapping[str, str],
    names: Mapping[str, str],
) -> None:
    """`wanted` becomes `edge`, or `unresolved` with the reason; rows that are left out with their parents leave `state`.

    Before anything else is decided: like `where`, it needs no row's fate."""
    if not any(road.refs for road in roads):
        return
    _known_before(db, roads, targets, systems)
    if any(road.compared for road in roads):
        _name_rows(db, roads)
    if any(road.on_parent_excluded == "exclude" for road in roads):
        _leave_out(db, roads, loose=any(road.compared for road in roads))
    if any(road.compared for road in roads):
        _answer(db)
        _resolve(db, roads)
        _mix_in(db, roads, names)


def _known_before(
    db: duckdb.DuckDBPyConnection,
    roads: Sequence[Road],
    targets: Mapping[str, Path],
    systems: Mapping[str, str],
) -> None:
    """`known_before`: rows that earlier runs loaded and that are in the target still, as far as its tables were looked at."""
    known = ", ".join(f"({literal(entity)}, {literal(system)})" for entity, system in systems.items())
    there = [
        f"(x.entity <> {literal(r.entity)} OR x.target_key IN (SELECT tkey FROM {parquet([targets[r.into]])}))"
        for r in roads
        if r.into in targets
    ]
    db.execute(
        f"""
        CREATE TABLE known_before AS
        SELECT x.entity, x.source_key AS key, x.target_key AS tkey FROM xw x
        JOIN (VALUES {known}) s(entity, system) ON s.entity = x.entity AND s.system = x.system
        WHERE {" AND ".join(there) or "TRUE"}
        """
    )


def _name_rows(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """`named`: the rows that such references may mean, by each value that they are compared with.
    `choices`: where a field looks; `choice` is the entity that the row names, or '' where it names none."""
    db.execute(
        """
        CREATE TABLE named(entity VARCHAR, how VARCHAR, value VARCHAR, rid BIGINT, key VARCHAR, standing TINYINT);
        CREATE TABLE choices(entity VARCHAR, field VARCHAR, choice VARCHAR, parent VARCHAR, how VARCHAR);
        """
    )
    ways: set[tuple[str, str]] = set()
    for road in roads:
        for fld, compared in road.compared.items():
            for parent, how in compared.items():
                ways.add((parent, how))
                choice = parent if road.refs[fld].kind else ""
                db.execute(
                    "INSERT INTO choices VALUES (?, ?, ?, ?, ?)", [road.entity, fld, choice, parent, how]
                )
    for road in roads:
        for parent, how in sorted(ways):
            if parent != road.entity:
                continue
            name, way, column = literal(parent), literal(how), identifier(how)
            if road.rows:
                # Rows known by their content have their key in `state` only.
                key = "s.key" if road.by_content else "r.__key"
                known = f"JOIN state s ON s.entity = {name} AND s.rid = r.__rid" if road.by_content else ""
                db.execute(
                    f"INSERT INTO named SELECT {name}, {way}, r.{column}, r.__rid, {key}, {_HERE} "
                    f"FROM {parquet(road.rows)} r {known} WHERE r.{column} IS NOT NULL"
                )
            if road.merging is not None:
                # Who names a row that became part of another one means that one: once, however alike they are.
                db.execute(
                    f"INSERT INTO named SELECT {name}, {way}, m.value, m.rid, m.key, {_HERE} FROM ({names_of_merged(road, how)}) m "
                    f"ANTI JOIN named n ON n.entity = {name} AND n.how = {way} AND n.value = m.value AND n.rid = m.rid"
                )
            if road.excluded:
                column = "key" if how == "__key" else column
                db.execute(
                    f"INSERT INTO named SELECT {name}, {way}, {column}, rid, key, {_OUT} "
                    f"FROM {parquet(road.excluded)} WHERE {column} IS NOT NULL"
                )
    for parent, how in sorted(ways):
        if how == "__key":
            db.execute(
                f"INSERT INTO named SELECT entity, {literal(how)}, key, NULL, key, {_BEFORE} FROM known_before "
                f"WHERE entity = {literal(parent)}"
            )


def _answer(db: duckdb.DuckDBPyConnection) -> None:
    """`answer`: per value that is asked for, the best standing of rows that fit it, how many have it, and which."""
    place = "CASE WHEN m.rid IS NULL THEN m.parent || ' of an earlier run' "
    place += "ELSE m.parent || ' part ' || (m.rid >> 32) || ' row ' || (m.rid & 4294967295) END"
    db.execute(
        f"""
        CREATE OR REPLACE TABLE answer AS
        SELECT m.entity, m.field, m.choice, m.value, m.standing, count(*) AS n, min(m.parent) AS parent, min(m.key) AS key,
               array_to_string(arg_min({place}, m.parent || lpad(coalesce(m.rid, 0)::VARCHAR, 20, '0'), {CANDIDATES}), ', ') AS candidates
        FROM (SELECT a.*, n.entity AS parent, n.rid, n.key, n.standing
              FROM (SELECT DISTINCT entity, field, choice, value FROM wanted) a
              JOIN choices c ON c.entity = a.entity AND c.field = a.field AND c.choice = a.choice
              JOIN named n ON n.entity = c.parent AND n.how = c.how AND n.value = a.value) m
        GROUP BY m.entity, m.field, m.choice, m.value, m.standing
        QUALIFY row_number() OVER (PARTITION BY m.entity, m.field, m.choice, m.value ORDER BY m.standing) = 1
        """
    )


_SAME = "a.entity = w.entity AND a.field = w.field AND a.choice = w.choice AND a.value = w.value"


def leave_out_with_parents(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Once more, for parents that were left out since; every reference is an `edge`, or `unresolved`, by now."""
    if any(road.on_parent_excluded == "exclude" for road in roads):
        _leave_out(db, roads, loose=False)
        db.execute("DELETE FROM op o USING left_out l WHERE l.entity = o.entity AND l.rid = o.rid")


def _leave_out(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], *, loose: bool) -> None:
    """Rows whose parent is left out go with it where their entity says so, and their own children after them."""
    ours = ", ".join(literal(r.entity) for r in roads if r.on_parent_excluded == "exclude")
    db.execute(
        "CREATE OR REPLACE TEMP TABLE newly AS SELECT DISTINCT entity, key FROM gone WHERE key IS NOT NULL"
    )
    while True:
        found = f"""
            SELECT e.entity, e.rid FROM edge e
            SEMI JOIN newly n ON n.entity = e.parent AND n.key = e.parent_key
            ANTI JOIN state s ON s.entity = e.parent AND s.key = e.parent_key
            ANTI JOIN known_before k ON k.entity = e.parent AND k.key = e.parent_key
            WHERE e.entity IN ({ours})
        """
        if loose:
            _answer(db)
            found += f"""
                UNION SELECT w.entity, w.rid FROM wanted w JOIN answer a ON {_SAME}
                ANTI JOIN known_before k ON k.entity = a.parent AND k.key = a.key AND a.n = 1
                WHERE a.standing = {_OUT} AND w.entity IN ({ours})
            """
        db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE leaving AS
            SELECT s.entity, s.rid, s.key FROM state s SEMI JOIN ({found}) f ON f.entity = s.entity AND f.rid = s.rid
            """
        )
        if not count(db, "SELECT count(*) FROM leaving"):
            return
        db.execute(
            """
            INSERT INTO left_out SELECT entity, rid, key, 'parent_excluded' FROM leaving;
            INSERT INTO gone SELECT entity, rid, key FROM leaving;
            CREATE OR REPLACE TEMP TABLE newly AS SELECT DISTINCT entity, key FROM leaving WHERE key IS NOT NULL;
            """
        )
        for table in ("state", "edge", "bad", *(["wanted"] if loose else [])):
            db.execute(f"DELETE FROM {table} t USING leaving l WHERE l.entity = t.entity AND l.rid = t.rid")
        if loose:
            db.execute(
                f"UPDATE named SET standing = {_OUT} FROM leaving l WHERE l.entity = named.entity AND l.rid = named.rid"
            )


def _resolve(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Exactly one row fits: its key. Else the reason, with the places of the rows that fit, never values (P3)."""
    db.execute("CREATE TEMP TABLE words(entity VARCHAR, field VARCHAR, words VARCHAR)")
    for road in roads:
        for fld, compared in road.compared.items():
            by = road.refs[fld].by
            words = ", ".join(compared) + (f" by {', '.join(by)}" if by else "")
            db.execute("INSERT INTO words VALUES (?, ?, ?)", [road.entity, fld, words])
    db.execute(
        f"""
        INSERT INTO edge SELECT w.entity, w.rid, w.field, w.item, a.parent, a.key
        FROM wanted w JOIN answer a ON {_SAME} WHERE a.n = 1 AND a.key IS NOT NULL;
        INSERT INTO unresolved
        SELECT w.entity, w.rid, w.field, w.item,
               CASE WHEN a.n IS NULL THEN 'ref_missing' WHEN a.standing = {_OUT} THEN 'parent_excluded'
                    WHEN a.n > 1 THEN 'ref_ambiguous' ELSE 'parent_quarantined' END AS code,
               t.words || CASE WHEN a.n > 1 AND a.standing <> {_OUT} THEN ' candidates: ' || a.candidates ELSE '' END
        FROM wanted w LEFT JOIN answer a ON {_SAME} JOIN words t ON t.entity = w.entity AND t.field = w.field
        WHERE a.n IS NULL OR a.n > 1 OR a.key IS NULL;
        DROP TABLE wanted; DROP TABLE named; DROP TABLE answer;
        """
    )


def _mix_in(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], names: Mapping[str, str]) -> None:
    """What such a reference means is no part of the row itself: a row that means another one than before has changed,
    though its source row has not. So the hash that the crosswalk keeps is over the row and what it means."""
    loose = ", ".join(f"({literal(r.entity)}, {literal(f)})" for r in roads for f in r.compared)
    renamed = " ".join(f"WHEN {literal(now)} THEN {literal(first)}" for now, first in names.items())
    parent = f"CASE parent {renamed} ELSE parent END" if renamed else "parent"
    db.execute(
        f"""
        UPDATE state SET hash = unhex(md5(hex(base) || m.meant))
        FROM (SELECT entity, rid, array_to_string(list_sort(list(
                  field || chr(31) || lpad(item::VARCHAR, 9, '0') || chr(31) || {parent} || chr(31) || parent_key)), chr(30)) AS meant
              FROM edge WHERE (entity, field) IN ({loose}) GROUP BY entity, rid) m
        WHERE m.entity = state.entity AND m.rid = state.rid
        """
    )
