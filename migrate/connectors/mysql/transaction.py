"""One target transaction over one connection (F1, F2, F5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute

from migrate import failpoints
from migrate.connectors.bisect import Refusal, bisect, too_many
from migrate.connectors.declared import checked
from migrate.connectors.locked import Locked
from migrate.connectors.mysql.catalog import META_PREFIX, is_ours
from migrate.connectors.mysql.errors import SqlError, raised, reject_code
from migrate.connectors.mysql.locks import name_holders
from migrate.connectors.mysql.read import account, read_table, select_list
from migrate.connectors.mysql.session import Session, literal, quote, translated
from migrate.connectors.mysql.types import base_name
from migrate.connectors.mysql.write import ORDINAL, Stage, clear_away, fill, unstorable
from migrate.connectors.transactions import COMMITTING, Ending, fence_value, whole, without
from migrate.errors import MigrateError, UsageError
from migrate.model import Kind, Rejected, Table

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
FENCE = f"{META_PREFIX}fence"
# Set as the transaction begins. It is gone with it, however that comes about: a deadlock, a DDL statement.
_BEGUN = "migrate_begun"
_ROWS = "migrate_rows"
_TOO_LONG = 1406
_LOOKED_UP = frozenset(
    {
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "decimal",
        "char",
        "varchar",
        "uuid",
        "binary",
        "varbinary",
    }
)


def _led(table: Table, key: Sequence[str]) -> bool:
    """An index begins with exactly these columns, and a staged value is compared as the index is ordered (an enum's is not)."""
    columns = [table.column(name) for name in key]
    if not all(base_name(c.type) in _LOOKED_UP for c in columns):
        return False
    plain = [table.primary_key, *(u.columns for u in table.uniques), *(i.columns for i in table.indexes)]
    return any(len(found) >= len(key) and set(found[: len(key)]) == set(key) for found in plain)


class MysqlTransaction:
    """`migrate.connectors.protocol.Transaction`. `done` gets the session back, and whether it can be used again."""

    def __init__(self, session: Session, done: Callable[[Session, bool], None]) -> None:
        self._session, self._done = session, done
        self.url = session.url
        self._stages: list[str] = []
        self._ending = Ending(self._roll_back, self._over)
        try:
            session.execute("START TRANSACTION")
            session.execute(f"SAVEPOINT {_BEGUN}")
        except SqlError as error:
            self._ending.end(usable=False)
            raise raised(error, "beginning a transaction") from None
        failpoints.hit("mysql.transaction.begun")

    # -- writing ----------------------------------------------------------------------------------

    @whole
    def insert(self, table: Table, rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        columns = checked(table, rows)
        if not rows.num_rows:
            return []
        failpoints.hit("mysql.insert.before")

        def statement(stage: Stage, chosen: str) -> str:
            names = ", ".join(quote(c.name) for c in columns)
            values = ", ".join(stage.value(i) for i in range(len(columns)))
            return (
                f"INSERT INTO {quote(table.name)} ({names}) SELECT {values} FROM {quote(stage.name)} s "
                f"WHERE {chosen} ORDER BY {ORDINAL}"
            )

        return self._write(table, rows, statement, "INSERT", stop_after)

    @whole
    def update(self, table: Table, key: Sequence[str], rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        columns = checked(table, rows)
        if not rows.num_rows or all(c.name in key for c in columns):
            return []
        failpoints.hit("mysql.update.before")

        def statement(stage: Stage, chosen: str) -> str:
            sets = ", ".join(
                f"t.{quote(c.name)} = {stage.value(i)}" for i, c in enumerate(columns) if c.name not in key
            )
            maria = self._session.server.maria
            match = " AND ".join(
                f"t.{quote(c.name)} = {stage.key(i, maria)}" for i, c in enumerate(columns) if c.name in key
            )
            return (
                f"{self._by_index(table, key)}UPDATE {quote(stage.name)} s STRAIGHT_JOIN {quote(table.name)} t ON {match} "
                f"SET {sets} WHERE {chosen}"
            )

        return self._write(table, rows, statement, "UPDATE", stop_after, key)

    def _write(
        self,
        table: Table,
        rows: pa.Table,
        statement: Callable[[Stage, str], str],
        right: str,
        stop_after: int,
        key: Sequence[str] = (),
    ) -> list[Rejected]:
        """By way of a staging table: all at once, and if that fails by halves, each under a savepoint."""
        stage, unfit = self._stage(table, rows)
        if len(unfit) > stop_after:
            raise too_many(stop_after, table.name)
        self._leave_out_unspelled(stage, (i for i, c in enumerate(stage.columns) if c.name in key), table)

        def attempt(lo: int, hi: int) -> Refusal | None:
            self._run(f"SAVEPOINT {_ROWS}", table)
            try:
                self._session.execute(statement(stage, f"s.{ORDINAL} >= {lo} AND s.{ORDINAL} < {hi}"))
            except SqlError as error:
                code = reject_code(error)
                if code is None:
                    raise self._raised(error, table, right) from None
                if error.number == _TOO_LONG and is_ours(table.name):
                    raise UsageError(
                        f"a row's key is too long for a table of ours, where {error.place} has to fit into a key of InnoDB",
                        where=table.name,
                        kept="The transaction of this part is rolled back; nothing of it was written.",
                        hint="Give the entity a shorter key: 566 characters are enough in any case.",
                    ) from None
                self._run(f"ROLLBACK TO SAVEPOINT {_ROWS}", table)
                return Refusal(code, error.place)
            return None

        rejected = bisect(0, rows.num_rows, attempt, stop_after=stop_after - len(unfit), table=table.name)
        failpoints.hit("mysql.rows.written")
        self._drop(stage, table)
        return sorted([*rejected, *(Rejected(o, "db_value") for o in unfit)], key=lambda r: r.ordinal)

    @whole
    def delete(self, table: Table, key: Sequence[str], keys: pa.Table) -> int:
        if not keys.num_rows:
            return 0
        failpoints.hit("mysql.delete.before")
        stage, among = self._keys(table, key, keys)
        count = self._run(f"{self._by_index(table, key)}DELETE t FROM {among}", table, "DELETE")
        failpoints.hit("mysql.delete.done")
        self._drop(stage, table)
        return count

    @whole
    def rewrite(self, table: Table, where: Mapping[str, str], values: Mapping[str, str]) -> int:
        sets = ", ".join(f"{quote(c)} = {literal(v)}" for c, v in values.items())
        found = " AND ".join(f"{quote(c)} = {literal(v)}" for c, v in where.items())
        failpoints.hit("mysql.rewrite.before")
        return self._run(f"UPDATE {quote(table.name)} SET {sets} WHERE {found}", table, "UPDATE")

    # -- reading ----------------------------------------------------------------------------------

    @whole
    def fetch(
        self, table: Table, key: Sequence[str], keys: pa.Table, columns: Sequence[str], *, lock: bool = False
    ) -> pa.Table:
        wanted = [table.column(c) for c in columns]
        stage, among = self._keys(table, key, keys)
        lookup, locked = self._by_index(table, key), " FOR UPDATE" if lock else ""
        sql = f"{lookup}SELECT {select_list(wanted, prefix='t.')} FROM {among}{locked}"
        try:
            found = read_table(self._session, sql, wanted, table.name)
        except SqlError as error:
            raise self._raised(error, table, "SELECT, UPDATE" if lock else "SELECT") from None
        self._drop(stage, table)
        return found

    @whole
    def fence(self) -> int:
        self._ending.check_open()
        try:
            found = self._session.rows(f"SELECT value FROM {FENCE} LOCK IN SHARE MODE")
        except SqlError as error:
            raise raised(error, "reading the fence", where=FENCE) from None
        return fence_value([value for (value,) in found], FENCE)

    # -- the end ----------------------------------------------------------------------------------

    def commit(self) -> None:
        self._ending.commit(self._commit)

    def _commit(self) -> bool:
        failpoints.hit("mysql.commit.before")
        with translated(COMMITTING):
            if same := self._is_the_one_begun():
                self._session.execute("COMMIT")
        if same:
            failpoints.hit("mysql.commit.after")
        return same

    def _is_the_one_begun(self) -> bool:
        try:
            self._session.execute(f"RELEASE SAVEPOINT {_BEGUN}")
        except SqlError as error:
            if error.lost:
                raise
            return False
        return self._session.in_transaction

    def rollback(self) -> None:
        self._ending.rollback()

    def _roll_back(self) -> bool:
        with suppress(SqlError):  # a connection that is gone has rolled back already
            self._session.execute("ROLLBACK")
            return not self._session.broken
        return False

    def _over(self, usable: bool) -> None:
        try:
            for name in self._stages if usable else ():
                clear_away(self._session, name)
        except SqlError:
            usable = False
        self._done(self._session, usable)

    def name_holders(self, error: Locked) -> None:
        name_holders(error, self.url, error.where)

    # -- helpers ----------------------------------------------------------------------------------

    def _stage(self, table: Table, rows: pa.Table) -> tuple[Stage, list[int]]:
        """A temporary table with `rows` and their ordinals, and the ordinals that cannot go there."""
        self._ending.check_open()
        columns = checked(table, rows)
        rows, ordinals, unfit = without(unstorable(columns, rows), rows)
        name = f"migrate_stage_{self._session.next_number()}"
        self._stages.append(name)
        try:
            stage = fill(self._session, name, columns, rows, ordinals)
        except SqlError as error:
            raise self._raised(error, table, "CREATE TEMPORARY TABLES") from None
        failpoints.hit("mysql.stage.filled")
        return stage, unfit

    def _keys(self, table: Table, key: Sequence[str], keys: pa.Table) -> tuple[Stage, str]:
        """A staging table of keys, and `d STRAIGHT_JOIN t ON …`: each row of the table whose key is among them, once."""
        distinct = keys.select(list(key)).group_by(list(key)).aggregate([])
        stage, _ = self._stage(table, distinct)
        maria = self._session.server.maria
        indexes = range(len(stage.columns))
        picked = ", ".join(f"{stage.key(i, maria)} AS k{i}" for i in indexes)
        self._leave_out_unspelled(stage, indexes, table)
        if all(c.type.kind is Kind.INT for c in stage.columns):  # distinct already, and equal in one way only
            match = " AND ".join(f"t.{quote(c.name)} = {stage.value(i)}" for i, c in enumerate(stage.columns))
            return stage, f"{quote(stage.name)} s STRAIGHT_JOIN {quote(table.name)} t ON {match}"
        match = " AND ".join(f"t.{quote(c.name)} = d.k{i}" for i, c in enumerate(stage.columns))
        # distinct by the columns' own equality, which may be looser than that of bytes
        among = f"(SELECT DISTINCT {picked} FROM {quote(stage.name)} s) d STRAIGHT_JOIN {quote(table.name)} t ON {match}"
        return stage, among

    def _by_index(self, table: Table, key: Sequence[str]) -> str:
        """Words before a statement that finds rows by their key. MariaDB, where it may join by hashes, prefers to read
        the whole table, once per buffer of keys: a load would take the square of its rows. Without an index it has to."""
        return (
            "SET STATEMENT join_cache_level = 2 FOR "
            if self._session.server.maria and _led(table, key)
            else ""
        )

    def _leave_out_unspelled(self, stage: Stage, indexes: Iterable[int], table: Table) -> None:
        """A query only warns of characters that cannot be converted, a strict DELETE or UPDATE ends with an error."""
        sql = stage.unspelled(indexes)
        if not sql:
            return
        try:
            found = [row[0] for row in self._session.rows(sql)]
        except SqlError as error:
            raise self._raised(error, table, "") from None
        if found:
            self._run(f"DELETE FROM {quote(stage.name)} WHERE {ORDINAL} IN ({', '.join(found)})", table)

    def _drop(self, stage: Stage, table: Table) -> None:
        self._run(f"DROP TEMPORARY TABLE {quote(stage.name)}", table)
        self._stages.remove(stage.name)

    def _run(self, sql: str, table: Table, right: str = "") -> int:
        self._ending.check_open()
        try:
            return self._session.execute(sql)
        except SqlError as error:
            raise self._raised(error, table, right) from None

    def _raised(self, error: SqlError, table: Table, right: str) -> MigrateError:
        place = quote(self._session.database) + (".*" if "TEMPORARY" in right else f".{quote(table.name)}")
        grant = f"GRANT {right} ON {place} TO {account(self._session.user)}"
        return raised(error, f"writing {table.name}", where=table.name, grant=grant if right else "")
