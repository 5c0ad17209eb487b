"""One target transaction: rows go in by `executemany`, refused ones come back by ordinal.

SQLite says at which row of an `executemany` it failed and undoes that row alone, so rejects need no
bisecting, with one exception: a child that stands before its parent in the batch needs one
statement for both, hence a temporary table, and there `bisect` finds what is still refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import length_hint
from typing import Any

import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.bisect import FOREIGN_KEY, Refusal, bisect, too_many
from migrate.connectors.sqlite.batch import (
    BATCH,
    batch_table,
    bound_columns,
    fit_only,
    identity,
    joined,
    matching,
    orphans,
    parameters,
    places_of,
    unfit_rows,
)
from migrate.connectors.sqlite.errors import refusal, translated
from migrate.connectors.sqlite.names import FENCE, quote, quoted
from migrate.connectors.sqlite.read import declared_arrays, decoding, selected
from migrate.connectors.sqlite.references import blocking, referring
from migrate.errors import GateClosed, Unreachable, UsageError
from migrate.model import ForeignKey, Rejected, Table

_BEGUN = "_migrate_begun"
_ROWS = "_migrate_rows"


class SqliteTransaction:
    """Implements `Transaction`. Holds the database's only write lock from begin to commit or rollback."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection, self._where = connection, where
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
            deferred = [fk for fk in table.foreign_keys if fk.initially_deferred]
            if deferred:
                return self._insert_together(table, rows, sql, range(rows.num_rows), stop_after)
            expressions, lists = parameters(bound_columns(table, rows))
            own = any(fk.ref_table == table.name for fk in table.foreign_keys)
            refused = self._each(
                f"{sql} VALUES ({expressions})", lists, table, stop_after, retry_references=own
            )
            early = [o for o, r in refused.items() if own and r.code == FOREIGN_KEY]
            if early:
                rejected = self._insert_together(table, rows, sql, early, stop_after)
                refused = {o: r for o, r in refused.items() if o not in set(early)}
                refused |= {r.ordinal: Refusal(r.code, r.constraint) for r in rejected}
            return _rejected(_named(refused, table), stop_after, table.name)

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
            lost = self._deferred_orphans(table, rows)
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
            found = self._each(sql, lists, table, stop_after)
            refused = {int(located[0][keep[i]]): r for i, r in found.items()}
            refused |= {o: Refusal(FOREIGN_KEY, name) for o, name in lost.items()}
            return _rejected(_named(refused, table), stop_after, table.name)

    def delete(self, table: Table, key: Sequence[str], keys: pa.Table) -> int:
        with self._part(table.name):
            failpoints.hit("sqlite.delete.rows")
            if keys.num_rows == 0:
                return 0
            keys = keys.select(list(key))
            with batch_table(self._connection, table, keys):
                where = matching(table, key, range(len(key)))
                before = self._number(f"SELECT count(*) FROM main.{quote(table.name)} WHERE {where}")
                late = self._deferred_children(table)
                try:
                    self._connection.execute(f"DELETE FROM main.{quote(table.name)} WHERE {where}")
                except sqlite3.IntegrityError as error:
                    found = refusal(error)
                    if found is None or found.code != FOREIGN_KEY:
                        raise
                    raise _referenced(table, blocking(self._connection, table, key)) from None
                after = self._number(f"SELECT count(*) FROM main.{quote(table.name)} WHERE {where}")
                if late:
                    worse = sorted(n for n, c in self._deferred_children(table).items() if c > late[n])
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
                        raise self._lost() from None
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
            raise self._lost()

    def _lost(self) -> Unreachable:
        return Unreachable(
            "SQLite rolled the transaction back by itself",
            where=self._where,
            kept="Nothing of this part was written.",
            hint="Look for a full disk or a trigger with RAISE(ROLLBACK), then run the same command again.",
        )

    @contextmanager
    def _part(self, where: str) -> Iterator[None]:
        """Any error inside rolls the whole transaction back (F1)."""
        self._alive()
        with self._closing_on_error(), translated(where):
            yield
            if not self._connection.in_transaction:
                raise self._lost()

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

    def _each(
        self,
        sql: str,
        lists: Sequence[Sequence[Any]],
        table: Table,
        stop_after: int,
        *,
        retry_references: bool = False,
    ) -> dict[int, Refusal]:
        """Run `sql` for every row; the refused ones by place. Their statements alone are undone."""
        if not lists or not lists[0]:
            return {}
        counted = iter(lists[0])
        total = len(lists[0])
        rows = zip(counted, *lists[1:], strict=True)
        refused: dict[int, Refusal] = {}
        waiting = 0
        while True:
            try:
                self._connection.executemany(sql, rows)
            except (sqlite3.IntegrityError, sqlite3.DataError) as error:
                found = refusal(error)
                if found is None:
                    raise
                if not self._connection.in_transaction:
                    raise self._lost() from None
                refused[total - length_hint(counted) - 1] = found
                waiting += retry_references and found.code == FOREIGN_KEY
                if len(refused) - waiting > stop_after:
                    raise too_many(stop_after, table.name) from None
            else:
                return refused

    def _insert_together(
        self, table: Table, rows: pa.Table, sql: str, ordinals: Sequence[int], stop_after: int
    ) -> list[Rejected]:
        """Insert these rows of the batch by one statement, so that they may point at each other."""
        names = rows.schema.names
        taken = rows if len(ordinals) == rows.num_rows else rows.take(pa.array(ordinals, pa.int64()))
        columns = ", ".join(f"c{i}" for i in range(len(names)))
        with batch_table(self._connection, table, taken):
            lost = orphans(self._connection, table, table.foreign_keys, names)
            if len(lost) > stop_after:
                raise too_many(stop_after, table.name)
            self._connection.executemany(f"DELETE FROM {BATCH} WHERE ord = ?", ((o,) for o in lost))

            def attempt(lo: int, hi: int) -> Refusal | None:
                return self._attempt(
                    f"{sql} SELECT {columns} FROM {BATCH} WHERE ord >= {lo} AND ord < {hi} ORDER BY ord"
                )

            rejected = bisect(0, taken.num_rows, attempt, stop_after=stop_after, table=table.name)
            deferred = [fk for fk in table.foreign_keys if fk.initially_deferred]
            if rejected and deferred:
                lost |= self._cascade(table, deferred, names, {r.ordinal for r in rejected})
        by_place = {r.ordinal: Refusal(r.code, r.constraint) for r in rejected}
        by_place |= {o: Refusal(FOREIGN_KEY, name) for o, name in lost.items()}
        return _rejected({ordinals[place]: r for place, r in by_place.items()}, stop_after, table.name)

    def _cascade(
        self, table: Table, fks: Sequence[ForeignKey], names: Sequence[str], out: set[int]
    ) -> dict[int, str]:
        """Deferred self-references: rows that went in although their parent in the batch was refused."""
        if not any(fk.ref_table == table.name for fk in fks):
            return {}
        self._connection.executemany(f"DELETE FROM {BATCH} WHERE ord = ?", ((o,) for o in out))
        lost = orphans(self._connection, table, fks, names)
        if lost:
            if not set(table.primary_key) <= set(names) or not table.primary_key:
                raise GateClosed(
                    "a deferred reference to a refused row cannot be taken back", where=table.name
                )
            places = [names.index(k) for k in table.primary_key]
            listed = ", ".join(str(o) for o in sorted(lost))
            self._connection.execute(
                f"DELETE FROM main.{quote(table.name)} AS t WHERE EXISTS"
                f" (SELECT 1 FROM {BATCH} AS b WHERE b.ord IN ({listed}) AND {joined(table.primary_key, places)})"
            )
        return lost

    def _attempt(self, sql: str) -> Refusal | None:
        self._connection.execute(f"SAVEPOINT {_ROWS}")
        try:
            self._connection.execute(sql)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            found = refusal(error)
            if found is None:
                raise
            if not self._connection.in_transaction:
                raise self._lost() from None
            self._connection.execute(f"ROLLBACK TO {_ROWS}")
            self._connection.execute(f"RELEASE {_ROWS}")
            return found
        self._connection.execute(f"RELEASE {_ROWS}")
        return None

    def _deferred_children(self, table: Table) -> dict[str, int]:
        """Violations now, by name, of deferred foreign keys that point at `table`: only COMMIT would notice them."""
        counts: dict[str, int] = {}
        for child, fk in referring(self._connection, table):
            if fk.initially_deferred:
                rows = self._connection.execute(
                    f"PRAGMA main.foreign_key_check({quote(child.name)})"
                ).fetchall()
                counts[fk.name] = sum(1 for row in rows if str(row[2]).lower() == table.name.lower())
        return counts

    def _deferred_orphans(self, table: Table, rows: pa.Table) -> dict[int, str]:
        names = rows.schema.names
        touched = [fk for fk in table.foreign_keys if fk.initially_deferred and set(fk.columns) & set(names)]
        for fk in touched:
            if not set(fk.columns) <= set(names):
                raise UsageError(
                    "an update sets only a part of a deferred foreign key",
                    where=f"{table.name} ({', '.join(fk.columns)})",
                )
        if not touched:
            return {}
        with batch_table(self._connection, table, rows):
            return orphans(self._connection, table, touched, names)

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


def _named(refused: dict[int, Refusal], table: Table) -> dict[int, Refusal]:
    """SQLite does not name the foreign key; where the table has one only, it is known."""
    if len(table.foreign_keys) != 1:
        return refused
    only = table.foreign_keys[0].name
    return {
        o: Refusal(r.code, r.constraint or only) if r.code == FOREIGN_KEY else r for o, r in refused.items()
    }


def _rejected(refused: dict[int, Refusal], stop_after: int, table: str) -> list[Rejected]:
    if len(refused) > stop_after:
        raise too_many(stop_after, table)
    return [Rejected(o, r.code, r.constraint) for o, r in sorted(refused.items())]


def _referenced(table: Table, names: Sequence[str]) -> GateClosed:
    by = ", ".join(names) or "a foreign key"
    return GateClosed(
        f"rows cannot be deleted: other rows still refer to them ({by})",
        where=table.name,
        kept="The transaction is rolled back.",
        hint="Remove or re-point those rows first.",
    )
