"""Files that python-calamine reads: .xlsx, .xlsm and .ods."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import date, time
from typing import TYPE_CHECKING, Any

from migrate.connectors.files.spreadsheets.area import Area, area_of_ods, areas_of_xlsx
from migrate.connectors.files.spreadsheets.loaded import Cell, LoadedSheet
from migrate.connectors.files.spreadsheets.lost import lost_of_ods, lost_of_xlsx
from migrate.connectors.files.spreadsheets.package import sheet_members

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

_MARCH_1900 = (1900, 3, 1)  # before it Excel's days are one off
_MIDNIGHT = time(0)


class LibraryBook:
    """Raises UsageError, without a place, for a file that unpacks to too much or reaches too far; what zipfile,
    ElementTree, expat and the library raise for damage."""

    def __init__(self, data: bytes) -> None:
        import python_calamine as calamine

        self._data = data
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            self._is_ods = "content.xml" in archive.namelist()
            self._areas = _areas_of_ods(archive) if self._is_ods else _areas_of_xlsx(archive)
        self._book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))

    @property
    def sheets(self) -> list[str]:
        import python_calamine as calamine

        return [m.name for m in self._book.sheets_metadata if m.typ == calamine.SheetTypeEnum.WorkSheet]

    @property
    def filled(self) -> list[str]:
        return [
            name for name in self.sheets if self._area(name).too_large or self._cells(name).start is not None
        ]

    def load(self, name: str) -> LoadedSheet:
        cells = self._cells(name)
        if cells.start is None:
            return LoadedSheet(name, 0, lambda: iter(()))
        sheet = LoadedSheet(name, cells.start[1], lambda: iter(cells.iter_rows()))
        doubtful: Set[Cell] = frozenset() if self._is_ods else _doubtful(sheet)
        if not self._is_ods and not doubtful and self._area(name).plain:
            return sheet
        with zipfile.ZipFile(io.BytesIO(self._data)) as archive:
            lost = lost_of_ods(archive, name) if self._is_ods else lost_of_xlsx(archive, name, doubtful)
        return replace(sheet, texts=lost.by_row(), unknown=tuple(lost.unknown))

    def _cells(self, name: str) -> CalamineSheet:
        self._area(name).refuse(name)
        return self._book.get_sheet_by_name(name)

    def _area(self, name: str) -> Area:
        return self._areas.get(name, Area())


def _areas_of_xlsx(archive: zipfile.ZipFile) -> Mapping[str, Area]:
    by_member = areas_of_xlsx(archive)
    return {name: by_member.get(member, Area()) for name, member in sheet_members(archive).items()}


def _areas_of_ods(archive: zipfile.ZipFile) -> Mapping[str, Area]:
    for name, area in (found := area_of_ods(archive)).items():
        area.refuse(name)  # all sheets are read at once
    return found


def _doubtful(sheet: LoadedSheet) -> Set[Cell]:
    """Cells that came as midnight or as a day before March 1900."""
    return {
        (row, sheet.first + column)
        for row, values in enumerate(sheet.read())
        for column, value in enumerate(values)
        if type(value) is not str and type(value) is not float and _is_doubtful(value)
    }


def _is_doubtful(value: Any) -> bool:
    if isinstance(value, date):
        return (value.year, value.month, value.day) < _MARCH_1900
    return bool(value == _MIDNIGHT)
