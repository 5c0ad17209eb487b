"""What the rows break of constraints that were never validated; the same words for a source and for its copy."""

from __future__ import annotations

from typing import Any

import psycopg

from migrate.connectors.postgres.session import quote, quote_table, translated
from migrate.model import Check, ForeignKey, Schema, Table


def violations(connection: psycopg.Connection[Any], schema: Schema) -> list[str]:
    """`table: constraint: rows` for every NOT VALID foreign key and check that rows break.

    Counted with plain SELECTs, so that it may run inside a read-only snapshot and locks nothing.
    Foreign keys to tables outside `schema` are passed over: a copy of these tables alone cannot have
    them. A validated constraint cannot be broken.
    """
    found = []
    for table in schema.tables:
        for key in table.foreign_keys:
            if not key.validated and key.ref_table in schema.table_names:
                found += _counted(connection, table, key.name, _orphans(table, key))
        for check in table.checks:
            if not check.validated:
                found += _counted(connection, table, check.name, _broken(table, check))
    return sorted(found)


def _counted(connection: psycopg.Connection[Any], table: Table, name: str, sql: str) -> list[str]:
    with translated("looking for violations", where=table.name):
        row = connection.execute(sql.encode()).fetchone()
    count = row[0] if row else 0
    return [f"{table.name}: {name}: {count} {'row' if count == 1 else 'rows'}"] if count else []


def _orphans(table: Table, key: ForeignKey) -> str:
    pairs = list(zip(key.columns, key.ref_columns, strict=True))
    filled = " AND ".join(f"c.{quote(c)} IS NOT NULL" for c, _ in pairs)
    same = " AND ".join(f"p.{quote(p)} = c.{quote(c)}" for c, p in pairs)
    return (
        f"SELECT count(*) FROM {quote_table(table.name)} c WHERE {filled} "
        f"AND NOT EXISTS (SELECT FROM {quote_table(key.ref_table)} p WHERE {same})"
    )


def _broken(table: Table, check: Check) -> str:
    expression = check.sql.removeprefix("CHECK").removesuffix("NO INHERIT").strip()
    return f"SELECT count(*) FROM {quote_table(table.name)} WHERE NOT {expression}"
