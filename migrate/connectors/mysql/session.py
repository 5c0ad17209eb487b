"""Connections by pymysql, with every setting pinned that decides what values look like.

A server may answer any statement with a wish for a file of this machine (LOAD DATA LOCAL). Only `load` answers
it, and only with the bytes that it was given: pymysql's own handling, which opens whatever file the server
names, stays off.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from socket import gaierror
from threading import Lock
from typing import Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, COMMAND, SERVER_STATUS

from migrate.connectors.mysql.errors import SqlError, from_driver, raised
from migrate.connectors.mysql.types import Server
from migrate.connectors.mysql.url import mask, parameters
from migrate.connectors.mysql.wire import Columns, Rows
from migrate.errors import MigrateError, Transient, Unreachable, UsageError

Value = str | bytes | None
Row = tuple[Any, ...]
_CHUNK = 1 << 20  # bytes of one packet of a load
_STRICT = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO"
_AS_IT_IS = "ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"
WRITING: Mapping[str, str] = {"sql_mode": f"'{_STRICT},NO_ENGINE_SUBSTITUTION'"}
# What is there is read, and put back into a scratch database, as it is: zero dates among it.
READING: Mapping[str, str] = {"sql_mode": f"'{_AS_IT_IS},NO_ENGINE_SUBSTITUTION'"}
_SETTINGS: Mapping[str, str] = {
    "time_zone": "'+00:00'",
    "lock_wait_timeout": "15",
    "innodb_lock_wait_timeout": "15",
    "net_write_timeout": "3600",  # a reader may be busy with what it has got
    "net_read_timeout": "3600",
    "wait_timeout": "2147483",  # the longest: a run's lock goes with its idle connection
    "foreign_key_checks": "1",
    "unique_checks": "1",
    "sql_safe_updates": "0",
    "sql_big_selects": "1",
    "sql_select_limit": "DEFAULT",
    "lc_messages": "'en_US'",  # names of constraints are found by the words around them
    "default_storage_engine": "InnoDB",
}
_MARIADB: Mapping[str, str] = {
    "max_statement_time": "0",
    "idle_transaction_timeout": "0",
    "check_constraint_checks": "1",
    "join_cache_level": "4",  # hash joins, where a key has no index
    "default_tmp_storage_engine": "InnoDB",
}
_MYSQL: Mapping[str, str] = {
    "max_execution_time": "0",
    "information_schema_stats_expiry": "0",  # AUTO_INCREMENT as it is now
    "default_tmp_storage_engine": "InnoDB",
}
_HERE: set[tuple[str, int]] = set()  # sessions that are open: server and number
_HERE_LOCK = Lock()
OLDEST = {"MariaDB": (10, 4), "MySQL": (8, 0, 16)}


def quote(name: str) -> str:
    """An identifier for SQL, always quoted."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text literal for SQL under the pinned sql_mode, where a backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0") + "'"


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Connection(pymysql.connections.Connection):  # type: ignore[misc]
    """Where the URL asks for no certificates, TLS is taken if the server has it, by one context for all connections:
    pymysql makes a new one each time, which reads all the system's certificates (30 ms) and then looks at none."""

    def _create_ssl_ctx(self, sslp: object) -> ssl.SSLContext:
        return sslp if isinstance(sslp, ssl.SSLContext) else _unverified()


class Session:
    """One connection, in autocommit mode until a transaction is begun. Statements raise SqlError, without values."""

    def __init__(self, url: str, settings: Mapping[str, str] = READING) -> None:
        """Raises Unreachable (wrong password, host, database …), UsageError (the URL, a server that is too old)."""
        self.url, self._arguments = url, parameters(url)
        self._connection = self._connect()
        self.server = server_of(str(self._connection.get_server_info()))
        self.warnings = 0  # of the last statement
        self.broken = False  # the connection must not be used again
        self._number = 0
        self._one_at_a_time = Lock()  # a question and its answer; several threads may look into one catalogue
        oldest = OLDEST[self.server.name]
        if self.server.version < oldest:
            self.close()
            version = ".".join(map(str, oldest))
            raise UsageError(f"{self.server.name} older than {version} is not supported", where=mask(url))
        more = _MARIADB if self.server.maria else _MYSQL
        pinned = ", ".join(f"SESSION {k} = {v}" for k, v in {**_SETTINGS, **more, **settings}.items())
        try:
            self.execute(f"SET {pinned}")
            self.execute("SET NAMES utf8mb4")
            (row,) = self.rows(
                "SELECT CONNECTION_ID(), @@max_allowed_packet, @@local_infile, CURRENT_USER(), DATABASE()"
            )
        except SqlError as error:
            self.close()
            raise raised(error, "pinning the session's settings", where=mask(url)) from None
        self.id, self.max_packet, self.takes_files = int(row[0]), int(row[1]), row[2] in ("1", "ON")
        self.user, self.database = str(row[3]), str(row[4])
        with _HERE_LOCK:
            _HERE.add((self._place, self.id))

    def _connect(self) -> Any:
        encoders = {k: v for k, v in pymysql.converters.conversions.items() if not isinstance(k, int)}
        try:
            return _Connection(
                **self._arguments,
                charset="utf8mb4",
                autocommit=True,
                conv=encoders,  # no decoders: every value comes as the server's text
                client_flag=CLIENT.LOCAL_FILES,
                program_name="migrate",
            )
        except (pymysql.MySQLError, OSError, RuntimeError, UnicodeError) as error:
            raise _connect_error(error, self._arguments) from None

    @property
    def driver(self) -> Any:
        """pymysql's connection, for a library that speaks through it. Its errors are not ours."""
        return self._connection

    def next_number(self) -> int:
        """For names of temporary tables, which live as long as the connection."""
        self._number += 1
        return self._number

    @property
    def in_transaction(self) -> bool:
        """As the server reported with its last answer."""
        return bool(self._connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def execute(self, sql: str | bytes) -> int:
        """Rows affected."""
        return self._ask(sql).affected_rows or 0

    def rows(self, sql: str) -> list[Row]:
        """All rows of a small result: text as str, binary as bytes, all other values as the server's text."""
        return list(self._ask(sql).rows or ())

    def value(self, sql: str) -> Any:
        """The one value of a result of one row and column."""
        ((found,),) = self.rows(sql)
        return found

    def _ask(self, sql: str | bytes) -> Any:
        connection = self._connection
        try:
            with self._one_at_a_time:
                connection._execute_command(COMMAND.COM_QUERY, sql)
                result: Any = MySQLResult(connection)
                result.read()
        except (pymysql.MySQLError, OSError, RuntimeError, AttributeError, IndexError) as error:
            raise self._failed(error) from None
        except BaseException:
            self.broken = True  # interrupted between a question and its answer
            raise
        self.warnings = result.warning_count
        if result.server_status is not None:
            connection.server_status = result.server_status
        return result

    def _failed(self, error: Exception) -> SqlError:
        found = from_driver(error, self.server.name)
        self.broken = self.broken or found.lost
        return found

    def stream(self, sql: str) -> Iterator[Columns]:
        """Blocks of rows, each as a list of binary arrays. A result that is not read to its end is cut off."""
        connection = self._connection
        rows: Rows | None = None
        try:
            connection._execute_command(COMMAND.COM_QUERY, sql)
            result: Any = MySQLResult(connection)
            result.init_unbuffered_query()
            result.unbuffered_active = False  # the rows are read here, not by pymysql
            rows = Rows(connection._rfile, result.field_count)
            yield from rows.blocks()
        except (pymysql.MySQLError, OSError, RuntimeError, AttributeError, IndexError) as error:
            if rows is not None:
                rows.ended = True
            raise self._failed(error) from None
        finally:
            if rows is None:
                self.broken = self.broken or connection._sock is None
            elif not rows.ended:
                self._cut_off(rows)

    def _cut_off(self, rows: Rows) -> None:
        """Tell the server to send no more, and read what is on its way: the transaction goes on."""
        try:
            other = _Connection(**self._arguments, autocommit=True)
            with other.cursor() as cursor:
                cursor.execute(f"KILL QUERY {self.id}")
            other.close()
        except (pymysql.MySQLError, OSError, RuntimeError):
            self.broken = True
            self.close()
            return
        try:
            rows.skip()
            self.execute("DO 1")  # takes the order to stop, had the result ended before it came
        except (pymysql.MySQLError, SqlError) as error:
            if error.args[0] != 1317:  # interrupted, as it was told
                self.broken = True

    def load(self, sql: str, data: Iterable[memoryview | bytes]) -> int:
        """LOAD DATA LOCAL INFILE '…' with `data` for the file; rows affected. `warnings` holds their number."""
        connection = self._connection
        try:
            connection._execute_command(COMMAND.COM_QUERY, sql)
            packet = connection._read_packet()
            if packet.is_load_local_packet():
                for piece in data:
                    view = memoryview(piece)
                    for start in range(0, len(view), _CHUNK):
                        connection.write_packet(bytes(view[start : start + _CHUNK]))
                connection.write_packet(b"")
                packet = connection._read_packet()
            result: Any = MySQLResult(connection)
            result._read_ok_packet(packet)
        except (pymysql.MySQLError, OSError, RuntimeError, AttributeError, AssertionError) as error:
            raise self._failed(error) from None
        except BaseException:
            self.broken = True
            self.close()  # a load that is cut off must not look complete
            raise
        self.warnings = result.warning_count
        connection.server_status = result.server_status
        return result.affected_rows or 0

    @property
    def _place(self) -> str:
        return str(self._arguments.get("unix_socket") or (self._arguments["host"], self._arguments["port"]))

    def close(self) -> None:
        with _HERE_LOCK:
            _HERE.discard((self._place, getattr(self, "id", 0)))
        with suppress(pymysql.MySQLError, OSError, AttributeError):
            if self.broken:
                self._connection._force_close()
            else:
                self._connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_here(session: Session) -> list[int]:
    """The server's numbers of all sessions that this process has with the server of `session`: they are in nobody's way."""
    with _HERE_LOCK:
        return sorted(number for place, number in _HERE if place == session._place)


def server_of(text: str) -> Server:
    """`5.5.5-10.11.6-MariaDB-…` (old clients need that prefix) or `8.0.36`."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text.removeprefix("5.5.5-"))
    version = tuple(int(n) for n in found.groups()) if found else (0,)
    return Server("MariaDB" if "mariadb" in text.lower() else "MySQL", version, text.removeprefix("5.5.5-"))


def _connect_error(error: Exception, arguments: Mapping[str, Any]) -> MigrateError:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    place = arguments.get("unix_socket") or f"{arguments['host']}:{arguments['port']}"
    where = f"{place}/{arguments['database']}"
    if number in (1044, 1045, 1698):
        what, hint = (
            "the server does not let this user in",
            "Check user and password in the URL (or the variable it is taken from), and the user's rights on the database.",
        )
    elif number == 1049:
        what, hint = "the server has no such database", "Check the database in the URL."
    elif "cryptography" in str(error):
        what = "the server wants the password encrypted, which needs TLS or the package cryptography"
        hint = "Add ssl_mode=required to the URL, or pip install cryptography."
    elif number == 1040:
        what, hint = (
            "the server has no free connection",
            "Raise max_connections or close others, then run again.",
        )
    elif number in (2002, 2003):
        what, hint = (
            "no server answers there",
            "Check host and port (or unix_socket), and that the server runs and lets this machine in.",
        )
    elif number == 2026 or "SSL" in type(error).__name__:
        what, hint = (
            "the encrypted connection could not be made",
            "Check ssl_mode and the certificates that the URL names.",
        )
    else:
        what, hint = (
            f"the connection failed ({number or type(error).__name__})",
            "Check the URL and the server.",
        )
    passing = number in (1040, 1053, 2002, 2003, 2006, 2013)
    if isinstance(getattr(error, "original_exception", None), gaierror):
        what, hint, passing = "there is no host of that name", "Check the host name in the URL.", False
    kind = Transient if passing else Unreachable
    return kind(f"cannot connect to MySQL or MariaDB: {what}", where=where, hint=hint)


@contextmanager
def translated(doing: str, *, where: str = "", grant: str = "") -> Iterator[None]:
    """Driver errors inside become ours."""
    try:
        yield
    except SqlError as error:
        raise raised(error, doing, where=where, grant=grant) from None
