"""Canonical text of exact numbers: no exponent, no trailing zeros, no plus sign, -0 is 0."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from migrate.canon.lanes import Arrow, pc

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,18}))?", re.ASCII)
_WORDS = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity"}
_CANONICAL = r"^(0|-?[1-9][0-9]*(\.[0-9]*[1-9])?|-?0\.[0-9]*[1-9]|NaN|-?Infinity)$"
_WIDEST = 200_000  # digits that are still written out; PostgreSQL's numeric ends at 131,072 + 16,383


def plain(text: str) -> str:
    """Canonical text of the decimal number `text` (an exponent is allowed in the input).

    A number that would need more than 200,000 digits keeps its exponent: `12E300000`.
    Raises ValueError if it is not a number.
    """
    word = _WORDS.get(text.lstrip("+-").lower()) if len(text) <= 9 else None
    if word is not None and len(text) - len(text.lstrip("+-")) <= 1:
        return "-Infinity" if text[0] == "-" and word == "Infinity" else word
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("not a decimal number")
    sign, whole, fraction, exponent = (
        match[1],
        match[2],
        match[3] or "",
        int(match[4] or 0) - len(match[3] or ""),
    )
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    exponent += len(digits) - len(kept)
    if not kept:
        return "0"
    minus = "-" if sign == "-" else ""
    if exponent > _WIDEST or exponent < -_WIDEST:
        return f"{minus}{kept}E{exponent}"
    if exponent >= 0:
        return minus + kept + "0" * exponent
    kept = kept.rjust(1 - exponent, "0")
    return f"{minus}{kept[:exponent]}.{kept[exponent:]}"


def decimal_text(array: Arrow) -> Arrow:
    """Canonical text of decimal128/256 (32/64) or of text that holds decimals; nulls stay.

    Raises ValueError if some text is not a number.
    """
    if not pa.types.is_decimal(array.type):
        return _repair(array, pc.invert(pc.match_substring_regex(array, _CANONICAL)))
    text = pc.cast(array, pa.string())
    if array.type.scale == 0:
        return text
    if array.type.scale < 0:
        return by_distinct(text, plain)
    if array.type.scale > 6 and pc.any(pc.match_substring(text, "E")).as_py():  # Arrow writes 1E-7, and 0E-10
        text = _repair(text, pc.match_substring(text, "E"))
        fraction = pc.match_substring(text, ".")
        return pc.if_else(fraction, pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), "."), text)
    return pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")


def _repair(text: Arrow, wrong: Arrow) -> Arrow:
    """`plain` for the values where `wrong` is true."""
    if not pc.any(wrong).as_py():
        return text
    wrong = pc.fill_null(wrong, False)
    return pc.replace_with_mask(text, wrong, by_distinct(text.filter(wrong), plain))


def by_distinct(array: Arrow, function: Callable[[Any], str | None]) -> Arrow:
    """A Python function over the distinct texts; nulls stay null. The result is a string array."""
    coded = array.dictionary_encode()
    done = [None if value is None else function(value) for value in coded.dictionary.to_pylist()]
    return pa.array(done, pa.string()).take(coded.indices)


def less(one: str, other: str) -> bool:
    """Is the number `one` less than `other`? Exact at any length; NaN is neither less nor more than anything."""
    a, b = Decimal(one), Decimal(other)
    return not (a.is_nan() or b.is_nan()) and a < b
