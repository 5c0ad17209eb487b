"""CREATE TABLE text for `Table`s of any engine."""

from __future__ import annotations

import re

from migrate.connectors.sqlite.names import quote, quoted
from migrate.connectors.sqlite.types import native
from migrate.model import Column, Table


def create_table(
    table: Table,
    *,
    constraints: bool = True,
    keep_native: bool = False,
    if_missing: bool = False,
    expressions: bool = True,
) -> str:
    """DDL for one table. `keep_native`: declared types as they are (same engine), else by kind so that nothing is lost.

    Without `constraints`: columns, NOT NULL and primary key only. Without `expressions` (F26): no
    SQL text of the schema is used; `expressions_of` lists what that leaves out.
    """
    lines = [_column(c, table, keep_native=keep_native, expressions=expressions) for c in table.columns]
    alias = rowid_alias(table)
    if table.primary_key and alias is None:
        lines.append(f"PRIMARY KEY ({quoted(table.primary_key)})")
    if constraints:
        lines += [f"UNIQUE ({quoted(u.columns)})" for u in table.uniques if u.columns]
        if expressions:
            lines += [f"CONSTRAINT {quote(c.name)} CHECK ({c.sql})" for c in table.checks]
        for fk in table.foreign_keys:
            deferred = " DEFERRABLE INITIALLY DEFERRED" if fk.initially_deferred else ""
            lines.append(
                f"FOREIGN KEY ({quoted(fk.columns)}) REFERENCES {quote(fk.ref_table)} ({quoted(fk.ref_columns)})"
                f" ON UPDATE {_action(fk.on_update)} ON DELETE {_action(fk.on_delete)}{deferred}"
            )
    options = ", ".join(word for word in ("STRICT", "WITHOUT ROWID") if word in table.options)
    head = "CREATE TABLE IF NOT EXISTS" if if_missing else "CREATE TABLE"
    return f"{head} {quote(table.name)} (\n  " + ",\n  ".join(lines) + f"\n) {options}".rstrip()


def create_indexes(table: Table) -> list[str]:
    """Indexes by their columns: for tables that we define ourselves."""
    return [
        f"CREATE {'UNIQUE ' if i.unique else ''}INDEX IF NOT EXISTS {quote(i.name)} ON {quote(table.name)} ({quoted(i.columns)})"
        for i in table.indexes
        if i.columns
    ]


def expressions_of(table: Table) -> list[str]:
    """What cannot be restored without running SQL text of the schema, by name."""
    found = [f"{table.name}: check {c.name}" for c in table.checks]
    found += [f"{table.name}.{c.name}: generated column" for c in table.columns if c.generated]
    found += [f"{table.name}.{c.name}: default" for c in table.columns if c.default is not None]
    found += [f"{table.name}: index {i.name}" for i in table.indexes]
    return found


def rowid_alias(table: Table) -> str | None:
    """The column that becomes INTEGER PRIMARY KEY."""
    if len(table.primary_key) != 1 or "WITHOUT ROWID" in table.options:
        return None
    column = table.column(table.primary_key[0])
    return column.name if column.identity else None


def _action(text: str) -> str:
    known = {"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"}
    return text.upper() if text.upper() in known else "NO ACTION"


def _column(column: Column, table: Table, *, keep_native: bool, expressions: bool) -> str:
    if column.name == rowid_alias(table):
        counted = " AUTOINCREMENT" if "AUTOINCREMENT" in table.options else ""
        return f"{quote(column.name)} INTEGER PRIMARY KEY{counted}"
    declared = _plain(column.type.native) if keep_native else native(column.type)
    text = f"{quote(column.name)} {declared}".rstrip()
    if column.collation and keep_native:
        text += f" COLLATE {quote(column.collation)}"
    if not column.nullable:
        text += " NOT NULL"
    if expressions and column.default is not None:
        text += f" DEFAULT ({column.default})"
    if expressions and column.generated and keep_native:
        expression, _, how = column.generated.rpartition(" ")
        text += f" GENERATED ALWAYS AS ({expression}) {how}"
    return text


_TYPE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\(\s*[+-]?\d+\s*(,\s*[+-]?\d+\s*)?\))?\s*")
_NOT_IN_TYPES = frozenset(
    [
        "AS",
        "CHECK",
        "COLLATE",
        "CONSTRAINT",
        "DEFAULT",
        "FOREIGN",
        "GENERATED",
        "KEY",
        "NOT",
        "NULL",
        "ON",
        "PRIMARY",
        "REFERENCES",
        "UNIQUE",
    ]
)


def _plain(declared: str) -> str:
    """A declared type of a stranger's schema: a name with at most two numbers, else nothing."""
    words = set(declared.upper().replace("(", " ").split())
    return declared if _TYPE_NAME.fullmatch(declared) and not words & _NOT_IN_TYPES else ""
