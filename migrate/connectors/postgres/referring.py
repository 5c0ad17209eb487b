"""Rows of other tables that refer to given ones: what an undo asks before it removes a row."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa

from migrate.canon import source_keys
from migrate.connectors.postgres.catalog import read_schema
from migrate.connectors.postgres.read import read_table, select_list
from migrate.connectors.postgres.session import Session, join_name, quote, quote_table, translated
from migrate.connectors.postgres.write import one_array, staged
from migrate.errors import UsageError
from migrate.model import Column, Table, Type

_REFERENCES = """
SELECT n.nspname, c.relname, k.confdeltype,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, at)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.at) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, at)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.at) AS ref_columns
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = %s::regclass ORDER BY n.nspname, c.relname, k.conname"""
_ON_DELETE = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_COLUMNS = ("table", "columns", "ref_key", "row_key", "on_delete")


@dataclass(frozen=True)
class Referring:
    """A foreign key of `child` to a table: its columns, those that they refer to, and what happens on a delete."""

    child: Table
    columns: list[str]
    ref_columns: list[str]
    on_delete: str


def referring(side: psycopg.Connection[Any], table: Table) -> list[Referring]:
    """Foreign keys of any table to this one, by the catalogue. One thread at a time."""
    with translated("reading foreign keys", where=table.name):
        rows = side.execute(_REFERENCES.encode(), [quote_table(table.name)]).fetchall()
    found = []
    for schema, name, on_delete, columns, ref_columns in rows:
        child = join_name(schema, name)
        declared = read_schema(side, [child])
        if not declared.tables:
            raise UsageError("a table that refers to this one cannot be read", where=child)
        found.append(Referring(declared.tables[0], columns, ref_columns, _ON_DELETE[on_delete]))
    return found


def no_references() -> pa.Table:
    return pa.table({name: pa.array([], pa.string()) for name in _COLUMNS})


def references_to(
    by: Sequence[Referring],
    opened: Callable[[], AbstractContextManager[Session]],
    table: Table,
    key: Sequence[str],
    keys: pa.Table,
) -> pa.Table:
    """`migrate.connectors.protocol.Target.references_to`, by these foreign keys: `opened` gives a session."""
    pieces = [
        _referencing(opened, table, key, keys, one.child, one.columns, one.ref_columns, one.on_delete)
        for one in by
    ]
    return pa.concat_tables(pieces) if pieces else no_references()


def _referencing(
    opened: Callable[[], AbstractContextManager[Session]],
    table: Table,
    key: Sequence[str],
    keys: pa.Table,
    child: Table,
    columns: list[str],
    ref_columns: list[str],
    on_delete: str,
) -> pa.Table:
    parents = [Column(f"p{i}", table.column(k).type) for i, k in enumerate(key)]
    own = [Column(f"k{i}", child.column(k).type) for i, k in enumerate(child.primary_key)]
    distinct = keys.select(list(key)).group_by(list(key)).aggregate([])
    made = [staged(i, table.column(c), one_array(distinct[c])) for i, c in enumerate(distinct.column_names)]
    sent = [a for s in made for a in s.arrays]
    join = " AND ".join(f"c.{quote(c)} = t.{quote(r)}" for c, r in zip(columns, ref_columns, strict=True))
    match = f"({', '.join('t.' + quote(c) for c in distinct.column_names)}) IN (SELECT {', '.join(s.key for s in made)} FROM pg_temp.migrate_refs s)"
    inner = ", ".join(
        [f"t.{quote(k)} AS {quote(p.name)}" for k, p in zip(key, parents, strict=True)]
        + [f"c.{quote(k)} AS {quote(o.name)}" for k, o in zip(child.primary_key, own, strict=True)]
    )
    sql = (
        f"SELECT {select_list([*parents, *own])} FROM (SELECT {inner} FROM {quote_table(table.name)} t "
        f"JOIN {quote_table(child.name)} c ON {join} WHERE {match}) r"
    )
    with translated("looking for references", where=child.name), opened() as session:
        session.execute("BEGIN")
        session.execute(
            f"CREATE TEMP TABLE migrate_refs ({', '.join(f'{n} {t}' for n, t, _ in sent)}) ON COMMIT DROP"
        )
        session.ingest(None, "migrate_refs", pa.table([a for _, _, a in sent], names=[n for n, _, _ in sent]))
        session.execute("ANALYZE pg_temp.migrate_refs")
        rows = read_table(session, sql, [*parents, *own], child.name)
        session.execute("ROLLBACK")
    count = rows.num_rows
    types: dict[str, Type] = {c.name: c.type for c in [*parents, *own]}
    nothing = pa.nulls(count, pa.string())
    return pa.table(
        {
            "table": pa.array([child.name] * count, pa.string()),
            "columns": pa.array(
                [json.dumps(columns, ensure_ascii=False, separators=(",", ":"))] * count, pa.string()
            ),
            "ref_key": source_keys(rows, [p.name for p in parents], types) if count else nothing,
            "row_key": source_keys(rows, [o.name for o in own], types) if own and count else nothing,
            "on_delete": pa.array([on_delete] * count, pa.string()),
        }
    )
