"""A database that a user names, to restore a backup into for good. Nothing in it is dropped but what is to be replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from migrate import failpoints
from migrate.connectors.mysql.catalog import META_PREFIX, is_ours
from migrate.connectors.mysql.read import MysqlSnapshot
from migrate.connectors.mysql.scratch import MysqlScratch
from migrate.connectors.mysql.session import Session, literal, quote, translated
from migrate.connectors.mysql.url import parameters
from migrate.connectors.protocol import Snapshot
from migrate.errors import GateClosed
from migrate.model import Schema

_MARK = f"{META_PREFIX}restoring"


class MysqlPlace(MysqlScratch):
    """`migrate.connectors.protocol.Place`."""

    def _prove_empty(self) -> None:
        """Whoever restores here has looked, and left a mark."""

    def there(self) -> tuple[str, ...]:
        with translated("looking into the database", where=self.name):
            found = self._side().rows(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1"
            )
        return tuple(str(name) for (name,) in found if not is_ours(str(name)))

    def mark(self) -> str | None:
        side = self._side()
        with translated("looking for the mark of a restore", where=self.name):
            there = side.value(
                "SELECT COUNT(*) FROM information_schema.TABLES "
                f"WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {literal(_MARK)}"
            )
            found = side.rows(f"SELECT said FROM {_MARK}") if there != "0" else []
        return str(found[0][0]) if found else None

    def put_mark(self, said: str) -> None:
        with translated("marking the database", where=self.name):
            if self.mark() is not None:
                self._side().execute(f"UPDATE {_MARK} SET said = {literal(said)}")
                return
            # in one statement, for DDL commits: a table with its row; it names every table, so it may be long
            self._side().execute(
                f"CREATE TABLE {_MARK} (said longtext CHARACTER SET utf8mb4 NOT NULL) ENGINE=InnoDB AS SELECT {literal(said)} AS said"
            )
        failpoints.hit("mysql.place.marked")

    def remove_mark(self) -> None:
        with translated("removing the mark", where=self.name):
            self._side().execute(f"DROP TABLE IF EXISTS {_MARK}")
        failpoints.hit("mysql.place.unmarked")

    def clear(self, schema: Schema, unchanged: Callable[[Snapshot], None] | None = None) -> None:
        """Table by table, in one session that holds all of them locked: what is read there is what goes."""
        names = [name for name in self.there() if name in schema.table_names]
        if not names:
            return
        listed = ", ".join(literal(name) for name in names)
        side = self._side()
        with translated("removing what is replaced", where=self.name):
            found = side.rows(
                "SELECT TABLE_NAME, REFERENCED_TABLE_NAME, CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS "
                f"WHERE CONSTRAINT_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IN ({listed}) AND TABLE_NAME NOT IN ({listed})"
            )
        if found:
            child, parent, key = found[0]
            raise GateClosed(
                f"table {child} refers to {parent} (foreign key {key}) and is not replaced with it",
                where=self.name,
                kept="Nothing was changed in it.",
                hint=f"Restore {child} too, or remove that key first.",
            )
        with Session(self._url) as session, translated("removing what is replaced", where=self.name):
            session.execute("SET SESSION foreign_key_checks = 0")
            if unchanged is not None:
                session.execute(f"LOCK TABLES {', '.join(f'{quote(name)} WRITE' for name in names)}")
                failpoints.hit("mysql.place.locked")
                unchanged(MysqlSnapshot(self._url, session, names))
            for (
                name
            ) in names:  # the keys among them are off: the order does not matter, nor where a kill falls
                session.execute(f"DROP TABLE IF EXISTS {quote(name)}")
                failpoints.hit("mysql.place.clearing")
        failpoints.hit("mysql.place.cleared")

    def drop(self) -> None:
        raise GateClosed("a database that a user named is never dropped", where=self.name)


def open_place(url: str, *, base: Path) -> MysqlPlace:
    """The database of `url`. Raises as `Session`."""
    del base
    return MysqlPlace(url, server_url=url, name=str(parameters(url)["database"]), run="")
