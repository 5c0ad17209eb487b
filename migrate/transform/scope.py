"""What an entity is compiled against: both tables, what is said about columns, and the problems found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from typing import TypeVar

from migrate.errors import Problem
from migrate.mapping.expr import columns_of
from migrate.mapping.model import Entity, Mapping, ValueMap
from migrate.mapping.shapes import did_you_mean
from migrate.model import Column, Kind, Table, Type
from migrate.transform.entity import CompiledField
from migrate.transform.lookup import Lookup
from migrate.transform.result_types import seen_by_sql
from migrate.transform.said import Said
from migrate.transform.sql import Prepared, prepare

HIDDEN_TYPES = {
    "_line": Type(Kind.INT, bits=64),
    "_bad": Type(Kind.TEXT),
    "_raw": Type(Kind.BYTES),
}
_Stated = TypeVar("_Stated")


@dataclass
class Scope:
    """Names that fields may read are the columns of `source` (those of joined tables have a dot in their name) and the
    let values made so far. Collects the problems of one entity."""

    mapping: Mapping
    entity: Entity
    source: Table
    target: Table
    problems: list[Problem] = field(default_factory=list)
    columns_of_sql: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lets: dict[str, CompiledField] = field(default_factory=dict)
    joined: Dict[str, Table] = field(default_factory=dict)  # joins with many rows: name → their columns
    broken: set[str] = field(default_factory=set)  # let values that have a problem of their own

    def __post_init__(self) -> None:
        self.said = Said.of_road(self.mapping, self.entity)
        self._lookups: dict[int, Lookup] = {}

    # -- words about places

    def wrong(self, code: str, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, self.where(path), message, hint))

    def where(self, path: str) -> str:
        """file:line:column of the place or of the nearest thing around it, else entity.path."""
        full = f"entities.{self.entity.name}.{path}" if path else f"entities.{self.entity.name}"
        at = full
        while at:
            if at in self.mapping.positions:
                return self.mapping.positions[at]
            at = at.rpartition(".")[0]
        return full.removeprefix("entities.").replace(".fields.", ".")

    # -- names

    def find(self, name: str) -> Column | None:
        """A column or a let value."""
        if name in self.lets:
            return Column(name, self.lets[name].type)
        return next((c for c in self.source.columns if c.name == name), None)

    def column(self, name: str, path: str) -> Column | None:
        """A column, a let value, or the line of a file whose rows have no other key. Reports a name that is none."""
        found = self.find(name)
        if found is None and self.entity.key_is_line and name in ("line", "_line"):
            return Column("_line", HIDDEN_TYPES["_line"])
        if found is None and name not in self.broken:
            self.wrong("unknown_column", path, *self._unknown(name))
        return found

    def _unknown(self, name: str) -> tuple[str, str]:
        message = f'the source table {self.source.name} has no column "{name}"'
        if name in self.entity.let:
            return (
                message,
                f"the let value `{name}` is made further down: they are made in the order of the file",
            )
        return message, did_you_mean(name, [*self.source.column_names, *self.lets])

    def _not_yet(self, names: Iterable[str], lets: bool) -> str:
        """Why let values among the names are not known in an expression."""
        unmade = [name for name in names if name in self.entity.let and not (lets and name in self.lets)]
        if not unmade:
            return ""
        if not lets:
            return f"`{unmade[0]}` is a let value, and `where` runs on the rows as they came"
        return f"the let value `{unmade[0]}` is made further down: they are made in the order of the file"

    def target_column(self, name: str, path: str) -> Column | None:
        for column in self.target.columns:
            if column.name == name:
                return column
        hint = did_you_mean(name, self.target.column_names)
        if self.entity.create is None and self.entity.write != "link":
            more = "let the run create it: create: if_missing"
            hint = f"{hint} Or {more}" if hint.endswith("?") else more
        self.wrong(
            "unknown_column", path, f'the target table {self.target.name} has no column "{name}"', hint
        )
        return None

    def sql(self, sql: str, path: str, *, boolean: bool = False, lets: bool = True) -> Prepared | None:
        """An expression over columns and, with `lets`, let values, remembered with the columns that it names."""
        if self.broken and self.broken & set(columns_of(sql)):
            return None
        made = self.lets if lets else {}
        seen = [Column(name, seen_by_sql(let.type)) for name, let in made.items()]
        table = replace(self.source, columns=(*self.source.columns, *seen))
        prepared = prepare(sql, table, line=self.entity.key_is_line, boolean=boolean)
        for message in prepared.problems:
            unknown = message.startswith("there is no column")
            hint = self._not_yet(columns_of(sql), lets) if unknown else ""
            self.wrong("unknown_column" if unknown else "expression", path, message, hint)
        if prepared.problems:
            return None
        self.columns_of_sql[prepared.sql] = prepared.columns
        return prepared

    # -- what is said about columns

    def zone(self, columns: Iterable[str], path: str | None) -> str | None:
        """The zone of times that carry none, of a value that is taken from these columns. Where they differ: the first
        one's, and a problem at `path`, if it is given."""
        return self._alike("time zones", columns, path, self.said.zone, lambda let: let.zone)

    def dates(self, columns: Iterable[str], path: str | None) -> tuple[str, ...]:
        return self._alike("date formats", columns, path, self.said.dates, lambda let: let.dates)

    def _alike(
        self,
        what: str,
        columns: Iterable[str],
        path: str | None,
        of_column: Callable[[str | None], _Stated],
        of_let: Callable[[CompiledField], _Stated],
    ) -> _Stated:
        stated = [of_let(self.lets[c]) if c in self.lets else of_column(c) for c in columns]
        if path is not None and any(one != stated[0] for one in stated):
            hint = "read each of them in a `let` of its own"
            self.wrong("conflict", path, f"the columns have different {what} in the source", hint)
        return stated[0] if stated else of_column(None)

    def lookup(self, value_map: ValueMap) -> Lookup:
        """The map made ready, once for all fields that name it."""
        known = self._lookups.get(id(value_map))
        if known is None:
            known = self._lookups[id(value_map)] = Lookup.of_map(value_map)
        return known
