"""A mapping's entity, checked against both catalogues and ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import field as field_
from datetime import date
from typing import Any, Literal

from migrate.mapping.model import Arguments, Check, Entity, Field, FromColumn
from migrate.model import Column, Table, Type
from migrate.transform.lists import Form, Slot
from migrate.transform.lookup import Lookup
from migrate.transform.origin import OneColumn, Origin
from migrate.transform.quality.mail_servers import MailServers

Lossy = Literal["error", "quarantine", "allow"]
LET = "let."  # what the names of let values begin with in reasons and events


@dataclass(frozen=True)
class CompiledStep:
    """One function of `do`. `arguments` are typed, with defaults; those that come from a column are FromColumn there
    and are bound row by row from `given`, which is what the file says."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    given: Arguments = None

    @property
    def words(self) -> str:
        """`trim`, `round: 0`, `replace: {from: a, to: b}`: as the file has it."""
        return self.name if self.given is None else f"{self.name}: {_flow(self.given)}"


def _flow(given: object) -> str:
    if isinstance(given, dict):
        return "{" + ", ".join(f"{name}: {_flow(value)}" for name, value in given.items()) + "}"
    if isinstance(given, tuple):
        return "[" + ", ".join(map(_flow, given)) + "]"
    return f"{{from: {given.from_}}}" if isinstance(given, FromColumn) else str(given) or '""'


@dataclass(frozen=True)
class CompiledField:
    """One field, or one let value (`let.NAME`), ready to run.

    `column` is the target column; a field that goes into none has one of its own result's type. `source_type` is the
    type of what `origin` gives; `reads`: the columns and let values that it depends on; `when`: SQL of the rows that it
    is for; `steps`: the `do` functions with their parsed arguments; `lookup`: its map, but one of a table's rows."""

    name: str
    field: Field
    column: Column
    origin: Origin
    source_type: Type
    reads: frozenset[str] = frozenset()
    when: str | None = None
    steps: tuple[CompiledStep, ...] = ()
    lookup: Lookup | None = None
    dates: tuple[str, ...] = ()
    zone: str | None = None
    lossy: Lossy = "error"
    guarded: bool = True  # the target column takes no NULL, so an empty value is a reason here
    free: bool = False  # it goes into no column of the target
    conditions: Mapping[str, str] = field_(
        default_factory=dict
    )  # SQL of `expr` rules: as stated → as it can run
    witnesses: tuple[str, ...] = ()  # columns that keep what its origin gave, for checks over tables

    @property
    def source(self) -> str | None:
        """The one column that the value is taken from as it is."""
        return self.origin.column if isinstance(self.origin, OneColumn) else None

    @property
    def type(self) -> Type:
        return self.column.type

    @property
    def unique(self) -> Check | None:
        """The `unique` rule: settled over the whole table by the column `__unique.NAME`."""
        return next((c for c in self.field.check if c.name == "unique"), None)

    @property
    def refers(self) -> bool:
        return self.field.ref is not None or self.field.find is not None

    @property
    def has_steps(self) -> bool:
        """Whether anything is done to the value before it is checked."""
        plain = self.field
        return bool(plain.read_as or self.steps or plain.map or plain.bands or self.refers)


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
    order: tuple[tuple[str, bool], ...] = ()  # columns of the join, descending or not
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
        return {name: field for item in self.items for name, field in item.values.items() if field.refers}


@dataclass(frozen=True)
class CompiledEntity:
    """`key`: source columns or let values (`_line` where the key is the line, none where it is the content). `named`:
    further columns or let values by which references name its rows, a tuple for each way. `lets`: in
    the order in which they are made. `nulls`: NULL words by column, only where there are any. `columns_of_sql`: what
    every expression names. `types`: of columns and let values. `matches`: `match` values that are no fields."""

    entity: Entity
    source: Table
    target: Table
    key: tuple[str, ...]
    fields: tuple[CompiledField, ...]
    named: tuple[tuple[str, ...], ...] = ()
    lets: tuple[CompiledField, ...] = ()
    lists: tuple[CompiledList, ...] = ()
    matches: tuple[CompiledField, ...] = ()
    where: str | None = None
    columns_of_sql: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    nulls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nul_allowed: bool = False
    now: str = ""
    date_formats: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # columns of `retention` → their formats
    servers: MailServers | None = None  # name servers that rules may ask, where the mapping says so

    @property
    def name(self) -> str:
        return self.entity.name

    def with_lookups(self, tables: Mapping[str, Lookup]) -> CompiledEntity:
        """The same with the maps that come from tables, by name. Raises KeyError for one that is not among them."""

        def ready(field: CompiledField) -> CompiledField:
            plain = field.field.map
            return replace(field, lookup=tables[plain.name]) if plain and plain.table else field

        def item(one: CompiledItem) -> CompiledItem:
            return CompiledItem({name: ready(field) for name, field in one.values.items()})

        return replace(
            self,
            lets=tuple(map(ready, self.lets)),
            fields=tuple(map(ready, self.fields)),
            lists=tuple(replace(one, items=tuple(map(item, one.items))) for one in self.lists),
        )

    @property
    def today(self) -> date:
        """The day of the plan."""
        return date.fromisoformat(self.now[:10]) if self.now else date(1970, 1, 1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Target columns that `rows` of the transform holds."""
        return (*(f.name for f in self.fields), *(one.name for one in self.lists))
