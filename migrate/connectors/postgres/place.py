"""A database that a user names, to restore a backup into for good. Nothing in it is dropped but what is to be replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg

from migrate import failpoints
from migrate.connectors.postgres.catalog import META
from migrate.connectors.postgres.scratch import PostgresScratch
from migrate.connectors.postgres.session import join_name, parameters, quote, quote_table, translated
from migrate.connectors.protocol import Snapshot
from migrate.errors import GateClosed
from migrate.model import Schema

_MARK = f"{META}.restoring"
_RELATIONS = (
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' "
    f"AND n.nspname NOT IN ('information_schema', '{META}') "
    "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1, 2"
)
_REFERRING = """
SELECT n.nspname, c.relname, k.conname, k.confrelid::regclass::text FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY(%s::regclass[]) AND k.conrelid <> ALL(%s::regclass[])"""


class PostgresPlace(PostgresScratch):
    """`migrate.connectors.protocol.Place`."""

    unlogged = False

    def _prove_empty(self) -> None:
        """Whoever restores here has looked, and left a mark."""

    def there(self) -> tuple[str, ...]:
        with translated("looking into the database", where=self.name):
            return tuple(join_name(*row) for row in self._side().execute(_RELATIONS.encode()).fetchall())

    def mark(self) -> str | None:
        with translated("looking for the mark of a restore", where=self.name):
            row = self._side().execute("SELECT to_regclass(%s) IS NOT NULL", [_MARK]).fetchone()
            if row is None or not row[0]:
                return None
            found = self._side().execute(f"SELECT said FROM {_MARK}".encode()).fetchone()
        return None if found is None else str(found[0])

    def put_mark(self, said: str) -> None:
        grant = f"GRANT CREATE ON DATABASE {quote(self.name)} TO {quote(str(self._side().info.user))}"
        with (
            translated("marking the database", where=self.name, grant=grant),
            self._side().transaction(),
        ):
            self._side().execute(f"CREATE SCHEMA IF NOT EXISTS {META}".encode())
            self._side().execute(f"CREATE TABLE IF NOT EXISTS {_MARK} (said text NOT NULL)".encode())
            self._side().execute(f"DELETE FROM {_MARK}".encode())
            self._side().execute(f"INSERT INTO {_MARK} VALUES (%s)".encode(), [said])
        failpoints.hit("postgres.place.marked")

    def remove_mark(self) -> None:
        side = self._side()
        with translated("removing the mark", where=self.name), side.transaction():
            side.execute(f"DROP TABLE IF EXISTS {_MARK}".encode())
            left = side.execute(
                "SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(%s)", [META]
            ).fetchone()
            if left is None:
                side.execute(f"DROP SCHEMA IF EXISTS {META}".encode())
        failpoints.hit("postgres.place.unmarked")

    def clear(self, schema: Schema, unchanged: Callable[[Snapshot], None] | None = None) -> None:
        """All in one transaction, which lets others read and not write until the tables go; what others still use of types and sequences stays."""
        side = self._side()
        there = {name for name in self.there() if name in schema.table_names}
        names = [quote_table(name) for name in sorted(there)]
        grant = f"ALTER TABLE … OWNER TO {quote(str(side.info.user))}"
        with translated("removing what is replaced", where=self.name, grant=grant), side.transaction():
            found = side.execute(_REFERRING.encode(), [names, names]).fetchall()
            if found:
                child = join_name(found[0][0], found[0][1])
                raise GateClosed(
                    f"table {child} refers to {found[0][3]} (foreign key {found[0][2]}) and is not replaced with it",
                    where=self.name,
                    kept="Nothing was changed in it.",
                    hint=f"Restore {child} too, or remove that key first.",
                )
            if names and unchanged is not None:
                side.execute(f"LOCK TABLE {', '.join(names)} IN SHARE MODE".encode())
                failpoints.hit("postgres.place.locked")
                with self.snapshot(sorted(there)) as now:
                    unchanged(now)
            if names:
                try:
                    side.execute(f"DROP TABLE {', '.join(names)} RESTRICT".encode())
                except psycopg.errors.DependentObjectsStillExist:
                    raise GateClosed(
                        "views or functions of the database use a table that is to be replaced",
                        where=self.name,
                        kept="Nothing was changed in it.",
                        hint="Drop them first, and make them again afterwards: a backup does not carry them.",
                    ) from None
            for kind, wanted in (
                ("SEQUENCE", [s.name for s in schema.sequences]),
                ("TYPE", list(schema.enums)),
            ):
                for name in wanted:
                    self._drop_unused(kind, name)
            failpoints.hit("postgres.place.clearing")
        failpoints.hit("postgres.place.cleared")

    def _drop_unused(self, kind: str, name: str) -> None:
        try:
            with self._side().transaction():
                self._side().execute(f"DROP {kind} IF EXISTS {quote_table(name)} RESTRICT".encode())
        except psycopg.errors.DependentObjectsStillExist:
            return
        except psycopg.errors.InvalidSchemaName:
            return

    def drop(self) -> None:
        raise GateClosed("a database that a user named is never dropped", where=self.name)


def open_place(url: str, *, base: Path) -> PostgresPlace:
    """The database of `url`. Raises as `connect`."""
    del base
    return PostgresPlace(url, server_url=url, name=parameters(url).get("dbname", ""), run="")
