"""A folder of exported files, written and read in a few words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrate.arrow import arrow_schema
from migrate.connectors.files.options import FileOptions
from migrate.connectors.files.source import FilesDatabase, open_database


@dataclass(frozen=True)
class Folder:
    base: Path

    @property
    def path(self) -> Path:
        return self.base / "exports"

    def write(self, **files: bytes) -> Folder:
        """Names with __ for a dot, and then for a slash."""
        return self.put({name.replace("__", ".", 1): data for name, data in files.items()})

    def put(self, files: dict[str, bytes]) -> Folder:
        for name, data in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(data)
        return self

    def open(self, **options: FileOptions) -> FilesDatabase:
        return open_database("files:exports/", base=self.base, tables=options)

    def rows(self, table: str, **options: FileOptions) -> list[dict[str, Any]]:
        """All rows of a table, held to what a snapshot promises of them."""
        with self.open(**options).snapshot([table]) as snapshot:
            declared = arrow_schema(snapshot.schema.table(table).columns)
            rows: list[dict[str, Any]] = []
            for batch in snapshot.read(table):
                assert batch.schema.equals(declared)
                rows += batch.to_pylist()
            counts = snapshot.counts(table)
            assert (counts.records, counts.bad) == (len(rows), sum(r["_bad"] is not None for r in rows))
            assert len({r["_line"] for r in rows}) == len(rows)
            snapshot.verify_unchanged()
        return rows

    def values(self, table: str, **options: FileOptions) -> list[tuple[Any, ...]]:
        """The rows' own values."""
        return [tuple(v for k, v in r.items() if k[0] != "_") for r in self.rows(table, **options)]
