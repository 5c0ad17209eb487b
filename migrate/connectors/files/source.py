"""A folder of exported files as a database that can only be read: one file, one table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from migrate.connectors.files import csv_text, json_lines, parquet
from migrate.connectors.files.bytes_in import Pinned, changed, pin
from migrate.connectors.files.csv_text import Counts, CsvFile
from migrate.connectors.files.json_lines import JsonFile
from migrate.connectors.files.options import BAD, LINE, RAW, FileOptions, from_source
from migrate.connectors.files.parquet import ParquetFile
from migrate.durable import disk_errors
from migrate.errors import Drift, Unreachable, UsageError
from migrate.mapping.model import Source
from migrate.model import Column, FileRef, Kind, Schema, Table, Type

ENGINE = "files"
TEXT = Type(Kind.TEXT, native="TEXT")
HIDDEN_COLUMNS = (
    Column(LINE, Type(Kind.INT, native="INTEGER", bits=64), nullable=False),
    Column(BAD, TEXT),
    Column(RAW, Type(Kind.BYTES, native="BLOB")),
)
_DELIMITED, _JSON, _PARQUET = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson"), (".parquet",)
_MAX_BATCH = 16 << 20

Opened = CsvFile | JsonFile | ParquetFile


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

    def schema(self, tables: Sequence[str] | None = None) -> Schema:
        """Reads headers, and every file once that is delimited text without a stated encoding or JSON lines.

        Raises UsageError naming the file for whatever cannot be read as it is."""
        files = self._files(tables)
        return _schema({name: self._open(name, path) for name, path in files.items()})

    @contextmanager
    def snapshot(self, tables: Sequence[str]) -> Iterator[FilesSnapshot]:
        """The files as they are now: their bytes are hashed first, and `read` refuses other bytes (Drift)."""
        files = self._files(tables)
        pinned = {name: pin(path) for name, path in files.items()}
        opened = {name: self._open(name, path) for name, path in files.items()}
        facts = "".join(f"{name}\0{pinned[name].sha256}\n" for name in sorted(pinned))
        taken_at = datetime.now(UTC).isoformat(timespec="microseconds")
        yield FilesSnapshot(
            hashlib.sha256(facts.encode()).hexdigest(), taken_at, _schema(opened), self.folder, pinned, opened
        )

    def close(self) -> None:
        """Nothing is held open."""

    def _files(self, tables: Sequence[str] | None) -> dict[str, Path]:
        """Table → file, for the tables asked for that are there."""
        with disk_errors("Reading the folder", self.folder):
            there = sorted(p for p in self.folder.iterdir() if p.is_file() and not p.name.startswith("."))
        found: dict[str, Path] = {}
        for name, options in self.options.items():
            if options.file is not None:
                found[name] = self.folder / options.file
                if not found[name].is_file() and (tables is None or name in tables):
                    raise UsageError(f"the file of table {name} is not there.", where=str(found[name]))
        taken = {path.resolve() for path in found.values()}
        for path in there:
            if path.resolve() in taken or not self._is_table(path):
                continue
            if path.stem in found:
                raise UsageError(
                    f"two files would be the table {path.stem}: {found[path.stem].name} and {path.name}.",
                    where=str(self.folder),
                    hint="Name them in the mapping: tables: {NAME: {file: …}}.",
                )
            found[path.stem] = path
        return {n: p for n, p in found.items() if tables is None or n in tables}

    def _is_table(self, path: Path) -> bool:
        suffix = path.suffix.lower()
        if suffix == ".txt":
            return self._options(path.stem).delimiter is not None
        return suffix in _DELIMITED + _JSON + _PARQUET

    def _options(self, table: str) -> FileOptions:
        return self.options.get(table, self.rest)

    def _open(self, table: str, path: Path) -> Opened:
        suffix = path.suffix.lower()
        if suffix in _PARQUET:
            return parquet.open_parquet(path, table)
        if suffix in _JSON:
            return json_lines.open_json_lines(path, self._options(table))
        return csv_text.open_csv(path, self._options(table))


@dataclass
class FilesSnapshot:
    """Files pinned by their SHA-256."""

    id: str
    taken_at: str
    schema: Schema
    folder: Path
    pinned: Mapping[str, Pinned]
    opened: Mapping[str, Opened]
    _counts: dict[str, Counts] = field(default_factory=dict)

    def counts(self, table: str) -> Counts:
        """Records, bad records and blank lines of the file. Raises KeyError for an unknown table."""
        if table not in self._counts:
            file = self.opened[table]
            if isinstance(file, ParquetFile):
                self._counts[table] = Counts(file.rows, 0, 0)
            elif isinstance(file, JsonFile):
                self._counts[table] = file.counts
            else:
                self._counts[table] = csv_text.count_csv(file, expect=self.pinned[table])
        return self._counts[table]

    def count(self, table: str) -> int:
        """Records of the file, bad ones among them; blank lines (no byte at all) are not records."""
        return self.counts(table).records

    def read(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every record once, in file order. Raises Drift where the bytes are not the pinned ones."""
        file, pinned = self.opened[table], self.pinned[table]
        names = list(columns) if columns is not None else None
        if isinstance(file, ParquetFile):
            batches = parquet.read_parquet(file, table)
        elif isinstance(file, JsonFile):
            batches = json_lines.read_json_lines(file, expect=pinned)
        else:
            batches = csv_text.read_csv(file, expect=pinned)
        for batch in batches:
            yield from _bounded(batch if names is None else batch.select(names))

    def originals(self) -> Sequence[FileRef]:
        """The files; `name` is relative to the folder, `path` absolute."""
        return [
            FileRef(
                p.path.relative_to(self.folder).as_posix()
                if p.path.is_relative_to(self.folder)
                else p.path.name,
                str(p.path),
                p.bytes,
                p.sha256,
            )
            for p in {pinned.path: pinned for pinned in self.pinned.values()}.values()
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


def _schema(opened: Mapping[str, Opened]) -> Schema:
    return Schema(ENGINE, "1", tuple(Table(name, _columns(file)) for name, file in sorted(opened.items())))


def _columns(file: Opened) -> tuple[Column, ...]:
    if isinstance(file, ParquetFile):
        return file.columns + HIDDEN_COLUMNS
    nested = file.nested if isinstance(file, JsonFile) else frozenset()
    json_type = Type(Kind.JSON, native="TEXT")
    return tuple(Column(n, json_type if n in nested else TEXT) for n in file.names) + HIDDEN_COLUMNS


def _bounded(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices of at most about 16 MB."""
    if batch.nbytes <= _MAX_BATCH or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _bounded(batch.slice(0, half))
    yield from _bounded(batch.slice(half))
