"""The words of a date format: `M/D/YYYY`, `DD.MM.YYYY`, `YYYY-MM-DD HH:mm:ss`, `D MMM YY`.

The letters are those of spreadsheets and moment.js, so months are `M` and minutes are `m`. A format
reads the whole value, or does not read it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# token → what it reads. One letter reads one or two digits, two letters exactly two.
TOKENS: dict[str, str] = {
    "YYYY": "year, 4 digits",
    "YY": "year, 2 digits (the window is the function's years_from)",
    "MMMM": "English name of the month, case does not matter",
    "MMM": "first three letters of the English name of the month, case does not matter",
    "MM": "month, 2 digits",
    "M": "month, 1 or 2 digits",
    "DD": "day, 2 digits",
    "D": "day, 1 or 2 digits",
    "dddd": "English name of the weekday; read and not compared",
    "ddd": "first three letters of the English name of the weekday; read and not compared",
    "HH": "hour 00-23, 2 digits",
    "H": "hour 0-23, 1 or 2 digits",
    "hh": "hour 01-12, 2 digits; needs A",
    "h": "hour 1-12, 1 or 2 digits; needs A",
    "mm": "minute, 2 digits",
    "m": "minute, 1 or 2 digits",
    "ss": "second, 2 digits",
    "s": "second, 1 or 2 digits",
    "SSS": "fraction of a second, 1 to 6 digits",
    "A": "AM or PM, also am, pm, a.m., p.m.",
    "Z": "distance from UTC: Z, +02:00, +0200 or +02",
}

_PIECE = re.compile(r"\[(?P<quoted>[^\]]*)\]|(?P<letters>([A-Za-z])\3*)|(?P<other>[^A-Za-z\[]+)|(?P<open>\[)")
_PART_OF = {
    "YYYY": "year", "YY": "year", "MMMM": "month", "MMM": "month", "MM": "month", "M": "month", "DD": "day", "D": "day",
    "dddd": "weekday", "ddd": "weekday", "HH": "hour", "H": "hour", "hh": "hour", "h": "hour", "mm": "minute", "m": "minute",
    "ss": "second", "s": "second", "SSS": "fraction", "A": "half", "Z": "zone",
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """One piece of a format: `token` is a key of TOKENS, or "" where `literal` stands for itself."""

    token: str
    literal: str = ""


def pieces(format_: str) -> tuple[Piece, ...]:
    """The pieces of a format, in order; `T` between date and time is literal, `[text]` is literal text.

    Raises ValueError (plain words) for a format that cannot work."""
    found: list[Piece] = []
    for match in _PIECE.finditer(format_):
        letters = match["letters"]
        if match["open"]:
            raise ValueError(f'"{format_}" opens [ without closing it')
        if letters is None:
            found.append(Piece("", match["other"] if match["quoted"] is None else match["quoted"]))
        elif letters in TOKENS:
            found.append(Piece(letters))
        elif letters == "T":
            found.append(Piece("", "T"))
        else:
            raise ValueError(f'"{letters}" in the date format "{format_}" means nothing{_advice(letters)}')
    _check(format_, found)
    return tuple(found)


def has_zone(format_: str) -> bool:
    return any(p.token == "Z" for p in pieces(format_))


def _advice(letters: str) -> str:
    if set(letters) == {"y"}:
        return "; years are YYYY or YY"
    if set(letters) == {"d"}:
        return "; days are DD or D"
    if set(letters) == {"S"}:
        return "; seconds are ss, fractions SSS"
    if set(letters) == {"a"}:
        return "; AM and PM are A"
    return "; the letters are " + " ".join(TOKENS) + ", other text stands in [brackets]"


def _check(format_: str, found: list[Piece]) -> None:
    parts = [_PART_OF[p.token] for p in found if p.token]
    for part in ("year", "month", "day"):
        if part not in parts:
            raise ValueError(f'the date format "{format_}" has no {part}')
    twice = sorted({part for part in parts if parts.count(part) > 1})
    if twice:
        raise ValueError(f'the date format "{format_}" has the {twice[0]} twice')
    tokens = {p.token for p in found}
    if tokens & {"h", "hh"} and "A" not in tokens:
        raise ValueError(
            f'the date format "{format_}" has hours up to 12 (h) without A for AM and PM; hours up to 23 are H'
        )
    if "A" in tokens and not tokens & {"h", "hh"}:
        raise ValueError(f'the date format "{format_}" has A (AM and PM) without an hour h or hh')
    for part, needs in (("minute", "hour"), ("second", "minute"), ("fraction", "second")):
        if part in parts and needs not in parts:
            raise ValueError(
                f'the date format "{format_}" has a {part} without {"an" if needs == "hour" else "a"} {needs}'
            )
