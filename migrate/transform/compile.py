"""A mapping's entity against both catalogues: everything wrong at once, or an entity ready to run."""

from __future__ import annotations

import polars as pl

from migrate.errors import Problem
from migrate.mapping.functions import FUNCTIONS, arguments_of
from migrate.mapping.model import (
    Check,
    Default,
    Entity,
    Field,
    Mapping,
    Source,
    SourceColumn,
    SourceTable,
    Step,
)
from migrate.mapping.shapes import did_you_mean
from migrate.model import Column, Kind, Table, Type
from migrate.transform import checks
from migrate.transform.convert import DATES, convert, impossible
from migrate.transform.entity import CompiledEntity, CompiledField, CompiledStep, Lossy
from migrate.transform.field import _READ_AS
from migrate.transform.sql import Prepared, prepare
from migrate.transform.values import TEXT, Values

_RESULTS = {
    "text": Kind.TEXT,
    "decimal": Kind.DECIMAL,
    "integer": Kind.INT,
    "date": Kind.DATE,
    "timestamp": Kind.TIMESTAMP,
    "boolean": Kind.BOOL,
}
_HIDDEN_TYPES = {"_line": Type(Kind.INT, bits=64), "_bad": Type(Kind.TEXT), "_raw": Type(Kind.BYTES)}


def compile_entity(
    mapping: Mapping, name: str, source_table: Table, target_table: Table, *, now: str, engine: str = ""
) -> tuple[CompiledEntity | None, list[Problem]]:
    """The entity `name`, or None with all its problems. `now`: the plan's moment (ISO 8601) for SQL that asks for it.

    `engine`: the target's; without it the URL's scheme tells whether text may hold NUL characters."""
    compiler = _Compiler(mapping, mapping.entities[name], source_table, target_table)
    fields = [f for n, d in compiler.entity.fields.items() if (f := compiler.field(n, d)) is not None]
    matches = compiler.matches()
    key = compiler.key()
    where = (
        compiler.sql(compiler.entity.where, "where", boolean=True)
        if compiler.entity.where is not None
        else None
    )
    compiler.not_null()
    compiler.target_key()
    if compiler.problems:
        return None, compiler.problems
    nul_allowed = engine == "sqlite" or (not engine and mapping.target.url.startswith("sqlite"))
    return (
        CompiledEntity(
            entity=compiler.entity,
            source=source_table,
            target=target_table,
            key=key,
            fields=tuple(fields),
            matches=tuple(matches),
            where=where.sql if where else None,
            columns_of_sql=compiler.columns_of_sql,
            types=source_table.types
            | {n: t for n, t in _HIDDEN_TYPES.items() if n not in source_table.types},
            nulls=compiler.nulls(),
            nul_allowed=nul_allowed,
            now=now,
        ),
        [],
    )


class _Compiler:
    """Collects the problems of one entity."""

    def __init__(self, mapping: Mapping, entity: Entity, source: Table, target: Table) -> None:
        self.mapping, self.entity, self.source, self.target = mapping, entity, source, target
        self.problems: list[Problem] = []
        self.columns_of_sql: dict[str, tuple[str, ...]] = {}
        self.described: Source | None = mapping.sources.get(entity.source)
        self.table = (self.described.tables.get(entity.table) if self.described else None) or SourceTable()

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

    def source_column(self, name: str, path: str) -> Column | None:
        try:
            return self.source.column(name)
        except KeyError:
            self.wrong(
                "unknown_column",
                path,
                f'the source table {self.source.name} has no column "{name}"',
                did_you_mean(name, self.source.column_names),
            )
            return None

    def target_column(self, name: str, path: str) -> Column | None:
        try:
            return self.target.column(name)
        except KeyError:
            self.wrong(
                "unknown_column",
                path,
                f'the target table {self.target.name} has no column "{name}"',
                did_you_mean(name, self.target.column_names),
            )
            return None

    # -- what the source says about a column

    def _said(self, column: str) -> SourceColumn:
        return self.table.columns.get(column) or SourceColumn()

    def nulls(self) -> dict[str, tuple[str, ...]]:
        """NULL words per column of text: the column's, else the table's, else the source's."""
        words: dict[str, tuple[str, ...]] = {}
        for column in self.source.columns:
            if column.type.kind not in (Kind.TEXT, Kind.MIXED):
                continue
            said = self._said(column.name).nulls
            if said is None:
                said = self.table.nulls
            if said is None:
                said = self.described.nulls if self.described else ()
            if said:
                words[column.name] = said
        return words

    def zone(self, column: str | None) -> str | None:
        said = self._said(column).timezone if column else None
        return said or self.table.timezone or (self.described.timezone if self.described else None)

    def dates(self, column: str | None) -> tuple[str, ...]:
        said = self._said(column).dates if column else None
        if said is None:
            said = self.table.dates
        return said if said is not None else (self.described.dates if self.described else ())

    # -- parts

    def key(self) -> tuple[str, ...]:
        if self.entity.key_is_content:
            return ()
        if self.entity.key_is_line:
            if "_line" not in self.source.column_names:
                hint = "name the columns, or write key: content"
                self.wrong("key_type", "key", "rows of a database have no line", hint)
            return ("_line",)
        for column in self.entity.key:
            if (found := self.source_column(column, "key")) is not None and found.type.kind in (
                Kind.ARRAY,
                Kind.BYTES,
            ):
                self.wrong(
                    "key_type", "key", f'"{column}" holds {found.type.kind.value} values, which name no row'
                )
        return self.entity.key

    def sql(self, sql: str, path: str, *, boolean: bool = False) -> Prepared | None:
        prepared = prepare(sql, self.source, line=self.entity.key_is_line, boolean=boolean)
        for message in prepared.problems:
            code = "unknown_column" if message.startswith("there is no column") else "expression"
            self.wrong(code, path, message)
        if prepared.problems:
            return None
        self.columns_of_sql[sql] = prepared.columns
        return prepared

    def field(self, name: str, field: Field) -> CompiledField | None:
        path = f"fields.{name}"
        column = self.target_column(name, path)
        before = len(self.problems)
        source, source_type, sql = field.from_, None, None
        if field.from_ is not None:
            if (
                self.entity.key_is_line
                and field.from_ in ("line", "_line")
                and field.from_ not in self.source.column_names
            ):
                source, source_type = "_line", _HIDDEN_TYPES["_line"]
            elif (found := self.source_column(field.from_, f"{path}.from")) is not None:
                source_type = found.type
        elif field.expr is not None:
            prepared = self.sql(field.expr, f"{path}.expr")
            if prepared is not None:
                sql, source_type = prepared.sql, prepared.type
        elif field.value is not None or field.find is not None:
            source_type = TEXT
        if field.ref is not None and field.ref.kind is not None:
            self.source_column(field.ref.kind, f"{path}.ref.kind")
        for number, step in enumerate(field.do):
            self._step_columns(step, f"{path}.do", number)
        if column is None or len(self.problems) > before or source_type is None:
            return None
        steps = tuple(CompiledStep(s.name, arguments_of(s), s.arguments) for s in field.do)
        compiled = CompiledField(
            name=name,
            field=field,
            column=column,
            source=source,
            source_type=source_type,
            sql=sql,
            steps=steps,
            dates=self.dates(field.from_),
            zone=self.zone(field.from_),
            lossy=field.lossy or self.mapping.policy.lossy,
            guarded=not column.nullable and self.entity.write != "link",
        )
        self._writable(compiled, path)
        self._types(compiled, path)
        self._literals(compiled, path)
        for number, check in enumerate(field.check):
            self._check(compiled, check, f"{path}.check.{number}")
        return compiled

    def _step_columns(self, step: Step, path: str, number: int) -> None:
        """The columns that arguments of a step come from. A single step stands in the file without its number."""
        for argument, column in step.columns.items():
            inner = ".".join(map(str, (step.name, *argument)))
            single = f"entities.{self.entity.name}.{path}.{step.name}" in self.mapping.positions
            place = f"{path}.{inner}" if single else f"{path}.{number}.{inner}"
            found = self.source_column(column, place)
            if found is not None and found.type.kind in (Kind.ARRAY, Kind.BYTES):
                self.wrong(
                    "type", place, f'"{column}" holds {found.type.kind.value} values, which are no text'
                )

    def _writable(self, field: CompiledField, path: str) -> None:
        column = field.column
        if column.generated is not None:
            self.wrong(
                "generated_column", path, f'"{column.name}" is generated by the target and cannot be written'
            )
        elif column.identity == "always" and self.entity.write != "link":
            self.wrong(
                "generated_column",
                path,
                f'"{column.name}" is GENERATED ALWAYS AS IDENTITY: the target gives its values',
                "leave the field out; references go through the crosswalk",
            )

    def _types(self, field: CompiledField, path: str) -> None:
        """The kind of value after every step, and whether the last one can become the target's type."""
        assert field.source_type is not None
        plain, kind = field.field, field.source_type.kind
        if kind is Kind.MIXED and (field.type.kind is not Kind.BYTES or plain.do):
            kind = Kind.TEXT
        if kind is Kind.BYTES and (
            plain.do
            or plain.map
            or plain.read_as
            or plain.ref
            or plain.find
            or field.type.kind not in (Kind.BYTES, Kind.MIXED)
        ):
            self.wrong("type", path, "bytes are no text: they go into a column of bytes only, as they are")
            return
        if kind is Kind.ARRAY and (plain.do or plain.map or plain.read_as or plain.ref or plain.find):
            self.wrong("type", path, "a list goes into a column of lists only, as it is")
            return
        steps: list[tuple[str, Type]] = []
        if plain.read_as is not None:
            steps.append((f"read_as: {plain.read_as}", _READ_AS[plain.read_as]))
        for step in plain.do:
            result = FUNCTIONS[step.name].returns
            if result == "any":
                continue
            made = _RESULTS[result]
            if step.name == "timestamp" and (field.type.kind is Kind.TIMESTAMPTZ or kind is Kind.TIMESTAMPTZ):
                made = Kind.TIMESTAMPTZ
            if (
                step.name == "timestamp"
                and isinstance(step.arguments, dict)
                and step.arguments.keys() & {"epoch", "timezone"}
            ):
                made = Kind.TIMESTAMPTZ
            steps.append((f"do: {step.name}", Type(made)))
        if plain.map is not None:
            steps.append(("map", TEXT))
        for words, made_type in steps:
            if words.startswith("read_as") and (why := impossible(kind, made_type)):
                self.wrong("type", path, f"{words}: {why}")
                return
            if kind in (Kind.TIMESTAMP, Kind.DATE) and made_type.kind is Kind.TIMESTAMPTZ:
                self._needs_zone(field, path)
            kind = made_type.kind
        if field.refers:
            return
        if why := impossible(kind, field.type):
            self.wrong("type", path, f'"{field.name}" holds {_words(field.type)}: {why}')
        elif kind in (Kind.TIMESTAMP, Kind.DATE) and field.type.kind is Kind.TIMESTAMPTZ:
            self._needs_zone(field, path)
        elif kind is Kind.TIMESTAMPTZ and field.type.kind is Kind.TIMESTAMP and field.zone is None:
            self.wrong(
                "timezone",
                path,
                f'"{field.name}" holds times without a zone, and nothing says in which zone they are',
                "state `timezone:` for the source, the table or the column",
            )

    def _needs_zone(self, field: CompiledField, path: str) -> None:
        if field.zone is None:
            self.wrong(
                "timezone",
                path,
                f'"{field.source or field.name}" holds times without a zone, the target holds moments',
                "state `timezone:` for the source, the table or the column",
            )

    def _literals(self, field: CompiledField, path: str) -> None:
        """What the mapping itself puts in must fit the target."""
        plain = field.field
        literals: list[tuple[str, str]] = []
        if plain.default is not None:
            literals.append(("default", plain.default))
        if plain.value is not None and not (plain.read_as or plain.do or plain.map or field.refers):
            literals.append(("value", plain.value))
        if not field.refers and plain.map is not None:
            literals += [("map", v) for v in plain.map.values.values() if v is not None]
            if isinstance(plain.unmapped, Default) and plain.unmapped.default is not None:
                literals.append(("unmapped", plain.unmapped.default))
        for key, literal in literals:
            done = convert(Values(pl.Series([literal]), TEXT), field.type, zone=field.zone)
            if done.failures or (done.lossy is not None and field.lossy != "allow"):
                why = done.failures[0].detail if done.failures else done.lossy_detail
                self.wrong("literal", f"{path}.{key}", f'"{literal}" cannot be {_words(field.type)}: {why}')

    def _check(self, field: CompiledField, check: Check, path: str) -> None:
        if check.name not in checks.RULES:
            self.wrong(
                "unknown_check",
                path,
                f'there is no rule "{check.name}"',
                did_you_mean(check.name, checks.RULES),
            )
            return
        if field.refers and check.name not in ("required", "unique"):
            self.wrong(
                "check_on_reference",
                path,
                f"`{check.name}` looks at the value, but after a reference the value is a key of the target",
                "only `required` and `unique` are possible here",
            )
        if check.on_fail == "default" and field.field.default is None:
            self.wrong(
                "no_default", path, f"`on_fail: default` of `{check.name}` needs a `default:` of the field"
            )
        if check.name == "range" and not field.refers and isinstance(check.argument, dict):
            assert field.source_type is not None
            kind = checks.range_kind(
                check.argument.get("min"), check.argument.get("max"), field.source_type.kind, field.type.kind
            )
            if field.source_type.kind not in DATES and field.field.read_as in (
                "date",
                "timestamp",
                "timestamptz",
            ):
                kind = Kind.DATE
            for limit in (check.argument.get("min"), check.argument.get("max")):
                if limit is not None and (why := checks.limit_problem(limit, kind)):
                    self.wrong("range", path, why)

    def matches(self) -> list[CompiledField]:
        """`match` values that are columns or expressions of the source become columns of their own."""
        made: list[CompiledField] = []
        for name, given in self.entity.match.items():
            path = f"match.{name}"
            column = self.target_column(name, path)
            if given is None:
                if name not in self.entity.fields:
                    self.wrong(
                        "match",
                        path,
                        f'"{name}" decides what is there already, but no field gives its value',
                        f"match: {{{name}: source_column}}",
                    )
                continue
            if column is None:
                continue
            field, source, sql, type_ = Field(**{"from": given}), given, None, None
            if given in self.source.column_names:
                type_ = self.source.column(given).type
            else:
                if given.isidentifier():
                    self.source_column(given, path)
                    continue
                prepared = self.sql(given, path)
                if prepared is None:
                    continue
                field, source, sql, type_ = Field(expr=given), "", prepared.sql, prepared.type
            compiled = CompiledField(
                name=name,
                field=field,
                column=column,
                source=source or None,
                source_type=type_,
                sql=sql,
                zone=self.zone(source or None),
                lossy="quarantine",
                guarded=False,
            )
            self._types(compiled, path)
            made.append(compiled)
        return made

    def not_null(self) -> None:
        """Columns that take no NULL and get no value from anywhere."""
        if self.entity.write == "link":
            return
        for column in self.target.columns:
            filled = (
                column.default is not None
                or column.generated is not None
                or column.identity is not None
                or column.sequence is not None
            )
            if (
                column.nullable
                or filled
                or column.name in self.entity.fields
                or column.name in self.entity.target_sets
            ):
                continue
            if column.name in self.target.primary_key and self._assignable(column):
                continue
            self.wrong(
                "not_null",
                "fields",
                f'the target column "{column.name}" takes no NULL, has no default, and no field gives its value',
                f"add a field `{column.name}`, or name it under target_sets if a trigger fills it",
            )

    def target_key(self) -> None:
        if not self.target.primary_key:
            self.wrong(
                "target_key",
                "into",
                f"the target table {self.target.name} has no primary key, so its rows cannot be named",
                "add one to the target table: rows could not be read back or undone without",
            )
        elif self.entity.write != "link":
            for name in self.target.primary_key:
                column = self.target.column(name)
                if name not in self.entity.fields and not self._assignable(column) and column.nullable:
                    self.wrong(
                        "target_key",
                        "fields",
                        f'no field gives the target key "{name}", and it cannot be assigned',
                        f"add a field `{name}`",
                    )

    def _assignable(self, column: Column) -> bool:
        """Keys that are given at load: uuid5, or the next number."""
        if len(self.target.primary_key) != 1:
            return False
        if (
            column.identity is not None
            or column.sequence is not None
            or column.type.kind in (Kind.UUID, Kind.INT)
        ):
            return True
        return column.type.kind is Kind.TEXT and not column.type.labels and (column.type.length or 36) >= 36


def _words(type_: Type) -> str:
    return type_.native or type_.kind.value


__all__ = ["Lossy", "compile_entity"]
