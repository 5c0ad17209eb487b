"""MySQL's and MariaDB's types as ours: what the catalogue declares → `Type`, and `Type` → SQL for our own tables.

`tinyint(1)` is what MySQL makes of BOOLEAN, and holds any number from -128 to 127: it is an integer. `bit(1)`
holds two values and no others: it is a boolean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from migrate.model import Kind, Type

_INTEGERS = {"tinyint": 16, "smallint": 16, "mediumint": 32, "int": 32, "bigint": 64}
_UNSIGNED = {"tinyint": 16, "smallint": 32, "mediumint": 32, "int": 64, "bigint": 64}
_TEXTS = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_BLOBS = frozenset({"tinyblob", "blob", "mediumblob", "longblob"})
_OPAQUE = frozenset({"inet4", "inet6"})  # MariaDB: read as text, written as text, exact both ways
_SHAPE = re.compile(r"^(\w+)(?:\((.*)\))?((?: unsigned)?(?: zerofill)?)", re.DOTALL)
_LABEL = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
KEY_BYTES = 3072  # InnoDB: the widest key of a table with dynamic rows
_BIG_DECIMAL = 20  # digits of an unsigned bigint


@dataclass(frozen=True)
class Server:
    """Which server it is, as far as SQL differs. `name` is for people."""

    name: str  # MariaDB | MySQL
    version: tuple[int, ...]
    text: str  # as the server says it

    @property
    def maria(self) -> bool:
        return self.name == "MariaDB"

    @property
    def bytewise(self) -> str:
        """The collation that compares texts as bytes, trailing spaces and all (utf8mb4_bin ignores those)."""
        return "utf8mb4_nopad_bin" if self.maria else "utf8mb4_0900_bin"

    @property
    def has_uuid(self) -> bool:
        return self.maria and self.version >= (10, 7)


def type_of(declared: str, *, charset: str | None, json: bool) -> Type | None:
    """The logical type of COLUMN_TYPE; None for one that cannot travel exactly (geometry, vectors, unknown ones).

    `json`: MariaDB's JSON, a longtext that is checked to be JSON; its exact text is content."""
    match = _SHAPE.match(declared)
    if match is None:
        return None
    name, inside, unsigned = match[1].lower(), match[2], "unsigned" in match[3]
    numbers = [int(n) for n in inside.split(",")] if inside and re.fullmatch(r"\d+(,\d+)?", inside) else []
    if name in _INTEGERS:
        return Type(Kind.INT, declared, bits=(_UNSIGNED if unsigned else _INTEGERS)[name])
    if name == "year":
        return Type(Kind.INT, declared, bits=16)
    if name == "bit":
        bits = numbers[0] if numbers else 1
        return Type(Kind.BOOL, declared) if bits == 1 else Type(Kind.INT, declared, bits=64)
    if name == "decimal":
        precision, scale = (numbers[0] if numbers else 10), (numbers[1] if len(numbers) > 1 else 0)
        return Type(Kind.DECIMAL, declared, precision=precision, scale=scale)
    if name in ("float", "double"):
        return Type(Kind.FLOAT, declared, bits=32 if name == "float" else 64)
    if name in ("char", "varchar") and charset != "binary":
        return Type(Kind.TEXT, declared, length=numbers[0] if numbers else None, fixed=name == "char")
    if name in _TEXTS:
        return Type(Kind.JSON, declared, textual=True) if json else Type(Kind.TEXT, declared)
    if name == "json":
        return Type(Kind.JSON, declared)
    if name == "enum":
        return Type(Kind.TEXT, declared, labels=labels_of(declared))
    if name == "set":
        return Type(Kind.TEXT, declared)
    if name in _BLOBS or name in ("binary", "varbinary"):
        return Type(Kind.BYTES, declared)
    simple = {"date": Kind.DATE, "time": Kind.TIME, "datetime": Kind.TIMESTAMP, "timestamp": Kind.TIMESTAMPTZ}
    if name in simple:
        return Type(simple[name], declared)
    if name == "uuid":
        return Type(Kind.UUID, declared)
    return Type(Kind.OPAQUE, declared) if name in _OPAQUE else None


def labels_of(declared: str) -> tuple[str, ...]:
    """The members of an enum or a set, in declared order."""
    found = (m[1].replace("''", "'") for m in _LABEL.finditer(declared))
    return tuple(re.sub(r"\\(.)", r"\1", label) for label in found)


def base_name(type_: Type) -> str:
    """The bare name of the declared type, e.g. `bigint`."""
    match = _SHAPE.match(type_.native)
    return match[1].lower() if match else ""


def fraction_digits(type_: Type) -> int:
    """Digits of the second that a time, datetime or timestamp keeps."""
    found = re.search(r"\((\d+)\)", type_.native)
    return int(found[1]) if found else 0 if type_.native else 6


def is_unsigned_big(type_: Type) -> bool:
    """A column whose values may lie beyond 2^63 - 1, which an INT does not hold."""
    return (base_name(type_) == "bigint" and "unsigned" in type_.native) or re.match(
        r"bit\(64\)", type_.native
    ) is not None


def as_wide(type_: Type) -> Type:
    """The same column where its rows hold numbers beyond 2^63 - 1."""
    return Type(Kind.DECIMAL, type_.native, precision=_BIG_DECIMAL, scale=0)


def as_text(type_: Type) -> Type:
    """The same column where its rows hold what is no date or time of day: '0000-00-00', '2024-02-00', '-01:00:00'.
    A text, so that a mapping may say what becomes of such values."""
    return Type(Kind.TEXT, type_.native)


def sql_type(type_: Type, server: Server, *, key_length: int | None = None) -> str:
    """The SQL spelling: the declared one, or ours for a table that the program itself designs. `key_length`:
    characters that a text of a key may have, which MySQL wants to know."""
    if type_.native:
        return type_.native
    if type_.kind is Kind.INT:
        return {16: "smallint", 32: "int"}.get(type_.bits or 64, "bigint")
    if type_.kind is Kind.FLOAT:
        return "float" if type_.bits == 32 else "double"
    if type_.kind is Kind.DECIMAL:
        return (
            f"decimal({type_.precision},{type_.scale or 0})"
            if type_.precision and type_.precision <= 65
            else "longtext"
        )
    if type_.kind is Kind.TEXT:
        length = type_.length or key_length
        return f"{'char' if type_.fixed else 'varchar'}({length})" if length else "longtext"
    if type_.kind is Kind.UUID:
        return "uuid" if server.has_uuid else "char(36)"
    if type_.kind is Kind.BYTES:
        return f"varbinary({key_length})" if key_length else "longblob"
    return {
        Kind.BOOL: "bit(1)",
        Kind.DATE: "date",
        Kind.TIME: "time(6)",
        Kind.TIMESTAMP: "datetime(6)",
        Kind.TIMESTAMPTZ: "timestamp(6)",
        Kind.JSON: "json",
    }.get(type_.kind, "longtext")


def is_text(type_: Type) -> bool:
    """A column that has a character set."""
    name = base_name(type_)
    if not name:
        return type_.kind in (Kind.TEXT, Kind.OPAQUE, Kind.JSON, Kind.ARRAY)
    return name in _TEXTS or name in ("char", "varchar", "enum", "set")


def plain(type_: Type) -> Type:
    """The declared type behind what a snapshot had to read as text or as a wide number: as rows are written."""
    found = type_of(type_.native, charset=None, json=False) if type_.native else None
    return replace(found, native=type_.native) if found is not None else type_
