"""The target as it was backed up, in the form in which rows are looked up in it and decided against it.

`targets/TABLE.parquet`, a row per row of the target: `tkey` (JSON), `row_hash` over all columns that count as its
state, `c.COLUMN` canonical texts, `h.ENTITY` hash of the columns whose values are the entity's (`owned_columns`),
`h.ENTITY.PLAN` the same as an earlier plan had them, `w.ENTITY` hash of all columns that the entity writes.
`targets/TABLE.values.parquet`, where a row's new values depend on its old ones: those, in the same order of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon
from migrate.arrow import arrow_schema
from migrate.context import Context
from migrate.mapping.language.known_as import column_and_item
from migrate.mapping.model import Entity, Find
from migrate.model import Schema, Table
from migrate.parts import stream_rows
from migrate.planning import (
    at_least_columns,
    compared_columns,
    finds,
    identity_of,
    known_columns,
    owned_columns,
    state_columns,
    yielding_columns,
)
from migrate.state.records import meta_rows
from migrate.vault.capture import Rows, table_folder

EarlierHashes = Mapping[str, Mapping[int, "EarlierHash"]]  # entity → plan → hash


@dataclass(frozen=True)
class EarlierHash:
    """What a plan's `target_hash` is over, where that is not what the entity has now; no `column` where the target
    does not have all of them any more."""

    column: str
    over: tuple[str, ...]


@dataclass
class _Looked:
    """What is asked of one target table."""

    texts: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)


def target_file(ctx: Context, table: str) -> Path:
    return ctx.place("targets", f"{table_folder(table)}.parquet")


def _values_file(ctx: Context, table: str) -> Path:
    return ctx.place("targets", f"{table_folder(table)}.values.parquet")


def old_values(ctx: Context, name: str) -> list[str]:
    """Columns of an entity whose old values in the target have a say in the new ones, or guard them."""
    entity = ctx.mapping.entities[name]
    if not entity.updates:
        return []
    return list(
        dict.fromkeys(
            [*yielding_columns(entity), *ctx.plan.entities[name].deferred, *at_least_columns(entity)]
        )
    )


# ------------------------------------------------------------------ written by transform


def earlier_hashes(ctx: Context, crosswalk: Path | None, declared: Schema) -> EarlierHashes:
    """Per entity: plans of rows in the crosswalk whose `target_hash` is over other columns than the entity has now."""
    found: dict[str, dict[int, EarlierHash]] = {name: {} for name in ctx.mapping.entities}
    mapped = {
        int(row["plan"]): tuple(json.loads(row["columns"]))
        for rows in meta_rows(ctx.target, "mapped")
        for row in rows.to_pylist()
    }
    if crosswalk is None or not mapped:
        return found
    by_identity = {identity_of(ctx.mapping, name): name for name in ctx.entities}
    for system, entity, plan in _plans(crosswalk):
        name = by_identity.get((system, entity), "")
        number = plan if plan in mapped else plan ^ 1  # that of rows which are looked at again
        if not name or number not in mapped:
            continue
        over, spec = mapped[number], ctx.mapping.entities[name]
        if set(over) != set(owned_columns(spec)):
            there = set(over) <= set(declared.table(spec.into).column_names)
            found[name][number] = EarlierHash(f"h.{name}.{number}" if there else "", over)
    return found


def _plans(crosswalk: Path) -> set[tuple[str, str, int]]:
    names = ["system", "entity", "plan"]
    found: set[tuple[str, str, int]] = set()
    with pq.ParquetFile(crosswalk) as file:
        for batch in file.iter_batches(columns=names):
            distinct = pa.Table.from_batches([batch]).group_by(names).aggregate([])
            found.update((r["system"], r["entity"], r["plan"]) for r in distinct.to_pylist())
    return found


def write_target_files(
    ctx: Context, target: Rows, declared: Schema, earlier: EarlierHashes, *, known: bool
) -> tuple[dict[str, Path], list[Path]]:
    """Per target table that anything is looked up in, from the proven backup; and the files of old values.

    `known`: earlier runs have loaded rows."""
    files, values = {}, []
    for name, looked in _looked(ctx, declared, known=known).items():
        table = declared.table(name)
        files[name] = target_file(ctx, name)
        rows = (
            _keys(ctx, table, r, sorted(looked.texts), earlier) for r in _declared_rows(ctx, target, table)
        )
        stream_rows(rows, files[name], point="transform.target")
        if looked.values:
            chosen = [c for c in table.column_names if c in looked.values]
            old = (r.select(chosen) for r in _declared_rows(ctx, target, table))
            stream_rows(old, _values_file(ctx, name), point="transform.target_values")
            values.append(_values_file(ctx, name))
    return files, values


def _looked(ctx: Context, declared: Schema, *, known: bool) -> dict[str, _Looked]:
    found: dict[str, _Looked] = {}
    for table, columns in known_columns(ctx.mapping, declared).items():
        found.setdefault(table, _Looked()).texts.update(columns)
    for name, entity in ctx.entities.items():
        against = entity.duplicates.against if entity.duplicates is not None else None
        if against is not None and entity.duplicates is not None:
            asked = (against.columns.get(c, c) for c in entity.duplicates.columns)
            found.setdefault(entity.into, _Looked()).texts.update(column_and_item(c)[0] for c in asked)
        if entity.match or known or against is not None:
            looked = found.setdefault(entity.into, _Looked())
            looked.texts.update(entity.match)
            looked.texts.update(_asked_when_empty(entity))
            looked.values.update(old_values(ctx, name))
        for _, find in finds(entity):
            found.setdefault(find.table, _Looked()).texts.update(_find_columns(find))
    return found


def _asked_when_empty(entity: Entity) -> list[str]:
    """References and lookups that are asked about only where the target has no value."""
    return [
        f
        for f in yielding_columns(entity)
        if (entity.fields[f].ref or entity.fields[f].find) and entity.on_existing(f) == "fill_empty"
    ]


def _find_columns(find: Find) -> list[str]:
    return [*find.where, *(c for c in (find.by, find.give) if c is not None)]


def _declared_rows(ctx: Context, target: Rows, declared: Table) -> Iterator[pa.Table]:
    """The backed-up rows of a target table in its declared types; a table without rows gives one batch without rows,
    for that what earlier runs loaded is gone has to be seen."""
    schema = arrow_schema(declared.columns)
    yield schema.empty_table()
    if declared.name not in target.schema.table_names:
        return  # it is yet to be created
    stored = target.schema.table(declared.name)
    for ref in target.parts[declared.name]:
        rows = ctx.target.as_declared(target.read(ref), stored, declared)
        for column in schema.names:
            if column not in rows.column_names:  # so is the column, and no row has a value
                rows = rows.append_column(
                    schema.field(column), pa.nulls(len(rows), schema.field(column).type)
                )
        yield rows


def _keys(
    ctx: Context, table: Table, rows: pa.Table, texts: Sequence[str], earlier: EarlierHashes
) -> pa.Table:
    made: dict[frozenset[str], pa.Array[Any]] = {}

    def hashes(columns: Sequence[str]) -> pa.Array[Any]:
        over = frozenset(columns)  # in whatever order: equal columns, equal hashes
        if over not in made:
            made[over] = canon.as_binary(canon.row_hashes(rows, table.types, list(columns)))
        return made[over]

    content: dict[str, Any] = {
        "tkey": canon.source_keys(rows, table.primary_key, table.types),
        "row_hash": hashes(state_columns(ctx.mapping, table)),
    }
    for column in texts:
        content[f"c.{column}"] = canon.canonical_text(rows[column], table.column(column).type)
    for name, entity in ctx.entities.items():
        if entity.into != table.name:
            continue
        content[f"w.{name}"] = hashes(compared_columns(entity))
        content[f"h.{name}"] = hashes(owned_columns(entity))
        for other in earlier[name].values():
            if other.column:
                content[other.column] = hashes(other.over)
    return pa.table(content)


# ------------------------------------------------------------------ read by load


def read_old_values(ctx: Context, name: str, table: Table, places: pa.Array[Any]) -> pa.Table:
    """The columns `old_values` of the rows at `places` (their numbers in the file), in that order; null gives nulls."""
    columns = old_values(ctx, name)
    schema = arrow_schema([table.column(c) for c in columns])
    path = _values_file(ctx, table.name)
    if not columns or not path.exists():
        return schema.empty_table().take(pa.nulls(len(places), pa.int64()))
    wanted = np.unique(pc.drop_null(places).to_numpy(zero_copy_only=False)).astype(np.int64)
    chosen, start = [schema.empty_table()], 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            mine = wanted[(wanted >= start) & (wanted < start + rows)] - start
            if len(mine):
                chosen.append(
                    file.read_row_group(group, columns=columns).select(columns).take(pa.array(mine))
                )
            start += rows
    found = pa.concat_tables(chosen).cast(schema).combine_chunks()
    return found.take(pc.index_in(places.cast(pa.int64()), pa.array(wanted)))
