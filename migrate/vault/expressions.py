"""A schema without the SQL text in it: what may be restored from a manifest that nobody vouches for (F26)."""

from __future__ import annotations

import re
from dataclasses import replace

from migrate.errors import Corrupt
from migrate.model import Column, Schema, Table, Type

_LABEL = r"'(?:[^'\\\x00]|'')*'"  # of MySQL's enums and sets; nothing in it ends the literal
_NATIVE = re.compile(
    r"[A-Za-z_][A-Za-z0-9_ ]*(\(\s*\d+\s*(,\s*-?\d+\s*)?\))?[A-Za-z ]*(\[\])*|"
    rf"|(?:enum|set)\({_LABEL}(?:,{_LABEL})*\)",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", re.ASCII)
_ACTIONS = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})
_IDENTITIES = frozenset({None, "always", "by default"})
_OPTIONS = ("STRICT", "WITHOUT ROWID", "AUTOINCREMENT")


def without_expressions(schema: Schema) -> tuple[Schema, tuple[str, ...]]:
    """The schema with names, types and keys only, and the list of what was left out.

    Raises Corrupt for a type that is no plain type name, or an action that is none: they would be run as SQL."""
    left: list[str] = []
    tables = tuple(_table(table, left) for table in schema.tables)
    left += [f"sequence {s.name}: definition" for s in schema.sequences if s.definition]
    left += [f"extension {name}" for name in schema.extensions]
    sequences = tuple(replace(s, definition="") for s in schema.sequences)
    return replace(schema, tables=tables, sequences=sequences, extensions=()), tuple(left)


def _table(table: Table, left: list[str]) -> Table:
    left += [f"{table.name}: check {c.name}" for c in table.checks]
    left += [f"{table.name}: index {i.name}" for i in table.indexes if i.sql]
    left += [f"{table.name}: unique {u.name}" for u in table.uniques if u.definition]
    if table.sql:
        left.append(f"{table.name}: the engine's own text of the table")
    for fk in table.foreign_keys:
        if not {fk.on_delete, fk.on_update} <= _ACTIONS:
            raise Corrupt("a foreign key's action is none.", where=f"{table.name}.{fk.name}"[:200])
    known = tuple(word for word in _OPTIONS if word in table.options)
    return replace(
        table,
        columns=tuple(_column(table, column, left) for column in table.columns),
        uniques=tuple(replace(u, definition="") for u in table.uniques),
        checks=(),
        indexes=tuple(i for i in table.indexes if not i.sql),
        options=", ".join(known),
        comment=None,
        sql="",
    )


def _column(table: Table, column: Column, left: list[str]) -> Column:
    where = f"{table.name}.{column.name}"
    _refuse_sql(column.type, where)
    if column.identity not in _IDENTITIES:
        raise Corrupt("a column's identity is none.", where=where[:200])
    if column.generated is not None:
        left.append(f"{where}: generated column")
    if column.default is not None:
        left.append(f"{where}: default")
    plain_collation = column.collation is None or _NAME.fullmatch(column.collation)
    if not plain_collation:
        left.append(f"{where}: collation")
    return replace(
        column,
        default=None,
        generated=None,
        collation=column.collation if plain_collation else None,
        comment=None,
    )


def _refuse_sql(type_: Type, where: str) -> None:
    if not _NATIVE.fullmatch(type_.native):
        raise Corrupt("a type of the schema is no plain type name.", where=where[:200])
    if type_.item is not None:
        _refuse_sql(type_.item, where)
