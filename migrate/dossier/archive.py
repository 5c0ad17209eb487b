"""The archive of a dossier: the same files give the same bytes, and nothing else is taken for one.

Entries are stored, not compressed, sorted by name, without times and extra fields. So an archive cannot unpack into more
than it is, and reading is strict: what was read is written again, and has to give the very bytes that were read. Whatever
an archive can hold besides its files (bytes before, between or behind them, a second entry of a name, comments) shows.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from migrate import failpoints
from migrate.durable import atomic_file
from migrate.errors import Corrupt, Unreachable, UsageError

LIMIT = 256 << 20  # bytes of a whole archive; it is read into memory
MAX_FILES = 20_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){0,4}")
_NAME_LIMIT = 400
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
HINT = "Ask its sender for the file as `migrate report --bundle` wrote it."


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Wholly or not at all, for the owner alone (0600). Raises Unreachable, UsageError where it would be too large."""
    data = pack(files)
    if len(data) > LIMIT:
        raise UsageError(
            f"the dossier would have {len(data):,} bytes, the limit is {LIMIT:,}", where=str(path)
        )
    failpoints.hit("dossier.built")
    with atomic_file(path, point="dossier") as temporary:
        temporary.write_bytes(data)


def read_archive(path: Path) -> dict[str, bytes]:
    """Name → bytes. Raises Corrupt for everything that `write_archive` does not write, Unreachable, UsageError."""
    data = _bytes_of(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = _entries(archive, len(data), path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError, OSError) as error:
        raise Corrupt("this is no whole archive", where=str(path), hint=HINT) from error
    if pack(files) != data:
        raise Corrupt(
            "the archive is not as it was written: something lies before, between or behind its files, or it was packed anew",
            where=str(path),
            hint=HINT,
        )
    return files


def pack(files: Mapping[str, bytes]) -> bytes:
    """The one archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever this is
            entry.external_attr = 0o100600 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except FileNotFoundError as error:
        raise UsageError("there is no such file", where=str(path)) from error
    except OSError as error:
        raise Unreachable(f"the file cannot be read: {error.strerror}", where=str(path)) from error
    if len(data) > LIMIT:
        raise Corrupt(f"it is larger than any dossier ({LIMIT:,} bytes)", where=str(path), hint=HINT)
    return data


def _entries(archive: zipfile.ZipFile, size: int, path: Path) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MAX_FILES:
        raise Corrupt(f"it has {len(infos):,} files, more than any dossier", where=str(path), hint=HINT)
    room = size
    files: dict[str, bytes] = {}
    for info in infos:
        name = info.orig_filename
        shown = f"{path}: {name[:200]!r}"
        if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name) or name != info.filename:
            raise Corrupt("a file of this name does not belong into a dossier", where=shown, hint=HINT)
        if name in files:
            raise Corrupt("the archive has two files of one name", where=shown, hint=HINT)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits or info.file_size != info.compress_size:
            raise Corrupt("this file is packed as no dossier packs it", where=shown, hint=HINT)
        room -= info.file_size
        if room < 0:
            raise Corrupt("its files say that they are larger than the archive", where=shown, hint=HINT)
        try:
            files[name] = archive.read(info)
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise Corrupt(
                "this file was changed: its bytes are not what the archive recorded", where=shown
            ) from error
    return files
