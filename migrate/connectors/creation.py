"""Tables and columns that a migration creates in its target: as SQL for people, and step by step.

Alembic's operations say what is done, in the words of the engine's SQLAlchemy dialect; what else an engine has of its
own is in its module of `Engine` functions. Every step stands alone, for DDL is not transactional everywhere: whoever
carries them out looks at the catalogue before each, and writes down what was done after it.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import sqlalchemy as sa

from migrate.model import Column, ForeignKey, Table, Type

if TYPE_CHECKING:
    from alembic.operations import Operations

MODULES = {
    "sqlite": "migrate.connectors.sqlite.creation",
    "postgresql": "migrate.connectors.postgres.creation",
    "mysql": "migrate.connectors.mysql.creation",
}


class Engine(Protocol):
    """What a module of `MODULES` has."""

    DIALECT: str  # SQLAlchemy's name
    ALTERS_REFERENCES: bool  # a foreign key can be added to a table that is there
    NAME_LENGTH: int  # longest name, in bytes of UTF-8
    TABLE_OPTIONS: Mapping[str, Any]  # of CREATE TABLE, as the dialect calls them

    def declared(self, type_: Type, version: str) -> Type:
        """The type as a column of the engine declares it and its catalogue reads it back. `version`: the server's, as
        `Schema` has it."""
        ...

    def spelled(self, column: Column) -> str:
        """Type and whatever else stands between a column's name and NOT NULL."""
        ...

    def fitted(self, column: Column, parts: int, version: str) -> Column:
        """The column as the catalogue will read it back, where it is one of `parts` of a key or a unique index; 0: of
        none."""
        ...

    def referring(self, column: Column, to: Column) -> Column:
        """The column where it refers to another table's key."""
        ...

    def key_column(self, table: str, column: Column, *, numbered: bool) -> Column:
        """A primary key of one column as the catalogue reads it back; `numbered`: the engine gives its values."""
        ...

    def place(self, table: str) -> tuple[str | None, str]:
        """(schema, name) of a table's name in the model."""
        ...

    def prefixes(self, connection: sa.Connection, referred: Sequence[str]) -> list[str]:
        """Words between CREATE and TABLE, where a new table must be of the kind of those that are referred to."""
        ...

    def lock(self, connection: sa.Connection, table: str) -> None:
        """Nobody else writes to the table until the transaction ends."""
        ...

    def used_by(self, connection: sa.Connection, table: str, column: str | None) -> list[str]:
        """Views, triggers and tables with a foreign key that need the table, or the column of it, in words."""
        ...


def engine_module(engine: str) -> Engine:
    return cast(Engine, importlib.import_module(MODULES[engine]))


@dataclass(frozen=True)
class Step:
    """One thing that is made: `kind` table | column | index | reference, of `table`. `name` of a table is its own."""

    kind: str
    table: str
    name: str

    @property
    def words(self) -> str:
        return f"table {self.table}" if self.kind == "table" else f"{self.kind} {self.table}.{self.name}"


def is_new(table: Table) -> bool:
    """Whether the whole table is to be made, and not only columns of it."""
    return bool(table.primary_key)


def steps(created: Sequence[Table], engine: str) -> list[Step]:
    """In the order in which they can be carried out."""
    found = [Step("table", t.name, t.name) for t in created if is_new(t)]
    found += [Step("column", t.name, c.name) for t in created if not is_new(t) for c in t.columns]
    found += [Step("index", t.name, i.name) for t in created for i in t.indexes]
    if engine_module(engine).ALTERS_REFERENCES:
        found += [Step("reference", t.name, f.name) for t in created for f in t.foreign_keys]
    return found


def is_there(step: Step, present: Table | None) -> bool:
    """Whether the thing is in the catalogue's `present`, by its name."""
    if present is None or step.kind == "table":
        return present is not None
    names = {
        "column": present.column_names,
        # a unique index is what some engines call a constraint
        "index": (*(i.name for i in present.indexes), *(u.name for u in present.uniques)),
        "reference": tuple(f.name for f in present.foreign_keys),
    }
    return step.name in names[step.kind]


def unlike(step: Step, wanted: Table, present: Table) -> str:
    """How what is there differs from what was to be made, in words; "" where it does not."""
    if step.kind == "table" and present.primary_key != wanted.primary_key:
        return f"its key is ({', '.join(present.primary_key)}), not ({', '.join(wanted.primary_key)})"
    names = [step.name] if step.kind == "column" else wanted.column_names if step.kind == "table" else ()
    for name in names:
        if name not in present.column_names:
            return f"it has no column {name}"
        is_, was = present.column(name), wanted.column(name)
        if (is_.type, is_.nullable) != (was.type, was.nullable):
            said = [f"{c.type.native}{'' if c.nullable else ' NOT NULL'}" for c in (is_, was)]
            return f"{name} is {said[0]}, not {said[1]}"
    return ""


def make(connection: sa.Connection, engine: str, created: Sequence[Table], step: Step) -> None:
    """Carry out one step in the connection's transaction."""
    module = engine_module(engine)
    referred = sorted({f.ref_table for t in created for f in t.foreign_keys}) if step.kind == "table" else []
    prefixes = module.prefixes(connection, referred) if referred else []
    _make(_operations(connection), module, created, step, prefixes)


def ddl(engine: str, created: Sequence[Table]) -> tuple[str, ...]:
    """The statements of all steps, in order, for the engine's dialect; no database is asked."""
    found = []
    for step in steps(created, engine):
        text = io.StringIO()
        _make(_written(engine_module(engine).DIALECT, text), engine_module(engine), created, step)
        lines = [line.rstrip().replace("\t", "    ") for line in text.getvalue().splitlines()]
        found.append("\n".join(lines).strip())
    return tuple(found)


def unmake(connection: sa.Connection, engine: str, step: Step) -> None:
    """Drop what a step made. Indexes and references of a table go with it."""
    module, operations = engine_module(engine), _operations(connection)
    schema, table = module.place(step.table)
    if step.kind == "table":
        operations.drop_table(table, schema=schema)
    elif step.kind == "column":
        operations.drop_column(table, step.name, schema=schema)
    elif step.kind == "index":
        operations.drop_index(step.name, table_name=table, schema=schema)
    else:
        operations.drop_constraint(step.name, table, type_="foreignkey", schema=schema)


def rows_in_use(connection: sa.Connection, engine: str, table: str, column: str | None) -> int:
    """Rows of a table, or those that have a value in the column."""
    schema, name = engine_module(engine).place(table)
    query = sa.select(sa.func.count()).select_from(sa.table(name, schema=schema))
    if column is not None:
        query = query.where(sa.column(column).is_not(None))
    return int(connection.execute(query).scalar_one())


def _operations(connection: sa.Connection) -> Operations:
    from alembic.migration import MigrationContext  # alembic costs 0.4 s, wanted only where something is made
    from alembic.operations import Operations

    return Operations(MigrationContext.configure(connection))


def _written(dialect: str, text: io.StringIO) -> Operations:
    """Operations that are written down and not carried out."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    options = {"as_sql": True, "output_buffer": text}
    return Operations(MigrationContext.configure(dialect_name=dialect, opts=options))


class _Native(sa.types.UserDefinedType[Any]):
    """A type by the engine's own spelling."""

    cache_ok = True

    def __init__(self, spelling: str) -> None:
        self.spelling = spelling

    def get_col_spec(self, **_: Any) -> str:
        return self.spelling


def _make(
    operations: Operations, module: Engine, created: Sequence[Table], step: Step, prefixes: Sequence[str] = ()
) -> None:
    table = next(t for t in created if t.name == step.table)
    schema, name = module.place(table.name)
    if step.kind == "table":
        content: list[sa.schema.SchemaItem] = [_column(module, c) for c in table.columns]
        content.append(sa.PrimaryKeyConstraint(*table.primary_key))
        if not module.ALTERS_REFERENCES:
            content += [_reference(module, f) for f in table.foreign_keys]
        operations.create_table(
            name, *content, schema=schema, prefixes=list(prefixes), **module.TABLE_OPTIONS
        )
    elif step.kind == "column":
        inline = () if module.ALTERS_REFERENCES else table.foreign_keys
        key = next((f for f in inline if f.columns == (step.name,)), None)
        made = _column(
            module, table.column(step.name), *([sa.ForeignKey(_target(module, key))] if key else [])
        )
        operations.add_column(name, made, schema=schema, inline_references=key is not None)
    elif step.kind == "index":
        index = next(i for i in table.indexes if i.name == step.name)
        operations.create_index(index.name, name, list(index.columns), unique=index.unique, schema=schema)
    else:
        key = next(f for f in table.foreign_keys if f.name == step.name)
        ref_schema, ref_table = module.place(key.ref_table)
        operations.create_foreign_key(
            key.name, name, ref_table, list(key.columns), list(key.ref_columns),
            source_schema=schema, referent_schema=ref_schema,
        )  # fmt: skip


def _column(module: Engine, column: Column, *more: sa.schema.SchemaItem) -> sa.Column[Any]:
    numbered = [sa.Identity(always=False)] if column.sequence is not None else []
    return sa.Column(column.name, _Native(module.spelled(column)), *numbered, *more, nullable=column.nullable)


def _target(module: Engine, key: ForeignKey) -> str:
    schema, table = module.place(key.ref_table)
    return ".".join(part for part in (schema, table, key.ref_columns[0]) if part)


def _reference(module: Engine, key: ForeignKey) -> sa.ForeignKeyConstraint:
    schema, table = module.place(key.ref_table)
    places = [".".join(part for part in (schema, table, c) if part) for c in key.ref_columns]
    return sa.ForeignKeyConstraint(list(key.columns), places, name=key.name)
