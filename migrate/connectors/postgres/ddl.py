"""CREATE TABLE and its constraints as text. SQL that comes out of a schema document is used only where it is
trusted (F26); without trust a definition must match a narrow form, else it is left out and named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from migrate.connectors.postgres.session import quote, quote_table, split_name
from migrate.connectors.postgres.types import sql_type
from migrate.errors import Corrupt
from migrate.model import Column, ForeignKey, Index, Table, Type, Unique
from migrate.model import Sequence as SequenceState

_IDENT = r'(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"\x00]|"")+")'
_LIMITS = r"(?:\(\s*\d+\s*(?:,\s*-?\d+\s*)?\))?"
_NATIVE = re.compile(
    rf"{_IDENT}(?:\.{_IDENT})?(?: (?:varying|precision|to|day|hour|minute|second|month|year))*{_LIMITS}(?: with(?:out)? time zone)?(?:\[\])?"
)
_COLLATION = re.compile(rf"{_IDENT}(?:\.{_IDENT})?")
_SEQUENCE = re.compile(
    r"AS (?:smallint|integer|bigint) INCREMENT BY -?\d+ MINVALUE -?\d+ MAXVALUE -?\d+ START WITH -?\d+ CACHE \d+ (?:NO )?CYCLE"
)
_OWNED = re.compile(rf" OWNED BY ({_IDENT}\.{_IDENT}\.{_IDENT})$")
_KEY = re.compile(
    rf"(?:UNIQUE|PRIMARY KEY)(?: NULLS NOT DISTINCT)? \({_IDENT}(?:, {_IDENT})*\)(?: INCLUDE \({_IDENT}(?:, {_IDENT})*\))?"
    r"(?: (?:NOT )?DEFERRABLE)?(?: INITIALLY (?:DEFERRED|IMMEDIATE))?"
)
_PART = rf"{_IDENT}(?: (?:ASC|DESC))?(?: NULLS (?:FIRST|LAST))?"
_INDEX = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX {_IDENT} ON {_IDENT}\.{_IDENT} USING (?:btree|hash|gin|gist|brin|spgist) \({_PART}(?:, {_PART})*\)"
    rf"(?: INCLUDE \({_IDENT}(?:, {_IDENT})*\))?(?: NULLS NOT DISTINCT)?"
)
_ACTIONS = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})


def native(type_: Type, where: str) -> str:
    """The declared type, if it is nothing but a type. Raises Corrupt."""
    text = sql_type(type_)
    if not _NATIVE.fullmatch(text):
        raise Corrupt("the declared type is not a type's name", where=where)
    return text


def _column(
    table: Table, column: Column, *, trusted: bool, defaults: bool, sequences: dict[str, SequenceState]
) -> str:
    where = f"{table.name}.{column.name}"
    words = [quote(column.name), native(column.type, where)]
    if column.collation is not None and _COLLATION.fullmatch(column.collation):
        words.append(f"COLLATE {column.collation}")
    if column.generated is not None:
        if trusted and defaults:
            words.append(f"GENERATED ALWAYS AS ({column.generated}) STORED")
    elif column.identity is not None:
        how = "ALWAYS" if column.identity == "always" else "BY DEFAULT"
        options = ""
        if column.sequence in sequences:
            state = sequences[column.sequence]
            options = f" (SEQUENCE NAME {quote_table(state.name)} {identity_options(state)})"
        words.append(f"GENERATED {how} AS IDENTITY{options}")
    elif column.sequence is not None and column.default is not None:
        words.append(
            f"DEFAULT nextval('{quote_table(column.sequence).replace(chr(39), chr(39) * 2)}'::regclass)"
        )
    elif column.default is not None and trusted and defaults:
        words.append(f"DEFAULT {column.default}")
    if not column.nullable:
        words.append("NOT NULL")
    return " ".join(words)


def create_table(
    table: Table,
    *,
    unlogged: bool = False,
    if_missing: bool = False,
    trusted: bool = False,
    defaults: bool = True,
    key: bool = False,
    sequences: Sequence[SequenceState] = (),
    fill: int = 100,
) -> str:
    """`trusted`: the schema's own SQL expressions may run. `defaults` False leaves them out all the same. `fill`: how much
    of a page, in percent, new rows take."""
    known = {s.name: s for s in sequences}
    lines = [_column(table, c, trusted=trusted, defaults=defaults, sequences=known) for c in table.columns]
    if key and table.primary_key:
        lines.append(f"PRIMARY KEY ({columns(table.primary_key)})")
    head = f"CREATE {'UNLOGGED ' if unlogged else ''}TABLE {'IF NOT EXISTS ' if if_missing else ''}"
    tail = "" if fill == 100 else f" WITH (fillfactor = {fill})"
    return f"{head}{quote_table(table.name)} (\n  " + ",\n  ".join(lines) + f"\n){tail}"


def columns(names: Sequence[str]) -> str:
    return ", ".join(quote(n) for n in names)


def sequence_definition(state: SequenceState) -> tuple[str, str]:
    """(options, OWNED BY target or ""). Raises Corrupt where the definition is more than that."""
    owned = _OWNED.search(state.definition)
    options = state.definition[: owned.start()] if owned else state.definition
    if options and not _SEQUENCE.fullmatch(options):
        raise Corrupt("the sequence's definition is not one", where=state.name)
    return options, owned.group(1) if owned else ""


def identity_options(state: SequenceState) -> str:
    """A sequence's options where the column's type is implied."""
    return re.sub(r"^AS \w+ ", "", sequence_definition(state)[0])


def unique(table: Table, constraint: Unique, *, trusted: bool) -> str:
    definition = constraint.definition or f"UNIQUE ({columns(constraint.columns)})"
    if not trusted and not _KEY.fullmatch(definition):
        return ""
    return f"ALTER TABLE {quote_table(table.name)} ADD CONSTRAINT {quote(constraint.name)} {definition}"


def index(table: Table, found: Index, *, trusted: bool) -> str:
    """ "" where the definition holds an expression and the schema is not trusted."""
    if not found.sql and found.columns:
        kind = "UNIQUE INDEX" if found.unique else "INDEX"
        return f"CREATE {kind} {quote(found.name)} ON {quote_table(table.name)} ({columns(found.columns)})"
    return found.sql if trusted or _INDEX.fullmatch(found.sql) else ""


def foreign_key(table: Table, key: ForeignKey) -> str:
    if not {key.on_delete, key.on_update} <= _ACTIONS:
        raise Corrupt("the foreign key's action is not one", where=f"{table.name}: {key.name}")
    deferrable = " DEFERRABLE" if key.deferrable else ""
    deferred = " INITIALLY DEFERRED" if key.initially_deferred else ""
    return (
        f"ALTER TABLE {quote_table(table.name)} ADD CONSTRAINT {quote(key.name)} FOREIGN KEY ({columns(key.columns)}) "
        f"REFERENCES {quote_table(key.ref_table)} ({columns(key.ref_columns)}) "
        f"ON DELETE {key.on_delete} ON UPDATE {key.on_update}{deferrable}{deferred}{'' if key.validated else ' NOT VALID'}"
    )


def schemas(names: Sequence[str]) -> list[str]:
    """Schemas other than public that these tables, sequences or types live in."""
    return sorted({split_name(n)[0] for n in names} - {"public"})
