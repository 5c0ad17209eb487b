"""Cells whose content python-calamine does not hand on, read from the file itself.

The library gives an empty text for an error (#N/A), for a formula whose result was never stored, and
drops tabs in OpenDocument texts; a negative number in a cell formatted as a date becomes midnight,
and Excel's 29 February 1900 becomes the 28th. All of that would be silent. So the sheet is looked
through a second time, for these cells only (docs/decisions/0014-spreadsheets.md).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from xml.parsers import expat

from migrate.connectors.files.spreadsheets.cells import column_number, number_text, time_text
from migrate.connectors.files.spreadsheets.loaded import Cell
from migrate.connectors.files.spreadsheets.package import sheet_members
from migrate.errors import Corrupt

_BLOCK = 1 << 20
_MOST = 4_000_000  # cells of one sheet that such content is kept of
_LONGEST = 64 << 20  # bytes of one row
_END = re.compile(rb"</(?:\w+:)?sheetData\s*>")
_ROW = re.compile(rb"<((?:\w+:)?row)\b([^>]*?)(?:/>|>(.*?)</\1>)", re.DOTALL)
_CELL = re.compile(rb"<((?:\w+:)?c)\b([^>]*?)(?:/>|>(.*?)</\1>)", re.DOTALL)
_VALUE = re.compile(rb"<(?:\w+:)?v\b[^>]*>(.*?)</(?:\w+:)?v>", re.DOTALL)
_FORMULA = re.compile(rb"<(?:\w+:)?f\b")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_TYPE = re.compile(rb"""\bt\s*=\s*["'](\w+)["']""")
_PLACE = re.compile(rb"""\br\s*=\s*["']([A-Za-z]*)(\d+)["']""")
_TEXTS = (b"str", b"s", b"inlineStr")  # types of cells for which an empty result is a result


@dataclass
class Lost:
    """`texts`: what is really there. `unknown`: formulas without a stored result."""

    texts: dict[Cell, str] = field(default_factory=dict)
    unknown: list[Cell] = field(default_factory=list)

    def by_row(self) -> dict[int, dict[int, str]]:
        found: dict[int, dict[int, str]] = {}
        for (row, column), text in self.texts.items():
            found.setdefault(row, {})[column] = text
        return found

    def put(self, cell: Cell, text: str) -> None:
        self.texts[cell] = text
        if len(self.texts) > _MOST:
            raise Corrupt(f"more than {_MOST:,} cells of the sheet are errors.")


# -- .xlsx, .xlsm


def lost_of_xlsx(archive: zipfile.ZipFile, sheet: str, doubtful: Set[Cell]) -> Lost:
    """`doubtful`: cells that came as midnight or as a date before March 1900. Raises Corrupt, without the name of the
    file, where it contradicts itself, and what zipfile and ElementTree raise."""
    lost, rows_in_doubt, number = Lost(), {row for row, _ in doubtful}, -1
    member = sheet_members(archive).get(sheet)
    if member is None:
        raise Corrupt("the workbook names no such sheet.")
    for attributes, body in _rows(archive, member):
        at = _PLACE.search(attributes)
        number = int(at[2]) - 1 if at else number + 1
        if number in rows_in_doubt or b'"e"' in body or b"'e'" in body or _FORMULA.search(body):
            _look_at(number, body, doubtful, lost)
    return lost


def _look_at(row: int, body: bytes, doubtful: Set[Cell], lost: Lost) -> None:
    column = -1
    for _, attributes, content in _CELL.findall(body):
        at, kind = _PLACE.search(attributes), _TYPE.search(attributes)
        column = column_number(at[1]) if at and at[1] else column + 1
        found = _VALUE.search(content)
        value = unescape(found[1].decode("utf-8", "replace")).strip() if found else ""
        if kind and kind[1] == b"e" and value:
            lost.put((row, column), value)
        elif not value and _FORMULA.search(content) and not (kind and kind[1] in _TEXTS):
            lost.unknown.append((row, column))
        elif (row, column) in doubtful and _NUMBER.fullmatch(value) and (text := _undated(float(value))):
            lost.put((row, column), text)


def _undated(number: float) -> str:
    """What a number is that cannot be a date; empty: it can."""
    if number < 0:
        return number_text(number)
    return "1900-02-29" if int(number) == 60 else ""


def _rows(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[bytes, bytes]]:
    """Attributes and content of every row of a sheet, in order."""
    held = b""
    with archive.open(part) as stream:
        while block := stream.read(_BLOCK):
            if not held and block[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise Corrupt("the sheet is not written in UTF-8.")
            held += block
            end = 0
            for match in _ROW.finditer(held):
                yield match[2], match[3] or b""
                end = match.end()
            if _END.search(held, end):
                return
            held = held[end:]
            if len(held) > _LONGEST:
                raise Corrupt("one row of the sheet is longer than any real one.")


# -- .ods

_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 "
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 "
_CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 "
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")


def lost_of_ods(archive: zipfile.ZipFile, sheet: str) -> Lost:
    """Raises what zipfile and expat raise."""
    reader = _OdsReader(sheet)
    with archive.open("content.xml") as stream:
        while block := stream.read(_BLOCK):
            reader.parser.Parse(block, False)
        reader.parser.Parse(b"", True)
    return reader.lost


class _OdsReader:
    """Follows one sheet of content.xml and keeps the texts of cells that are errors or hold tabs."""

    def __init__(self, sheet: str) -> None:
        self.sheet, self.lost = sheet, Lost()
        self.parser: Any = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.buffer_text = True
        self.inside = False  # the sheet that is wanted
        self.tables = 0  # nested ones are drawings of a cell
        self.row = self.rows = self.column = self.columns = 0
        self.odd: list[tuple[int, int, str]] = []  # of the row: column, columns, text
        self.cell: dict[str, str] | None = None
        self.texts: list[str] = []
        self.paragraphs = self.aside = 0
        self.tabs = False

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{_TABLE}table":
            self.tables += 1
            if self.tables == 1:
                self.inside = attributes.get(f"{_TABLE}name") == self.sheet
                self.row = 0
        if not self.inside or self.tables != 1:
            return
        if tag == f"{_TABLE}table-row":
            self.rows = int(attributes.get(f"{_TABLE}number-rows-repeated", "1"))
            self.column, self.odd = 0, []
        elif tag in _CELLS:
            self.columns = int(attributes.get(f"{_TABLE}number-columns-repeated", "1"))
            self.cell, self.texts, self.paragraphs, self.tabs = attributes, [], 0, False
        elif tag == f"{_OFFICE}annotation":
            self.aside += 1
        elif self.cell is not None and not self.aside:
            if tag == f"{_TEXT}p":
                self.texts += ["\n"] if self.paragraphs else []
                self.paragraphs += 1
            elif tag == f"{_TEXT}s":
                self.texts.append(" " * min(int(attributes.get(f"{_TEXT}c", "1")), 32_767))
            elif tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
                self.tabs = True
                self.texts.append("\t" if tag == f"{_TEXT}tab" else "\n")

    def _characters(self, text: str) -> None:
        if self.cell is not None and self.paragraphs and not self.aside:
            self.texts.append(text)

    def _end(self, tag: str) -> None:
        if self.inside and self.tables == 1:
            if tag == f"{_OFFICE}annotation":
                self.aside -= 1
            elif tag in _CELLS and self.cell is not None:
                if text := self._text_of(self.cell, "".join(self.texts)):
                    self.odd.append((self.column, self.columns, text))
                self.column += self.columns
                self.cell = None
            elif tag == f"{_TABLE}table-row":
                for column, columns, text in self.odd:
                    for row in range(self.row, self.row + self.rows):
                        for place in range(column, column + columns):
                            self.lost.put((row, place), text)
                self.row += self.rows
        if tag == f"{_TABLE}table":
            self.tables -= 1

    def _text_of(self, cell: dict[str, str], shown: str) -> str:
        """Empty: the library's own value is right."""
        kind = cell.get(f"{_OFFICE}value-type", "")
        wrong = cell.get(f"{_CALC}value-type") == "error" or (
            kind != "string" and shown.startswith(("#", "Err:")) and f"{_TABLE}formula" in cell
        )
        if wrong:
            return shown or "#ERROR"
        if kind == "string" and self.tabs:
            return shown
        return time_text(cell.get(f"{_OFFICE}time-value", "")) if kind == "time" else ""
