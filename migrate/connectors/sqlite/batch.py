"""Batches as temporary tables without affinity, so that values stay as they were bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from migrate.connectors.bisect import Refusal, too_many
from migrate.connectors.sqlite.encode import Bound, encode, whole_array
from migrate.connectors.sqlite.names import quote, rowid_name
from migrate.connectors.sqlite.types import column_affinity
from migrate.connectors.sqlite.unfit import unfit
from migrate.errors import UsageError
from migrate.model import ForeignKey, Rejected, Table

NAME = "_migrate_batch"
BATCH = f"temp.{NAME}"


def bound_columns(table: Table, rows: pa.Table) -> list[Bound]:
    """Every column of `rows` ready to be bound. Raises UsageError naming table.column (F22)."""
    strict = "STRICT" in table.options
    found = []
    for name in rows.schema.names:
        try:
            column = table.column(name)
        except KeyError:
            raise UsageError("the table has no such column", where=f"{table.name}.{name}") from None
        affinity = column_affinity(column.type.native, strict=strict)
        found.append(encode(rows.column(name), column.type, affinity, f"{table.name}.{name}"))
    return found


def unfit_rows(table: Table, rows: pa.Table) -> dict[int, Refusal]:
    """Rows with a value that SQLite would change or cannot hold, by ordinal; the refusal names the column."""
    strict = "STRICT" in table.options
    found: dict[int, Refusal] = {}
    for name in rows.schema.names:
        type_ = table.column(name).type
        array = whole_array(rows.column(name))
        bad = unfit(array, type_, column_affinity(type_.native, strict=strict))
        if bad is not None:
            for ordinal in np.flatnonzero(bad.mask.to_numpy(zero_copy_only=False)):
                found.setdefault(int(ordinal), Refusal("db_value", name))
    return found


class Write(Protocol):
    def __call__(self, table: Table, rows: pa.Table, *, stop_after: int) -> list[Rejected]: ...


def fit_only(
    bad: Mapping[int, Refusal], table: Table, rows: pa.Table, stop_after: int, write: Write
) -> list[Rejected]:
    """Write all rows but those of `bad`; both kinds of refusals, by their ordinals in `rows`."""
    if len(bad) > stop_after:
        raise too_many(stop_after, table.name)
    kept = [o for o in range(rows.num_rows) if o not in bad]
    rejected = write(table, rows.take(pa.array(kept, pa.int64())), stop_after=stop_after - len(bad))
    found = [Rejected(o, r.code, r.constraint) for o, r in bad.items()]
    found += [replace(r, ordinal=kept[r.ordinal]) for r in rejected]
    return sorted(found, key=lambda r: r.ordinal)


def parameters(bounds: Sequence[Bound]) -> tuple[str, list[Sequence[object]]]:
    """The VALUES expressions and the parameter lists, column by column."""
    return ", ".join(b.expression for b in bounds), [values for b in bounds for values in b.values]


@contextmanager
def batch_table(
    connection: sqlite3.Connection, table: Table, rows: pa.Table, *, index: bool = False
) -> Iterator[None]:
    """`temp._migrate_batch(ord, c0, c1, …)` with the columns of `rows` in their order; ord counts from 0."""
    expressions, lists = parameters(bound_columns(table, rows))
    columns = [f"c{i}" for i in range(rows.num_columns)]
    connection.execute(f"CREATE TEMP TABLE {NAME} (ord INTEGER PRIMARY KEY, {', '.join(columns)})")
    try:
        connection.executemany(
            f"INSERT INTO {BATCH} VALUES (?, {expressions})", zip(range(rows.num_rows), *lists, strict=True)
        )
        if index:
            connection.execute(f"CREATE INDEX temp.{NAME}_key ON {NAME} ({', '.join(columns)})")
        yield
    finally:
        if connection.in_transaction:
            connection.execute(f"DROP TABLE {BATCH}")
        else:  # a rolled back transaction took it along
            connection.execute(f"DROP TABLE IF EXISTS {BATCH}")


def joined(key: Sequence[str], places: Sequence[int], alias: str = "t") -> str:
    """table.key = batch.cN: the table's column on the left, so that its collation and affinity decide."""
    return " AND ".join(f"{alias}.{quote(k)} = b.c{p}" for k, p in zip(key, places, strict=True))


def identity(table: Table) -> Sequence[str]:
    """What names one row inside a statement: a rowid, else the primary key (already quoted)."""
    if "WITHOUT ROWID" in table.options:
        return [quote(k) for k in table.primary_key]
    name = rowid_name(table.column_names)
    if name is None:
        raise UsageError("all names of the rowid are taken by columns", where=table.name)
    return [name]


def matching(table: Table, key: Sequence[str], places: Sequence[int]) -> str:
    """A WHERE clause: rows of `table` whose key is in the batch, each once."""
    names = identity(table)
    inner = ", ".join(f"t.{n}" for n in names)
    outer = names[0] if len(names) == 1 else f"({', '.join(names)})"
    return (
        f"{outer} IN (SELECT {inner} FROM {BATCH} AS b CROSS JOIN main.{quote(table.name)} AS t"
        f" ON {joined(key, places)})"
    )


def orphans(
    connection: sqlite3.Connection, table: Table, fks: Sequence[ForeignKey], names: Sequence[str]
) -> dict[int, str]:
    """Rows of the batch whose parent is neither in the database nor, for self-references, in the batch.

    Children of such rows in the batch are orphans too. Returns ordinal → name of the foreign key.
    """
    found: dict[int, str] = {}
    place = {n: f"c{i}" for i, n in enumerate(names)}
    for fk in fks:
        if not set(fk.columns) <= set(names):
            continue
        child = [place[c] for c in fk.columns]
        given = " AND ".join(f"b.{c} IS NOT NULL" for c in child)
        parent = " AND ".join(f"p.{quote(r)} = b.{c}" for r, c in zip(fk.ref_columns, child, strict=True))
        lost = f"{given} AND NOT EXISTS (SELECT 1 FROM main.{quote(fk.ref_table)} AS p WHERE {parent})"
        own = fk.ref_table == table.name and set(fk.ref_columns) <= set(names)
        if not own:
            query = f"SELECT b.ord FROM {BATCH} AS b WHERE {lost}"
        else:
            keys = [place[c] for c in fk.ref_columns]
            same = " AND ".join(f"q.{k} = b.{c}" for k, c in zip(keys, child, strict=True))
            down = " AND ".join(f"b.{c} = q.{k}" for k, c in zip(keys, child, strict=True))
            index = f"CREATE INDEX IF NOT EXISTS temp.{NAME}_%s ON {NAME} (%s)"
            connection.execute(index % ("parent", ", ".join(keys)))
            connection.execute(index % ("child", ", ".join(child)))
            query = (
                f"WITH RECURSIVE lost(ord) AS (SELECT b.ord FROM {BATCH} AS b WHERE {lost}"
                f" AND NOT EXISTS (SELECT 1 FROM {BATCH} AS q WHERE {same})"
                f" UNION SELECT b.ord FROM lost CROSS JOIN {BATCH} AS q ON q.ord = lost.ord"
                f" CROSS JOIN {BATCH} AS b ON {down}) SELECT ord FROM lost"
            )
        for (ordinal,) in connection.execute(query):
            found.setdefault(ordinal, fk.name)
    return found


def places_of(rows: pa.Table, names: Sequence[str]) -> list[int]:
    """Where the columns `names` are in `rows`. Raises UsageError."""
    found: list[int] = []
    for name in names:
        at: Any = rows.schema.get_field_index(name)
        if at < 0:
            raise UsageError("the rows lack a key column", where=name)
        found.append(int(at))
    return found
