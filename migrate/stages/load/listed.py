"""Lists with references: their items resolved, once every row has its target key, and composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.duck import identifier, literal, parquet
from migrate.mapping.model import Field
from migrate.mapping.references import is_plain, list_values, slot_name
from migrate.model import Kind, Schema
from migrate.state.lost import pointer
from migrate.transform.lists import Form, composed, forms_of, kept, one_per


@dataclass(frozen=True)
class Listed:
    """One column: its lists, and per row what the items point at (`migrate.state.lost.pointer`)."""

    values: pa.Array[Any]
    pointers: pa.Array[Any]


def listed_columns(
    ctx: Context,
    db: duckdb.DuckDBPyConnection,
    name: str,
    declared: Schema,
    index: int,
    rids: npt.NDArray[np.int64],
) -> dict[str, Listed]:
    """The lists with references of one part, one value per id of `rids`, in their order.

    `db` has `allkeys` and `before` (see `migrate.stages.load.assign`)."""
    entity = ctx.mapping.entities[name]
    lists = [column for column, field in entity.fields.items() if field.list is not None]
    found = {}
    for number, column in enumerate(lists):
        path = ctx.folder / "transform" / name / f"items.{number}-{index:05d}.parquet"
        if not any(value.ref or value.find for value in list_values(entity.fields[column]).values()):
            continue
        forms = _forms(ctx, declared, entity.fields[column], forms_of(pq.read_table(path)))
        items = db.sql(_resolved(ctx, name, column, parquet([path]))).to_arrow_table()
        items = items.filter(pa.array(np.isin(items["rid"].to_numpy(), rids)))
        items = kept(items, forms)
        given = entity.fields[column].list
        if given is not None and given.one_per:
            items = one_per(items, forms, given.one_per)
        type_ = declared.table(entity.into).column(column).type
        found[column] = Listed(composed(items, forms, type_, rids), _pointers(items, rids))
    return found


def _forms(ctx: Context, declared: Schema, field: Field, forms: Sequence[Form]) -> list[Form]:
    """The forms as transform left them, references being keys of the target now."""
    kinds = {
        key: _kind(ctx, declared, value)
        for key, value in list_values(field).items()
        if value.ref or value.find
    }
    return [tuple(replace(s, kind=kinds.get(s.name, s.kind)) for s in form) for form in forms]


def _kind(ctx: Context, declared: Schema, value: Field) -> Kind:
    """Numbers stay numbers in JSON where all rows that may be meant have one for a key."""
    tables = [ctx.mapping.entities[e].into for e in value.ref.entities] if value.ref else []
    found = [declared.table(table) for table in tables]
    kinds = {table.column(table.primary_key[0]).type.kind for table in found}
    if value.find is not None:
        looked = declared.table(value.find.table)
        kinds.add(looked.column(value.find.give or looked.primary_key[0]).type.kind)
    return kinds.pop() if len(kinds) == 1 else Kind.TEXT


def _resolved(ctx: Context, name: str, column: str, items: str) -> str:
    """SELECT the items with the text of the target value in place of each reference; `__points`: what it points at."""
    folder = ctx.folder / "transform" / name
    replaced, joins, points = [], [], []
    slots = {
        key: value
        for key, value in list_values(ctx.mapping.entities[name].fields[column]).items()
        if value.ref or value.find
    }
    for i, (key, value) in enumerate(slots.items()):
        here = (
            f"rid = x.rid AND {{0}}{i}.item = x.item AND {{0}}{i}.field = {literal(slot_name(column, key))}"
        )
        joins.append(f"LEFT JOIN {parquet([folder / 'patches.parquet'])} p{i} ON p{i}.{here.format('p')}")
        found = "NULL"
        if value.ref:
            parent, source = f"x.{identifier(f'__ref_to.{key}')}", f"x.{identifier(f'__ref.{key}')}"
            if not is_plain(ctx.mapping, value.ref):
                joins.append(
                    f"LEFT JOIN {parquet([folder / 'links.parquet'])} l{i} ON l{i}.{here.format('l')}"
                )
                parent, source = f"l{i}.parent", f"l{i}.parent_key"
            for table, kind in (("allkeys", "k"), ("before", "b")):
                joins.append(
                    f"LEFT JOIN {table} {kind}{i} ON {kind}{i}.entity = {parent} AND {kind}{i}.key = {source}"
                )
            found = f"(coalesce(k{i}.tkey, b{i}.tkey)->>'$[0]')"
            points.append(
                f"CASE WHEN p{i}.rid IS NULL AND {found} IS NOT NULL THEN {_pointer_sql(parent, found)} END"
            )
        default = "NULL" if value.default is None else literal(value.default)
        empty = f"x.{identifier(f'__ref.{key}' if value.ref else f'__find.{key}')} IS NULL"
        text = f"CASE WHEN p{i}.rid IS NOT NULL THEN p{i}.value WHEN {empty} THEN {default} ELSE {found} END"
        replaced.append(f"({text})::VARCHAR AS {identifier(f'v.{key}')}")
    told = f"list_filter([{', '.join(points)}]::VARCHAR[], lambda e: e IS NOT NULL)"
    return f"SELECT x.* REPLACE ({', '.join(replaced)}), {told} AS __points FROM {items} x {' '.join(joins)}"


def _pointer_sql(parent: str, value: str) -> str:
    """`pointer` in SQL."""
    separator = pointer("", "")
    return f"{parent} || {literal(separator)} || {value}"


def _pointers(items: pa.Table, rids: npt.NDArray[np.int64]) -> pa.Array[Any]:
    """Per row all that its items point at."""
    frame = pl.DataFrame(pl.from_arrow(items.select(["rid", "__points"])))
    lists = frame.explode("__points").drop_nulls().group_by("rid").agg(pl.col("__points"))
    joined = pl.DataFrame({"rid": rids}).join(lists, on="rid", how="left", maintain_order="left")
    made: pa.Array[Any] = joined["__points"].to_arrow().cast(pa.list_(pa.string()))
    return made
