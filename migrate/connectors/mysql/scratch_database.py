"""A scratch database as its server sees it: there or not, marked or not, dropped."""

from __future__ import annotations

from dataclasses import dataclass

from migrate import failpoints
from migrate.connectors.mysql.catalog import META_PREFIX
from migrate.connectors.mysql.session import Session, literal, quote, translated

MARKER = f"{META_PREFIX}marker"


@dataclass(frozen=True)
class MysqlScratchDatabase:
    """`migrate.connectors.leftovers.ScratchDatabase`, on the server of a session that is the caller's to close."""

    server: Session
    name: str

    def exists(self) -> bool:
        with translated("looking for the scratch database", where=self.name):
            return bool(
                self.server.rows(
                    f"SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {literal(self.name)}"
                )
            )

    def is_torn(self) -> bool:
        return False  # an interrupted DROP leaves a database that can be used; see `drop`

    def is_marked(self, run: str | None = None) -> bool:
        with translated("looking for the mark", where=self.name):
            there = self.server.rows(
                "SELECT 1 FROM information_schema.TABLES "
                f"WHERE TABLE_SCHEMA = {literal(self.name)} AND TABLE_NAME = {literal(MARKER)}"
            )
            found = self.server.rows(f"SELECT run FROM {quote(self.name)}.{MARKER}") if there else []
        return bool(found) and (run is None or found == [(run,)])

    def is_empty(self) -> bool:
        """Without any table, view, routine or event."""
        where = [("TABLES", "TABLE_SCHEMA"), ("ROUTINES", "ROUTINE_SCHEMA"), ("EVENTS", "EVENT_SCHEMA")]
        found = " UNION ALL ".join(
            f"SELECT 1 FROM information_schema.{t} WHERE {c} = {literal(self.name)}" for t, c in where
        )
        with translated("looking into the scratch database", where=self.name):
            return not self.server.rows(found)

    def drop(self) -> None:
        failpoints.hit("mysql.scratch.drop")
        # DROP DATABASE goes table by table, in no order: the mark goes last, so that what a crash leaves is known as ours.
        query = (
            "SELECT TABLE_NAME FROM information_schema.TABLES "
            f"WHERE TABLE_SCHEMA = {literal(self.name)} AND TABLE_TYPE = 'BASE TABLE'"
        )
        with translated("dropping the scratch database", where=self.name):
            tables = [str(t) for (t,) in self.server.rows(query)]
            others = [f"{quote(self.name)}.{quote(t)}" for t in tables if t != MARKER]
            if others:
                self.server.execute("SET foreign_key_checks = 0")
                self.server.execute(f"DROP TABLE IF EXISTS {', '.join(others)}")
                self.server.execute("SET foreign_key_checks = DEFAULT")
            failpoints.hit("mysql.scratch.drop.tables")
            self.server.execute(f"DROP DATABASE IF EXISTS {quote(self.name)}")
