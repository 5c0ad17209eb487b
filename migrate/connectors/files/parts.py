"""The files of one table, opened and read as one.

Several files of a table are its parts, in order of their names. All have the same columns; another
order is put right by name. `_file` says which part a row is from, and `_line`, unique over the whole
table, is PART × 1,000,000,000 + its line, parts counted from 0: a part that comes later in the order
changes no row of the earlier ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from migrate.connectors.files import csv_text, json_lines, parquet
from migrate.connectors.files.bytes_in import Pinned
from migrate.connectors.files.csv_text import Counts, CsvFile
from migrate.connectors.files.json_lines import JsonFile
from migrate.connectors.files.options import BAD, FILE, LINE, RAW, FileOptions
from migrate.connectors.files.packed import Place, file_of
from migrate.connectors.files.parquet import ParquetFile
from migrate.connectors.files.spreadsheets.sheet import Known, SheetFile, open_sheet, read_sheet
from migrate.connectors.files.tables import EXCEL, JSON, PARQUET, Found
from migrate.errors import UsageError
from migrate.model import PART_LINES, Column, Kind, Type

TEXT = Type(Kind.TEXT, native="TEXT")
HIDDEN_COLUMNS = (
    Column(LINE, Type(Kind.INT, native="INTEGER", bits=64), nullable=False),
    Column(BAD, TEXT),
    Column(RAW, Type(Kind.BYTES, native="BLOB")),
)

Opened = CsvFile | SheetFile | JsonFile | ParquetFile


@dataclass(frozen=True)
class OpenedTable:
    """`names`: of the files, as they are kept. `columns`: those of the rows, ours behind them."""

    files: tuple[Opened, ...]
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    several: bool
    left_out: tuple[str, ...] = ()  # lines and rows that the mapping says are no rows


def open_table(name: str, found: Found, names: Sequence[str], known: Known) -> OpenedTable:
    """Raises UsageError naming the file for whatever cannot be read as it is, and for parts that do not agree;
    Unreachable and Corrupt as the readers do."""
    files = tuple(_open(name, place, found.options, known) for place in found.parts)
    if found.several:
        files = _agreed(files)
    columns = _columns(files[0]) + HIDDEN_COLUMNS + ((Column(FILE, TEXT),) if found.several else ())
    return OpenedTable(files, tuple(names), columns, found.several, _left_out(found.options))


def _open(table: str, place: Place, options: FileOptions, known: Known) -> Opened:
    suffix = place.suffix.lower()
    if options.sheet is not None and suffix not in EXCEL:
        raise UsageError("sheet is for spreadsheets, and this file is none.", where=str(place))
    if (options.skip_first or options.skip_last) and suffix in (*PARQUET, *JSON):
        raise UsageError(
            "skip_first and skip_last are for delimited files and spreadsheets, and this file is neither.",
            where=str(place),
        )
    if suffix in PARQUET:
        return parquet.open_parquet(place, table)
    if suffix in JSON:
        return json_lines.open_json_lines(place, options)
    return open_sheet(place, options, known) if suffix in EXCEL else csv_text.open_csv(place, options)


def _left_out(options: FileOptions) -> tuple[str, ...]:
    stated = {"the first {} lines": options.skip_first, "the last {} rows": options.skip_last}
    return tuple(
        f"{what.format(count)} of each file, as the mapping says" for what, count in stated.items() if count
    )


def _columns(file: Opened) -> tuple[Column, ...]:
    if isinstance(file, ParquetFile):
        return file.columns
    nested = file.nested if isinstance(file, JsonFile) else frozenset()
    json_type = Type(Kind.JSON, native="TEXT")
    return tuple(Column(n, json_type if n in nested else TEXT) for n in file.names)


# -- several files


def _agreed(files: tuple[Opened, ...]) -> tuple[Opened, ...]:
    """The parts, each with the columns of the table. Raises UsageError naming two files that disagree."""
    first = files[0]
    if isinstance(first, JsonFile):
        lines = [f for f in files if isinstance(f, JsonFile)]
        if len(lines) == len(files):
            # an object may leave a key out, so a file may too
            names = tuple(dict.fromkeys(n for f in lines for n in f.names))
            nested = frozenset[str]().union(*(f.nested for f in lines))
            return tuple(replace(f, names=names, nested=nested) for f in lines)
    for file in files[1:]:
        if isinstance(first, (CsvFile, SheetFile)) and isinstance(file, (CsvFile, SheetFile)):
            differences = _of_names(first.names, file.names)
        elif isinstance(first, ParquetFile) and isinstance(file, ParquetFile):
            differences = _of_types(first.columns, file.columns)
        else:
            differences = ["another kind of file"]
        if differences:
            raise UsageError(
                f"the parts of a table must have the same columns, and this one has {'; '.join(differences)}.",
                where=str(file.path),
                kept="Nothing was read.",
                hint=f"The first part is {file_of(first.path).name}. Correct the files, or the pattern in the mapping.",
            )
    if isinstance(first, ParquetFile):
        empty = {c.name for f in files if isinstance(f, ParquetFile) for c in f.columns if c.nullable}
        columns = tuple(replace(c, nullable=c.name in empty) for c in first.columns)
        return (replace(first, columns=columns), *files[1:])
    return files


def _of_names(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    missing = [n for n in wanted if n not in found]
    more = [n for n in found if n not in wanted]
    return ([f"no column {_some(missing)}"] if missing else []) + (
        [f"{'also' if not missing else 'but'} {_some(more)}"] if more else []
    )


def _of_types(wanted: Sequence[Column], found: Sequence[Column]) -> list[str]:
    types = {c.name: c.type for c in wanted}
    other = [c.name for c in found if c.name in types and c.type != types[c.name]]
    names = _of_names([c.name for c in wanted], [c.name for c in found])
    return names + ([f"another type of {_some(other)}"] if other else [])


def _some(names: Sequence[str], shown: int = 8) -> str:
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


# -- reading


def count_table(table: OpenedTable, pinned: Mapping[Path, Pinned]) -> Counts:
    """Records, bad records and blank lines of all files."""
    total: Counter[str] = Counter()
    for file in table.files:
        if isinstance(file, ParquetFile):
            counts = Counts(file.rows, 0, 0)
        elif isinstance(file, CsvFile):
            counts = csv_text.count_csv(file, expect=pinned[file_of(file.path)])
        else:
            counts = file.counts
        total.update(vars(counts))
    return Counts(total["records"], total["bad"], total["blank_lines"])


def read_table(name: str, table: OpenedTable, pinned: Mapping[Path, Pinned]) -> Iterator[pa.RecordBatch]:
    """Every record once, in order of files and lines, with the columns of the table. Raises Drift where the bytes
    are not the pinned ones."""
    for number, file in enumerate(table.files):
        for batch in _read(name, file, pinned[file_of(file.path)]):
            yield _as_part(batch, table, number) if table.several else batch


def _read(name: str, file: Opened, pinned: Pinned) -> Iterator[pa.RecordBatch]:
    if isinstance(file, ParquetFile):
        return parquet.read_parquet(file, name)
    if isinstance(file, JsonFile):
        return json_lines.read_json_lines(file, expect=pinned)
    if isinstance(file, SheetFile):
        return read_sheet(file, expect=pinned)
    return csv_text.read_csv(file, expect=pinned)


def _as_part(batch: pa.RecordBatch, table: OpenedTable, number: int) -> pa.RecordBatch:
    names = [c.name for c in table.columns]
    arrays = [batch.column(n) for n in names if n != FILE]
    lines = names.index(LINE)
    last = pc.max(arrays[lines]).as_py()
    if last is not None and last >= PART_LINES:
        raise UsageError(
            f"a part of a table has at most {PART_LINES:,} lines.", where=str(table.files[number].path)
        )
    arrays[lines] = pc.add(arrays[lines], number * PART_LINES)
    arrays.append(
        pa.array([table.names[number]], pa.string()).take(pa.nulls(batch.num_rows, pa.int64()).fill_null(0))
    )
    return pa.RecordBatch.from_arrays(arrays, names=names)
