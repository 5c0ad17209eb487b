"""Files inside compressed ones: `people.csv.gz`, and one member of a `.zip`. Unpacked as they are read, never to disk.

A packed file may unpack to far more than anybody meant (a zip bomb of 10 MB holds 10 GB). So an
unpacked file that is larger than LIMIT is refused where it is also more than RATIO times its packed
size, which no table of real data is; and what has to be in memory as a whole has LIMIT as its end.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from migrate.durable import disk_errors
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.mapping.shapes import nearest

LIMIT, RATIO = 1 << 30, 200
# What the standard library raises for packed bytes that make no sense.
DAMAGE = (
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class Packed:
    """The file in a `.gz`, or `member` of a `.zip`. Its text, for messages, is the path with the member behind it."""

    path: Path
    member: str = ""

    @property
    def suffix(self) -> str:
        """Of the file inside."""
        return PurePosixPath(self.member or self.path.stem).suffix

    def __str__(self) -> str:
        return f"{self.path}/{self.member}" if self.member else str(self.path)


Place = Path | Packed  # where the bytes of a table lie


def file_of(place: Place) -> Path:
    return place.path if isinstance(place, Packed) else place


def members(path: Path) -> list[str]:
    """The files in a zip, in its order; folders, hidden files and what macOS adds are none. Raises Corrupt."""
    with _opened(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    return [
        n for n in names if not any(p.startswith((".", "__MACOSX", "~$")) for p in PurePosixPath(n).parts)
    ]


def member_of(path: Path, wanted: str | None, is_table: Callable[[str], bool]) -> str:
    """The member `wanted`, or the only one that is a table. Raises UsageError naming what there is."""
    there = members(path)
    if wanted is not None:
        if wanted in there:
            return wanted
        near = nearest(wanted, there)
        raise UsageError(
            f"the zip has no member {wanted}.",
            where=str(path),
            hint=f"Did you mean {near}?" if near else f"It holds {_listed(there)}.",
        )
    tables = [name for name in there if is_table(name)]
    if not tables:
        raise UsageError(f"the zip holds no table, but {_listed(there)}.", where=str(path))
    if len(tables) > 1:
        raise UsageError(
            f"the zip holds {len(tables)} tables: {_listed(tables)}.",
            where=str(path),
            hint=f"Say which one in the mapping: {{file: {path.name}, member: {tables[0]}}}.",
        )
    return tables[0]


def unpacked(place: Packed, size: int) -> Iterator[bytes]:
    """The bytes inside in blocks of `size`. Raises Corrupt where they are damaged or end too early, Unreachable where
    a password is needed, UsageError for far more bytes than any table has (see above)."""
    with _reading(place):
        if place.member:
            with _opened(place.path) as archive:
                info = archive.getinfo(place.member)
                with archive.open(info) as stream:
                    yield from _bounded(lambda: stream.read(size), place, info.compress_size)
        else:
            with gzip.open(place.path) as stream:
                yield from _bounded(lambda: stream.read(size), place, place.path.stat().st_size)


def whole(place: Place, size: int = 8 << 20) -> bytes:
    """All bytes, for files that cannot be read as a stream (Excel, Parquet in a zip). Raises as `unpacked`."""
    if isinstance(place, Path):
        with disk_errors("Reading the file", place):
            return place.read_bytes()
    found = bytearray()
    for block in unpacked(place, size):
        found += block
        if len(found) > LIMIT:
            raise UsageError(
                f"the file inside is larger than {LIMIT >> 20} MiB, more than can be read there.",
                where=str(place),
                hint="Unpack it, and name the unpacked file in the mapping.",
            )
    return bytes(found)


def _bounded(read: Callable[[], bytes], place: Packed, packed: int) -> Iterator[bytes]:
    given = 0
    while block := read():
        given += len(block)
        if given > LIMIT and given > packed * RATIO:
            raise UsageError(
                f"the file unpacks to more than {RATIO} times its {packed:,} bytes: it looks like a zip bomb.",
                where=str(place),
                kept="Unpacking was stopped.",
                hint="If it is meant, unpack it, and name the unpacked file in the mapping.",
            )
        yield block


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _reading(path), zipfile.ZipFile(path) as archive:
        yield archive


@contextmanager
def _reading(place: Place) -> Iterator[None]:
    """What the libraries raise, in our words. OSError of the disk too; BadGzipFile is one by its class."""
    kind = "zip" if file_of(place).suffix.lower() == ".zip" else "gzip"
    try:
        with disk_errors("Reading the file", file_of(place)):
            try:
                yield
            except (*DAMAGE, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # the disk's, not the bytes'
                ends = isinstance(error, EOFError)
                raise Corrupt(
                    f"the {kind} file ends too early: it is not whole."
                    if ends
                    else f"the {kind} file is damaged, or is none.",
                    where=str(place),
                    kept="Nothing of it is used.",
                    hint="Export or copy it again.",
                ) from None
    except NotImplementedError:
        raise UsageError(
            "the zip is packed in a way that cannot be read here.",
            where=str(place),
            hint="Unpack it, or pack it with the usual method (deflate).",
        ) from None
    except RuntimeError as error:
        if "password" not in str(error):
            raise
        raise Unreachable(
            "the zip is protected by a password.", where=str(place), hint="Unpack it, or pack it without one."
        ) from None


def _listed(names: list[str], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more if names else "nothing"
