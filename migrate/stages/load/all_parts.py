"""First pass over all parts of an entity: several connections at once where the order of parts cannot matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migrate import canon
from migrate.connectors.protocol import Transaction
from migrate.context import Context
from migrate.errors import TooManyQuarantined
from migrate.model import Kind, Type
from migrate.planning import limit_of, may_be_quarantined
from migrate.stages.load.parts import Lane, load_part
from migrate.stages.load.receipts import Work, once
from migrate.state.counts import settled_counts
from migrate.state.lost import lost_values
from migrate.state.records import Rejected
from migrate.state.to_load import part_indexes, part_path

_DIGEST_TYPES = {
    "__key": Type(Kind.TEXT),
    "__op": Type(Kind.TEXT),
    "__tkey": Type(Kind.TEXT),
    "__final": Type(Kind.BYTES),
}


@dataclass(frozen=True)
class Loaded:
    """What became of one part: rows that it held, and the rids that the database refused."""

    rows: int
    refused: tuple[int, ...] = ()


def first_pass(ctx: Context, lane: Lane, rejected: Rejected) -> int:
    """Every part of an entity, once each; returns the rows of all parts.

    Raises TooManyQuarantined at the end of the part that crosses the limit. Whatever ends it, parts that
    are under way are committed or rolled back before it is raised."""
    total = 0
    for index, loaded in _carried_out(ctx, lane, rejected):
        name = lane.entity.name
        rejected.rids.setdefault(name, set()).update(loaded.refused)
        allowed = allowed_refusals(ctx, lane)
        if rejected.count(name) > allowed:  # also rows that went with their rejected parents
            raise too_many(ctx, name, index, allowed, settled_counts(ctx)[name], committed=True)
        total += loaded.rows
        ctx.progress.advance(loaded.rows)
    return total


def _carried_out(ctx: Context, lane: Lane, rejected: Rejected) -> Iterator[tuple[int, Loaded]]:
    """Parts with what became of them, as they are done."""
    indexes = part_indexes(ctx, lane.entity.name)
    workers = min(ctx.workers, len(indexes)) if any_order(lane) else 1
    if workers <= 1:
        for index in indexes:
            yield index, _one(ctx, lane, rejected, index)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="load") as pool:
        running: dict[Future[Loaded], int] = {}
        waiting = iter(indexes)
        try:
            while True:
                # No more are begun than work at once: what is refused meanwhile is known to the next one.
                for index in waiting:
                    running[pool.submit(_one, ctx, lane, rejected, index)] = index
                    if len(running) == workers:
                        break
                if not running:
                    return
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(done), done.result()
        finally:
            wait(running)


def any_order(lane: Lane) -> bool:
    """May parts of an entity go in at the same time, and the outcome be the same whichever comes first?

    Not where a row of one part could be refused, or let in, for a row of another: by a unique rule that nobody
    has checked before (the primary key is assigned), by a trigger, by a reference from row to row of the table that
    the second pass does not set. Then the order of the parts decides, in every run alike."""
    table = lane.table
    return (
        lane.session.target.parallel_writers
        and not table.triggers
        and not table.not_carried
        and not any(u.columns != table.primary_key for u in table.uniques)
        and not any(i.unique for i in table.indexes)
        and all(
            fk.ref_table != table.name or set(fk.columns) <= set(lane.plan.deferred)
            for fk in table.foreign_keys
        )
    )


def _one(ctx: Context, lane: Lane, rejected: Rejected, index: int) -> Loaded:
    name = lane.entity.name
    rows = pq.read_table(part_path(ctx, name, index))
    if not rows.num_rows:
        return Loaded(0)
    allowed = allowed_refusals(ctx, lane)
    refused: list[int] = []

    def work(transaction: Transaction) -> Work:
        left = max(0, allowed - rejected.count(name))
        done = load_part(
            lane, transaction, f"{name}/{index}", rows, lost_values(lane.plan.refs, rejected), left
        )
        refused[:] = [r[0] for r in done.rejects]
        return done

    try:
        once(lane.session, f"{name}/{index}", digest(rows), work)
    except TooManyQuarantined as error:
        raise too_many(ctx, name, index, allowed, settled_counts(ctx)[name]) from error
    return Loaded(rows.num_rows, tuple(refused))


def digest(rows: pa.Table) -> str:
    """What a receipt says was loaded: row content and keys, not file bytes."""
    return canon.digest([rows.select(list(_DIGEST_TYPES))], _DIGEST_TYPES).text()


def allowed_refusals(ctx: Context, lane: Lane) -> int:
    """How many rows of an entity the database may refuse."""
    counts = settled_counts(ctx)[lane.entity.name]
    return max(0, may_be_quarantined(ctx.mapping, lane.entity, counts["in"]) - int(counts["quarantined"]))


def too_many(
    ctx: Context,
    name: str,
    index: int,
    allowed: int,
    counts: Mapping[str, Any],
    *,
    committed: bool = False,
) -> TooManyQuarantined:
    """The limit was crossed inside part `index`, which is rolled back, or by its end."""
    limit = limit_of(ctx.mapping, ctx.mapping.entities[name])
    back = f"Part {index} was rolled back; what was loaded before it stays."
    return TooManyQuarantined(
        f"the database refused more than {allowed} rows (with the children of refused ones), and "
        f"{counts['quarantined']} of {counts['in']} were quarantined before: the limit is {limit:.1%}",
        where=name,
        kept=f"What was loaded up to part {index} stays." if committed else back,
        hint="Look at the constraints of the target and correct the mapping or the source, or set max_quarantine; "
        f"`migrate rollback {ctx.run}` undoes what was loaded.",
    )
