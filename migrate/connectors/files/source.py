"""A folder of exported files as a database that can only be read: one file, or several of one kind, is one table."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from migrate.connectors.files.bytes_in import Pinned, changed, pin
from migrate.connectors.files.csv_text import Counts
from migrate.connectors.files.options import FileOptions, from_source
from migrate.connectors.files.packed import file_of
from migrate.connectors.files.parts import OpenedTable, count_table, open_table, read_table
from migrate.connectors.files.spreadsheets.sheet import Known
from migrate.connectors.files.tables import Found, is_table, table_name, tables_of
from migrate.connectors.protocol import COUNTED
from migrate.errors import Drift, MigrateError, Unreachable, UsageError
from migrate.mapping.model import Source
from migrate.model import FileRef, Schema, Table

ENGINE = "files"
_MAX_BATCH = 16 << 20
_LARGEST_OTHER = 64 << 20  # bytes of files that are counted although nothing reads them


def open_database(
    url: str,
    *,
    base: Path | None = None,
    tables: Mapping[str, FileOptions] | None = None,
    source: Source | None = None,
) -> FilesDatabase:
    """Opens the folder of `files:FOLDER` (relative to `base`). How files are read comes from `tables`, or
    from the mapping's `source`. Raises UsageError for a URL of another kind, Unreachable for a folder
    that is not there."""
    scheme, _, place = url.partition(":")
    if scheme != "files" or not place:
        raise UsageError("a folder of files is written files:FOLDER/.", where=url)
    folder = Path(place.removeprefix("//")).expanduser()
    folder = (folder if folder.is_absolute() else (base or Path.cwd()) / folder).absolute()
    if not folder.is_dir():
        raise Unreachable(
            "the folder is not there.", where=str(folder), hint="Check source.url in the mapping."
        )
    named, rest = from_source(source) if source is not None else ({}, FileOptions())
    return FilesDatabase(url, folder, dict(tables if tables is not None else named), rest)


@dataclass
class FilesDatabase:
    """Tables are the files of one folder. Names: the file's stem, or what the mapping says with `file:`."""

    url: str
    folder: Path
    options: Mapping[str, FileOptions]
    rest: FileOptions
    engine: str = ENGINE
    _known: Known = field(default_factory=dict)

    def schema(self, tables: Sequence[str] | None = None) -> Schema:
        """Reads headers, and every file once that is delimited text without a stated encoding, JSON lines, or a
        spreadsheet.

        Raises UsageError naming the file for whatever cannot be read as it is, Corrupt for a damaged one."""
        return _schema(self._opened(self._found(tables)))

    @contextmanager
    def snapshot(self, tables: Sequence[str], *, readers: int = 1) -> Iterator[FilesSnapshot]:
        """The files as they are now: their bytes are hashed first, and `read` refuses other bytes (Drift)."""
        del readers
        found = self._found(tables)
        paths = dict.fromkeys(file_of(place) for one in found.values() for place in one.parts)
        pinned = {path: pin(path) for path in paths}
        opened = self._opened(found)
        facts = "".join(
            f"{name}\0{pinned[file_of(place)].sha256}\n"
            for name in sorted(found)
            for place in found[name].parts
        )
        taken_at = datetime.now(UTC).isoformat(timespec="microseconds")
        yield FilesSnapshot(
            hashlib.sha256(facts.encode()).hexdigest(), taken_at, _schema(opened), self.folder, pinned, opened
        )

    def others(self, known: Sequence[str]) -> dict[str, int | None]:
        try:
            found = {name: one for name, one in self._found(None).items() if name not in known}
        except MigrateError:  # files that nobody asked for may contradict each other
            files = (p for p in sorted(self.folder.iterdir()) if p.is_file() and is_table(p.name, self.rest))
            return {p.name: None for p in files if table_name(p.name) not in known}
        return {name: self._rows(name, one) for name, one in found.items()}

    def _rows(self, name: str, found: Found) -> int | None:
        """None where the file is large, or cannot be read as it is; that is told when somebody wants it."""
        paths = {file_of(place) for place in found.parts}
        if sum(path.stat().st_size for path in paths) > _LARGEST_OTHER:
            return None
        try:
            opened = self._opened({name: found})[name]
            return min(COUNTED, count_table(opened, {path: pin(path) for path in paths}).records)
        except MigrateError:
            return None

    def close(self) -> None:
        """Nothing is held open."""

    def _found(self, tables: Sequence[str] | None) -> dict[str, Found]:
        return tables_of(self.folder, self.options, self.rest, tables)

    def _opened(self, found: Mapping[str, Found]) -> dict[str, OpenedTable]:
        return {
            name: open_table(name, one, [kept_name(self.folder, file_of(p)) for p in one.parts], self._known)
            for name, one in found.items()
        }


@dataclass
class FilesSnapshot:
    """Files pinned by their SHA-256."""

    id: str
    taken_at: str
    schema: Schema
    folder: Path
    pinned: Mapping[Path, Pinned]
    opened: Mapping[str, OpenedTable]
    _counts: dict[str, Counts] = field(default_factory=dict)

    def counts(self, table: str) -> Counts:
        """Records, bad records and blank lines of the table. Raises KeyError for an unknown one."""
        if table not in self._counts:
            self._counts[table] = count_table(self.opened[table], self.pinned)
        return self._counts[table]

    def count(self, table: str) -> int:
        """Records of the table, bad ones among them; blank lines (no byte at all) are not records."""
        return self.counts(table).records

    def read(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every record once, in file order. Raises Drift where the bytes are not the pinned ones."""
        for batch in read_table(table, self.opened[table], self.pinned):
            yield from _bounded(batch if columns is None else batch.select(list(columns)))

    def originals(self) -> Sequence[FileRef]:
        """The files as they are, packed ones packed; `name` is relative to the folder, `path` absolute."""
        return [
            FileRef(kept_name(self.folder, p.path), str(p.path), p.bytes, p.sha256)
            for p in self.pinned.values()
        ]

    def violations(self) -> Sequence[str] | None:
        return None

    def verify_unchanged(self) -> None:
        """Hashes every file again. Raises Drift naming the first that is not what it was."""
        for pinned in self.pinned.values():
            if not pinned.path.is_file():
                raise Drift("the file is gone.", where=str(pinned.path))
            if pin(pinned.path).sha256 != pinned.sha256:
                raise changed(pinned.path)


def kept_name(folder: Path, path: Path) -> str:
    """The name under which a file is kept: relative to the folder, `up` for every step out of it."""
    return "/".join("up" if part == ".." else part for part in Path(os.path.relpath(path, folder)).parts)


def _schema(opened: Mapping[str, OpenedTable]) -> Schema:
    return Schema(
        ENGINE,
        "1",
        tuple(Table(name, one.columns, not_carried=one.left_out) for name, one in sorted(opened.items())),
    )


def _bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices of at most about 16 MB."""
    if batch.nbytes <= _MAX_BATCH or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _bounded(batch.slice(0, half))
    yield from _bounded(batch.slice(half))
