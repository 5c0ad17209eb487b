"""DuckDB on disk with bounded memory, and the little SQL text that everybody needs with it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

MEMORY = "192MB"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parquet(paths: Sequence[Path]) -> str:
    """A DuckDB table function over files that exist; their order carries no meaning."""
    return "read_parquet([" + ", ".join(literal(str(p)) for p in paths) + "])"


@contextmanager
def workspace(
    temp: Path, *, memory: str = MEMORY, threads: int = 2, on_disk: bool = True
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with bounded memory; its tables, and all it spilled below `temp`, are gone afterwards.

    Tables lie in a file below `temp`; not `on_disk`, for what only reads or makes small ones, in memory. Names
    without a catalog mean them. Raises what DuckDB raises."""
    temp.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"work-{secrets.token_hex(6)}"
    place, spill = temp / f"{name}.duckdb", temp / f"{name}.spill"
    engine = _taken()
    reusable = False
    try:
        connection = engine.cursor()
        try:
            connection.execute(
                f"SET memory_limit = {literal(memory)}; SET threads = {threads}; "
                f"SET temp_directory = {literal(str(spill))}; "
                "SET preserve_insertion_order = false; SET TimeZone = 'UTC'"
            )
            where = literal(str(place) if on_disk else ":memory:")
            connection.execute(f"ATTACH {where} AS {identifier(name)}; USE {identifier(name)}")
            yield connection
            connection.execute(f"USE memory; DETACH {identifier(name)}")
            reusable = not spill.exists()  # the folder of an engine that has spilled cannot be changed
        finally:
            connection.close()
    finally:
        if reusable:
            _idle.append((os.getpid(), engine))
        else:
            engine.close()
        for old in temp.glob(f"{name}*"):
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.unlink()


# An engine costs 20 ms of CPU before it does anything, a run needs a few dozen of them: one whose work ended
# well is used again. It keeps nothing of that work but its memory's limit, which the next one sets anew.
_idle: list[tuple[int, duckdb.DuckDBPyConnection]] = []


def _taken() -> duckdb.DuckDBPyConnection:
    """An engine that nobody else uses."""
    while _idle:
        process, engine = _idle.pop()
        if process == os.getpid():  # the threads of an engine do not survive a fork
            return engine
    return duckdb.connect(":memory:")


def count(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    rows = db.execute(sql).fetchall()  # all: a result that is not read to its end keeps the connection busy
    return int(rows[0][0])
