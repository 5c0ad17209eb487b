"""The `check` rules as masks of the rows that fail. NULL fails `required` only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

from migrate.mapping.model import Check
from migrate.model import Kind, Type
from migrate.transform.convert import DATES, NUMBERS, convert
from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.quality import QUALITY, About, Broken, broken_rows
from migrate.transform.values import TEXT, Mask, Values, mask_of, nulls_of, texts_of


def failing(check: Check, values: Values, about: About) -> list[Broken]:
    """Rows that fail `check`, in each of the ways in which one can."""
    if check.name in QUALITY:
        return broken_rows(check, values, about)
    mask, detail = _RULES[check.name](check.argument, values, about.target, about.zone)
    return [Broken(mask, check.name, detail)] if mask.any() else []


def _required(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    empty = nulls_of(values.series)
    if values.series.dtype == pl.String:
        empty = empty | mask_of(values.series == "")
    return empty, "empty"


def _in(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    words = [argument] if isinstance(argument, str) else list(argument)
    texts = texts_of(values)
    found = mask_of(texts.is_in(words))
    if values.kind in NUMBERS and values.kind is not Kind.BOOL:
        numbers = [n for n in (_decimal(w) for w in words) if n is not None]
        same, _ = by_distinct(texts, lambda t: _decimal(t) in numbers, pl.Boolean)
        found = found | mask_of(same)
    return ~found & ~nulls_of(texts), "not one of the values listed"


def _pattern(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    pattern = argument["pattern"] if isinstance(argument, Mapping) else argument
    texts = texts_of(values)
    return ~mask_of(texts.str.contains(rf"\A(?:{pattern})\z")) & ~nulls_of(
        texts
    ), "does not have the form asked for"


def _min_length(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    return mask_of(texts_of(values).str.len_chars() < int(argument)), f"shorter than {int(argument)}"


def _max_length(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    return mask_of(texts_of(values).str.len_chars() > int(argument)), f"longer than {int(argument)}"


def _unique(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    """Settled over the whole table, not here."""
    return np.zeros(len(values.series), dtype=np.bool_), ""


def _range(argument: Any, values: Values, target: Type, zone: str | None) -> tuple[Mask, str]:
    low, high = argument.get("min"), argument.get("max")
    words = " and ".join(
        w
        for w in (f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else "")
        if w
    )
    kind = range_kind(low, high, values.kind, target.kind)
    outside = _outside_dates if kind in DATES else _outside_numbers
    return outside(values, low, high, kind, zone), f"must be {words}"


def range_kind(low: str | None, high: str | None, source: Kind, target: Kind) -> Kind:
    """By what values are compared: that of the value, else of the target, else of the limits (number or date)."""
    for kind in (source, target):
        if kind in DATES or (kind in NUMBERS and kind is not Kind.BOOL):
            return kind
    return Kind.DECIMAL if _decimal(low or high or "") is not None else Kind.DATE


def limit_problem(text: str, kind: Kind) -> str | None:
    """Why a limit of a range cannot be one of this kind, or None."""
    if kind in DATES:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return f'"{text}" is not a date'
        return None
    return None if _decimal(text) is not None else f'"{text}" is not a number'


def _outside_numbers(values: Values, low: str | None, high: str | None, kind: Kind, zone: str | None) -> Mask:
    """By floats where they are far from the limits, exactly where they are near. What is no number fails."""
    texts = texts_of(values)
    given = ~nulls_of(texts)
    floats = (
        values.series.cast(pl.Float64)
        if values.kind in (Kind.INT, Kind.FLOAT)
        else texts.cast(pl.Float64, strict=False)
    )
    numbers = floats.fill_null(float("nan")).to_numpy()
    out: Mask = given & np.isnan(numbers)
    for limit, sign in ((low, 1.0), (high, -1.0)):
        if limit is None:
            continue
        edge, exact = float(limit), Decimal(limit)
        with np.errstate(invalid="ignore"):
            near = given & (np.abs(numbers - edge) <= max(abs(edge), 1.0) * 1e-9)
            out |= given & ~near & (sign * (numbers - edge) < 0)
        if near.any():
            beyond, _ = by_distinct(
                texts.filter(pl.Series(near)), _beyond(exact, low_limit=sign > 0), pl.Boolean
            )
            out[near] |= mask_of(beyond)
    return out


def _beyond(limit: Decimal, *, low_limit: bool) -> Callable[[str], bool]:
    def one(text: str) -> bool:
        number = _decimal(text)
        if number is None:
            return True
        return number < limit if low_limit else number > limit

    return one


def _outside_dates(values: Values, low: str | None, high: str | None, kind: Kind, zone: str | None) -> Mask:
    compared = values.series
    if values.kind not in DATES:
        done = convert(values, Type(kind), zone=zone)
        compared = pl.Series("", pl.from_arrow(done.array))
    out = nulls_of(compared) & ~nulls_of(values.series)
    for limit, below in ((low, True), (high, False)):
        if limit is None:
            continue
        bound = _bound(limit, compared, zone, end=not below)
        physical = compared.to_physical()
        out |= mask_of(physical < bound) if below else mask_of(physical > bound)
    return out


def _bound(limit: str, compared: pl.Series, zone: str | None, *, end: bool) -> int:
    """The limit in days or µs; a date as upper limit of timestamps means its whole day."""
    if compared.dtype == pl.Date:
        return (date.fromisoformat(limit[:10]) - date(1970, 1, 1)).days
    utc = isinstance(compared.dtype, pl.Datetime) and compared.dtype.time_zone is not None
    kind = Type(Kind.TIMESTAMPTZ if utc else Kind.TIMESTAMP)
    text = f"{limit} 23:59:59.999999" if end and len(limit) == 10 else limit
    made = convert(Values(pl.Series("", [text]), TEXT), kind, zone=zone or "UTC")
    bound = pl.Series("", pl.from_arrow(made.array)).to_physical().item()
    if bound is None:
        raise Refused
    return int(bound)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


_RULES: dict[str, Callable[[Any, Values, Type, str | None], tuple[Mask, str]]] = {
    "required": _required,
    "in": _in,
    "pattern": _pattern,
    "range": _range,
    "min_length": _min_length,
    "max_length": _max_length,
    "unique": _unique,
}
RULES = frozenset(_RULES)
