"""Rows that would be new and are somebody who is known already in another table: never written as new (`known_as`).

Decided after the operations, for a row that the target has is known by itself; and before children look for their
parents, for a row that is linked is not there to be referred to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb

from migrate.duck import literal, parquet
from migrate.transform.settle.outcomes import CANDIDATES
from migrate.transform.settle.road import Known, Road

SKIPPED = "known_as"  # reason of rows that are left out because they are known


def no_one_known(db: duckdb.DuckDBPyConnection) -> None:
    """Table `known_as(entity, rid, key, outcome, words, place, parent, prid, pkey, tkey)`, without rows."""
    db.execute(
        "CREATE TABLE known_as(entity VARCHAR, rid BIGINT, key VARCHAR, outcome VARCHAR, words VARCHAR, place VARCHAR, "
        "parent VARCHAR, prid BIGINT, pkey VARCHAR, tkey VARCHAR)"
    )


def leave_known(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Fills `known_as`: rows that are somebody else, and whom they are linked to, in target table `place`: a row of this
    run (`parent`, `prid`, `pkey`), or one that only the target has (`tkey`)."""
    for road in _who_is_known_first(roads):
        assert road.known is not None
        _who(db, road, road.known, roads)
        _leave(db, road, road.known)
        _turn(db, road, roads)


def _who_is_known_first(roads: Sequence[Road]) -> Iterator[Road]:
    """Roads with `known_as`, those before which others lead to: a row may be known as one that is known itself."""
    waiting = [road for road in roads if road.known is not None]
    while waiting:
        into = {road.into for road in waiting}
        ready = [r for r in waiting if r.known is not None and not into & set(r.known.tables)]
        assert ready, "the mapping was held against circles"
        yield from ready
        waiting = [road for road in waiting if road not in ready]


def _who(db: duckdb.DuckDBPyConnection, road: Road, known: Known, roads: Sequence[Road]) -> None:
    """`who(rid, words, place, n, parent, prid, pkey, tkey, candidates)`: of every new row that is known by any rule what the
    first of them finds: `n` different ones, and one of them. A row of this run and the target's row that it is (to be)
    written to are one."""
    name = literal(road.entity)
    systems = ", ".join(f"({literal(r.entity)}, {literal(r.system)})" for r in roads)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE met AS
        SELECT p.rid, p.number, p.words, coalesce(k.place, p.place) AS place, coalesce(k.parent, p.entity) AS parent, coalesce(k.prid, p.prid) AS prid,
               coalesce(k.pkey, s.key) AS pkey, coalesce(p.tkey, k.tkey, po.tkey, x.target_key) AS tkey
        FROM {parquet([known.pairs])} p
        JOIN op o ON o.entity = {name} AND o.rid = p.rid AND o.op = 'insert'
        LEFT JOIN state s ON s.entity = p.entity AND s.rid = p.prid
        LEFT JOIN known_as k ON k.entity = p.entity AND k.rid = p.prid
        LEFT JOIN op po ON po.entity = p.entity AND po.rid = p.prid
        LEFT JOIN (VALUES {systems}) y(entity, system) ON y.entity = p.entity
        LEFT JOIN xw x ON x.system = y.system AND x.entity = p.entity AND x.source_key = s.key
        WHERE p.entity IS NULL OR s.rid IS NOT NULL OR k.rid IS NOT NULL;
        CREATE OR REPLACE TEMP TABLE who AS
        SELECT rid, any_value(words) AS words, any_value(place) AS place, count(DISTINCT identity) AS n,
               arg_min(parent, identity || ' ' || prid) AS parent, arg_min(prid, identity || ' ' || prid) AS prid,
               arg_min(pkey, identity || ' ' || prid) AS pkey, min(tkey) AS tkey,
               array_to_string(list_sort(list(DISTINCT identity))[1:{CANDIDATES}], ', ') AS candidates
        FROM (SELECT *, coalesce(tkey, parent || ' part ' || (prid >> 32) || ' row ' || (prid & 4294967295)) AS identity
              FROM met QUALIFY number = min(number) OVER (PARTITION BY rid))
        GROUP BY rid;
        -- What lookups and other rows said of them does not matter any more: they are not written.
        DELETE FROM bad b USING who w WHERE b.entity = {name} AND b.rid = w.rid;
        DELETE FROM patch p USING who w WHERE p.entity = {name} AND p.rid = w.rid;
        DELETE FROM event e USING who w WHERE e.entity = {name} AND e.rid = w.rid;
        DELETE FROM edge e USING who w WHERE e.entity = {name} AND e.rid = w.rid;
        DELETE FROM unresolved u USING who w WHERE u.entity = {name} AND u.rid = w.rid;
        DELETE FROM op o USING who w WHERE o.entity = {name} AND o.rid = w.rid;
        """
    )


def _leave(db: duckdb.DuckDBPyConnection, road: Road, known: Known) -> None:
    """What the mapping says becomes of `who`. Of several that a row may be none is taken (P3)."""
    name = literal(road.entity)
    kept = f"INSERT INTO known_as SELECT {name}, w.rid, s.key"
    rows = f"FROM who w JOIN state s ON s.entity = {name} AND s.rid = w.rid"
    if known.then == "quarantine":
        db.execute(
            f"""
            {kept}, 'quarantine', w.words, w.place, w.parent, w.prid, w.pkey, w.tkey {rows};
            INSERT INTO bad SELECT {name}, rid, '', 'known_already', words || ': ' || candidates FROM who;
            """
        )
    elif known.then == "skip":
        db.execute(
            f"""
            {kept}, 'skip', w.words, w.place, w.parent, w.prid, w.pkey, w.tkey {rows};
            INSERT INTO left_out SELECT {name}, w.rid, s.key, '{SKIPPED}: ' || w.words {rows};
            """
        )
    else:
        db.execute(
            f"""
            {kept}, CASE w.n WHEN 1 THEN 'link' ELSE 'ambiguous' END, w.words, w.place, w.parent, w.prid, w.pkey, w.tkey {rows};
            INSERT INTO bad SELECT {name}, rid, '', 'known_ambiguous', words || ', candidates: ' || candidates FROM who WHERE n > 1;
            """
        )
    db.execute(
        f"""
        INSERT INTO gone SELECT {name}, k.rid, k.key FROM known_as k WHERE k.entity = {name} AND k.outcome IN ('link', 'skip');
        DELETE FROM state s USING known_as k
        WHERE s.entity = {name} AND k.entity = {name} AND k.rid = s.rid AND k.outcome IN ('link', 'skip');
        """
    )


def _turn(db: duckdb.DuckDBPyConnection, road: Road, roads: Sequence[Road]) -> None:
    """References to linked rows, where they may point at the others' entity as well, lead there. Where they may not, or
    where another column says of what kind the row is, they refer to a row that is left out."""
    name = literal(road.entity)
    into = {r.entity: r.into for r in roads}
    for other in roads:
        for fld, ref in other.refs.items():
            if ref.kind or road.entity not in ref.to:
                continue
            mine = f"edge.entity = {literal(other.entity)} AND edge.field = {literal(fld)} AND edge.parent = {name}"
            fits = f"k.entity = {name} AND k.outcome = 'link' AND k.key = edge.parent_key"
            to = ", ".join(literal(entity) for entity in ref.to)
            places = ", ".join(literal(into[entity]) for entity in ref.to if entity in into)
            db.execute(
                f"""
                INSERT INTO patch SELECT edge.entity, edge.rid, edge.field, edge.item, k.tkey->>'$[0]'
                FROM edge JOIN known_as k ON {fits} WHERE {mine} AND k.pkey IS NULL AND k.place IN ({places or "NULL"});
                DELETE FROM edge USING known_as k WHERE {mine} AND {fits} AND k.pkey IS NULL AND k.place IN ({places or "NULL"});
                UPDATE edge SET parent = k.parent, parent_key = k.pkey FROM known_as k
                WHERE {fits} AND {mine} AND k.pkey IS NOT NULL AND k.parent IN ({to});
                """
            )


def share_fates_of_known(db: duckdb.DuckDBPyConnection) -> None:
    """Who is part of a row that is linked is linked like it. Who is linked to a row of this run that is quarantined waits
    with it, unless the target has that row."""
    db.execute(
        """
        CREATE OR REPLACE TEMP TABLE parts_of_known AS
        SELECT m.entity, m.rid, m.key, k.outcome, k.words, k.place, k.parent, k.prid, k.pkey, k.tkey
        FROM merged m JOIN known_as k ON k.entity = m.entity AND k.rid = m.into_rid WHERE k.outcome = 'link';
        INSERT INTO known_as SELECT * FROM parts_of_known;
        INSERT INTO gone SELECT entity, rid, key FROM parts_of_known;
        DELETE FROM merged m USING parts_of_known p WHERE p.entity = m.entity AND p.rid = m.rid;
        CREATE OR REPLACE TEMP TABLE waits AS
        SELECT k.* FROM known_as k SEMI JOIN bad b ON b.entity = k.parent AND b.rid = k.prid
        WHERE k.outcome = 'link' AND k.tkey IS NULL;
        INSERT INTO state SELECT entity, rid, key, NULL, NULL FROM waits;
        INSERT INTO bad SELECT entity, rid, '', 'known_quarantined', words FROM waits;
        UPDATE known_as k SET outcome = 'waits' FROM waits w WHERE w.entity = k.entity AND w.rid = k.rid;
        """
    )


def known_counts(db: duckdb.DuckDBPyConnection, road: Road) -> dict[str, dict[str, int]]:
    """Rule, in words → outcome (link, skip, quarantine, ambiguous, waits) → rows."""
    found: dict[str, dict[str, int]] = {}
    rows = db.execute(
        f"SELECT words, outcome, count(*) FROM known_as WHERE entity = {literal(road.entity)} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    for words, outcome, count in rows:
        found.setdefault(words, {})[outcome] = int(count)
    return found
