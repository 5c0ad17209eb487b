"""Rows go in by `executemany`, and those that the database refuses are told by their place.

SQLite says at which row of an `executemany` it failed and undoes that row alone, so rejects need no
bisecting, with one exception: a child that stands before its parent in the batch needs one
statement for both, hence a temporary table, and there `bisect` finds what is still refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from operator import length_hint
from typing import Any

import pyarrow as pa

from migrate.connectors.bisect import FOREIGN_KEY, Refusal, bisect, too_many
from migrate.connectors.sqlite.batch import BATCH, batch_table, orphans
from migrate.connectors.sqlite.deferred import cascade
from migrate.connectors.sqlite.errors import refusal
from migrate.errors import Unreachable
from migrate.model import Rejected, Table

_ROWS = "_migrate_rows"


class Writer:
    """Statements over many rows inside an open transaction of `connection`. `where`: the file, safe to show."""

    def __init__(self, connection: sqlite3.Connection, where: str) -> None:
        self._connection, self._where = connection, where

    def each(
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
                found = self._refused(error)
                refused[total - length_hint(counted) - 1] = found
                waiting += retry_references and found.code == FOREIGN_KEY
                if len(refused) - waiting > stop_after:
                    raise too_many(stop_after, table.name) from None
            else:
                return refused

    def insert_together(
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
                lost |= cascade(self._connection, table, deferred, names, {r.ordinal for r in rejected})
        by_place = {r.ordinal: Refusal(r.code, r.constraint) for r in rejected}
        by_place |= {o: Refusal(FOREIGN_KEY, name) for o, name in lost.items()}
        return rejected_of({ordinals[place]: r for place, r in by_place.items()}, stop_after, table.name)

    def _refused(self, error: sqlite3.Error) -> Refusal:
        """What of a row was refused. Any other error is raised, and so is that the transaction went with it."""
        found = refusal(error)
        if found is None:
            raise error
        if not self._connection.in_transaction:
            raise self.lost() from None
        return found

    def _attempt(self, sql: str) -> Refusal | None:
        self._connection.execute(f"SAVEPOINT {_ROWS}")
        try:
            self._connection.execute(sql)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            found = self._refused(error)
            self._connection.execute(f"ROLLBACK TO {_ROWS}")
            self._connection.execute(f"RELEASE {_ROWS}")
            return found
        self._connection.execute(f"RELEASE {_ROWS}")
        return None

    def lost(self) -> Unreachable:
        return Unreachable(
            "SQLite rolled the transaction back by itself",
            where=self._where,
            kept="Nothing of this part was written.",
            hint="Look for a full disk or a trigger with RAISE(ROLLBACK), then run the same command again.",
        )


def named(refused: dict[int, Refusal], table: Table) -> dict[int, Refusal]:
    """SQLite does not name the foreign key; where the table has one only, it is known."""
    if len(table.foreign_keys) != 1:
        return refused
    only = table.foreign_keys[0].name
    return {
        o: Refusal(r.code, r.constraint or only) if r.code == FOREIGN_KEY else r for o, r in refused.items()
    }


def rejected_of(refused: dict[int, Refusal], stop_after: int, table: str) -> list[Rejected]:
    if len(refused) > stop_after:
        raise too_many(stop_after, table)
    return [Rejected(o, r.code, r.constraint) for o, r in sorted(refused.items())]
