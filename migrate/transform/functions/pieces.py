"""Functions that take texts apart and put columns together. "Empty" is NULL or white space only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from migrate.transform.values import TEXT, WHITE, Outcome, Values, emptied, mask_of, texts_of

Arguments = Mapping[str, Any]


def split(values: Values, arguments: Arguments) -> Outcome:
    part = int(arguments["part"])
    pieces = texts_of(values).str.split(arguments["on"])
    piece = pieces.list.get(part - 1 if part > 0 else part, null_on_oob=True)
    return Outcome(Values(_filled(piece.str.strip_chars(WHITE)), TEXT))


def join(values: Values, arguments: Arguments) -> Outcome:
    parts = [_filled(series) for series in (texts_of(values), *arguments["with"])]
    frame = pl.DataFrame([part.alias(str(number)) for number, part in enumerate(parts)])
    joined = frame.select(pl.concat_str(pl.all(), separator=arguments["on"], ignore_nulls=True)).to_series()
    nothing = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    return Outcome(Values(emptied(joined.alias(""), mask_of(nothing)), TEXT))


def first_of(values: Values, arguments: Arguments) -> Outcome:
    parts = [_filled(series) for series in (texts_of(values), *arguments["columns"])]
    frame = pl.DataFrame([part.alias(str(number)) for number, part in enumerate(parts)])
    return Outcome(Values(frame.select(pl.coalesce(pl.all())).to_series().alias(""), TEXT))


def const(values: Values, arguments: Arguments) -> Outcome:
    texts = _filled(texts_of(values))
    fixed = pl.repeat(arguments["text"], len(texts), dtype=pl.String, eager=True)
    return Outcome(Values(emptied(fixed, mask_of(texts.is_null())), TEXT))


def _filled(texts: pl.Series) -> pl.Series:
    """NULL for white space only; the others as they are."""
    return emptied(texts, mask_of(texts.str.strip_chars(WHITE) == ""))
