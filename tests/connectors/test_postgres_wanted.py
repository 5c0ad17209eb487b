"""Keys said as ranges mean the same rows as the keys themselves, on a real server."""

from __future__ import annotations

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.connectors.postgres.target import open_database
from migrate.connectors.postgres.wanted import bounds, in_ranges


def test_keys_that_lie_close_are_said_as_ranges_without_what_is_missing_in_them() -> None:
    keys = [k for k in range(1, 1001) if k not in (7, 500)] + [9_000_000]
    said = in_ranges(["id"], pa.table({"id": pa.array(keys[::-1], pa.int64())}))
    assert said is not None
    assert said.startswith(
        """(t."id" BETWEEN '1'::int8 AND '1000'::int8 OR t."id" BETWEEN '9000000'::int8 AND '9000000'::int8)"""
    )
    assert said.endswith("'{7,500}'::int8[]))")


@pytest.mark.parametrize(
    "keys",
    [
        [None, 1],
        list(range(0, 4_000, 2)),  # every second one
        [k * 10_000 for k in range(100)],  # too far apart, and too many
    ],
)
def test_other_keys_are_sent(keys: list[int | None]) -> None:
    assert in_ranges(["id"], pa.table({"id": pa.array(keys, pa.int64())})) is None


def test_bounds_are_said_only_where_they_leave_little_out() -> None:
    assert bounds(["id"], pa.table({"id": pa.array(range(0, 4_000, 2), pa.int32())})) != ""
    assert bounds(["id"], pa.table({"id": pa.array(range(0, 4_000_000, 1_000), pa.int32())})) == ""
    assert bounds(["id"], pa.table({"id": pa.array([None], pa.int32())})) == ""


_EDGES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**63 - 2, 2**63 - 1]


def test_p13_whatever_the_keys_the_rows_are_those_of_the_keys(pg_database: str) -> None:
    there = [*range(-60, 60), *_EDGES[:2], *_EDGES[-2:]]
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE account (id bigint PRIMARY KEY)")
        with connection.cursor().copy("COPY account FROM STDIN") as copy:
            for value in there:
                copy.write_row([value])
    target = open_database(pg_database)
    table = target.schema(["account"]).table("account")

    @given(st.lists(st.integers(-70, 70) | st.sampled_from(_EDGES), min_size=1, max_size=150), st.booleans())
    @settings(max_examples=60, deadline=None)
    def same(keys: list[int], lock: bool) -> None:
        transaction = target.begin()
        found = transaction.fetch(
            table, ["id"], pa.table({"id": pa.array(keys, pa.int64())}), ["id"], lock=lock
        )
        transaction.rollback()
        assert sorted(found["id"].to_numpy().tolist()) == sorted(set(keys) & set(there))

    same()
    target.close()


@pytest.mark.promise(13)
def test_p13_few_rows_of_a_large_table_are_looked_up_one_by_one(pg_database: str) -> None:
    rows = 100_000
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE account (id bigint PRIMARY KEY, name text)")
        connection.execute(
            f"INSERT INTO account SELECT i, 'n' || i FROM generate_series(1, {rows}) i".encode()
        )
        connection.execute("VACUUM ANALYZE account")
    keys = np.arange(1_000, rows, 1_000, dtype=np.int64)
    new = pa.table({"id": keys, "name": pa.array([f"m{k}" for k in keys], pa.string())})
    target = open_database(pg_database)
    table = target.schema(["account"]).table("account")
    transaction = target.begin()
    found = transaction.fetch(table, ["id"], new.select(["id"]), ["id", "name"], lock=True)
    assert transaction.update(table, ["id"], new, stop_after=0) == []
    transaction.commit()
    target.close()
    assert found.num_rows == len(keys)
    with psycopg.connect(pg_database, autocommit=True) as connection:
        read = connection.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'account'"
        ).fetchone()
        changed = connection.execute("SELECT count(*) FROM account WHERE name LIKE 'm%'").fetchone()
    assert changed == (len(keys),)
    assert read is not None
    assert read[0] < rows // 2
