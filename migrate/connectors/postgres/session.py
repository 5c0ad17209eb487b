"""Connections: psycopg for the catalogue and side sessions, ADBC for rows. Settings are pinned in both.

ADBC runs in autocommit mode with explicit BEGIN: with autocommit off its savepoints fail, and only one
connection can carry receipt, rows and journal in one transaction.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import adbc_driver_manager
import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from migrate.connectors.postgres.errors import SqlError, from_adbc, from_psycopg, raised
from migrate.errors import Transient, Unreachable, UsageError

BATCH_BYTES = 8 << 20  # the driver closes a batch after this many bytes; decoding may widen it up to twofold
SETTINGS: Mapping[str, str] = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    "row_security": "off",  # an error instead of rows that a policy hides
    "lock_timeout": "15s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    # a commit that was answered is on disk: a server may be set to answer before, and forget it in a crash
    "synchronous_commit": "on",
}
READING: Mapping[str, str] = {
    "synchronize_seqscans": "off",  # plain heap order
    "max_parallel_workers_per_gather": "0",
}
_TRANSACTION_STATUS = "adbc.postgresql.transaction_status"


def quote(name: str) -> str:
    """An identifier for SQL, always quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text literal for SQL; the escape form, so that a backslash means itself under any setting."""
    return " E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def split_name(table: str) -> tuple[str, str]:
    """(schema, name) of a table as the model names it: bare in `public`, else schema.name."""
    schema, dot, name = table.partition(".")
    return (schema, name) if dot else ("public", table)


def join_name(schema: str, name: str) -> str:
    """The model's name of a table; one with a dot in it keeps its schema, so that it can be split again."""
    return name if schema == "public" and "." not in name else f"{schema}.{name}"


def quote_table(table: str) -> str:
    schema, name = split_name(table)
    return f"{quote(schema)}.{quote(name)}"


def parameters(url: str) -> dict[str, str]:
    """libpq's parameters of a URL. Raises UsageError, without the URL, if libpq cannot read it."""
    head, separator, rest = url.partition("://")
    if separator:
        url = f"postgresql://{rest}" if head.split("+")[0] in ("postgres", "postgresql") else url
    try:
        found = {k: str(v) for k, v in conninfo_to_dict(url).items() if v is not None}
    except psycopg.Error:
        raise UsageError(
            "the PostgreSQL URL cannot be read",
            where=mask(url),
            hint="It looks like postgresql://user:password@host:5432/database; special characters in the password are written %40 and so on.",
        ) from None
    defaults = {
        "connect_timeout": "10",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
    }
    return {**defaults, "application_name": "migrate", **found}


def grantee(url: str) -> str:
    """The user of a URL as SQL names it; libpq's default where the URL names none."""
    name = parameters(url).get("user") or os.environ.get("PGUSER") or getpass.getuser()
    return quote(name)


def database_of(url: str) -> str:
    found = parameters(url)
    return found.get("dbname") or os.environ.get("PGDATABASE") or found.get("user", "")


def grant_of(right: str, table: str, url: str) -> str:
    """The statement that gives the user of `url` a right on a table."""
    return f"GRANT {right} ON {quote_table(table)} TO {grantee(url)}"


def mask(url: str) -> str:
    """`url` with its password replaced; safe to show."""
    masked = re.sub(r"^([a-z+0-9]+://[^/?#@:]*):(?:[^/?#]*)@", r"\1:***@", url, flags=re.IGNORECASE)
    masked = re.sub(r"^([a-z+0-9]+://[^@:]*):.*@", r"\1:***@", masked, flags=re.IGNORECASE)
    return re.sub(
        r"((?:^|[?&\s])(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^&\s]*)",
        r"\1***",
        masked,
        flags=re.IGNORECASE,
    )


# What a server that restarts, or has too many clients, answers; libpq's words and the server's.
_PASSING = (
    "refused",
    "timeout",
    "timed out",
    "starting up",
    "shutting down",
    "recovery",
    "terminating connection",
    "closed the connection",
    "too many clients",
    "remaining connection slots",
)


def _connect_error(error: psycopg.Error, found: Mapping[str, str]) -> Unreachable:
    place = f"{found.get('host', 'local socket')}:{found.get('port', '5432')}/{found.get('dbname', '')}"
    text = " ".join(str(error).split())
    for secret in (found.get("password"), found.get("sslpassword")):
        if secret:
            text = text.replace(secret, "***").replace(unquote(secret), "***")
    lowered = text.lower()
    passing = any(word in lowered for word in _PASSING)
    if "password" in lowered:
        hint = "Check user and password in the URL (or the variable it is taken from)."
    elif "resolve" in lowered or "name or service" in lowered:
        hint = "Check the host name in the URL."
    elif "refused" in lowered or "timeout" in lowered:
        hint = "Check host and port, and that the server runs and lets this machine in."
    elif "does not exist" in lowered:
        hint = "Check database and user in the URL."
    else:
        hint = "Check the URL and the server."
    kind = Transient if passing else Unreachable
    return kind(f"cannot connect to PostgreSQL: {text}", where=place, hint=hint)


OLDEST = 12  # generated columns, and what the catalogue says of them


def connect(url: str, *, extra: Mapping[str, str] | None = None) -> psycopg.Connection[Any]:
    """A psycopg connection in autocommit mode with pinned settings. Raises Unreachable, UsageError."""
    found = parameters(url)
    try:
        connection = psycopg.connect(make_conninfo(**found), autocommit=True)
    except psycopg.Error as error:
        raise _connect_error(error, found) from None
    if connection.info.server_version < OLDEST * 10_000:
        connection.close()
        raise UsageError(f"PostgreSQL older than {OLDEST} is not supported", where=mask(url))
    with translated("pinning the session's settings"):
        connection.execute(_pin({**SETTINGS, **(extra or {})}))
    return connection


def alive(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server still answers; a connection in the middle of a transaction is not asked."""
    if connection.closed:
        return False
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        return True
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True


def _pin(settings: Mapping[str, str]) -> str:
    values = ", ".join(f"({literal(k)}, {literal(v)})" for k, v in settings.items())
    # through pg_settings, so that a setting which this server does not know yet is passed over; commits that wait for
    # more than the disk (a standby) keep doing so
    return (
        f"SELECT set_config(s.name, v.value, false) FROM (VALUES {values}) v(name, value) "
        "JOIN pg_settings s ON lower(s.name) = v.name WHERE v.name <> 'synchronous_commit' OR s.setting = 'off'"
    )


@contextmanager
def translated(doing: str, *, where: str = "", grant: str = "") -> Iterator[None]:
    """Driver errors inside become ours."""
    try:
        yield
    except psycopg.Error as error:
        raise raised(from_psycopg(error), doing, where=where, grant=grant) from None
    except adbc_driver_manager.Error as error:
        raise raised(from_adbc(error), doing, where=where, grant=grant) from None
    except SqlError as error:
        raise raised(error, doing, where=where, grant=grant) from None


class Session:
    """One ADBC connection. Methods raise SqlError, which carries no values; callers translate it."""

    def __init__(self, url: str, *, settings: Mapping[str, str] | None = None) -> None:
        found = parameters(url)
        self.url = url
        uri = "postgresql://?" + "&".join(f"{k}={_percent(v)}" for k, v in found.items())
        self._streams: set[Any] = set()
        try:
            self._connection = adbc.connect(uri, autocommit=True)
        except adbc_driver_manager.Error:
            connect(url).close()  # says what is wrong in our words
            raise Transient(
                "cannot connect to PostgreSQL", where=mask(url), hint="Run the same command again."
            ) from None
        try:
            self.query(_pin({**SETTINGS, **(settings or {})}))  # a SELECT that nobody reads may not run
        except SqlError as error:
            self.close()
            raise raised(error, "pinning the session's settings") from None

    def execute(self, sql: str) -> int:
        """Rows affected, -1 where the server does not say."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return int(cursor.rowcount)
        except adbc_driver_manager.Error as error:
            raise from_adbc(error) from None

    def query(self, sql: str) -> pa.Table:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                table: pa.Table = cursor.fetch_arrow_table()
                return table
        except adbc_driver_manager.Error as error:
            raise from_adbc(error) from None
        except (pa.ArrowException, OSError) as error:
            raise _from_stream(error) from None

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        cursor = self._connection.cursor()
        self._streams.add(cursor)
        try:
            cursor.adbc_statement.set_options(
                **{adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)}
            )
            cursor.execute(sql)
            yield from _batches(cursor)
        except adbc_driver_manager.Error as error:
            raise from_adbc(error) from None
        except (pa.ArrowException, OSError) as error:
            raise _from_stream(error) from None
        finally:
            self._streams.discard(cursor)
            cursor.close()

    def ingest(self, schema: str | None, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        """COPY `rows` into an existing table, columns by name; `schema` None: a temporary table."""
        options: dict[str, Any] = {"temporary": True} if schema is None else {"db_schema_name": schema}
        try:
            with self._connection.cursor() as cursor:
                cursor.adbc_ingest(table, rows, mode="append", **options)
        except adbc_driver_manager.Error as error:
            raise from_adbc(error) from None
        except (pa.ArrowException, OSError) as error:
            raise _from_stream(error) from None

    @property
    def in_transaction(self) -> bool:
        """A transaction is open and not failed, as the connection itself reports."""
        return bool(self._connection.adbc_connection.get_option(_TRANSACTION_STATUS) == "intrans")

    def finish(self) -> None:
        """Ends streams that nobody reads to their end."""
        for cursor in list(self._streams):
            cursor.close()
        self._streams.clear()

    def close(self) -> None:
        self.finish()
        self._connection.close()


def _batches(cursor: Any) -> Iterator[pa.RecordBatch]:
    """The result's batches. The driver's own reader tells the state of an error in the middle of them; the plain
    one, which is what it hands out, does not."""
    own = getattr(getattr(cursor, "_results", None), "reader", None)
    yield from cursor.fetch_record_batch() if own is None else own


def _from_stream(error: Exception) -> SqlError:
    """An error in the middle of a stream reaches us as Arrow's; its text may hold values, so only the state is kept."""
    found = re.search(r"SQLSTATE:? ?([0-9A-Z]{5})", str(error))
    return SqlError(found.group(1) if found else "", lost=found is None and isinstance(error, OSError))


def _percent(text: str) -> str:
    return "".join(
        c if c.isascii() and c.isalnum() else "".join(f"%{b:02X}" for b in c.encode()) for c in text
    )
