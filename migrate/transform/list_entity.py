"""A `list` field, checked and ready to run."""

from __future__ import annotations

from dataclasses import dataclass

from migrate.mapping.model import Field
from migrate.model import Column, Type
from migrate.transform.entity import CompiledField
from migrate.transform.lists import Form, Slot

PIECE = "piece"  # the column that holds what `split` cut


@dataclass(frozen=True)
class CompiledItem:
    """The values of one item by name; that of a bare value is ""."""

    values: dict[str, CompiledField]

    @property
    def form(self) -> Form:
        return tuple(
            Slot(name, field.type.kind, constant=not field.reads and not field.refers)
            for name, field in self.values.items()
        )


@dataclass(frozen=True)
class CompiledList:
    """`items` are those written out; with `of` (a join) or `split` (a column, cut at `on`) the one that each row or
    piece becomes."""

    name: str
    field: Field
    column: Column
    items: tuple[CompiledItem, ...]
    of: str | None = None
    split: str | None = None
    on: str = ""
    one_per: tuple[str, ...] = ()

    @property
    def type(self) -> Type:
        return self.column.type

    @property
    def forms(self) -> tuple[Form, ...]:
        return tuple(item.form for item in self.items)

    @property
    def references(self) -> dict[str, CompiledField]:
        """The values that are references or lookups, by name: they are resolved when all rows are known."""
        return {
            name: field for item in self.items for name, field in item.values.items() if field.refers
        }
