"""A real MariaDB or MySQL server for tests: the one that is named; else a private one, in memory, of the programs
that are installed; else one that runs here. `MIGRATE_TEST_MARIADB` is a URL."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql
from migrate.connectors.mysql.url import parameters, with_database

from tests import services

LOCAL = "mysql://root@127.0.0.1:3306/mysql"
_PREFIX = "migrate-my-"
_START_SECONDS = 60.0


def connect(url: str, **more: Any) -> Any:
    """A plain pymysql connection in autocommit mode, with the server's own settings."""
    return pymysql.connect(
        **{"ssl_disabled": True} | parameters(url), charset="utf8mb4", autocommit=True, **more
    )


def fill(url: str, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    """The statement for each of the rows, committed together."""
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
        connection.commit()
    finally:
        connection.close()


def execute(url: str, *statements: str) -> None:
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def query(url: str, text: str, *, plain: bool = False) -> list[dict[str, Any]]:
    """`plain`: values as the server's own texts."""
    encoders = {k: v for k, v in pymysql.converters.conversions.items() if not isinstance(k, int)}
    more = {"conv": encoders} if plain else {}
    connection = connect(url, cursorclass=pymysql.cursors.DictCursor, **more)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(text)
            return list(cursor.fetchall())
    finally:
        connection.close()


def is_mysql(url: str) -> bool:
    """MySQL, which is not MariaDB: it has no uuid, inet6 or sequences, and keeps JSON as values."""
    return "mariadb" not in str(query(url, "SELECT VERSION() AS v")[0]["v"]).lower()


def bytewise(url: str) -> str:
    """The collation of utf8mb4 that compares bytes, blanks at the end among them."""
    return "utf8mb4_0900_bin" if is_mysql(url) else "utf8mb4_nopad_bin"


def numbers(count: int) -> str:
    """A table for FROM, of 1 … `count` as n: of tens, for MySQL has no sequences and stops recursion at 1,000."""
    ten = f"({' UNION ALL '.join(f'SELECT {n} AS d' for n in range(10))})"
    power = len(str(count))
    value = " + ".join(f"{10**i} * t{i}.d" for i in range(power))
    tens = ", ".join(f"{ten} t{i}" for i in range(power))
    return f"(SELECT 1 + {value} AS n FROM {tens}) numbers WHERE n <= {count}"


def answers(url: str) -> bool:
    try:
        connect(url).close()
    except pymysql.MySQLError:
        return False
    return True


def create_database(server: str, name: str) -> str:
    """Its URL."""
    execute(server, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    return with_database(server, name)


def copy_database(server: str, name: str, template: str) -> None:
    """All tables of the database `template`, with their rows, in a new one."""
    execute(server, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    inside = with_database(server, name)
    tables = [
        r["name"]
        for r in query(
            server,
            f"SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{template}'",
        )
    ]
    made = [query(server, f"SHOW CREATE TABLE `{template}`.`{t}`")[0]["Create Table"] for t in tables]
    execute(
        inside,
        "SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        *made,
        *(f"INSERT INTO `{t}` SELECT * FROM `{template}`.`{t}`" for t in tables),
    )


def drop_database(server: str, name: str) -> None:
    """Idempotent."""
    execute(server, f"DROP DATABASE IF EXISTS `{name}`")


@cache
def mariadb_url() -> str | None:
    """An administrator's URL of a server, None if there is none to be had."""
    if wish := os.environ.get("MIGRATE_TEST_MARIADB", ""):
        return wish
    programs = installed()
    if programs is not None:
        return start_private(*programs)[0]
    return LOCAL if answers(LOCAL) else None


def installed() -> tuple[str, str] | None:
    """(server, installer) of the MariaDB that a package manager put here."""
    place = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/libexec"
    server = shutil.which("mariadbd", path=place)
    installer = shutil.which("mariadb-install-db", path=place)
    return (server, installer) if server and installer else None


def start_private(server: str, installer: str) -> tuple[str, Callable[[], None]]:
    """Start a server of our own on a free loopback port; (url, stop). It also stops when the process ends."""
    place = services.memory() or "/tmp"
    services.sweep(Path(place), _PREFIX)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
    data = folder / "data"
    data.mkdir()
    # A server that starts removes what others left in its folder for temporary files, also what others still use.
    own = folder / "tmp"
    own.mkdir()
    environment = os.environ | {"TMPDIR": str(own)}
    me = pwd.getpwuid(os.geteuid()).pw_name
    made = subprocess.run(
        [
            installer,
            "--no-defaults",
            f"--datadir={data}",
            f"--user={me}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ],
        capture_output=True,
        text=True,
        env=environment,
    )
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"mariadb-install-db failed: {made.stderr.strip()[-2000:]}")
    port = services.free_port()
    options = [
        f"--datadir={data}",
        f"--user={me}",
        f"--port={port}",
        f"--socket={folder / 's'}",
        f"--pid-file={folder / 'pid'}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        # A throw-away server; kills of our own processes do not touch it.
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-innodb-doublewrite",
        "--innodb-buffer-pool-size=64M",
        "--innodb-log-file-size=16M",
        "--max-connections=200",
        "--character-set-server=utf8mb4",
        "--local-infile=1",
    ]
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [server, "--no-defaults", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
            preexec_fn=partial(services.end_with_parent, signal.SIGTERM),  # it takes SIGINT for nothing
        )

    def stop() -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    url = f"mysql://root@127.0.0.1:{port}/mysql"
    deadline = time.monotonic() + _START_SECONDS
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            text = log_path.read_text(errors="replace")[-2000:]
            stop()
            raise RuntimeError(f"the private MariaDB did not start: {text}")
        time.sleep(0.1)
    return url, stop


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]
