"""Deferred foreign keys: only COMMIT would notice what breaks them, so it is looked for before."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pyarrow as pa

from migrate.connectors.sqlite.batch import BATCH, batch_table, joined, orphans
from migrate.connectors.sqlite.names import quote
from migrate.connectors.sqlite.references import referring
from migrate.errors import GateClosed, UsageError
from migrate.model import ForeignKey, Table


def children(connection: sqlite3.Connection, table: Table) -> dict[str, int]:
    """Violations now, by name, of deferred foreign keys that point at `table`: only COMMIT would notice them."""
    counts: dict[str, int] = {}
    for child, fk in referring(connection, table):
        if fk.initially_deferred:
            rows = connection.execute(f"PRAGMA main.foreign_key_check({quote(child.name)})").fetchall()
            counts[fk.name] = sum(1 for row in rows if str(row[2]).lower() == table.name.lower())
    return counts


def orphans_of_update(connection: sqlite3.Connection, table: Table, rows: pa.Table) -> dict[int, str]:
    """Rows of an update that point at no parent, by place: the name of the deferred foreign key. Raises UsageError."""
    names = rows.schema.names
    touched = [fk for fk in table.foreign_keys if fk.initially_deferred and set(fk.columns) & set(names)]
    for fk in touched:
        if not set(fk.columns) <= set(names):
            raise UsageError(
                "an update sets only a part of a deferred foreign key",
                where=f"{table.name} ({', '.join(fk.columns)})",
            )
    if not touched:
        return {}
    with batch_table(connection, table, rows):
        return orphans(connection, table, touched, names)


def cascade(
    connection: sqlite3.Connection,
    table: Table,
    fks: Sequence[ForeignKey],
    names: Sequence[str],
    out: set[int],
) -> dict[int, str]:
    """Deferred self-references: rows that went in although their parent in the batch was refused."""
    if not any(fk.ref_table == table.name for fk in fks):
        return {}
    connection.executemany(f"DELETE FROM {BATCH} WHERE ord = ?", ((o,) for o in out))
    lost = orphans(connection, table, fks, names)
    if lost:
        if not set(table.primary_key) <= set(names) or not table.primary_key:
            raise GateClosed("a deferred reference to a refused row cannot be taken back", where=table.name)
        places = [names.index(k) for k in table.primary_key]
        listed = ", ".join(str(o) for o in sorted(lost))
        connection.execute(
            f"DELETE FROM main.{quote(table.name)} AS t WHERE EXISTS"
            f" (SELECT 1 FROM {BATCH} AS b WHERE b.ord IN ({listed}) AND {joined(table.primary_key, places)})"
        )
    return lost
