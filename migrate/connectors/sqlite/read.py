"""Reading tables: which storage classes a column holds, and its values as Arrow.

Two readings. Faithful: what is stored, by storage class, for backups. Declared: decoded by the
declared type, for verification and for what a target says.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema, layout
from migrate.connectors.sqlite import decode
from migrate.connectors.sqlite.errors import translate, translated
from migrate.connectors.sqlite.names import quote, rowid_name
from migrate.connectors.sqlite.types import stored_type
from migrate.errors import GateClosed
from migrate.model import Column, Kind, Schema, Table

BATCH_BYTES = 8 << 20
_LARGEST_BATCH = 32_768
_COLUMNS_AT_ONCE = 6  # the distinct combinations of storage classes stay few
_NOT_UTF8 = re.compile(r"Could not decode to UTF-8 column '(.*?)' with text", re.DOTALL)


def stored_schema(connection: sqlite3.Connection, schema: Schema) -> Schema:
    """`schema` with the type of what each column really stores; `native` stays the declared type."""
    return replace(schema, tables=tuple(_stored_table(connection, t) for t in schema.tables))


def _stored_table(connection: sqlite3.Connection, table: Table) -> Table:
    failpoints.hit("sqlite.read.scan")
    with translated(table.name):
        classes = _classes(connection, table)
        texts = [c for c in table.columns if classes[c.name] == {"text"}]
        broken = _not_utf8(connection, table, texts)
    return replace(
        table,
        columns=tuple(
            replace(
                c,
                type=stored_type(c.type.native, frozenset(classes[c.name]), valid_text=c.name not in broken),
            )
            for c in table.columns
        ),
    )


def _classes(connection: sqlite3.Connection, table: Table) -> dict[str, set[str]]:
    """Storage classes of the non-null values of each column."""
    found: dict[str, set[str]] = {c.name: set() for c in table.columns}
    names = list(found)
    for start in range(0, len(names), _COLUMNS_AT_ONCE):
        group = names[start : start + _COLUMNS_AT_ONCE]
        types = ", ".join(f"typeof({quote(n)})" for n in group)
        for row in connection.execute(f"SELECT DISTINCT {types} FROM {quote(table.name)}"):
            for name, storage in zip(group, row, strict=True):
                found[name].add(storage)
    for storages in found.values():
        storages.discard("null")
    return found


def _not_utf8(connection: sqlite3.Connection, table: Table, columns: Sequence[Column]) -> set[str]:
    """Text columns with a value that is not valid UTF-8.

    Values are joined by SQLite (group_concat with an ASCII comma, so that no broken sequence can be
    completed by its neighbour) and each piece is checked at once.
    """
    if not columns:
        return set()
    broken: set[str] = set()
    joined = ", ".join(f"group_concat({quote(c.name)})" for c in columns)
    rowid = rowid_name(table.column_names)
    step = rows_per_batch(connection, table.name)
    old_factory, connection.text_factory = connection.text_factory, bytes
    try:
        for row in _pieces(connection, table, joined, rowid, step, len(columns)):
            for column, text in zip(columns, row, strict=True):
                if text is not None and column.name not in broken:
                    try:
                        text.decode("utf-8")
                    except UnicodeDecodeError:
                        broken.add(column.name)
    finally:
        connection.text_factory = old_factory
    return broken


def _pieces(
    connection: sqlite3.Connection, table: Table, joined: str, rowid: str | None, step: int, width: int
) -> Iterator[Sequence[bytes | None]]:
    name = quote(table.name)
    if rowid is None or "WITHOUT ROWID" in table.options:
        columns = joined.replace("group_concat(", "(")
        cursor = connection.execute(f"SELECT {columns} FROM {name}")
        while rows := cursor.fetchmany(step):
            yield [b",".join(v for v in values if v is not None) for values in zip(*rows, strict=True)]
        return
    lower: int | None = connection.execute(f"SELECT min({rowid}) FROM {name}").fetchone()[0]
    while lower is not None:
        after = connection.execute(
            f"SELECT {rowid} FROM {name} WHERE {rowid} >= ? ORDER BY {rowid} LIMIT 1 OFFSET ?", (lower, step)
        ).fetchone()
        upper: int | None = after[0] if after else None
        bounds, values = f"{rowid} >= ?", [lower]
        if upper is not None:
            bounds, values = bounds + f" AND {rowid} < ?", [lower, upper]
        yield connection.execute(f"SELECT {joined} FROM {name} WHERE {bounds}", values).fetchone()
        lower = upper


def rows_per_batch(connection: sqlite3.Connection, table: str) -> int:
    """Rows that make about 8 MB, guessed from the size of the file before anything is read."""
    pages, size = (connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "page_size"))
    rows = connection.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()[0]
    return int(max(16, min(_LARGEST_BATCH, BATCH_BYTES * max(1, rows) // max(1, pages * size))))


def read_stored(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Faithful reading; `table` is of `stored_schema`. `connection` is used by this iterator only."""
    chosen = [table.column(n) for n in (table.column_names if columns is None else columns)]
    schema = arrow_schema(chosen)
    selected = [
        part
        for c in chosen
        for part in (
            (f"typeof({quote(c.name)})", quote(c.name)) if c.type.kind is Kind.MIXED else (quote(c.name),)
        )
    ]
    connection.text_factory = bytes  # checked already, or MIXED

    def arrays(values: list[Sequence[object]]) -> list[Any]:
        found, at = [], 0
        for column in chosen:
            if column.type.kind is Kind.MIXED:
                classes = pa.array(values[at], pa.binary()).cast(pa.string())
                found.append(decode.mixed(classes, values[at + 1]))
                at += 2
                continue
            if column.type.kind is Kind.TEXT:
                found.append(pa.array(values[at], pa.binary()).cast(pa.string()))
            else:
                found.append(pa.array(values[at], layout(column.type)))
            at += 1
        return found

    yield from _batches(connection, table.name, selected, schema, arrays)


def read_declared(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Declared reading; `table` is of `schema()`. Raises GateClosed naming table.column if a value does not decode."""
    chosen = [table.column(n) for n in (table.column_names if columns is None else columns)]
    connection.text_factory = str
    yield from _batches(
        connection,
        table.name,
        selected(chosen),
        arrow_schema(chosen),
        lambda values: declared_arrays(values, chosen, table.name),
    )


def selected(columns: Sequence[Column], prefix: str = "") -> list[str]:
    """What to select for `declared_arrays`."""
    parts = []
    for c in columns:
        name = prefix + quote(c.name)
        if c.type.kind is Kind.MIXED:
            parts += [
                f"typeof({name})",
                f"CASE WHEN typeof({name}) = 'text' THEN CAST({name} AS BLOB) ELSE {name} END",
            ]
        else:
            parts.append(f"{name} AS {quote(c.name)}")
    return parts


def declared_arrays(values: Sequence[Sequence[object]], columns: Sequence[Column], table: str) -> list[Any]:
    found, at = [], 0
    for c in columns:
        if c.type.kind is Kind.MIXED:
            found.append(decode.mixed(values[at], values[at + 1]))
            at += 2
        else:
            found.append(decode.decode(values[at], c.type, f"{table}.{c.name}"))
            at += 1
    return found


def _batches(
    connection: sqlite3.Connection, table: str, parts: Sequence[str], schema: pa.Schema, arrays: Any
) -> Iterator[pa.RecordBatch]:
    failpoints.hit("sqlite.read.select")
    with decoding(table):
        rows_at_once = rows_per_batch(connection, table)
        cursor = connection.execute(f"SELECT {', '.join(parts)} FROM {quote(table)}")
    try:
        while True:
            with decoding(table):
                rows = cursor.fetchmany(rows_at_once)
            if not rows:
                return
            batch = pa.RecordBatch.from_arrays(arrays(list(zip(*rows, strict=True))), schema=schema)
            del rows
            rows_at_once = _next_size(rows_at_once, batch)
            yield batch
    finally:
        cursor.close()


def _next_size(rows: int, batch: pa.RecordBatch) -> int:
    """Half as many where the last batch was too large, up to twice as many where it was small."""
    per_row = max(1, batch.nbytes // max(1, batch.num_rows))
    return max(1, min(_LARGEST_BATCH, 2 * rows, BATCH_BYTES // per_row))


@contextmanager
def decoding(table: str) -> Iterator[None]:
    """As `translated`; text that is not UTF-8 is named by its column (the driver's message holds the value)."""
    try:
        yield
    except sqlite3.Error as error:
        match = _NOT_UTF8.match(str(error))
        if match is None:
            raise translate(error, table) from None
        raise GateClosed(
            "a text is not valid UTF-8",
            where=f"{table}.{match[1]}",
            hint="Mend the value; a backup keeps it as it is.",
        ) from None
