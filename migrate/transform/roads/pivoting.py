"""`pivot`: a table of names and values becomes one row per entity, out of core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from migrate.arrow import arrow_schema
from migrate.canon import canonical_text
from migrate.duck import literal
from migrate.model import Column, Kind, Type
from migrate.transform.conversion import nulls
from migrate.transform.keys import combined
from migrate.transform.own_columns import BASE, CODES
from migrate.transform.roads.carry import carried, restored
from migrate.transform.roads.spec import PivotSpec, hidden
from migrate.transform.roads.stream import CHUNK, fetch, insert, one, own_columns, texts_of
from migrate.transform.source_rows import SourceRows

AMBIGUOUS = "pivot_ambiguous"
USED = "__used"  # rows of the source that went into a row
_SHOWN = 20


@dataclass(frozen=True)
class Counts:
    """Rows of a pivoted table: with a name that `columns` lists, with others (the most frequent by name), without
    anything that says whose they are."""

    listed: int = 0
    others: int = 0
    nobodys: int = 0
    names: dict[str, int] = field(default_factory=dict)


def load(db: duckdb.DuckDBPyConnection, name: str, spec: PivotSpec, batches: Iterator[pa.Table]) -> Counts:
    """Fills the tables of the pivot `name`. `batches`: rows of the table that can be read, with `__base`."""
    types = spec.table.types
    insert(
        db, name, _columns(spec, SourceRows(arrow_schema(_with_base(spec)).empty_table(), types, spec.nulls))
    )
    for rows in batches:
        insert(db, name, _columns(spec, SourceRows(rows, types, spec.nulls)))
    listed = ", ".join(literal(c) for c in spec.pivot.columns)
    whole = " AND ".join(f"t{n} IS NOT NULL" for n in range(len(spec.per)))
    others = f"name IS NULL OR name NOT IN ({listed})"
    names = db.execute(
        f"SELECT name, count(*) AS n FROM {name} WHERE name NOT IN ({listed}) GROUP BY name ORDER BY n DESC, name LIMIT {_SHOWN}"
    ).fetchall()
    return Counts(
        listed=one(db, f"SELECT count(*) FROM {name} WHERE ({whole}) AND name IN ({listed})"),
        others=one(db, f"SELECT count(*) FROM {name} WHERE ({whole}) AND ({others})"),
        nobodys=one(db, f"SELECT count(*) FROM {name} WHERE NOT ({whole})"),
        names={str(n): int(c) for n, c in names},
    )


def _with_base(spec: PivotSpec) -> list[Column]:
    return [*spec.table.columns, Column(BASE, Type(Kind.INT, bits=64))]


def _columns(spec: PivotSpec, rows: SourceRows) -> pa.Table:
    columns: dict[str, Any] = {"n": combined(rows.batch.column(BASE))}
    for number, per in enumerate(spec.per):
        columns[f"t{number}"] = texts_of(rows, per)
        columns[f"p{number}"] = carried(rows.batch.column(per))
    columns["name"] = texts_of(rows, spec.pivot.name)
    columns["v"] = carried(rows.batch.column(spec.pivot.value))
    columns["vt"] = _value_texts(rows, spec.pivot.value)
    return pa.table(columns)


def _value_texts(rows: SourceRows, name: str) -> pa.Array[Any]:
    if rows.types[name].kind is Kind.BYTES:
        return canonical_text(rows.batch.column(name), rows.types[name])
    return texts_of(rows, name, blank=False)


def made(
    db: duckdb.DuckDBPyConnection, name: str, spec: PivotSpec, prefix: str = ""
) -> Callable[[], Iterator[pa.Table]]:
    """The rows of the pivot `name` by their `per`, with the columns of `spec.after`, our own, and `__used`. A name that
    comes twice with different values leaves its column empty and gives a code; `prefix` stands before the column there."""
    cells, codes = [], []
    for number, column in enumerate(spec.pivot.columns):
        of = f"FILTER (name = {literal(column)} AND vt IS NOT NULL)"
        differ = f"min(vt) {of} IS DISTINCT FROM max(vt) {of}"
        cells.append(f"CASE WHEN {differ} THEN NULL ELSE arg_min(v, n) {of} END AS c{number}")
        codes.append(
            f"CASE WHEN {differ} THEN [{literal(f'{AMBIGUOUS} {prefix}{column}')}] ELSE [] :: VARCHAR[] END"
        )
    per = [f"arg_min(p{n}, n) AS p{n}" for n in range(len(spec.per))]
    group = ", ".join(f"t{n}" for n in range(len(spec.per)))
    whole = " AND ".join(f"t{n} IS NOT NULL" for n in range(len(spec.per)))
    listed = ", ".join(literal(c) for c in spec.pivot.columns)
    db.execute(
        f"CREATE TABLE {name}_rows AS SELECT row_number() OVER (ORDER BY {group}) - 1 AS r, * FROM ("
        f"SELECT min(n) AS base, count(*) FILTER (name IN ({listed})) AS used, {', '.join(per)}, {', '.join(cells)}, "
        f"{' || '.join(codes)} AS codes, {group} FROM {name} WHERE {whole} GROUP BY {group}) ORDER BY r"
    )
    # Rows that belong to nobody are rows of the road too, with nothing in them.
    db.execute(f"CREATE TABLE {name}_lost AS SELECT n AS base FROM {name} WHERE NOT ({whole}) ORDER BY n")
    total = one(db, f"SELECT count(*) FROM {name}_rows")

    def rows() -> Iterator[pa.Table]:
        for first in range(0, total, CHUNK):
            found = fetch(
                db, f"SELECT * FROM {name}_rows WHERE r >= {first} AND r < {first + CHUNK} ORDER BY r"
            )
            yield _laid_out(spec, found)

    return rows


def _laid_out(spec: PivotSpec, found: pa.Table) -> pa.Table:
    count = found.num_rows
    schema = arrow_schema(spec.after.columns)
    columns: dict[str, Any] = {}
    for number, per in enumerate(spec.per):
        columns[per] = restored(found.column(f"p{number}"), schema.field(per).type)
    for number, name in enumerate(spec.pivot.columns):
        columns[name] = restored(found.column(f"c{number}"), schema.field(name).type)
    for column in hidden(spec.table):
        columns[column.name] = nulls(count, schema.field(column.name).type)
    columns |= own_columns(count, combined(found.column("base")).cast(pa.int64()))
    columns[CODES] = no_empty(found.column("codes"))
    columns[USED] = combined(found.column("used")).cast(pa.int64())
    return pa.table(columns)


def no_empty(codes: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    lists: Any = combined(codes).cast(pa.list_(pa.string()))
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    given: pa.Array[Any] = lists.take(pa.array(np.arange(len(lists)), mask=lengths == 0))
    return given


def lost(db: duckdb.DuckDBPyConnection, name: str) -> Iterator[pa.Array[Any]]:
    """The places of rows that belong to nobody, in order."""
    total = one(db, f"SELECT count(*) FROM {name}_lost")
    for first in range(0, total, CHUNK):
        found = fetch(db, f"SELECT base FROM {name}_lost ORDER BY base LIMIT {CHUNK} OFFSET {first}")
        yield combined(found.column("base")).cast(pa.int64())
