"""A spreadsheet file in memory, and its sheets. What is wrong with the file as a whole is told here."""

from __future__ import annotations

import io
import sys
import zipfile
import zlib
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from typing import TYPE_CHECKING, Any

from migrate.connectors.files.packed import LIMIT, Place, whole
from migrate.connectors.files.spreadsheets.lost import DAMAGED, Cell, lost_cells, xls_errors
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.mapping.shapes import nearest

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_OLE, _ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"
_MARCH_1900 = (1900, 3, 1)  # before it Excel's days are one off
_MIDNIGHT = time(0)
_MANIFEST = "META-INF/manifest.xml"
_HINT = "Open it in the program that wrote it, save it again, and check where it was copied."


@dataclass(frozen=True)
class LoadedSheet:
    """One sheet in memory. `first`: its first used column, counted from 0; `texts`: row → column → what
    the library does not hand on; `unknown`: formulas without a stored result."""

    where: str
    name: str
    cells: CalamineSheet
    first: int
    texts: dict[int, dict[int, str]]
    unknown: tuple[Cell, ...]

    def rows(self) -> Iterator[list[Any]]:
        """The values of every row from the sheet's first on, from the first used column."""
        return iter(self.cells.iter_rows() if self.cells.start is not None else ())

    def damaged(self) -> Corrupt:
        return _damaged(self.where)


def load_sheet(place: Place, data: bytes, wanted: str | None) -> LoadedSheet:
    """The sheet `wanted` of the file `data`, or its only one. Raises as `filled_sheets`, and UsageError for a sheet
    that is not there."""
    with _reading(place):
        book, kind = _workbook(data, place)
        cells = book.get_sheet_by_name(_name_of(book, place, wanted))
        first = cells.start[1] if cells.start is not None else 0
        found = LoadedSheet(f"{place} (sheet {cells.name})", cells.name, cells, first, {}, ())
        lost = lost_cells(data, kind, cells.name, _doubtful(found))
    for (row, column), text in lost.texts.items():
        found.texts.setdefault(row, {})[column] = text
    return LoadedSheet(found.where, found.name, cells, first, found.texts, tuple(lost.unknown))


def filled_sheets(place: Place) -> list[str]:
    """The worksheets that hold anything, in order, hidden ones too.

    Raises UsageError for what is no spreadsheet, Unreachable where a password is needed, Corrupt where it is damaged."""
    with _reading(place):
        book, _ = _workbook(whole(place), place)
        return _filled(book)


def _filled(book: CalamineWorkbook) -> list[str]:
    return [name for name in _worksheets(book) if book.get_sheet_by_name(name).start is not None]


def _worksheets(book: CalamineWorkbook) -> list[str]:
    """Without charts and macros, which hold no cells."""
    import python_calamine as calamine

    return [m.name for m in book.sheets_metadata if m.typ == calamine.SheetTypeEnum.WorkSheet]


def _name_of(book: CalamineWorkbook, place: Place, wanted: str | None) -> str:
    if wanted is None:
        filled = _filled(book)
        if len(filled) > 1:
            raise UsageError(
                f"the file has {len(filled)} sheets: {', '.join(filled[:12])}.",
                where=str(place),
                hint=f'Say which one in the mapping: sheet: "{filled[0]}".',
            )
        if not filled:
            raise UsageError("the file holds no sheet with anything in it.", where=str(place))
        return filled[0]
    there = _worksheets(book)
    if wanted not in there:
        near = nearest(wanted, there)
        raise UsageError(
            f"there is no sheet {wanted!r}.",
            where=str(place),
            hint=f"Did you mean {near!r}?" if near else f"There are: {', '.join(there[:12])}.",
        )
    return wanted


def _doubtful(sheet: LoadedSheet) -> Set[Cell]:
    """Cells that came as midnight or as a day before March 1900."""
    return {
        (row, sheet.first + column)
        for row, values in enumerate(sheet.rows())
        for column, value in enumerate(values)
        if type(value) is not str and type(value) is not float and _is_doubtful(value)
    }


def _is_doubtful(value: Any) -> bool:
    if isinstance(value, date):
        return (value.year, value.month, value.day) < _MARCH_1900
    return bool(value == _MIDNIGHT)


# -- the file


def _workbook(data: bytes, place: Place) -> tuple[CalamineWorkbook, str]:
    """The workbook, and what it really is: .xlsx (.xlsm too), .xls or .ods, whatever its name says."""
    import python_calamine as calamine

    if data.startswith(_OLE):
        try:
            return calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)), ".xls"
        except calamine.CalamineError:
            if _is_locked(data):
                raise _locked(place) from None
            raise
    if not data.startswith(_ZIP):
        raise _no_spreadsheet(data, place)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _refuse_bomb(archive, place)
        names = archive.namelist()
        if _MANIFEST in names and b"encryption-data" in archive.read(_MANIFEST):
            raise _locked(place)
    book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    return book, ".ods" if "content.xml" in names else ".xlsx"


def _is_locked(data: bytes) -> bool:
    """From memory, the library takes a protected file for a broken one. Inside an OLE file that is an encrypted
    package, or an .xls that says so."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return True
    import xlrd

    try:
        xlrd.open_workbook(file_contents=data, on_demand=True, logfile=io.StringIO()).release_resources()
    except xls_errors() as error:
        return "encrypted" in str(error)
    return False


def _locked(place: Place) -> Unreachable:
    return Unreachable(
        "the spreadsheet is protected by a password.",
        where=str(place),
        hint="Save a copy without a password, and name that in the mapping.",
    )


def _refuse_bomb(archive: zipfile.ZipFile, place: Place) -> None:
    """What is in the archive is unpacked once, in blocks, without belief in the sizes that it states."""
    total = 0
    for info in archive.infolist():
        if info.flag_bits & 1:
            raise _locked(place)
        stated, info.file_size = info.file_size, sys.maxsize
        with archive.open(info) as stream:
            while block := stream.read(1 << 20):
                total += len(block)
                if total > LIMIT:
                    raise UsageError(
                        f"the spreadsheet unpacks to more than {LIMIT >> 20} MiB, more than can be read.",
                        where=str(place),
                        hint="Save its sheets as CSV files and name those in the mapping.",
                    )
        info.file_size = stated


def _no_spreadsheet(data: bytes, place: Place) -> UsageError | Corrupt:
    """Many a program writes something else and calls it .xls."""
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return UsageError("the file is empty.", where=str(place))
    if head.startswith((b"<!doctype html", b"<html", b"<table", b"<head", b"<meta")):
        what, hint = "an HTML page", "Open it in Excel and save it as .xlsx."
    elif head.startswith(b"<?xml"):
        what, hint = "an XML file", "Open it in Excel and save it as .xlsx."
    elif b"\0" not in head and head.isascii():
        what, hint = "plain text", "Give it the ending .csv (or .txt, with a delimiter in the mapping)."
    else:
        return Corrupt("the bytes are those of no spreadsheet.", where=str(place), hint=_HINT)
    return UsageError(f"the file has the ending of a spreadsheet but is {what}.", where=str(place), hint=hint)


@contextmanager
def _reading(place: Place) -> Iterator[None]:
    """What the libraries raise, in our words."""
    import python_calamine as calamine

    try:
        yield
    except (calamine.CalamineError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        raise _damaged(str(place)) from None
    except Corrupt as error:
        raise error if error.where else _damaged(str(place), error.message) from None
    except BaseException as error:
        # the library's own bug on bytes that make no sense: its class cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        raise _damaged(str(place)) from None


def _damaged(where: str, message: str = DAMAGED) -> Corrupt:
    return Corrupt(message, where=where, kept="Nothing of it is used.", hint=_HINT)
