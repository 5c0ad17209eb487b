"""One target transaction over one ADBC connection (F1, F4, F5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.bisect import too_many
from migrate.connectors.declared import checked
from migrate.connectors.locked import Locked
from migrate.connectors.postgres.by_key import found_by_index, is_ours
from migrate.connectors.postgres.catalog import META
from migrate.connectors.postgres.errors import SqlError, raised, reject_code
from migrate.connectors.postgres.locks import name_holders
from migrate.connectors.postgres.read import read_table, select_list
from migrate.connectors.postgres.search import search_sql
from migrate.connectors.postgres.session import (
    Session,
    database_of,
    grant_of,
    grantee,
    literal,
    quote,
    quote_table,
    split_name,
    translated,
)
from migrate.connectors.postgres.wanted import bounds, in_ranges
from migrate.connectors.postgres.write import (
    ORDINAL,
    Staged,
    direct,
    in_pieces,
    one_array,
    staged,
    unstorable,
)
from migrate.connectors.transactions import COMMITTING, Ending, fence_value, whole, without
from migrate.errors import MigrateError
from migrate.model import Rejected, Table

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
FENCE = f"{META}.fence"
_SAVEPOINT = "migrate_rows"
_FEW = 10_000


class PostgresTransaction:
    """`migrate.connectors.protocol.Transaction`. `done` gets the session back, and whether it can be used again."""

    def __init__(self, session: Session, done: Callable[[Session, bool], None]) -> None:
        self._session, self._tables = session, 0
        self.url = session.url
        self._ending = Ending(self._roll_back, lambda usable: done(session, usable))
        try:
            session.execute("BEGIN")
            self._id = session.query("SELECT txid_current()::text AS id")["id"][0].as_py()
            session.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except SqlError as error:
            self._ending.end(usable=False)
            raise raised(error, "beginning a transaction") from None
        failpoints.hit("postgres.transaction.begun")

    # -- writing ----------------------------------------------------------------------------------

    @whole
    def insert(self, table: Table, rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        columns = checked(table, rows)
        if not rows.num_rows:
            return []
        failpoints.hit("postgres.insert.before")
        straight = direct(columns, rows)
        known_bad = False
        if straight is not None:
            self._run(f"SAVEPOINT {_SAVEPOINT}", table)
            try:
                self._session.ingest(*split_name(table.name), in_pieces(straight))
            except SqlError as error:
                self._back(error, table, "INSERT")
                known_bad = True
            else:
                self._run(f"RELEASE SAVEPOINT {_SAVEPOINT}", table)
                failpoints.hit("postgres.insert.copied")
                return []
        overriding = "OVERRIDING SYSTEM VALUE " if any(c.identity == "always" for c in columns) else ""

        def statement(stage: str, made: Sequence[Staged]) -> str:
            names = ", ".join(quote(c.name) for c in columns)
            values = ", ".join(s.value for s in made)
            return (
                f"INSERT INTO {quote_table(table.name)} ({names}) {overriding}SELECT {values} FROM {stage} s"
            )

        return self._write(table, rows, statement, "INSERT", known_bad, stop_after)

    @whole
    def update(self, table: Table, key: Sequence[str], rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        columns = checked(table, rows)
        if not rows.num_rows or all(c.name in key for c in columns):
            return []
        failpoints.hit("postgres.update.before")
        near = bounds(key, rows)

        def statement(stage: str, made: Sequence[Staged]) -> str:
            pairs = list(zip(columns, made, strict=True))
            sets = ", ".join(f"{quote(c.name)} = {s.value}" for c, s in pairs if c.name not in key)
            match = " AND ".join(f"t.{quote(c.name)} = {s.key}" for c, s in pairs if c.name in key)
            return f"UPDATE {quote_table(table.name)} t SET {sets} FROM {stage} s WHERE {match}{near}"

        return self._write(table, rows, statement, "UPDATE", False, stop_after)

    def _write(
        self,
        table: Table,
        rows: pa.Table,
        statement: Callable[[str, Sequence[Staged]], str],
        right: str,
        known_bad: bool,
        stop_after: int,
    ) -> list[Rejected]:
        """By way of a staging table: all at once, and if that fails row ranges, halved on the server."""
        stage, made, unfit = self._stage(table, rows)
        if len(unfit) > stop_after:
            raise too_many(stop_after, table.name)
        if right == "UPDATE" and rows.num_rows < _FEW:  # of which the server thinks that they are more
            self._run(f"ANALYZE pg_temp.{stage}", table)
        sql = statement(f"pg_temp.{stage}", made)
        rejected = [Rejected(ordinal, "db_value") for ordinal in unfit]
        if not known_bad:
            self._run(f"SAVEPOINT {_SAVEPOINT}", table)
            try:
                self._session.execute(sql)
            except SqlError as error:
                self._back(error, table, right)
                known_bad = True
        if known_bad:
            rejected += self._search(table, sql, stage, rows.num_rows, len(unfit), stop_after, right)
        failpoints.hit("postgres.rows.written")
        self._run(f"DROP TABLE pg_temp.{stage}", table)
        return sorted(rejected, key=lambda r: r.ordinal)

    def _search(
        self, table: Table, sql: str, stage: str, rows: int, bad: int, stop_after: int, right: str
    ) -> list[Rejected]:
        refused = f"{stage}_refused"
        self._run(f"CREATE UNIQUE INDEX ON pg_temp.{stage} ({ORDINAL})", table)
        self._run(f"ANALYZE pg_temp.{stage}", table)
        self._run(
            f"CREATE TEMP TABLE {refused} (ordinal int8 PRIMARY KEY, state text, place text) ON COMMIT DROP",
            table,
        )
        joint = "AND" if right == "UPDATE" else "WHERE"
        body = search_sql(
            sql, joint=joint, ordinal=ORDINAL, refused=refused, rows=rows, bad=bad, stop_after=stop_after
        )
        failpoints.hit("postgres.search.before")
        self._run(f"DO {literal(body)}", table, right)
        failpoints.hit("postgres.search.done")
        found = self._query(
            f"SELECT ordinal, state, coalesce(place, '') AS place FROM pg_temp.{refused}", table
        ).to_pylist()
        if len(found) + bad > stop_after:
            raise too_many(stop_after, table.name)
        self._run(f"DROP TABLE pg_temp.{refused}", table)
        return [Rejected(r["ordinal"], reject_code(r["state"]) or "db_other", r["place"]) for r in found]

    @whole
    def delete(self, table: Table, key: Sequence[str], keys: pa.Table) -> int:
        if not keys.num_rows:
            return 0
        failpoints.hit("postgres.delete.before")
        stage, condition = self._among(table, key, keys)
        count = self._run(f"DELETE FROM {quote_table(table.name)} t WHERE {condition}", table, "DELETE")
        failpoints.hit("postgres.delete.done")
        if stage is not None:
            self._run(f"DROP TABLE pg_temp.{stage}", table)
        return count

    @whole
    def take(self, table: Table, key: Sequence[str], keys: pa.Table, columns: Sequence[str]) -> pa.Table:
        wanted = [table.column(c) for c in columns]
        if not keys.num_rows:
            return arrow_schema(wanted).empty_table()
        failpoints.hit("postgres.take.before")
        stage, condition = self._among(table, key, keys)
        sql = f"DELETE FROM {quote_table(table.name)} t WHERE {condition} RETURNING {select_list(wanted, prefix='t.')}"
        try:
            found = read_table(self._session, sql, wanted, table.name)
        except SqlError as error:
            raise self._raised(error, table, "SELECT, DELETE") from None
        failpoints.hit("postgres.take.done")
        if stage is not None:
            self._run(f"DROP TABLE pg_temp.{stage}", table)
        return found

    @whole
    def rewrite(self, table: Table, where: Mapping[str, str], values: Mapping[str, str]) -> int:
        sets = ", ".join(f"{quote(c)} = {literal(v)}" for c, v in values.items())
        found = " AND ".join(f"{quote(c)} = {literal(v)}" for c, v in where.items())
        failpoints.hit("postgres.rewrite.before")
        return self._run(f"UPDATE {quote_table(table.name)} SET {sets} WHERE {found}", table, "UPDATE")

    # -- reading ----------------------------------------------------------------------------------

    @whole
    def fetch(
        self, table: Table, key: Sequence[str], keys: pa.Table, columns: Sequence[str], *, lock: bool = False
    ) -> pa.Table:
        wanted = [table.column(c) for c in columns]
        stage, condition = self._among(table, key, keys)
        tail = " FOR UPDATE OF t" if lock else ""
        sql = f"SELECT {select_list(wanted, prefix='t.')} FROM {quote_table(table.name)} t WHERE {condition}{tail}"
        try:
            found = read_table(self._session, sql, wanted, table.name)
        except SqlError as error:
            raise self._raised(error, table, "SELECT, UPDATE" if lock else "SELECT") from None
        if stage is not None:
            self._run(f"DROP TABLE pg_temp.{stage}", table)
        return found

    @whole
    def fence(self) -> int:
        self._ending.check_open()
        try:
            found = self._session.query(f"SELECT value FROM {FENCE} FOR SHARE")
        except SqlError as error:
            raise raised(error, "reading the fence", where=FENCE) from None
        return fence_value(found["value"].to_pylist(), FENCE)

    # -- the end ----------------------------------------------------------------------------------

    def commit(self) -> None:
        self._ending.commit(self._commit)

    def _commit(self) -> bool:
        failpoints.hit("postgres.commit.before")
        with translated(COMMITTING):
            if same := self._is_the_one_begun():
                self._session.execute("COMMIT")
        if same:
            failpoints.hit("postgres.commit.after")
        return same

    def _is_the_one_begun(self) -> bool:
        if not self._session.in_transaction:
            return False
        found = self._session.query("SELECT txid_current_if_assigned()::text AS id")["id"][0].as_py()
        return bool(found == self._id)

    def rollback(self) -> None:
        self._ending.rollback()

    def _roll_back(self) -> bool:
        with suppress(SqlError):  # a connection that is gone has rolled back already
            self._session.execute("ROLLBACK")
            return True
        return False

    def name_holders(self, error: Locked) -> None:
        name_holders(error, self.url, error.where)

    # -- helpers ----------------------------------------------------------------------------------

    def _stage(self, table: Table, rows: pa.Table) -> tuple[str, list[Staged], list[int]]:
        """A temporary table with `rows` and their ordinals, and the ordinals that cannot even go there."""
        columns = checked(table, rows)
        rows, ordinals, unfit = without(unstorable(columns, rows), rows)
        made = [
            staged(i, c, one_array(v)) for i, (c, v) in enumerate(zip(columns, rows.columns, strict=True))
        ]
        self._tables += 1
        name = f"migrate_stage_{self._tables}"
        sent = [(ORDINAL, "int8", ordinals), *(a for s in made for a in s.arrays)]
        self._run(
            f"CREATE TEMP TABLE {name} ({', '.join(f'{n} {t}' for n, t, _ in sent)}) ON COMMIT DROP",
            table,
            "TEMPORARY",
        )
        if rows.num_rows:
            try:
                to_send = pa.table([a for _, _, a in sent], names=[n for n, _, _ in sent])
                self._session.ingest(None, name, in_pieces(to_send))
            except SqlError as error:
                raise self._raised(error, table, "TEMPORARY") from None
        failpoints.hit("postgres.stage.filled")
        return name, made, unfit

    def _among(self, table: Table, key: Sequence[str], keys: pa.Table) -> tuple[str | None, str]:
        """The condition on `t` that its key is one of `keys`, and the staging table that it needs, if any."""
        if (ranges := in_ranges(key, keys)) is not None:
            return None, ranges
        distinct = keys.select(list(key)).group_by(list(key)).aggregate([])
        stage, made, _ = self._stage(table, distinct)
        if is_ours(table, key):
            # one array of places: they are read in their order, each once, where a join would go back and forth
            places = found_by_index(table, distinct.column_names, made, stage, "t.ctid")
            return stage, f"t.ctid = ANY(ARRAY({places}))"
        self._run(f"ANALYZE pg_temp.{stage}", table)
        names = ", ".join(f"t.{quote(c)}" for c in distinct.column_names)
        wanted = f"({names}) IN (SELECT {', '.join(s.key for s in made)} FROM pg_temp.{stage} s)"
        return stage, wanted + bounds(key, distinct)

    def _back(self, error: SqlError, table: Table, right: str) -> None:
        """Back to the savepoint after a refusal; any other error is raised."""
        if reject_code(error.state) is None:
            raise self._raised(error, table, right) from None
        self._run(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}", table)

    def _run(self, sql: str, table: Table, right: str = "") -> int:
        self._ending.check_open()
        try:
            return self._session.execute(sql)
        except SqlError as error:
            raise self._raised(error, table, right) from None

    def _query(self, sql: str, table: Table) -> pa.Table:
        try:
            return self._session.query(sql)
        except SqlError as error:
            raise self._raised(error, table, "") from None

    def _raised(self, error: SqlError, table: Table, right: str) -> MigrateError:
        if right == "TEMPORARY":
            grant = f"GRANT TEMPORARY ON DATABASE {quote(database_of(self.url))} TO {grantee(self.url)}"
        else:
            grant = grant_of(right, table.name, self.url) if right else ""
        return raised(error, f"writing {table.name}", where=table.name, grant=grant)
