"""A snapshot is a private copy made by SQLite's backup API; it lives in a folder that says so."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from migrate import failpoints
from migrate.connectors.sqlite.catalog import read_schema
from migrate.connectors.sqlite.connect import LOCK_SECONDS, connect
from migrate.connectors.sqlite.errors import translated
from migrate.connectors.sqlite.names import quote
from migrate.connectors.sqlite.read import read_declared, read_stored, stored_schema
from migrate.connectors.sqlite.violations import violations
from migrate.errors import Drift, Unreachable
from migrate.model import FileRef, Schema

PREFIX = "migrate-snapshot-"
_COPY = "copy.sqlite"
_LIVE = "live"


@dataclass
class SqliteSnapshot:
    """Implements `Snapshot`. `schema` holds stored types, or declared ones if asked for."""

    id: str
    taken_at: str
    schema: Schema
    _copy: Path
    _source: Path
    _declared: bool
    _catalogue: Schema

    def count(self, table: str) -> int:
        with closing(connect(self._copy, write=False)) as connection, translated(table):
            row = connection.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()
            return int(row[0])

    def read(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        reader = read_declared if self._declared else read_stored
        with closing(connect(self._copy, write=False)) as connection:
            yield from reader(connection, self.schema.table(table), columns)

    def originals(self) -> Sequence[FileRef]:
        return ()

    def violations(self) -> list[str]:
        """The source's own constraint violations, as `Scratch.violations` says them."""
        with closing(connect(self._copy, write=True)) as connection:
            return violations(connection, self._catalogue)

    def verify_unchanged(self) -> None:
        with closing(connect(self._source, write=False)) as connection, translated(str(self._source)):
            now = read_schema(connection, self._catalogue.table_names)
        if now.tables != self._catalogue.tables:
            before = {t.name: t for t in self._catalogue.tables}
            after = {t.name: t for t in now.tables}
            changed = sorted(n for n in before if before[n] != after.get(n))
            raise Drift(
                f"the schema changed while it was read: {', '.join(changed)}",
                where=str(self._source),
                kept="Nothing was taken from it.",
                hint="Run the same command again.",
            )


@contextmanager
def open_snapshot(
    source: Path, tables: Sequence[str], *, declared: bool, work: Path | None
) -> Iterator[SqliteSnapshot]:
    """Copy `source` into a private folder under `work`, read from there, remove it at the end."""
    folder = _private_folder(work)
    live = os.open(folder / _LIVE, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(live, fcntl.LOCK_EX)
        copy = folder / _COPY
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        failpoints.hit("sqlite.snapshot.copy")
        _copy(source, copy)
        failpoints.hit("sqlite.snapshot.copied")
        with closing(connect(copy, write=False)) as connection, translated(str(source)):
            catalogue = read_schema(connection, tables)
            schema = catalogue if declared else stored_schema(connection, catalogue)
            taken_at = str(connection.execute("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')").fetchone()[0])
        yield SqliteSnapshot(
            f"sqlite-{uuid.uuid4().hex}", taken_at, schema, copy, source, declared, catalogue
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(live)


def _private_folder(work: Path | None) -> Path:
    parent = work or Path(tempfile.gettempdir())
    with translated(str(parent)):
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # 0700


def _copy(source: Path, copy: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS

    def progress(_status: int, remaining: int, _total: int) -> None:
        if remaining and time.monotonic() > deadline:
            raise Unreachable("the database stayed locked while it was copied", where=str(source))

    with (
        closing(connect(source, write=False)) as reader,
        closing(connect(copy, write=True)) as writer,
        translated(str(source)),
    ):
        writer.execute("PRAGMA synchronous = OFF")  # the copy dies with this process
        reader.execute("BEGIN")  # from the first read on no writer can change what is copied
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.backup(writer, pages=-1, progress=progress)
        reader.execute("ROLLBACK")


def drop_snapshot_leftovers(work: Path | None) -> list[str]:
    """Remove copies that killed processes left under `work`; one in use is locked and stays."""
    removed = []
    for folder in sorted((work or Path(tempfile.gettempdir())).glob(PREFIX + "*")):
        if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
            continue
        try:
            handle = os.open(folder / _LIVE, os.O_RDWR)
        except FileNotFoundError:
            continue  # just being made
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder.name)
        finally:
            os.close(handle)
    return removed
