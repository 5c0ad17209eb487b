"""What a rule says happens with a value that is not as it must be: applied to all its rows at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from migrate.duck import identifier, literal, parquet
from migrate.mapping.model import Default, Find, Outcome
from migrate.transform.settle.road import Road

CANDIDATES = 5


def apply_outcome(
    db: duckdb.DuckDBPyConnection,
    road: Road,
    fld: str,
    outcome: Outcome | Default | str,
    code: str,
    found: str,
) -> None:
    """Apply a declared outcome to the values that `found` (SELECT rid, item, detail) yields.

    A field that may not end empty is never emptied: its rows are quarantined."""
    entity = road.entity
    name, field_name = literal(entity), literal(fld)
    empties = outcome == "empty_and_flag" or (isinstance(outcome, Default) and outcome.default is None)
    if empties and fld in road.required:
        outcome = "quarantine"
    db.execute(f"CREATE OR REPLACE TEMP TABLE hit AS {found}")
    if isinstance(outcome, Default):
        value = "NULL" if outcome.default is None else literal(outcome.default)
        db.execute(f"INSERT INTO patch SELECT {name}, rid, {field_name}, item, {value} FROM hit")
        db.execute(
            f"INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code + '_defaulted')}, NULL FROM hit"
        )
    elif outcome == "empty_and_flag":
        db.execute(f"INSERT INTO patch SELECT {name}, rid, {field_name}, item, NULL FROM hit")
        db.execute(
            f"INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code + '_emptied')}, NULL FROM hit"
        )
    elif outcome == "warn":
        db.execute(f"INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code)}, NULL FROM hit")
    else:
        db.execute(f"INSERT INTO bad SELECT {name}, rid, {field_name}, {literal(code)}, detail FROM hit")
        if outcome == "stop":
            db.execute(
                f"INSERT INTO stop SELECT {literal(f'{entity}.{fld}: {code} in ')} || count(*) || ' rows' "
                "FROM hit HAVING count(*) > 0"
            )


def apply_reference_outcome(
    db: duckdb.DuckDBPyConnection,
    road: Road,
    fld: str,
    outcome: Outcome | Default | Find,
    code: str,
    found: str,
    targets: Mapping[str, Path],
    *,
    depth: int = 0,
) -> None:
    """As `apply_outcome`, where a row of the target may stand in: found once, it is the value (replaced by rule, and counted
    as such); else its own `missing` and `ambiguous` say what is."""
    if not isinstance(outcome, Find):
        apply_outcome(db, road, fld, outcome, code, found)
        return
    name, field_name, sought = literal(road.entity), literal(fld), f"sought_{depth}"
    value = f"r.{identifier(f'__find.{fld}')}" if outcome.by else "''"
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE {sought} AS SELECT h.rid, h.item, h.detail, {value} AS v "
        f"FROM ({found}) h JOIN {parquet(road.rows)} r ON r.__rid = h.rid"
    )
    look_up(db, outcome, f"SELECT DISTINCT v FROM {sought}", targets)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE {sought} AS
        SELECT s.*, coalesce(l.n, 0) AS n, l.value FROM {sought} s LEFT JOIN looked l ON l.v = s.v;
        INSERT INTO patch SELECT {name}, rid, {field_name}, item, value FROM {sought} WHERE n = 1;
        INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code + "_defaulted")}, NULL FROM {sought} WHERE n = 1;
        """
    )
    for behind, met in ((outcome.missing, "n = 0"), (outcome.ambiguous, "n > 1")):
        rest = f"SELECT rid, item, detail FROM {sought} WHERE {met}"
        apply_reference_outcome(db, road, fld, behind, code, rest, targets, depth=depth + 1)


def look_up(db: duckdb.DuckDBPyConnection, find: Find, values: str, targets: Mapping[str, Path]) -> None:
    """`looked`: per value v of `values` (SELECT v) how many rows of the proven backup fit (`n`), what the one gives
    (`value`), and the keys of the first few (`candidates`). NULL fits nothing."""
    path = targets.get(find.table)
    given = identifier(f"c.{find.give}") if find.give else "tkey->>'$[0]'"
    conditions = [f"t.{identifier(f'c.{c}')} = {literal(v)}" for c, v in find.where.items()]
    if find.by:
        conditions.append(f"t.{identifier(f'c.{find.by}')} = r.v")
    rows = f"(SELECT *, {given} AS given FROM {parquet([path])})" if path else _NOTHING
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE looked AS
        SELECT r.v, count(t.given) AS n, min(t.given) AS value,
               array_to_string(list_sort(min(t.tkey, {CANDIDATES})), ', ') AS candidates
        FROM ({values}) r LEFT JOIN {rows} t ON {" AND ".join([*conditions, "t.given IS NOT NULL"]) if path else "FALSE"}
        WHERE r.v IS NOT NULL GROUP BY r.v
        """
    )


_NOTHING = "(SELECT NULL::VARCHAR AS tkey, NULL::VARCHAR AS given)"
