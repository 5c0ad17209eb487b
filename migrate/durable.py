"""Files that are either wholly there or not there at all, also after a crash or a power cut.

The order everywhere: data → fsync → rename → fsync of the folder; only then may a ledger row speak
of the file. An fsync that failed is never tried again: the kernel may have dropped the dirty pages
and would report success the second time (https://wiki.postgresql.org/wiki/Fsync_Errors).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from migrate import failpoints
from migrate.errors import Unreachable

TEMPORARY_PREFIX = ".tmp-"
_DEVICE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG})


def disk_error(error: OSError, doing: str, path: Path) -> Unreachable:
    """The error of the disk as one that the user can act on. Raise it `from` the original."""
    hint = {
        errno.ENOSPC: "Free some space and run the same command again.",
        errno.EDQUOT: "Free some of the quota and run the same command again.",
        errno.EIO: "Check the disk before running the same command again.",
        errno.EACCES: "Check who owns the folder.",
        errno.EPERM: "Check who owns the folder.",
        errno.EROFS: "The file system is mounted read-only.",
    }.get(error.errno or 0, "")
    what = os.strerror(error.errno) if error.errno else type(error).__name__
    return Unreachable(f"{doing} failed: {what}.", where=str(path), hint=hint)


@contextmanager
def disk_errors(doing: str, path: Path) -> Iterator[None]:
    """Turns every OSError of the body into Unreachable naming `path`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, doing, path) from error


def make_private_folder(path: Path) -> Path:
    """`path` and its missing parents, 0700 each, on disk when it returns. Idempotent.

    An existing folder of ours that others can enter is closed to 0700. Raises Unreachable."""
    with disk_errors("Making the folder", path):
        missing = []
        at = path
        while not at.exists():
            missing.append(at)
            at = at.parent
        for folder in reversed(missing):
            with suppress(FileExistsError):  # another thread made it meanwhile
                folder.mkdir(mode=0o700)
            fsync_folder(folder.parent)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)
    return path


@contextmanager
def atomic_file(path: Path, *, point: str, mode: int = 0o600) -> Iterator[Path]:
    """Gives the path of an empty temporary file beside `path`; the body writes it; then it becomes `path`.

    On any error nothing new is under `path`: the temporary file goes, and what was there before
    stays (only where the last fsync, that of the folder, fails over an older file, the new one has
    already taken its place, complete). Raises Unreachable for a full or failing disk; other
    errors of the body pass through. Passes `{point}.written`, `.fsynced`, `.renamed`, `.folder_fsynced`.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    with disk_errors("Creating the file", path):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, mode))
    fresh, renamed = not os.path.lexists(path), False
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno in _DEVICE_ERRORS:
                raise disk_error(error, "Writing the file", path) from error
            raise
        with disk_errors("Writing the file", path):
            failpoints.hit(f"{point}.written")
            temporary.chmod(mode)
            _fsync_file(temporary)
            failpoints.hit(f"{point}.fsynced")
            temporary.rename(path)
            renamed = True
            temporary.unlink(missing_ok=True)  # rename does nothing where both names are one file already
            failpoints.hit(f"{point}.renamed")
            fsync_folder(path.parent)
            failpoints.hit(f"{point}.folder_fsynced")
    except BaseException:
        with suppress(OSError):  # the first error is the one to report
            temporary.unlink(missing_ok=True)
            if renamed and fresh:
                path.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes, *, point: str, mode: int = 0o600) -> None:
    """`data` under `path`, wholly or not at all; see `atomic_file`. Raises Unreachable."""
    with atomic_file(path, point=point, mode=mode) as temporary, temporary.open("wb") as file:
        file.write(data)


def write_bytes_if_absent(path: Path, data: bytes, *, point: str) -> bool:
    """`data` under `path` if nothing is there; of several callers exactly one gets True. Raises Unreachable.

    Passes `{point}.written`, `.fsynced`, `.linked`, `.folder_fsynced`."""
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    linked = False
    try:
        with disk_errors("Writing the file", path):
            fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                failpoints.hit(f"{point}.written")
                os.fsync(file.fileno())
            failpoints.hit(f"{point}.fsynced")
            try:
                os.link(temporary, path)  # fails where the name is taken, unlike rename
            except FileExistsError:
                return False
            linked = True
            temporary.unlink()
            failpoints.hit(f"{point}.linked")
            fsync_folder(path.parent)
            failpoints.hit(f"{point}.folder_fsynced")
            return True
    except BaseException:
        if linked:
            with suppress(OSError):  # the first error is the one to report
                path.unlink(missing_ok=True)
        raise
    finally:
        with suppress(OSError):  # a sweep takes what cannot be removed now
            temporary.unlink(missing_ok=True)


def link_or_copy(src: Path, dst: Path, point: str) -> None:
    """`dst` becomes the same bytes as `src`: a hard link on the same file system, else a copy; 0600, on disk.

    Only for files of our own that nobody changes in place (a link shares the bytes). Replaces
    `dst`. Raises Unreachable, also where `src` is missing or is a symbolic link."""
    with atomic_file(dst, point=point) as temporary, disk_errors("Copying the file", src):
        if src.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        temporary.unlink()
        try:
            os.link(src, temporary, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise
            copy_bytes(src, temporary)


def copy_bytes(src: Path, dst: Path) -> None:
    """A plain private copy, not yet durable. Raises OSError."""
    fd = os.open(dst, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with src.open("rb") as source, os.fdopen(fd, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of the file's bytes. Raises Unreachable where it cannot be read."""
    with disk_errors("Reading the file", path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sweep_temporaries(folder: Path) -> int:
    """Removes what a killed process left half written in `folder` (not below it); returns how many."""
    swept = 0
    with disk_errors("Cleaning the folder", folder):
        for left in folder.glob(f"{TEMPORARY_PREFIX}*"):
            left.unlink(missing_ok=True)
            swept += 1
    return swept


def _fsync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_folder(path: Path) -> None:
    """Makes names that came or went in the folder durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


WORK = ("create-", "replace-")  # what `work_folder` makes and sweeps


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A private folder in `parent` that goes at the end. Those that a killed process left (rows on their way to a vault,
    the password file of an engine's own program) go when the next one begins: a living process holds its own locked."""
    assert prefix in WORK
    with _locked(
        make_private_folder(parent), wait=True
    ):  # between making a folder and locking it nobody sweeps
        for left in list(parent.iterdir()):
            if left.name.startswith(WORK) and left.is_dir() and not left.is_symlink():
                with (
                    suppress(FileNotFoundError),
                    _locked(left, wait=False) as free,
                ):  # its owner ends just now
                    if free:
                        shutil.rmtree(left)
        made = tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
        alive = os.open(made.name, os.O_RDONLY)
        fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        with made as name:
            failpoints.hit("durable.work_folder")
            yield Path(name)
    finally:
        os.close(alive)


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Is it ours until the end? False where another process holds it and we do not wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(handle)
