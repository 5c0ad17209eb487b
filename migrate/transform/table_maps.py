"""Value maps that come from the rows of a source table."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import pyarrow as pa

from migrate.errors import GateClosed
from migrate.mapping.model import MapTable, ValueMap
from migrate.model import Table
from migrate.transform.lookup import Lookup, folded
from migrate.transform.said import Said
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import nulls_of, texts_of

MAX_ROWS = 5_000_000  # held in memory while rows are looked up


def table_lookup(
    value_map: ValueMap, of: MapTable, table: Table, said: Said, batches: Iterable[pa.Table]
) -> Lookup:
    """The map made ready from all rows of its table, which come in `batches`. Rows without a key say nothing.

    Raises GateClosed where the table is no map: one value with two results, records that cannot be read, too many."""
    found: list[pl.DataFrame] = []
    unread = rows = 0
    for batch in batches:
        seen = SourceRows(batch, table.types, said.nulls_of(table.columns))
        columns = {}
        for place, name in (("k", of.from_), ("v", of.to)):
            values, bad = seen.column(name)
            columns[place] = texts_of(values)
            unread += 0 if bad is None else int(bad.sum())
        if "_bad" in batch.column_names:
            unread += len(batch) - batch.column("_bad").null_count
        found.append(pl.DataFrame(columns).filter(pl.Series(~nulls_of(columns["k"]))).unique())
        rows += len(found[-1])
        if rows > MAX_ROWS:
            raise _no_map(value_map, of, f"has more than {MAX_ROWS} rows", "Join it (`with`) instead.")
    if unread:
        raise _no_map(value_map, of, f"holds {unread} records that cannot be read", "Correct the source.")
    whole = pl.concat([_NOTHING, *found]).unique(maintain_order=True)
    keys = folded(whole["k"]) if value_map.ignore else whole["k"]
    results = pl.DataFrame({"k": keys, "v": whole["v"]}).unique().group_by("k").len()
    several = int((results["len"] > 1).sum())
    if several:
        raise _no_map(
            value_map, of, f"has several results for {several} values", "Each value needs one result."
        )
    return Lookup(whole["k"], whole["v"], ignore_case=value_map.ignore is not None)


_NOTHING = pl.DataFrame(schema={"k": pl.String, "v": pl.String})


def _no_map(value_map: ValueMap, of: MapTable, why: str, hint: str) -> GateClosed:
    return GateClosed(
        f"the map {value_map.name} cannot be made: {of.table} ({of.from_} to {of.to}) {why}",
        kept="Nothing was loaded.",
        hint=hint,
    )
