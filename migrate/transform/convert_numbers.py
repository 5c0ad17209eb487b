"""To whole numbers, decimals, floats and booleans."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.model import Kind, Type
from migrate.transform.conversion import Conversion, failures
from migrate.transform.distinct import by_distinct, where_distinct
from migrate.transform.functions.numbers import EXACT, PLAIN, plain_text, round_exactly, tidy
from migrate.transform.values import Mask, Values, as_series, emptied, mask_of, nulls_of, scattered, texts_of

_WHOLE = r"\A-?[0-9]+\z"
# An exponent of four digits and more is no number of a CRM but a way to fill the memory.
_WITH_EXPONENT = r"\A-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,3}\z"


def to_boolean(values: Values) -> Conversion:
    """true, false, 1, 0, exactly."""
    if values.kind is Kind.BOOL:
        return Conversion(values.series)
    texts = texts_of(values)
    yes, no = mask_of(texts.is_in(["true", "1"])), mask_of(texts.is_in(["false", "0"]))
    bad = ~yes & ~no & ~nulls_of(texts)
    return Conversion(emptied(as_series(yes), ~yes & ~no), failures((bad, "type", "not true, false, 1 or 0")))


def to_integer(values: Values, bits: int) -> Conversion:
    given = ~nulls_of(values.series)
    lossy: Mask | None = None
    bad = given & False
    if values.kind is Kind.INT or values.kind is Kind.BOOL:
        numbers = values.series.cast(pl.Int64)
    else:
        if values.kind is Kind.TEXT:
            texts = values.series
            bad = given & ~mask_of(texts.str.contains(_WHOLE))
        else:
            texts, bad = plain_numbers(values)
            fractions = mask_of(texts.str.contains(r"\.[0-9]*[1-9]"))
            if fractions.any():
                lossy = fractions
                texts = scattered(
                    texts, fractions, round_exactly(texts.filter(as_series(fractions)), 0, even=True)
                )
            texts = texts.str.replace(r"\.0*\z", "")
        numbers = emptied(texts, bad).cast(pl.Int64, strict=False)
    beyond = given & ~bad & mask_of(numbers.is_null())
    if bits < 64:
        top = 2 ** (bits - 1)
        beyond |= mask_of((numbers < -top) | (numbers >= top))
    if lossy is not None:
        lossy = lossy & ~beyond
    return Conversion(
        numbers,
        failures((bad, "type", "not a whole number"), (beyond, "type", f"beyond {bits} bits")),
        lossy,
        lossy_detail="more digits than a whole number",
    )


def plain_numbers(values: Values) -> tuple[pl.Series, Mask]:
    """Numbers as plain decimal texts, and what is none (also NaN and infinity). An exponent is written out."""
    texts = texts_of(values)
    given = ~nulls_of(texts)
    plain = mask_of(texts.str.contains(PLAIN))
    bad = given & ~plain
    if bad.any():
        powers = mask_of(texts.str.contains(_WITH_EXPONENT))
        texts, _ = where_distinct(texts, powers, lambda t: plain_text(EXACT.create_decimal(t)))
        bad = bad & ~powers
    return tidy(emptied(texts, bad)), bad


def to_decimal(values: Values, target: Type) -> Conversion:
    texts, bad = plain_numbers(values)
    not_number = (bad, "type", "not a decimal number")
    if target.precision is None:
        return Conversion(texts, failures(not_number))
    scale = target.scale or 0
    if scale < 0 or scale > target.precision or target.precision > 76:
        return _to_odd_decimal(texts, target, not_number)
    lossy = mask_of(texts.str.contains(rf"\.[0-9]{{{scale}}}[0-9]*[1-9]"))
    if lossy.any():
        texts = scattered(texts, lossy, round_exactly(texts.filter(as_series(lossy)), scale, even=True))
    longer = mask_of(texts.str.contains(rf"\.[0-9]{{{scale + 1}}}"))
    if longer.any():
        # What is cut here are zeros: everything else has been rounded above.
        some = texts.filter(as_series(longer)).str.strip_chars_end("0").str.strip_suffix(".")
        texts = scattered(texts, longer, some)
    beyond = mask_of(texts.str.contains(rf"\A-?[1-9][0-9]{{{target.precision - scale}}}"))
    if target.precision == scale:
        beyond = mask_of(texts.str.contains(r"\A-?[1-9]"))
    digits = f"more than {target.precision - scale} digits before the point"
    array = emptied(texts, beyond).to_arrow().cast(pa.string()).cast(layout(target))
    return Conversion(
        array,
        failures(not_number, (beyond, "type", digits)),
        lossy & ~beyond if lossy.any() else None,
        lossy_detail=f"more than {scale} digits after the point",
    )


def _to_odd_decimal(texts: pl.Series, target: Type, not_number: tuple[Mask, str, str]) -> Conversion:
    """Scales that Arrow's parser does not know (negative, or beyond the precision), one distinct value at a time."""
    precision, scale = target.precision or 0, target.scale or 0
    rounded = round_exactly(texts, scale, even=True)
    changed, _ = by_distinct(
        pl.DataFrame({"a": texts, "b": rounded}).select(pl.concat_str("a", pl.lit("|"), "b"))["a"],
        lambda pair: Decimal(pair.split("|")[0]) != Decimal(pair.split("|")[1]),
        pl.Boolean,
    )
    top = Decimal(10) ** (precision - scale)
    over, _ = by_distinct(rounded, lambda t: abs(Decimal(t)) >= top, pl.Boolean)
    beyond = mask_of(over)
    kept = emptied(rounded, beyond)
    arrow = layout(target)
    array = (
        kept.to_arrow().cast(arrow)
        if pa.types.is_string(arrow)
        else pa.array([None if t is None else Decimal(t) for t in kept.to_list()], arrow)
    )
    lossy = mask_of(changed) & ~beyond
    return Conversion(
        array,
        failures(not_number, (beyond, "type", f"beyond a precision of {precision}")),
        lossy if lossy.any() else None,
        lossy_detail=f"more than {scale} digits after the point",
    )


def to_float(values: Values, bits: int) -> Conversion:
    """Lossy where the shortest text of the result is another number than the one given."""
    if values.kind is Kind.FLOAT:
        numbers, bad, lossy = values.series, nulls_of(values.series) & False, nulls_of(values.series) & False
    elif values.kind is Kind.INT or values.kind is Kind.BOOL:
        whole = values.series.cast(pl.Int64)
        numbers, bad = whole.cast(pl.Float64), nulls_of(whole) & False
        large = mask_of(whole.abs().fill_null(0) > 2**53)
        inexact, _ = where_distinct(emptied(whole, ~large), large, lambda v: int(int(float(v)) != v))
        lossy = mask_of(inexact == 1) & large
    else:
        texts, bad = plain_numbers(values)
        numbers = texts.cast(pl.Float64, strict=False)
        significant = texts.str.replace_all(r"[-.]", "").str.strip_chars_start("0").str.len_bytes()
        long = mask_of(significant > 15)
        changed, _ = by_distinct(
            emptied(texts, ~long), lambda t: Decimal(repr(float(t))) != Decimal(t), pl.Boolean
        )
        lossy = mask_of(changed)
        endless = mask_of(numbers.is_infinite())
        bad, lossy = bad | endless, lossy & ~endless
    if bits == 32:
        narrow = numbers.cast(pl.Float32)
        endless = mask_of(narrow.is_infinite() & numbers.is_finite())
        bad = bad | endless
        differs = narrow.cast(pl.String).cast(pl.Float64) != numbers
        lossy = lossy | (mask_of(differs) & ~mask_of(numbers.is_nan()) & ~endless)
        numbers = narrow
    return Conversion(
        numbers,
        failures((bad, "type", "not a number, or beyond what a float holds")),
        lossy if np.any(lossy) else None,
        lossy_detail=f"more digits than a float of {bits} bits holds",
    )
