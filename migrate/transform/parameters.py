"""One step of `do` over a batch. Where arguments come from columns, the function runs once per distinct set of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import Argument, Arguments, FromColumn, FunctionSpec, ParameterKind
from migrate.mapping.functions import FUNCTIONS
from migrate.transform.conversion import Failure
from migrate.transform.entity import CompiledStep
from migrate.transform.functions.dates import Surroundings
from migrate.transform.functions.table import run
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INTEGER,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    WHITE,
    Mask,
    Values,
    as_series,
    emptied,
    mask_of,
    nulls_of,
    texts_of,
)

Rows = npt.NDArray[np.int64]

_MOMENTS = frozenset({"epoch", "timezone"})  # arguments of `timestamp` that make its result a moment
# Arguments of these kinds are taken as they stand; around the others white space means nothing.
_EXACT: frozenset[ParameterKind] = frozenset({"text", "texts", "pattern"})
_NOTHING = {
    "text": (pl.String(), TEXT),
    "decimal": (pl.String(), DECIMAL),
    "integer": (pl.Int64(), INTEGER),
    "date": (pl.Date(), DATE),
    "timestamp": (pl.Datetime("us"), TIMESTAMP),
    "boolean": (pl.Boolean(), BOOLEAN),
}


def run_step(
    step: CompiledStep, values: Values, rows: SourceRows, around: Surroundings
) -> tuple[Values, tuple[Failure, ...]]:
    """The new values, and the rows that are refused: by the function, or because their column holds no usable argument.

    An empty argument means the default; a row whose value is NULL needs none."""
    spec = FUNCTIONS[step.name]
    looked_at = {
        p.name: tuple(texts_of(rows.column(column.from_)[0]) for column in step.arguments[p.name])
        for p in spec.parameters
        if p.kind == "columns"
    }
    varying = _varying(spec, step.given)
    if varying:
        if step.name == "timestamp" and varying.keys() & _MOMENTS:
            around = Surroundings(around.timezone, wants_moment=True)
        return _Groups(spec, step.given, varying, looked_at).run(values, rows, around)
    outcome = run(step.name, values, {**step.arguments, **looked_at}, around)
    if outcome.failed is None:
        return outcome.values, ()
    return outcome.values, (Failure(outcome.failed, "type", f"{step.name}: {outcome.detail}"),)


def _varying(spec: FunctionSpec, given: Arguments) -> dict[str, FromColumn]:
    """Arguments that are another one for every row, by name."""
    return {
        name: argument
        for name, argument in _named(spec, given).items()
        if isinstance(argument, FromColumn) and _kind(spec, name) != "columns"
    }


def _named(spec: FunctionSpec, given: Arguments) -> dict[str, Argument]:
    if isinstance(given, dict):
        return given
    return {} if given is None else {spec.parameters[0].name: given}


def _kind(spec: FunctionSpec, name: str) -> ParameterKind:
    parameter = spec.parameter(name) or spec.rest
    assert parameter is not None, "the loader lets no unknown argument pass"
    return parameter.kind


@dataclass
class _Groups:
    """Rows by their arguments. `looked_at`: texts of the columns that the function sees beside its value."""

    spec: FunctionSpec
    given: Arguments
    varying: Mapping[str, FromColumn]
    looked_at: Mapping[str, tuple[pl.Series, ...]]
    refused: dict[str, list[Rows]] = field(default_factory=dict)  # by the words that say why

    def run(
        self, values: Values, rows: SourceRows, around: Surroundings
    ) -> tuple[Values, tuple[Failure, ...]]:
        size = len(values.series)
        asked = self._asked(values)
        arguments: dict[str, pl.Series] = {}
        for name, column in self.varying.items():
            found, bad = rows.column(column.from_)
            arguments[name] = self._spoken(name, texts_of(found))
            if bad is not None:
                self._refuse(self._cannot([name]), np.flatnonzero(bad & asked))
                asked = asked & ~bad
        done: list[tuple[Rows, Values]] = []
        for bound, mine in _grouped(arguments, asked):
            usable, unusable = self._bound(bound)
            if unusable:
                self._refuse(self._cannot(unusable), mine)
            else:
                done.append((mine, self._one(usable, mine, values, around)))
        result = self._together(done, size, around)
        return result, tuple(_failure(size, places, words) for words, places in self.refused.items())

    def _asked(self, values: Values) -> Mask:
        """Rows whose value the function looks at at all."""
        if self.spec.empty == "seen":
            return np.ones(len(values.series), dtype=np.bool_)
        given = ~nulls_of(values.series)
        if self.spec.empty == "null" and values.series.dtype == pl.String:
            given &= ~mask_of(values.series.str.strip_chars(WHITE) == "")
        return given

    def _spoken(self, name: str, texts: pl.Series) -> pl.Series:
        if _kind(self.spec, name) in _EXACT:
            return texts
        texts = texts.str.strip_chars(WHITE)
        return emptied(texts, mask_of(texts == ""))

    def _bound(self, bound: Mapping[str, str | None]) -> tuple[dict[str, Any], list[str]]:
        """Arguments of one group, or the names of those that cannot be used."""
        named = {**_named(self.spec, self.given), **bound}
        stated = {name: argument for name, argument in named.items() if argument is not None}
        arguments, problems = parse_arguments(self.spec, stated)
        if not problems:
            return arguments, []
        guilty = {str(p.path[0]) for p in problems if p.path} or {
            n for n, text in bound.items() if text is None
        }
        return {}, [n for n in self.varying if n in guilty] or list(self.varying)

    def _one(self, arguments: dict[str, Any], mine: Rows, values: Values, around: Surroundings) -> Values:
        places = pl.Series(mine)
        seen = {name: tuple(s.gather(places) for s in columns) for name, columns in self.looked_at.items()}
        part = Values(values.series.gather(places), values.type)
        outcome = run(self.spec.name, part, {**arguments, **seen}, around)
        if outcome.failed is not None:
            self._refuse(outcome.detail, mine[outcome.failed])
        return outcome.values

    def _together(self, done: list[tuple[Rows, Values]], size: int, around: Surroundings) -> Values:
        """The groups' results in the order of the rows; NULL where there is none."""
        if not done:
            dtype, type_ = _NOTHING[self.spec.returns]
            if self.spec.returns == "timestamp" and around.wants_moment:
                dtype, type_ = pl.Datetime("us", "UTC"), TIMESTAMPTZ
            return Values(pl.Series("", [None] * size, dtype=dtype), type_)
        type_ = done[0][1].type
        for mine, part in done:
            if part.type != type_:
                # Formats of which one names a zone and another does not.
                self._refuse("it is a moment, others are plain times, or the other way round", mine)
        alike = [(mine, part) for mine, part in done if part.type == type_]
        places = np.full(size, -1, dtype=np.int64)
        places[np.concatenate([mine for mine, _ in alike])] = np.arange(sum(len(mine) for mine, _ in alike))
        index = pl.Series(places).set(pl.Series(places < 0), None)
        return Values(pl.concat([part.series for _, part in alike]).gather(index), type_)

    def _cannot(self, names: list[str]) -> str:
        said = ", ".join(f'`{name}` from the column "{self.varying[name].from_}"' for name in names)
        return f"{said} cannot be used in this row"

    def _refuse(self, words: str, rows: Rows) -> None:
        if len(rows):
            self.refused.setdefault(f"{self.spec.name}: {words}", []).append(rows)


def _grouped(arguments: Mapping[str, pl.Series], asked: Mask) -> list[tuple[dict[str, str | None], Rows]]:
    """The rows that are asked, by their arguments."""
    frame = pl.DataFrame({f"a.{name}": texts for name, texts in arguments.items()}).with_row_index("row")
    frame = frame.filter(as_series(asked))
    groups = frame.group_by([f"a.{name}" for name in arguments], maintain_order=True).agg("row")
    return [
        (dict(zip(arguments, bound, strict=True)), np.asarray(rows, dtype=np.int64))
        for *bound, rows in groups.iter_rows()
    ]


def _failure(size: int, places: list[Rows], words: str) -> Failure:
    mask = np.zeros(size, dtype=np.bool_)
    mask[np.concatenate(places)] = True
    return Failure(mask, "type", words)
