"""Second pass: references that close a cycle, once all their parents are in (F11). Receipts of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.connectors.protocol import Transaction
from migrate.errors import GateClosed
from migrate.planning import compared_columns
from migrate.stages.load.parts import Lane, target_keys, update_crosswalk
from migrate.stages.load.receipts import Work


def link_part(
    lane: Lane, transaction: Transaction, rows: pa.Table, lost: dict[str, set[str]], rejected: set[int]
) -> Work:
    """Set the deferred columns of rows that this run wrote, and fix the crosswalk's hashes to the final state."""
    names = list(lane.plan.deferred)
    rows = rows.filter(pc.is_in(rows["__op"], pa.array(["insert", "update"])))
    rows = rows.filter(pa.array([r not in rejected for r in rows["__rid"].to_pylist()], pa.bool_()))
    content: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {c: rows[c] for c in lane.key}
    emptied = np.zeros(rows.num_rows, dtype=bool)
    needed = pc.equal(rows["__op"], "update").to_numpy()
    for fld in names:
        column = rows[f"d.{fld}"].combine_chunks()
        gone = lost.get(fld)
        if gone:
            texts = canon.canonical_text(column, lane.table.column(fld).type)
            hit = pc.fill_null(pc.is_in(texts, pa.array(sorted(gone), pa.string())), False)
            emptied |= hit.to_numpy(zero_copy_only=False)
            column = pc.if_else(hit, pa.scalar(None, column.type), column)
        content[fld] = column
        needed |= pc.is_valid(column).to_numpy(zero_copy_only=False)
    needed |= emptied  # their hash is not the one that was fixed beforehand
    chosen = pa.array(needed)
    rows, values = rows.filter(chosen), pa.table(content).filter(chosen)
    if not rows.num_rows:
        return Work(0)
    refused = transaction.update(lane.table, lane.key, values, stop_after=0)
    failpoints.hit("load.links.updated")
    if refused:
        raise GateClosed(
            f"the database refused {len(refused)} references ({refused[0].code} {refused[0].constraint})",
            where=lane.table.name,
            kept="Everything loaded so far stays and can be undone.",
        )
    _read_back(lane, transaction, rows, values, emptied[needed])
    return Work(rows.num_rows)


def _read_back(
    lane: Lane, transaction: Transaction, rows: pa.Table, values: pa.Table, emptied: np.ndarray
) -> None:
    found = transaction.fetch(lane.table, lane.key, target_keys(lane, rows), list(lane.table.column_names))
    types = lane.table.types
    place = pc.index_in(rows["__tkey"].combine_chunks(), canon.source_keys(found, lane.key, types))
    final = (
        canon.as_binary(canon.row_hashes(found, types, compared_columns(lane.entity)))
        .cast(pa.binary())
        .take(place)
    )
    same = pc.fill_null(pc.equal(final, rows["__final"].combine_chunks().cast(pa.binary())), False)
    # Where a rejected parent left a reference empty, the hash fixed beforehand cannot hold: look at the columns.
    wrong = ~(same.to_numpy(zero_copy_only=False) | emptied)
    stands = found.take(place)
    for fld in lane.plan.deferred:
        one = canon.row_hashes(stands, types, [fld])
        two = canon.row_hashes(values, types, [fld])
        wrong |= (one.low != two.low) | (one.high != two.high)
    if wrong.any():
        raise GateClosed(
            f"{int(wrong.sum())} rows do not stand in the target as they were written",
            where=lane.table.name,
            kept="This part was rolled back; earlier parts stay.",
        )
    whole = canon.as_binary(canon.row_hashes(found, types, list(lane.state))).cast(pa.binary()).take(place)
    entries = pa.table(
        {
            "system": pa.repeat(lane.system, rows.num_rows),
            "entity": pa.repeat(lane.entity.name, rows.num_rows),
            "source_key": rows["__key"],
            "target_hash": final,
            "row_hash": whole,
        }
    )
    update_crosswalk(lane, transaction, entries, entries.column_names)
    failpoints.hit("load.links.crosswalk")
