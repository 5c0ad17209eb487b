"""Rows encoded by pgpq: what the server then holds, compared by the server itself and by ADBC, which reads them again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.arrow import arrow_schema
from migrate.connectors.postgres.copying import CopySession, takes
from migrate.connectors.postgres.errors import SqlError
from migrate.connectors.postgres.target import open_database

from tests.connectors.test_postgres_values import (
    MATRIX,
    SURPRISES,
    as_the_server_says,
    fill,
    prepared,
    scratch_on,
)


@pytest.mark.promise(8)
@pytest.mark.promise(15)
def test_p15_p8_each_type_that_is_copied_alone_is_what_it_was(pg_database: str, tmp_path: Path) -> None:
    """One table per type, so that none of them goes by ADBC because of another one."""
    columns = [*prepared(pg_database, MATRIX).items(), *SURPRISES.items()]
    alone = [(type_, values) for type_, values in columns if "[]" not in type_]
    for i, (type_, values) in enumerate(alone):
        fill(pg_database, f"m{i}", {type_: (*values, "NULL")})
    tables = [f"m{i}" for i in range(len(alone))]
    database = open_database(pg_database)
    with (
        database.snapshot(tables) as snapshot,
        scratch_on(pg_database, tmp_path, pg_database[-8:] + "_c") as scratch,
    ):
        scratch.restore_schema(snapshot.schema)
        by_copying = 0
        for table in snapshot.schema.tables:
            by_copying += takes(arrow_schema(table.columns))
            rows = scratch.restore_rows(table, snapshot.read(table.name))
            assert rows == snapshot.count(table.name)
        scratch.restore_constraints(snapshot.schema)
        assert by_copying >= len(tables) - 3, "256-bit decimals at most go another way"
        for table in snapshot.schema.tables:
            found, wanted = (as_the_server_says(u, table.name) for u in (scratch._url, pg_database))
            assert found == wanted, table
    database.close()


_WIDE = Context(prec=60)
_LARGEST = 10**38 - 1
# name → SQL type, layout, values
KINDS: dict[str, tuple[str, pa.DataType, st.SearchStrategy[Any]]] = {
    "small": ("int2", pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "middle": ("int4", pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "big": ("int8", pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "single": ("float4", pa.float32(), st.floats(width=32)),
    "double": ("float8", pa.float64(), st.floats()),
    "money": (
        "numeric(12,2)",
        pa.decimal128(12, 2),
        st.integers(1 - 10**12, 10**12 - 1).map(lambda n: _scaled(n, 2)),
    ),
    "exact": (
        "numeric(38,10)",
        pa.decimal128(38, 10),
        st.integers(-_LARGEST, _LARGEST).map(lambda n: _scaled(n, 10)),
    ),
    "whole": (
        "numeric(38,0)",
        pa.decimal128(38, 0),
        st.integers(-_LARGEST, _LARGEST).map(lambda n: _scaled(n, 0)),
    ),
    "tiny": (
        "numeric(38,38)",
        pa.decimal128(38, 38),
        st.integers(-_LARGEST, _LARGEST).map(lambda n: _scaled(n, 38)),
    ),
    "yes": ("bool", pa.bool_(), st.booleans()),
    "words": (
        "text",
        pa.string(),
        st.text(
            st.characters(categories=None, exclude_categories=["Cs"], exclude_characters="\0"), max_size=40
        ),
    ),
    "raw": ("bytea", pa.binary(), st.binary(max_size=40)),
    "born": ("date", pa.date32(), st.dates()),
    "at": ("time", pa.time64("us"), st.times()),
    "made": ("timestamp", pa.timestamp("us"), st.datetimes()),
    "seen": ("timestamptz", pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
}
SCHEMA = pa.schema([("id", pa.int64()), *((name, layout) for name, (_, layout, _) in KINDS.items())])
ROWS = st.lists(
    st.fixed_dictionaries({name: v | st.none() for name, (_, _, v) in KINDS.items()}), max_size=30
)


def _scaled(number: int, scale: int) -> Decimal:
    return Decimal(number).scaleb(-scale, _WIDE)


@pytest.fixture
def kinds(pg_database: str) -> str:
    columns = ", ".join(f"{name} {sql}" for name, (sql, _, _) in KINDS.items())
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE kinds (id int8 PRIMARY KEY, {columns})".encode())
    return pg_database


@pytest.mark.promise(15)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=ROWS, step=st.integers(1, 7), cut=st.integers(0, 3))
def test_p15_any_rows_are_read_again_as_they_were_sent(
    kinds: str, rows: list[dict[str, Any]], step: int, cut: int
) -> None:
    sent = pa.Table.from_pylist([{"id": i, **row} for i, row in enumerate(rows)], SCHEMA).slice(cut)
    assert takes(SCHEMA)
    with closing(CopySession(kinds)) as session:
        session.execute("TRUNCATE kinds")
        session.ingest("public", "kinds", sent.to_reader(max_chunksize=step))
    with closing(open_database(kinds)) as database, database.snapshot(["kinds"]) as snapshot:
        found = pa.Table.from_batches(snapshot.read("kinds"), SCHEMA).sort_by("id")
    assert _bits(found) == _bits(sent)


def _bits(rows: pa.Table) -> list[tuple[object, ...]]:
    """Rows in which −0 is not 0, and NaN is NaN whatever its bits, as PostgreSQL has it."""
    return [tuple(repr(v) if isinstance(v, float) else v for v in row.values()) for row in rows.to_pylist()]


def test_what_the_server_refuses_is_told_without_values_and_nothing_stays(kinds: str) -> None:
    twice = pa.table({"id": [1, 2, 2], "words": ["a", "b", "secret"]})
    with closing(CopySession(kinds)) as session:
        with pytest.raises(SqlError) as refused:
            session.ingest("public", "kinds", twice)
        assert refused.value.state == "23505"
        assert "secret" not in str(refused.value)
        assert session.execute("SELECT FROM kinds") == 0, "and the session goes on"


def test_an_error_of_the_rows_is_raised_as_it_is_and_nothing_stays(kinds: str) -> None:
    schema = pa.schema([("id", pa.int64())])

    def rows() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch([[1, 2]], schema=schema)
        raise LookupError("the vault is gone")

    with closing(CopySession(kinds)) as session:
        with pytest.raises(LookupError, match="the vault is gone"):
            session.ingest("public", "kinds", pa.RecordBatchReader.from_batches(schema, rows()))
        assert session.execute("SELECT FROM kinds") == 0


def test_a_lost_connection_is_a_lost_connection(kinds: str) -> None:
    with closing(CopySession(kinds)) as session, psycopg.connect(kinds, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        with pytest.raises(SqlError) as refused:
            session.ingest("public", "kinds", pa.table({"id": [1]}))
        assert refused.value.lost or refused.value.state.startswith("57P")


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.decimal256(50, 2), pa.uint8(), pa.large_string()])
def test_a_layout_that_was_not_tried_is_not_taken(kind: pa.DataType) -> None:
    assert not takes(pa.schema([("id", pa.int64()), ("x", kind)]))
