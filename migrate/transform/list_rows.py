"""The items of `list` fields over one batch of rows: values computed, what is wrong with them told of their row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.canon import canonical_text
from migrate.mapping.model import Check
from migrate.model import Kind
from migrate.transform.conversion import nulls
from migrate.transform.entity import CompiledField, CompiledItem, CompiledList
from migrate.transform.field_columns import Columns
from migrate.transform.findings import Findings, Stop
from migrate.transform.keys import combined
from migrate.transform.lists import PIECE, composed, kept, names_of, one_per
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import TEXT, WHITE, Mask, texts_of

Evaluate = Callable[[CompiledField, SourceRows, Findings], Columns]
Numbers = npt.NDArray[np.int64]
PLACEHOLDERS = ("__ref", "__ref_to", "__find")  # of a value NAME: `__ref.NAME`, as in the rows of a transform


@dataclass(frozen=True)
class Listed:
    """`array`: the finished column, or NULLs where references have to be resolved first, from `items`.

    `looked`: for every row the texts that tables of the source gave for its items (None: nothing is looked up there)."""

    array: pa.Array[Any]
    items: pa.Table | None
    looked: pl.Series | None
    reasons: pa.Table
    events: pa.Table
    stops: tuple[Stop, ...]


def list_column(
    compiled: CompiledList,
    rows: SourceRows,
    rids: Numbers,
    findings: Findings,
    evaluate: Evaluate,
    joined: Mapping[str, pa.Table],
) -> Listed:
    """One list field. `joined`: the rows of joins by name, with `__row`, the ordinal in `rows`."""
    children, place = _children(compiled, rows, joined)
    own = Findings(findings.entity, findings.silent[place], findings.watch)
    own_rids = rids[place]
    looked: list[pl.Series] = []

    def watched(field: CompiledField, children: SourceRows, found: Findings) -> Columns:
        made = evaluate(field, children, found)
        looked.extend([] if made.looked is None else [made.looked])
        return made

    tables = []
    for number, item in enumerate(compiled.items):
        order = _ordinals(place) if len(compiled.items) == 1 else np.full(len(place), number)
        tables.append(_items(compiled, item, children, own, watched, own_rids, order, number))
    items = pa.concat_tables(tables) if tables else None
    assert items is not None, "a list has items"
    waiting = [f"{kind}.{name}" for name in compiled.references for kind in PLACEHOLDERS[::2]]
    items = kept(items, compiled.forms, [c for c in waiting if c in items.column_names])
    if compiled.one_per and not compiled.references:
        items = one_per(items, compiled.forms, compiled.one_per)
    _check(compiled, items, rids, findings)
    if compiled.references:
        array: pa.Array[Any] = nulls(len(rows), layout(compiled.type))
    else:
        array = composed(items, compiled.forms, compiled.type, rids)
    return Listed(
        array,
        items if compiled.references else None,
        _by_row(looked, place, len(rows)) if looked else None,
        own.reasons(own_rids),
        own.events(own_rids),
        tuple(own.stops),
    )


def _children(
    compiled: CompiledList, rows: SourceRows, joined: Mapping[str, pa.Table]
) -> tuple[SourceRows, Numbers]:
    """The rows that items are made from, and the ordinal of the row that each belongs to."""
    wanted = {name for item in compiled.items for field in item.values.values() for name in field.reads}
    if compiled.of is not None:
        found = _ordered(joined[compiled.of], compiled, rows)
        place: Numbers = found["__row"].to_numpy().astype(np.int64)
        return rows.spread(place, wanted, found.drop_columns(["__row"])), place
    if compiled.split is not None:
        pieces, place = _pieces(rows, compiled.split, compiled.on)
        return rows.spread(place, wanted, pa.table({PIECE: pieces}), {PIECE: TEXT}), place
    return rows, np.arange(len(rows), dtype=np.int64)


def _ordered(found: pa.Table, compiled: CompiledList, rows: SourceRows) -> pa.Table:
    """By the list's own order within each row; equal ones, and a list without an order, in that of the join."""
    if not compiled.order:
        return found
    keys = rows.spread(np.zeros(len(found), dtype=np.int64), (), found.drop_columns(["__row"]))
    frame = pl.DataFrame({"row": found["__row"].to_numpy()})
    for name, _ in compiled.order:
        values = keys.column(name)[0]
        series = values.series.cast(pl.Float64) if values.kind is Kind.DECIMAL else values.series
        frame = frame.with_columns(series.alias(f"by {name}"))
    order = frame.with_row_index("place").sort(
        ["row", *(f"by {name}" for name, _ in compiled.order)],
        descending=[False, *(falls for _, falls in compiled.order)],
        nulls_last=True,
        maintain_order=True,
    )
    return found.take(pa.array(order["place"].to_numpy()))


def _pieces(rows: SourceRows, column: str, on: str) -> tuple[pa.Array[Any], Numbers]:
    """The trimmed pieces of a text that are not blank, and whose they are."""
    texts = texts_of(rows.column(column)[0])
    frame = pl.DataFrame({"row": np.arange(len(rows), dtype=np.int64), "text": texts.str.split(on)})
    frame = (
        frame.explode("text").with_columns(pl.col("text").str.strip_chars(WHITE)).filter(pl.col("text") != "")
    )
    return frame["text"].to_arrow().cast(pa.string()), frame["row"].to_numpy()


def _ordinals(place: Numbers) -> Numbers:
    """0, 1, 2 … within each run of equal numbers."""
    if not len(place):
        return place
    starts = np.flatnonzero(np.concatenate(([True], place[1:] != place[:-1])))
    return np.arange(len(place)) - np.repeat(starts, np.diff(np.append(starts, len(place))))


def _items(
    compiled: CompiledList,
    item: CompiledItem,
    children: SourceRows,
    findings: Findings,
    evaluate: Evaluate,
    rids: Numbers,
    order: Numbers,
    form: int,
) -> pa.Table:
    """One line per child; values that this item does not have are NULL."""
    size = len(children)
    columns: dict[str, Any] = {
        "rid": pa.array(rids, pa.int64()),
        "item": pa.array(order, pa.int64()),
        "form": pa.array(np.full(size, form), pa.int64()),
    }
    empty = pa.nulls(size, pa.string())
    for name in names_of(compiled.forms):
        columns[f"v.{name}"] = empty
    for name in compiled.references:
        columns |= {f"{kind}.{name}": empty for kind in PLACEHOLDERS}
    for name, field in item.values.items():
        arrays = evaluate(field, children, findings).arrays
        columns[f"v.{name}"] = combined(canonical_text(arrays[field.name], field.type))
        for kind in PLACEHOLDERS:
            if f"{kind}.{field.name}" in arrays:
                columns[f"{kind}.{name}"] = arrays[f"{kind}.{field.name}"]
    return pa.table(columns)


def _by_row(looked: list[pl.Series], place: Numbers, size: int) -> pl.Series:
    """The texts of all items of a row as one; no two lists of texts give the same."""
    frame = pl.DataFrame({"row": place} | {str(number): texts for number, texts in enumerate(looked)})
    written = pl.struct(pl.exclude("row")).struct.json_encode()
    joined = (
        frame.select("row", written.alias("text"))
        .group_by("row", maintain_order=True)
        .agg(pl.col("text").str.join())
    )
    rows = pl.DataFrame({"row": np.arange(size, dtype=place.dtype)})
    return rows.join(joined, on="row", how="left", maintain_order="left")["text"]


def _check(compiled: CompiledList, items: pa.Table, rids: Numbers, findings: Findings) -> None:
    """Rules of the list as a whole: how many items it has."""
    if not compiled.field.check:
        return
    place = np.searchsorted(np.sort(rids), items["rid"].to_numpy())
    counts = np.bincount(place, minlength=len(rids))[np.argsort(np.argsort(rids))]
    for rule in compiled.field.check:
        mask = _broken(rule, counts)
        if rule.on_fail == "warn":
            findings.event(mask, compiled.name, "warned", lambda: pl.Series([""] * len(rids)))
        else:
            detail = (
                "the list has too many items" if rule.name == "max_length" else "the list has too few items"
            )
            findings.reason(mask, compiled.name, rule.name, detail, stop=rule.on_fail == "stop")


def _broken(rule: Check, counts: Numbers) -> Mask:
    limit = int(str(rule.argument)) if rule.argument is not None else 1
    return counts > limit if rule.name == "max_length" else counts < limit


__all__ = ["Kind", "Listed", "list_column"]
