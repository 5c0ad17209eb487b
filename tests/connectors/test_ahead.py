"""Reading ahead: the same items in the same order, the same errors, and nothing left running."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest
from migrate.connectors.ahead import read_ahead, rows_of
from migrate.connectors.postgres.target import open_database


def readers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "ahead"]


def test_items_arrive_in_order_and_the_thread_has_ended() -> None:
    with read_ahead(iter(range(100))) as taken:
        assert list(taken) == list(range(100))
    assert readers() == []


def test_the_next_item_is_made_while_one_is_worked_on() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    with read_ahead(items()) as taken:
        assert next(taken) == 1
        assert made.wait(5)
        assert list(taken) == [2]


@pytest.mark.parametrize("error", [OSError("lost"), KeyboardInterrupt()])
def test_an_error_arrives_where_the_item_was_asked_for(error: BaseException) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise error

    with read_ahead(items()) as taken:
        assert next(taken) == 1
        with pytest.raises(type(error)):
            next(taken)
    assert readers() == []


def test_whoever_stops_early_leaves_nothing_open() -> None:
    closed: list[str] = []

    def items() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.append(threading.current_thread().name)

    def stopped_early() -> None:
        with read_ahead(items()) as taken:
            next(taken)
            time.sleep(0.05)
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        stopped_early()
    assert closed == ["ahead"]
    assert readers() == []


def test_a_snapshot_whose_rows_were_not_all_taken_goes_on(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE wide (id bigint PRIMARY KEY, note text)")
        connection.execute(
            "INSERT INTO wide SELECT i, repeat('n', 2000) FROM generate_series(1, 20000) i"  # several batches
        )
    target = open_database(pg_database)
    with target.snapshot(["wide"]) as snapshot:
        with rows_of(snapshot, "wide") as taken:
            assert next(taken).num_rows
        assert readers() == []
        with rows_of(snapshot, "wide", ["id"]) as taken:
            ids = pa.Table.from_batches(taken)["id"].to_pylist()
    target.close()
    assert ids == list(range(1, 20_001))


def test_an_interrupt_waits_for_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    join, calls = threading.Thread.join, []

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        calls.append(self.name)
        if len(calls) == 1:
            raise KeyboardInterrupt
        join(self, timeout)

    def items() -> Iterator[int]:
        yield 1
        time.sleep(0.2)
        yield 2

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt), read_ahead(items()) as taken:
        next(taken)
    assert calls == ["ahead", "ahead"]
    assert readers() == []
