"""How rows get onto a road, as the mapping says it: joins, shapes, queries, and one table on several roads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from migrate.mapping.strict import Strict

SLOT = "slot"  # the column that numbers the rows made of one row, from 1


class Pivot(Strict):
    """A table of names and values made into columns: one row for every value of `per`. In a join `per` is empty:
    the joined columns of `on` take its place."""

    per: tuple[str, ...] = ()
    name: str
    value: str
    columns: tuple[str, ...]


class Join(Strict):
    """`on`: column of the road so far → column of `table`. `order`: columns, "-column" descending (rows: any)."""

    source: str = ""  # name of the source
    table: str
    on: dict[str, str]
    where: str | None = None
    rows: Literal["one", "one_or_none", "any"]
    pivot: Pivot | None = None
    order: tuple[str, ...] = ()

    @property
    def ordering(self) -> tuple[tuple[str, bool], ...]:
        """(column, descending) of every item of `order`."""
        falls = [item.startswith("-") and len(item) > 1 for item in self.order]
        return tuple((o[1:] if f else o, f) for o, f in zip(self.order, falls, strict=True))


class Slot(Strict):
    """One item of a list under `explode`: a source column or a text, told apart when the columns are known, or a
    text for certain."""

    text: str
    literal: bool = False


class Explode(Strict):
    """Several rows of one. Either `lists`: column → its values, slot by slot, or the pieces of column `split`
    between `on`."""

    lists: dict[str, tuple[Slot, ...]] = Key(default_factory=dict)
    split: str | None = None
    on: str = ""

    @property
    def slots(self) -> int:
        """How many rows the lists make of one."""
        return len(next(iter(self.lists.values()), ()))

    @property
    def makes(self) -> tuple[str, ...]:
        """The columns that get new values, without the number of the slot."""
        return tuple(self.lists) if self.split is None else (self.split,)


class Branch(Strict):
    """Rows of a split table: they go to the entity, or are left out for the reason. `when` None: all that are left."""

    entity: str | None = None
    reason: str | None = None
    when: str | None = None


class Split(Strict):
    """One table, several roads: each row takes the first branch that fits; `otherwise` None: quarantine."""

    table: str
    source: str = ""  # name of the source
    branches: tuple[Branch, ...]
    otherwise: Branch | None = None

    @property
    def places(self) -> tuple[Branch, ...]:
        """Where rows can end besides quarantine, each entity and each reason once, without its conditions."""
        every = [*self.branches, *([self.otherwise] if self.otherwise else [])]
        return tuple(dict.fromkeys(b.model_copy(update={"when": None}) for b in every))

    @property
    def entities(self) -> tuple[str, ...]:
        """Those that get rows, in the order of the file."""
        return tuple(b.entity for b in self.places if b.entity is not None)
