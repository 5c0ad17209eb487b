"""The SQL of the mapping over one Arrow batch in a DuckDB that can reach nothing else.

One row that cannot be computed never takes its batch along: such rows are found and marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from migrate.errors import UsageError
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import Mask

MEMORY = "1GB"
_ROWS = "batch"
_ORDINAL = "__ordinal"
# What a value or a function can be blamed for. Anything else (syntax, memory, binding) concerns every row.
_OF_A_ROW = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.InvalidInputException,
    duckdb.DataError,
)


@contextmanager
def locked_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """No files, no network, no extensions, fixed settings, a memory limit, one thread (rows keep their order)."""
    connection = duckdb.connect(":memory:")
    try:
        for setting in (
            "TimeZone = 'UTC'",
            f"memory_limit = '{MEMORY}'",
            "threads = 1",
            # A part computed in front of TRY is computed outside of its protection.
            "disabled_optimizers = 'common_subexpressions'",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True)
class Expressions:
    """The SQL of one entity. `connection`: None where there is none; `columns`: expression → the columns it names."""

    connection: duckdb.DuckDBPyConnection | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def over(self, sql: str, rows: SourceRows, only: Mask | None = None) -> tuple[pa.ChunkedArray[Any], Mask]:
        """As `evaluate`, over all rows or those of the mask `only` (values and failures are of these)."""
        assert self.connection is not None, "an entity with SQL has a connection"
        names = self.columns[sql]
        arrays: dict[str, Any] = {name: rows.arrow(name) for name in names}
        unseen = rows.unseen(names)
        if only is not None:
            arrays = {name: array.filter(pa.array(only)) for name, array in arrays.items()}
            unseen = None if unseen is None else unseen[only]
        values, failed = evaluate(
            self.connection, sql, arrays, len(rows) if only is None else int(only.sum())
        )
        if unseen is not None:
            places: Any = pa.array(np.arange(len(failed)), mask=unseen)
            values, failed = values.take(places), failed | unseen
        return values, failed


@contextmanager
def expressions_of(columns: Mapping[str, tuple[str, ...]]) -> Iterator[Expressions]:
    """A connection only where there is SQL: most entities have none."""
    if not columns:
        yield Expressions()
        return
    with locked_connection() as connection:
        yield Expressions(connection, columns)


def evaluate(
    connection: duckdb.DuckDBPyConnection, sql: str, rows: Mapping[str, pa.ChunkedArray[Any]], size: int
) -> tuple[pa.ChunkedArray[Any], Mask]:
    """The expression over `size` rows: values (NULL where it fails) and the rows where it cannot be computed.

    `rows` has the columns that the expression may name. Raises UsageError where no row can be computed because the
    expression itself is wrong."""
    names = dict(rows)
    names[_ORDINAL] = pa.chunked_array([pa.array(np.arange(size, dtype=np.int64))])
    table = pa.table(names)
    failed = np.zeros(size, dtype=np.bool_)
    if size == 0:
        return _run(connection, f"SELECT (\n{sql}\n) AS v, {_ORDINAL} FROM {_ROWS}", table), failed
    try:
        return _run(connection, f"SELECT (\n{sql}\n) AS v, {_ORDINAL} FROM {_ROWS}", table), failed
    except _OF_A_ROW:
        failed = _failing_rows(connection, sql, table)
    good = _run(
        connection, f"SELECT (\n{sql}\n) AS v, {_ORDINAL} FROM {_ROWS}", table.filter(pa.array(~failed))
    )
    places: Any = pa.array(np.where(failed, 0, np.cumsum(~failed) - 1), mask=failed)
    return good.take(places), failed


def _failing_rows(connection: duckdb.DuckDBPyConnection, sql: str, table: pa.Table) -> Mask:
    """By TRY where it helps (it does not where a part of the expression is computed in front of it), else by halving."""
    try:
        # The inner struct tells a NULL that was computed from one that stands for an error.
        guarded = _run(
            connection,
            f"SELECT TRY(struct_pack(v := (\n{sql}\n))) IS NULL AS v, {_ORDINAL} FROM {_ROWS}",
            table,
        )
        failed: Mask = guarded.to_numpy().astype(np.bool_)
        _run(connection, f"SELECT (\n{sql}\n) AS v, {_ORDINAL} FROM {_ROWS}", table.filter(pa.array(~failed)))
    except (duckdb.Error, UsageError):
        failed = np.zeros(table.num_rows, dtype=np.bool_)
        _halve(connection, sql, table, 0, table.num_rows, failed)
    return failed


def _halve(
    connection: duckdb.DuckDBPyConnection, sql: str, table: pa.Table, start: int, stop: int, failed: Mask
) -> None:
    try:
        _run(
            connection, f"SELECT (\n{sql}\n) AS v, {_ORDINAL} FROM {_ROWS}", table.slice(start, stop - start)
        )
    except _OF_A_ROW:
        if stop - start == 1:
            failed[start] = True
            return
        middle = (start + stop) // 2
        _halve(connection, sql, table, start, middle, failed)
        _halve(connection, sql, table, middle, stop, failed)


def _run(connection: duckdb.DuckDBPyConnection, query: str, table: pa.Table) -> pa.ChunkedArray[Any]:
    connection.register(_ROWS, table)
    try:
        result: Any = connection.sql(query).to_arrow_table()
    except _OF_A_ROW:
        raise
    except duckdb.Error as error:
        # The engine's own message can hold values of the row, so only its kind is shown.
        raise UsageError(
            f"an expression cannot be computed ({type(error).__name__})",
            hint="See `where:`, `when:`, `expr:` and `match:` of the mapping.",
        ) from None
    finally:
        connection.unregister(_ROWS)
    ordinals = result.column(_ORDINAL).to_numpy()
    if len(ordinals) > 1 and not (np.diff(ordinals) > 0).all():
        result = result.take(pa.array(np.argsort(ordinals, kind="stable")))
    values: pa.ChunkedArray[Any] = result.column("v")
    return values
