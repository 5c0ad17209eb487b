"""A file that a user names, to restore a backup into for good. Nothing in it is dropped but what is to be replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from migrate import failpoints
from migrate.connectors.protocol import Snapshot
from migrate.connectors.sqlite.catalog import check_version
from migrate.connectors.sqlite.connect import connect, path_of
from migrate.connectors.sqlite.errors import translated
from migrate.connectors.sqlite.names import META_PREFIX, ours, quote
from migrate.connectors.sqlite.scratch import SqliteScratch
from migrate.errors import GateClosed
from migrate.model import Schema

_MARK = f"{META_PREFIX}restoring"


class SqlitePlace(SqliteScratch):
    """`migrate.connectors.protocol.Place`."""

    synchronous = "FULL"

    def _lock(self) -> int:
        """`hold` takes the lock, which a target of any kind has."""
        return -1

    def _prove_empty(self) -> None:
        """Whoever restores here has looked, and left a mark."""

    def there(self) -> tuple[str, ...]:
        with closing(connect(self.path, write=False)) as reader, translated(str(self.path)):
            rows = reader.execute("SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')")
            return tuple(sorted(str(name) for (name,) in rows if not ours(str(name))))

    def mark(self) -> str | None:
        with closing(connect(self.path, write=False)) as reader, translated(str(self.path)):
            if not reader.execute(
                "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?", (_MARK,)
            ).fetchone():
                return None
            found = reader.execute(f"SELECT said FROM main.{quote(_MARK)}").fetchone()
        return None if found is None else str(found[0])

    def put_mark(self, said: str) -> None:
        connection = self._writer()
        with translated(str(self.path)):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"CREATE TABLE IF NOT EXISTS main.{quote(_MARK)} (said TEXT NOT NULL)")
            connection.execute(f"DELETE FROM main.{quote(_MARK)}")
            connection.execute(f"INSERT INTO main.{quote(_MARK)} VALUES (?)", (said,))
            connection.execute("COMMIT")
        failpoints.hit("sqlite.place.marked")

    def remove_mark(self) -> None:
        with translated(str(self.path)):
            self._writer().execute(f"DROP TABLE IF EXISTS main.{quote(_MARK)}")
        failpoints.hit("sqlite.place.unmarked")

    def clear(self, schema: Schema, unchanged: Callable[[Snapshot], None] | None = None) -> None:
        """All in one transaction, which lets others read and not write."""
        names = [name for name in self.there() if name in schema.table_names]
        for table in self.schema().tables:
            for key in table.foreign_keys:
                if key.ref_table in names and table.name not in names:
                    raise GateClosed(
                        f"table {table.name} refers to {key.ref_table} and is not replaced with it",
                        where=str(self.path),
                        kept="Nothing was changed in it.",
                        hint=f"Restore {table.name} too, or remove that key first.",
                    )
        connection = self._writer()
        with translated(str(self.path)):
            connection.execute("BEGIN IMMEDIATE")
            try:
                if names and unchanged is not None:
                    failpoints.hit("sqlite.place.locked")
                    with self.snapshot(names) as now:
                        unchanged(now)
                for name in names:
                    connection.execute(f"DROP TABLE main.{quote(name)}")
                    failpoints.hit("sqlite.place.clearing")
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        failpoints.hit("sqlite.place.cleared")

    def drop(self) -> None:
        raise GateClosed("a file that a user named is never removed", where=str(self.path))


def open_place(url: str, *, base: Path) -> SqlitePlace:
    """The file at `url`, made (0600) where there is none. Raises Unreachable, Corrupt where it is no SQLite file."""
    check_version()
    path = path_of(url, base)
    with translated(str(path)):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    return SqlitePlace(path, path.stem)
