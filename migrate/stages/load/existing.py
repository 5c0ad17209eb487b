"""`existing`: what the target keeps of its own in rows that are there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from migrate.canon import canonical_text
from migrate.canon.decimals import less
from migrate.mapping.model import Entity
from migrate.model import Kind, Table, Type
from migrate.planning import at_least_columns, yielding_columns
from migrate.transform.consent import readings


def yield_to_existing(
    entity: Entity, table: Table, columns: dict[str, pa.Array[Any]], old: pa.Table, *, there: pa.Array[Any]
) -> None:
    """Put into `columns`, which hold what the mapping says, what the rows shall hold that are `there`.

    `old`: their values in the proven backup. That these still stand when the row is written is for the lock and
    `__before` to see (F9)."""
    theirs: pa.Array[Any] = pa.array(
        np.zeros(len(there), dtype=bool)
    )  # rows in which the target's consent stays
    for name in yielding_columns(entity):
        stands = old[name].combine_chunks()
        rule = entity.on_existing(name)
        if rule == "keep":
            stays = there
        elif rule == "with_consent":
            continue  # when it is known whose consent stays
        elif rule == "unless_filled":
            stays = pc.and_(there, pc.is_null(columns[name]))
        elif rule in ("opt_out", "opt_in"):
            stays = pc.and_(there, _stricter(stands, table.column(name).type, rule))
            theirs = pc.or_(theirs, pc.and_(stays, pc.invert(_same(stands, columns[name]))))
        else:
            # Nothing is not put in the place of a blank: that would be a change which fills nothing.
            new = pc.is_valid(columns[name])
            stays = pc.and_(there, pc.invert(pc.and_(_blank(stands, table.column(name).type), new)))
        columns[name] = pc.if_else(stays, stands, columns[name])
    for name in entity.consent.carried if entity.consent is not None else ():
        if entity.on_existing(name) == "with_consent" and entity.updates:
            columns[name] = pc.if_else(theirs, old[name].combine_chunks(), columns[name])


def _stricter(stands: pa.Array[Any], type_: Type, rule: str) -> pa.Array[Any]:
    """Rows in which the target says no already, or says what is neither yes nor no: that is never weakened."""
    texts = pl.Series("", pl.from_arrow(canonical_text(stands, type_)), dtype=pl.String)
    yes, no, strange = readings(texts.str.strip_chars())
    return pa.array((yes if rule == "opt_out" else no) | strange)


def _same(one: pa.Array[Any], other: pa.Array[Any]) -> pa.Array[Any]:
    both: pa.Array[Any] = pc.fill_null(pc.equal(one, other), False)
    return both


def _blank(values: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    """NULL, or a text of nothing but white space."""
    empty: pa.Array[Any] = pc.is_null(values)
    if type_.kind is Kind.TEXT:
        empty = pc.or_(empty, pc.fill_null(pc.equal(pc.utf8_trim_whitespace(values), ""), False))
    return empty


def raises(
    entity: Entity, table: Table, columns: Mapping[str, pa.Array[Any]], old: pa.Table
) -> pa.Array[Any]:
    """Rows that would hold more than they do in a column of which the target must hold at least what is written: it
    is not compared otherwise, and a later moment would never arrive."""
    count = len(next(iter(columns.values())))
    found: pa.Array[Any] = pa.array(np.zeros(count, dtype=bool))
    for name in at_least_columns(entity) if entity.updates else ():
        stands, new = old[name].combine_chunks(), columns[name]
        more = pc.or_(
            _less(stands, new, table.column(name).type), pc.and_(pc.is_null(stands), pc.is_valid(new))
        )
        found = pc.or_(found, more)
    return found


def _less(stands: pa.Array[Any], new: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    if type_.kind is Kind.DECIMAL and pa.types.is_string(new.type):  # without a declared precision
        pairs = zip(stands.to_pylist(), new.to_pylist(), strict=True)
        return pa.array(
            [a is not None and b is not None and a != b and less(a, b) for a, b in pairs], pa.bool_()
        )
    found: pa.Array[Any] = pc.fill_null(pc.less(stands, new), False)
    return found


def written_to_existing(entity: Entity, names: list[str]) -> list[str]:
    """Those of `names` that an update sends: what is kept is never touched, not even by its own value."""
    return [n for n in names if n not in entity.fields or entity.on_existing(n) != "keep"]
