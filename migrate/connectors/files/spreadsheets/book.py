"""A spreadsheet file opened by what it is, whatever its name says. What is wrong with it is told here, in one paragraph."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree
from xml.parsers import expat

from migrate.connectors.files.packed import DAMAGE, Place, whole
from migrate.connectors.files.spreadsheets.library import LibraryBook
from migrate.connectors.files.spreadsheets.loaded import Book, LoadedSheet
from migrate.connectors.files.spreadsheets.xls import XlsBook, xls_errors
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.mapping.shapes import nearest

_OLE, _ZIP = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # an .xlsx with a password is an OLE file that holds this
_MANIFEST = "META-INF/manifest.xml"
_DAMAGED = "the spreadsheet is damaged: it cannot be read to its end."
_HINT = "Open it in the program that wrote it, save it again, and check where it was copied."


def load_sheet(place: Place, data: bytes, wanted: str | None) -> LoadedSheet:
    """The sheet `wanted` of the file `data`, or its only one. Raises as `filled_sheets`, and UsageError for a sheet
    that is not there or is too large."""
    with _reading(place):
        book = _opened(data)
        return book.load(_name_of(book, wanted))


def filled_sheets(place: Place) -> list[str]:
    """The worksheets that hold anything, in order, hidden ones too.

    Raises UsageError for what is no spreadsheet, Unreachable where a password is needed, Corrupt where it is damaged."""
    with _reading(place):
        return _opened(whole(place)).filled


def damaged(where: str, message: str = _DAMAGED) -> Corrupt:
    return Corrupt(message, where=where, kept="Nothing of it is used.", hint=_HINT)


def _opened(data: bytes) -> Book:
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise _locked()
        try:
            return XlsBook(data)
        except xls_errors() as error:
            if "encrypted" in str(error):
                raise _locked() from None
            raise
    if not data.startswith(_ZIP):
        raise _no_spreadsheet(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        encrypted = any(info.flag_bits & 1 for info in archive.infolist())
        if encrypted or (_MANIFEST in archive.namelist() and b"encryption-data" in archive.read(_MANIFEST)):
            raise _locked()
    return LibraryBook(data)


def _name_of(book: Book, wanted: str | None) -> str:
    if wanted is None:
        filled = book.filled
        if len(filled) > 1:
            raise UsageError(
                f"the file has {len(filled)} sheets: {', '.join(filled[:12])}.",
                hint=f'Say which one in the mapping: sheet: "{filled[0]}".',
            )
        if not filled:
            raise UsageError("the file holds no sheet with anything in it.")
        return filled[0]
    there = book.sheets
    if wanted not in there:
        near = nearest(wanted, there)
        raise UsageError(
            f"there is no sheet {wanted!r}.",
            hint=f"Did you mean {near!r}?" if near else f"There are: {', '.join(there[:12])}.",
        )
    return wanted


def _locked() -> Unreachable:
    return Unreachable(
        "the spreadsheet is protected by a password.",
        hint="Save a copy without a password, and name that in the mapping.",
    )


def _no_spreadsheet(data: bytes) -> UsageError | Corrupt:
    """Many a program writes something else and calls it .xls."""
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return UsageError("the file is empty.")
    if head.startswith((b"<!doctype html", b"<html", b"<table", b"<head", b"<meta")):
        what, hint = "an HTML page", "Open it in Excel and save it as .xlsx."
    elif head.startswith(b"<?xml"):
        what, hint = "an XML file", "Open it in Excel and save it as .xlsx."
    elif b"\0" not in head and head.isascii():
        what, hint = "plain text", "Give it the ending .csv (or .txt, with a delimiter in the mapping)."
    else:
        return Corrupt("the bytes are those of no spreadsheet.")
    return UsageError(f"the file has the ending of a spreadsheet but is {what}.", hint=hint)


@contextmanager
def _reading(place: Place) -> Iterator[None]:
    """Gives our own errors their place, and puts those of the libraries in our words."""
    import python_calamine as calamine

    broken: tuple[type[Exception], ...] = (calamine.CalamineError, *DAMAGE, *xls_errors())
    broken += (ElementTree.ParseError, expat.ExpatError, NotImplementedError)
    try:
        yield
    except (UsageError, Unreachable) as error:
        error.where = error.where or str(place)
        raise
    except Corrupt as error:
        raise error if error.where else damaged(str(place), error.message) from None
    except broken:
        raise damaged(str(place)) from None
    except BaseException as error:
        # the library's own bug on bytes that make no sense: its class cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        raise damaged(str(place)) from None
