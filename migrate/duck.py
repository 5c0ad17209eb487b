"""DuckDB on disk with bounded memory, and the little SQL text that everybody needs with it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

MEMORY = "512MB"


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parquet(paths: Sequence[Path]) -> str:
    """A DuckDB table function over files that exist; their order carries no meaning."""
    return "read_parquet([" + ", ".join(literal(str(p)) for p in paths) + "])"


@contextmanager
def workspace(temp: Path, threads: int = 2) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB on disk with bounded memory, gone afterwards."""
    temp.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = temp / f"work-{secrets.token_hex(6)}.duckdb"
    connection = duckdb.connect(str(path))
    try:
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET threads = {threads}")
        connection.execute(f"SET temp_directory = {literal(str(temp))}; SET preserve_insertion_order = false")
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()
        for old in temp.glob(f"{path.name}*"):
            old.unlink()


def count(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = db.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
