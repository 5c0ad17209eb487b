"""Columns that the target sets itself (`target_sets`), checked by their rule in every row that this run wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from migrate import canon
from migrate.arrow import layout
from migrate.canon.decimals import less
from migrate.duck import count, identifier, parquet, workspace
from migrate.mapping.model import Entity
from migrate.model import Kind, Table, Type
from migrate.planning import at_least_columns

_DIGITS = 38  # of a decimal that DuckDB knows


def must_be_filled(entity: Entity) -> list[str]:
    """Columns with a rule of which nothing can be told but whether there is a value."""
    least = at_least_columns(entity)
    return [c for c, rule in entity.target_sets.items() if rule != "any" and c not in least]


def kept(values: pa.ChunkedArray[Any] | pa.Array[Any], type_: Type) -> pa.ChunkedArray[Any] | pa.Array[Any]:
    """Values as they are kept for the comparison: typed, but for decimals that are too long."""
    return canon.canonical_text(values, type_) if _as_text(type_) else values


def kept_type(type_: Type) -> pa.DataType:
    return pa.string() if _as_text(type_) else layout(type_)


def _as_text(type_: Type) -> bool:
    return type_.kind is Kind.DECIMAL and (type_.precision is None or type_.precision > _DIGITS)


def set_by_target(entity: Entity, table: Table, expected: Path, ours: Path, temp: Path) -> list[str]:
    """What is wrong, in words. `expected` has what was written (`s.COLUMN`), `ours` what was found (`s.COLUMN`) and
    whether anything was (`n.COLUMN`), both by `key`."""
    wrong = []
    with workspace(temp) as db:
        for column in at_least_columns(entity):
            if n := _less(db, column, table.column(column).type, expected, ours):
                wrong.append(f"{n} rows whose {column} is less than what was written")
        for column in must_be_filled(entity):
            unset = f"SELECT count(*) FROM {parquet([ours])} WHERE NOT {identifier(f'n.{column}')}"
            if n := count(db, unset):
                wrong.append(f"{n} rows without {column}, which the target should have set")
    return wrong


def _less(db: duckdb.DuckDBPyConnection, column: str, type_: Type, expected: Path, ours: Path) -> int:
    """Rows whose column does not hold at least what was written; where nothing was written, nothing is asked."""
    value = identifier(f"s.{column}")
    both = (
        f"FROM {parquet([expected])} e JOIN {parquet([ours])} f ON f.key = e.key "
        f"WHERE e.{value} IS NOT NULL AND f.{value} IS DISTINCT FROM e.{value}"
    )
    if not _as_text(type_):
        return count(db, f"SELECT count(*) {both} AND NOT coalesce(f.{value} > e.{value}, FALSE)")
    pairs = db.execute(f"SELECT e.{value}, f.{value}, count(*) {both} GROUP BY ALL").fetchall()
    return sum(n for wrote, found, n in pairs if found is None or not less(wrote, found))
