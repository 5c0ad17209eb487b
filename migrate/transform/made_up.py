"""Source rows that examples make up: tables of their columns, and one batch of all the rows, without any database."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.mapping.expr import columns_of
from migrate.mapping.model import Cell, Entity, Example
from migrate.model import Column, Kind, Table, Type
from migrate.transform.convert import convert
from migrate.transform.values import BOOLEAN, DATE, INTEGER, TEXT, TIMESTAMP, Values

# What an unquoted value of an example looks like; no leading zeros, for 007 is a text.
_LOOKS: tuple[tuple[re.Pattern[str], Type], ...] = (
    (re.compile(r"-?(0|[1-9][0-9]{0,17})"), INTEGER),
    (re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"), Type(Kind.DECIMAL)),
    (re.compile(r"true|false", re.IGNORECASE), BOOLEAN),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), DATE),
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9:.]{5,}"), TIMESTAMP),
)
# What a column may be of which no example says anything, in the order in which SQL is asked.
GUESSES = (TEXT, INTEGER, BOOLEAN, DATE, TIMESTAMP)


def columns_of_sql(entity: Entity) -> set[str]:
    """Names in all SQL of an entity; let values are among them."""
    found: set[str] = set()

    def look(value: Any, key: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                look(inner, str(name))
        elif isinstance(value, list | tuple):
            for inner in value:
                look(inner, key)
        elif isinstance(value, str) and key in ("where", "when", "expr"):
            found.update(columns_of(value))

    look(entity.model_dump(mode="json"))
    for expression in entity.match.values():
        found.update(columns_of(expression) if expression else ())
    return found


def type_of(cells: Iterable[Cell | None]) -> Type | None:
    """What the values of a column look like; None where there is none. Quoted ones are texts."""
    given = [c for c in cells if c is not None and c.text is not None]
    if not given:
        return None
    if any(c.quoted for c in given):
        return TEXT
    for pattern, type_ in _LOOKS:
        if all(pattern.fullmatch(c.text or "") for c in given):
            if type_.kind is not Kind.DECIMAL:
                return type_
            scale = max(len((c.text or "").partition(".")[2]) for c in given)
            return Type(Kind.DECIMAL, precision=38, scale=scale)
    return TEXT


def array_of(cells: Sequence[Cell | None], type_: Type) -> pa.Array[Any]:
    """The column of the values, NULL where none is given."""
    texts = pl.Series("", [c.text if c is not None else None for c in cells], dtype=pl.String)
    return convert(Values(texts, TEXT), type_).array.cast(layout(type_))


@dataclass(frozen=True)
class MadeUp:
    """The rows of all examples of one entity. `cells`: column of the road (`home.city` of a join) → a cell per example;
    `many`: join with many rows → its rows, each with the number of its example."""

    size: int
    cells: Dict[str, Sequence[Cell | None]]
    many: Dict[str, Sequence[tuple[int, Dict[str, Cell]]]]

    @classmethod
    def of(cls, examples: Sequence[Example], used: Iterable[str], many: Iterable[str] = ()) -> MadeUp:
        """`used`: columns that the entity reads; `many`: its joins with many rows."""
        rows = {
            join: [(n, row) for n, e in enumerate(examples) for row in e.joined.get(join, ())]
            for join in many
        }
        flat = [
            dict(e.given)
            | {
                f"{j}.{c}": cell
                for j, r in e.joined.items()
                if j not in rows and r
                for c, cell in r[0].items()
            }
            for e in examples
        ]
        own = {n for n in used if n.partition(".")[0] not in rows}
        names = dict.fromkeys([*sorted(own), *(name for row in flat for name in row)])
        of_many = {f"{j}.{c}" for j, its in rows.items() for _, row in its for c in row}
        of_many |= {n for n in used if n.partition(".")[0] in rows}
        cells: dict[str, Sequence[Cell | None]] = {n: [row.get(n) for row in flat] for n in names}
        for name in sorted(of_many):
            join, _, column = name.partition(".")
            cells[name] = [row.get(column) for _, row in rows[join]]
        return cls(len(examples), cells, rows)

    @property
    def names(self) -> list[str]:
        return list(self.cells)

    def looks(self, name: str) -> Type | None:
        """What the values of a column look like; None where no example gives one."""
        return type_of(self.cells[name])

    def table(self, name: str, types: Dict[str, Type], *, line: bool) -> Table:
        columns = [Column(n, types[n]) for n in self.names if not self._is_of_many(n)]
        return Table(name, (*columns, *([Column("_line", INTEGER)] if line else [])))

    def joined_tables(self, types: Dict[str, Type]) -> dict[str, Table]:
        return {
            j: Table(j, tuple(Column(n, types[n]) for n in self.names if n.partition(".")[0] == j))
            for j in self.many
        }

    def batch(self, types: Dict[str, Type]) -> pa.Table:
        arrays = {n: array_of(self.cells[n], types[n]) for n in self.names if not self._is_of_many(n)}
        return pa.table(arrays | {"_line": pa.array(range(1, self.size + 1), pa.int64())})

    def joined_rows(self, types: Dict[str, Type]) -> dict[str, pa.Table]:
        """By join: `__row`, the number of the example, and its columns."""
        found = {}
        for join, rows in self.many.items():
            arrays: dict[str, Any] = {"__row": pa.array([n for n, _ in rows], pa.int64())}
            mine = [n for n in self.names if n.partition(".")[0] == join]
            found[join] = pa.table(arrays | {n: array_of(self.cells[n], types[n]) for n in mine})
        return found

    def _is_of_many(self, name: str) -> bool:
        return name.partition(".")[0] in self.many
