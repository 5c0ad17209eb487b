"""What is known of an entity's rows before they are compared: which row of the target they are, and what people said of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from migrate.context import Context
from migrate.duck import count, literal, parquet
from migrate.ledger.decisions import Decision
from migrate.mapping.model import Entity
from migrate.model import Table
from migrate.rules.matching.finding import KNOWN, Before
from migrate.state.deciding import content_id, decided_for, key_of, row_id
from migrate.state.waiting import lasting_identity, texts_of
from migrate.transform.settle.merged import parts_that_hold


@dataclass(frozen=True)
class Rows:
    """Rows of an entity that nothing has spoken against so far, a row being told by its place here; and the others."""

    rids: np.ndarray
    keys: pa.Array[Any]
    others: pa.Table

    def set_aside(self) -> dict[str, int]:
        """Key → id of rows that something speaks against."""
        keys: list[Any] = self.others["__key"].to_pylist()
        rids: list[Any] = self.others["__rid"].to_pylist()
        return {str(key): int(rid) for key, rid in zip(keys, rids, strict=True) if key is not None}


def collect_known(
    ctx: Context,
    db: duckdb.DuckDBPyConnection,
    entity: Entity,
    rows: Rows,
    crosswalk: Path | None,
    merged: Path | None,
) -> bool:
    """Table `known(rid, name, other)`: rows that are a row of the target already, and the source key by which it knows
    them; `other`: not their own. False where there is none. Two rows with one key are not known: which would it be?"""
    if crosswalk is None or not len(rows.rids):
        return False
    system = ctx.mapping.sources[entity.source].system
    mine = f"WHERE entity = {literal(entity.name)} AND system = {literal(system)}"
    numbers = pa.array(np.arange(len(rows.rids)), pa.int64())
    db.register("numbered", pa.table({"rid": numbers, "key": rows.keys}))
    every = f"(SELECT * FROM {parquet([crosswalk])})"
    part = (
        f"SELECT source_key, into_key FROM ({parts_that_hold(merged, every)}) {mine}"
        if merged is not None
        else "SELECT NULL::VARCHAR AS source_key, NULL::VARCHAR AS into_key LIMIT 0"
    )
    db.execute(
        f"""
        CREATE OR REPLACE TABLE {KNOWN} AS
        SELECT n.rid, coalesce(p.into_key, x.source_key) AS name, p.into_key IS NOT NULL AS other
        FROM (SELECT * FROM numbered QUALIFY count(*) OVER (PARTITION BY key) = 1) n
        LEFT JOIN (SELECT source_key FROM {every} {mine}) x ON x.source_key = n.key
        LEFT JOIN ({part}) p ON p.source_key = n.key
        WHERE x.source_key IS NOT NULL OR p.into_key IS NOT NULL
        """
    )
    db.unregister("numbered")
    return count(db, f"SELECT count(*) FROM {KNOWN}") > 0


def names_of(db: duckdb.DuckDBPyConnection, rows: Iterable[int]) -> dict[int, str]:
    """Row → the key by which the target knows it, of these rows and of all that it knows by the key of another one."""
    db.register("asked", pa.table({"rid": pa.array(sorted(rows), pa.int64())}))
    found = db.execute(
        f"SELECT rid, name FROM {KNOWN} WHERE other OR rid IN (SELECT rid FROM asked) ORDER BY rid"
    ).fetchall()
    db.unregister("asked")
    return {int(rid): str(name) for rid, name in found}


@dataclass(frozen=True)
class Told:
    """`stale`: pairs (a < b) of which people said something when their values were others, and what."""

    before: Before
    stale: dict[tuple[int, int], Decision] = field(default_factory=dict)


def told_before(
    ctx: Context, entity: Entity, table: Table, rows: Rows, unmerged: Sequence[Path], *, known: bool
) -> Told:
    """What people decided about pairs of these rows. A pair that was kept apart stays so though its values changed, until
    somebody says otherwise; one that was accepted is asked about again."""
    identity = lasting_identity(ctx.mapping, entity.name)
    decided = decided_for(ctx, identity)
    key = key_of(ctx.ledger)
    if key is None or not decided:
        return Told(Before(loaded=known))
    places = _places(key, identity, rows, {r for d in decided.values() for r in (d.a, d.b)})
    pairs = [(d, places[d.a], places[d.b]) for d in decided.values() if d.a in places and d.b in places]
    columns = sorted({c for d, _, _ in pairs for c in d.columns if c in entity.fields})
    texts = texts_of(unmerged, {int(rows.rids[r]) for _, a, b in pairs for r in (a, b)}, columns, table)
    accepted, rejected, stale = set(), set(), {}
    for one, a, b in pairs:
        pair = (min(a, b), max(a, b))
        of_rows = [(one.a, texts[int(rows.rids[a])]), (one.b, texts[int(rows.rids[b])])]
        fresh = set(one.columns) <= set(columns) and content_id(key, one.columns, of_rows) == one.content
        if not fresh:
            stale[pair] = one
        if one.decision == "reject":
            rejected.add(pair)
        elif fresh:
            accepted.add(pair)
    return Told(Before(loaded=known, accepted=frozenset(accepted), rejected=frozenset(rejected)), stale)


def _places(key: bytes, identity: tuple[str, str], rows: Rows, wanted: set[str]) -> dict[str, int]:
    """Row id → its place, of the wanted ones; of none that two rows have."""
    found: dict[str, int] = {}
    twice = set()
    for place, source_key in enumerate(rows.keys.to_pylist()):
        name = row_id(key, identity, str(source_key))
        if name in wanted:
            twice |= {name} & found.keys()
            found[name] = place
    return {name: place for name, place in found.items() if name not in twice}
