"""`query`: one SELECT over the extracted tables, checked against them, and run where nothing else can be reached."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from migrate.arrow import layout
from migrate.duck import MEMORY, identifier, literal
from migrate.errors import UsageError
from migrate.mapping.model import Entity, Mapping
from migrate.mapping.query import parse_query
from migrate.mapping.shapes import did_you_mean
from migrate.mapping.sql_tree import said
from migrate.model import ADDED_COLUMNS, Column, Kind, Schema, Table, Type, added_columns
from migrate.transform.expressions import locked_connection
from migrate.transform.kinds import type_of_arrow
from migrate.transform.roads.rows import Tables
from migrate.transform.roads.spec import QuerySpec, visible
from migrate.transform.said import Said
from migrate.transform.source_rows import SourceRows
from migrate.transform.sql import sql_type

CHUNK = 65_536
# What has no layout of its own, and the type that holds it exactly.
_CASTS = {
    "HUGEINT": "DECIMAL(38, 0)",
    "UBIGINT": "DECIMAL(20, 0)",
    "UINTEGER": "BIGINT",
    "USMALLINT": "INTEGER",
    "UTINYINT": "SMALLINT",
    "TINYINT": "SMALLINT",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP",
    "UUID": "VARCHAR",
    '"NULL"': "VARCHAR",
}
_NO_LAYOUT = (
    "INTERVAL",
    "STRUCT",
    "MAP",
    "UNION",
    "BIT",
    "UHUGEINT",
    "BIGNUM",
    "VARINT",
    "TIME WITH TIME ZONE",
)


def read_query(
    mapping: Mapping, entity: Entity, schema: Schema
) -> tuple[Table | None, QuerySpec | None, list[str]]:
    """The table that the query of an entity gives, how it is run, and what is wrong with it, in plain words."""
    assert entity.query is not None
    parsed = parse_query(entity.query)
    if parsed.problems:
        return None, None, parsed.problems
    problems = []
    tables: dict[str, Table] = {}
    wanted = None if parsed.star else {c.lower() for c in parsed.columns}
    for name in parsed.tables:
        if name not in schema.table_names:
            near = did_you_mean(name, schema.table_names)
            problems.append(
                f"the source {entity.source} has no table `{name}`" + (f" ({near})" if near else "")
            )
            continue
        table = schema.table(name)
        columns = tuple(c for c in visible(table) if wanted is None or c.name.lower() in wanted)
        twice = {c.name for c in columns if sum(o.name.lower() == c.name.lower() for o in columns) > 1}
        if twice:
            problems.append(f"SQL cannot tell the columns {', '.join(sorted(twice))} of {name} apart")
        tables[name] = replace(table, columns=columns)
    if problems:
        return None, None, problems
    return _bound(entity.query, tuple(tables.items()))


@lru_cache(maxsize=64)  # binding opens a DuckDB, and every stage asks for the same queries
def _bound(
    sql: str, tables: tuple[tuple[str, Table], ...]
) -> tuple[Table | None, QuerySpec | None, list[str]]:
    """The query bound to empty tables: which columns it gives, of what types."""
    with locked_connection() as connection:
        for name, table in tables:
            _create(connection, name, table)
        try:
            described = connection.execute(f"DESCRIBE {sql}").fetchall()
        except duckdb.Error as error:
            return None, None, [f"the query does not work: {said(str(error))}"]
        names = [str(row[0]) for row in described]
        problems = _bad_columns([(str(row[0]), str(row[1])) for row in described])
        if problems:
            return None, None, problems
        casts = ", ".join(_cast(str(row[0]), str(row[1])) for row in described)
        made = connection.sql(f"SELECT {casts} FROM (\n{sql}\n) AS q").to_arrow_table()
    types = [_type_of(made.column(n)) for n in range(len(names))]
    table = Table("the query", tuple(Column(n, t) for n, t in zip(names, types, strict=True)))
    return table, QuerySpec(sql, dict(tables), casts), []


def _bad_columns(described: list[tuple[str, str]]) -> list[str]:
    names = [name.lower() for name, _ in described]
    problems = [
        f"two columns of the query are named `{name}`; give one another name with AS"
        for name in dict.fromkeys(n for n in names if names.count(n) > 1)
    ]
    for name, type_ in described:
        if any(type_.startswith(word) for word in _NO_LAYOUT):
            problems.append(f"`{name}` is a {type_.split('(')[0].lower()}, which no field can take; cast it")
        if name.startswith("__") or name in ADDED_COLUMNS:
            problems.append(f"`{name}` is a name that this program uses itself; give it another one with AS")
    return problems


def _cast(name: str, type_: str) -> str:
    wanted = _CASTS.get(type_, "VARCHAR" if type_.startswith("ENUM") else "")
    return f"CAST({identifier(name)} AS {wanted}) AS {identifier(name)}" if wanted else identifier(name)


def _type_of(column: pa.ChunkedArray[Any]) -> Type:
    if pa.types.is_list(column.type):
        inner: pa.DataType = column.type.value_type
        return Type(Kind.ARRAY, item=_type_of(pa.chunked_array([pa.array([], inner)])))
    if pa.types.is_integer(column.type) and column.type.bit_width in (16, 32):
        return Type(Kind.INT, bits=column.type.bit_width)
    if column.type == pa.float32():
        return Type(Kind.FLOAT, bits=32)
    return type_of_arrow(column)[1]


def _create(connection: duckdb.DuckDBPyConnection, name: str, table: Table) -> str:
    """An empty table as the query names it; its name in SQL."""
    schema, dot, bare = name.rpartition(".")
    if dot:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
    place = f"{identifier(schema)}.{identifier(bare)}" if dot else identifier(name)
    # A table has a column, also where the query only counts its rows.
    columns = [f"{identifier(c.name)} {sql_type(c.type)}" for c in table.columns] or ['"__none" BOOLEAN']
    connection.execute(f"CREATE TABLE {place} ({', '.join(columns)})")
    return place


def run_query(
    spec: QuerySpec, mapping: Mapping, entity: Entity, sources: Tables, table: Table, temp: Path
) -> Iterator[pa.Table]:
    """The rows of the query in the layouts of `table`, in one order whatever the order of the source's rows.

    Raises UsageError where it cannot be computed."""
    with _private(temp) as connection:
        for name, read in spec.tables.items():
            place = _create(connection, name, read)
            seen = Said.of(mapping, entity.source, name)
            for ref in sources.parts[name]:
                _fill(connection, place, read, seen, sources.read(ref))
        for setting in ("enable_external_access = false", "lock_configuration = true"):
            connection.execute(f"SET {setting}")
        try:
            result = connection.sql(f"SELECT {spec.casts} FROM (\n{spec.sql}\n) AS q ORDER BY ALL")
            reader = result.to_arrow_reader(CHUNK)
            for batch in reader:
                yield _laid_out(pa.Table.from_batches([batch]), table)
        except duckdb.Error as error:
            # The engine's own message can hold values of the rows, so only its kind is shown.
            raise UsageError(
                f"the query of {entity.name} cannot be computed ({type(error).__name__})",
                where=mapping.positions.get(f"entities.{entity.name}.query", entity.name),
                kept="Nothing was loaded.",
                hint="A value may not be what a cast or a function expects: try_cast is not allowed, nullif and CASE are.",
            ) from None


def _fill(
    connection: duckdb.DuckDBPyConnection, place: str, table: Table, said_: Said, rows: pa.Table
) -> None:
    """Rows as SQL sees them, NULL words applied; records that could not be read are left out."""
    if "_bad" in added_columns(rows.column_names):
        rows = rows.filter(rows.column("_bad").is_null())
    if not table.columns:
        connection.execute(f"INSERT INTO {place} SELECT NULL FROM range({rows.num_rows})")
        return
    source = SourceRows(rows, table.types, said_.nulls_of(table.columns))
    seen = pa.table({c.name: source.arrow(c.name) for c in table.columns})
    connection.register("incoming", seen)
    connection.execute(f"INSERT INTO {place} SELECT * FROM incoming")
    connection.unregister("incoming")


def _laid_out(rows: pa.Table, table: Table) -> pa.Table:
    return pa.table(
        {c.name: rows.column(n).cast(layout(c.type)) for n, c in enumerate(table.columns)},
    )


@contextmanager
def _private(temp: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB on disk with bounded memory, of one thread: sums of floats come out the same every time."""
    temp.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = temp / f"query-{secrets.token_hex(6)}.duckdb"
    connection = duckdb.connect(str(path))
    try:
        for setting in (
            f"memory_limit = '{MEMORY}'",
            "threads = 1",
            f"temp_directory = {literal(str(temp))}",
            "TimeZone = 'UTC'",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
        ):
            connection.execute(f"SET {setting}")
        yield connection
    finally:
        connection.close()
        for old in temp.glob(f"{path.name}*"):
            old.unlink()
