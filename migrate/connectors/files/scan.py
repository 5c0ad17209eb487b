"""Where the records of a delimited text begin and end, and which of them are broken.

One grammar, two scanners that must agree (tests compare both with a third one, byte by byte):
`scan_clean` looks at megabytes at once with numpy and stops before the first doubtful quote;
`scan_careful` goes record by record over what is left. Neither looks at values.

The grammar, over bytes in which the delimiter, the quote, CR and LF are single bytes:
- Outside quotes LF, CRLF and a lone CR end a record. A record of no bytes at all is a blank line.
- A field that begins with the quote ends at the next quote that is not doubled; then comes a
  delimiter or the end of the record. Anything else there, or no such quote before the end of the
  file or within MAX_RECORD bytes, breaks the record (`bad_row`).
- A quote inside a field that does not begin with one is an ordinary character (5" pipe).
- What is bad in a broken record is its first line; reading goes on at the next line, so that a
  stray quote does not swallow the file. For SUSPECT bytes after the place where it broke, a field
  with a quote inside is not taken for an ordinary one: such a line is `bad_row` too, because it may
  be the rest of the broken record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from migrate.errors import UsageError

MAX_RECORD = 32 << 20
SUSPECT = 4096
OK, BAD_ROW, RAGGED, NUL, ENCODING = range(5)
CODES = (None, "bad_row", "ragged_row", "nul_byte", "bad_encoding")

_CAREFUL_STRETCH = 64 << 10  # after a doubtful quote, so many bytes go the careful way
_FIRST_WINDOW, _WINDOW = 256 << 10, 8 << 20
_LF, _CR = 10, 13
Ints = npt.NDArray[np.int64]
_PREFIX_XOR = np.array(
    [b ^ b >> 1 ^ b >> 2 ^ b >> 3 ^ b >> 4 ^ b >> 5 ^ b >> 6 ^ b >> 7 for b in range(256)], np.uint8
)
_NONE: Ints = np.empty(0, np.int64)


@dataclass(frozen=True)
class Dialect:
    delimiter: bytes  # one byte
    quote: bytes | None  # one byte; None: no quoting at all


@dataclass(frozen=True)
class Records:
    """Records of one buffer. Arrays are parallel, one element per record; offsets are into `data`."""

    data: bytes
    starts: Ints
    ends: Ints  # without the line end
    nexts: Ints  # behind the line end
    lines: Ints  # 1 = first line of the file
    fields: Ints  # number of fields; 0 where the record is broken
    codes: npt.NDArray[np.uint8]
    blanks: int  # blank lines that were skipped

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, i: int) -> bytes:
        return self.data[self.starts[i] : self.ends[i]]

    def cut(self, first: int, last: int) -> Records:
        """The records of one range; the blank lines stay with the whole."""
        part = slice(first, last)
        return Records(
            self.data,
            self.starts[part],
            self.ends[part],
            self.nexts[part],
            self.lines[part],
            self.fields[part],
            self.codes[part],
            0,
        )


@dataclass
class _Cursor:
    """Where the reading stands: absolute offset and line, and how long to be careful."""

    offset: int = 0
    line: int = 1
    suspect_until: int = 0
    careful_until: int = 0
    window: int = _FIRST_WINDOW


class Grammar:
    """The regular expressions of a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        d = re.escape(dialect.delimiter)
        end = rb"(?:\r\n|\r|\n|\Z)"
        if dialect.quote is None:
            field = rb"[^%b\r\n]*+" % d
            self.record = self.strict = re.compile(rb"(?>%b(?:%b%b)*+)%b" % (field, d, field, end))
            return
        q = re.escape(dialect.quote)
        quoted = rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % (q, q, q, q, q, q)
        plain = rb"(?:[^%b%b\r\n][^%b\r\n]*+)?+" % (q, d, d)
        strict = rb"[^%b%b\r\n]*+" % (q, d)
        form = rb"(?>%b|%b)(?:%b(?>%b|%b))*+%b"
        self.record = re.compile(form % (quoted, plain, d, quoted, plain, end))
        self.strict = re.compile(form % (quoted, strict, d, quoted, strict, end))
        self.lead = re.compile(rb"(?:(?>%b|%b)%b)*+" % (quoted, plain, d))
        self.quoted = re.compile(quoted)
        self._within = re.compile(rb"(?:(?<=%b)|^)%b" % (d, quoted))

    line = re.compile(rb"[^\r\n]*+(\r\n|\r|\n|\Z)")

    @cached_property
    def delimiter(self) -> int:
        return self.dialect.delimiter[0]

    def fields(self, record: bytes, stray: bool) -> int:
        """Number of fields of a well-formed record; `stray`: some field has a quote inside without beginning with one."""
        quote = self.dialect.quote
        if quote is not None and quote in record:
            # without stray quotes every second piece is outside quotes
            record = self._within.sub(b"", record) if stray else b"".join(record.split(quote)[::2])
        return record.count(self.dialect.delimiter) + 1


def scan(
    blocks: Iterable[bytes],
    dialect: Dialect,
    *,
    width: int,
    name: str,
    max_record: int = MAX_RECORD,
    first_line: int = 1,
) -> Iterator[Records]:
    """All records of a text that comes as `blocks` of any size, the header among them.

    `width` > 0: records of another number of fields are `ragged_row`. The result does not depend on
    how the text is cut into blocks. Memory is bounded by a few `max_record`. Raises UsageError
    naming `name` and the line where one line alone is longer than `max_record` bytes.
    """
    grammar, at, pending = Grammar(dialect), _Cursor(line=first_line), b""
    for block, final in _with_final(blocks):
        data = pending + block if pending else block
        pos = 0
        while pos < len(data):
            if at.offset < at.careful_until or (len(data) - pos > max_record and not final):
                found, moved = _scan_careful(data, pos, final, grammar, at, name, max_record)
            else:
                found, moved = _scan_clean(data, pos, final, grammar, at, max_record)
                if moved == 0 and at.offset < at.careful_until:
                    continue
            if len(found) or found.blanks:
                yield _judged(found, width)
            if moved == 0:
                break
            pos += moved
        pending = data[pos:]


def _with_final(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    held: bytes | None = None
    for block in blocks:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True


def _judged(found: Records, width: int) -> Records:
    """Adds the codes that need no reading of quotes: NUL bytes and the number of fields."""
    codes = found.codes
    if width and len(found):
        codes[(codes == OK) & (found.fields != width)] = RAGGED
    if len(found) and found.data.find(b"\0", int(found.starts[0]), int(found.ends[-1])) >= 0:
        nul = np.flatnonzero(np.frombuffer(found.data, np.uint8) == 0)
        has = np.searchsorted(nul, found.ends) > np.searchsorted(nul, found.starts)
        codes[has & (codes != BAD_ROW)] = NUL
    return found


def _scan_clean(
    data: bytes, pos: int, final: bool, grammar: Grammar, at: _Cursor, max_record: int
) -> tuple[Records, int]:
    """Records up to the first doubtful quote or the last complete record of the window; bytes consumed.

    Sets `careful_until` where something doubtful comes next."""
    quote = grammar.dialect.quote
    stop = min(len(data), pos + at.window)
    last = final and stop == len(data)
    a = np.frombuffer(data, np.uint8, stop - pos, pos)
    eol = a == _LF
    if data.find(b"\r", pos, stop) >= 0:
        cr = a == _CR
        lone = cr[:-1] & ~eol[1:]
        eol[:-1] |= lone
        if last:
            eol[-1] |= cr[-1]  # else a LF may follow: not known yet
    line_ends = np.flatnonzero(eol)
    delimiters = a == grammar.delimiter
    doubtful, open_at_end = len(a), False
    ends = line_ends
    if quote is not None and data.find(quote, pos, stop) >= 0:
        is_quote = a == quote[0]
        inside = _inside(is_quote)
        ends = line_ends[~inside[line_ends]]
        delimiters &= ~inside
        doubtful = _first_doubtful_quote(a, np.flatnonzero(is_quote), grammar.delimiter)
        open_at_end = bool(inside[-1])
    nexts = ends + 1
    ends = ends - ((a[ends] == _LF) & (ends > 0) & (a[ends - 1] == _CR))
    if last and not open_at_end and (len(nexts) == 0 or nexts[-1] < len(a)):
        ends, nexts = np.append(ends, len(a)), np.append(nexts, len(a))
    starts = np.concatenate((np.zeros(1, np.int64), nexts[:-1])) if len(nexts) else _NONE
    keep = nexts <= doubtful
    keep &= ends - starts <= max_record
    known = len(keep) if keep.all() else int(np.argmin(keep))
    starts, ends, nexts = starts[:known], ends[:known], nexts[:known]
    moved = int(nexts[-1]) if known else 0
    delimiter_at = np.flatnonzero(delimiters)
    fields = np.searchsorted(delimiter_at, ends) - np.searchsorted(delimiter_at, starts) + 1
    lines = at.line + np.searchsorted(line_ends, starts)
    found = _without_blanks(data, starts + pos, ends + pos, nexts + pos, lines, fields)
    at.line += int(np.searchsorted(line_ends, moved))
    at.offset += moved
    if known < len(keep) or doubtful < len(a) or (last and open_at_end):
        at.careful_until = at.offset + _CAREFUL_STRETCH
        at.window = _FIRST_WINDOW
    elif known == 0 and stop < len(data):
        at.careful_until = at.offset + 1  # a record longer than the window
    else:
        at.window = min(at.window * 2, _WINDOW)
    return found, moved


def _inside(is_quote: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Running parity of the quotes, eight bytes of text at a time; a closing quote itself is outside."""
    packed = np.packbits(is_quote)
    odd_before = np.bitwise_xor.accumulate(_PREFIX_XOR[packed] & 1)
    flips = np.zeros_like(packed)
    flips[1:] = odd_before[:-1] * np.uint8(255)
    return np.unpackbits(_PREFIX_XOR[packed] ^ flips, count=len(is_quote)).view(np.bool_)


def _first_doubtful_quote(a: npt.NDArray[np.uint8], quotes: Ints, delimiter: int) -> int:
    """Offset of the first quote that does not stand where a well-formed text has it; len(a): none.

    By parity, quotes open and close in turn. An opening one follows a delimiter or a line end, or
    closes a doubled pair; a closing one is followed by a delimiter, a line end or its double."""
    boundary = np.zeros(256, bool)
    boundary[[delimiter, _LF, _CR]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    ok = boundary[a[opening - 1]] | (opening == 0)
    ok[1:] |= closing[: len(opening) - 1] == opening[1:] - 1
    first = len(a) if ok.all() else int(opening[np.argmin(ok)])
    after = np.minimum(closing + 1, len(a) - 1)
    ok = boundary[a[after]] | (closing + 1 == len(a))
    pairs = min(len(closing), len(opening) - 1)
    ok[:pairs] |= closing[:pairs] + 1 == opening[1 : pairs + 1]
    return first if ok.all() else min(first, int(closing[np.argmin(ok)]))


def _without_blanks(data: bytes, starts: Ints, ends: Ints, nexts: Ints, lines: Ints, fields: Ints) -> Records:
    filled = ends > starts
    blanks = len(filled) - int(np.count_nonzero(filled))
    if blanks:
        starts, ends, nexts, lines, fields = (x[filled] for x in (starts, ends, nexts, lines, fields))
    return Records(data, starts, ends, nexts, lines, fields, np.zeros(len(starts), np.uint8), blanks)


def _scan_careful(
    data: bytes, pos: int, final: bool, grammar: Grammar, at: _Cursor, name: str, max_record: int
) -> tuple[Records, int]:
    """Records one by one until `careful_until`, `suspect_until`, or where more bytes are needed."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    blanks, begin, size = 0, pos, len(data)
    base = at.offset - pos
    goal = max(pos + 1, at.careful_until - base, at.suspect_until - base)
    while pos < min(goal, size):
        match = grammar.strict.match(data, pos)
        stray = match is None
        if stray:
            match = grammar.record.match(data, pos)
        length = _content_end(data, match) - pos if match else 0
        if match and match.end() == size and not final and data[size - 1] != _LF:
            match = None  # the record, or its CRLF, may go on in bytes not read yet
            broken_at = None if length <= max_record else pos + max_record
        elif match and length <= max_record:
            broken_at = None
        else:
            broken_at = _broken_at(data, pos, final, grammar, max_record)
        if match and stray and broken_at is None and base + pos < at.suspect_until:
            broken_at = -1
        if match is not None and broken_at is None:
            end = pos + length
            if length == 0:
                blanks += 1
            else:
                rows.append((pos, end, match.end(), at.line, grammar.fields(data[pos:end], stray), OK))
            at.line += _line_ends(data, pos, match.end())
            pos = match.end()
            continue
        if broken_at is None:
            break
        line = grammar.line.match(data, pos)
        assert line is not None
        if line.end() == size and not final and data[size - 1] != _LF and size - pos <= max_record:
            break
        if line.start(1) - pos > max_record:
            raise UsageError(
                f"the line is longer than {max_record >> 20} MiB.",
                where=f"{name}:{at.line}",
                hint="Is this a text file of records?",
            )
        if line.end() == size and not final and line.group(1) == b"\r":
            break  # a LF may follow
        rows.append((pos, line.start(1), line.end(), at.line, 0, BAD_ROW))
        at.line += 1
        if broken_at >= 0:
            at.suspect_until = max(at.suspect_until, base + broken_at + SUSPECT)
            goal = max(goal, at.suspect_until - base)
        pos = line.end()
    moved = pos - begin
    at.offset += moved
    at.careful_until = max(at.careful_until, at.suspect_until)
    columns = np.array(rows, np.int64).reshape(-1, 6).T
    starts, ends, nexts, lines, fields, codes = (np.ascontiguousarray(c) for c in columns)
    return Records(data, starts, ends, nexts, lines, fields, codes.astype(np.uint8), blanks), moved


def _content_end(data: bytes, match: re.Match[bytes]) -> int:
    end = match.end()
    if end > match.start() and data[end - 1] == _LF:
        return end - 2 if end - 2 >= match.start() and data[end - 2] == _CR else end - 1
    return end - 1 if end > match.start() and data[end - 1] == _CR else end


def _broken_at(data: bytes, pos: int, final: bool, grammar: Grammar, max_record: int) -> int | None:
    """Where the record at `pos`, which does not match, breaks; None: more bytes are needed to know."""
    far = pos + max_record
    known = final or len(data) > far
    if grammar.dialect.quote is None:
        return far if known else None
    lead = grammar.lead.match(data, pos)
    assert lead is not None
    quoted = grammar.quoted.match(data, lead.end())
    if quoted is None:
        return min(far, len(data)) if known else None
    if quoted.end() < len(data):
        return min(far, quoted.end())
    return min(far, len(data)) if known else None


def _line_ends(data: bytes, start: int, end: int) -> int:
    count = data.count(b"\n", start, end)
    crs = data.count(b"\r", start, end)
    return count + crs - data.count(b"\r\n", start, end) if crs else count
