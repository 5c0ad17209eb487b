"""SQL of the mapping, checked before any row is read: allowed, typed, and which columns it names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import duckdb
import pyarrow as pa

from migrate.arrow import layout
from migrate.mapping.expr import check_expression, columns_of, whole_names
from migrate.model import Column, Kind, Table, Type
from migrate.transform.expressions import locked_connection
from migrate.transform.kinds import type_of_arrow
from migrate.transform.values import INTEGER, TEXT

_SQL_TYPES = {
    Kind.BOOL: "BOOLEAN",
    Kind.BYTES: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ",
}


@dataclass(frozen=True)
class Prepared:
    """An expression as it may run: the columns that it reads, and the type that it gives."""

    sql: str
    columns: tuple[str, ...] = ()
    type: Type = TEXT
    problems: tuple[str, ...] = ()


@lru_cache(maxsize=1024)  # binding opens a DuckDB, and every stage asks for the same expressions
def prepare(sql: str, table: Table, *, line: bool = False, boolean: bool = False) -> Prepared:
    """`line`: the hidden column `_line` is there. `boolean`: a condition. `problems` in plain words."""
    columns = [*table.columns, *([Column("_line", INTEGER)] if line else [])]
    problems = check_expression(sql, {c.name: sql_type(c.type) for c in table.columns}, boolean=boolean)
    if problems:
        return Prepared(sql, problems=tuple(problems))
    by_name = {c.name.lower(): c for c in columns}
    read = columns_of(sql)
    missing = [name for name in read if name.lower() not in by_name]
    if missing:
        return Prepared(sql, problems=tuple(f"there is no column `{name}`" for name in missing))
    named = tuple(dict.fromkeys(by_name[name.lower()].name for name in read))
    sql = whole_names(sql)
    try:
        return Prepared(sql, named, _bound(sql, [by_name[n.lower()] for n in named]))
    except duckdb.Error as error:
        return Prepared(sql, problems=(f"the expression does not work ({type(error).__name__})",))


def sql_type(type_: Type) -> str:
    """DuckDB's type of a column as the expression sees it."""
    if type_.kind is Kind.INT:
        return {16: "SMALLINT", 32: "INTEGER"}.get(type_.bits or 64, "BIGINT")
    if type_.kind is Kind.FLOAT:
        return "FLOAT" if type_.bits == 32 else "DOUBLE"
    if type_.kind is Kind.DECIMAL and type_.precision is not None and type_.precision <= 38:
        return f"DECIMAL({type_.precision}, {type_.scale or 0})"
    if type_.kind is Kind.ARRAY and type_.item is not None:
        return f"{sql_type(type_.item)}[]"
    return _SQL_TYPES.get(type_.kind, "VARCHAR")


def _bound(sql: str, columns: list[Column]) -> Type:
    fields = [pa.field(c.name, _sql_layout(c.type)) for c in columns] + [pa.field("__ordinal", pa.int64())]
    with locked_connection() as connection:
        connection.register("batch", pa.schema(fields).empty_table())
        result: pa.Table = connection.sql(f"SELECT (\n{sql}\n) AS v FROM batch").to_arrow_table()
    return type_of_arrow(result.column("v"))[1]


def _sql_layout(type_: Type) -> pa.DataType:
    wide = type_.kind is Kind.DECIMAL and (type_.precision or 39) > 38
    return pa.string() if type_.kind is Kind.MIXED or wide else layout(type_)
