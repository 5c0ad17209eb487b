"""What type a field's value has after its steps, told before any row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from migrate.mapping.dates import has_zone
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Field
from migrate.model import Kind, Type
from migrate.transform.entity import CompiledStep
from migrate.transform.values import (
    BOOLEAN,
    DATE,
    DECIMAL,
    FLOAT,
    INTEGER,
    READ_AS,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
)

_RESULTS = {
    "text": TEXT,
    "decimal": DECIMAL,
    "integer": INTEGER,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "boolean": BOOLEAN,
}
# A decimal without a stated precision, as SQL sees it: wide enough for money, with room to multiply.
SQL_DECIMAL = Type(Kind.DECIMAL, precision=28, scale=10)


def types_after(
    field: Field, steps: Sequence[CompiledStep], source: Type, wanted: Kind | None
) -> list[tuple[str, Type]]:
    """(the step in the mapping's words, the type of its result), in order; steps that keep the type are left out.

    `wanted`: the kind of the target column, which `timestamp` looks at; None: there is none."""
    kind = source.kind
    found: list[tuple[str, Type]] = []
    if field.read_as is not None:
        found.append((f"read_as: {field.read_as}", READ_AS[field.read_as]))
        kind = READ_AS[field.read_as].kind
    for step in steps:
        name, arguments = step.name, step.arguments
        result = FUNCTIONS[name].returns
        if result == "any":
            continue
        made = _RESULTS[result]
        if name == "timestamp" and (
            wanted is Kind.TIMESTAMPTZ or kind is Kind.TIMESTAMPTZ or _gives_moments(arguments)
        ):
            made = TIMESTAMPTZ
        found.append((f"do: {name}", made))
        kind = made.kind
    if field.map is not None or field.bands is not None:
        found.append(("map" if field.map is not None else "bands", TEXT))
    return found


def _gives_moments(arguments: Mapping[str, Any]) -> bool:
    formats = arguments.get("formats")
    stated = formats if isinstance(formats, tuple) else ()
    return bool(
        arguments.get("epoch")
        or arguments.get("timezone")
        or any(has_zone(f) for f in stated if isinstance(f, str))  # others come from a column
    )


def result_of(field: Field, steps: Sequence[CompiledStep], source: Type) -> Type:
    """The type of the value itself, for a field that goes into no column: what its last step gives."""
    after = types_after(field, steps, source, None)
    return after[-1][1] if after else working(source)


def working(type_: Type) -> Type:
    """The type in which values of a column are at work: widths, lengths and labels are the column's own."""
    if type_.kind in (Kind.TEXT, Kind.MIXED):
        return TEXT
    if type_.kind is Kind.INT:
        return INTEGER
    return FLOAT if type_.kind is Kind.FLOAT else replace(type_, native="")


def common(types: list[Type]) -> Type:
    """The type that values of several origins share: their kind where it is one, else text."""
    own = {working(t) for t in types}
    if len(own) == 1:
        return own.pop()
    return DECIMAL if {t.kind for t in own} == {Kind.DECIMAL} else TEXT


def seen_by_sql(type_: Type) -> Type:
    """A let value's type as expressions see it: decimals are numbers to them, whatever their precision."""
    unbounded = type_.kind is Kind.DECIMAL and (type_.precision is None or type_.precision > 38)
    return SQL_DECIMAL if unbounded else type_
