"""Settle every row's fate: what can only be decided over whole tables.

Per part, `apply` has computed values and each row's own reasons. Here, out of core in DuckDB, come
keys that are not unique, `unique` checks, rows already known or found in the target, lookups, and
references with their cascade to a fixpoint. Nothing here knows a database: input and output are
Parquet files. Every row ends in exactly one of settled, quarantine or left_out.

Files read, per entity (see `migrate.transform.apply`): rows, reasons, excluded. `__m.COLUMN` in rows
is the canonical text of a match value. Target files, per target table: `tkey` (JSON), `row_hash`,
`c.COLUMN` canonical texts, `h.ENTITY` hash of the columns that the entity's values hold in rows that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from migrate import failpoints
from migrate.duck import count, literal, workspace
from migrate.parts import RID_SHIFT, stream_rows
from migrate.transform.settle.circles import cut_circles
from migrate.transform.settle.doubles import one_row_per_match
from migrate.transform.settle.known import known_counts, leave_known, no_one_known, share_fates_of_known
from migrate.transform.settle.merged import collect_merged, share_fates
from migrate.transform.settle.named import leave_out_with_parents, resolve_named
from migrate.transform.settle.operations import FLAGGED, decide_operations, leave_to_target, one_writer
from migrate.transform.settle.references import resolve_lookups, resolve_references
from migrate.transform.settle.replay import Scope, astray, hold_back, stand_still
from migrate.transform.settle.road import InTarget, Known, Road, Settled, Stranger, provisional
from migrate.transform.settle.tables import collect, doubles_among, keys_and_uniques, strangers_among

__all__ = ["FLAGGED", "InTarget", "Known", "Road", "Scope", "Settled", "Stranger", "provisional", "settle"]


def settle(
    roads: Sequence[Road],
    *,
    systems: Mapping[str, str],
    names: Mapping[str, str] | None = None,
    runs: Sequence[str] = (),
    crosswalk: Path | None,
    merged: Path | None = None,
    targets: Mapping[str, Path],
    out: Path,
    temp: Path,
    scope: Scope | None = None,
) -> Settled:
    """Decide all rows of all `roads` and write `out/ENTITY/{settled,quarantine,left_out,patches,links,conflicts,events}.parquet`.

    `systems`: entity → source system, also of entities that have no road in this run but whose rows an
    earlier run may have loaded. `names`: entity → its first name, where it was renamed. `runs`: earlier runs of this
    mapping. `crosswalk`, `merged`: what earlier runs left of it in the target. `scope`: the only rows that may be written,
    where these are not all.

    known (where `Road.known`): rid, key, outcome, words, place, parent, prid, pkey, tkey: rows that are somebody else.

    settled: rid, key, hash, op (insert|update|link|unchanged), tkey (JSON or null), known.
    quarantine: rid, key, fields, codes, details (lists). left_out: rid, key, reason: rows that went with a parent that a
    rule left out. patches: rid, field, item, value (text or null): what replaces a reference or a lookup.
    links: rid, field, item, parent, parent_key: the row that a reference of `Road.compared` means. events: rid, field,
    code, original. conflicts: rid, key, tkey, outcome (kept|overwritten|quarantined): rows that changed on both sides. pointed (where `Road.tells_pointed`): key, of rows
    that are not there and that rows of this run refer to all the same. `item` is 0 where a field holds one reference.
    """
    with workspace(temp) as db:
        collect(db, roads, crosswalk)
        collect_merged(db, roads, systems, merged)
        no_one_known(db)
        doubles = doubles_among(db, systems)
        strangers = strangers_among(db, roads, systems, runs)
        if strangers or doubles:
            return Settled({}, {}, {}, (), {}, strangers, doubles)
        if scope is not None:
            hold_back(db, scope)
        resolve_named(db, roads, targets, systems, names or {})
        for road in roads:
            keys_and_uniques(db, road)
        cut_circles(db, roads)
        for road in roads:
            decide_operations(db, road, targets.get(road.into))
            leave_to_target(db, road, targets.get(road.into))
            resolve_lookups(db, road, targets)
        if any(road.known for road in roads):
            leave_known(db, roads)
        if any(road.known or road.in_target for road in roads):
            leave_out_with_parents(db, roads)
        one_writer(db, roads)
        one_row_per_match(db, roads)
        if scope is not None:
            stand_still(db, roads)
        resolve_references(db, roads, targets)
        share_fates(db)
        if any(road.known for road in roads):
            share_fates_of_known(db)
        strays = astray(db) if scope is not None else ()
        return Settled({}, {}, {}, (), astray=strays) if strays else _write(db, roads, out)


def _write(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], out: Path) -> Settled:
    quarantined: dict[str, int] = {}
    kept: dict[str, int] = {}
    operations: dict[str, dict[str, int]] = {}
    merged: dict[str, int] = {}
    for road in roads:
        name = literal(road.entity)
        folder = out / road.entity
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        all_bad = f"SELECT DISTINCT rid FROM bad WHERE entity = {name}"
        bad = f"{all_bad} AND {_in('rid')}"
        selects = {
            "settled": f"""SELECT o.rid, s.key, {_hash(road)} AS hash, o.op, o.tkey, o.known FROM op o
                JOIN state s ON s.entity = o.entity AND s.rid = o.rid
                WHERE o.entity = {name} AND {_in("o.rid")} AND {_in("s.rid")} AND o.rid NOT IN ({bad}) ORDER BY o.rid""",
            "quarantine": f"""SELECT b.rid, any_value(s.key) AS key, list(b.field ORDER BY b.field, b.code) AS fields,
                list(b.code ORDER BY b.field, b.code) AS codes, list(b.detail ORDER BY b.field, b.code) AS details
                FROM (SELECT DISTINCT entity, rid, field, code, detail FROM bad WHERE entity = {name} AND {_in("rid")}) b
                LEFT JOIN (SELECT * FROM state WHERE entity = {name} AND {_in("rid")}) s ON s.rid = b.rid GROUP BY b.rid ORDER BY b.rid""",
            "left_out": f"SELECT rid, key, reason FROM left_out WHERE entity = {name} AND {_in('rid')} ORDER BY rid",
            "patches": f"""SELECT rid, field, item, CASE WHEN bool_or(value IS NULL) THEN NULL ELSE any_value(value) END AS value
                FROM patch WHERE entity = {name} AND {_in("rid")} AND rid NOT IN ({bad}) GROUP BY rid, field, item ORDER BY rid, field, item""",
            "links": f"""SELECT rid, field, item, parent, parent_key FROM edge WHERE entity = {name}
                AND {_in("rid")} AND field IN ({_texts(road.compared)}) AND rid NOT IN ({bad}) ORDER BY rid, field, item""",
            "conflicts": f"""SELECT c.rid, s.key, c.tkey, c.outcome FROM conflict c
                JOIN state s ON s.entity = c.entity AND s.rid = c.rid WHERE c.entity = {name} AND {_in("c.rid")} AND {_in("s.rid")}
                AND (c.outcome = 'quarantined' OR c.rid NOT IN ({bad})) ORDER BY c.rid""",
            "events": f"SELECT rid, field, code, original FROM event WHERE entity = {name} AND {_in('rid')} ORDER BY rid, field, code",
        }
        pieces = _pieces(db, name)
        if road.merging is not None:
            selects["merged"] = (
                f'SELECT rid, key, into_rid AS "into", into_key FROM merged WHERE entity = {name} AND {_in("rid")} ORDER BY rid'
            )
        if road.known is not None:
            selects["known"] = (
                f"SELECT rid, key, outcome, words, place, parent, prid, pkey, tkey FROM known_as WHERE entity = {name} AND {_in('rid')} ORDER BY rid"
            )
        for file, select in selects.items():
            # by ranges of rows: one sort of everything would hold all of it at once
            tables = (db.sql(select.replace(_HERE, piece)).to_arrow_table() for piece in pieces)
            stream_rows(tables, folder / f"{file}.parquet", point="transform.settled")
            failpoints.hit(f"transform.settled.{file}")
        if road.tells_pointed:
            sql = (
                f"SELECT DISTINCT e.parent_key AS key FROM edge e "
                f"ANTI JOIN state s ON s.entity = e.parent AND s.key = e.parent_key WHERE e.parent = {name} ORDER BY key"
            )
            stream_rows(
                iter([db.sql(sql).to_arrow_table()]), folder / "pointed.parquet", point="transform.settled"
            )
        quarantined[road.entity] = count(db, f"SELECT count(DISTINCT rid) FROM bad WHERE entity = {name}")
        operations[road.entity] = dict(
            db.execute(
                f"SELECT op, count(*) FROM op WHERE entity = {name} AND rid NOT IN ({all_bad}) GROUP BY op ORDER BY op"
            ).fetchall()
        )
        kept[road.entity] = count(db, f"SELECT count(*) FROM state WHERE entity = {name}")
        merged[road.entity] = count(db, f"SELECT count(*) FROM merged WHERE entity = {name}")
    known = {road.entity: known_counts(db, road) for road in roads if road.known is not None}
    stops = tuple(row[0] for row in db.execute("SELECT text FROM stop ORDER BY text").fetchall())
    return Settled(quarantined, kept, operations, stops, merged, known=known)


_HERE = "\1"
_PARTS = 5  # whose rows are sorted at once


def _in(column: str) -> str:
    """The place in a SELECT where the range of its rows goes, see `_pieces`."""
    return f"{column} {_HERE}"


def _pieces(db: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """Conditions on row ids, in order, that between them let every row of an entity through once."""
    tables = ("state", "bad", "left_out", "patch", "edge", "event", "merged", "known_as")
    highest = max(
        count(db, f"SELECT coalesce(max(rid), 0) FROM {table} WHERE entity = {name}") for table in tables
    )
    step = _PARTS << RID_SHIFT
    starts = range(0, highest + 1, step)
    return [f"BETWEEN {start} AND {start + step - 1}" for start in starts]


def _hash(road: Road) -> str:
    """What the next run compares. A row with a replaced reference or lookup is looked at again in any case; its hash is
    that of the row alone, so that it does not count as changed once the reference comes true."""
    if not road.compared:
        return "s.hash"
    fields = _texts([*road.refs, *road.finds])
    replaced = f"SELECT rid FROM event WHERE entity = {literal(road.entity)} AND field IN ({fields})"
    return f"CASE WHEN o.rid IN ({replaced}) THEN s.base ELSE s.hash END"


def _texts(texts: Iterable[str]) -> str:
    return ", ".join(literal(text) for text in texts) or "NULL"
