"""What a part costs does not grow with the table that it goes into."""

from __future__ import annotations

import time

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from migrate.connectors.postgres.target import open_database

ROWS, PART = 100_000, 20_000


def scanned(url: str, table: str) -> int:
    """Rows that sequential scans have read; sessions report when they end."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = %s", [table]
        ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.promise(13)
def test_p13_a_part_is_read_back_and_updated_without_reading_the_whole_table(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE account (id bigint PRIMARY KEY, name text)")
        connection.execute(
            f"INSERT INTO account SELECT i, 'n' || i FROM generate_series(1, {ROWS}) i".encode()
        )
        connection.execute("VACUUM ANALYZE account")
    before = scanned(pg_database, "account")
    keys = np.arange(40_001, 40_001 + PART, dtype=np.int64)
    target = open_database(pg_database)
    table = target.schema(["account"]).table("account")
    transaction = target.begin()
    found = transaction.fetch(table, ["id"], pa.table({"id": keys}), ["id", "name"])
    new = pa.table({"id": keys, "name": pa.array([f"m{k}" for k in keys], pa.string())})
    assert transaction.update(table, ["id"], new, stop_after=0) == []
    again = transaction.fetch(table, ["id"], pa.table({"id": keys[:10]}), ["id", "name"], lock=True)
    assert transaction.delete(table, ["id"], pa.table({"id": keys})) == PART
    transaction.commit()
    target.close()
    assert sorted(found["id"].to_numpy().tolist()) == keys.tolist()
    assert sorted(again["name"].to_numpy().tolist()) == sorted(f"m{k}" for k in keys[:10])
    deadline = time.monotonic() + 5
    while scanned(pg_database, "account") == before and time.monotonic() < deadline - 4:
        time.sleep(0.1)
    assert scanned(pg_database, "account") - before < ROWS


def test_bounds_hold_for_small_and_negative_and_composite_keys(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE slot (day smallint, kind text, note text, PRIMARY KEY (day, kind))")
        connection.execute(
            "INSERT INTO slot VALUES (-32768, 'a', 'x'), (0, 'a', 'y'), (0, 'b', 'z'), (32767, 'a', 'w')"
        )
    target = open_database(pg_database)
    table = target.schema(["slot"]).table("slot")
    transaction = target.begin()
    keys = pa.table({"day": pa.array([-32768, 0, 32767], pa.int16()), "kind": ["a", "b", "a"]})
    found = transaction.fetch(table, ["day", "kind"], keys, ["note"])
    empty = transaction.fetch(table, ["day", "kind"], keys.slice(0, 0), ["note"])
    transaction.rollback()
    target.close()
    assert sorted(found["note"].to_numpy().tolist()) == ["w", "x", "z"]
    assert empty.num_rows == 0
