"""Scratch databases for restore tests: made on a server, marked inside, dropped only with the mark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors import leftovers
from migrate.connectors.declared import checked
from migrate.connectors.postgres import ddl
from migrate.connectors.postgres.ask import first_rows
from migrate.connectors.postgres.catalog import META
from migrate.connectors.postgres.copying import CopySession, takes
from migrate.connectors.postgres.errors import SqlError, from_psycopg, raised
from migrate.connectors.postgres.feed import Feed
from migrate.connectors.postgres.scratch_database import MARKER, PostgresScratchDatabase
from migrate.connectors.postgres.session import (
    Session,
    connect,
    literal,
    mask,
    quote,
    quote_table,
    split_name,
    translated,
)
from migrate.connectors.postgres.target import PostgresTarget
from migrate.connectors.postgres.violations import violations
from migrate.connectors.postgres.write import one_array, staged
from migrate.errors import GateClosed, Unfit, Unreachable, UsageError
from migrate.model import Schema, Table
from migrate.model import Sequence as SequenceState


def open_scratch(url: str | None, *, folder: Path, name: str, run: str) -> PostgresScratch:
    """CREATE DATABASE `name` on the server of `url`, with the encoding and collation of `url`'s own database.

    Raises Unreachable where it is not allowed, UsageError without a server."""
    if url is None:
        raise UsageError(
            "a scratch database for PostgreSQL needs a server", hint="Set scratch: to a postgresql:// URL."
        )
    with connect(url) as server:
        user = str(server.info.user)
        row = server.execute("SELECT * FROM pg_database WHERE datname = current_database()")
        names = [d.name for d in row.description or ()]
        found = dict(zip(names, row.fetchone() or (), strict=False))
        options = [
            f"ENCODING 'UTF8' LC_COLLATE {literal(found['datcollate'] or 'C')} LC_CTYPE {literal(found['datctype'] or 'C')}"
        ]
        locale = found.get("daticulocale") or found.get("datlocale")
        provider = found.get("datlocprovider")
        if locale and provider == "i":
            options.append(f"LOCALE_PROVIDER icu ICU_LOCALE {literal(locale)}")
        elif locale and provider == "b":
            options.append(f"LOCALE_PROVIDER builtin BUILTIN_LOCALE {literal(locale)}")
        failpoints.hit("postgres.scratch.before")
        try:
            server.execute(f"CREATE DATABASE {quote(name)} TEMPLATE template0 {' '.join(options)}".encode())
        except psycopg.Error as error:
            if error.sqlstate == "42501":
                raise Unreachable(
                    "the user may not make a scratch database on this server",
                    where=mask(url),
                    hint=f"Let an administrator run ALTER ROLE {quote(user)} CREATEDB, or set scratch: to a server where it may.",
                ) from None
            if error.sqlstate == "42P04":
                raise Unreachable("a database of the scratch's name is there already", where=name) from None
            raise raised(from_psycopg(error), "making the scratch database", where=mask(url)) from None
    failpoints.hit("postgres.scratch.created")
    inside = PostgresScratchDatabase(url, name).url
    with (
        connect(inside) as first,
        translated("marking the scratch database", where=name),
        first.transaction(),
    ):
        first.execute(f"CREATE SCHEMA {META}")
        first.execute(
            f"CREATE TABLE {MARKER} (run text NOT NULL, created timestamptz NOT NULL DEFAULT now())"
        )
        first.execute(f"INSERT INTO {MARKER} (run) VALUES (%s)".encode(), [run])
    failpoints.hit("postgres.scratch.marked")
    return PostgresScratch(inside, server_url=url, name=name, run=run)


def drop_leftovers(url: str, names: Iterable[str]) -> tuple[str, ...]:
    """As `leftovers.drop_leftovers` says, on the server of `url`."""
    return leftovers.drop_leftovers(PostgresScratchDatabase(url, name) for name in names)


_HAS_KEY = "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(%s) AND contype = 'p')"


class PostgresScratch(PostgresTarget):
    """`migrate.connectors.protocol.Scratch`. `not_restored` names what was left out, and why it could not be made."""

    unlogged = True  # a copy that is dropped again need not survive a crash of the server

    def __init__(self, url: str, *, server_url: str, name: str, run: str) -> None:
        super().__init__(url)
        self.name = name
        self.url = f"{mask(server_url)} ({name})"
        self.not_restored: list[str] = []
        self.around: frozenset[str] = frozenset()
        self._trusted = False
        self._server_url, self._run = server_url, run
        self._plain: set[tuple[str, str]] = set()  # generated columns restored as ordinary ones

    # -- the schema -------------------------------------------------------------------------------

    def restore_schema(self, schema: Schema, trusted: bool = True) -> None:
        """`trusted` (F26): SQL expressions of the schema (defaults, generated columns, and later checks, partial
        indexes …) may run; otherwise `not_restored` names them. What is not an expression, such as a type's
        name, must have its narrow form either way (Corrupt)."""
        self._trusted = trusted
        self._prove_empty()
        self._make_types(schema)
        used = {c.sequence for t in schema.tables for c in t.columns if c.identity}
        for sequence in schema.sequences:
            if sequence.name not in used and not self._has_relation(sequence.name):
                self._run_ddl(
                    f"CREATE SEQUENCE {quote_table(sequence.name)} {ddl.sequence_definition(sequence)[0]}",
                    sequence.name,
                )
        for table in schema.tables:
            self._make_table(table, schema.sequences)
        for sequence in schema.sequences:
            owner = ddl.sequence_definition(sequence)[1]
            if owner:
                self._run_ddl(f"ALTER SEQUENCE {quote_table(sequence.name)} OWNED BY {owner}", sequence.name)
        failpoints.hit("postgres.scratch.tables")

    def _prove_empty(self) -> None:
        with translated("proving that the scratch is empty", where=self.name):
            row = (
                self._side()
                .execute(
                    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                    f"WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '{META}')".encode()
                )
                .fetchone()
            )
        if row is None or row[0]:
            raise GateClosed(
                "the scratch database is not empty, nothing is restored into it", where=self.name
            )

    def _has_relation(self, name: str) -> bool:
        return self._asked("SELECT to_regclass(%s) IS NOT NULL", quote_table(name))

    def _asked(self, question: str, name: str) -> bool:
        with translated("looking into the database", where=self.name):
            row = self._side().execute(question.encode(), [name]).fetchone()
        return row is not None and bool(row[0])

    def _make_types(self, schema: Schema) -> None:
        names = [*schema.table_names, *schema.enums, *(s.name for s in schema.sequences)]
        extensions = [e.partition("@")[::2] for e in schema.extensions]
        for name in sorted({*ddl.schemas(names), *(place for _, place in extensions if place)}):
            if not self._asked("SELECT to_regnamespace(%s) IS NOT NULL", quote(name)):
                self._run_ddl(f"CREATE SCHEMA {quote(name)}", name)
        for name, place in extensions:
            if self._asked("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = %s)", name):
                continue
            if not self._attempt(f"CREATE EXTENSION {quote(name)} SCHEMA {quote(place or 'public')} CASCADE"):
                raise Unreachable(
                    f"extension {name} cannot be made in the scratch database",
                    where=self.name,
                    hint="Install it on that server, or set scratch: to a server that has it.",
                )
        for name, labels in schema.enums.items():
            if self._asked("SELECT to_regtype(%s) IS NOT NULL", quote_table(name)):
                continue  # one that other tables use; the comparison says whether it is the same
            self._run_ddl(
                f"CREATE TYPE {quote_table(name)} AS ENUM ({', '.join(literal(label) for label in labels)})",
                name,
            )

    def _make_table(self, table: Table, sequences: Sequence[SequenceState]) -> None:
        generated = {(table.name, c.name) for c in table.columns if c.generated is not None}
        expressions = [
            f"{table.name}.{c.name}: {'generated column' if c.generated else 'default'}"
            for c in table.columns
            if c.generated is not None or (c.default is not None and c.sequence is None)
        ]
        whole = ddl.create_table(table, unlogged=self.unlogged, trusted=self._trusted, sequences=sequences)
        if self._trusted and self._attempt(whole):
            return
        self._run_ddl(
            ddl.create_table(table, unlogged=self.unlogged, defaults=False, sequences=sequences), table.name
        )
        self._plain |= generated
        self.not_restored += expressions

    # -- the rows ---------------------------------------------------------------------------------

    def restore_rows(self, table: Table, batches: Iterator[pa.RecordBatch]) -> int:
        computed = {
            c.name
            for c in table.columns
            if c.generated is not None and (table.name, c.name) not in self._plain
        }
        feed = Feed(table, computed, batches)
        layout = arrow_schema([c for c in table.columns if c.name not in computed])
        with self._copying() if takes(layout) else self._session() as session:
            try:
                session.execute("BEGIN")
                while (schema := feed.next_schema()) is not None:
                    # one COPY for as many batches as can go straight: the server parses while we encode
                    if len(schema):
                        session.ingest(
                            *split_name(table.name),
                            pa.RecordBatchReader.from_batches(schema, feed.straight()),
                        )
                    if feed.waiting is not None:
                        self._restore_staged(session, table, feed.waiting)
                        feed.waiting = None
                session.execute("COMMIT")
            except SqlError as error:
                if feed.failed is not None:  # the batches' own error, which the driver only passes on as text
                    raise feed.failed from None
                raise raised(error, "restoring rows into the scratch database", where=table.name) from None
        failpoints.hit("postgres.scratch.rows")
        return feed.rows

    @contextmanager
    def _copying(self) -> Iterator[CopySession]:
        session = CopySession(self._url)
        try:
            yield session
        finally:
            session.close()

    @staticmethod
    def _restore_staged(session: Session | CopySession, table: Table, rows: pa.Table) -> None:
        columns = checked(table, rows)
        made = [
            staged(i, c, one_array(v)) for i, (c, v) in enumerate(zip(columns, rows.columns, strict=True))
        ]
        sent = [a for s in made for a in s.arrays]
        session.execute(
            f"CREATE TEMP TABLE migrate_restore ({', '.join(f'{n} {t}' for n, t, _ in sent)}) ON COMMIT DROP"
        )
        session.ingest(
            None, "migrate_restore", pa.table([a for _, _, a in sent], names=[n for n, _, _ in sent])
        )
        session.execute(
            f"INSERT INTO {quote_table(table.name)} ({ddl.columns([c.name for c in columns])}) OVERRIDING SYSTEM VALUE "
            f"SELECT {', '.join(s.value for s in made)} FROM pg_temp.migrate_restore s"
        )
        session.execute("DROP TABLE pg_temp.migrate_restore")

    # -- the constraints --------------------------------------------------------------------------

    def restore_constraints(self, schema: Schema) -> None:
        inside = {*schema.table_names, *self.around}
        for table in schema.tables:
            name = quote_table(table.name)
            if table.primary_key and not self._asked(_HAS_KEY, name):
                self._run_ddl(
                    f"ALTER TABLE {name} ADD PRIMARY KEY ({ddl.columns(table.primary_key)})",
                    f"{table.name}: primary key",
                )
            for unique in table.uniques:
                self._trusted_ddl(
                    ddl.unique(table, unique, trusted=self._trusted), f"{table.name}: {unique.name}"
                )
            for index in table.indexes:
                self._trusted_ddl(
                    ddl.index(table, index, trusted=self._trusted), f"{table.name}: index {index.name}"
                )
            for check in table.checks:
                state = "" if check.validated else " NOT VALID"
                sql = (
                    f"ALTER TABLE {name} ADD CONSTRAINT {quote(check.name)} {check.sql}{state}"
                    if self._trusted
                    else ""
                )
                self._trusted_ddl(sql, f"{table.name}: check {check.name}")
        for table in schema.tables:
            for key in table.foreign_keys:
                if key.ref_table in inside:
                    self._run_ddl(ddl.foreign_key(table, key), f"{table.name}: {key.name}")
                else:
                    self.not_restored.append(
                        f"{table.name}: {key.name} (it refers to {key.ref_table}, which is not among the tables)"
                    )
        for sequence in schema.sequences:
            if sequence.last_value is not None:
                with translated("setting a sequence", where=sequence.name):
                    self._side().execute(
                        "SELECT setval(%s::regclass, %s, true)",
                        [quote_table(sequence.name), sequence.last_value],
                    )
        failpoints.hit("postgres.scratch.constraints")

    def ask(self, sql: str, *, rows: int, seconds: float) -> list[tuple[object, ...]]:
        return first_rows(self._url, sql, rows=rows, seconds=seconds)

    def violations(self) -> list[str]:
        return violations(self._side(), self.schema())

    def drop(self) -> None:
        """Idempotent. Raises GateClosed if the database there does not carry this run's mark."""
        self.close()
        leftovers.drop_own(PostgresScratchDatabase(self._server_url, self.name), self._run)

    # -- helpers ----------------------------------------------------------------------------------

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            found = raised(from_psycopg(error), "restoring into the scratch database", where=what)
            if isinstance(found, GateClosed | Unreachable):
                raise found from None
            raise Unfit(f"the scratch database refused it: {found.message}", where=what) from None

    def _run_ddl(self, sql: str, what: str) -> None:
        with self._naming(what):
            self._side().execute(sql.encode())

    def _trusted_ddl(self, sql: str, what: str) -> None:
        """Data that breaks it is an error; a function that the scratch does not have makes it "not restored"."""
        if not sql:
            self.not_restored.append(what)
            return
        with self._naming(what):
            try:
                self._side().execute(sql.encode())
            except (
                psycopg.errors.UndefinedFunction,
                psycopg.errors.UndefinedObject,
                psycopg.errors.UndefinedTable,
            ):
                self.not_restored.append(f"{what} (it needs an object that is not among the tables)")

    def _attempt(self, sql: str) -> bool:
        try:
            self._side().execute(sql.encode())
        except psycopg.OperationalError as error:
            raise raised(
                from_psycopg(error), "restoring into the scratch database", where=self.name
            ) from None
        except psycopg.Error:
            return False
        return True
