"""Rows on their way along a road: batches that can be read again, and what steps ask of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.arrow import arrow_schema, layout
from migrate.canon import canonical_text
from migrate.duck import literal
from migrate.model import Column, Kind, Type, added_columns
from migrate.transform.conversion import nulls
from migrate.transform.expressions import Expressions, expressions_of
from migrate.transform.keys import combined
from migrate.transform.own_columns import CODES, LEFT_OUT
from migrate.transform.road_columns import left_out
from migrate.transform.roads.spec import OWN_COLUMNS, Nulls
from migrate.transform.source_rows import SourceRows
from migrate.transform.sql import Prepared
from migrate.transform.values import TEXT, WHITE, Mask

CHUNK = 16_384  # rows at a time


@dataclass(frozen=True)
class Stream:
    """`rows` gives the same batches in the same order every time, each of at most CHUNK rows (what `explode` makes of
    one batch may have more), with exactly `columns`."""

    columns: tuple[Column, ...]
    nulls: Nulls
    rows: Callable[[], Iterator[pa.Table]]

    @property
    def types(self) -> dict[str, Type]:
        return {c.name: c.type for c in self.columns}

    def seen(self, rows: pa.Table) -> SourceRows:
        """A batch with NULL words applied."""
        return SourceRows(rows, self.types, self.nulls)

    def numbered(self) -> Iterator[tuple[int, pa.Table]]:
        """Batches with the number of their first row, from 0."""
        first = 0
        for rows in self.rows():
            yield first, rows
            first += rows.num_rows

    def then(self, columns: Sequence[Column], nulls: Nulls, rows: Callable[[], Iterator[pa.Table]]) -> Stream:
        return replace(self, columns=tuple(columns), nulls=nulls, rows=rows)


def own_columns(count: int, base: pa.Array[Any]) -> dict[str, pa.Array[Any]]:
    """The columns that our rows carry besides, nothing said yet."""
    made = {c.name: nulls(count, layout(c.type)) for c in OWN_COLUMNS}
    return made | {OWN_COLUMNS[0].name: base}


def chunks(rows: pa.Table, size: int = CHUNK) -> Iterator[pa.Table]:
    for start in range(0, rows.num_rows, size):
        yield rows.slice(start, size).combine_chunks()


def empty(columns: Sequence[Column]) -> pa.Table:
    return arrow_schema(columns).empty_table()


def broken(rows: pa.Table) -> Mask:
    """Records of a file that could not be read."""
    if "_bad" not in added_columns(rows.column_names):
        return np.zeros(rows.num_rows, dtype=np.bool_)
    valid: Mask = combined(rows.column("_bad")).is_valid().to_numpy(zero_copy_only=False)
    return valid


def texts_of(rows: SourceRows, name: str, *, blank: bool = True) -> pa.Array[Any]:
    """Canonical texts, NULL words applied; `blank`: what has no character that can be seen is NULL too."""
    type_ = rows.types[name]
    if type_.kind not in (Kind.TEXT, Kind.MIXED):
        return canonical_text(rows.stored(name), type_)
    series = rows.column(name)[0].series
    text = canonical_text(series.to_arrow().cast(pa.string()), TEXT if type_.kind is Kind.MIXED else type_)
    if blank:
        nothing = pc.equal(pc.utf8_trim(text, characters=WHITE), "")
        text = pc.if_else(pc.fill_null(nothing, False), pa.scalar(None, pa.string()), text)
    return text


def sort_keys(rows: SourceRows, name: str) -> list[pa.Array[Any]]:
    """What a column is sorted by, most significant first: numbers and times by size, all else by its text."""
    type_ = rows.types[name]
    array = combined(rows.stored(name))
    match type_.kind:
        case Kind.INT | Kind.BOOL:
            return [array.cast(pa.int64())]
        case Kind.FLOAT:
            return [array.cast(pa.float64())]
        case Kind.DECIMAL if pa.types.is_decimal128(array.type):
            return [array]
        case Kind.DECIMAL:
            text = canonical_text(array, type_)
            return [text.cast(pa.float64()), text]
        case Kind.DATE:
            return [array.view(pa.int32())]
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return [array.view(pa.int64())]
        case Kind.MIXED:
            struct: Any = array
            whole = struct.field("int").cast(pa.float64(), safe=False)
            number = pc.if_else(pc.equal(struct.field("tag"), 1), whole, struct.field("real"))
            tags = pc.if_else(pc.is_valid(array), struct.field("tag"), pa.scalar(None, pa.int8()))
            kind = pc.if_else(pc.less_equal(tags, 2), pa.scalar(1, pa.int8()), tags)
            known = pc.if_else(pc.equal(kind, 1), number, pa.scalar(None, pa.float64()))
            return [kind, known, texts_of(rows, name, blank=False)]
        case _:
            return [texts_of(rows, name, blank=False)]


def row_texts(rows: SourceRows, columns: Sequence[str]) -> pa.Array[Any]:
    """The canonical texts of all `columns` as one list per row."""
    texts = [canonical_text(rows.batch.column(c), rows.types[c]) for c in columns]
    count = len(rows)
    flat: pa.Array[Any] = pa.concat_arrays([combined(t) for t in texts])
    order = np.arange(count * len(texts)).reshape(len(texts), count).T.ravel()
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * len(texts))
    return pa.ListArray.from_arrays(offsets, flat.take(pa.array(order)))  # type: ignore[no-any-return,call-overload]


def row_digests(rows: pa.Table, types: dict[str, Type]) -> pa.Array[Any]:
    return canon.as_binary(canon.row_hashes(rows.select(list(types)), types)).cast(pa.binary())


class Asking:
    """Which rows of a stream a step is for: those that can be read, are not left out, and fulfil the condition, as far
    as its columns are there already. A row for which it cannot be computed is nobody's: it is quarantined."""

    def __init__(self, stream: Stream, where: Prepared | None, expressions: Expressions) -> None:
        self._where = where if where is not None and set(where.columns) <= set(stream.types) else None
        self._expressions = expressions

    @classmethod
    @contextmanager
    def of(cls, stream: Stream, where: Prepared | None) -> Iterator[Asking]:
        columns = {where.sql: where.columns} if where is not None else {}
        with expressions_of(columns) as expressions:
            yield cls(stream, where, expressions)

    def asked(self, rows: SourceRows) -> Mask:
        asked = ~broken(rows.batch)
        if LEFT_OUT in rows.batch.column_names:
            asked &= ~left_out(rows.batch)
        return asked if self._where is None else asked & true_of(self._expressions, self._where, rows)[0]


def true_of(expressions: Expressions, where: Prepared, rows: SourceRows) -> tuple[Mask, Mask]:
    """Rows for which a condition is true (NULL is not), and rows for which it cannot be computed."""
    values, failed = expressions.over(where.sql, rows)
    answers: Any = values.cast(pa.bool_())
    true: Mask = answers.fill_null(False).to_numpy().astype(np.bool_)
    return true & ~failed, failed


def with_codes(rows: pa.Table, more: pa.Array[Any]) -> pa.Table:
    """The batch with further codes, a list of texts per row (NULL: none)."""
    known: Any = combined(rows.column(CODES))
    made: Any = pc.if_else(known.is_valid(), known, more)
    both = np.flatnonzero(pc.and_(known.is_valid(), more.is_valid()).to_numpy(zero_copy_only=False))
    if len(both):
        joined = [known[int(n)].as_py() + more[int(n)].as_py() for n in both]
        places = np.arange(len(known))
        places[both] = len(known) + np.arange(len(both))
        made = pa.concat_arrays([made, pa.array(joined, made.type)]).take(pa.array(places))
    return rows.set_column(rows.column_names.index(CODES), CODES, made)


def insert(db: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Adds rows to a table of DuckDB, made by the first of them."""
    db.register("incoming", rows)
    made = one(
        db,
        f"SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database() AND table_name = {literal(table)}",
    )
    verb = f"INSERT INTO {table}" if made else f"CREATE TABLE {table} AS"
    db.execute(f"{verb} SELECT * FROM incoming")
    db.unregister("incoming")


def fetch(db: duckdb.DuckDBPyConnection, sql: str) -> pa.Table:
    found: pa.Table = db.sql(sql).to_arrow_table()
    return found


def one(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The one number that a query gives; NULL is 0."""
    rows = db.execute(sql).fetchall()
    return int(rows[0][0] or 0)
