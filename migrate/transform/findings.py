"""What is found about the rows of one batch: reasons, events, and why the run has to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate.transform.values import Mask, Values, as_series

_REASONS_FIELDS: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("field", pa.string()),
    pa.field("code", pa.string()),
    pa.field("detail", pa.string()),
]
REASONS = pa.schema(_REASONS_FIELDS)
_EVENTS_FIELDS: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("field", pa.string()),
    pa.field("code", pa.string()),
    pa.field("original", pa.string()),
]
EVENTS = pa.schema(_EVENTS_FIELDS)
Originals = Callable[[], pl.Series]


class Watch(Protocol):
    """Is told of the values of a field after every step, for previews: the step in the mapping's words, and for a check
    the rows that break it."""

    def __call__(self, field: str, step: str, values: Values, broken: Mask | None = None) -> None: ...


class Stop(NamedTuple):
    """Why the run has to stop: a rule that says so, the place, and the rows of one part in which it fits."""

    what: str
    rows: int

    def __str__(self) -> str:
        return f"{self.what} in {self.rows} {'row' if self.rows == 1 else 'rows'}"


def told_together(stops: Iterable[Stop]) -> list[str]:
    """The same of several parts once, in words."""
    rows: dict[str, int] = {}
    for stop in stops:
        rows[stop.what] = rows.get(stop.what, 0) + stop.rows
    return [str(Stop(what, rows[what])) for what in sorted(rows)]


@dataclass
class Findings:
    """Collects per batch; `silent` rows (records that could not be read) get no findings but their own."""

    entity: str
    silent: Mask
    watch: Watch | None = None
    _reasons: list[tuple[Mask, str, str, str]] = field(default_factory=list)
    _events: list[tuple[Mask, str, str, pl.Series]] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)

    def reason(self, mask: Mask, field_: str, code: str, detail: str = "", *, stop: bool = False) -> None:
        mask = mask & ~self.silent
        if not mask.any():
            return
        self._reasons.append((mask, field_, code, detail))
        if stop:
            place = f"{self.entity}.{field_}" if field_ else self.entity
            told = f"{place}: {code}{f' ({detail})' if detail else ''}"
            self.stops.append(Stop(told, int(mask.sum())))

    def bad_records(self, codes: pl.Series) -> None:
        """The silent rows' own reason."""
        for code in sorted(codes.drop_nulls().unique().to_list()):
            mask = self.silent & (codes == code).fill_null(False).to_numpy()
            self._reasons.append((mask, "", code, ""))

    def event(self, mask: Mask, field_: str, code: str, originals: Originals) -> None:
        mask = mask & ~self.silent
        if mask.any():
            self._events.append((mask, field_, code, originals().filter(as_series(mask))))

    def reasons(self, rids: npt.NDArray[np.int64]) -> pa.Table:
        parts: list[list[pa.Array[Any]]] = [
            [
                pa.array(rids[mask]),
                *(pa.repeat(pa.scalar(text, pa.string()), int(mask.sum())) for text in texts),
            ]
            for mask, *texts in self._reasons
        ]
        return _table(parts, REASONS)

    def events(self, rids: npt.NDArray[np.int64]) -> pa.Table:
        parts: list[list[pa.Array[Any]]] = [
            [
                pa.array(rids[mask]),
                *(pa.repeat(pa.scalar(text, pa.string()), int(mask.sum())) for text in (name, code)),
                originals.to_arrow().cast(pa.string()),
            ]
            for mask, name, code, originals in self._events
        ]
        return _table(parts, EVENTS)


def _table(parts: list[list[pa.Array[Any]]], schema: pa.Schema) -> pa.Table:
    if not parts:
        return schema.empty_table()
    return pa.concat_tables([pa.Table.from_arrays(columns, schema=schema) for columns in parts])
