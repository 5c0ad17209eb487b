"""`one_per`: of all rows with the same value one stays, the same one every time; the others are left out, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from migrate.arrow import arrow_schema
from migrate.duck import literal
from migrate.model import added_columns
from migrate.transform.keys import combined
from migrate.transform.own_columns import CODES, LEFT_OUT
from migrate.transform.roads.exploding import EMPTY
from migrate.transform.roads.spec import RoadSpec
from migrate.transform.roads.stream import (
    Asking,
    Stream,
    fetch,
    insert,
    row_digests,
    sort_keys,
    texts_of,
)
from migrate.transform.source_rows import SourceRows

ONE_PER = "one_per"


def first_of_each(db: duckdb.DuckDBPyConnection, stream: Stream, spec: RoadSpec) -> Stream:
    """The stream with all rows but the first of every value left out. First is a row that nothing is wrong with, then
    the one with the smallest primary key, in a file the first line, else the smallest digest. Rows that `where` or
    another step leaves out stand for nothing."""
    columns = spec.entity.one_per
    with Asking.of(stream, spec.where) as asking:
        for first, batch in [(0, arrow_schema(stream.columns).empty_table()), *stream.numbered()]:
            seen = stream.seen(batch)
            table: dict[str, Any] = {"n": pa.array(first + np.arange(batch.num_rows, dtype=np.int64))}
            table |= {f"t{n}": texts_of(seen, c) for n, c in enumerate(columns)}
            table["wrong"] = combined(batch.column(CODES)).is_valid()
            table |= {f"o{n}": key for n, key in enumerate(_order(seen, spec))}
            insert(db, "each", pa.table(table).filter(pa.array(asking.asked(seen))))
    texts = [f"t{n}" for n in range(len(columns))]
    count = len(_order(stream.seen(arrow_schema(stream.columns).empty_table()), spec))
    order = ", ".join(["wrong", *(f"o{n}" for n in range(count)), "n"])
    db.execute(
        f"CREATE TABLE spare AS SELECT n, reason FROM (SELECT n, CASE WHEN coalesce({', '.join(texts)}) IS NULL THEN {literal(EMPTY)} "
        f"WHEN row_number() OVER (PARTITION BY {', '.join(texts)} ORDER BY {order}) > 1 THEN {literal(ONE_PER)} END AS reason "
        "FROM each) WHERE reason IS NOT NULL ORDER BY n"
    )
    db.execute("DROP TABLE each")
    return stream.then(stream.columns, stream.nulls, lambda: _marked(db, stream))


def _order(rows: SourceRows, spec: RoadSpec) -> list[pa.Array[Any]]:
    names = set(rows.types)
    key = spec.pivot.per if spec.pivot is not None else spec.base.primary_key
    known = [c for c in key if c in names] or [c for c in ("_line",) if c in added_columns(names)]
    numbers = [spec.explode.number] if spec.explode is not None and spec.explode.number else []
    if known:
        return [k for c in [*known, *numbers] for k in sort_keys(rows, c)]
    types = {n: t for n, t in rows.types.items() if not n.startswith("__")}
    return [row_digests(rows.batch, types)]


def _marked(db: duckdb.DuckDBPyConnection, stream: Stream) -> Iterator[pa.Table]:
    for first, batch in stream.numbered():
        found = fetch(
            db, f"SELECT * FROM spare WHERE n >= {first} AND n < {first + batch.num_rows} ORDER BY n"
        )
        if found.num_rows:
            reasons = combined(batch.column(LEFT_OUT)).to_numpy(zero_copy_only=False)
            reasons[combined(found.column("n")).to_numpy() - first] = combined(
                found.column("reason")
            ).to_numpy(zero_copy_only=False)
            marked = pa.array(reasons, pa.string())
            batch = batch.set_column(batch.column_names.index(LEFT_OUT), LEFT_OUT, marked)
        yield batch
