"""Single steps of ours on the reference shape, each measured alone: the bare copy, digests, a restore."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pyarrow as pa
from migrate import canon
from migrate.connectors.registry import open_scratch, open_target
from migrate.parts import MAX_ROWS
from migrate.stores.registry import open_store
from migrate.vault.reader import open_backup
from peers import fresh, timed

CONTACT = "contact"


def copy(source: str, target: str, *, writers: int = 2) -> float:
    """Read inside a snapshot, written in parts of one transaction each: no files, digests, crosswalk or reading back.

    `--to load` with proofs off is not for sale; this is what the connectors can do."""
    fresh(target)
    here = Path.cwd()
    read, write = (open_target(url, base=here, work=here) for url in (source, target))
    table = write.schema([CONTACT]).table(CONTACT)
    ready: queue.Queue[pa.Table | None] = queue.Queue(writers)

    def load() -> None:
        while (rows := ready.get()) is not None:
            transaction = write.begin()
            if transaction.insert(table, rows, stop_after=0):
                raise RuntimeError("rows were refused")
            transaction.commit()

    def everything() -> None:
        with ThreadPoolExecutor(writers) as pool, read.snapshot([CONTACT]) as snapshot:
            loading = [pool.submit(load) for _ in range(writers)]
            for part in in_parts(snapshot.read(CONTACT)):
                ready.put(part)
            for _ in loading:
                ready.put(None)
            for done in loading:
                done.result()

    try:
        return timed(everything)
    finally:
        read.close()
        write.close()


def in_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= MAX_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def digests(source: str) -> dict[str, float]:
    """Seconds to read all rows, to compare them with themselves in one process, and to make the digest that is stored."""
    here = Path.cwd()
    read = open_target(source, base=here, work=here)
    try:
        with read.snapshot([CONTACT]) as snapshot:
            types = snapshot.schema.table(CONTACT).types
            began = time.perf_counter()
            batches = list(snapshot.read(CONTACT))
            reading = time.perf_counter() - began
    finally:
        read.close()
    rows = pa.Table.from_batches(batches)
    again = pa.ipc.open_stream(as_stream(rows)).read_all()  # other memory, the same values
    found: list[object] = []
    comparing = timed(lambda: found.append(canon.different(rows, again, types, rows.column_names)))
    if found != [{}]:
        raise RuntimeError("rows differ from themselves")
    stored = timed(lambda: canon.digest(batches, types, ["id"]))
    return {"read": reading, "compare": comparing, "digest": stored}


def as_stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def restore(vault: Path, backup: str, server: str, folder: Path) -> float:
    """Seconds from an empty scratch database to one with every row, key and index."""
    opened = open_backup(open_store(str(vault), base=folder), backup)
    scratch = open_scratch(
        "postgresql", server, folder=folder, name=f"bench_scratch_{threading.get_native_id()}", run="bench"
    )

    def everything() -> None:
        scratch.restore_schema(opened.schema)
        for table in opened.schema.tables:
            scratch.restore_rows(table, opened.batches(table.name))
        scratch.restore_constraints(opened.schema)

    try:
        return timed(everything)
    finally:
        scratch.drop()


def change(source: str, share: float) -> None:
    """Other titles in `share` of the rows of the source, spread evenly."""
    step = round(1 / share)
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(
            "UPDATE contact SET title = coalesce(title, '') || '+' WHERE id %% %s = 0",
            [step],
        )
        connection.execute("VACUUM ANALYZE contact")
