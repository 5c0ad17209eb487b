"""Declared type names of SQLite ↔ logical types, and affinity (sqlite.org/datatype3.html §3.1)."""

from __future__ import annotations

import re
from enum import StrEnum

from migrate.model import Kind, Type

EXACT_DIGITS = 15  # decimal digits that any IEEE double keeps


class Affinity(StrEnum):
    TEXT = "text"
    NUMERIC = "numeric"
    INTEGER = "integer"
    REAL = "real"
    NONE = "blob"

    @property
    def numeric(self) -> bool:
        """Whether text that looks like a number is turned into one."""
        return self in (Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL)


_KINDS: dict[str, Kind] = {
    "BOOL": Kind.BOOL,
    "BOOLEAN": Kind.BOOL,
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP WITHOUT TIME ZONE": Kind.TIMESTAMP,
    "TIMESTAMPTZ": Kind.TIMESTAMPTZ,
    "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
    "UUID": Kind.UUID,
    "GUID": Kind.UUID,
    "UNIQUEIDENTIFIER": Kind.UUID,
    "JSON": Kind.JSON,
    "JSONB": Kind.JSON,
    "JSON_TEXT": Kind.JSON,
    "DECIMAL": Kind.DECIMAL,
    "NUMERIC": Kind.DECIMAL,
    "DECIMAL_TEXT": Kind.DECIMAL,
    "STRING": Kind.TEXT,
    "ENUM": Kind.TEXT,
    "BINARY": Kind.BYTES,
    "VARBINARY": Kind.BYTES,
    "": Kind.MIXED,
    "ANY": Kind.MIXED,
}
_SHAPE = re.compile(r"^\s*([^()]*?)\s*(?:\(\s*([+-]?\d+)\s*(?:,\s*([+-]?\d+)\s*)?\)\s*)?$")


def affinity(declared: str) -> Affinity:
    """The five rules, in their order."""
    name = declared.upper()
    if "INT" in name:
        return Affinity.INTEGER
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if "BLOB" in name or not name.strip():
        return Affinity.NONE
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


def column_affinity(declared: str, *, strict: bool = False) -> Affinity:
    """As `affinity`; in a STRICT table ANY keeps every value as it is."""
    return Affinity.NONE if strict and declared.strip().upper() == "ANY" else affinity(declared)


def declared_type(declared: str) -> Type:
    """The logical type that a declared type name means; the name itself stays in `native`."""
    match = _SHAPE.match(declared)
    name = " ".join((match[1] if match else declared).upper().split())
    first = int(match[2]) if match and match[2] else None
    second = int(match[3]) if match and match[3] else None
    kind = _KINDS.get(name) or _by_affinity(name)
    if kind is Kind.INT:
        return Type(kind, declared, bits=64)
    if kind is Kind.FLOAT:
        return Type(kind, declared, bits=64)
    if kind is Kind.DECIMAL:
        if first is None or first < 1 or not 0 <= (second or 0) <= first:
            return Type(kind, declared)
        return Type(kind, declared, precision=first, scale=second or 0)
    if kind is Kind.TEXT:
        return Type(kind, declared, length=first if first and "CHAR" in name else None)
    return Type(kind, declared)


def _by_affinity(name: str) -> Kind:
    return {
        Affinity.INTEGER: Kind.MIXED if "INTERVAL" in name or "POINT" in name else Kind.INT,
        Affinity.TEXT: Kind.TEXT,
        Affinity.NONE: Kind.BYTES,
        Affinity.REAL: Kind.FLOAT,
        Affinity.NUMERIC: Kind.MIXED,
    }[affinity(name)]


def stored_type(declared: str, classes: frozenset[str], *, valid_text: bool = True) -> Type:
    """The type of what is stored: `classes` are the storage classes of the non-null values.

    No values at all: by affinity, so that an empty table has a layout too.
    """
    if not classes:
        kind = {
            Affinity.INTEGER: Kind.INT,
            Affinity.TEXT: Kind.TEXT,
            Affinity.REAL: Kind.FLOAT,
            Affinity.NONE: Kind.BYTES if declared.strip() else Kind.MIXED,
            Affinity.NUMERIC: Kind.MIXED,
        }[affinity(declared)]
    elif classes == {"integer"}:
        kind = Kind.INT
    elif classes == {"real"}:
        kind = Kind.FLOAT
    elif classes == {"text"} and valid_text:
        kind = Kind.TEXT
    elif classes == {"blob"}:
        kind = Kind.BYTES
    else:
        kind = Kind.MIXED
    bits = 64 if kind in (Kind.INT, Kind.FLOAT) else None
    return Type(kind, declared, bits=bits)


def native(type_: Type) -> str:
    """A declared type for a new column that keeps every value of `type_` exactly."""
    match type_.kind:
        case Kind.INT:
            return "INTEGER"
        case Kind.BOOL:
            return "BOOLEAN"
        case Kind.FLOAT:
            return "DOUBLE"
        case Kind.DECIMAL:
            if type_.precision is None:
                return "DECIMAL_TEXT"
            name = "DECIMAL" if type_.precision <= EXACT_DIGITS else "DECIMAL_TEXT"
            return f"{name}({type_.precision}, {type_.scale or 0})"
        case Kind.TEXT:
            return f"VARCHAR({type_.length})" if type_.length else "TEXT"
        case Kind.BYTES:
            return "BLOB"
        case Kind.DATE:
            return "DATE"
        case Kind.TIME:
            return "TIME"
        case Kind.TIMESTAMP:
            return "TIMESTAMP"
        case Kind.TIMESTAMPTZ:
            return "TIMESTAMPTZ"
        case Kind.UUID:
            return "UUID"
        case Kind.JSON | Kind.ARRAY:
            return "JSON_TEXT"
        case Kind.OPAQUE:
            return "TEXT"
        case Kind.MIXED:
            return ""
