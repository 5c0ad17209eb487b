"""The place of one restore outside a run: named in the ledger before it is made, dropped after it, and found again
after a kill.

Two at the same time never meet: every restore has a name of its own, and holds a lock as long as it lives. What is
left of one whose lock is free is dropped by the next restore that is given the same place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migrate import failpoints
from migrate.api.places import home_to_be
from migrate.connectors.protocol import Scratch
from migrate.connectors.registry import SERVERS, drop_scratch, engine_of, open_scratch
from migrate.durable import disk_errors, make_private_folder
from migrate.errors import UsageError
from migrate.ledger.ledger import Ledger
from migrate.vault.reader import Backup

_OUTSIDE = "outside a run: "  # begins the place of such a scratch in the ledger


@contextmanager
def scratch_for(backup: Backup, url: str | None, home: Path | None, *, run: str) -> Iterator[Scratch]:
    """An empty scratch database of the backup's engine, on the server of `url`, or a private file for SQLite and files.

    `run` says what for, in its marker. Raises UsageError where a server's backup has no `url` or one of another engine,
    Unreachable where the scratch cannot be made."""
    engine = scratch_engine(backup, url)
    work = make_private_folder(make_private_folder(home_to_be(home)) / "work")
    place = _OUTSIDE + _place(engine, url, work)
    with Ledger.open(work.parent / "ledger.db") as ledger:
        _drop_left(ledger, engine, url, work, place)
        name = f"migrate_scratch_{secrets.token_hex(6)}"
        with _alive(work / f"{name}.lock"):
            ledger.put_scratch(name, place, run)
            failpoints.hit("drill.scratch_registered")
            folder = make_private_folder(work / name)
            try:
                scratch = open_scratch(engine, url, folder=folder, name=name, run=run)
                failpoints.hit("drill.scratch_created")
                try:
                    yield scratch
                finally:
                    scratch.drop()
                    failpoints.hit("drill.scratch_dropped")
                    ledger.remove_scratch(name)
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def scratch_engine(backup: Backup, url: str | None) -> str:
    """The engine that the copy is made in. Raises UsageError where `url` does not fit it."""
    engine = backup.manifest.engine
    needed = "sqlite" if engine == "files" else engine
    if url is None and needed in SERVERS:
        raise UsageError(
            f"a backup of {engine} is restored on a server of its own kind, and none was named",
            where=backup.manifest.id,
            kept="Nothing was changed.",
            hint=f"Give --scratch {engine}://…, a server where a database may be made and dropped.",
        )
    if url is not None and engine_of(url) != needed:
        raise UsageError(
            f"a backup of {engine} is not restored in {engine_of(url)}", where=backup.manifest.id
        )
    return engine


def _place(engine: str, url: str | None, work: Path) -> str:
    """The same for the same server, whatever user and password reach it; nothing can be read from it."""
    said = str(work.resolve()) if url is None else re.sub(r"//[^/?#]*@", "//", url)
    return hashlib.sha256(f"{engine} {said}".encode()).hexdigest()[:16]


@contextmanager
def _alive(path: Path) -> Iterator[None]:
    """Holds the lock that says that its maker lives."""
    with disk_errors("Making the lock", path):
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def is_alive(home: Path, name: str) -> bool:
    """Whether the restore with the scratch database `name` goes on."""
    lock = home / "work" / f"{name}.lock"
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _drop_left(ledger: Ledger, engine: str, url: str | None, work: Path, place: str) -> None:
    """What killed restores left in this place."""
    for left in ledger.scratches():
        if left.location != place or not re.fullmatch(r"migrate_scratch_[0-9a-f]{12}", left.name):
            continue
        lock = work / f"{left.name}.lock"
        with disk_errors("Looking at the lock", lock):
            handle = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # it lives
        else:
            if not drop_scratch(engine, url, folder=work / left.name, name=left.name):
                continue  # still in use: the next one asks again
            shutil.rmtree(work / left.name, ignore_errors=True)
            ledger.remove_scratch(left.name)
            lock.unlink(missing_ok=True)
        finally:
            os.close(handle)
