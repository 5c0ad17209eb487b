"""What single texts of a mapping must look like."""

from __future__ import annotations

import codecs
import re
from typing import Any

from migrate.mapping import dates


def identifier(what: str) -> Any:
    def check(text: str) -> str | None:
        if re.fullmatch(r"[^\W\d][\w-]{0,62}", text):
            return None
        return f'"{text[:70]}" cannot be the name of {what}: letters, digits, _ and -, at most 63, a letter first'

    return check


def encoding(text: str) -> str | None:
    try:
        good = codecs.lookup(text)._is_text_encoding  # what str.encode itself asks
    except (LookupError, ValueError):
        good = False
    return None if good else f'"{text[:40]}" is not a text encoding; names are like utf-8, cp1252, latin-1'


def date_format(text: str) -> str | None:
    try:
        dates.pieces(text)
    except ValueError as error:
        return str(error)
    return None


def character(text: str) -> str | None:
    return None if len(text) == 1 else "exactly one character is expected here"
