"""A spreadsheet in memory, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Cell = tuple[int, int]  # row and column, both counted from 0


@dataclass(frozen=True)
class LoadedSheet:
    """One sheet. `first`: its first used column; `read` gives the values of every row from the sheet's first on, each
    from the first used column: texts, numbers, booleans, dates, times, lengths of time, "" for nothing.

    `texts`: row → column → what stands there really; `unknown`: formulas without a stored result."""

    name: str
    first: int
    read: Callable[[], Iterator[list[Any]]]
    texts: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    unknown: tuple[Cell, ...] = ()


class Book(Protocol):
    """An opened file. Names are those of worksheets, hidden ones too, charts and macros left out."""

    @property
    def sheets(self) -> list[str]: ...

    @property
    def filled(self) -> list[str]:
        """Those that hold anything."""
        ...

    def load(self, name: str) -> LoadedSheet:
        """Raises UsageError, without a place, for a sheet that is too large."""
        ...
