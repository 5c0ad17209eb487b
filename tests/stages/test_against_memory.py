"""Ids and keys of new rows stay on disk while they are looked for in the target, and in other tables."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate.api.places import context_of
from migrate.context import Context
from migrate.model import Column, Kind, Schema, Table, Type
from migrate.parts import stream_rows
from migrate.stages.transform import knowing
from migrate.stages.transform.in_target import match_target
from migrate.transform.settle import Road

from tests.runs import World, bare

ROWS = 200_000
A_ROW = 8  # bytes of Python and Arrow together
BASE = 12 << 20  # whatever the number of rows: parts of 20,000 rows, and what is imported on the way
PART = 20_000
TEXT = Type(Kind.TEXT)
CONTACTS = Table(
    "contacts", tuple(Column(c, TEXT) for c in ("id", "email", "legacy_id")), primary_key=("id",)
)
ENTITIES = """
  contacts:
    from: people
    key: id
    into: contacts
    fields: {email: mail, legacy_id: id}
    duplicates: {same: [[email]], against: target}
    known_as: {customers: [email], then: link}
"""


def world(folder: Path) -> World:
    return bare(
        folder,
        ["CREATE TABLE people(id TEXT PRIMARY KEY, mail TEXT)", "INSERT INTO people VALUES ('1', 'a@a.example'), ('2', 'b@a.example')"],
        ["CREATE TABLE contacts(id TEXT PRIMARY KEY, email TEXT, legacy_id TEXT)",
         "INSERT INTO contacts VALUES ('t1', 'b@a.example', NULL)",
         "CREATE TABLE customers(id TEXT PRIMARY KEY, email TEXT)"],
        ENTITIES,
        policy="max_quarantine: 100%",
    )  # fmt: skip


def many(folder: Path, rows: int, known: int) -> tuple[Road, Path]:
    """New rows as `apply` leaves them; the target's own file, of which `known` rows have an address of theirs."""
    files: list[Path] = []
    for start in range(0, rows, PART):
        numbers = range(start, min(start + PART, rows))
        part = pa.table(
            {
                "__rid": pa.array(numbers, pa.int64()),
                "__key": [f'["0000-{n:012}"]' for n in numbers],
                "email": [f"person.{n}@firm{n % 977}.example" for n in numbers],
            }
        )
        files.append(folder / f"rows-{len(files):05}.parquet")
        pq.write_table(part, files[-1])
    target = folder / "target.parquet"
    there = [n * (rows // known) for n in range(known)]
    pq.write_table(
        pa.table(
            {
                "tkey": [f'["t{n}"]' for n in there],
                "c.email": [f"person.{n}@firm{n % 977}.example" for n in there],
            }
        ),
        target,
    )
    return Road("contacts", "source", "add_or_update", "contacts", 1, tuple(files), (), ()), target


def most_held(work: Callable[[], object]) -> int:
    """Bytes of Python objects and of Arrow at their peak."""
    gc.collect()
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)  # counts from here on
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] + (pool.max_memory() or 0)
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


def of_run(made: World, work: Callable[[Context], object]) -> None:
    with context_of("latest", made.home, hold=False) as ctx:
        work(ctx)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    done = world(tmp_path_factory.mktemp("against"))
    done.run()
    return done


def test_rows_that_are_looked_for_in_the_target_stay_on_disk(made: World, tmp_path: Path) -> None:
    road, target = many(tmp_path, ROWS, 50)

    def work(ctx: Context) -> None:
        found = match_target(ctx, ctx.entities["contacts"], road, CONTACTS, target, None)
        assert pq.read_metadata(found.path).num_rows == 50

    assert most_held(lambda: of_run(made, work)) < BASE + A_ROW * ROWS


def test_pairs_with_another_table_are_written_as_they_come(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    road, target = many(tmp_path, 60_000, 60_000)
    customers = Table("customers", tuple(Column(c, TEXT) for c in ("id", "email")), primary_key=("id",))
    together: list[int] = []
    write = stream_rows

    def watched(tables: Iterable[pa.Table], *rest: object, **more: object) -> bool:
        def seen(rows: pa.Table) -> pa.Table:
            together.append(rows.num_rows)
            return rows

        return write(map(seen, tables), *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(knowing, "stream_rows", watched)

    def work(ctx: Context) -> None:
        entity, declared = ctx.entities["contacts"], Schema("sqlite", "", (CONTACTS, customers))
        known, _ = knowing.find_pairs(ctx, entity, [road], {"customers": target}, declared)
        assert pq.read_metadata(known.pairs).num_rows == 60_000

    of_run(made, work)
    assert sum(together) == 60_000
    assert max(together) <= 30_000
