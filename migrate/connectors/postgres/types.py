"""PostgreSQL's types as ours: what the catalogue declares → `Type`, and `Type` → SQL for tables of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from migrate.arrow import layout
from migrate.model import Kind, Type

_HEADER = 4  # PostgreSQL stores lengths and precisions plus this in a type modifier
_SIMPLE: Mapping[str, Type] = {
    "int2": Type(Kind.INT, bits=16),
    "int4": Type(Kind.INT, bits=32),
    "int8": Type(Kind.INT, bits=64),
    "float4": Type(Kind.FLOAT, bits=32),
    "float8": Type(Kind.FLOAT, bits=64),
    "bool": Type(Kind.BOOL),
    "text": Type(Kind.TEXT),
    "name": Type(Kind.TEXT, length=63),
    "bytea": Type(Kind.BYTES),
    "date": Type(Kind.DATE),
    "time": Type(Kind.TIME),
    "timestamp": Type(Kind.TIMESTAMP),
    "timestamptz": Type(Kind.TIMESTAMPTZ),
    "uuid": Type(Kind.UUID),
    "json": Type(Kind.JSON, textual=True),
    "jsonb": Type(Kind.JSON),
}
# Read as the server's own text under pinned settings, written by a cast back: exact both ways.
_OPAQUE = frozenset(
    [
        "interval",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "xml",
        "bit",
        "varbit",
        "timetz",
        "tsvector",
        "tsquery",
        "pg_lsn",
        "jsonpath",
        "oid",
        "int4range",
        "int8range",
        "numrange",
        "daterange",
        "tsrange",
        "tstzrange",
        "int4multirange",
        "int8multirange",
        "nummultirange",
        "datemultirange",
        "tsmultirange",
        "tstzmultirange",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
    ]
)
_OPAQUE_OF_EXTENSIONS = frozenset({"hstore", "ltree"})


@dataclass(frozen=True)
class Declared:
    """One row of pg_type, as far as it decides how values travel."""

    name: str
    schema: str
    kind: str  # typtype: b base, e enum, d domain, c composite, r range, m multirange
    category: str
    element: int
    base: int
    base_modifier: int
    labels: tuple[str, ...] = ()
    extension: str | None = None


def type_of(oid: int, modifier: int, native: str, declared: Mapping[int, Declared]) -> Type | None:
    """The logical type, or None for a type that cannot travel exactly (money, composites, unknown ones).

    A domain is its base type here; `native` is then the base type's spelling, which the caller gives."""
    found = declared[oid]
    if found.category == "A" and found.element and found.name.startswith("_"):
        item = type_of(found.element, modifier, native.removesuffix("[]"), declared)
        return None if item is None else Type(Kind.ARRAY, native, item=item)
    if found.kind == "e":
        return Type(Kind.TEXT, native, labels=found.labels)
    if found.extension is not None:
        if found.name == "citext":
            return Type(Kind.TEXT, native)
        return Type(Kind.OPAQUE, native) if found.name in _OPAQUE_OF_EXTENSIONS else None
    if found.schema != "pg_catalog":
        return Type(Kind.OPAQUE, native) if found.kind in ("r", "m") else None
    if found.name in ("varchar", "bpchar"):
        length = modifier - _HEADER if modifier > _HEADER else None
        return Type(Kind.TEXT, native, length=length, fixed=found.name == "bpchar" and length is not None)
    if found.name == "numeric":
        return _numeric(modifier, native)
    if found.name in _SIMPLE:
        return replace(_SIMPLE[found.name], native=native)
    return Type(Kind.OPAQUE, native) if found.name in _OPAQUE else None


def _numeric(modifier: int, native: str) -> Type:
    if modifier < _HEADER:
        return Type(Kind.DECIMAL, native)
    packed = modifier - _HEADER
    precision, scale = packed >> 16 & 0xFFFF, packed & 0x7FF
    scale = scale - 0x800 if scale & 0x400 else scale
    if (
        scale < 0 or scale > precision
    ):  # numeric(3,-2), numeric(2,5): Arrow has no such thing, their text is exact
        return Type(Kind.DECIMAL, native)
    return Type(Kind.DECIMAL, native, precision=precision, scale=scale)


def sql_type(type_: Type) -> str:
    """The SQL spelling: the declared one, or ours for a table that the program itself designs."""
    if type_.native:
        return type_.native
    if type_.kind is Kind.INT:
        return {16: "smallint", 32: "integer"}.get(type_.bits or 64, "bigint")
    if type_.kind is Kind.FLOAT:
        return "real" if type_.bits == 32 else "double precision"
    if type_.kind is Kind.DECIMAL:
        return "numeric" if type_.precision is None else f"numeric({type_.precision},{type_.scale or 0})"
    if type_.kind is Kind.TEXT:
        return (
            "text"
            if type_.length is None
            else f"{'character' if type_.fixed else 'character varying'}({type_.length})"
        )
    if type_.kind is Kind.ARRAY:
        assert type_.item is not None
        return sql_type(type_.item) + "[]"
    if type_.kind is Kind.JSON:
        return "json" if type_.textual else "jsonb"
    return {
        Kind.BOOL: "boolean",
        Kind.BYTES: "bytea",
        Kind.DATE: "date",
        Kind.TIME: "time without time zone",
        Kind.TIMESTAMP: "timestamp without time zone",
        Kind.TIMESTAMPTZ: "timestamp with time zone",
        Kind.UUID: "uuid",
    }.get(type_.kind, "text")


def as_text(type_: Type) -> Type:
    """The same column when this snapshot's values do not fit the layout (NaN in a numeric, nested arrays)."""
    if type_.kind is Kind.DECIMAL:
        return replace(type_, precision=None, scale=None)
    return Type(Kind.OPAQUE, type_.native)


def travels_as_string(type_: Type) -> bool:
    """A decimal without a fixed size, whose canonical text travels."""
    return type_.kind is Kind.DECIMAL and str(layout(type_)) == "string"
