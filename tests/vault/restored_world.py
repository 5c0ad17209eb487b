"""A small SQLite company in a backup, for damages that only a restore can find: parts and schema forged whole."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from migrate import canon
from migrate.connectors.sqlite.scratch import SqliteScratch
from migrate.connectors.sqlite.target import open_database
from migrate.model import Manifest, PartRef, Schema, Table
from migrate.parts import write_one_part
from migrate.stores.local import LocalStore
from migrate.vault import layout, schema_json
from migrate.vault.create import create
from migrate.vault.reader import Backup, open_backup

SQL = """
CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
CREATE TABLE contact (
  id INTEGER PRIMARY KEY, email TEXT UNIQUE, account_id INTEGER REFERENCES account (id), born TEXT,
  active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);
CREATE INDEX contact_account ON contact (account_id);
INSERT INTO account VALUES (1, 'Acme'), (2, 'Bolt'), (3, 'gone');
DELETE FROM account WHERE id = 3;
INSERT INTO contact VALUES (1, 'a@example.org', 1, '', 1), (2, 'b@example.org', 2, NULL, 0), (3, NULL, NULL, 'x', 1);
"""


def company(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SQL)
        db.commit()
    return f"sqlite:///{path}"


def backed_up(folder: Path, store: LocalStore) -> Backup:
    database = open_database(company(folder / "crm.db"))
    try:
        made = create(
            database, store, system="crm", tables=(), folder=folder / "work", advance=lambda _: None
        )
    finally:
        database.close()
        shutil.rmtree(folder / "work", ignore_errors=True)
    return open_backup(store, made.id)


@dataclass(frozen=True)
class Forger:
    """One who knows the format, and recomputes everything that can be recomputed."""

    store: LocalStore
    id: str

    @property
    def backup(self) -> Backup:
        return open_backup(self.store, self.id)

    def write(self, manifest: Manifest, schema: Schema) -> None:
        digests = dict.fromkeys(manifest.digests, canon.Digest.EMPTY)
        for part in manifest.parts:
            digests[part.table] += canon.Digest.parse(part.digest)
        complete = replace(
            manifest,
            schema_digest=schema_json.digest(schema),
            digests={name: digest.text() for name, digest in digests.items()},
        )
        folder = self.store.folder / self.id
        (folder / "schema.json").write_bytes(schema_json.dump(schema))
        (folder / "manifest.json").write_bytes(layout.dump_manifest(complete))
        (folder / "manifest-sha256.txt").write_bytes(layout.checksums(complete))

    def parts(self, *parts: PartRef) -> None:
        self.write(replace(self.backup.manifest, parts=parts), self.backup.schema)

    def schema(self, change: Callable[[Schema], Schema]) -> None:
        self.write(self.backup.manifest, change(self.backup.schema))

    def table(self, name: str, change: Callable[[Table], Table]) -> None:
        self.schema(lambda s: replace(s, tables=tuple(change(t) if t.name == name else t for t in s.tables)))

    def rows(self, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
        """The only part of a table, with other rows."""
        backup = self.backup
        (old,) = backup.parts_by_table[table]
        columns = backup.schema.table(table).columns
        fresh = self.store.folder / "fresh"
        ref = write_one_part(
            change(backup.part(old)), table=table, columns=columns, folder=fresh, index=0, point="test"
        )
        data = (fresh / ref.path).read_bytes()
        shutil.rmtree(fresh)
        ref = replace(ref, path=self.object(data), index=old.index, snapshot=old.snapshot)
        self.parts(*(ref if p == old else p for p in backup.manifest.parts))

    def object(self, data: bytes) -> str:
        name = layout.object_name(hashlib.sha256(data).hexdigest())
        (self.store.folder / name).write_bytes(data)
        return name


class Careless(SqliteScratch):
    """Real SQLite, and one thing goes wrong that nobody reports."""

    after_rows = ""
    after_constraints = ""

    def restore_constraints(self, schema: Schema) -> None:
        self.tamper(self.after_rows)
        super().restore_constraints(schema)
        self.tamper(self.after_constraints)

    def tamper(self, sql: str) -> None:
        if sql:
            with closing(sqlite3.connect(self.path)) as db:
                db.executescript(sql)
                db.commit()


def edited(rows: pa.Table, at: int, **values: object) -> pa.Table:
    """One row with other values."""
    found = rows.to_pylist()
    found[at] |= values
    return pa.Table.from_pylist(found, schema=rows.schema)
