"""Delimited text as Arrow: text first, every column is text, nothing is guessed, shifted or padded."""

from __future__ import annotations

import io
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from migrate.connectors.files.bytes_in import (
    BLOCK,
    Encoding,
    Pinned,
    after_lines,
    blocks,
    encoding_of,
    first_bad_line,
)
from migrate.connectors.files.options import BAD, LINE, RAW, FileOptions
from migrate.connectors.files.packed import Place
from migrate.connectors.files.scan import (
    CODES,
    ENCODING,
    MAX_RECORD,
    OK,
    Dialect,
    Records,
    scan,
)
from migrate.errors import UsageError
from migrate.model import ADDED_COLUMNS

PROPOSED_ENCODING = "cp1252"
_DELIMITERS = {b",": "comma", b";": "semicolon", b"\t": "tab", b"|": "pipe"}
_WORDS = {"comma": b",", "semicolon": b";", "tab": b"\t", r"\t": b"\t", "pipe": b"|", "space": b" "}
_SAMPLE = 1 << 20
_BATCH = 4 << 20  # bytes of records that become one batch


@dataclass(frozen=True)
class CsvFile:
    """How the file is read, and its header."""

    path: Place
    encoding: Encoding
    dialect: Dialect
    names: tuple[str, ...]
    nulls: tuple[str, ...]
    skip_first: int = 0
    skip_last: int = 0


@dataclass(frozen=True)
class Counts:
    """Records (bad ones among them, the header not), bad records, and blank lines that were skipped."""

    records: int
    bad: int
    blank_lines: int


def open_csv(path: Place, options: FileOptions) -> CsvFile:
    """Looks at the file: encoding, dialect, header; reads it through once where no encoding is stated.

    Raises UsageError for an empty file, an encoding that is not stated and not UTF-8 (with the first
    bad line and a proposal), a header with empty, repeated or reserved names, an unclear delimiter.
    """
    encoding = encoding_of(path, options.encoding)
    if options.encoding is None and encoding.wide is None:
        line = first_bad_line(path)
        if line is not None:
            raise UsageError(
                "the file is not UTF-8, and the mapping states no encoding.",
                where=f"{path}:{line}",
                hint=f"Proposal: encoding: {PROPOSED_ENCODING} (look at a line with accents to be sure).",
            )
    sample, whole = _sample(path, encoding, options.skip_first)
    if not sample.strip(b"\r\n"):
        after = f" after the {options.skip_first} lines of skip_first" if options.skip_first else ""
        raise UsageError(f"the file is empty{after}: it has no header.", where=str(path))
    dialect = _dialect(path, options, encoding, sample, whole)
    names = _header(path, encoding, dialect, options.skip_first)
    return CsvFile(path, encoding, dialect, names, options.nulls, options.skip_first, options.skip_last)


def read_csv(
    file: CsvFile, *, expect: Pinned | None = None, block: int = BLOCK, max_record: int = MAX_RECORD
) -> Iterator[pa.RecordBatch]:
    """Every record after the header, in file order: the columns of the header (string), then
    `_line` int64, `_bad` string, `_raw` binary. The result does not depend on `block` (bytes read at once)."""
    for records in _body(file, expect, block, max_record):
        for piece in _pieces(records):
            yield _batch(file, piece)


def count_csv(file: CsvFile, *, expect: Pinned | None = None) -> Counts:
    """One pass over the file without decoding values."""
    records = bad = blank = 0
    for found in _body(file, expect, BLOCK, MAX_RECORD):
        blank += found.blanks
        if len(found):
            _good(file, found)  # marks records that do not decode
            records += len(found)
            bad += int(np.count_nonzero(found.codes))
    return Counts(records, bad, blank)


def _body(file: CsvFile, expect: Pinned | None, block: int, max_record: int) -> Iterator[Records]:
    source = after_lines(blocks(file.path, file.encoding, size=block, expect=expect), file.skip_first)
    found = scan(
        source,
        file.dialect,
        width=len(file.names),
        name=str(file.path),
        max_record=max_record,
        first_line=file.skip_first + 1,
    )
    body = _without_header(found)
    return _without_last(body, file.skip_last, str(file.path)) if file.skip_last else body


def _without_header(pieces: Iterator[Records]) -> Iterator[Records]:
    header = True
    for found in pieces:
        if header and len(found):
            header, found = False, replace(found.cut(1, len(found)), blanks=found.blanks)
        yield found


def _without_last(pieces: Iterator[Records], count: int, where: str) -> Iterator[Records]:
    """All but the last `count` records. Raises UsageError where there are not so many."""
    held: deque[Records] = deque()
    rows = 0
    for piece in pieces:
        held.append(piece)
        rows += len(piece)
        while rows - len(held[0]) >= count:
            rows -= len(held[0])
            yield held.popleft()
    if rows < count:
        raise too_few(rows, count, where)
    for piece in held:
        kept = min(len(piece), rows - count)
        rows -= len(piece)
        yield replace(piece.cut(0, max(0, kept)), blanks=piece.blanks)


def too_few(rows: int, count: int, where: str) -> UsageError:
    return UsageError(
        f"the mapping says skip_last: {count}, but after the header there {'is' if rows == 1 else 'are'} only "
        f"{rows} row{'' if rows == 1 else 's'}.",
        where=where,
        hint="Is this the file that is meant? Correct skip_last.",
    )


def _pieces(records: Records) -> Iterator[Records]:
    """Cuts where the bytes pass a multiple of the batch size."""
    if not len(records):
        return
    bound = (records.nexts - records.starts[0]) // _BATCH
    cuts = [0, *(np.flatnonzero(np.diff(bound)) + 1).tolist(), len(records)]
    for first, last in pairwise(cuts):
        yield records.cut(first, last)


def _batch(file: CsvFile, records: Records) -> pa.RecordBatch:
    data, text = _good(file, records)
    good = records.codes == OK
    count = int(np.count_nonzero(good))
    arrays = _parse(file, text if text is not None else data, count)
    if count < len(records):
        taken = pa.array(np.cumsum(good) - 1, pa.int64(), mask=~good)
        arrays = [a.take(taken) for a in arrays]
    bad = [CODES[c] for c in records.codes.tolist()] if count < len(records) else pa.nulls(len(records))
    raw = (
        [None if ok else file.encoding.original(records.raw(i)) for i, ok in enumerate(good.tolist())]
        if (count < len(records))
        else pa.nulls(len(records))
    )
    arrays += [
        pa.array(records.lines, pa.int64()),
        pa.array(bad, pa.string()) if isinstance(bad, list) else bad.cast(pa.string()),
        pa.array(raw, pa.binary()) if isinstance(raw, list) else raw.cast(pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[*file.names, LINE, BAD, RAW])


def _good(file: CsvFile, records: Records) -> tuple[bytes, bytes | None]:
    """The bytes of the good records, and the same as UTF-8 where they are something else.

    Records that do not decode get their code here; each costs one try, from there on."""
    while True:
        data, origins = _joined(records)
        if data.isascii():
            return data, None
        at, bad = 0, []
        view = memoryview(data)
        pieces: list[str] = []
        while at < len(data):
            try:
                pieces.append(str(view[at:], file.encoding.codec))
                break
            except UnicodeDecodeError as error:
                record = int(np.searchsorted(origins[1], at + error.start, "right")) - 1
                bad.append(origins[0][record])
                at = int(origins[1][record + 1]) if record + 1 < len(origins[1]) else len(data)
        if not bad:
            return data, None if file.encoding.utf8 else pieces[0].encode()
        records.codes[bad] = ENCODING


def _joined(records: Records) -> tuple[bytes, tuple[np.ndarray, np.ndarray]]:
    """Bytes of all good records with their line ends; their numbers, and where each begins in the bytes."""
    numbers = np.flatnonzero(records.codes == OK)
    if not len(numbers):
        return b"", (numbers, numbers)
    jumps = np.flatnonzero(np.diff(numbers) > 1)
    firsts = numbers[np.concatenate(([0], jumps + 1))]
    lasts = numbers[np.concatenate((jumps, [len(numbers) - 1]))]
    data = b"".join(
        [
            records.data[a:b]
            for a, b in zip(records.starts[firsts].tolist(), records.nexts[lasts].tolist(), strict=True)
        ]
    )
    # blank lines inside a run stay in the bytes; the parser skips them as the scanner did
    run = np.searchsorted(firsts, numbers, "right") - 1
    sizes = records.nexts[lasts] - records.starts[firsts]
    run_at = np.cumsum(sizes) - sizes
    return data, (numbers, records.starts[numbers] - records.starts[firsts][run] + run_at[run])


def _parse(file: CsvFile, data: bytes, count: int) -> list[pa.Array[Any]]:
    """Well-formed records of the right width as string arrays. The scanner's count must come out again."""
    names = [str(i) for i in range(len(file.names))]
    if not count:
        return [pa.nulls(0, pa.string()) for _ in names]
    quote = file.dialect.quote
    table = arrow_csv.read_csv(
        # a blank line first, so that a U+FEFF at the start of a value is not taken for a byte order mark
        io.BytesIO(b"\n" + data),
        read_options=arrow_csv.ReadOptions(column_names=names, block_size=len(data) + 2),
        parse_options=arrow_csv.ParseOptions(
            delimiter=file.dialect.delimiter.decode(),
            quote_char=quote.decode() if quote else False,
            double_quote=quote is not None,
            escape_char=False,
            newlines_in_values=True,
            ignore_empty_lines=True,
        ),
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False,  # done
            column_types={n: pa.string() for n in names},
            null_values=list(file.nulls),
            strings_can_be_null=bool(file.nulls),
            quoted_strings_can_be_null=True,
        ),
    )
    if table.num_rows != count:
        raise RuntimeError(f"{file.path}: {count} records were found, {table.num_rows} were parsed")
    return [pa.concat_arrays(c.chunks) for c in table.columns]


def _sample(path: Place, encoding: Encoding, skip_first: int) -> tuple[bytes, bool]:
    """The first bytes from the header on, as the scanner sees them, and whether they are all there is."""
    stream = after_lines(blocks(path, encoding, size=_SAMPLE), skip_first)
    return next(stream, b""), next(stream, None) is None


def _dialect(path: Place, options: FileOptions, encoding: Encoding, sample: bytes, whole: bool) -> Dialect:
    quote = _one_ascii(path, "quote", options.quote, {"none": b"", "": b""}, b'"')
    if options.delimiter is not None:
        delimiter = _one_ascii(path, "delimiter", options.delimiter, _WORDS, b",")
    elif path.suffix.lower() == ".tsv":
        delimiter = b"\t"
    else:
        delimiter = _proposed_delimiter(path, sample, whole, quote or None)
    if not delimiter or delimiter == quote:
        raise UsageError(
            "the delimiter must be one character, and another one than the quote.", where=str(path)
        )
    if not encoding.utf8 and len(b"\x81\x7c".decode(encoding.codec, "replace")) < 2 and delimiter[0] >= 0x40:
        raise UsageError(
            f"the delimiter {options.delimiter!r} can be part of a character in {encoding.codec}.",
            where=str(path),
        )
    return Dialect(delimiter, quote or None)


def _one_ascii(path: Place, what: str, stated: str | None, words: dict[str, bytes], default: bytes) -> bytes:
    if stated is None:
        return default
    if stated.lower() in words:
        return words[stated.lower()]
    if len(stated) != 1 or not stated.isascii() or stated in "\r\n\0":
        raise UsageError(f"the {what} must be one ASCII character, not {stated!r}.", where=str(path))
    return stated.encode()


def _proposed_delimiter(path: Place, sample: bytes, whole: bool, quote: bytes | None) -> bytes:
    """The candidate that cuts the header and the records after it into the same number of fields, more
    than one; of several such the one with most fields. No candidate: one column. A tie is refused."""
    scores: dict[bytes, tuple[float, int]] = {}
    for candidate in _DELIMITERS:
        counts: Counter[int] = Counter()
        width = 0
        feed = [sample] if whole else [sample, b"x"]  # more follows: the last record is not complete
        for found in scan(feed, Dialect(candidate, quote), width=0, name=str(path)):
            width = width or int(found.fields[0]) if len(found) else width
            values, times = np.unique(found.fields[found.starts < len(sample)], return_counts=True)
            counts.update(dict(zip(values.tolist(), times.tolist(), strict=True)))
        if width > 1:
            scores[candidate] = (counts[width] / counts.total(), width)
    if not scores:
        return b","
    best = max(share for share, _ in scores.values())
    likely = {c: width for c, (share, width) in scores.items() if share >= best * 0.9}
    widest = [c for c, width in likely.items() if width == max(likely.values())]
    if len(widest) > 1:
        raise UsageError(
            f"the delimiter is not clear: {' and '.join(_DELIMITERS[c] for c in widest)} fit equally well.",
            where=str(path),
            hint='State it: delimiter: ";" (or comma, tab, pipe).',
        )
    return widest[0]


def _header(path: Place, encoding: Encoding, dialect: Dialect, skip_first: int) -> tuple[str, ...]:
    """Names exactly as written. Raises UsageError; a name is never changed or made up."""
    source = after_lines(blocks(path, encoding, size=_SAMPLE), skip_first)
    record, line = next(
        (r.raw(0), int(r.lines[0])) if r.codes[0] == OK else (None, int(r.lines[0]))
        for r in scan(source, dialect, width=0, name=str(path), first_line=skip_first + 1)
        if len(r)
    )
    where = f"{path}:{line}"
    if record is None:
        raise UsageError("the header is broken: a quote or a NUL byte.", where=where, hint=_NUL_HINT)
    try:
        text = record.decode(encoding.codec).encode()
    except UnicodeDecodeError:
        raise UsageError(f"the header is not {encoding.wide or encoding.codec}.", where=where) from None
    shape = CsvFile(path, encoding, dialect, tuple("?" * (text.count(dialect.delimiter) + 1)), ())
    width = _width(shape, text)
    columns = _parse(CsvFile(path, encoding, dialect, ("?",) * width, ()), text, 1)
    names = tuple(str(c[0].as_py()) for c in columns)
    check_names(names, where)
    return names


def _width(file: CsvFile, record: bytes) -> int:
    found = next(r for r in scan([record], file.dialect, width=0, name=str(file.path)) if len(r))
    return int(found.fields[0])


_NUL_HINT = "If the file is UTF-16, state encoding: utf-16."


def check_names(names: Sequence[str], where: str) -> None:
    """Raises UsageError for column names that are empty, occur twice, or are ours."""
    empty = [str(i) for i, name in enumerate(names, 1) if not name]
    if empty:
        raise UsageError(
            f"the header has no name for column {', '.join(empty)} of {len(names)}.",
            where=where,
            hint="Give every column a name; a delimiter at the end of the header makes one more column.",
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"the header has these names more than once: {', '.join(twice)}.", where=where)
    ours = [name for name in names if name in ADDED_COLUMNS]
    if ours:
        raise UsageError(f"these column names are reserved: {', '.join(ours)}.", where=where)
