"""Value maps that lie in CSV files beside the mapping."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrate.mapping.shapes import did_you_mean, one_line

MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class MapFile:
    """What a file says. `digest`: SHA-256 of its bytes."""

    values: dict[str, str | None] = field(repr=False)
    digest: str


@dataclass(frozen=True)
class Trouble:
    """Why a file is no map. `key`: the key of the mapping that it is about."""

    key: str
    message: str
    hint: str = ""


def kept_name(file: str) -> str:
    """The name under which a run keeps its copy of a file that the mapping calls `file`."""
    return f"{hashlib.sha256(file.encode()).hexdigest()[:16]}.csv"


def read_map_file(
    base: Path, file: str, from_: str, to: str, *, ignore_case: bool = False, kept: Path | None = None
) -> MapFile | Trouble:
    """The column `from_` → the column `to` of a CSV file: UTF-8, commas, a header. An empty `to` gives None.

    `kept`: a folder of copies (`kept_name`) that is looked into instead."""
    path = base / file if kept is None else kept / kept_name(file)
    data = bytes_of(path, file)
    if isinstance(data, Trouble):
        return data
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Trouble("file", f"{file}:{line} is not UTF-8", "save the file as UTF-8")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return _read(rows, file, from_, to, ignore_case, hashlib.sha256(data).hexdigest())
    except csv.Error as error:
        return Trouble(
            "file",
            f"{file}:{rows.line_num} is no CSV: {error}",
            "a comma stands between two values, quotes are closed",
        )


def bytes_of(path: Path, file: str) -> bytes | Trouble:
    """The bytes of a file that the mapping calls `file`, or why there are none."""
    try:
        if not path.is_file():
            return Trouble(
                "file", f"there is no file {file}", "paths count from the folder that holds `mappings/`"
            )
        if path.stat().st_size > MAX_BYTES:
            hint = "a table of the source may be larger: {table: …, from: …, to: …}"
            return Trouble("file", f"{file} is larger than {MAX_BYTES // 1_000_000} MB", hint)
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is no file name"
        return Trouble("file", f"{file} cannot be read: {why}")


def _read(
    rows: Iterator[list[str]], file: str, from_: str, to: str, ignore_case: bool, digest: str
) -> MapFile | Trouble:
    header = next(rows, None)
    if header is None:
        return Trouble("file", f"{file} is empty", f"its first line names the columns: {from_},{to}")
    for key, name in (("from", from_), ("to", to)):
        if header.count(name) != 1:
            what = "has no column" if name not in header else "has several columns"
            hint = (
                did_you_mean(name, header, f"there are {', '.join(header[:12])}")
                if name not in header
                else ""
            )
            return Trouble(key, f'{file} {what} "{one_line(name)}"', hint)
    source, result = header.index(from_), header.index(to)
    values: dict[str, str | None] = {}
    seen: dict[str, str | None] = {}  # folded, under `ignore_case`
    width = len(header)
    for row in rows:
        if not row:
            continue
        if len(row) != width:
            line = getattr(rows, "line_num", 0)
            return Trouble(
                "file",
                f"{file}:{line} has {len(row)} values, the header has {width}",
                "quote a value that holds a comma",
            )
        word, new = row[source], row[result] or None
        known = seen if ignore_case else values
        folded = word.casefold() if ignore_case else word
        if folded not in known:
            values[word] = known[folded] = new
        elif known[folded] != new:
            line = getattr(rows, "line_num", 0)
            without = ", without case," if ignore_case else ""
            return Trouble(
                "file",
                f'{file}:{line} gives "{one_line(word)}"{without} another result than a line before',
                "keep one of them",
            )
    if not values:
        return Trouble("file", f"{file} has a header and no rows")
    return MapFile(values, digest)


def two_results(values: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Two texts of a map that are one without their case and have different results, or None."""
    seen: dict[str, str] = {}
    for word, new in values.items():
        first = seen.setdefault(word.casefold(), word)
        if values[first] != new:
            return first, word
    return None
