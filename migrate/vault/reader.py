"""Finds and opens backups. Nothing here believes a manifest: sizes are capped, names strict, bytes hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from migrate import durable, parts
from migrate.errors import Corrupt
from migrate.model import FileRef, Manifest, PartRef, Schema, Table
from migrate.stores.protocol import Store
from migrate.vault import layout, schema_json


@dataclass(frozen=True)
class BackupInfo:
    """One backup as `list_backups` shows it; `problem` says why it cannot be opened, if so."""

    id: str
    manifest: Manifest | None
    problem: str = ""

    @property
    def created_at(self) -> str:
        return self.manifest.created_at if self.manifest else ""


@dataclass(frozen=True)
class Backup:
    store: Store
    manifest: Manifest
    schema: Schema
    manifest_sha256: str  # of manifest.json: what verdicts and the ledger know it by

    @cached_property
    def parts_by_table(self) -> dict[str, tuple[PartRef, ...]]:
        """In order; a table without rows has none."""
        found: dict[str, list[PartRef]] = {name: [] for name in self.schema.table_names}
        for ref in self.manifest.parts:
            found[ref.table].append(ref)
        return {name: tuple(refs) for name, refs in found.items()}

    def rows(self, table: str) -> int:
        return sum(ref.rows for ref in self.parts_by_table[table])

    def only(self, tables: Collection[str]) -> Backup:
        """A view of some of its tables, to be restored. Not to be checked: the manifest is that of all."""
        chosen = tuple(t for t in self.schema.tables if t.name in tables)
        others = {s for t in self.schema.tables if t.name not in tables for s in sequences_of(self.schema, t)}
        needed = {s for t in chosen for s in sequences_of(self.schema, t)}
        sequences = tuple(s for s in self.schema.sequences if s.name in needed or s.name not in others)
        return replace(
            self,
            schema=replace(self.schema, tables=chosen, sequences=sequences),
            manifest=replace(self.manifest, parts=tuple(p for p in self.manifest.parts if p.table in tables)),
        )

    def part(self, ref: PartRef) -> pa.Table:
        """Rows of one part, decoded from bytes read out of the vault whose SHA-256 is the manifest's. Raises Corrupt."""
        return self.decoded(ref, self.opened(ref, self.stored(ref)))

    def stored(self, ref: PartRef) -> bytes:
        """The bytes of a part as the vault has them, not yet verified. Raises Corrupt where they are not there."""
        return self.store.read_bytes(ref.path, limit=ref.bytes)

    def opened(self, ref: PartRef, data: bytes) -> bytes:
        """Those bytes without what protects them in the vault: they lie there in the open."""
        del ref
        return data

    def decoded(self, ref: PartRef, data: bytes) -> pa.Table:
        """The rows in them. Raises Corrupt where they are not what the manifest says."""
        return parts.decode_part(data, ref, f"{ref.table} part {ref.index} of backup {self.manifest.id}")

    def batches(self, table: str) -> Iterator[pa.RecordBatch]:
        """All rows of a table, part by part in order; each part is verified before its first row is given."""
        for ref in self.parts_by_table[table]:
            yield from self.part(ref).to_batches(max_chunksize=65_536)

    def part_file(self, ref: PartRef | FileRef, cache: Path) -> Path:
        """A verified private copy of one object in the folder `cache`, by its SHA-256; made once. Raises Corrupt."""
        path = cache / ref.sha256
        if path.is_file() and not path.is_symlink() and path.stat().st_size == ref.bytes:
            if durable.sha256_file(path) == ref.sha256:
                return path
            path.unlink()
        self.store.fetch(ref.path, path)
        if path.stat().st_size != ref.bytes or durable.sha256_file(path) != ref.sha256:
            path.unlink()
            raise Corrupt(
                "the object is not what was stored.", where=f"{ref.path} of backup {self.manifest.id}"
            )
        return path

    def restore_files(self, folder: Path) -> list[Path]:
        """The original files, byte for byte, under their names below `folder` (private). Raises Corrupt."""
        restored = []
        for ref in self.manifest.files:
            path = folder / ref.name
            durable.make_private_folder(path.parent)
            self.store.fetch(ref.path, path)
            if path.stat().st_size != ref.bytes or durable.sha256_file(path) != ref.sha256:
                path.unlink()
                raise Corrupt("a file came back other than it was.", where=ref.name)
            restored.append(path)
        return restored


def sequences_of(schema: Schema, table: Table) -> set[str]:
    """Names of the sequences that give keys to a table: of a column, or by the table's own name where engines do that."""
    named = {c.sequence for c in table.columns if c.sequence}
    return {
        s.name
        for s in schema.sequences
        if s.name in named or s.name == table.name or s.name.startswith(f"{table.name}.")
    }


def list_backups(store: Store) -> list[BackupInfo]:
    """Every folder with a manifest, oldest first by the time recorded in it (names and file times say
    nothing); those that cannot be read come first, with their problem."""
    found = []
    for name in store.list():
        id_, _, rest = name.partition("/")
        if rest == "manifest.json" and layout.is_id(id_):
            found.append(_info(store, id_))
    return sorted(found, key=lambda info: (info.created_at, info.id))


def _info(store: Store, id_: str) -> BackupInfo:
    try:
        data = store.read_bytes(layout.manifest_name(id_), limit=layout.MANIFEST_LIMIT)
        return BackupInfo(id_, layout.load_manifest(data, id_))
    except Corrupt as error:
        return BackupInfo(id_, None, str(error))


def open_backup(store: Store, id_: str) -> Backup:
    """Raises Corrupt (missing, damaged, hostile) or UsageError (no such name, a newer program's)."""
    layout.checked_id(id_)
    data = store.read_bytes(layout.manifest_name(id_), limit=layout.MANIFEST_LIMIT)
    manifest = layout.load_manifest(data, id_)
    store = store.at(manifest.versions)
    schema_bytes = store.read_bytes(layout.schema_name(id_), limit=layout.SCHEMA_LIMIT)
    if hashlib.sha256(schema_bytes).hexdigest() != manifest.schema_digest:
        raise Corrupt("the schema is not the one that the manifest names.", where=layout.schema_name(id_))
    schema = schema_json.load(schema_bytes, layout.schema_name(id_))
    misfit = layout.tables_fit(manifest, schema)
    if misfit:
        raise Corrupt(f"{misfit}.", where=layout.manifest_name(id_))
    return Backup(store, manifest, schema, hashlib.sha256(data).hexdigest())


def object_sha256(store: Store, name: str) -> str:
    """Of the bytes as the store gives them. Raises Corrupt where it is missing."""
    with store.open_read(name) as stream, durable.disk_errors("Reading the object", Path(name)):
        found = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            found.update(chunk)
        return found.hexdigest()
