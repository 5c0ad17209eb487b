"""A small CRM for the tests of the pipeline: builds mappings, tables and batches in a few words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from migrate.errors import Problem
from migrate.mapping.model import Check, Entity, Field, Mapping, Policy, Source, Step, Target, ValueMap
from migrate.model import Column, Kind, Table, Type
from migrate.transform.apply import Transformed, apply
from migrate.transform.compile import compile_entity
from migrate.transform.entity import CompiledEntity

TEXT = Type(Kind.TEXT)
ID = Column("id", Type(Kind.INT, bits=64), nullable=False, identity="by default")
NOW = "2026-11-20T10:00:00Z"


def table(name: str, *columns: Column, key: tuple[str, ...] = ("id",)) -> Table:
    return Table(name, columns, primary_key=key)


def source_table(**types: Type) -> Table:
    return table("people", *(Column(n, t) for n, t in types.items()))


def target_table(**types: Type) -> Table:
    return table("contacts", ID, *(Column(n, t) for n, t in types.items()))


def field(from_: str | None = None, **keys: Any) -> Field:
    steps = keys.pop("do", ())
    rules = keys.pop("check", ())
    pairs = keys.pop("map", None)
    made: dict[str, Any] = dict(keys)
    made["do"] = tuple(s if isinstance(s, Step) else Step(name=s) for s in steps)
    made["check"] = tuple(r if isinstance(r, Check) else Check(name=r) for r in rules)
    if pairs is not None:
        made["map"] = ValueMap(values=pairs)
    return Field(**({"from": from_} if from_ else {}), **made)


def mapping(
    fields: dict[str, Field],
    *,
    source: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    **entity: Any,
) -> Mapping:
    made = Entity(
        **{
            "name": "contacts",
            "table": "people",
            "key": ("id",),
            "into": "contacts",
            "fields": fields,
            **entity,
        }
    )
    return Mapping(
        name="crm",
        sources={"source": Source(system="old", url="sqlite:///old.db", **(source or {}))},
        target=Target(url="postgresql://crm"),
        policy=Policy(**(policy or {})),
        entities={"contacts": made},
    )


def compiled(made: Mapping, source: Table, target: Table) -> CompiledEntity:
    entity, problems = compile_entity(made, "contacts", source, target, now=NOW)
    assert problems == []
    assert entity is not None
    return entity


def problems(made: Mapping, source: Table, target: Table) -> list[Problem]:
    entity, found = compile_entity(made, "contacts", source, target, now=NOW)
    assert (entity is None) == bool(found)
    return found


def rows_of(made: Mapping, columns: dict[str, tuple[Type, Any]], target: Table) -> Transformed:
    """The entity over columns given as name → (type, values or an Arrow array); `id` counts from 0."""
    from migrate.arrow import layout

    size = len(next(iter(columns.values()))[1])
    arrays = {n: v if isinstance(v, pa.Array) else pa.array(v, layout(t)) for n, (t, v) in columns.items()}
    entity = compiled(
        made, source_table(id=Type(Kind.INT, bits=64), **{n: t for n, (t, _) in columns.items()}), target
    )
    batch = pa.table({"id": pa.array(range(size), pa.int64()), **arrays})
    return apply(entity, batch, np.arange(size, dtype=np.int64))


def one_column(
    values: list[Any], type_: Type, target: Type, *, arrow: pa.DataType | None = None, **keys: Any
) -> Transformed:
    """One column `a` of type `type_` into the target column `b`."""
    from migrate.arrow import layout

    extra = {k: keys.pop(k) for k in ("source", "policy") if k in keys}
    made = mapping({"b": field("a", **keys)}, **extra)
    entity = compiled(made, source_table(id=Type(Kind.INT, bits=64), a=type_), target_table(b=target))
    batch = pa.table(
        {"id": pa.array(range(len(values)), pa.int64()), "a": pa.array(values, arrow or layout(type_))}
    )
    return apply(entity, batch, np.arange(len(values), dtype=np.int64))


def found(result: Transformed, column: str = "b") -> list[Any]:
    return result.rows.column(column).to_pylist()


def codes(result: Transformed) -> list[tuple[int, str, str]]:
    return [(r["rid"], r["field"], r["code"]) for r in result.reasons.to_pylist()]


def events(result: Transformed) -> list[tuple[int, str, str]]:
    return [(r["rid"], r["code"], r["original"]) for r in result.events.to_pylist()]
