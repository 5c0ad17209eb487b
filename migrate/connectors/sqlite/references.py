"""Who points at rows that are to go (undo, delete)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from migrate.canon import source_keys
from migrate.connectors.sqlite.batch import BATCH, batch_table, joined
from migrate.connectors.sqlite.catalog import read_schema
from migrate.connectors.sqlite.names import quote, rowid_name
from migrate.connectors.sqlite.read import declared_arrays, decoding, selected
from migrate.model import Column, ForeignKey, Kind, Table, Type

COLUMNS = pa.schema([(name, pa.string()) for name in ("table", "columns", "ref_key", "row_key", "on_delete")])


def referring(connection: sqlite3.Connection, table: Table) -> list[tuple[Table, ForeignKey]]:
    """All foreign keys of any table that point at `table`."""
    return [
        (t, fk) for t in read_schema(connection).tables for fk in t.foreign_keys if fk.ref_table == table.name
    ]


def references_to(
    connection: sqlite3.Connection, table: Table, key: Sequence[str], keys: pa.Table
) -> pa.Table:
    """As `Target.references_to`; needs a connection that may make temporary tables."""
    found = [COLUMNS.empty_table()]
    if keys.num_rows:
        with batch_table(connection, table, keys.select(list(key))):
            for child, fk in referring(connection, table):
                found.append(_rows(connection, table, key, child, fk))
    return pa.concat_tables(found)


def blocking(connection: sqlite3.Connection, table: Table, key: Sequence[str]) -> list[str]:
    """Names of the foreign keys by which rows refer to the batch's keys and that forbid a delete."""
    return [
        fk.name
        for child, fk in referring(connection, table)
        if fk.on_delete in ("NO ACTION", "RESTRICT")
        and connection.execute(f"SELECT 1 {_from(table, key, child, fk)} LIMIT 1").fetchone()
    ]


def _from(table: Table, key: Sequence[str], child: Table, fk: ForeignKey) -> str:
    points = " AND ".join(
        f"t.{quote(r)} = x.{quote(c)}" for r, c in zip(fk.ref_columns, fk.columns, strict=True)
    )
    return (
        f"FROM {BATCH} AS b CROSS JOIN main.{quote(table.name)} AS t ON {joined(key, range(len(key)))}"
        f" JOIN main.{quote(child.name)} AS x ON {points}"
    )


def _rows(
    connection: sqlite3.Connection, table: Table, key: Sequence[str], child: Table, fk: ForeignKey
) -> pa.Table:
    parents = [table.column(k) for k in key]
    rowid = rowid_name(child.column_names)
    own = [child.column(k) for k in child.primary_key] or [Column(rowid or "rowid", Type(Kind.INT, bits=64))]
    parts = [*selected(parents, "t."), *selected(own, "x.")]
    with decoding(child.name):
        rows = connection.execute(
            f"SELECT DISTINCT {', '.join(parts)} {_from(table, key, child, fk)}"
        ).fetchall()
    if not rows:
        return COLUMNS.empty_table()
    values = list(zip(*rows, strict=True))
    split = len(selected(parents))
    columns_json = pa.array([_json(fk.columns)] * len(rows), pa.string())
    return pa.table(
        [
            pa.array([child.name] * len(rows), pa.string()),
            columns_json,
            _keys(values[:split], parents, table.name),
            _keys(values[split:], own, child.name),
            pa.array([fk.on_delete] * len(rows), pa.string()),
        ],
        schema=COLUMNS,
    )


def _keys(values: Sequence[Sequence[object]], columns: Sequence[Column], table: str) -> Any:
    names = [f"k{i}" for i in range(len(columns))]
    batch = pa.RecordBatch.from_arrays(declared_arrays(values, columns, table), names=names)
    return source_keys(batch, names, {n: c.type for n, c in zip(names, columns, strict=True)})


def _json(names: Sequence[str]) -> str:
    return json.dumps(list(names), ensure_ascii=False, separators=(",", ":"))
