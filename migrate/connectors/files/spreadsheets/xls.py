"""Excel's old files (.xls), read by xlrd: on damaged ones python-calamine hangs or takes the process down."""

from __future__ import annotations

import io
import re
import struct
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from migrate.connectors.files.spreadsheets.loaded import LoadedSheet

if TYPE_CHECKING:
    import xlrd

_LENGTH = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)  # formats of lengths of time
_LAST_DAY = 2_958_466  # the day after 31 December 9999


class XlsBook:
    """At most 65,536 × 256 cells a sheet. Raises what `xls_errors` lists for bytes that make no sense; "encrypted" is
    in the text where it is that."""

    def __init__(self, data: bytes) -> None:
        import xlrd

        # what it has to say about odd files it would print
        self._book = xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=io.StringIO())

    @property
    def sheets(self) -> list[str]:
        return list(self._book.sheet_names())

    @property
    def filled(self) -> list[str]:
        return [name for name in self.sheets if _first(self._book.sheet_by_name(name)) is not None]

    def load(self, name: str) -> LoadedSheet:
        sheet = self._book.sheet_by_name(name)
        first = _first(sheet)
        if first is None:
            return LoadedSheet(name, 0, lambda: iter(()))
        rows = [[self._value(cell) for cell in sheet.row_slice(row, first)] for row in range(sheet.nrows)]
        return LoadedSheet(name, first, lambda: iter(rows))

    def _value(self, cell: xlrd.sheet.Cell) -> Any:
        import xlrd

        match cell.ctype:
            case xlrd.XL_CELL_TEXT | xlrd.XL_CELL_NUMBER:
                return cell.value
            case xlrd.XL_CELL_DATE:
                return self._moment(cell)
            case xlrd.XL_CELL_BOOLEAN:
                return bool(cell.value)
            case xlrd.XL_CELL_ERROR:
                return xlrd.error_text_from_code.get(int(cell.value), f"#ERROR {cell.value}")
        return ""

    def _moment(self, cell: xlrd.sheet.Cell) -> Any:
        """By the cell's format a date, a time of day or a length of time; the number where it can be none."""
        number = float(cell.value)
        looks = self._book.xf_list[cell.xf_index or 0].format_key
        format_ = self._book.format_map[looks].format_str
        if _LENGTH.search(format_):
            return timedelta(milliseconds=round(number * 86_400_000))
        if not 0 <= number < _LAST_DAY:
            return number
        starts_1904 = self._book.datemode == 1
        if int(number) == 60 and not starts_1904:
            return "1900-02-29"  # a day that only Excel has
        start = datetime(1904, 1, 1) if starts_1904 else datetime(1899, 12, 30 if number > 60 else 31)
        moment = start + timedelta(milliseconds=round(number * 86_400_000))
        if number < 1 and not starts_1904:
            return moment.time()
        return date(moment.year, moment.month, moment.day) if number.is_integer() else moment


def _first(sheet: xlrd.sheet.Sheet) -> int | None:
    """The first column with anything in it."""
    filled = [
        next(column for column, value in enumerate(values) if value != "")
        for values in (sheet.row_values(row) for row in range(sheet.nrows))
        if any(value != "" for value in values)
    ]
    return min(filled, default=None)


def xls_errors() -> tuple[type[Exception], ...]:
    """What xlrd raises for bytes that make no sense."""
    from xlrd.biffh import XLRDError
    from xlrd.compdoc import CompDocError

    named = (XLRDError, CompDocError, struct.error)
    return (*named, AssertionError, LookupError, ValueError, ArithmeticError, RecursionError)
