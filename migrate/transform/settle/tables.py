"""All rows of all entities in one place, what speaks against each, and whether they are who they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from migrate.duck import count, identifier, literal, parquet
from migrate.transform.settle.outcomes import apply_outcome
from migrate.transform.settle.road import Road, Stranger, provisional

# `["HASH"]`, `["HASH","2"]`, …: which of the equal rows gets which number makes no difference, for they are equal
_AMONG_EQUALS = "row_number() OVER (PARTITION BY __key ORDER BY __rid)"
_NUMBERED = f"""CASE WHEN __key IS NULL OR {_AMONG_EQUALS} = 1 THEN __key
    ELSE left(__key, -1) || ',"' || {_AMONG_EQUALS} || '"]' END"""


def collect(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], crosswalk: Path | None) -> None:
    db.execute(
        """
        -- `hash`: of the row, and of the rows that its references found by more than the row itself; `base`: of the row alone.
        CREATE TABLE state(entity VARCHAR, rid BIGINT, key VARCHAR, hash BLOB, base BLOB);
        CREATE TABLE gone(entity VARCHAR, rid BIGINT, key VARCHAR);
        CREATE TABLE bad(entity VARCHAR, rid BIGINT, field VARCHAR, code VARCHAR, detail VARCHAR);
        CREATE TABLE op(entity VARCHAR, rid BIGINT, op VARCHAR, tkey VARCHAR, known BOOLEAN);
        CREATE TABLE patch(entity VARCHAR, rid BIGINT, field VARCHAR, item INTEGER, value VARCHAR);
        CREATE TABLE event(entity VARCHAR, rid BIGINT, field VARCHAR, code VARCHAR, original VARCHAR);
        CREATE TABLE stop(text VARCHAR);
        -- `item`: the place in a list that has several references; 0 where there is no list.
        CREATE TABLE edge(entity VARCHAR, rid BIGINT, field VARCHAR, item INTEGER, parent VARCHAR, parent_key VARCHAR);
        CREATE TABLE wanted(entity VARCHAR, rid BIGINT, field VARCHAR, item INTEGER, choice VARCHAR, value VARCHAR);
        CREATE TABLE unresolved(entity VARCHAR, rid BIGINT, field VARCHAR, item INTEGER, code VARCHAR, detail VARCHAR);
        CREATE TABLE told(entity VARCHAR, rid BIGINT, field VARCHAR, text VARCHAR, identity VARCHAR);
        CREATE TABLE left_out(entity VARCHAR, rid BIGINT, key VARCHAR, reason VARCHAR);
        CREATE TABLE moot(entity VARCHAR, rid BIGINT, field VARCHAR);
        -- Known rows that changed at the source and were edited in the target: kept | overwritten | quarantined.
        CREATE TABLE conflict(entity VARCHAR, rid BIGINT, tkey VARCHAR, outcome VARCHAR);
        """
    )
    # Read where it lies: each question needs a few of its columns, once.
    columns = {
        "system": "VARCHAR", "entity": "VARCHAR", "source_key": "VARCHAR", "target_key": "VARCHAR", "origin": "VARCHAR",
        "plan": "BIGINT", "source_hash": "BLOB", "target_hash": "BLOB", "run": "VARCHAR",
    }  # fmt: skip
    if crosswalk is not None:
        db.execute(f"CREATE VIEW xw AS SELECT {', '.join(columns)} FROM {parquet([crosswalk])}")
    else:
        db.execute(f"CREATE TABLE xw({', '.join(f'{name} {type_}' for name, type_ in columns.items())})")
    for road in roads:
        name = literal(road.entity)
        if road.rows:
            key = _NUMBERED if road.by_content else "__key"
            db.execute(
                f"INSERT INTO state SELECT {name}, __rid, {key}, __hash, __hash FROM {parquet(road.rows)}"
            )
            for fld, ref in road.refs.items():
                loose = fld in road.compared
                to = (
                    f"JOIN {road.placeholder('__ref_to', fld)} t USING (rid, item)"
                    if not loose or ref.kind
                    else ""
                )
                db.execute(
                    f"INSERT INTO {'wanted' if loose else 'edge'} SELECT {name}, r.rid, {literal(fld)}, r.item, "
                    f"{'t.v' if to else literal('')}, r.v FROM {road.placeholder('__ref', fld)} r {to} WHERE r.v IS NOT NULL"
                )
        if road.excluded:
            db.execute(f"INSERT INTO gone SELECT {name}, rid, key FROM {parquet(road.excluded)}")
        if road.reasons:
            db.execute(
                f"INSERT INTO bad SELECT {name}, rid, field, code, detail FROM {parquet(road.reasons)}"
            )


def doubles_among(db: duckdb.DuckDBPyConnection, systems: Mapping[str, str]) -> tuple[str, ...]:
    """Entities that know one source row under two of their names (F15): which of the two is it?"""
    ours = ", ".join(f"({literal(s)}, {literal(e)})" for e, s in systems.items())
    found = db.execute(
        f"""
        SELECT system, entity, count(*) FROM (
            SELECT system, entity, source_key FROM xw WHERE (system, entity) IN ({ours}) GROUP BY ALL HAVING count(*) > 1
        ) GROUP BY ALL ORDER BY ALL
        """
    ).fetchall()
    return tuple(f"{n} keys of {entity} ({system})" for system, entity, n in found)


def strangers_among(
    db: duckdb.DuckDBPyConnection, roads: Sequence[Road], systems: Mapping[str, str], runs: Sequence[str]
) -> tuple[Stranger, ...]:
    """Rows that earlier runs loaded under another name, system or key: they would be inserted a second time (F15).

    Told by what runs of the same mapping left in the crosswalk: nothing of this entity, but these very keys under a
    name that the mapping no longer has; or, after the entity's plan changed, keys of which not one is left.
    (Another mapping's rows may well have the same keys: two companies both count from 1.)
    """
    if not runs:
        return ()
    found = []
    own = f"x.run IN ({', '.join(literal(r) for r in runs)})"
    ours = ", ".join(f"({literal(s)}, {literal(e)})" for e, s in systems.items())
    for road in roads:
        mine = f"x.system = {literal(road.system)} AND x.entity = {literal(road.entity)}"
        keys = f"(SELECT DISTINCT key FROM state WHERE entity = {literal(road.entity)} AND key IS NOT NULL)"
        known = count(db, f"SELECT count(*) FROM xw x WHERE {mine} AND {own}")
        same = count(
            db,
            f"SELECT count(*) FROM xw x WHERE {mine} AND x.plan IN ({road.plan}, {provisional(road.plan)})",
        )
        if not known:
            other = db.execute(
                f"SELECT x.system, x.entity, count(*) FROM xw x SEMI JOIN {keys} k ON k.key = x.source_key "
                f"WHERE {own} AND (x.system = {literal(road.system)} OR x.entity = {literal(road.entity)}) "
                f"AND (x.system, x.entity) NOT IN ({ours}) GROUP BY ALL ORDER BY 3 DESC LIMIT 1"
            ).fetchone()
            if other:
                found.append(_renamed(road, *other))
        elif (
            not same
            and count(db, f"SELECT count(*) FROM {keys}")
            and not count(
                db, f"SELECT count(*) FROM xw x SEMI JOIN {keys} k ON k.key = x.source_key WHERE {mine}"
            )
        ):
            found.append(
                Stranger(
                    f"{known} rows of {road.entity} are known, and not one of their keys is left at the source",
                    f"Give {road.entity} the key that it had.",
                )
            )
    return tuple(found)


def _renamed(road: Road, system: str, entity: str, rows: int) -> Stranger:
    was = [
        f"{name}: {before}"
        for name, before, now in (("system", system, road.system), ("entity", entity, road.entity))
        if before != now
    ]
    return Stranger(
        f"{rows} rows of {road.entity} ({road.system}) are known as {entity} ({system})",
        f"If they are the same rows, write `was: {{{', '.join(was)}}}` into {road.entity}.",
    )


def good(entity: str) -> str:
    """Rows of `entity` that nothing has spoken against so far."""
    name = literal(entity)
    return f"(SELECT * FROM state WHERE entity = {name} AND rid NOT IN (SELECT rid FROM bad WHERE entity = {name}))"


def keys_and_uniques(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    name = literal(road.entity)
    db.execute(
        f"""
        INSERT INTO bad SELECT {name}, s.rid, '', 'key_missing', '' FROM state s
        WHERE s.entity = {name} AND s.key IS NULL
          AND NOT EXISTS (SELECT 1 FROM bad b WHERE b.entity = s.entity AND b.rid = s.rid
                          AND b.code IN ('key_missing', 'bad_row', 'ragged_row', 'bad_encoding', 'nul_byte') AND b.field = '');
        INSERT INTO bad SELECT {name}, s.rid, '', 'key_not_unique', n || ' rows have this key'
        FROM state s JOIN (SELECT key, count(*) AS n FROM state WHERE entity = {name} AND key IS NOT NULL
                           GROUP BY key HAVING count(*) > 1) d ON d.key = s.key
        WHERE s.entity = {name};
        """
    )
    for fld, on_fail in road.unique.items():
        column = identifier(
            f"__ref.{fld}" if fld in road.refs else f"__find.{fld}" if fld in road.finds else fld
        )
        found = f"""
            SELECT r.__rid AS rid, 0 AS item, d.n || ' rows have this value' AS detail
            FROM {parquet(road.rows)} r JOIN {good(road.entity)} g ON g.rid = r.__rid
            JOIN (SELECT {column} AS v, count(*) AS n FROM {parquet(road.rows)} r2
                  JOIN {good(road.entity)} g2 ON g2.rid = r2.__rid
                  WHERE {column} IS NOT NULL GROUP BY 1 HAVING count(*) > 1) d ON d.v = r.{column}
        """
        if road.rows:
            apply_outcome(db, road, fld, on_fail, "unique", found)
    # What `unique` emptied refers to nothing and looks up nothing any more.
    for table in ("edge", "unresolved"):
        db.execute(
            f"DELETE FROM {table} t USING patch p WHERE p.entity = {name} AND t.entity = p.entity AND p.rid = t.rid AND p.field = t.field"
        )
