"""A road as it was read: every step with the columns before and after it, checked against the schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrate.mapping.model import Entity
from migrate.mapping.road_model import Explode, Join, Pivot
from migrate.model import Column, Kind, Table, Type, added_columns
from migrate.transform.own_columns import BASE, CODES, LEFT_OUT, WITH
from migrate.transform.sql import Prepared
from migrate.transform.values import TEXT

OWN_COLUMNS = (
    Column(BASE, Type(Kind.INT, bits=64)),
    Column(LEFT_OUT, TEXT),
    Column(CODES, Type(Kind.ARRAY, item=TEXT)),
)

Nulls = Mapping[str, tuple[str, ...]]


def visible(table: Table) -> tuple[Column, ...]:
    """The columns without those that a folder of files adds."""
    added = added_columns(table.column_names)
    return tuple(c for c in table.columns if c.name not in added)


def hidden(table: Table) -> tuple[Column, ...]:
    added = added_columns(table.column_names)
    return tuple(c for c in table.columns if c.name in added)


@dataclass(frozen=True)
class PivotSpec:
    """`per`: columns of `table`, one row each; `nulls`: NULL words of `table`; `after`: the columns that come of it."""

    pivot: Pivot
    per: tuple[str, ...]
    table: Table
    nulls: Nulls
    after: Table


@dataclass(frozen=True)
class JoinSpec:
    """`table` as the source has it, `shape` what is joined (after a pivot, without what files add); `carried`: the
    columns of `shape` that the mapping uses; `where` over `table`. `left`: the columns of the road that `join.on` names."""

    name: str
    join: Join
    table: Table
    nulls: Nulls
    shape: Table
    carried: tuple[str, ...]
    where: Prepared | None
    pivot: PivotSpec | None

    @property
    def left(self) -> tuple[str, ...]:
        return tuple(self.join.on)

    @property
    def right(self) -> tuple[str, ...]:
        return tuple(self.join.on.values())

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the road that it gives, as far as they are used."""
        return tuple(Column(f"{self.name}.{c}", self.shape.column(c).type) for c in self.carried)

    @property
    def named(self) -> tuple[Column, ...]:
        """All columns that it could give."""
        return tuple(Column(f"{self.name}.{c.name}", c.type) for c in self.shape.columns)


@dataclass(frozen=True)
class ExplodeSpec:
    """`lists`: column → its items, `(source column or text, whether it is a column)`; `types` of all columns made;
    `number`: the column that counts the slots, None where the road has one of that name."""

    explode: Explode
    lists: Mapping[str, tuple[tuple[str, bool], ...]]
    types: Mapping[str, Type]
    number: str | None


@dataclass(frozen=True)
class QuerySpec:
    """`tables`: name in the SQL ("table" or "schema.table") → the source's table with the columns that it may read;
    `casts`: SQL that gives the result's columns in types that have a layout."""

    sql: str
    tables: Mapping[str, Table]
    casts: str


@dataclass(frozen=True)
class RoadSpec:
    """In this order: the rows of `base` (or of `query`), of those the ones that `split` sends here, `pivot`, the joins
    `before`, `explode`, the joins `after`, `one_per`; `lists` are joins of any number of rows, which stay beside.

    `table` has every column that fields may name, `carried` what the rows really hold; `nulls` the NULL words of `table`;
    `where`: the entity's own condition, where it names columns of the road."""

    entity: Entity
    base: Table
    table: Table
    carried: tuple[Column, ...]
    nulls: Nulls
    where: Prepared | None
    query: QuerySpec | None = None
    split: bool = False
    pivot: PivotSpec | None = None
    before: tuple[JoinSpec, ...] = ()
    explode: ExplodeSpec | None = None
    after: tuple[JoinSpec, ...] = ()
    lists: tuple[JoinSpec, ...] = ()

    @property
    def plain(self) -> bool:
        """The road is the source table as it is."""
        shapes = (self.query, self.pivot, self.explode, self.entity.one_per, self.joins)
        return not self.split and not any(shapes)

    @property
    def joins(self) -> tuple[JoinSpec, ...]:
        return (*self.before, *self.after, *self.lists)

    @property
    def beside(self) -> dict[str, Table]:
        """The columns of joins of any number of rows, by the join's name."""
        return {j.name: Table(j.name, j.named) for j in self.lists}

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns of the road's parts."""
        digests = (Column(WITH + j.name, Type(Kind.BYTES)) for j in self.lists)
        return (*self.carried, *digests, *OWN_COLUMNS)
