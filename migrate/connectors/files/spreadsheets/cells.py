"""The text of a spreadsheet's cell, by the type that the cell has of its own."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_DURATION = re.compile(r"PT(\d+)H(\d+)M(\d+)(?:[.,](\d+))?S")  # as OpenDocument writes times


def cell_text(value: Any) -> str | None:
    """None: the cell is empty. Text as it is; numbers as `number_text`; true and false; dates and times ISO 8601, a
    date without time of day as a date; lengths of time as hours:minutes:seconds, of any number of hours."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _hours(value)
    raise TypeError(f"a cell of the type {type(value).__name__}")


def number_text(value: float) -> str:
    """The shortest text that is this number: whole numbers without `.0`, from 1e-7 up to 1e21 without exponent.

    Spreadsheets keep numbers as doubles, so digits after the 15th or so were lost when the file was written."""
    text = repr(value).removesuffix(".0")
    if "e" in text and 1e-7 <= abs(value) < 1e21:
        text = format(Decimal(text), "f")
    return "0" if text == "-0" else text


def time_text(text: str) -> str:
    """`PT10H30M00S` of an OpenDocument time as `10:30:00`; any other text as it is."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return text
    hours, minutes, seconds, fraction = match.groups()
    rest = f".{fraction.rstrip('0')}" if fraction and fraction.strip("0") else ""
    return f"{int(hours):02d}:{int(minutes):02d}:{int(seconds):02d}{rest}"


def _hours(value: timedelta) -> str:
    micros = abs(value) // timedelta(microseconds=1)
    seconds, fraction = divmod(micros, 1_000_000)
    rest = f".{fraction:06d}".rstrip("0") if fraction else ""
    sign = "-" if value < timedelta(0) else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{rest}"


def column_number(letters: bytes) -> int:
    """AB → 27; columns count from 0."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number - 1


def column_letters(column: int) -> str:
    """27 → AB."""
    text = ""
    column += 1
    while column > 0:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text
