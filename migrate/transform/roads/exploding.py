"""`explode`: several rows of one, numbered from 1. A slot with nothing in it is left out, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from migrate.arrow import layout
from migrate.model import Column, Kind, Type
from migrate.transform.keys import combined
from migrate.transform.own_columns import LEFT_OUT
from migrate.transform.road_columns import left_out
from migrate.transform.roads.spec import ExplodeSpec, Nulls
from migrate.transform.roads.stream import Stream, broken, chunks, texts_of
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import WHITE

EMPTY = "empty"


def exploded(stream: Stream, spec: ExplodeSpec, nulls: Nulls) -> Stream:
    """The stream with a row per slot. `nulls`: NULL words of the columns that come of it."""
    columns = [Column(c.name, spec.types.get(c.name, c.type)) for c in stream.columns]
    new = [Column(n, t) for n, t in spec.types.items() if n not in stream.types]
    place = next((n for n, c in enumerate(columns) if c.name.startswith("__")), len(columns))
    columns[place:place] = new

    def rows() -> Iterator[pa.Table]:
        for batch in stream.rows():
            make = _lists if spec.explode.split is None else _pieces
            yield from chunks(make(stream, spec, batch).select([c.name for c in columns]))

    return stream.then(columns, nulls, rows)


def _lists(stream: Stream, spec: ExplodeSpec, batch: pa.Table) -> pa.Table:
    slots = spec.explode.slots
    whole = ~broken(batch)  # a record that could not be read stays one row
    counts = np.where(whole, slots, 1)
    at, number = _places(counts)
    seen = stream.seen(batch)
    made: dict[str, pa.Array[Any]] = {}
    filled = np.zeros(len(at), dtype=np.bool_)
    for name, items in spec.lists.items():
        type_ = spec.types[name]
        values = pa.concat_arrays([_item(seen, item, is_column, type_) for item, is_column in items])
        picked = pa.array((number - 1) * batch.num_rows + at)
        made[name] = values.take(picked)
        if any(is_column for _, is_column in items):
            texts = [_text(seen, item, is_column) for item, is_column in items]
            filled |= pa.concat_arrays(texts).take(picked).is_valid().to_numpy(zero_copy_only=False)
    return _numbered(batch.take(pa.array(at)), spec, made, number, whole[at] & ~filled)


def _item(rows: SourceRows, item: str, is_column: bool, type_: Type) -> pa.Array[Any]:
    """One slot of a list, for all rows, in the type that all its slots have."""
    if not is_column:
        return pa.repeat(pa.scalar(item, pa.string()), len(rows))
    own = rows.types[item]
    if own.kind is not type_.kind or own.kind is Kind.TEXT:
        return texts_of(rows, item, blank=False)
    values = combined(rows.stored(item)).cast(layout(type_))
    if own.kind is Kind.MIXED and rows.nulls.get(item):
        given: pa.Array[Any] = pc.if_else(
            texts_of(rows, item, blank=False).is_valid(), values, pa.scalar(None, values.type)
        )
        return given
    return values


def _text(rows: SourceRows, item: str, is_column: bool) -> pa.Array[Any]:
    return texts_of(rows, item) if is_column else pa.nulls(len(rows), pa.string())


def _pieces(stream: Stream, spec: ExplodeSpec, batch: pa.Table) -> pa.Table:
    """One row per piece, trimmed. Nothing to split gives one row, with nothing in it."""
    name = spec.explode.split
    assert name is not None
    whole = ~broken(batch)
    seen = stream.seen(batch)
    text = pl.Series("", pl.from_arrow(texts_of(seen, name)), dtype=pl.String)
    lists = text.str.split(spec.explode.on)
    counts = lists.list.len().fill_null(1).to_numpy().astype(np.int64)
    at, number = _places(counts)
    pieces = lists.explode().str.strip_chars(WHITE)
    words = stream.nulls.get(name, ())
    nothing = pieces.is_null() | (pieces == "").fill_null(True)
    if words:
        nothing |= pieces.is_in(list(words)).fill_null(True)
    kept = pl.select(pl.when(~nothing).then(pieces)).to_series()
    made = {name: kept.to_arrow().cast(pa.string())}
    return _numbered(batch.take(pa.array(at)), spec, made, number, whole[at] & nothing.to_numpy())


def _places(counts: Any) -> tuple[Any, Any]:
    """Of every row that is made: the row it comes from, and its number there, from 1."""
    at = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return at, np.arange(len(at)) - np.repeat(starts, counts) + 1


def _numbered(
    rows: pa.Table, spec: ExplodeSpec, made: dict[str, pa.Array[Any]], number: Any, nothing: Any
) -> pa.Table:
    if spec.number is not None:
        made = made | {spec.number: pa.array(number.astype(np.int64))}
    for name, values in made.items():
        if name in rows.column_names:
            rows = rows.set_column(rows.column_names.index(name), name, values)
        else:
            rows = rows.append_column(name, values)
    nothing = nothing & ~left_out(rows)
    if nothing.any():
        reason = pc.if_else(pa.array(nothing), pa.scalar(EMPTY), combined(rows.column(LEFT_OUT)))
        rows = rows.set_column(rows.column_names.index(LEFT_OUT), LEFT_OUT, reason)
    return rows
