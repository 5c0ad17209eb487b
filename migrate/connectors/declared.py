"""Rows that are to be written, or were read, held against what the catalogue declares."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from migrate.arrow import layout
from migrate.errors import GateClosed, MigrateError
from migrate.model import Column, Kind, Table


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


def as_declared(
    rows: pa.Table, stored: Table, declared: Table, unlike: str, *, unreadable: Collection[Kind] = ()
) -> pa.Table:
    """`Target.as_declared` of servers, whose snapshots give a value in its declared type wherever that holds it.

    `unlike`: which values it does not hold, in words. `unreadable`: kinds of which the text is all that there is."""
    for name in rows.column_names:
        before, after = stored.column(name).type, declared.column(name).type
        if layout(before) == layout(after):
            continue
        try:
            if after.kind in unreadable:
                raise pa.ArrowInvalid("only the server can read its text")
            rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(layout(after)))
        except pa.ArrowInvalid:
            raise GateClosed(
                f"a stored value is not of the declared type ({unlike})", where=f"{declared.name}.{name}"
            ) from None
    return rows
