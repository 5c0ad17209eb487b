"""A folder as an object store: atomic, on disk when a call returns, private (0700/0600)."""

from __future__ import annotations

import errno
import os
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeVar

from migrate import durable, failpoints
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.stores import names

_TRIES = 30
_PAUSE = 0.005
_T = TypeVar("_T")


class LocalStore:
    """Implements `Store`. The folder itself may be a symbolic link, nothing below it may."""

    at_once = 1

    def __init__(self, folder: Path) -> None:
        """Makes the folder if it is missing. Raises Unreachable."""
        self.folder = durable.make_private_folder(folder.resolve())
        self.location = str(self.folder)

    def put_file(self, name: str, path: Path, *, sha256: str, link: bool = False) -> None:
        if link and durable.sha256_file(path) != sha256:
            raise _not_as_said(path)
        self._put(name, lambda target: self._put_file(target, path, sha256, link))

    def _put_file(self, target: Path, path: Path, sha256: str, link: bool) -> None:
        if link:
            durable.link_or_copy(path, target, "store.put_file")
            return
        with durable.atomic_file(target, point="store.put_file") as temporary:
            with durable.disk_errors("Reading the file", path):
                durable.copy_bytes(path, temporary)
            if durable.sha256_file(temporary) != sha256:
                raise _not_as_said(path)

    def put_bytes(self, name: str, data: bytes) -> None:
        self._put(name, lambda target: durable.write_bytes(target, data, point="store.put_bytes"))

    def put_if_absent(self, name: str, data: bytes) -> bool:
        return self._put(
            name, lambda target: durable.write_bytes_if_absent(target, data, point="store.put_if_absent")
        )

    @contextmanager
    def open_read(self, name: str) -> Iterator[BinaryIO]:
        path = self._existing(name)
        with durable.disk_errors("Reading the object", path):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(fd, "rb") as file:
            yield file

    def read_bytes(self, name: str, *, limit: int) -> bytes:
        with self.open_read(name) as file, durable.disk_errors("Reading the object", self.folder / name):
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Corrupt(
                f"the object is longer than the {limit} bytes it may have.", where=str(self.folder / name)
            )
        return data

    def fetch(self, name: str, to: Path) -> None:
        source = self._existing(name)
        durable.make_private_folder(to.parent)
        with (
            durable.atomic_file(to, point="store.fetch") as temporary,
            durable.disk_errors("Reading the object", source),
        ):
            durable.copy_bytes(source, temporary)

    def exists(self, name: str) -> bool:
        path = self._path(name)
        return path.is_file() and not path.is_symlink()

    def size(self, name: str) -> int:
        return self._stat(name).st_size

    def age(self, name: str) -> float:
        # ctime too: a link keeps the time at which its bytes were written, but was put only now
        found = self._stat(name)
        return max(0.0, self._now() - max(found.st_mtime, found.st_ctime))

    def list(self, prefix: str = "") -> list[str]:
        start = self.folder
        for part in prefix.split("/")[:-1]:
            if part in ("", ".", ".."):
                raise UsageError(f"{prefix[:100]!r} is no prefix of objects' names.")
            start = start / part
            if start.is_symlink():
                return []
        with durable.disk_errors("Listing the objects", start):
            found = [path.relative_to(self.folder).as_posix() for path in _walk(start)]
        return sorted(name for name in found if name.startswith(prefix))

    def version(self, name: str) -> str:
        self._existing(name)
        return ""

    def at(self, versions: Mapping[str, str]) -> LocalStore:
        """A folder keeps no versions: what a manifest says of them is of no use here, hashes tell what is wrong."""
        del versions
        return self

    def delete(self, name: str) -> None:
        path = self._path(name)
        with durable.disk_errors("Deleting the object", path):
            path.unlink(missing_ok=True)
            failpoints.hit("store.delete.deleted")
            with suppress(FileNotFoundError):
                durable.fsync_folder(path.parent)
            folder = path.parent
            with suppress(FileNotFoundError):  # others remove and fill it too
                while folder != self.folder and not any(folder.iterdir()):
                    if not _removed(folder):
                        break
                    folder = folder.parent
        failpoints.hit("store.delete.folder_fsynced")

    def tidy(self, *, older_than: float) -> int:
        swept = 0
        now = self._now()
        with durable.disk_errors("Tidying the store", self.folder):
            for left in self.folder.rglob(f"{durable.TEMPORARY_PREFIX}*"):
                if now - left.lstat().st_ctime > older_than:
                    left.unlink(missing_ok=True)
                    swept += 1
        return swept

    def _now(self) -> float:
        """By the clock that the files' times are of."""
        return time.time() + self._ahead

    @cached_property
    def _ahead(self) -> float:
        """Seconds by which that clock is ahead of this machine's: a folder on a server has the server's."""
        probe = self.folder / f"{durable.TEMPORARY_PREFIX}{secrets.token_hex(8)}"  # swept if it is left
        before = time.time()
        try:
            with probe.open("xb"):
                found = probe.stat().st_mtime
            probe.unlink()
        except OSError:  # nothing may be written here: ages are told by this machine's clock
            return 0.0
        after = time.time()
        return 0.0 if before - 1 <= found <= after + 1 else found - after

    def _path(self, name: str) -> Path:
        """The place of `name`; Corrupt where a symbolic link lies on the way."""
        path = self.folder
        for part in names.checked(name):
            path = path / part
            if path.is_symlink():
                raise Corrupt(
                    "there is a symbolic link where an object or its folder belongs.", where=str(path)
                )
        return path

    def _put(self, name: str, write: Callable[[Path], _T]) -> _T:
        """`write` to the place of `name`; again where somebody removed the folder, empty as it was, in between.

        Whether the folder is there by now says nothing: a third one may have made it again. A file that
        is missing for another reason (the one to be put) is still missing at the last try, and said then."""
        for _ in range(_TRIES):
            try:
                return write(self._place(name))
            except Unreachable as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
                time.sleep(random.uniform(0, _PAUSE))
        return write(self._place(name))

    def _place(self, name: str) -> Path:
        path = self._path(name)
        durable.make_private_folder(path.parent)
        return path

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_file():
            raise Corrupt("the object is missing.", where=str(path))
        return path

    def _stat(self, name: str) -> os.stat_result:
        path = self._existing(name)
        with durable.disk_errors("Looking at the object", path):
            return path.lstat()


def _not_as_said(path: Path) -> Corrupt:
    return Corrupt("the file is no longer what was written: its SHA-256 differs.", where=str(path))


def _removed(folder: Path) -> bool:
    """False where somebody put something into it just now."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below `folder` that is no real folder, without our own half-written files. What goes meanwhile may be missing."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path)
        elif not (entry.name.startswith(durable.TEMPORARY_PREFIX) and entry.is_file(follow_symlinks=False)):
            yield path
