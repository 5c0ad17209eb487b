"""Names by which the crosswalk knows rows, where the mapping says that they were others before (`was`, F15).

Within a run everything speaks of rows by the names that its mapping has: the copy of the crosswalk is put into
them when it is read, and the target's own crosswalk follows before the first part is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.mapping.model import Mapping
from migrate.planning import Identity, earlier_identities, identity_of
from migrate.state.proven import known_crosswalk
from migrate.state.records import meta_rows


@dataclass(frozen=True)
class Rename:
    old: Identity
    new: Identity
    rows: int


def in_names_of(mapping: Mapping, rows: pa.Table) -> pa.Table:
    """Crosswalk entries under the names that `mapping` has, `named_system` and `named_entity` as they were found."""
    pairs = {
        old: identity_of(mapping, name)
        for name in mapping.entities
        for old in earlier_identities(mapping, name)
    }
    found = _renamed(rows, pairs)
    for column in ("system", "entity"):
        found = found.append_column(f"named_{column}", rows[column])
    return found


def _renamed(rows: pa.Table, pairs: Dict[Identity, Identity]) -> pa.Table:
    """Entries with the names that are keys of `pairs` under those that are its values."""
    system, entity = _flat(rows["system"]), _flat(rows["entity"])
    now = [system, entity]
    for old, new in pairs.items():
        hit = pc.and_(pc.equal(system, old[0]), pc.equal(entity, old[1]))
        now = [pc.if_else(hit, new[i], now[i]) for i in (0, 1)]
    for i, column in enumerate(("system", "entity")):
        rows = rows.set_column(rows.column_names.index(column), column, now[i].cast(pa.string()))
    return rows


def _flat(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    return column.combine_chunks().cast(pa.string())


def renames(ctx: Context) -> list[Rename]:
    """What the target's crosswalk had under earlier names when its backup was taken."""
    path = known_crosswalk(ctx)
    if path is None:
        return []
    counts: Counter[tuple[Identity, Identity]] = Counter()
    names = ["named_system", "named_entity", "system", "entity"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=names):
            found = pa.Table.from_batches([batch]).group_by(names).aggregate([([], "count_all")])
            for row in found.to_pylist():
                old, new = (row["named_system"], row["named_entity"]), (row["system"], row["entity"])
                if old != new:
                    counts[old, new] += row["count_all"]
    return [Rename(old, new, rows) for (old, new), rows in sorted(counts.items())]


def renamed_rows(ctx: Context) -> list[dict[str, Any]]:
    """What runs renamed in the target's crosswalk, the earliest first."""
    found = [row for rows in meta_rows(ctx.target, "renamed") for row in rows.to_pylist()]
    return sorted(found, key=lambda row: (row["renamed_at"], row["old_system"], row["old_entity"]))


def names_now(ctx: Context) -> dict[str, Identity]:
    """Entity of this run's mapping → the names under which the crosswalk knows its rows today: a later run may have
    renamed them."""
    started = ctx.ledger.run(ctx.run).started
    since = [row for row in renamed_rows(ctx) if datetime.fromisoformat(row["renamed_at"]) >= started]
    found = {}
    for name in ctx.mapping.entities:
        now = identity_of(ctx.mapping, name)
        for row in since:
            if (row["old_system"], row["old_entity"]) == now:
                now = (row["system"], row["entity"])
        found[name] = now
    return found


def first_names(ctx: Context) -> dict[str, str]:
    """Entity of the mapping → the name under which the target knew its rows first: back through `was`, and through
    what runs renamed."""
    done = [
        ((row["system"], row["entity"]), (row["old_system"], row["old_entity"])) for row in renamed_rows(ctx)
    ]
    found = {}
    for name in ctx.mapping.entities:
        now = identity_of(ctx.mapping, name)
        earlier = earlier_identities(ctx.mapping, name)
        if earlier:
            now = earlier[0]
        for new, old in reversed(done):
            now = old if new == now else now
        # A name that another entity has now would make two entities one.
        found[name] = name if now[1] in ctx.mapping.entities else now[1]
    return found


def names_then(ctx: Context) -> Callable[[pa.Table], pa.Table]:
    """The opposite: puts crosswalk entries as they are today under the names that this run's mapping has."""
    now = names_now(ctx)
    pairs = {
        identity: then
        for name, identity in now.items()
        if identity != (then := identity_of(ctx.mapping, name))
    }
    return lambda rows: _renamed(rows, pairs) if pairs else rows
