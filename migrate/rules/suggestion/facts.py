"""What is known of the tables of both sides: the catalogue, and what their rows look like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from migrate.model import Column, Kind, Table
from migrate.rules.profiling import ColumnProfile

_ENOUGH = 5  # filled rows below which the look of a column says nothing


@dataclass(frozen=True)
class Seen:
    """One column. `profile` None: its table was not looked at."""

    column: Column
    profile: ColumnProfile | None = None

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def filled(self) -> int:
        return self.profile.rows - self.profile.nulls - self.profile.empty if self.profile else 0

    @property
    def empty(self) -> bool:
        """The table has rows, and none of them a value here."""
        return self.profile is not None and self.profile.rows > 0 and self.filled == 0

    @property
    def unique(self) -> bool:
        found = self.profile
        return (
            found is not None
            and found.rows > 0
            and found.nulls + found.empty == 0
            and found.distinct == found.rows
        )

    @property
    def nearly_unique(self) -> bool:
        found = self.profile
        return found is not None and found.rows > 0 and found.distinct >= 0.9 * found.rows

    def looks(self, like: str) -> float | None:
        """The share of filled rows; None where too few are filled, or the column is no text."""
        if self.profile is None or self.filled < _ENOUGH or not self.profile.looks_like:
            return None
        return self.profile.looks_like.get(like, 0) / self.filled

    @property
    def is_text(self) -> bool:
        return self.column.type.kind in (Kind.TEXT, Kind.MIXED, Kind.OPAQUE)


@dataclass(frozen=True)
class Facts:
    """One side. `values(table, column)`: its distinct values as canonical texts with their rows, the most frequent
    first, not all of them where there are many; never shown but for small sets that are options to choose from."""

    tables: Mapping[str, Table]
    columns: Mapping[str, Mapping[str, Seen]]
    rows: Mapping[str, int] = field(default_factory=dict)
    values: Callable[[str, str], list[tuple[str, int]]] = lambda table, column: []

    def texts(self, table: str, column: str) -> frozenset[str]:
        return frozenset(v for v, _ in self.values(table, column))
