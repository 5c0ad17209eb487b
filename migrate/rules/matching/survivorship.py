"""The golden record: of the rows that are one, which value of each field survives, and which row gave it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from migrate.errors import UsageError
from migrate.mapping.duplicates import DEFAULT, Duplicates, Survive

_BETWEEN = "; "  # texts that concat puts together
# Columns beside a field that say what its value refers to, or is told by: they go with it.
_WITH_FIELD = ("__given.", "__amount.", "__ref.", "__ref_to.", "__find.", "__unique.", "__match.", "__m.")
FIRST = Survive(rule="first_filled")


@dataclass(frozen=True)
class Survived:
    """`rows`: one per group, in their order. `lineage`: per field the place of the row that gave its value (an index into
    the rows given; -1: put together of several), one array per field, in the order of the groups."""

    rows: pa.Table
    lineage: dict[str, list[int]]


def survive(
    rows: pa.Table, groups: Sequence[Sequence[int]], fields: Sequence[str], rules: Duplicates
) -> Survived:
    """`groups`: places in `rows` of those that are one, the survivor first: it keeps its identity.

    `rows`: the columns of `fields`, of which those that refer have theirs in `__ref.F` or `__find.F`. Without a rule of
    its own a field follows `default`, else the first that is filled. Raises UsageError where texts would be put together that are none."""
    own = np.array([group[0] for group in groups], dtype=np.int64)
    lineage: dict[str, list[int]] = {}
    together: dict[str, pa.Array[Any]] = {}
    orders: dict[str, list[list[int]]] = {}
    for fld in fields:
        rule = rules.survive.get(fld, rules.survive.get(DEFAULT, FIRST))
        values = _values(rows, fld)
        if rule.rule == "concat" and fld in rules.survive:
            if not pa.types.is_string(rows[fld].type) and not pa.types.is_large_string(rows[fld].type):
                raise UsageError(
                    f"`survive: {{{fld}: concat}}` puts texts together, and {fld} is {rows[fld].type}",
                    kept="Nothing was loaded.",
                    hint="Choose first_filled, or {most_recent: FIELD}.",
                )
            texts = [
                list(dict.fromkeys(str(values[i]) for i in group if _filled(values[i]))) for group in groups
            ]
            together[fld] = pa.array([_BETWEEN.join(t) if t else None for t in texts], rows[fld].type)
            lineage[fld] = [
                -1 if len(t) > 1 else _first(values)(g) for t, g in zip(texts, groups, strict=True)
            ]
            continue
        ordered = groups
        if rule.by is not None:
            if rule.by not in orders:
                orders[rule.by] = _latest_first(_values(rows, rule.by), groups)
            ordered = orders[rule.by]
        choose = _longest(values) if rule.rule == "longest" else _first(values)
        lineage[fld] = [choose(group) for group in ordered]
    columns: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {}
    for name in rows.column_names:
        fld = next((name.removeprefix(p) for p in _WITH_FIELD if name.startswith(p)), name)
        places = np.array(lineage[fld], dtype=np.int64) if fld in lineage else own
        if name in together:
            columns[name] = together[name]
        else:
            columns[name] = rows[name].take(pa.array(np.where(places < 0, own, places)))
    return Survived(pa.table(columns), lineage)


def _values(rows: pa.Table, fld: str) -> list[Any]:
    for column in (f"__ref.{fld}", f"__find.{fld}", fld):
        if column in rows.column_names:
            found: list[Any] = rows[column].to_pylist()
            return found
    return [None] * rows.num_rows


def _filled(value: Any) -> bool:
    return value is not None and value != "" and value != b""


def _first(values: Sequence[Any]) -> Callable[[Sequence[int]], int]:
    """The first filled; where none is, the survivor's own."""
    return lambda group: next((i for i in group if _filled(values[i])), group[0])


def _longest(values: Sequence[Any]) -> Callable[[Sequence[int]], int]:
    return lambda group: max(group, key=lambda i: len(str(values[i])) if _filled(values[i]) else -1)


def _latest_first(moments: Sequence[Any], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Every group by its moments, the latest first, those without one last; equal ones keep their order."""
    return [
        [
            *sorted((i for i in group if moments[i] is not None), key=lambda i: moments[i], reverse=True),
            *(i for i in group if moments[i] is None),
        ]
        for group in groups
    ]
