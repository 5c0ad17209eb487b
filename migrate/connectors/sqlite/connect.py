"""Opening SQLite files: never created by reading, never followed by silence."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from migrate.connectors.sqlite.errors import translated
from migrate.errors import Unreachable, UsageError

LOCK_SECONDS = 10.0  # how long a lock of another process is waited for
_PREFIX = "sqlite:///"


def path_of(url: str, base: Path | None) -> Path:
    """The file a URL `sqlite:///path` names; relative paths start at `base`. Raises UsageError."""
    if not url.startswith(_PREFIX) or not url.removeprefix(_PREFIX):
        raise UsageError("an SQLite URL is sqlite:///relative/path or sqlite:////absolute/path", where=url)
    text = url.removeprefix(_PREFIX)
    if text.startswith(":memory:") or "\0" in text:
        raise UsageError("an SQLite database here is a file", where=url)
    path = Path(text).expanduser()
    return path if path.is_absolute() else (base or Path.cwd()) / path


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """An existing database file. Raises Unreachable (missing, no permission, locked) or Corrupt (not SQLite)."""
    where = str(path)
    try:
        there = path.is_file()
    except PermissionError as error:  # a folder above it may not be entered
        raise Unreachable(
            "no permission to reach this database file",
            where=where,
            hint="The user who runs this needs the right to enter every folder above it.",
        ) from error
    if not there:
        raise Unreachable(
            "there is no such database file",
            where=where,
            hint="Check the path; it is never created by reading.",
        )
    mode = "rw" if write else "ro"
    with translated(where):
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,  # transactions are said, never implied
            timeout=LOCK_SECONDS,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(
                "PRAGMA temp_store = MEMORY"
            )  # batches are bounded; their values stay off the disk
            connection.execute("PRAGMA schema_version").fetchone()  # the first read of the file
        except BaseException:
            connection.close()
            raise
    return connection
