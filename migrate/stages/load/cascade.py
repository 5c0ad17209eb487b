"""Rows in the target whose parent was rejected later: found to a fixpoint, and removed with their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon, failpoints
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import GateClosed
from migrate.stages.load.parts import Lane, rejects_of, target_keys
from migrate.stages.load.receipts import Session, Work, once
from migrate.state.lost import Lost, lost_values, points_at
from migrate.state.records import Rejected, add_values
from migrate.state.to_load import part_indexes, part_path


def leaves_empty(lane: Lane, fld: str) -> bool:
    """The mapping says that this reference may be empty when its parent is not there."""
    ref = lane.entity.fields[fld].ref
    return ref is not None and ref.missing == "empty_and_flag"


def cascade(
    ctx: Context,
    session: Session,
    lanes: Mapping[str, Lane],
    rejected: Rejected,
) -> None:
    """Remove rows that are in the target already but whose parent was rejected later (cycles, self-references).

    Runs before any second pass, so the columns that close a cycle are still empty and children can go
    before parents. One transaction with a receipt per entity; the receipt's name has the rows' digest, for
    a run that was killed here finds fewer of them.
    """
    loaded = list(lanes)
    victims = _victims(ctx, lanes, loaded, rejected)
    for name in reversed(loaded):
        rows = victims.get(name)
        if rows is None:
            continue
        lane = lanes[name]
        digest = canon.digest(
            [rows.select(["__key"])], {"__key": lane.session.table("receipt").column("run").type}
        )

        def remove(transaction: Transaction, lane: Lane = lane, rows: pa.Table = rows) -> Work:
            transaction.delete(lane.table, lane.key, target_keys(lane, rows))
            crosswalk = session.table("crosswalk")
            keys = pa.table(
                {
                    "system": pa.repeat(lane.system, rows.num_rows),
                    "entity": pa.repeat(lane.entity.name, rows.num_rows),
                    "source_key": rows["__key"],
                }
            )
            transaction.delete(crosswalk, crosswalk.primary_key, keys)
            failpoints.hit("load.cascade.deleted")
            return Work(0, tuple(rejects_of(lane, rows, "parent_rejected")))

        once(session, f"{name}/cascade/{digest.text()[-12:]}", digest.text(), remove)


def _victims(
    ctx: Context, lanes: Mapping[str, Lane], loaded: list[str], rejected: Rejected
) -> dict[str, pa.Table]:
    """The closure: inserted rows of loaded entities that point at a rejected one, per entity."""
    found: dict[str, list[pa.Table]] = {}
    grew = True
    while grew:
        grew = False
        for name in loaded:
            lane = lanes[name]
            lost = {
                f: v
                for f, v in lost_values(lane.plan.refs, rejected).items()
                if not (f in lane.plan.deferred and leaves_empty(lane, f))
            }
            for rows in _pointing(ctx, lane, lost) if lost else ():
                known = rejected.rids.setdefault(name, set())
                fresh = rows.filter(pa.array([r not in known for r in rows["__rid"].to_pylist()], pa.bool_()))
                if not fresh.num_rows:
                    continue
                if pc.any(pc.equal(fresh["__op"], "update")).as_py():
                    raise GateClosed(
                        "a row that was updated refers to a row that the database rejected",
                        where=lane.table.name,
                        kept="Everything loaded so far stays and can be undone.",
                        hint=f"Correct the rejected rows, `migrate rollback {ctx.run}` and run again.",
                    )
                known.update(row["__rid"] for row in fresh.select(["__rid"]).to_pylist())
                found.setdefault(name, []).append(fresh)
                add_values(ctx, rejected, name)
                grew = True
    return {name: pa.concat_tables(parts) for name, parts in found.items()}


def _pointing(ctx: Context, lane: Lane, lost: Mapping[str, Lost]) -> Iterator[pa.Table]:
    """Rows of an entity's parts whose reference has one of the lost values: ids and keys only."""
    for index in part_indexes(ctx, lane.entity.name):
        rows = pq.read_table(part_path(ctx, lane.entity.name, index))
        hit = np.zeros(rows.num_rows, dtype=bool)
        for fld, values in lost.items():
            column = f"d.{fld}" if fld in lane.plan.deferred else fld
            hit |= points_at(rows, column, fld, lane.table.column(fld).type, values)
        written = pc.is_in(rows["__op"], pa.array(["insert", "update"])).to_numpy()
        yield rows.filter(pa.array(hit & written)).select(["__rid", "__key", "__op", *lane.key])
