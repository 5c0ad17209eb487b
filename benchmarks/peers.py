"""What others take to copy the reference shape: each a function that gives seconds, or None where it is not installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from reference_shape import TABLE, left


def fresh(url: str, table: bool = True) -> None:
    """The target without anything in it, and its empty table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS migrate_meta CASCADE; DROP TABLE IF EXISTS contact")
        if table:
            connection.execute(TABLE)
        connection.execute("CHECKPOINT")


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def copy_pipe(source: str, target: str) -> float:
    """psql COPY binary, piped, into a table with its key: no checks, no copy kept."""
    fresh(target)
    read = ["psql", "-qXd", source, "-c", "COPY contact TO STDOUT (FORMAT binary)"]
    write = ["psql", "-qXd", target, "-c", "COPY contact FROM STDIN (FORMAT binary)"]

    def pipe() -> None:
        with subprocess.Popen(read, stdout=subprocess.PIPE) as reader:
            subprocess.run(write, stdin=reader.stdout, check=True, timeout=left())
        if reader.returncode:
            raise RuntimeError("psql could not read the source")

    return timed(pipe)


def dump_and_restore(source: str, target: str) -> tuple[float, float, int] | None:
    """pg_dump -Fd -j2 and pg_restore -j2: seconds of each, and the bytes of the dump."""
    if not (shutil.which("pg_dump") and shutil.which("pg_restore")):
        return None
    fresh(target, table=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "dump"
        dumped = timed(lambda: run(["pg_dump", "-Fd", "-j2", "-t", "contact", "-f", str(folder), source]))
        size = sum(p.stat().st_size for p in folder.iterdir())
        restored = timed(lambda: run(["pg_restore", "-j2", "--no-owner", "-d", target, str(folder)]))
    return dumped, restored, size


def pgloader(source: str, target: str) -> float | None:
    """With the one setting without which it runs out of heap at this size."""
    if not shutil.which("pgloader"):
        return None
    fresh(target, table=False)
    with tempfile.TemporaryDirectory() as name:
        script = Path(name) / "copy.load"
        script.write_text(
            f"LOAD DATABASE FROM {source} INTO {target}\n"
            "WITH include drop, create tables, create indexes, reset sequences, prefetch rows = 10000;\n"
        )
        return timed(lambda: run(["pgloader", str(script)]))


def dlt(source: str, target: str) -> float | None:
    """dlt's fastest way here, pyarrow → csv → postgres, where it is installed."""
    if importlib.util.find_spec("dlt") is None or importlib.util.find_spec("connectorx") is None:
        return None
    fresh(target, table=False)
    code = (
        "import dlt, sys\n"
        "from dlt.sources.sql_database import sql_table\n"
        "p = dlt.pipeline('bench', destination=dlt.destinations.postgres(sys.argv[2]), dataset_name='public', pipelines_dir=sys.argv[3])\n"
        "p.run(sql_table(sys.argv[1], table='contact', backend='connectorx'), loader_file_format='csv')\n"
    )
    with tempfile.TemporaryDirectory() as name:
        return timed(lambda: run(["python", "-c", code, source, target, name], DLT_DATA_DIR=name, HOME=name))


def run(command: Sequence[str], **environment: str) -> None:
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=left(),
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout[-800:]}")
