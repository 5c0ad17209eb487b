"""Files of quarantined rows, as `quarantine export` writes them and people give them back: CSV or Parquet, one per entity.

Columns that begin with an underscore are ours: `_run`, `_entity`, `_row` (which row, and as it stood) and `_key` tell rows
apart and come back as they went; the others of them are for people. All other columns are those of the row.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migrate.errors import UsageError

RUN, ENTITY, ROW, KEY = "_run", "_entity", "_row", "_key"
OURS = (RUN, ENTITY, ROW, KEY)
TOLD = ("_stage", "_file", "_line", "_codes", "_reasons", "_raw")
FORMATS = ("csv", "parquet")
# What a spreadsheet takes for a formula, in any of its languages; the apostrophe that is put before it comes off again.
_FORMULA = "=+\\-@\t\r\n＝＋－＠"
_RUNS = re.compile(f"'*[{_FORMULA}]")
_MADE_SAFE = re.compile(f"'+[{_FORMULA}]")
_CELL = 64 << 20  # characters of one cell


@dataclass(frozen=True)
class FileRow:
    """One row as it came back. `cells`: the row's own columns that the file has, as text; None: empty."""

    run: str
    entity: str
    row: str
    key: str
    cells: Mapping[str, str | None]
    where: str
    exact: bool  # a file that tells empty texts from NULL


def cell_text(value: object) -> str | None:
    """A value of a quarantined row as it stands in a file."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def same_cell(given: str | None, stood: str | None, *, exact: bool) -> bool:
    """Whether nobody changed the cell. CSV has no NULL, and a spreadsheet writes line ends of its own."""
    if exact:
        return given == stood
    return _plain(given) == _plain(stood)


def _plain(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").replace("\r", "\n")


def content_of(columns: Sequence[str], rows: Sequence[Mapping[str, str | None]], format_: str) -> bytes:
    """The bytes of a file."""
    if format_ == "parquet":
        texts = {c: pa.array([row.get(c) for row in rows], pa.string()) for c in columns}
        packed = io.BytesIO()
        pq.write_table(pa.table(texts), packed)
        return packed.getvalue()
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([_safe(c) for c in columns])
    writer.writerows([[_safe(row.get(c)) for c in columns] for row in rows])
    return text.getvalue().encode()


def _safe(text: str | None) -> str | None:
    return f"'{text}" if text is not None and _RUNS.match(text) else text


def _unsafe(text: str) -> str:
    return text[1:] if _MADE_SAFE.match(text) else text


def read_files(paths: Sequence[Path]) -> list[FileRow]:
    """The rows of all files; of folders, all CSV and Parquet files in them. Raises UsageError where one is not as it has
    to be."""
    files: list[Path] = []
    for path in paths:
        found = files_in(path)
        if path.is_dir() and not found:
            raise _wrong(path, "there is no CSV or Parquet file in this folder")
        files += found if path.is_dir() else [path]
    return [row for path in files for row in _rows(path)]


def files_in(folder: Path) -> list[Path]:
    """The files of a folder that `read_files` reads."""
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in (".csv", ".parquet") and p.is_file())


def is_export(path: Path) -> bool:
    """Whether it is a file with rows of a quarantine, whatever was made of them."""
    try:
        _rows(path)
    except UsageError:
        return False
    return True


def file_bytes(paths: Sequence[Path]) -> Iterator[bytes]:
    """The content of all files that `read_files` reads, in a fixed order."""
    files = [p for path in paths for p in (files_in(path) if path.is_dir() else [path])]
    yield from sorted(p.read_bytes() for p in files if p.is_file())


def _wrong(path: Path, message: str, hint: str = "", *, where: str = "") -> UsageError:
    return UsageError(
        message,
        where=f"{path}{f', {where}' if where else ''}",
        kept="Nothing was changed.",
        hint=hint
        or "Start from a file that `migrate quarantine export` wrote, and change only values of rows.",
    )


def _rows(path: Path) -> list[FileRow]:
    try:
        if path.suffix.lower() == ".parquet":
            names, content = _parquet(path)
            lines, exact = list(range(1, len(content) + 1)), True
        else:
            names, content, lines = _csv(path)
            exact = False
    except OSError as error:
        raise _wrong(path, f"the file cannot be read: {(error.strerror or 'no file').lower()}") from None
    missing = [c for c in OURS if c not in names]
    if missing:
        raise _wrong(path, f"the file has no column {', '.join(missing)}, by which its rows are known")
    twice = sorted({c for c in names if names.count(c) > 1})
    if twice:
        raise _wrong(path, f"the file has the column {', '.join(twice)} twice")
    found = []
    for cells, line in zip(content, lines, strict=True):
        row = dict(zip(names, cells, strict=True))
        ours = {c: row.pop(c) or "" for c in OURS}
        own = {c: v for c, v in row.items() if c not in TOLD}
        where = f"{path}, {'row' if exact else 'line'} {line}"
        found.append(FileRow(ours[RUN], ours[ENTITY], ours[ROW], ours[KEY], own, where, exact))
    return found


def _parquet(path: Path) -> tuple[list[str], list[list[str | None]]]:
    try:
        table = pq.read_table(path)
        texts = [table[c].cast(pa.string()).to_pylist() for c in table.column_names]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _wrong(path, "this is no Parquet file of texts") from error
    columns: list[Any] = texts
    return list(table.column_names), [list(row) for row in zip(*columns, strict=True)]


def _csv(path: Path) -> tuple[list[str], list[list[str | None]], list[int]]:
    text = _decoded(path, path.read_bytes())
    head = text.partition("\n")[0]
    delimiter = next((d for d in ",;\t" if ROW in _split(head, d)), ",")
    before = csv.field_size_limit(_CELL)
    start = 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = [_unsafe(c) for c in next(reader, [])]
        content: list[list[str | None]] = []
        lines: list[int] = []
        start = reader.line_num + 1
        for record in reader:
            if record and any(record):
                if len(record) != len(names):
                    raise _wrong(
                        path,
                        f"{len(record)} cells, and the file has {len(names)} columns",
                        where=f"line {start}",
                    )
                content.append([_unsafe(c) or None for c in record])
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise _wrong(path, f"the file is no CSV: {error}", where=f"line {start}") from error
    finally:
        csv.field_size_limit(before)
    return names, content, lines


def _split(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter)]


def _decoded(path: Path, data: bytes) -> str:
    hint = "Save it as UTF-8 (Excel: “CSV UTF-8”)."
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _wrong(path, "the file is UTF-16, and has to be UTF-8", hint)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _wrong(path, "the file is not UTF-8", hint, where=f"line {line}") from None
