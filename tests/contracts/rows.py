"""Tables and rows that every engine can hold, and ways to write and read them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from migrate.arrow import arrow_schema
from migrate.canon import digest
from migrate.connectors.protocol import Snapshot, Target, Transaction
from migrate.model import Column, Kind, Rejected, Table, Type

EVERY_KIND = Table(
    "every_kind",
    (
        Column("id", Type(Kind.INT, bits=64), nullable=False),
        Column("flag", Type(Kind.BOOL)),
        Column("number", Type(Kind.INT, bits=64)),
        Column("ratio", Type(Kind.FLOAT, bits=64)),
        Column("amount", Type(Kind.DECIMAL, precision=12, scale=2)),
        Column("exact", Type(Kind.DECIMAL, precision=38, scale=10)),
        Column("name", Type(Kind.TEXT)),
        Column("code", Type(Kind.TEXT, length=20)),
        Column("photo", Type(Kind.BYTES)),
        Column("born", Type(Kind.DATE)),
        Column("at_time", Type(Kind.TIME)),
        Column("made", Type(Kind.TIMESTAMP)),
        Column("seen", Type(Kind.TIMESTAMPTZ)),
        Column("token", Type(Kind.UUID)),
        Column("extra", Type(Kind.JSON)),
    ),
    primary_key=("id",),
)

UTC = dt.UTC


def sample(first_instant: dt.datetime) -> list[dict[str, Any]]:
    """The same with the earliest instant that an engine holds."""
    return [*SAMPLE[:-1], SAMPLE[-1] | {"seen": first_instant}]


SAMPLE: list[dict[str, Any]] = [
    {"id": 1},
    {
        "id": 2,
        "flag": True,
        "number": 2**63 - 1,
        "ratio": 0.1,
        "amount": Decimal("9999999999.99"),
        "exact": Decimal("1234567890123456789012345678.0123456789"),
        "name": "Zoë 'O''Neil' \\ \"x\"\n\t",
        "code": "007",
        "photo": b"\x00\xff",
        "born": dt.date(1, 1, 1),
        "at_time": dt.time(23, 59, 59, 999999),
        "made": dt.datetime(2024, 2, 29, 12, 30, 0, 123456),
        "seen": dt.datetime(2024, 3, 31, 1, 30, tzinfo=UTC),
        "token": str(uuid.UUID(int=2**127 + 5)),
        "extra": '{"a": [1, null, "ü"]}',
    },
    {
        "id": -(2**63),
        "flag": False,
        "number": -(2**63),
        "ratio": -1.7976931348623157e308,
        "amount": Decimal("-0.01"),
        "exact": Decimal("-0.0000000001"),
        "name": "",
        "code": "1e5",
        "photo": b"",
        "born": dt.date(9999, 12, 31),
        "at_time": dt.time(0),
        "made": dt.datetime(1, 1, 1),
        "seen": dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        "token": str(uuid.UUID(int=0)),
        "extra": "null",
    },
]


def table_of(table: Table, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> pa.Table:
    """Rows in the layout of `table`'s types; absent keys are NULL."""
    chosen = [table.column(c) for c in (table.column_names if columns is None else columns)]
    schema = arrow_schema(chosen)
    return pa.table({f.name: pa.array([r.get(f.name) for r in rows], f.type) for f in schema}, schema=schema)


def sorted_rows(table: pa.Table, *by: str) -> list[dict[str, Any]]:
    return table.sort_by([(b, "ascending") for b in by]).to_pylist()


def write(
    target: Target,
    table: Table,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[str] | None = None,
    *,
    stop_after: int = 0,
) -> list[Rejected]:
    """Insert in a transaction of its own; commit."""
    transaction = target.begin()
    try:
        rejected = transaction.insert(table, table_of(table, rows, columns), stop_after=stop_after)
        transaction.commit()
    finally:
        transaction.rollback()
    return rejected


def all_rows(target: Target, name: str) -> pa.Table:
    """Every row in the layout of the catalogue."""
    declared = target.schema([name]).table(name)
    with target.snapshot([name]) as snapshot:
        stored = snapshot.schema.table(name)
        found = [
            target.as_declared(pa.Table.from_batches([batch]), stored, declared)
            for batch in snapshot.read(name)
        ]
    return pa.concat_tables([arrow_schema(declared.columns).empty_table(), *found])


def digest_of(snapshot: Snapshot, table: str) -> str:
    return digest(snapshot.read(table), snapshot.schema.table(table).types).text()


def fetch(
    transaction: Transaction, table: Table, ids: Sequence[int], columns: Sequence[str] | None = None
) -> pa.Table:
    keys = table_of(table, [{"id": i} for i in ids], ["id"])
    return transaction.fetch(table, ["id"], keys, list(columns or table.column_names))
