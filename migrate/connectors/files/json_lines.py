"""JSON lines as Arrow: one object per line, values as the text that the file holds.

Columns are the union of the keys of the whole file, in order of first appearance. Numbers keep their
exact text (1.50, 1e400, 20 digits), booleans are `true`/`false`, text is its content. A column in
which any line has an object or a list is JSON, and then all of its values are JSON text. A missing key
and a null are both NULL. A line that is no JSON object, that names a key twice, is nested deeper than
200 levels, or holds a surrogate that is no character is `bad_row`; U+0000 is `nul_byte`; bytes that
are not the encoding are `bad_encoding`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from migrate.connectors.files.bytes_in import BLOCK, Encoding, Pinned, blocks, encoding_of, first_bad_line
from migrate.connectors.files.csv_text import PROPOSED_ENCODING, Counts, check_names
from migrate.connectors.files.options import BAD, LINE, RAW, FileOptions
from migrate.connectors.files.packed import Place
from migrate.connectors.files.scan import MAX_RECORD
from migrate.errors import UsageError

DEEPEST = 200  # levels of nesting, as canonical JSON has them
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_BATCH_ROWS, _BATCH_BYTES = 16_384, 4 << 20


@dataclass(frozen=True)
class JsonFile:
    path: Place
    encoding: Encoding
    names: tuple[str, ...]
    nested: frozenset[str]  # columns that are JSON
    nulls: tuple[str, ...]
    counts: Counts


class _Number(str):
    """A number as the file writes it."""

    __slots__ = ()


class _Broken(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Broken("a key occurs twice")
    return found


def _constant(text: str) -> Any:
    raise _Broken(text)  # NaN and Infinity are not JSON


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_Number, parse_float=_Number, parse_constant=_constant
)


def open_json_lines(path: Place, options: FileOptions) -> JsonFile:
    """Reads the file once for its columns. Raises UsageError for an empty file, for one that is not UTF-8
    where no encoding is stated, and for keys that cannot be column names."""
    encoding = encoding_of(path, options.encoding)
    if options.encoding is None and encoding.wide is None and (line := first_bad_line(path)) is not None:
        raise UsageError(
            "the file is not UTF-8, and the mapping states no encoding.",
            where=f"{path}:{line}",
            hint=f"Proposal: encoding: {PROPOSED_ENCODING}.",
        )
    names: dict[str, None] = {}
    nested: set[str] = set()
    records = bad = blank = 0
    for _, raw in _lines(path, encoding, None, BLOCK):
        if not raw.strip():
            blank += 1
            continue
        records += 1
        row = _parsed(raw, encoding)
        if isinstance(row, str):
            bad += 1
            continue
        if row.keys() - names.keys():
            names |= dict.fromkeys(row)
        nested.update(key for key, value in row.items() if isinstance(value, (dict, list)))
    if not records:
        raise UsageError("the file is empty.", where=str(path))
    check_names(tuple(names), str(path))
    return JsonFile(
        path, encoding, tuple(names), frozenset(nested), options.nulls, Counts(records, bad, blank)
    )


def read_json_lines(
    file: JsonFile, *, expect: Pinned | None = None, block: int = BLOCK
) -> Iterator[pa.RecordBatch]:
    """Every line that is not blank, in file order: the columns (string), `_line`, `_bad`, `_raw`."""
    rows: list[dict[str, Any]] = []
    hidden: list[tuple[int, str | None, bytes | None]] = []
    size = 0
    for line, raw in _lines(file.path, file.encoding, expect, block):
        if not raw.strip():
            continue
        row = _parsed(raw, file.encoding)
        code = row if isinstance(row, str) else None
        rows.append({} if isinstance(row, str) else row)
        hidden.append((line, code, file.encoding.original(raw) if code else None))
        size += len(raw)
        if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield _batch(file, rows, hidden)
            rows, hidden, size = [], [], 0
    if rows:
        yield _batch(file, rows, hidden)


def _batch(
    file: JsonFile, rows: list[dict[str, Any]], hidden: list[tuple[int, str | None, bytes | None]]
) -> pa.RecordBatch:
    nulls = frozenset(file.nulls)
    arrays: list[pa.Array[Any]] = []
    for name in file.names:
        values = [row.get(name) for row in rows]
        if name in file.nested:
            texts = [None if v is None else json_text(v) for v in values]
        else:
            texts = [
                None if v is None else v if isinstance(v, str) else "true" if v else "false" for v in values
            ]
            if nulls:
                texts = [None if v in nulls else v for v in texts]
        arrays.append(pa.array(texts, pa.string()))
    lines, codes, raws = zip(*hidden, strict=True)
    arrays += [pa.array(lines, pa.int64()), pa.array(codes, pa.string()), pa.array(raws, pa.binary())]
    return pa.RecordBatch.from_arrays(arrays, names=[*file.names, LINE, BAD, RAW])


def json_text(value: Any) -> str:
    """Compact JSON with numbers exactly as they were read."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{json_text(v)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _parsed(raw: bytes, encoding: Encoding) -> dict[str, Any] | str:
    """The object of a line, or the code of what is wrong with it."""
    if b"\0" in raw:
        return "nul_byte"
    try:
        text = raw.decode(encoding.codec)
    except UnicodeDecodeError:
        return "bad_encoding"
    if _too_deep(text):
        return "bad_row"
    try:
        row, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\r")))
        if not isinstance(row, dict) or text[end:].strip(" \t\r"):
            return "bad_row"
        if "\\u" in text:  # escapes can spell what text cannot hold
            whole = json_text(row)
            whole.encode()
            if "\\u0000" in whole and _holds_nul(row):
                return "nul_byte"
    except ValueError:
        return "bad_row"
    return row


def _too_deep(text: str) -> bool:
    """More than DEEPEST levels: the parser's own limit depends on the caller's stack, this one does not."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = deepest = 0
    for token in _STRING_OR_BRACKET.findall(text):
        if token in ("[", "{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in ("]", "}"):
            depth -= 1
    return deepest > DEEPEST


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in k or _holds_nul(v) for k, v in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))


def _lines(path: Place, encoding: Encoding, expect: Pinned | None, block: int) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line (ended by LF; a CR before it goes too)."""
    number, held = 0, 0
    parts: list[bytes] = []
    for data in blocks(path, encoding, size=block, expect=expect):
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            number += 1
            yield number, b"".join([*parts, data[at:end]]).removesuffix(b"\r")
            parts, held, at = [], 0, end + 1
        parts.append(data[at:])
        held += len(data) - at
        if held > MAX_RECORD:
            raise UsageError(f"the line is longer than {MAX_RECORD >> 20} MiB.", where=f"{path}:{number + 1}")
    if held:
        yield number + 1, b"".join(parts).removesuffix(b"\r")
