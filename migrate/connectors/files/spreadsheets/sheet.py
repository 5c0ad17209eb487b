"""A sheet as Arrow: every column is text, cell by cell by the cell's own type.

A sheet is read whole: about 90 bytes of memory per cell. The first row with anything in it (behind
`skip_first`) is the header; the table goes from the sheet's first used column to the header's last
name. Rows without any content are skipped, as blank lines are; a row with content behind the last
name is `ragged_row`, and `_raw` holds its cells as JSON. Cells without content, and texts of no
length, are NULL.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate.connectors.files.bytes_in import Pinned, changed, pin
from migrate.connectors.files.csv_text import Counts, check_names, too_few
from migrate.connectors.files.options import BAD, LINE, RAW, FileOptions
from migrate.connectors.files.packed import Place, file_of, whole
from migrate.connectors.files.spreadsheets.book import damaged, load_sheet
from migrate.connectors.files.spreadsheets.cells import cell_text, column_letters
from migrate.connectors.files.spreadsheets.loaded import LoadedSheet
from migrate.errors import UsageError

_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class SheetFile:
    path: Place
    sheet: str
    names: tuple[str, ...]
    nulls: tuple[str, ...]
    counts: Counts
    skip_first: int = 0
    skip_last: int = 0


@dataclass(frozen=True)
class _Row:
    """A row with content. `line` counts from 1; `texts` begin at the sheet's first used column."""

    line: int
    texts: list[str | None]


Known = MutableMapping[tuple[str, str, FileOptions], SheetFile]


def open_sheet(place: Place, options: FileOptions, known: Known) -> SheetFile:
    """Reads the sheet once. `known` remembers what came of it, for the same bytes.

    Raises UsageError for a sheet that is not there or is empty, several sheets where none is named, a header that
    cannot be used, a formula whose result is not in the file, and what is no spreadsheet at all; Unreachable
    where a password is needed; Corrupt where it is damaged."""
    data = whole(place)
    key = (str(place), hashlib.sha256(data).hexdigest(), options)
    if key not in known:
        sheet = load_sheet(place, data, options.sheet)
        where = at_sheet(place, sheet.name)
        header, rows = _cut(sheet, where, options.skip_first, options.skip_last)
        _refuse_unknown(sheet, header, where)
        known[key] = SheetFile(
            place,
            sheet.name,
            tuple(str(name) for name in header.texts),
            options.nulls,
            _counted(header, rows),
            options.skip_first,
            options.skip_last,
        )
    return known[key]


def read_sheet(file: SheetFile, *, expect: Pinned | None = None) -> Iterator[pa.RecordBatch]:
    """Every row after the header, in order: the columns of the header (string), `_line` (the sheet's row), `_bad`,
    `_raw`. Raises Drift where the file is not the pinned one."""
    data = whole(file.path)
    if expect is not None:
        plain = isinstance(file.path, Path)
        found = hashlib.sha256(data).hexdigest() if plain else pin(file_of(file.path)).sha256
        if found != expect.sha256:
            raise changed(file_of(file.path))
    sheet = load_sheet(file.path, data, file.sheet)
    _, rows = _cut(sheet, at_sheet(file.path, file.sheet), file.skip_first, file.skip_last)
    pending: list[_Row] = []
    for row in rows:
        pending.append(row)
        if len(pending) == _BATCH_ROWS:
            yield _batch(file, pending)
            pending = []
    if pending:
        yield _batch(file, pending)


def at_sheet(place: Place, sheet: str) -> str:
    return f"{place} (sheet {sheet})"


def _cut(sheet: LoadedSheet, where: str, skip_first: int, skip_last: int) -> tuple[_Row, Iterator[_Row]]:
    """The header, without what is empty behind its last name, and the rows that belong to it."""
    rows = (row for row in _rows(sheet, where) if row.line > skip_first)
    header = next(rows, None)
    if header is None:
        after = f" after the {skip_first} rows of skip_first" if skip_first else ""
        raise UsageError(f"the sheet is empty{after}: it has no header.", where=where)
    width = max(i for i, text in enumerate(header.texts, 1) if text is not None)
    header = _Row(header.line, header.texts[:width])
    check_names([name or "" for name in header.texts], f"{where}:{header.line}")
    return header, _all_but_last(rows, skip_last, where) if skip_last else rows


def _rows(sheet: LoadedSheet, where: str) -> Iterator[_Row]:
    for number, values in enumerate(sheet.read()):
        # most cells are texts, and most of the rest numbers
        texts = [(v or None) if type(v) is str else cell_text(v) for v in values]
        for column, text in sheet.texts.get(number, {}).items():
            if not 0 <= column - sheet.first < len(texts):
                raise damaged(where)
            texts[column - sheet.first] = text
        if any(text is not None for text in texts):
            yield _Row(number + 1, texts)


def _all_but_last(rows: Iterable[_Row], count: int, where: str) -> Iterator[_Row]:
    held: deque[_Row] = deque()
    for row in rows:
        held.append(row)
        if len(held) > count:
            yield held.popleft()
    if len(held) < count:
        raise too_few(len(held), count, where)


def _refuse_unknown(sheet: LoadedSheet, header: _Row, where: str) -> None:
    """A formula without a stored result is a value that nobody knows, and its cell looks empty."""
    for row, column in sheet.unknown:
        if row >= header.line and 0 <= column - sheet.first < len(header.texts):
            raise UsageError(
                f"cell {column_letters(column)}{row + 1} holds a formula whose result is not in the file "
                f"({len(sheet.unknown)} such cells in the sheet).",
                where=where,
                hint="Open the file in Excel or LibreOffice, let it calculate, and save it.",
            )


def _counted(header: _Row, rows: Iterable[_Row]) -> Counts:
    line, records, bad = header.line, 0, 0
    for row in rows:
        records, line = records + 1, row.line
        bad += _code(row, len(header.texts)) is not None
    return Counts(records, bad, line - header.line - records)


def _code(row: _Row, width: int) -> str | None:
    if len(row.texts) > width and any(text is not None for text in row.texts[width:]):
        return "ragged_row"
    return "nul_byte" if "\0" in "".join(filter(None, row.texts)) else None


def _batch(file: SheetFile, rows: list[_Row]) -> pa.RecordBatch:
    width = len(file.names)
    codes = [_code(row, width) for row in rows]
    nothing: list[str | None] = [None] * width
    texts = [
        nothing if code else row.texts[:width] + nothing[len(row.texts) :]
        for row, code in zip(rows, codes, strict=True)
    ]
    arrays: list[pa.Array[Any]] = []
    for column in zip(*texts, strict=True):
        array = pa.array(column, pa.string())
        if file.nulls:
            words = pc.is_in(array, pa.array(file.nulls, pa.string()))
            array = pc.if_else(words, pa.scalar(None, pa.string()), array)
        arrays.append(array)
    raws = [
        json.dumps(row.texts, ensure_ascii=False).encode() if code else None
        for row, code in zip(rows, codes, strict=True)
    ]
    arrays += [
        pa.array([row.line for row in rows], pa.int64()),
        pa.array(codes, pa.string()),
        pa.array(raws, pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[*file.names, LINE, BAD, RAW])
