"""Our own tables in the target, read: what was loaded and what the database rejected, also after a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.connectors.protocol import Target
from migrate.context import Context
from migrate.ledger.receipts import meta_table


@dataclass
class Rejected:
    """What this run's load has rejected so far: rids per entity, and the target values of keys that never came to be."""

    rids: dict[str, set[int]] = field(default_factory=dict)
    values: dict[str, set[str]] = field(default_factory=dict)

    def count(self, entity: str) -> int:
        return len(self.rids.get(entity, ()))


def read_rejected(ctx: Context) -> Rejected:
    """From the target's own table: the truth, also after a kill."""
    result = Rejected()
    for rows in meta_rows(ctx.target, "reject"):
        mine = rows.filter(pc.equal(rows["run"], ctx.run))
        for row in mine.select(["entity", "rid"]).to_pylist():
            result.rids.setdefault(row["entity"], set()).add(row["rid"])
    for entity in result.rids:
        add_values(ctx, result, entity)
    return result


def meta_rows(target: Target, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """All rows of one of our own tables in the target, or some `columns` of them; none where it does not exist."""
    table = target.meta(name)
    if table not in target.schema([table]).table_names:
        return
    declared = meta_table(name, target.meta)
    with target.snapshot([table]) as snapshot:
        stored = snapshot.schema.table(table)
        for batch in snapshot.read(table, columns):
            yield target.as_declared(pa.Table.from_batches([batch]), stored, declared)


def add_values(ctx: Context, rejected: Rejected, entity: str) -> None:
    """Keys assigned to rejected new rows; a rejected update leaves its row, and its children, alone."""
    keys = pq.read_table(ctx.folder / "load" / entity / "keys.parquet", columns=["rid", "op", "tkey"])
    mine = np.isin(keys["rid"].to_numpy(), np.array(sorted(rejected.rids[entity]), dtype=np.int64))
    chosen = keys.filter(pc.and_(pa.array(mine), pc.equal(keys["op"], "insert")))
    rejected.values[entity] = {str(json.loads(row["tkey"])[0]) for row in chosen.select(["tkey"]).to_pylist()}


RENAMED = (
    "names"  # the receipt of the transaction that renames crosswalk entries; it writes no row of anybody's
)


def writers(target: Target) -> set[str]:
    """Runs that committed rows to the target."""
    found: set[str] = set()
    for rows in meta_rows(target, "receipt", ["run", "part"]):
        found.update(str(r) for r in rows.filter(pc.not_equal(rows["part"], RENAMED))["run"].to_pylist())
    return found


def fences(target: Target) -> dict[str, int]:
    """Run → the fence under which it wrote first: the higher, the later. Runs of layouts before 6 have none."""
    return {r["run"]: r["fence"] for rows in meta_rows(target, "fenced") for r in rows.to_pylist()}


def written_parts(ctx: Context) -> bool:
    """Did an earlier process of this run commit any row to the target?"""
    return ctx.run in writers(ctx.target)
