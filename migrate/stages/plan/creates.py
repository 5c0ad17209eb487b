"""`create: if_missing`: the tables and columns that the target does not have, as the mapping's fields declare them.

Types come from what a field gives (its last step, `read_as`, an expression), or from the source's column where
nothing happens to a value; from the key that a reference means; lists are JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace

from migrate.connectors.creation import Engine, engine_module
from migrate.errors import Problem
from migrate.mapping.model import Default, Entity, Field, Find, Mapping
from migrate.model import Column, ForeignKey, Index, Kind, Schema, Table, Type
from migrate.stages.plan.checks import where_is
from migrate.transform.compile import compile_entity
from migrate.transform.entity import CompiledField
from migrate.transform.result_types import common
from migrate.transform.roads.spec import RoadSpec

_KEY = "id"
_NO_INDEX = (Kind.JSON, Kind.ARRAY, Kind.BYTES, Kind.MIXED, Kind.OPAQUE)


def creations(
    mapping: Mapping, roads: Dict[str, RoadSpec], present: Schema, *, engine: str, now: str
) -> tuple[tuple[Table, ...], list[Problem]]:
    """What is to be created: whole tables with their key, and tables with only the columns that they lack."""
    asking = [name for name, e in mapping.entities.items() if e.create is not None]
    if not asking:
        return (), []
    work = _Work(mapping, present, engine_module(engine))
    for name in asking:
        road = roads[name]
        compiled, problems = compile_entity(mapping, name, road.table, None, now=now, joined=road.beside)
        if compiled is None:
            work.problems += problems
        else:
            work.compiled[name] = {f.name: f for f in compiled.fields}
    if work.problems:
        return (), work.problems
    tables = dict.fromkeys(mapping.entities[name].into for name in asking)
    made = [work.created(name) for name in tables]
    return tuple(t for t in made if t is not None), list(dict.fromkeys(work.problems))


@dataclass
class _Work:
    mapping: Mapping
    present: Schema
    engine: Engine
    compiled: dict[str, dict[str, CompiledField]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)  # (table, column) whose type is being found

    def wrong(self, path: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem("create", where_is(self.mapping, path), message, hint))

    def declared(self, type_: Type) -> Type:
        return self.engine.declared(type_, self.present.version)

    def fitted(self, column: Column, parts: int) -> Column:
        return self.engine.fitted(column, parts, self.present.version)

    # -- tables

    def into(self, table: str) -> list[Entity]:
        """The entities that ask for the table to be created."""
        return [e for e in self.mapping.entities.values() if e.into == table and e.create is not None]

    def is_new(self, table: str) -> bool:
        """An entity that never brings rows has no use for a table that is not there."""
        return table not in self.present.table_names and any(e.inserts for e in self.into(table))

    def created(self, table: str) -> Table | None:
        if table in self.present.table_names:
            return self._lacking(self.present.table(table))
        return self._whole(table) if self.is_new(table) else None

    def _lacking(self, there: Table) -> Table | None:
        """The columns that fields name and the table does not have. They may be empty: rows that are there have no value."""
        fields = self._fields(there.name)
        columns = tuple(
            Column(name, self.type_of(there.name, name)) for name in fields if name not in there.column_names
        )
        if not columns:
            return None
        made = Table(there.name, columns)
        return self._fitted(
            replace(made, foreign_keys=self._references(made), indexes=self._match(made, there))
        )

    def _whole(self, name: str) -> Table:
        self._check_target_sets(name)
        key = self.key(name)
        fields = [c for c in self._fields(name) if c not in key]
        columns = [self._key_column(name, c, alone=len(key) == 1) for c in key]
        columns += [Column(c, self.type_of(name, c), nullable=not self._required(name, c)) for c in fields]
        made = Table(name, tuple(columns), primary_key=key)
        return self._fitted(replace(made, foreign_keys=self._references(made), indexes=self._match(made)))

    def _fitted(self, made: Table) -> Table:
        """Columns as their engine wants them where they are part of a key or an index, or refer to one."""
        parts = {c: len(i.columns) for i in made.indexes for c in i.columns}
        parts |= {c: len(made.primary_key) for c in made.primary_key}
        columns = {c.name: self.fitted(c, parts.get(c.name, 0)) for c in made.columns}
        for key in made.foreign_keys:
            column, to = columns[key.columns[0]], self._meant(key)
            columns[column.name] = self.engine.referring(column, to)
        return replace(made, columns=tuple(columns.values()))

    def _meant(self, key: ForeignKey) -> Column:
        """The column that a foreign key refers to, as it is or will be."""
        if key.ref_table in self.present.table_names:
            return self.present.table(key.ref_table).column(key.ref_columns[0])
        return self.fitted(self._key_column(key.ref_table, key.ref_columns[0], alone=True), 1)

    def _fields(self, table: str) -> list[str]:
        return list(dict.fromkeys(f for e in self.into(table) for f in e.fields))

    # -- keys

    def key(self, table: str) -> tuple[str, ...]:
        """A column that `target_sets` promises and no field gives; else the field `id`; else the fields that carry the
        source's key as it is, unless rows are only matched by them; else a new column `id`."""
        numbered = self._numbered(table)
        if numbered:
            return numbered[:1]
        entities = [e for e in self.into(table) if e.inserts]
        if any(_KEY in e.fields for e in entities):
            missing = [e.name for e in entities if _KEY not in e.fields]
            if missing:
                path = f"entities.{missing[0]}.fields"
                self.wrong(path, f"other entities give the key {table}.{_KEY}, and {missing[0]} does not")
            return (_KEY,)
        carried = [self._carried(e) for e in entities]
        if carried and carried[0] and all(c == carried[0] for c in carried):
            return carried[0]
        return (_KEY,)

    def _numbered(self, table: str) -> tuple[str, ...]:
        given = set(self._fields(table))
        sets = [c for e in self.into(table) for c, r in e.target_sets.items() if r == "not_null"]
        return tuple(dict.fromkeys(c for c in sets if c not in given))

    def _carried(self, entity: Entity) -> tuple[str, ...]:
        """The fields that hold the columns of the entity's key, as they are."""
        if entity.key_is_line or entity.key_is_content:
            return ()
        plain = {f.from_: name for name, f in reversed(entity.fields.items()) if _as_it_is(f) and not f.when}
        fields = tuple(plain[c] for c in entity.key if c in plain)
        return fields if len(fields) == len(entity.key) and not set(fields) <= set(entity.match) else ()

    def _key_column(self, table: str, name: str, *, alone: bool) -> Column:
        numbered = name not in self._fields(table)
        column = Column(name, self._key_type(table, name), nullable=False)
        return self.engine.key_column(table, column, numbered=numbered) if alone else column

    def _key_type(self, table: str, name: str) -> Type:
        if name not in self._fields(table):
            return self.declared(Type(Kind.INT, bits=64))
        return self.type_of(table, name)

    def _check_target_sets(self, table: str) -> None:
        given = {*self._fields(table), *self._numbered(table)[:1]}
        for entity in self.into(table):
            for column in entity.target_sets:
                if column not in given:
                    self.wrong(
                        f"entities.{entity.name}.target_sets.{column}",
                        f"{table} is to be created, and nothing says what {column} of it would hold",
                        "take it out, or create the table yourself; not_null of one column without a field makes it the key",
                    )

    # -- columns

    def type_of(self, table: str, column: str) -> Type:
        """The type of a column that is to be created; all entities that write it must agree."""
        if (table, column) in self.asked:  # references in a circle: nothing says what their keys are
            return self.declared(Type(Kind.TEXT))
        self.asked.append((table, column))
        try:
            found = {e.name: self._type(e, column) for e in self.into(table) if column in e.fields}
        finally:
            self.asked.pop()
        types = list(found.values())
        if all(t == types[0] for t in types):
            return types[0]
        if {t.kind for t in types} == {Kind.TEXT}:
            lengths = [t.length for t in types]
            known = [n for n in lengths if n is not None]
            return self.declared(Type(Kind.TEXT, length=max(known) if len(known) == len(lengths) else None))
        said = " and ".join(f"{t.native} ({name})" for name, t in found.items())
        last = list(found)[-1]
        self.wrong(
            f"entities.{last}.fields.{column}",
            f"{table}.{column} is to be created, and would be {said}",
            "say the same `read_as` in both",
        )
        return types[0]

    def _type(self, entity: Entity, column: str) -> Type:
        plain = entity.fields[column]
        if plain.list is not None:
            return self.declared(Type(Kind.JSON))
        if plain.ref is not None:
            return self._referred(plain)
        if plain.find is not None:
            return self._looked_up(plain.find)
        return self.declared(_lengthened(plain, _own_type(self.compiled[entity.name][column])))

    def _referred(self, plain: Field) -> Type:
        """The key of the rows that are meant. Entities with keys of several kinds share a text."""
        assert plain.ref is not None
        found = [self._parents_key(self.mapping.entities[parent].into) for parent in plain.ref.entities]
        known = [t for t in found if t is not None]
        if not known:
            return self.declared(Type(Kind.TEXT))
        return known[0] if all(t == known[0] for t in known) else self.declared(common(known))

    def _parents_key(self, table: str) -> Type | None:
        if table in self.present.table_names:
            there = self.present.table(table)
            return (
                _plain_type(there.column(there.primary_key[0]).type) if len(there.primary_key) == 1 else None
            )
        if not self.is_new(table):
            return None
        key = self.key(table)
        return self._key_type(table, key[0]) if len(key) == 1 else None

    def _looked_up(self, find: Find) -> Type:
        if find.table not in self.present.table_names:
            return self._parents_key(find.table) or self.declared(Type(Kind.TEXT))
        there = self.present.table(find.table)
        given = find.give or (there.primary_key[0] if len(there.primary_key) == 1 else "")
        if given not in there.column_names:
            return self.declared(Type(Kind.TEXT))  # the lookup itself is wrong, and is reported
        return _plain_type(there.column(given).type)

    def _required(self, table: str, column: str) -> bool:
        """No row without a value can come: every entity that brings rows asks for one, always."""
        return all(
            column in e.fields and _always_filled(e.fields[column], e.name)
            for e in self.into(table)
            if e.inserts
        )

    # -- what goes with them

    def _references(self, made: Table) -> tuple[ForeignKey, ...]:
        found = []
        for column in made.column_names:
            parents = self._parents(made.name, column)
            if parents is None:
                continue
            key = self._keys_of(parents)
            if key is not None:
                name = self._name("fk", made.name, column)
                found.append(ForeignKey(name, (column,), parents, (key,)))
        return tuple(found)

    def _parents(self, table: str, column: str) -> str | None:
        """The one table that every value of the column refers to; None where there is no such."""
        tables: set[str | None] = set()
        for entity in self.into(table):
            plain = entity.fields.get(column)
            if plain is None:
                continue
            if plain.ref is None:
                return None
            outcomes = (plain.ref.missing, plain.ref.ambiguous)
            if any(
                isinstance(o, Find) or (isinstance(o, Default) and o.default is not None) for o in outcomes
            ):
                return None
            if plain.default is not None:
                return None
            tables |= {self.mapping.entities[p].into for p in plain.ref.entities}
        return tables.pop() if len(tables) == 1 else None

    def _keys_of(self, table: str) -> str | None:
        if table in self.present.table_names:
            key = self.present.table(table).primary_key
        else:
            key = self.key(table) if self.is_new(table) else ()
        return key[0] if len(key) == 1 else None

    def _match(self, made: Table, there: Table | None = None) -> tuple[Index, ...]:
        """A unique index over the columns by which rows are found, where all entities find them by the same and at
        least one of them is new."""
        entities = [e for e in self.mapping.entities.values() if e.into == made.name]
        columns = tuple(entities[0].match)
        if (
            not columns
            or any(tuple(e.match) != columns for e in entities)
            or set(columns) == set(made.primary_key)
        ):
            return ()
        types = {**(there.types if there else {}), **made.types}
        if not set(columns) & set(made.column_names) or any(c not in types for c in columns):
            return ()
        if any(types[c].kind in _NO_INDEX for c in columns):
            return ()
        old = [there.column(c) for c in columns if there and c not in made.column_names]
        if any(self.fitted(c, len(columns)).type != c.type for c in old):
            return ()  # a column that is there, and no key can be made over it
        return (Index(self._name("ux", made.name, *columns), "", unique=True, columns=columns),)

    def _name(self, kind: str, table: str, *columns: str) -> str:
        """A name that the engine takes as it is."""
        name = "_".join((kind, table.replace(".", "_"), *columns))
        if len(name.encode()) <= self.engine.NAME_LENGTH:
            return name
        tail = hashlib.sha256(name.encode()).hexdigest()[:8]
        cut = name.encode()[: self.engine.NAME_LENGTH - 9].decode(errors="ignore")
        return f"{cut}_{tail}"


def _as_it_is(plain: Field) -> bool:
    """Is a column of the source taken over with nothing done to its values?"""
    done = (plain.read_as, plain.map, plain.bands, plain.ref, plain.find, plain.list, plain.default)
    return plain.from_ is not None and not plain.do and all(d is None for d in done)


def _own_type(made: CompiledField) -> Type:
    """That of the source's column where values are taken as they are, else that of the last step."""
    plain = made.field
    changed = plain.read_as or made.steps or plain.map or plain.bands or made.source is None
    own, source = made.column.type, made.source_type
    type_ = (
        source
        if not changed and own.kind in (source.kind, Kind.TEXT) and source.kind is not Kind.MIXED
        else own
    )
    return _plain_type(type_ if type_.kind is own.kind else own)


def _plain_type(type_: Type) -> Type:
    """Without what another table declares besides: labels of an enum, padding."""
    if type_.kind is Kind.MIXED or type_.labels:
        return Type(Kind.TEXT)
    return replace(type_, fixed=False) if type_.fixed else type_


def _lengthened(plain: Field, type_: Type) -> Type:
    """With the length that a `max_length` check holds values to; and long enough for the mapping's own default."""
    if type_.kind is not Kind.TEXT:
        return type_
    limits = [int(str(c.argument)) for c in plain.check if c.name == "max_length" and c.on_fail != "warn"]
    length = min(limits) if limits else type_.length
    if length is not None and plain.default is not None:
        length = max(length, len(plain.default))
    return replace(type_, native="", length=length)


def _always_filled(plain: Field, entity: str) -> bool:
    if plain.when is not None or (plain.ref is not None and entity in plain.ref.entities):
        return False  # a reference to its own kind is filled in a second pass
    return any(c.name == "required" and c.on_fail in ("quarantine", "stop", "default") for c in plain.check)
