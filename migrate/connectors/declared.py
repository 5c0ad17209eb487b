"""Rows that are to be written, held against what the catalogue declares."""

from __future__ import annotations

import pyarrow as pa

from migrate.arrow import layout
from migrate.errors import MigrateError
from migrate.model import Column, Table


def checked(table: Table, rows: pa.Table) -> tuple[Column, ...]:
    """The declared columns of `rows`, in its order. Raises MigrateError if a column is unknown or in another layout."""
    columns = []
    for field in rows.schema:
        try:
            column = table.column(field.name)
        except KeyError:
            raise MigrateError(
                "rows hold a column that the table does not have", where=f"{table.name}.{field.name}"
            ) from None
        if field.type != layout(column.type):
            raise MigrateError(
                f"rows come as {field.type}, the declared type travels as {layout(column.type)}",
                where=f"{table.name}.{field.name}",
                kept="Nothing was written.",
            )
        columns.append(column)
    return tuple(columns)
