"""Where a field's values come from, over one batch of source rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from migrate.arrow import layout
from migrate.mapping.template import Name
from migrate.model import Kind, Type
from migrate.transform.conversion import nulls
from migrate.transform.expressions import Expressions
from migrate.transform.keys import keys_of
from migrate.transform.kinds import type_of_arrow
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import (
    TEXT,
    WHITE,
    Mask,
    Values,
    mask_of,
    nulls_of,
    replaced,
    scattered,
    texts_of,
    values_of,
)


@dataclass(frozen=True)
class OneColumn:
    """A column of the source, a joined one, or a let value."""

    column: str


@dataclass(frozen=True)
class Constant:
    """The same text in every row."""

    text: str | None


@dataclass(frozen=True)
class Computed:
    sql: str


@dataclass(frozen=True)
class FirstOf:
    """The first value that is neither NULL nor blank. `type` is that of all columns, or text."""

    columns: tuple[str, ...]
    type: Type


@dataclass(frozen=True)
class Template:
    pieces: tuple[str | Name, ...]


@dataclass(frozen=True)
class Chosen:
    """`decision`: SQL that gives the number of the case that fits, -1 where none does. `otherwise`: the origin of those
    rows, or None: they are left to the caller."""

    decision: str
    cases: tuple[Origin, ...]
    otherwise: Origin | None
    type: Type


@dataclass(frozen=True)
class NamedRow:
    """Columns that together name the row that a reference means; what they give is the text of a key."""

    columns: tuple[str, ...]


Origin = OneColumn | Constant | Computed | FirstOf | Template | Chosen | NamedRow


@dataclass(frozen=True)
class Given:
    """What an origin gives. `bad`: rows whose bytes are no text; `failed`: rows that SQL cannot be computed for;
    `undecided`: rows that no case fits. None: there are none. The values of all these are NULL."""

    values: Values
    bad: Mask | None = None
    failed: Mask | None = None
    undecided: Mask | None = None


def given(origin: Origin, rows: SourceRows, expressions: Expressions) -> Given:
    """The origin's values for all of `rows`. Raises UsageError where SQL cannot be computed for any row."""
    if isinstance(origin, OneColumn):
        return Given(*rows.column(origin.column))
    if isinstance(origin, Constant):
        return Given(Values(pl.repeat(origin.text, len(rows), dtype=pl.String, eager=True), TEXT))
    if isinstance(origin, Computed):
        return _computed(origin, rows, expressions)
    if isinstance(origin, FirstOf):
        return _first_of(origin, rows)
    if isinstance(origin, Template):
        return _template(origin, rows)
    if isinstance(origin, NamedRow):
        return _named_row(origin, rows)
    return _chosen(origin, rows, expressions)


def _computed(
    origin: Computed, rows: SourceRows, expressions: Expressions, only: Mask | None = None
) -> Given:
    computed, failed = expressions.over(origin.sql, rows, only)
    array, type_ = type_of_arrow(computed)
    return Given(values_of(array, type_), failed=failed if failed.any() else None)


def _first_of(origin: FirstOf, rows: SourceRows) -> Given:
    taken: pl.Series | None = None
    searching: Mask = np.ones(len(rows), dtype=np.bool_)
    bad: Mask = np.zeros(len(rows), dtype=np.bool_)
    for name in origin.columns:
        values, unreadable = rows.column(name)
        series = _as(values, origin.type)
        filled = ~nulls_of(series)
        if series.dtype == pl.String:
            filled &= mask_of(series.str.strip_chars(WHITE) != "")
        if unreadable is not None:
            bad |= searching & unreadable
            filled |= unreadable
        mine = searching & filled
        taken = _only(series, mine) if taken is None else replaced(taken, mine, series)
        searching &= ~filled
    assert taken is not None, "first_of has columns"
    return Given(Values(taken, origin.type), bad if bad.any() else None)


def _template(origin: Template, rows: SourceRows) -> Given:
    texts: dict[str, pl.Series] = {}
    empty: Mask = np.ones(len(rows), dtype=np.bool_)
    bad: Mask = np.zeros(len(rows), dtype=np.bool_)
    for piece in origin.pieces:
        if isinstance(piece, Name) and piece.column not in texts:
            values, unreadable = rows.column(piece.column)
            texts[piece.column] = texts_of(values)
            empty &= nulls_of(values.series)
            if unreadable is not None:
                bad |= unreadable
    places = {name: f"c{number}" for number, name in enumerate(texts)}
    frame = pl.DataFrame({places[name]: series for name, series in texts.items()})
    written = frame.select(
        pl.concat_str(
            pl.lit(piece) if isinstance(piece, str) else pl.col(places[piece.column]).fill_null("")
            for piece in origin.pieces
        )
    ).to_series()
    return Given(Values(_only(written, ~empty & ~bad), TEXT), bad if bad.any() else None)


def _named_row(origin: NamedRow, rows: SourceRows) -> Given:
    bad: Mask = np.zeros(len(rows), dtype=np.bool_)
    for name in origin.columns:
        unreadable = rows.column(name)[1]
        if unreadable is not None:
            bad |= unreadable
    keys = pl.Series("", pl.from_arrow(keys_of(rows, origin.columns)), dtype=pl.String)
    return Given(Values(keys, TEXT), bad if bad.any() else None)


def _chosen(origin: Chosen, rows: SourceRows, expressions: Expressions) -> Given:
    decided, failed = expressions.over(origin.decision, rows)
    case = pl.Series("", pl.from_arrow(decided)).fill_null(-2).to_numpy()  # -2: it cannot be computed
    result: pl.Series | None = None
    bad: Mask = np.zeros(len(rows), dtype=np.bool_)
    for number, one in [*enumerate(origin.cases), (-1, origin.otherwise)]:
        mine = case == number
        if one is None or not mine.any():
            continue
        # An expression is asked only for its own rows: its `when` may be what keeps it from failing.
        found = (
            _spread(_computed(one, rows, expressions, mine), mine)
            if isinstance(one, Computed)
            else given(one, rows, expressions)
        )
        series = _as(found.values, origin.type)
        result = _only(series, mine) if result is None else replaced(result, mine, series)
        bad |= mine & found.bad if found.bad is not None else False
        failed = failed | (mine & found.failed) if found.failed is not None else failed
    if result is None:
        result = values_of(nulls(len(rows), layout(origin.type)), origin.type).series
    undecided = case == -1 if origin.otherwise is None else bad & False
    return Given(
        Values(result, origin.type),
        bad if bad.any() else None,
        failed if failed.any() else None,
        undecided if undecided.any() else None,
    )


def _spread(found: Given, mask: Mask) -> Given:
    """What was computed for the rows of the mask, in their places among all rows."""
    nothing = pl.Series("", [None] * len(mask), dtype=found.values.series.dtype)
    failed: Mask | None = None
    if found.failed is not None:
        failed = np.zeros(len(mask), dtype=np.bool_)
        failed[mask] = found.failed
    return Given(Values(scattered(nothing, mask, found.values.series), found.values.type), failed=failed)


def _as(values: Values, type_: Type) -> pl.Series:
    """The series in the working layout of the kind that several columns have in common."""
    if type_.kind is Kind.TEXT or values.kind is not type_.kind:
        return texts_of(values)
    return values.series


def _only(series: pl.Series, mask: Mask) -> pl.Series:
    return (
        series if mask.all() else series.zip_with(pl.Series(mask), pl.Series("", [None], dtype=series.dtype))
    )
