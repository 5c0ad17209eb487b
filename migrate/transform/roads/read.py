"""A road read from the mapping and held against the schemas: everything wrong at once, or a road ready to be made."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import replace

from migrate.errors import Problem
from migrate.mapping.model import Entity, Mapping
from migrate.mapping.road_model import SLOT, Explode, Join, Pivot, Slot
from migrate.mapping.shapes import did_you_mean
from migrate.mapping.usage import columns_named, columns_used
from migrate.model import Column, Kind, Schema, Table, Type
from migrate.transform.own_columns import ROAD_COLUMNS, WITH
from migrate.transform.roads.query import read_query
from migrate.transform.roads.spec import (
    ExplodeSpec,
    JoinSpec,
    PivotSpec,
    QuerySpec,
    RoadSpec,
    hidden,
    visible,
)
from migrate.transform.said import Said
from migrate.transform.sql import Prepared, prepare
from migrate.transform.values import TEXT

_NO_KEY = (Kind.ARRAY, Kind.BYTES)  # values that name no row
_NUMBER = Type(Kind.INT, bits=64)


def read_road(
    mapping: Mapping, name: str, schemas: Dict[str, Schema]
) -> tuple[RoadSpec | None, list[Problem]]:
    """The road of the entity `name`, or None with all its problems. `schemas` by source, with the tables that the
    mapping reads as far as they are there."""
    reader = _Reader(mapping, mapping.entities[name], schemas)
    spec = reader.road()
    return (None, reader.problems) if reader.problems else (spec, [])


class _Reader:
    """Collects the problems of one entity's road."""

    def __init__(self, mapping: Mapping, entity: Entity, schemas: Dict[str, Schema]) -> None:
        self.mapping, self.entity, self.schemas = mapping, entity, schemas
        self.said = Said.of_road(mapping, entity)
        self.used = {name.lower() for name in columns_used(entity) | columns_named(mapping, entity)}
        self.problems: list[Problem] = []

    def wrong(self, code: str, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, self.where(path), message, hint))

    def where(self, path: str) -> str:
        """file:line:column of the place or of the nearest thing around it."""
        at = f"entities.{self.entity.name}.{path}"
        full = at
        while at:
            if at in self.mapping.positions:
                return self.mapping.positions[at]
            at = at.rpartition(".")[0]
        return full

    # -- the whole

    def road(self) -> RoadSpec | None:
        base, query = self._base()
        if base is None:
            return None
        ours = next((c for c in base.column_names if c in ROAD_COLUMNS or c.startswith(WITH)), None)
        if ours is not None:
            message = f'the column "{ours}" of {base.name} has a name that this program uses itself'
            self.wrong(
                "reserved_name", "from", message, "read the table by a query that gives it another one"
            )
        table, pivot = base, None
        if self.entity.pivot is not None:
            plain = Said.of(self.mapping, self.entity.source, self.entity.table)
            pivot = self._pivot(self.entity.pivot, self.entity.pivot.per, base, plain, "pivot")
            if pivot is None:
                return None
            table = pivot.after
        made = {m.lower() for m in self.entity.explode.makes} if self.entity.explode is not None else set()
        if self.entity.explode is not None and SLOT not in {c.lower() for c in table.column_names}:
            made.add(SLOT)
        carried = table.columns
        groups: tuple[list[JoinSpec], list[JoinSpec]] = ([], [])
        singles = {n: j for n, j in self.entity.with_.items() if j.rows != "any"}
        explode = None
        for group, names in enumerate(self._order(singles, made)):
            for name in names:
                spec = self._join(name, singles[name], table)
                if spec is not None:
                    groups[group].append(spec)
                    table = self._with(table, spec)
                    carried = (*carried, *spec.columns)
            if group == 0 and self.entity.explode is not None:
                explode = self._explode(self.entity.explode, table)
                if explode is None:
                    return None
                table = self._exploded(table, explode)
                carried = self._exploded(replace(table, columns=carried), explode).columns
        for column in self.entity.one_per:
            self._column(column, table, "one_per", key=True)
        lists = [
            spec
            for name, join in self.entity.with_.items()
            if join.rows == "any" and (spec := self._join(name, join, table)) is not None
        ]
        return RoadSpec(
            entity=self.entity,
            base=base,
            table=table,
            carried=carried,
            nulls=self.said.nulls_of(table.columns),
            where=self._where(table),
            query=query,
            split=self._is_split(),
            pivot=pivot,
            before=tuple(groups[0]),
            explode=explode,
            after=tuple(groups[1]),
            lists=tuple(lists),
        )

    def _base(self) -> tuple[Table | None, QuerySpec | None]:
        schema = self.schemas[self.entity.source]
        if self.entity.query is not None:
            table, query, problems = read_query(self.mapping, self.entity, schema)
            for message in problems:
                self.wrong("query", "query", message)
            return table, query
        if self.entity.table not in schema.table_names:
            self._no_table(self.entity.table, self.entity.source, "from")
            return None, None
        return schema.table(self.entity.table), None

    def _no_table(self, table: str, source: str, path: str) -> None:
        hint = "check the name, and that this user may see it"
        self.wrong("unknown_table", path, f"the source {source} has no table {table!r}", hint)

    def _is_split(self) -> bool:
        split = self.mapping.split.get(self.entity.table)
        return split is not None and self.entity.name in split.entities and split.source == self.entity.source

    def _where(self, table: Table) -> Prepared | None:
        """The entity's condition; what is wrong with it is told when its fields are compiled."""
        if self.entity.where is None:
            return None
        prepared = prepare(self.entity.where, table, line=self.entity.key_is_line, boolean=True)
        return None if prepared.problems else prepared

    # -- columns

    def _column(self, name: str, table: Table, path: str, *, key: bool = False) -> Column | None:
        column = next((c for c in visible(table) if c.name == name), None)
        if column is None:
            near = did_you_mean(name, [c.name for c in visible(table)])
            self.wrong("unknown_column", path, f'{table.name} has no column "{name}"', near)
        elif key and column.type.kind in _NO_KEY:
            self.wrong(
                "key_type", path, f'"{name}" holds {column.type.kind.value} values, which nothing can equal'
            )
        return column

    def _with(self, table: Table, join: JoinSpec) -> Table:
        """The table with the columns of a join."""
        there = {c.name.lower() for c in table.columns}
        hides = next((c.name for c in join.named if c.name.lower() in there), None)
        if hides is not None:
            self.wrong(
                "conflict",
                f"with.{join.name}",
                f'{table.name} has a column "{hides}" already, which the join would hide',
                "give the join another name",
            )
        return replace(table, columns=(*table.columns, *join.named))

    # -- pivot

    def _pivot(
        self, pivot: Pivot, per: Sequence[str], table: Table, said: Said, path: str
    ) -> PivotSpec | None:
        found = [self._column(c, table, f"{path}.per" if pivot.per else path, key=True) for c in per]
        self._column(pivot.name, table, f"{path}.name", key=True)
        value = self._column(pivot.value, table, f"{path}.value")
        taken = {c.lower() for c in per}
        for number, column in enumerate(pivot.columns):
            if column.lower() in taken:
                self.wrong(
                    "conflict",
                    f"{path}.columns.{number}",
                    f'"{column}" is a column already',
                    "every column of a road has a name of its own; letter case does not tell two apart",
                )
            taken.add(column.lower())
        if value is None or None in found:
            return None
        columns = [Column(c.name, c.type) for c in found if c is not None]
        columns += [Column(c, value.type) for c in pivot.columns]
        after = Table(table.name, (*columns, *hidden(table)), primary_key=tuple(per))
        return PivotSpec(pivot, tuple(per), table, said.nulls_of(table.columns), after)

    # -- joins

    def _order(self, joins: Dict[str, Join], made: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Joins before and after `explode`, each after those whose columns it names: as the file has them, else."""
        waiting = dict(joins)
        done: list[str] = []
        late: set[str] = set()
        while waiting:
            ready = next(
                (n for n, j in waiting.items() if not (self._needs(j) & (waiting.keys() - {n}))), None
            )
            if ready is None:
                names = " and ".join(f"`{n}`" for n in waiting)
                first = next(iter(waiting))
                self.wrong(
                    "conflict",
                    f"with.{first}.on",
                    f"the joins {names} wait for each other's columns",
                    "one of them must start from columns of the entity's own table",
                )
                return tuple(done), ()
            join = waiting.pop(ready)
            if {c.lower() for c in join.on} & made or self._needs(join) & late:
                late.add(ready)
            done.append(ready)
        return tuple(n for n in done if n not in late), tuple(n for n in done if n in late)

    def _needs(self, join: Join) -> set[str]:
        """Joins whose columns the left side of `on` names."""
        return {c.partition(".")[0] for c in join.on if "." in c} & self.entity.with_.keys()

    def _join(self, name: str, join: Join, road: Table) -> JoinSpec | None:
        path = f"with.{name}"
        if join.table not in self.schemas[join.source].table_names:
            self._no_table(join.table, join.source, f"{path}.table")
            return None
        table = self.schemas[join.source].table(join.table)
        said = Said.of(self.mapping, join.source, join.table)
        for left, right in join.on.items():
            whose = left.partition(".")[0]
            if whose in self.entity.with_ and self.entity.with_[whose].rows == "any":
                self.wrong(
                    "conflict",
                    f"{path}.on.{left}",
                    f"`{whose}` gives any number of rows, so `{left}` is no single value",
                    "join the table to the entity's own columns, or say rows: one_or_none there",
                )
                continue
            self._column(left, road, f"{path}.on.{left}", key=True)
            self._column(right, table, f"{path}.on.{left}", key=True)
        where = self._condition(join.where, table, f"{path}.where")
        pivot, shape = None, replace(table, columns=visible(table))
        if join.pivot is not None:
            pivot = self._pivot(join.pivot, tuple(join.on.values()), table, said, f"{path}.pivot")
            if pivot is None:
                return None
            shape = replace(pivot.after, columns=visible(pivot.after))
        for number, (column, _) in enumerate(join.ordering):
            self._column(column, shape, f"{path}.order.{number}", key=True)
        used = tuple(c for c in shape.column_names if f"{name}.{c}".lower() in self.used | self._ons())
        return JoinSpec(name, join, table, said.nulls_of(table.columns), shape, used, where, pivot)

    def _ons(self) -> set[str]:
        """Columns of joins that others start from."""
        return {left.lower() for join in self.entity.with_.values() for left in join.on}

    def _condition(self, sql: str | None, table: Table, path: str) -> Prepared | None:
        if sql is None:
            return None
        prepared = prepare(sql, table, boolean=True)
        for message in prepared.problems:
            code = "unknown_column" if message.startswith("there is no column") else "expression"
            self.wrong(code, path, message)
        return None if prepared.problems else prepared

    # -- explode

    def _explode(self, explode: Explode, table: Table) -> ExplodeSpec | None:
        before = len(self.problems)
        number = None if SLOT in {c.lower() for c in table.column_names} else SLOT
        if explode.split is not None:
            column = self._column(explode.split, table, "explode.split", key=True)
            types = {explode.split: TEXT} | ({number: _NUMBER} if number else {})
            return ExplodeSpec(explode, {}, types, number) if column is not None else None
        there = {c.name.lower() for c in visible(table)}
        lists: dict[str, tuple[tuple[str, bool], ...]] = {}
        types = {}
        for position, (name, slots) in enumerate(explode.lists.items()):
            path = f"explode.{name}"
            if name.lower() in there:
                self.wrong(
                    "conflict",
                    path,
                    f'{table.name} has a column "{name}" already',
                    "give the new column another name",
                )
            lists[name], types[name] = self._list(slots, table, path, columns=position == 0)
        if number:
            types[number] = _NUMBER
        return ExplodeSpec(explode, lists, types, number) if len(self.problems) == before else None

    def _list(
        self, slots: Sequence[Slot], table: Table, path: str, *, columns: bool
    ) -> tuple[tuple[tuple[str, bool], ...], Type]:
        """The items of one list, and the type that all have. Either all are columns (or texts stated as such), or none."""
        known = {c.name: c for c in visible(table)}
        found = [known.get(s.text) if not s.literal else None for s in slots]
        any_column = columns or any(found)
        for number, (slot, column) in enumerate(zip(slots, found, strict=True)):
            if any_column and column is None and not slot.literal:
                near = did_you_mean(slot.text, known, f"a text is written {{value: {slot.text}}}")
                self.wrong(
                    "unknown_column", f"{path}.{number}", f'{table.name} has no column "{slot.text}"', near
                )
        types = [c.type for c in found if c is not None]
        if any(s.literal for s in slots) or not any_column:
            types.append(TEXT)
        items = tuple((s.text, c is not None) for s, c in zip(slots, found, strict=True))
        return items, common_type(types)

    def _exploded(self, table: Table, spec: ExplodeSpec) -> Table:
        """The columns after it: those that are split keep their place."""
        columns = tuple(replace(c, type=spec.types.get(c.name, c.type)) for c in table.columns)
        new = tuple(Column(n, t) for n, t in spec.types.items() if n not in table.column_names)
        return replace(table, columns=(*columns, *new), primary_key=())


def common_type(types: Sequence[Type]) -> Type:
    """The type in which values of all these types can stand together: their own where they have one layout, else text."""
    if not types:
        return TEXT
    if all(t == types[0] for t in types):
        return types[0]
    kinds = {t.kind for t in types}
    if kinds == {Kind.INT}:
        return Type(Kind.INT, bits=max(t.bits or 64 for t in types))
    if kinds == {Kind.FLOAT}:
        return Type(Kind.FLOAT, bits=max(t.bits or 64 for t in types))
    plain = {replace(t, native="", length=None, labels=()) for t in types}
    if len(plain) == 1 and not types[0].fixed:
        return plain.pop()
    return TEXT
