"""Functions that read numbers. Decimals are exact texts in plain notation; nothing goes through a float."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from migrate.model import Kind
from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.values import (
    DECIMAL,
    INTEGER,
    WHITE,
    Mask,
    Outcome,
    Values,
    as_series,
    emptied,
    mask_of,
    scattered,
    texts_of,
)

Arguments = Mapping[str, Any]
EXACT = Context(prec=2000, Emax=999999, Emin=-999999)
PLAIN = r"\A-?[0-9]+(?:\.[0-9]+)?\z"
_NUMERIC = (Kind.INT, Kind.DECIMAL, Kind.FLOAT)
_DETAIL = "not a number as it is described"


def plain_text(number: Decimal) -> str:
    """Plain notation, scale kept, no minus before zero."""
    text = format(number, "f")
    return text[1:] if text.startswith("-") and not number else text


def tidy(texts: pl.Series) -> pl.Series:
    """Plain numbers without leading zeros and without a minus before zero: 007.50 → 7.50, -0.0 → 0.0."""
    odd = mask_of(texts.str.contains(r"\A-?0[0-9]|\A-[0.]+\z"))
    if not odd.any():
        return texts
    some = texts.filter(as_series(odd))
    some = some.str.replace(r"\A(-?)0+([0-9])", "${1}${2}").str.replace(r"\A-([0.]+)\z", "${1}")
    return scattered(texts, odd, some)


def _stripped(values: Values) -> pl.Series:
    texts = texts_of(values).str.strip_chars(WHITE)
    return emptied(texts, mask_of(texts == ""))


def _grouped(point: str) -> str:
    """Whole part with digit groups, all made with one sign; the first group does not start with 0."""
    forms = ["[0-9]+"]
    for sign in ("," if point == "." else r"\.", " ", "\xa0", "\u202f", "\u2009", "'", "’"):
        forms.append(f"[1-9][0-9]{{0,2}}(?:{sign}[0-9]{{3}})+")
        forms.append(f"[1-9][0-9]?(?:{sign}[0-9]{{2}})*{sign}[0-9]{{3}}")
    return "|".join(forms)


def read_decimals(texts: pl.Series, point: str) -> tuple[pl.Series, Mask]:
    """Trimmed texts → plain decimal texts, and what cannot be read."""
    if point == ".":
        plain = mask_of(texts.str.contains(PLAIN))
    else:
        plain = mask_of(texts.is_null()) & False
    rest = ~plain & mask_of(texts.is_not_null())
    failed = rest & False
    if rest.any():
        some = texts.filter(as_series(rest))
        dot = r"\." if point == "." else ","
        parts = some.str.extract_groups(
            rf"\A(?<before>[+-]?)(?<whole>{_grouped(point)}|)(?:{dot}(?<rest>[0-9]+))?(?<after>-?)\z"
        ).struct.unnest()
        whole, fraction = parts["whole"].str.replace_all(r"[^0-9]+", ""), parts["rest"]
        bad = parts["whole"].is_null() | ((whole == "") & fraction.is_null())
        bad |= (parts["before"] != "") & (parts["after"] != "")
        minus = ((parts["before"] == "-") | (parts["after"] == "-")).fill_null(False)
        frame = pl.DataFrame({"w": whole, "f": fraction, "m": minus})
        built = frame.select(
            pl.concat_str(
                pl.when("m").then(pl.lit("-")).otherwise(pl.lit("")),
                pl.when(pl.col("w") == "").then(pl.lit("0")).otherwise(pl.col("w")),
                pl.when(pl.col("f").is_null()).then(pl.lit("")).otherwise(pl.lit(".") + pl.col("f")),
            ).alias("v")
        )["v"]
        failed[rest] = mask_of(bad.fill_null(True))
        texts = scattered(texts, rest, built)
    return tidy(emptied(texts, failed)), failed


def _numbers(values: Values, point: str) -> tuple[pl.Series, Mask]:
    """Numbers pass on with their own point; texts are read."""
    if values.kind in _NUMERIC:
        return read_decimals(texts_of(values), ".")
    return read_decimals(_stripped(values), point)


def decimal(values: Values, arguments: Arguments) -> Outcome:
    series, failed = _numbers(values, arguments["point"])
    return Outcome(Values(series, DECIMAL), failed, _DETAIL)


def integer(values: Values, arguments: Arguments) -> Outcome:
    if values.kind is Kind.INT:
        return Outcome(values)
    series, failed = _numbers(values, arguments["point"])
    whole = series.str.replace(r"\.0+\z", "")
    numbers = whole.cast(pl.Int64, strict=False)
    return Outcome(
        Values(numbers, INTEGER),
        failed | mask_of(numbers.is_null() & series.is_not_null()),
        "not a whole number of 64 bits",
    )


_SIGN = r"[A-Z]{0,3}\p{Sc}|[A-Z]{3}"
_AMOUNT = rf"\A(?<open>\(?)\s*(?<m1>[+-]?)\s*(?<c1>{_SIGN}|)\s*(?<m2>[+-]?)(?<number>[0-9.,][^A-Za-z\p{{Sc}}()+-]*?)(?<m3>-?)\s*(?<c2>{_SIGN}|)(?<close>\)?)\z"


def currency(values: Values, arguments: Arguments) -> Outcome:
    if values.kind in _NUMERIC:
        return decimal(values, arguments)
    texts = _stripped(values)
    parts = texts.str.extract_groups(_AMOUNT).struct.unnest()
    numbers, failed = read_decimals(parts["number"].str.strip_chars(WHITE), arguments["point"])
    bad = parts["number"].is_null() & texts.is_not_null()
    opened, closed = parts["open"] != "", parts["close"] != ""
    minuses = sum((parts[m] != "").cast(pl.Int8) for m in ("m1", "m2", "m3")) + opened.cast(pl.Int8)
    bad |= (opened != closed) | (minuses > 1) | ((parts["c1"] != "") & (parts["c2"] != ""))
    if arguments["only"]:
        for place in ("c1", "c2"):
            allowed = pl.Series(["", *arguments["only"]], dtype=pl.String)
            bad |= ~parts[place].is_in(allowed.implode())
    negative = mask_of((parts["m1"] == "-") | (parts["m2"] == "-") | (parts["m3"] == "-") | opened)
    failed = failed | mask_of(bad)
    if negative.any():
        numbers = scattered(numbers, negative, "-" + numbers.filter(as_series(negative)))
    return Outcome(
        Values(tidy(emptied(numbers, failed)), DECIMAL), failed, "not an amount as it is described"
    )


def percent(values: Values, arguments: Arguments) -> Outcome:
    if values.kind in _NUMERIC:
        numbers, failed = _numbers(values, ".")
    else:
        numbers, failed = read_decimals(
            _stripped(values).str.replace(rf"[{WHITE}]*%\z", ""), arguments["point"]
        )
    if arguments["as"] == "share":
        numbers, _ = by_distinct(numbers, lambda t: plain_text(Decimal(t).scaleb(-2, EXACT)), pl.String)
    return Outcome(Values(numbers, DECIMAL), failed, "not a percentage")


def _times(factor: Decimal) -> Callable[[str], str]:
    return lambda text: plain_text(EXACT.multiply(Decimal(text), factor))


def units(values: Values, arguments: Arguments) -> Outcome:
    factors: Mapping[str, Decimal] = arguments["factors"]
    parts = (
        _stripped(values)
        .str.extract_groups(rf"\A(?<number>.*[0-9])[{WHITE}]*(?<unit>[^0-9]*)\z")
        .struct.unnest()
    )
    numbers, failed = read_decimals(parts["number"], arguments["point"])
    failed = failed | mask_of(
        parts["number"].is_null() & values.series.is_not_null() & (_stripped(values).is_not_null())
    )
    out = numbers
    for unit, factor in factors.items():
        mine = mask_of(parts["unit"] == unit)
        if mine.any():
            scaled, _ = by_distinct(
                numbers.filter(as_series(mine)),
                _times(Decimal(factor)),
                pl.String,
            )
            out = scattered(out, mine, scaled)
    known = pl.Series(list(factors), dtype=pl.String)
    failed = failed | mask_of(~parts["unit"].is_in(known.implode()))
    return Outcome(Values(emptied(out, failed), DECIMAL), failed, "not a number with a known unit")


def round(values: Values, arguments: Arguments) -> Outcome:
    places, even = int(arguments["places"]), arguments["half"] == "even"
    texts = texts_of(values) if values.kind in _NUMERIC else _stripped(values)
    plain = mask_of(texts.str.contains(PLAIN))
    failed = mask_of(texts.is_not_null()) & ~plain
    texts = tidy(emptied(texts, failed))
    rounded = _round_vectorised(texts, places, even)
    if rounded is None:
        rounded = round_exactly(texts, places, even)
    return Outcome(Values(rounded, DECIMAL), failed, "not a plain number")


def round_exactly(texts: pl.Series, places: int, even: bool) -> pl.Series:
    """Plain decimal texts, rounded to `places`; the scale of the result is `places`, at least 0."""

    def one(text: str) -> str:
        number = Decimal(text)
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)  # a plain number, never NaN or infinity
        if exponent >= -places:
            return text
        result = number.quantize(
            Decimal(1).scaleb(-places), ROUND_HALF_EVEN if even else ROUND_HALF_UP, EXACT
        )
        return plain_text(result)

    return by_distinct(texts, one, pl.String)[0]


def _round_vectorised(texts: pl.Series, places: int, even: bool) -> pl.Series | None:
    """By Arrow's decimals where all numbers of the batch fit in 37 digits, else None."""
    if places < 0 or len(texts) == 0:
        return None
    scale = texts.str.extract(r"\.([0-9]+)\z").str.len_bytes().max()
    longest = texts.str.len_bytes().max()
    if not isinstance(scale, int):
        return texts
    if scale <= places:
        return texts
    if not isinstance(longest, int) or longest + scale > 36:
        return None
    numbers = texts.to_arrow().cast(pa.string()).cast(pa.decimal128(38, scale))
    rounded = pc.round(
        numbers, ndigits=places, round_mode="half_to_even" if even else "half_towards_infinity"
    )
    return tidy(pl.Series("", pl.from_arrow(rounded.cast(pa.decimal128(38, places)))).cast(pl.String))


__all__ = [
    "EXACT",
    "PLAIN",
    "Refused",
    "currency",
    "decimal",
    "integer",
    "percent",
    "plain_text",
    "read_decimals",
    "round",
    "round_exactly",
    "tidy",
    "units",
]
