"""A mapping's entity, checked against both catalogues and ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from migrate.mapping.model import Arguments, Check, Entity, Field, Find
from migrate.model import Column, Table, Type

Lossy = Literal["error", "quarantine", "allow"]


@dataclass(frozen=True)
class CompiledStep:
    """One function of `do`. `arguments` are typed, with defaults; those that come from a column are FromColumn there
    and are bound row by row from `given`, which is what the file says."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    given: Arguments = None


@dataclass(frozen=True)
class CompiledField:
    """One field. Exactly one of `source`, `value`, `sql` says where it comes from; `source_type` is that of the column.

    `column` is the target column; `steps` are the `do` functions with their parsed arguments."""

    name: str
    field: Field
    column: Column
    source: str | None = None
    source_type: Type | None = None
    sql: str | None = None
    steps: tuple[CompiledStep, ...] = ()
    dates: tuple[str, ...] = ()
    zone: str | None = None
    lossy: Lossy = "error"
    guarded: bool = True  # the target column takes no NULL, so an empty value is a reason here

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
    def finds(self) -> Find | None:
        """The look into the target that this field makes, at once or where its reference is missing or ambiguous."""
        if self.field.find is not None:
            return self.field.find
        if self.field.ref is not None:
            for outcome in (self.field.ref.missing, self.field.ref.ambiguous):
                if isinstance(outcome, Find):
                    return outcome
        return None


@dataclass(frozen=True)
class CompiledEntity:
    """`key`: source columns (`_line` where the key is the line, none where it is the content). `nulls`: NULL words by column, only where there are any.
    `where_columns` and `expression_columns`: what the SQL names. `matches`: `match` values that are no fields."""

    entity: Entity
    source: Table
    target: Table
    key: tuple[str, ...]
    fields: tuple[CompiledField, ...]
    matches: tuple[CompiledField, ...] = ()
    where: str | None = None
    columns_of_sql: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    nulls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nul_allowed: bool = False
    now: str = ""

    @property
    def name(self) -> str:
        return self.entity.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Target columns that `rows` of the transform holds."""
        return tuple(f.name for f in self.fields)
