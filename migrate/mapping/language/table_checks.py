"""`checks` over tables: what comes to the same before and after, as a sum or a count, in all or by groups."""

from __future__ import annotations

from typing import Any

from migrate.mapping.model import TableCheck
from migrate.mapping.reference_shapes import TARGET_COLUMN
from migrate.mapping.shapes import BAD, Key, Many, Reading, Record, Share, Words, build
from migrate.mapping.tree import Pairs, Path_

_EXAMPLE = "for example {sum: amount, of: deals, by: stage} or {count: deals}"


def _table_check(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    reading.keys[path] = node.at
    given = [name for name in ("sum", "count") if node.get(name) is not None]
    if not given:
        return reading.wrong("missing_key", node.at, "a check over a table needs `sum` or `count`", _EXAMPLE)
    if len(given) == 2:
        at = reading.key_at(*path, "count")
        return reading.wrong("conflict", at, "`sum` and `count` exclude each other", "write two checks")
    kind = given[0]
    has_of = node.get("of") is not None
    if kind == "sum" and not has_of:
        return reading.wrong("missing_key", node.at, "`sum` needs `of`: the entity", _EXAMPLE)
    if kind not in values or has_of != ("of" in values):
        return BAD
    counted = values.pop(kind)
    column, of = (counted, values.pop("of")) if has_of else (None, counted)
    values |= {"kind": kind, "of": of, "column": column, "number": path[-1]}
    return build(TableCheck, values, node, reading)


TABLE_CHECKS = Many(
    Record(
        "a check over a table",
        {
            "sum": Key(TARGET_COLUMN, "The target column whose values are summed up."),
            "count": Key(Words("an entity, or with `of` a target column"), "The entity whose rows are counted; with `of`, the target column whose filled values are."),
            "of": Key(Words("the name of an entity"), "The entity."),
            "by": Key(Many(TARGET_COLUMN, "a target column, or a list of them", single=True), "Target columns by whose values the rows are grouped; these values are shown in the report."),
            "within": Key(Share("a share from 0 to 100%, such as 0.1% or 0.001"), "How far both may be apart, as a share of what was there before (default 0)."),
        },
        finish=_table_check,
        rules={"oneOf": [{"required": ["sum", "of"]}, {"required": ["count"]}]},
    ),
    "a list of checks, such as [{sum: amount, of: deals, by: stage}]",
)  # fmt: skip
