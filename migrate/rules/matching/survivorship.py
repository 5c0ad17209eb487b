"""The golden record: of the rows that are one, which value of each field survives, and which row gave it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from migrate.errors import UsageError
from migrate.mapping.duplicates import Duplicates, Survive

_BETWEEN = "; "  # texts that concat puts together
# Columns beside a field that say what its value refers to, or is told by: they go with it.
WITH_FIELD = ("__given.", "__amount.", "__ref.", "__ref_to.", "__find.", "__unique.", "__match.", "__m.")
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
    brought = [f for f in fields if f in rules.survive and rules.survive[f].rule == "with"]
    for fld in (f for f in fields if f not in brought):
        rule = rules.surviving(fld) or FIRST
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
        if rule.rule == "union":
            together[fld], lineage[fld] = _union(values, rows[fld].type, groups)
            continue
        ordered = groups
        if rule.by is not None:
            told = f"{rule.rule} {rule.by} {rule.order}"
            if told not in orders:
                given = _values(rows, rule.by)
                orders[told] = (
                    _latest_first(given, groups)
                    if rule.rule == "most_recent"
                    else _trusted_first(given, rule.order, groups)
                )
            ordered = orders[told]
        choose = _longest(values) if rule.rule == "longest" else _first(values)
        lineage[fld] = [choose(group) for group in ordered]
    for fld in brought:
        together[fld], lineage[fld] = _brought(rows, fld, str(rules.survive[fld].by), groups, lineage)
    columns: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {}
    for name in rows.column_names:
        fld = next((name.removeprefix(p) for p in WITH_FIELD if name.startswith(p)), name)
        places = np.array(lineage[fld], dtype=np.int64) if fld in lineage else own
        if name in together:
            columns[name] = together[name]
        else:
            columns[name] = rows[name].take(pa.array(np.where(places < 0, own, places)))
    return Survived(pa.table(columns), lineage)


def _brought(
    rows: pa.Table, fld: str, by: str, groups: Sequence[Sequence[int]], lineage: dict[str, list[int]]
) -> tuple[pa.Array[Any], list[int]]:
    """Values of the rows that gave `by`; of several that gave it together, all of theirs, where they are texts. Nothing, where
    no row has a value of `by`."""
    given, values = _values(rows, by), rows[fld].to_pylist()
    is_text = pa.types.is_string(rows[fld].type) or pa.types.is_large_string(rows[fld].type)
    made: list[Any] = []
    gave: list[int] = []
    for group, place in zip(groups, lineage[by], strict=True):
        if place >= 0:
            made.append(values[place] if _filled(given[place]) else None)
            gave.append(place)
            continue
        first: dict[Any, int] = {}
        for i in group:
            if _filled(given[i]):
                first.setdefault(str(given[i]), i)
        theirs = list(dict.fromkeys(str(values[i]) for i in first.values() if _filled(values[i])))
        made.append(_BETWEEN.join(theirs) if theirs and is_text else None)
        gave.append(-1)
    return pa.array(made, rows[fld].type), gave


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


def _trusted_first(
    says: Sequence[Any], order: Sequence[str], groups: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Every group by whom its rows come from, the most trusted first, those from nobody named last; case does not count."""
    ranks = {name.strip().lower(): rank for rank, name in reversed(list(enumerate(order)))}
    return [
        sorted(group, key=lambda i: ranks.get(str(says[i]).strip().lower(), len(ranks))) for group in groups
    ]


def _union(
    values: Sequence[Any], type_: pa.DataType, groups: Sequence[Sequence[int]]
) -> tuple[pa.Array[Any], list[int]]:
    """Lists put together, each item once, in the order of the rows; JSON is text here. And which row gave it, -1: several."""
    as_json = not pa.types.is_list(type_) and not pa.types.is_large_list(type_)
    made: list[Any] = []
    lineage: list[int] = []
    for group in groups:
        items: dict[str, Any] = {}
        gave: set[int] = set()
        for i in group:
            held = (json.loads(values[i]) if as_json else values[i]) if _filled(values[i]) else []
            for item in held if isinstance(held, list) else [held]:
                told = json.dumps(item, sort_keys=True, default=str)
                if told not in items:
                    items[told] = item
                    gave.add(i)
        filled = [i for i in group if _filled(values[i])]
        found = list(items.values())
        made.append((json.dumps(found, ensure_ascii=False) if as_json else found) if filled else None)
        lineage.append(-1 if len(gave) > 1 else next(iter(gave), group[0]))
    return pa.array(made, type_), lineage
