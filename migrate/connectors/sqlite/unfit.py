"""Values that SQLite would change on their way through a column: found by name before anything is bound (F22)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

from migrate.canon.decimals import decimal_text
from migrate.connectors.sqlite.types import EXACT_DIGITS, Affinity
from migrate.model import Kind, Type

pc: Any = pyarrow.compute  # the stubs' overloads refuse valid calls

LOOKS_NUMERIC = r"^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\n\v\f\r]*$"
_FIRST_DAY, _LAST_DAY = -719162, 2932896  # 0001-01-01, 9999-12-31
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Unfit:
    """`mask`: the values concerned (never null); why, and what to do about them."""

    mask: Any
    message: str
    hint: str = ""


def unfit(array: Any, type_: Type, affinity: Affinity) -> Unfit | None:
    """Values of one column (in the layout of `type_`) that would not be what they were; None if there are none."""
    found = _judged(array, array.type, type_, affinity)
    if found is None:
        return None
    mask = pc.fill_null(found.mask, False)
    return Unfit(mask, found.message, found.hint) if pc.any(mask).as_py() else None


def _judged(array: Any, kind: Any, type_: Type, affinity: Affinity) -> Unfit | None:
    if pa.types.is_floating(kind):
        return _doubles(array, affinity)
    if pa.types.is_decimal(kind):
        return _digits(decimal_text(array)) if affinity.numeric else None
    if pa.types.is_date(kind):
        return _years(pc.cast(pc.cast(array, pa.date32()), pa.int32()), 1)
    if pa.types.is_timestamp(kind):
        return _years(pc.cast(pc.cast(array, pa.timestamp("us", tz=kind.tz)), pa.int64()), _DAY)
    if pa.types.is_time(kind):
        micros = pc.cast(pc.cast(array, pa.time64("us")), pa.int64())
        return Unfit(pc.greater_equal(micros, _DAY), "24:00:00 is no time of day in SQLite")
    if pa.types.is_string(kind) and affinity.numeric:
        return _texts(array, type_, affinity)
    return None


def _doubles(array: Any, affinity: Affinity) -> Unfit | None:
    if not affinity.numeric:
        return None
    nan = pc.is_nan(array)
    if pc.any(nan).as_py():
        return Unfit(nan, "SQLite has no NaN (it would store NULL)", "Map NaN to a value or to empty.")
    # whole numbers are kept as integers, which have one zero
    bits = pc.cast(array, pa.float64()).view(pa.int64())
    return Unfit(pc.equal(bits, -(2**63)), "SQLite keeps no negative zero", "Map -0 to 0.")


def _texts(array: Any, type_: Type, affinity: Affinity) -> Unfit:
    if type_.kind is Kind.DECIMAL:
        return _digits(decimal_text(array))
    looks = pc.match_substring_regex(array, LOOKS_NUMERIC)
    if type_.kind is not Kind.JSON:
        return Unfit(
            looks,
            f"SQLite would turn text into numbers here (affinity {affinity}), so leading zeros would be lost",
            "Declare the column TEXT.",
        )
    numbers = pc.if_else(looks, pc.utf8_trim_whitespace(array), pa.scalar(None, array.type))
    return _digits(decimal_text(numbers))


def _digits(text: Any) -> Unfit:
    """An integer that fits 64 bits stays exact, any other number becomes a double."""
    digits = pc.replace_substring_regex(text, r"^-?0*\.?0*|\.", "")
    significant = pc.utf8_length(pc.utf8_rtrim(digits, "0"))
    whole = pc.and_(pc.invert(pc.match_substring(text, ".")), pc.less_equal(pc.utf8_length(digits), 18))
    lossy = pc.and_(pc.greater(significant, EXACT_DIGITS), pc.invert(whole))
    strange = pc.match_substring_regex(text, "[A-Z]")
    return Unfit(
        pc.or_(lossy, strange),
        f"a decimal has more than {EXACT_DIGITS} significant digits (or is not a finite number): "
        "SQLite would round it to a double",
        "Declare the column TEXT or DECIMAL_TEXT(p, s), which keep decimals exactly.",
    )


def _years(values: Any, day: int) -> Unfit:
    low, high = _FIRST_DAY * day, (_LAST_DAY + 1) * day - 1
    return Unfit(
        pc.or_(pc.less(values, low), pc.greater(values, high)),
        "a date lies outside the years 0001 to 9999 (or is infinite); ISO text in SQLite cannot say it",
    )
