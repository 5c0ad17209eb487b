"""What the rows break of declared constraints; the same words for a source and for its copy.

InnoDB remembers of no constraint whether its rows were ever checked: whoever loads with foreign_key_checks or
check_constraint_checks off leaves orphans behind that look like any other row. So all are looked at.
"""

from __future__ import annotations

from migrate.connectors.mysql.catalog import OF_COLUMN
from migrate.connectors.mysql.session import Session, quote, translated
from migrate.model import ForeignKey, Schema, Table


def violations(session: Session, schema: Schema) -> list[str]:
    """`table: constraint: rows` for every foreign key and check that rows break.

    Foreign keys to tables outside `schema` are passed over: a copy of these tables alone cannot have them."""
    found = []
    for table in schema.tables:
        for key in table.foreign_keys:
            if key.ref_table in schema.table_names:
                found += _counted(session, table, [key.name], _orphans(table, key))
        checks = [c for c in table.checks if not c.sql.endswith(" NOT ENFORCED")]
        if checks:
            broken = ", ".join(
                f"COALESCE(SUM(NOT ({c.sql.removeprefix(OF_COLUMN).removeprefix('CHECK ')})), 0)"
                for c in checks
            )
            found += _counted(
                session, table, [c.name for c in checks], f"SELECT {broken} FROM {quote(table.name)}"
            )
    return sorted(found)


def _counted(session: Session, table: Table, names: list[str], sql: str) -> list[str]:
    with translated("looking for violations", where=table.name):
        (row,) = session.rows(sql)
    return [
        f"{table.name}: {name}: {count} {'row' if count == '1' else 'rows'}"
        for name, count in zip(names, row, strict=True)
        if count != "0"
    ]


def _orphans(table: Table, key: ForeignKey) -> str:
    pairs = list(zip(key.columns, key.ref_columns, strict=True))
    filled = " AND ".join(f"c.{quote(c)} IS NOT NULL" for c, _ in pairs)
    same = " AND ".join(f"p.{quote(p)} = c.{quote(c)}" for c, p in pairs)
    return (
        f"SELECT COUNT(*) FROM {quote(table.name)} c WHERE {filled} "
        f"AND NOT EXISTS (SELECT 1 FROM {quote(key.ref_table)} p WHERE {same})"
    )
