"""The bytes of a file: pinned by SHA-256, and as blocks of UTF-8 or of another encoding that the scanner can read.

The scanner needs encodings in which delimiter, quote and line ends are single bytes that never occur
inside another character. That holds for UTF-8 and the one-byte code pages; UTF-16 and UTF-32 are
turned into UTF-8 on the way, and `original` turns a record back into its bytes.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from migrate import failpoints
from migrate.connectors.files.packed import Packed, Place, unpacked
from migrate.durable import disk_errors
from migrate.errors import Drift, UsageError

BLOCK = 8 << 20
# East Asian encodings whose second bytes are 0x40 and above: safe for every delimiter but | and letters
_TWO_BYTE = frozenset({"shift_jis", "cp932", "euc_jp", "gbk", "gb2312", "gb18030", "big5", "euc_kr", "cp949"})
_LINE_END = re.compile(rb"\r\n|\r|\n")
_WIDE_BOMS = (  # the longer first: UTF-32 LE begins like UTF-16 LE
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Pinned:
    """A file as it was when it was hashed."""

    path: Path  # absolute
    bytes: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Encoding:
    """`codec` decodes what the scanner sees; `wide` names the UTF-16/32 form that the file itself has."""

    codec: str
    bom: int = 0  # bytes of the mark at the start of the file
    wide: str | None = None

    @property
    def utf8(self) -> bool:
        return self.codec == "utf-8"

    def original(self, record: bytes) -> bytes:
        """The bytes of the file for a record of scanned bytes."""
        if self.wide is None:
            return record
        # \xff, never part of UTF-8, stands for one byte of an incomplete character
        return b"".join(_encoded(piece, self.wide) for piece in _pieces(record))


def pin(path: Path) -> Pinned:
    """Hash the file. Raises Unreachable where it cannot be read."""
    with disk_errors("Reading the file", path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        stat = path.stat()
        size = file.tell()
    failpoints.hit("files.pin.hashed")
    return Pinned(path, size, stat.st_mtime_ns, digest)


def raw_blocks(path: Place, size: int = BLOCK, expect: Pinned | None = None) -> Iterator[bytes]:
    """The file from its first to its last byte, unpacked. With `expect`: raises Drift, before the last
    block is given, where the bytes are not those that were pinned."""
    if isinstance(path, Packed):
        yield from _unpacked(path, size, expect)
        return
    digest = hashlib.sha256()
    with disk_errors("Reading the file", path), path.open("rb") as file:
        block = file.read(size)
        while block:
            failpoints.hit("files.read.block")
            if expect is not None:
                digest.update(block)
            following = file.read(size)
            if not following and expect is not None and digest.hexdigest() != expect.sha256:
                raise changed(path)
            yield block
            block = following


def _unpacked(place: Packed, size: int, expect: Pinned | None) -> Iterator[bytes]:
    """The pinned bytes are those of the packed file: it is hashed once more, now that it has been read."""
    held: bytes | None = None
    for block in unpacked(place, size):
        failpoints.hit("files.read.block")
        if held is not None:
            yield held
        held = block
    if expect is not None and pin(place.path).sha256 != expect.sha256:
        raise changed(place.path)
    if held is not None:
        yield held


def after_lines(stream: Iterable[bytes], count: int) -> Iterator[bytes]:
    """What the scanner sees, without its first `count` lines (ended by LF, CRLF or a lone CR)."""
    held = b""
    for block in stream:
        data, at, held = held + block, 0, b""
        while count and at < len(data):
            end = _LINE_END.search(data, at)
            if end is None:
                at = len(data)
            elif end.end() == len(data) and end.group() == b"\r":
                at, held = len(data), b"\r"  # a LF may follow
            else:
                at, count = end.end(), count - 1
        if at < len(data):
            yield data[at:]


def changed(path: Path) -> Drift:
    return Drift(
        "the file changed while it was being read.",
        where=str(path),
        kept="Nothing of this reading is used.",
        hint="Run again when nobody writes to the file.",
    )


def encoding_of(path: Place, stated: str | None) -> Encoding:
    """What the file is read with. Raises UsageError for an unknown or unusable encoding, and for a byte
    order mark that contradicts the one stated."""
    marked = _marked(next(raw_blocks(path, 4), b""))
    if stated is None:
        return marked or Encoding("utf-8")
    try:
        name = codecs.lookup(stated).name
    except LookupError:
        raise UsageError(f"the encoding {stated!r} is not known.", where=str(path)) from None
    if name in ("utf-8-sig", "utf_8_sig"):
        name = "utf-8"
    if name in ("utf-16", "utf-32"):  # without a mark: little endian, as Windows writes it
        name = marked.wide if marked and marked.wide and marked.wide.startswith(name) else f"{name}-le"
    if marked is not None and name != (marked.wide or marked.codec):
        raise UsageError(
            f"the file begins with the byte order mark of {marked.wide or marked.codec}, "
            f"but the mapping says encoding: {stated}.",
            where=str(path),
            hint="Leave the encoding out, or name the one of the mark.",
        )
    if marked is not None:
        return marked
    if name.startswith(("utf-16-", "utf-32-")):
        return Encoding("utf-8", wide=name)
    if name not in _TWO_BYTE and name != "utf-8" and not _one_byte(name):
        raise UsageError(f"files in the encoding {stated!r} cannot be read.", where=str(path))
    return Encoding(name)


def blocks(
    path: Place, encoding: Encoding, *, size: int = BLOCK, expect: Pinned | None = None
) -> Iterator[bytes]:
    """What the scanner sees: without byte order mark, UTF-16/32 as UTF-8. Lone surrogates and cut
    characters become bytes that are not UTF-8, so that their record is found to be bad."""
    skip, held = encoding.bom, b""
    unit = 4 if (encoding.wide or "").startswith("utf-32") else 2
    for block in raw_blocks(path, size, expect):
        if skip:
            block, skip = block[skip:], max(0, skip - len(block))
        if encoding.wide is None:
            if block:
                yield block
            continue
        data = held + block
        whole = len(data) - len(data) % unit
        if unit == 2 and whole and _high_surrogate(data[whole - 2 : whole], encoding.wide):
            whole -= 2  # its other half comes with the next block
        held = data[whole:]
        if whole:
            yield _utf8(data[:whole], encoding.wide)
    if held:
        whole = len(held) - len(held) % unit
        yield _utf8(held[:whole], encoding.wide or "") + b"".join(
            b"\xff%c" % (0x80 | b >> 4) + b"%c" % (0x80 | b & 15) for b in held[whole:]
        )


def first_bad_line(path: Place, codec: str = "utf-8") -> int | None:
    """Line (LF counted) of the first byte that `codec` cannot read; None: the file is valid throughout."""
    decoder = codecs.getincrementaldecoder(codec)()
    line, size = 1, BLOCK
    for block in raw_blocks(path, size):
        pending = decoder.getstate()[0] if not block.isascii() else b""
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            return line + (pending + block).count(b"\n", 0, error.start)
        line += block.count(b"\n")
    try:
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return line
    return None


def _marked(head: bytes) -> Encoding | None:
    if head.startswith(codecs.BOM_UTF8):
        return Encoding("utf-8", bom=3)
    for mark, name in _WIDE_BOMS:
        if head.startswith(mark):
            return Encoding("utf-8", bom=len(mark), wide=name)
    return None


def _one_byte(name: str) -> bool:
    """ASCII is itself, and every byte alone is a character or an error."""
    ascii_bytes = bytes(range(128))
    try:
        if ascii_bytes.decode(name) != ascii_bytes.decode("ascii"):
            return False
        every = bytes(range(128, 256)).decode(name, "replace")
        if any(
            len(escape.decode(name, "replace")) != len(escape) for escape in (b"\x1b$B!!\x1b(B", b"~{!!~}")
        ):
            return False  # switches between character sets (ISO 2022, HZ)
    except (LookupError, UnicodeError, ValueError, AssertionError, TypeError):
        return False  # not a text encoding
    return len(every) == 128 and (every + "\n").encode(name, "replace")[-1:] == b"\n"


def _high_surrogate(pair: bytes, wide: str) -> bool:
    return 0xD8 <= pair[1 if wide.endswith("le") else 0] <= 0xDB


def _utf8(data: bytes, wide: str) -> bytes:
    try:
        return data.decode(wide).encode()
    except UnicodeDecodeError:
        pass
    if wide.startswith("utf-16"):
        return data.decode(wide, "surrogatepass").encode("utf-8", "surrogatepass")
    out = []
    for i in range(0, len(data), 4):  # rare: UTF-32 with units that are no characters
        unit = data[i : i + 4]
        try:
            out.append(unit.decode(wide, "surrogatepass").encode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            out += [b"\xff%c%c" % (0x80 | b >> 4, 0x80 | b & 15) for b in unit]
    return b"".join(out)


def _pieces(record: bytes) -> list[bytes]:
    """Text and escaped bytes (\\xff and two nibbles) in turn."""
    pieces, at = [], 0
    while (escape := record.find(b"\xff", at)) >= 0:
        pieces += [record[at:escape], record[escape : escape + 3]]
        at = escape + 3
    return [*pieces, record[at:]]


def _encoded(piece: bytes, wide: str) -> bytes:
    if piece[:1] == b"\xff":
        return bytes([(piece[1] & 15) << 4 | piece[2] & 15])
    return piece.decode("utf-8", "surrogatepass").encode(wide, "surrogatepass")
