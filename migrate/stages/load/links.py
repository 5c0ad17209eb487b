"""Second pass: references that close a cycle, once all their parents are in (F11). Receipts of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.connectors.protocol import Transaction
from migrate.errors import GateClosed
from migrate.planning import compared_columns, owned_columns
from migrate.stages.load.existing import written_to_existing
from migrate.stages.load.parts import Lane, plans, target_keys, update_crosswalk
from migrate.stages.load.receipts import Work
from migrate.state.lost import Lost, points_at


def link_part(
    lane: Lane, transaction: Transaction, rows: pa.Table, lost: Mapping[str, Lost], rejected: set[int]
) -> Work:
    """Set the deferred columns of rows that this run wrote, and fix the crosswalk's hashes to the final state."""
    rows = rows.filter(pc.is_in(rows["__op"], pa.array(["insert", "update"])))
    rows = rows.filter(pa.array([r not in rejected for r in rows["__rid"].to_pylist()], pa.bool_()))
    content: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {c: rows[c] for c in lane.key}
    emptied = np.zeros(rows.num_rows, dtype=bool)
    needed = np.zeros(rows.num_rows, dtype=bool)
    for fld in lane.plan.deferred:
        column = rows[f"d.{fld}"].combine_chunks()
        gone = lost.get(fld)
        if gone:
            hit = points_at(rows, f"d.{fld}", fld, lane.table.column(fld).type, gone)
            emptied |= hit
            column = pc.if_else(pa.array(hit), pa.scalar(None, column.type), column)
        content[fld] = column
        needed |= _different(lane, fld, column, rows[f"b.{fld}"])
    needed |= emptied  # their hash is not the one that was fixed beforehand
    chosen = pa.array(needed)
    rows, values = rows.filter(chosen), pa.table(content).filter(chosen)
    if not rows.num_rows:
        return Work(0)
    _as_left(lane, transaction, rows)
    new = pc.equal(rows["__op"], "insert")
    for part, names in (
        (values.filter(new), list(lane.plan.deferred)),
        (values.filter(pc.invert(new)), written_to_existing(lane.entity, list(lane.plan.deferred))),
    ):
        refused = transaction.update(lane.table, lane.key, part.select([*lane.key, *names]), stop_after=0)
        if refused:
            raise GateClosed(
                f"the database refused {len(refused)} references ({refused[0].code} {refused[0].constraint})",
                where=lane.table.name,
                kept="Everything loaded so far stays and can be undone.",
            )
    failpoints.hit("load.links.updated")
    _read_back(lane, transaction, rows, values, emptied[needed])
    return Work(rows.num_rows)


def _different(lane: Lane, fld: str, one: Any, two: Any) -> np.ndarray:
    """Where two columns of the same field hold different values."""
    types = {fld: lane.table.column(fld).type}
    a, b = (canon.row_hashes(pa.table({fld: c}), types) for c in (one, two))
    found: np.ndarray = (a.low != b.low) | (a.high != b.high)
    return found


def _as_left(lane: Lane, transaction: Transaction, rows: pa.Table) -> None:
    """Lock the rows: the columns to be set must hold what they held when it was decided (F9). Nothing is written
    over what somebody put there between the passes."""
    found = transaction.fetch(
        lane.table, lane.key, target_keys(lane, rows), [*lane.key, *lane.plan.deferred], lock=True
    )
    failpoints.hit("load.links.locked")
    place = pc.index_in(rows["__tkey"].combine_chunks(), canon.source_keys(found, lane.key, lane.table.types))
    changed = pc.is_null(place).to_numpy(zero_copy_only=False)
    stands = found.take(place)
    for fld in lane.plan.deferred:
        if fld not in lane.entity.target_sets:
            changed |= _different(lane, fld, stands[fld], rows[f"b.{fld}"])
    if changed.any():
        raise GateClosed(
            f"somebody changed {int(changed.sum())} rows while they were loaded, in columns that close cycles "
            f"({', '.join(lane.plan.deferred)})",
            where=lane.table.name,
            kept="This part was rolled back; earlier parts stay, and what was changed.",
            hint="Put these columns back to what they held, or roll the run back, and run again.",
        )


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
    owned = final
    if owned_columns(lane.entity) != compared_columns(lane.entity):
        over = owned_columns(lane.entity)
        owned = canon.as_binary(canon.row_hashes(found, types, over)).cast(pa.binary()).take(place)
        owned = owned if over else pa.nulls(rows.num_rows, pa.binary())
    entries = pa.table(
        {
            "system": pa.repeat(lane.system, rows.num_rows),
            "entity": pa.repeat(lane.entity.name, rows.num_rows),
            "source_key": rows["__key"],
            "plan": plans(lane, pc.or_(rows["__patched"].combine_chunks(), pa.array(emptied))),
            "target_hash": owned,
            "row_hash": whole,
        }
    )
    update_crosswalk(lane, transaction, entries, entries.column_names)
    failpoints.hit("load.links.crosswalk")
