"""Rows of our own tables by a set of their keys, so that the cost grows with the keys and not with the table as well.

A hash join, which the planner likes, reads the whole table once per set: all sets together take the square of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.connectors.postgres.catalog import META
from migrate.connectors.postgres.session import quote, quote_table
from migrate.connectors.postgres.write import Staged
from migrate.model import Table


def is_ours(table: Table, key: Sequence[str]) -> bool:
    """One of our own tables, by its primary key: nobody but the holder of the fence writes them."""
    return table.name.startswith(f"{META}.") and set(key) == set(table.primary_key)


def found_by_index(
    table: Table, names: Sequence[str], made: Sequence[Staged], stage: str, wanted: str
) -> str:
    """A query for `wanted` (of `t`) of the rows with the staged keys, one look into the index per key. OFFSET 0 keeps
    the planner from making a join of it: of tables that were filled a moment ago it knows no statistics."""
    match = " AND ".join(f"t.{quote(n)} = {s.key}" for n, s in zip(names, made, strict=True))
    return (
        f"SELECT x.* FROM pg_temp.{stage} s "
        f"CROSS JOIN LATERAL (SELECT {wanted} FROM {quote_table(table.name)} t WHERE {match} OFFSET 0) x"
    )
