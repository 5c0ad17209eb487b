"""Which rows refer to some rows of a table, by the catalogue's foreign keys (F32)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from migrate.canon import source_keys
from migrate.connectors.mysql.catalog import read_schema, rule
from migrate.connectors.mysql.read import read_table, select_list
from migrate.connectors.mysql.session import Session, literal, quote, translated
from migrate.connectors.mysql.write import clear_away, fill
from migrate.errors import UsageError
from migrate.model import Column, Table, Type

REFERENCE_COLUMNS = ("table", "columns", "ref_key", "row_key", "on_delete")
_REFERENCES = """
SELECT k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE
FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
WHERE k.REFERENCED_TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME = {table}
ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"""


def references_to(
    session: Session, side: Session, table: Table, key: Sequence[str], keys: pa.Table
) -> pa.Table:
    """`migrate.connectors.protocol.Target.references_to`. `session` takes the keys, `side` reads the catalogue."""
    empty = pa.table({name: pa.array([], pa.string()) for name in REFERENCE_COLUMNS})
    if not keys.num_rows:
        return empty
    grouped: dict[tuple[str, str, str, str], list[tuple[str, str]]] = defaultdict(list)
    with translated("reading foreign keys", where=table.name):
        for schema, child, name, column, referred, action in side.rows(
            _REFERENCES.format(table=literal(table.name))
        ):
            grouped[schema, child, name, rule(action)].append((column, referred))
    pieces = []
    for (schema, child, _, on_delete), pairs in grouped.items():
        found = read_schema(side, [child]).tables if schema == side.database else ()
        if not found:
            raise UsageError(
                "a table that refers to this one cannot be read: it is in another database",
                where=f"{schema}.{child}",
            )
        pieces.append(_referencing(session, table, key, keys, found[0], pairs, on_delete))
    return pa.concat_tables(pieces) if pieces else empty


def _referencing(
    session: Session,
    table: Table,
    key: Sequence[str],
    keys: pa.Table,
    child: Table,
    pairs: Sequence[tuple[str, str]],
    on_delete: str,
) -> pa.Table:
    parents = [Column(f"p{i}", table.column(k).type) for i, k in enumerate(key)]
    own = [Column(f"k{i}", child.column(k).type) for i, k in enumerate(child.primary_key)]
    distinct = keys.select(list(key)).group_by(list(key)).aggregate([])
    name = f"migrate_refs_{session.next_number()}"
    with translated("looking for references", where=child.name):
        stage = fill(
            session,
            name,
            [table.column(c) for c in distinct.column_names],
            distinct,
            pa.array(np.arange(distinct.num_rows)),
        )
        picked = ", ".join(f"{stage.key(i, session.server.maria)} AS k{i}" for i in range(len(stage.columns)))
        match = " AND ".join(f"t.{quote(c.name)} = d.k{i}" for i, c in enumerate(stage.columns))
        join = " AND ".join(f"c.{quote(c)} = t.{quote(r)}" for c, r in pairs)
        inner = ", ".join(
            [f"t.{quote(k)} AS {p.name}" for k, p in zip(key, parents, strict=True)]
            + [f"c.{quote(k)} AS {o.name}" for k, o in zip(child.primary_key, own, strict=True)]
        )
        sql = (
            f"SELECT {select_list([*parents, *own])} FROM (SELECT {inner} FROM "
            f"(SELECT DISTINCT {picked} FROM {quote(name)} s) d STRAIGHT_JOIN {quote(table.name)} t ON {match} "
            f"STRAIGHT_JOIN {quote(child.name)} c ON {join}) r"
        )
        rows = read_table(session, sql, [*parents, *own], child.name)
        clear_away(session, name)
    count = rows.num_rows
    types: dict[str, Type] = {c.name: c.type for c in [*parents, *own]}
    nothing = pa.nulls(count, pa.string())
    columns = json.dumps([c for c, _ in pairs], ensure_ascii=False, separators=(",", ":"))
    return pa.table(
        {
            "table": pa.array([child.name] * count, pa.string()),
            "columns": pa.array([columns] * count, pa.string()),
            "ref_key": source_keys(rows, [p.name for p in parents], types) if count else nothing,
            "row_key": source_keys(rows, [o.name for o in own], types) if own and count else nothing,
            "on_delete": pa.array([on_delete] * count, pa.string()),
        }
    )
