"""New rows that share what `match` identifies rows by: the target has none of them yet, and must not get two."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from migrate.duck import count, literal, parquet
from migrate.transform.settle.match_texts import match_texts
from migrate.transform.settle.road import Road


def one_row_per_match(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """A mapping that matches on columns means them to identify rows. Of new rows of one entity with the same values
    none is written; where two entities bring the same values into one table, those of the one that loads later wait:
    the next run finds the row. `roads` in load order, their operations decided."""
    db.execute("CREATE TEMP TABLE taken(place INTEGER, m VARCHAR[], entity VARCHAR)")
    places: dict[tuple[str, tuple[str, ...]], list[Road]] = {}
    for road in roads:
        if road.match and road.inserts and road.rows:
            places.setdefault((road.into, tuple(sorted(road.match))), []).append(road)
    for place, ((_, columns), group) in enumerate(places.items()):
        for road in group:
            _within(db, road, columns)
            if len(group) > 1:
                _across(db, road, place)
    db.execute("DROP TABLE taken")


def _within(db: duckdb.DuckDBPyConnection, road: Road, columns: Sequence[str]) -> None:
    """`fresh(rid, m)`: rows to insert, by what they match on; `twice`: what several source rows have."""
    name = literal(road.entity)
    joins, _, tells = match_texts(road, "r")
    texts = [tells[c] for c in columns]
    rows = (
        f"(SELECT o.rid, o.op, [{', '.join(texts)}] AS m FROM op o JOIN {parquet(road.rows)} r ON r.__rid = o.rid{joins} "
        f"WHERE o.entity = {name} AND {' AND '.join(f'{t} IS NOT NULL' for t in texts)})"
    )
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT o.rid, o.m FROM {rows} o WHERE o.op = 'insert' "
        f"AND o.rid NOT IN (SELECT rid FROM bad WHERE entity = {name})"
    )
    if not count(db, "SELECT count(*) FROM fresh"):
        db.execute("CREATE OR REPLACE TEMP TABLE twice(m VARCHAR[], n BIGINT)")
        return
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE twice AS
        SELECT o.m, count(*) AS n FROM {rows} o SEMI JOIN fresh f ON f.m = o.m GROUP BY o.m HAVING count(*) > 1;
        INSERT INTO bad SELECT {name}, f.rid, '', 'match_conflict', t.n || ' source rows have this value to match by'
        FROM fresh f JOIN twice t ON t.m = f.m;
        """
    )


def _across(db: duckdb.DuckDBPyConnection, road: Road, place: int) -> None:
    name = literal(road.entity)
    db.execute(
        f"""
        INSERT INTO bad SELECT {name}, f.rid, '', 'match_conflict', 'this run adds the row by ' || t.entity
        FROM fresh f JOIN (SELECT m, min(entity) AS entity FROM taken WHERE place = {place} GROUP BY m) t ON t.m = f.m
        WHERE NOT EXISTS (SELECT 1 FROM twice w WHERE w.m = f.m);
        INSERT INTO taken SELECT {place}, f.m, {name} FROM fresh f WHERE NOT EXISTS (SELECT 1 FROM twice w WHERE w.m = f.m);
        """
    )
