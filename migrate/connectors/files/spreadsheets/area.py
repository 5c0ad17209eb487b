"""How far a sheet reaches, found out before python-calamine opens it.

The library makes room for every cell between a sheet's first and its last one. A single value far
out, in XFD1048576 say, asks for 17 thousand million cells, and the process is aborted on the spot.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from migrate.connectors.files.packed import LIMIT
from migrate.connectors.files.spreadsheets.cells import column_letters, column_number
from migrate.errors import UsageError

CELLS = 30_000_000  # of one sheet; some 2 to 3 GB of memory
_BLOCK, _OVERLAP = 1 << 20, 128
# A cell's column, and its row where that has seven digits or more; else the rows themselves say it.
_CELL = re.compile(rb"""\sr=["']([A-Za-z]+)(\d{7,})?""")
_ROW = re.compile(rb"""<(?:\w+:)?row\b[^>]*?\sr=["'](\d+)""")
_SIGNS = (b'"e"', b"'e'", b"<f", b":f")  # of an error or a formula; now and then of something else
_ROW_START, _CELL_START = re.compile(rb"<(?:\w+:)?row\b"), re.compile(rb"<(?:\w+:)?c\b")


@dataclass(frozen=True)
class Area:
    """The last row and the last column that any cell is in, both counted from 1; 0: there is no cell. `plain`: no
    cell of an .xlsx sheet is an error or a formula."""

    rows: int = 0
    columns: int = 0
    plain: bool = True

    @property
    def too_large(self) -> bool:
        return self.rows * self.columns > CELLS

    def refuse(self, sheet: str) -> None:
        """Raises UsageError, without a place, where it is too large."""
        if self.too_large:
            raise UsageError(
                f"the sheet {sheet} reaches as far as cell {column_letters(self.columns - 1)}{self.rows:,}: "
                f"{self.rows * self.columns:,} cells, more than can be read.",
                hint="Delete what stands far away from the table, or save the sheet as a CSV file.",
            )


def areas_of_xlsx(archive: zipfile.ZipFile) -> dict[str, Area]:
    """Member → area of all worksheets. Everything in the archive is unpacked once for it, without belief in the sizes
    that it states: more than LIMIT in all is a UsageError."""
    found = {}
    left = LIMIT
    for info in archive.infolist():
        blocks = _Counted(_unpacked(archive, info), left)
        if "worksheets/" in info.filename.lower().replace("\\", "/") and info.filename.lower().endswith(
            ".xml"
        ):
            found[info.filename] = _area_of_xml(blocks)
        else:
            for _ in blocks:
                pass
        left = blocks.left
    return found


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    stated, info.file_size = info.file_size, sys.maxsize
    try:
        with archive.open(info) as stream:
            while block := stream.read(_BLOCK):
                yield block
    finally:
        info.file_size = stated


class _Counted:
    """Blocks of an archive, no more than `left` bytes of them."""

    def __init__(self, blocks: Iterable[bytes], left: int) -> None:
        self.blocks, self.left = blocks, left

    def __iter__(self) -> Iterator[bytes]:
        for block in self.blocks:
            self.left -= len(block)
            if self.left < 0:
                raise UsageError(
                    f"the spreadsheet unpacks to more than {LIMIT >> 20} MiB, more than can be read.",
                    hint="Save its sheets as CSV files and name those in the mapping.",
                )
            yield block


def _area_of_xml(blocks: Iterable[bytes]) -> Area:
    rows = columns = counted = widest = 0
    plain = True
    held = b""
    for block in blocks:
        held += block
        cells = _CELL.findall(held)
        for letters in {letters for letters, _ in cells}:
            columns = max(columns, column_number(letters) + 1)
        rows = max([rows, *map(int, _ROW.findall(held)), *(int(far) for _, far in cells if far)])
        if not cells:  # cells that do not say where they are stand one beside the other
            pieces = _ROW_START.split(held)
            counted += len(pieces) - 1
            widest = max([widest, *(len(_CELL_START.findall(piece)) for piece in pieces)])
        plain = plain and not any(sign in held for sign in _SIGNS)
        held = held[-_OVERLAP:]
    return Area(max(rows, counted), max(columns, widest), plain)


def area_of_ods(archive: zipfile.ZipFile) -> dict[str, Area]:
    """Sheet → area. Raises as `areas_of_xlsx`."""
    reader, left = _OdsArea(), LIMIT
    for info in archive.infolist():
        blocks = _Counted(_unpacked(archive, info), left)
        for block in blocks:
            if info.filename == "content.xml":
                reader.parser.Parse(block, False)
        left = blocks.left
    reader.parser.Parse(b"", True)
    return reader.areas


_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_KIND = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 value-type"


class _OdsArea:
    """Cells with a value, and where repeated ones end."""

    def __init__(self) -> None:
        self.parser: Any = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.areas: dict[str, Area] = {}
        self.name = ""
        self.row = self.repeated = self.column = self.rows = self.columns = 0
        self.filled = False

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{_TABLE}table":
            self.name = attributes.get(f"{_TABLE}name", "")
            self.row = self.rows = self.columns = 0
        elif tag == f"{_TABLE}table-row":
            self.repeated = int(attributes.get(f"{_TABLE}number-rows-repeated", "1"))
            self.column, self.filled = 0, False
        elif tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            self.column += int(attributes.get(f"{_TABLE}number-columns-repeated", "1"))
            if _KIND in attributes:
                self.filled, self.columns = True, max(self.columns, self.column)

    def _end(self, tag: str) -> None:
        if tag == f"{_TABLE}table-row":
            self.row += self.repeated
            self.rows = self.row if self.filled else self.rows
        elif tag == f"{_TABLE}table":
            self.areas[self.name] = Area(self.rows, self.columns)
