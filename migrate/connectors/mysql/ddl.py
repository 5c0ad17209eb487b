"""CREATE TABLE and its constraints as text. SQL that comes out of a schema document is used only where it is
trusted (F26); what is no expression, such as a type's name, must have its narrow form either way."""

from __future__ import annotations

import re
from collections.abc import Sequence

from migrate.connectors.mysql.catalog import OF_COLUMN
from migrate.connectors.mysql.session import literal, quote
from migrate.connectors.mysql.types import KEY_BYTES, Server, is_text, sql_type
from migrate.errors import Corrupt, UsageError
from migrate.model import Column, ForeignKey, Index, Kind, Table, Type, Unique

_LABEL = r"'(?:[^'\\\x00]|''|\\.)*'"
_NATIVE = re.compile(
    rf"[a-z]\w*(?:\((?:\d+(?:,\d+)?|{_LABEL}(?:,{_LABEL})*)\))?(?: unsigned)?(?: zerofill)?", re.ASCII
)
_NAME = re.compile(r"[a-z]\w*", re.ASCII)
_ACTIONS = frozenset({"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"})
_FIRST_KEY_CHARS = 100  # of the texts of a key of ours, all but the last


def columns(names: Sequence[str]) -> str:
    return ", ".join(quote(n) for n in names)


def native(type_: Type, server: Server, where: str, key_length: int | None = None) -> str:
    """The declared type, if it is nothing but a type. Raises Corrupt."""
    text = sql_type(type_, server, key_length=key_length)
    if not _NATIVE.fullmatch(text):
        raise Corrupt("the declared type is not a type's name", where=where)
    return text


def _column(table: Table, column: Column, server: Server, *, trusted: bool, key_length: int | None) -> str:
    words = [quote(column.name), native(column.type, server, f"{table.name}.{column.name}", key_length)]
    collation = column.collation
    if collation is None and not column.type.native and is_text(column.type) and words[1] != "json":
        collation = server.bytewise  # a table of our own design: texts are what their bytes are
    if collation is not None and _NAME.fullmatch(collation) and is_text(column.type):
        words.append(f"CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}")
    if column.generated is not None:
        if trusted:
            words.append(f"GENERATED ALWAYS AS {column.generated}")
            if not column.nullable and not server.maria:
                words.append("NOT NULL")
    else:
        words.append("NULL" if column.nullable else "NOT NULL")
        words += _default(column, trusted=trusted)
        if column.identity is not None:
            words.append("AUTO_INCREMENT")
    if column.comment:
        words.append(f"COMMENT {literal(column.comment)}")
    if trusted:
        words += [
            c.sql.removeprefix(OF_COLUMN)
            for c in table.checks
            if c.name == column.name and c.sql.startswith(OF_COLUMN)
        ]
    return " ".join(words)


def _default(column: Column, *, trusted: bool) -> list[str]:
    text = column.default if trusted else None
    if text is None:
        return ["DEFAULT NULL"] if column.nullable else []
    if text.lower().startswith("on update"):
        return ["DEFAULT NULL", text] if column.nullable else [text]
    return [f"DEFAULT {text}"]


def create_table(
    table: Table,
    server: Server,
    *,
    if_missing: bool = False,
    trusted: bool = False,
    key: bool = True,
    whole: bool = False,
) -> str:
    """With its primary key (the rows lie in its order), the key that AUTO_INCREMENT needs, and its checks. Other
    indexes and the foreign keys follow the rows, but where it is to be made `whole`. `trusted`: the schema's own SQL
    expressions may run. `key` False: only the columns."""
    lengths = _key_lengths(table, server) if key else {}
    lines = [
        _column(table, c, server, trusted=trusted, key_length=lengths.get(c.name)) for c in table.columns
    ]
    if key and table.primary_key:
        lines.append(f"PRIMARY KEY ({columns(table.primary_key)})")
    needed = _counted_by(table) if key else None
    if needed is not None:
        lines.append(unique(needed) if isinstance(needed, Unique) else index(needed, trusted=trusted))
    if whole:
        lines += [sql for _, sql in later_indexes(table, trusted=trusted)]
        lines += [foreign_key(table, k) for k in table.foreign_keys]
    if trusted:
        lines += [
            f"CONSTRAINT {quote(c.name)} {c.sql}" for c in table.checks if not c.sql.startswith(OF_COLUMN)
        ]
    comment = f" COMMENT={literal(table.comment)}" if table.comment else ""
    return (
        f"CREATE TABLE {'IF NOT EXISTS ' if if_missing else ''}{quote(table.name)} (\n  "
        + ",\n  ".join(line for line in lines if line)
        + f"\n) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 ROW_FORMAT=DYNAMIC{comment}"
    )


def _counted_by(table: Table) -> Unique | Index | None:
    """The index, other than the primary key, that a column with AUTO_INCREMENT leads."""
    name = next((c.name for c in table.columns if c.identity), None)
    if name is None or table.primary_key[:1] == (name,):
        return None
    every: list[Unique | Index] = [*table.uniques, *table.indexes]
    found = [i for i in every if i.columns[:1] == (name,)]
    return found[0] if found else None


def later_indexes(table: Table, *, trusted: bool) -> list[tuple[str, str]]:
    """(name, SQL) of those that `create_table` leaves out; SQL "" where the schema is not trusted."""
    done = _counted_by(table)
    found = [(u.name, unique(u)) for u in table.uniques if u is not done]
    return found + [(i.name, index(i, trusted=trusted)) for i in table.indexes if i is not done]


def _key_lengths(table: Table, server: Server) -> dict[str, int]:
    """How many characters the texts of a key of our own design may have: MySQL's keys have a widest size."""
    texts = [
        c.name
        for c in table.columns
        if c.name in table.primary_key and sql_type(c.type, server) in ("longtext", "longblob")
    ]
    if not texts:
        return {}
    room = (KEY_BYTES - 8 * (len(table.primary_key) - len(texts))) // 4
    return dict.fromkeys(texts[:-1], _FIRST_KEY_CHARS) | {
        texts[-1]: room - _FIRST_KEY_CHARS * (len(texts) - 1)
    }


def unique(found: Unique) -> str:
    return f"UNIQUE KEY {quote(found.name)} ({columns(found.columns)})"


def index(found: Index, *, trusted: bool) -> str:
    """ "" where the definition holds SQL of its own and the schema is not trusted."""
    if not found.sql and found.columns:
        return f"{'UNIQUE ' if found.unique else ''}KEY {quote(found.name)} ({columns(found.columns)})"
    return found.sql if trusted else ""


def foreign_key(table: Table, key: ForeignKey) -> str:
    if not {key.on_delete, key.on_update} <= _ACTIONS:
        raise Corrupt("the foreign key's action is not one", where=f"{table.name}: {key.name}")
    if key.deferrable:
        raise UsageError(
            "MySQL and MariaDB have no deferrable foreign keys", where=f"{table.name}: {key.name}"
        )
    actions = (("DELETE", key.on_delete), ("UPDATE", key.on_update))
    said = "".join(f" ON {event} {action}" for event, action in actions if action != "NO ACTION")
    return (
        f"CONSTRAINT {quote(key.name)} FOREIGN KEY ({columns(key.columns)}) "
        f"REFERENCES {quote(key.ref_table)} ({columns(key.ref_columns)}){said}"
    )


def stage_type(type_: Type, server: Server) -> str:
    """A column of a staging table that takes any value of the layout without loss."""
    match type_.kind:
        case Kind.INT:
            return "bigint"
        case Kind.FLOAT:
            return "double"
        case Kind.DECIMAL if type_.precision is not None and type_.precision <= 65:
            return f"decimal({type_.precision},{type_.scale or 0})"
        case Kind.BOOL:
            return "tinyint"
        case Kind.DATE:
            return "date"
        case Kind.TIME:
            return "time(6)"
        case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return "datetime(6)"
        case Kind.BYTES:
            return "longblob"
        case _:
            return f"longtext CHARACTER SET utf8mb4 COLLATE {server.bytewise}"
