"""One target transaction: what each step does to the rows, and how it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.bisect import FOREIGN_KEY, Refusal
from migrate.connectors.sqlite import deferred
from migrate.connectors.sqlite.batch import (
    BATCH,
    batch_table,
    bound_columns,
    fit_only,
    identity,
    joined,
    matching,
    parameters,
    places_of,
    unfit_rows,
)
from migrate.connectors.sqlite.errors import refusal, translated
from migrate.connectors.sqlite.names import FENCE, quote, quoted
from migrate.connectors.sqlite.read import declared_arrays, decoding, selected
from migrate.connectors.sqlite.references import blocking
from migrate.connectors.sqlite.refusals import Writer, named, rejected_of
from migrate.errors import GateClosed, Unreachable
from migrate.model import Rejected, Table

_BEGUN = "_migrate_begun"


class SqliteTransaction:
    """Implements `Transaction`. Holds the database's only write lock from begin to commit or rollback."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection, self._where = connection, where
        self._rows = Writer(connection, where)
        self._over = False
        with self._closing_on_error(), translated(where):
            connection.execute("PRAGMA foreign_keys = ON")
            if connection.execute("PRAGMA foreign_keys").fetchone()[0] != 1:
                raise Unreachable("this SQLite library cannot check foreign keys", where=where)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            # On a file that may only be read BEGIN IMMEDIATE succeeds; a first write does not.
            version = connection.execute("PRAGMA main.user_version").fetchone()[0]
            connection.execute(f"PRAGMA main.user_version = {version}")
            # Only the transaction begun here knows this savepoint: `commit` asks for it (F1).
            connection.execute(f"SAVEPOINT {_BEGUN}")
            failpoints.hit("sqlite.transaction.begun")

    # --- writing ---

    def insert(self, table: Table, rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        with self._part(table.name):
            failpoints.hit("sqlite.insert.rows")
            if rows.num_rows == 0:
                return []
            unfit = unfit_rows(table, rows)
            if unfit:
                return fit_only(unfit, table, rows, stop_after, self.insert)
            sql = f"INSERT OR ABORT INTO main.{quote(table.name)} ({quoted(rows.schema.names)})"
            if any(fk.initially_deferred for fk in table.foreign_keys):
                return self._rows.insert_together(table, rows, sql, range(rows.num_rows), stop_after)
            expressions, lists = parameters(bound_columns(table, rows))
            own = any(fk.ref_table == table.name for fk in table.foreign_keys)
            refused = self._rows.each(
                f"{sql} VALUES ({expressions})", lists, table, stop_after, retry_references=own
            )
            early = [o for o, r in refused.items() if own and r.code == FOREIGN_KEY]
            if early:
                rejected = self._rows.insert_together(table, rows, sql, early, stop_after)
                refused = {o: r for o, r in refused.items() if o not in set(early)}
                refused |= {r.ordinal: Refusal(r.code, r.constraint) for r in rejected}
            return rejected_of(named(refused, table), stop_after, table.name)

    def update(self, table: Table, key: Sequence[str], rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        """As the protocol says; a key that no row has changes nothing and is not reported: `fetch` first."""
        with self._part(table.name):
            failpoints.hit("sqlite.update.rows")
            places_of(rows, key)
            changed = [n for n in rows.schema.names if n not in set(key)]
            if rows.num_rows == 0 or not changed:
                return []
            unfit = unfit_rows(table, rows.select(changed))
            if unfit:
                return fit_only(unfit, table, rows, stop_after, partial(self._update_fit, key))
            lost = deferred.orphans_of_update(self._connection, table, rows)
            located = self._locate(table, key, rows)
            sets, lists = [], []
            for name, bound in zip(changed, bound_columns(table, rows.select(changed)), strict=True):
                sets.append(f"{quote(name)} = {bound.expression}")
                lists += [[values[o] for o in located[0]] for values in bound.values]
            names = identity(table)
            sql = (
                f"UPDATE OR ABORT main.{quote(table.name)} SET {', '.join(sets)}"
                f" WHERE {' AND '.join(f'{n} = ?' for n in names)}"
            )
            keep = [i for i, o in enumerate(located[0]) if o not in lost]
            lists = [[values[i] for i in keep] for values in [*lists, *located[1:]]]
            found = self._rows.each(sql, lists, table, stop_after)
            refused = {int(located[0][keep[i]]): r for i, r in found.items()}
            refused |= {o: Refusal(FOREIGN_KEY, name) for o, name in lost.items()}
            return rejected_of(named(refused, table), stop_after, table.name)

    def delete(self, table: Table, key: Sequence[str], keys: pa.Table) -> int:
        with self._part(table.name):
            failpoints.hit("sqlite.delete.rows")
            if keys.num_rows == 0:
                return 0
            keys = keys.select(list(key))
            with batch_table(self._connection, table, keys):
                where = matching(table, key, range(len(key)))
                before = self._number(f"SELECT count(*) FROM main.{quote(table.name)} WHERE {where}")
                late = deferred.children(self._connection, table)
                try:
                    self._connection.execute(f"DELETE FROM main.{quote(table.name)} WHERE {where}")
                except sqlite3.IntegrityError as error:
                    found = refusal(error)
                    if found is None or found.code != FOREIGN_KEY:
                        raise
                    raise _referenced(table, blocking(self._connection, table, key)) from None
                after = self._number(f"SELECT count(*) FROM main.{quote(table.name)} WHERE {where}")
                if late:
                    worse = sorted(
                        n for n, c in deferred.children(self._connection, table).items() if c > late[n]
                    )
                    if worse:
                        raise _referenced(table, worse)
            return before - after

    def rewrite(self, table: Table, where: Mapping[str, str], values: Mapping[str, str]) -> int:
        with self._part(table.name):
            failpoints.hit("sqlite.rewrite.before")
            sets = ", ".join(f"{quote(c)} = ?" for c in values)
            found = " AND ".join(f"{quote(c)} = ?" for c in where)
            return self._connection.execute(
                f"UPDATE OR ABORT main.{quote(table.name)} SET {sets} WHERE {found}",
                [*values.values(), *where.values()],
            ).rowcount

    # --- reading ---

    def fetch(
        self, table: Table, key: Sequence[str], keys: pa.Table, columns: Sequence[str], *, lock: bool = False
    ) -> pa.Table:
        """Declared reading. `lock` needs nothing: no other connection can write before the end."""
        chosen = [table.column(c) for c in columns]
        schema = arrow_schema(chosen)
        with self._part(table.name):
            failpoints.hit("sqlite.fetch.rows")
            if keys.num_rows == 0:
                return schema.empty_table()
            with batch_table(self._connection, table, keys.select(list(key))), decoding(table.name):
                rows = self._connection.execute(
                    f"SELECT {', '.join(selected(chosen))} FROM main.{quote(table.name)}"
                    f" WHERE {matching(table, key, range(len(key)))}"
                ).fetchall()
            if not rows:
                return schema.empty_table()
            return pa.Table.from_arrays(
                declared_arrays(list(zip(*rows, strict=True)), chosen, table.name), schema=schema
            )

    def fence(self) -> int:
        """The value in the target; 0 if nobody ever raised it. The write lock holds it until commit."""
        with self._part(FENCE):
            failpoints.hit("sqlite.fence.read")
            there = self._number(
                f"SELECT count(*) FROM main.sqlite_master WHERE type = 'table' AND name = '{FENCE}'"
            )
            return self._number(f"SELECT coalesce(max(value), 0) FROM main.{FENCE}") if there else 0

    # --- the end ---

    def commit(self) -> None:
        self._alive()
        with self._closing_on_error():
            failpoints.hit("sqlite.commit.before")
            with translated(self._where):
                try:
                    self._connection.execute(f"RELEASE {_BEGUN}")
                except sqlite3.OperationalError as error:
                    if "no such savepoint" in str(error):
                        raise self._rows.lost() from None
                    raise
                self._connection.execute("COMMIT")
            failpoints.hit("sqlite.commit.after")
        self._over = True
        self._connection.close()

    def rollback(self) -> None:
        """Never raises for what is rolled back already."""
        if self._over:
            return
        self._over = True
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # closing rolls back too
        finally:
            self._connection.close()

    # --- inside ---

    def _alive(self) -> None:
        if self._over:
            raise Unreachable(
                "the transaction is over", where=self._where, kept="Nothing of this part was written."
            )
        if not self._connection.in_transaction:
            self._over = True
            self._connection.close()
            raise self._rows.lost()

    @contextmanager
    def _part(self, where: str) -> Iterator[None]:
        """Any error inside rolls the whole transaction back (F1)."""
        self._alive()
        with self._closing_on_error(), translated(where):
            yield
            if not self._connection.in_transaction:
                raise self._rows.lost()

    @contextmanager
    def _closing_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.rollback()
            raise

    def _update_fit(
        self, key: Sequence[str], table: Table, rows: pa.Table, *, stop_after: int
    ) -> list[Rejected]:
        return self.update(table, key, rows, stop_after=stop_after)

    def _number(self, sql: str) -> int:
        return int(self._connection.execute(sql).fetchone()[0])

    def _locate(self, table: Table, key: Sequence[str], rows: pa.Table) -> list[list[Any]]:
        """[ordinals, identity values …] of the rows that the keys name, in the batch's order."""
        names = ", ".join(f"t.{n}" for n in identity(table))
        with batch_table(self._connection, table, rows.select(list(key))):
            found = self._connection.execute(
                f"SELECT b.ord, {names} FROM {BATCH} AS b CROSS JOIN main.{quote(table.name)} AS t"
                f" ON {joined(key, range(len(key)))} ORDER BY b.ord"
            ).fetchall()
        width = 1 + len(identity(table))
        return [list(column) for column in zip(*found, strict=True)] if found else [[] for _ in range(width)]


def _referenced(table: Table, names: Sequence[str]) -> GateClosed:
    by = ", ".join(names) or "a foreign key"
    return GateClosed(
        f"rows cannot be deleted: other rows still refer to them ({by})",
        where=table.name,
        kept="The transaction is rolled back.",
        hint="Remove or re-point those rows first.",
    )
