"""A scratch database as its server sees it: there or not, marked or not, dropped."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from migrate import failpoints
from migrate.connectors.postgres.catalog import META
from migrate.connectors.postgres.session import connect, parameters, quote, translated

MARKER = f"{META}.migrate_marker"
_INVALID = -2  # datconnlimit of a database whose DROP was interrupted


@dataclass(frozen=True)
class PostgresScratchDatabase:
    """`migrate.connectors.leftovers.ScratchDatabase`, on the server of `server_url`."""

    server_url: str
    name: str

    @property
    def url(self) -> str:
        """Of the database itself."""
        return make_conninfo(**{**parameters(self.server_url), "dbname": self.name})

    def exists(self) -> bool:
        return self._connection_limit() is not None

    def is_torn(self) -> bool:
        return self._connection_limit() == _INVALID

    def _connection_limit(self) -> int | None:
        """None: there is no such database."""
        with connect(self.server_url) as server:
            row = server.execute(
                "SELECT datconnlimit FROM pg_database WHERE datname = %s", [self.name]
            ).fetchone()
        return None if row is None else int(row[0])

    def is_marked(self, run: str | None = None) -> bool:
        with connect(self.url) as database, translated("looking for the mark"):
            if (
                row := database.execute("SELECT to_regclass(%s) IS NOT NULL", [MARKER]).fetchone()
            ) is None or not row[0]:
                return False
            found = database.execute(f"SELECT run FROM {MARKER}").fetchall()
        return bool(found) and (run is None or found == [(run,)])

    def is_empty(self) -> bool:
        """Ours by right and without any schema, relation, function or type beyond those of a new database."""
        with connect(self.url) as database, translated("looking into the scratch database"):
            row = database.execute(
                "SELECT pg_has_role(d.datdba, 'USAGE') AND NOT EXISTS (SELECT FROM pg_class WHERE oid >= 16384) "
                "AND NOT EXISTS (SELECT FROM pg_proc WHERE oid >= 16384) AND NOT EXISTS (SELECT FROM pg_type WHERE oid >= 16384) "
                "AND NOT EXISTS (SELECT FROM pg_namespace WHERE oid >= 16384) FROM pg_database d WHERE d.datname = current_database()"
            ).fetchone()
        return row is not None and bool(row[0])

    def drop(self) -> None:
        failpoints.hit("postgres.scratch.drop")
        with connect(self.server_url) as server, translated("dropping the scratch database", where=self.name):
            force = " WITH (FORCE)" if server.info.server_version >= 130000 else ""
            server.execute(f"DROP DATABASE IF EXISTS {quote(self.name)}{force}".encode())
