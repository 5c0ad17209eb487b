"""The columns that one field gives the rows of a batch: values checked and typed, or what its reference is to be found by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.canon import canonical_text
from migrate.model import Kind, Type
from migrate.transform.conversion import nulls
from migrate.transform.convert import convert, to_arrow
from migrate.transform.entity import CompiledField
from migrate.transform.field import Asked, FieldRun, pc_null
from migrate.transform.findings import Findings
from migrate.transform.keys import combined, reference_keys
from migrate.transform.lookup import Lookup
from migrate.transform.origin import Given, NamedRow
from migrate.transform.quality import Broken
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import (
    TEXT,
    Mask,
    Values,
    nulls_of,
    texts_of,
)


@dataclass(frozen=True)
class Columns:
    """What one field gives: its column and its placeholders by name, the rows that failed in it, the texts that a
    table of the source gave for them (None: it looks nothing up there), and the texts that did not move for want of
    consent (None: it needs none)."""

    arrays: dict[str, pa.Array[Any]]
    failed: Mask | None = None
    looked: pl.Series | None = None
    withheld: pl.Series | None = None


def field_columns(
    field: CompiledField,
    rows: SourceRows,
    start: Given,
    silent: Mask | None,
    findings: Findings,
    nul_allowed: bool,
    asked: Asked = Asked(),
) -> Columns:
    """The columns that one field gives `rows` of the transform, from what its origin gave. `silent`: see FieldRun."""
    if silent is None and findings.watch is None and asked.consent is None and _passes(field, rows, start):
        return Columns(
            {field.name: to_arrow(combined(rows.batch.column(field.source or "")), layout(field.type))}
        )
    run_ = FieldRun(field, start.values, findings, nul_allowed, silent)
    if start.bad is not None:
        run_.kill(start.bad, "bad_encoding", "bytes that are not UTF-8")
    if start.undecided is not None and field.field.otherwise != "empty":
        run_.kill(start.undecided, "no_case", "no case fits", stop=field.field.otherwise == "stop")
    run_.saw("from")
    run_.read_as()
    if field.field.read_as is not None:
        run_.saw(f"read_as: {field.field.read_as}")
    run_.do(rows)
    run_.map()
    if field.field.map is not None or field.field.bands is not None:
        run_.saw("bands" if field.field.map is None else f"map {field.field.map.name}".strip())
    looked = run_.values.series if field.field.map and field.field.map.table else None
    if field.refers:
        run_.check(asked, rows, only="expr")  # what the row itself says; the rest is known when all rows are
        return Columns(_reference_columns(run_, rows), run_.dead, looked)
    run_.default()
    if field.field.default is not None:
        run_.saw("default")
    withheld = run_.withhold(asked.consent) if asked.consent is not None else None
    run_.check(asked, rows)
    columns = {field.name: run_.finish()}
    if field.unique is not None:
        columns[f"__unique.{field.name}"] = combined(canonical_text(columns[field.name], field.type))
    return Columns(columns, run_.dead, looked, withheld)


def _passes(field: CompiledField, rows: SourceRows, start: Given) -> bool:
    """Nothing to do and nothing to check: the same type on both sides, without any text of its own rules."""
    plain = field.field
    return (
        (start.bad is None or field.type.kind is Kind.MIXED)
        and field.source is not None
        and not rows.is_made(field.source)
        and not rows.nulls.get(field.source)
        and field.source_type == field.type
        and field.type.kind
        in (
            Kind.INT,
            Kind.BOOL,
            Kind.FLOAT,
            Kind.DATE,
            Kind.TIME,
            Kind.TIMESTAMP,
            Kind.TIMESTAMPTZ,
            Kind.DECIMAL,
            Kind.ARRAY,
            Kind.MIXED,
        )
        and not field.has_steps
        and not (plain.check or plain.default is not None)
        and not (field.guarded and start.values.series.null_count())
    )


def _reference_columns(run_: FieldRun, rows: SourceRows) -> dict[str, pa.Array[Any]]:
    """`__ref.`, `__ref_to.` (where one entity is named), `__find.` for the settlement over all rows; the target column
    holds the default only."""
    field, name = run_.field, run_.field.name
    size = len(rows)
    columns: dict[str, pa.Array[Any]] = {}
    named = Values(run_.values.series, _widest(run_.values.type))
    empty = nulls_of(named.series)
    asked = np.ones(size, dtype=np.bool_) if run_.silent is None else ~run_.silent
    ref, find = field.field.ref, field.field.find
    if ref is not None:
        is_key = isinstance(field.origin, NamedRow)
        key = combined(named.series.to_arrow().cast(pa.string())) if is_key else reference_keys(named)
        columns[f"__ref.{name}"] = key
        if len(ref.to) == 1 or ref.kind is not None:
            columns[f"__ref_to.{name}"] = _entities(run_, rows, empty)
    if find is not None and find.by is None:
        columns[f"__find.{name}"] = pc_null(pa.repeat(pa.scalar("", pa.string()), size), ~asked, pa.string())
        empty = empty & False
    elif field.field.lookups:
        texts = canonical_text(to_arrow(named.series, layout(named.type)), named.type)
        columns[f"__find.{name}"] = combined(texts)
    literal = nulls(size, layout(field.type))
    defaulted = empty & ~run_.dead
    if field.field.default is not None and defaulted.any():
        one = convert(Values(pl.Series([field.field.default]), TEXT), field.type, zone=field.zone)
        places: Any = pa.array(np.zeros(size, dtype=np.int64), mask=~defaulted)
        literal = one.array.take(places)
        empty = empty & False
    for rule in field.field.check:
        if rule.name == "required":
            run_.failed(rule, Broken(empty & ~run_.dead, "required", "empty"))
    if field.guarded and not any(
        r.name == "required" and r.on_fail in ("quarantine", "stop") for r in field.field.check
    ):
        run_.kill(empty, "required", "the target column takes no NULL")
    if field.unique is not None:
        columns[f"__unique.{name}"] = columns[f"__ref.{name}" if ref is not None else f"__find.{name}"]
    return {name: literal, **columns}


def _widest(type_: Type) -> Type:
    """Working values are 64 bits wide, and decimals are texts."""
    if type_.kind is Kind.INT or type_.kind is Kind.FLOAT:
        return Type(type_.kind, bits=64)
    return Type(Kind.DECIMAL) if type_.kind is Kind.DECIMAL else type_


def _entities(run_: FieldRun, rows: SourceRows, empty: Mask) -> pa.Array[Any]:
    """The entity that every reference points into; "" where the kind names none, so that it is missing and not NULL."""
    ref = run_.field.field.ref
    assert ref is not None
    if ref.kind is None:
        target: pa.Array[Any] = pa.repeat(pa.scalar(ref.to[0], pa.string()), len(rows))
    else:
        kinds = texts_of(rows.column(ref.kind)[0])
        mapped, _ = Lookup.of(ref.kinds).find(kinds)
        target = to_arrow(mapped.fill_null(""), pa.string())
    return pc_null(target, empty, pa.string())
