"""Makes a small real backup, so that tests can look at it, break it and restore it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from migrate import parts
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import DdlText
from migrate.model import Column, FileRef, ForeignKey, Kind, Manifest, PartRef, Schema, Table, Type
from migrate.stores.protocol import Store
from migrate.vault.reader import Backup, open_backup
from migrate.vault.writer import write_backup

INT = Type(Kind.INT, native="INTEGER", bits=64)
TEXT = Type(Kind.TEXT, native="TEXT")
ACCOUNT = Table(
    "account",
    (Column("id", INT, nullable=False, identity="by default"), Column("name", TEXT)),
    primary_key=("id",),
)
CONTACT = Table(
    "contact",
    (
        Column("id", INT, nullable=False, identity="by default"),
        Column("email", TEXT),
        Column("account_id", INT),
    ),
    primary_key=("id",),
    foreign_keys=(ForeignKey("fk", ("account_id",), "account", ("id",)),),
)
EMPTY = Table("note", (Column("id", INT, nullable=False, identity="by default"),), primary_key=("id",))
SCHEMA = Schema("sqlite", "3", (ACCOUNT, CONTACT, EMPTY))
FACTS = Manifest(
    id="20260101-acme",
    role="source",
    run="r1",
    system="acme",
    engine="sqlite",
    snapshot="s1",
    snapshot_at="2026-01-01T00:00:00+00:00",
    created_at="2026-01-01T00:00:01+00:00",
    mapping="m",
    mapping_digest="d",
    schema_digest="",
    algorithm="canon-1",
    parts=(),
    digests={},
)


def rows_of(table: Table, count: int, word: str = "x") -> pa.RecordBatch:
    values: dict[str, pa.Array[Any]] = {
        "id": pa.array(range(1, count + 1), pa.int64()),
        "name": pa.array([f"{word}{n}" for n in range(count)]),
        "email": pa.array([f"{word}{n}@example.org" if n % 3 else None for n in range(count)]),
        "account_id": pa.array([n % 5 + 1 if n % 2 else None for n in range(count)], pa.int64()),
    }
    return pa.RecordBatch.from_arrays(
        [values[c.name] for c in table.columns], schema=arrow_schema(table.columns)
    )


def stage(
    folder: Path, table: Table, *batches: pa.RecordBatch, max_rows: int = 100
) -> list[tuple[PartRef, Path]]:
    written = parts.write_parts(
        batches,
        table=table.name,
        columns=table.columns,
        folder=folder / table.name,
        key=table.primary_key,
        max_rows=max_rows,
    )
    return [(ref, folder / table.name / ref.path) for ref in written.parts]


def staged(folder: Path, *, contacts: int = 250, word: str = "x") -> list[tuple[PartRef, Path]]:
    return [
        *stage(folder, ACCOUNT, rows_of(ACCOUNT, 50, word)),
        *stage(folder, CONTACT, rows_of(CONTACT, contacts, word)),
    ]


def original(folder: Path, name: str = "contacts.csv", data: bytes = b"id,email\r\n1,\xff\r\n") -> FileRef:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return FileRef(name, str(folder / name), len(data), hashlib.sha256(data).hexdigest())


def make(
    store: Store,
    folder: Path,
    *,
    id_: str = FACTS.id,
    at: str = "",
    files: tuple[FileRef, ...] = (),
    native: DdlText | None = None,
    **more: object,
) -> Backup:
    facts = replace(FACTS, id=id_, created_at=at or FACTS.created_at)
    parts_ = staged(folder / id_, **more)  # type: ignore[arg-type]
    write_backup(store, manifest=facts, schema=SCHEMA, parts=parts_, files=files, native=native)
    return open_backup(store, id_)
