"""Constraint violations that the engine's own checks find, as text that is equal for equal data."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter

from migrate.connectors.sqlite.errors import translated
from migrate.connectors.sqlite.names import quote
from migrate.model import Schema

_NUMBERS = re.compile(r"\b\d+\b")


def violations(connection: sqlite3.Connection, schema: Schema) -> list[str]:
    """foreign_key_check and integrity_check (NOT NULL, CHECK, UNIQUE) of the schema's tables, counted.

    Foreign keys to tables outside `schema` are passed over: a copy of these tables alone cannot have them.

    `connection` must be able to write: on a read-only one SQLite 3.40 passes over CHECK constraints.
    """
    found: Counter[str] = Counter()
    inside = {name.lower() for name in schema.table_names}
    for table in schema.tables:
        with translated(table.name):
            rows = connection.execute(f"PRAGMA main.foreign_key_list({quote(table.name)})").fetchall()
            names = {number: [r for r in rows if r[0] == number] for number in {r[0] for r in rows}}
            try:
                broken = connection.execute(f"PRAGMA main.foreign_key_check({quote(table.name)})").fetchall()
            except sqlite3.OperationalError as error:
                if "foreign key mismatch" not in str(error):
                    raise
                found[f"{table.name}: a foreign key points at columns that are not unique"] += 1
                continue
            for _, _rowid, parent, number in broken:
                if parent.lower() not in inside:
                    continue
                columns = ", ".join(str(r[3]) for r in sorted(names[number], key=lambda r: r[1]))
                found[f"{table.name}: foreign key ({columns}) -> {parent}"] += 1
        with translated(table.name):
            for (line,) in connection.execute(f"PRAGMA main.integrity_check({quote(table.name)})"):
                if line != "ok":
                    found[_NUMBERS.sub("#", str(line))] += 1
    return [f"{text}: {count} {'row' if count == 1 else 'rows'}" for text, count in sorted(found.items())]
