"""`on_gone` held against both catalogues: can the flag hold its value, and is the source one whole table?"""

from __future__ import annotations

from collections.abc import Mapping as Dict

import pyarrow as pa

from migrate import canon
from migrate.errors import Problem, UsageError
from migrate.mapping.model import Mapping
from migrate.model import Kind, Schema, Table
from migrate.stages.plan.checks import where_is

FILE = "_file"  # what a table that is read from several files has besides its own columns


def check_gone(mapping: Mapping, sources: Dict[str, Schema], target: Schema) -> list[Problem]:
    problems = []
    for name, entity in mapping.entities.items():
        how, where = entity.on_gone, where_is(mapping, f"entities.{name}.on_gone")
        if how.then == "keep":
            continue
        read = sources[entity.source]
        if entity.table in read.table_names and FILE in read.table(entity.table).column_names:
            problems.append(
                Problem(
                    "conflict",
                    where,
                    f"{entity.table} is read from several files, and a file that is missing looks like rows that went",
                    "name one file, or say on_gone: keep",
                )
            )
        table = target.table(entity.into)
        if how.flag is not None and how.value is not None and how.flag in table.column_names:
            reason = _misfit(table, how.flag, how.value)
            if reason:
                problems.append(Problem("wrong_value", where, f"{entity.into}.{how.flag} {reason}"))
    return problems


def _misfit(table: Table, column: str, value: str) -> str:
    """Why the column cannot hold the value; empty where it can."""
    type_ = table.column(column).type
    if column in table.primary_key:
        return "is the key, and no update changes a key"
    if table.column(column).generated is not None:
        return "is computed by the target"
    if type_.kind is Kind.BOOL and value not in ("true", "false"):
        return "holds true or false"
    if type_.labels and value not in type_.labels:
        return f"has no label {value!r}"
    if type_.length is not None and len(value) > type_.length:
        return f"holds {type_.length} characters, and {value!r} has more"
    try:
        canon.from_text(pa.array([value], pa.string()), type_)
    except (UsageError, pa.ArrowInvalid):
        return f"({type_.native or type_.kind.value}) cannot hold {value!r}"
    return ""
