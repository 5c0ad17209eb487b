"""The SQL of `where`, `expr` and `match`: checked here before it is run over the extracted copy."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.mapping.shapes import did_you_mean
from migrate.mapping.sql_tree import Parsed, parsed
from migrate.mapping.sql_types import check_types, types_of

HIDDEN_COLUMNS: Mapping[str, str] = {"_line": "BIGINT"}


def parse_allowed(sql: str) -> list[str]:
    """What is wrong with an expression, in plain words, as far as it shows without knowing columns."""
    return parsed(sql).problems


def check_expression(sql: str, columns: Mapping[str, str], *, boolean: bool = False) -> list[str]:
    """What is wrong with an expression over a table. `columns`: name → DuckDB type (`_line` is known besides);
    `boolean`: the result must be yes or no, as for `where`. Empty: it can be used as it stands."""
    tree = parsed(sql)
    if tree.problems or tree.root is None:
        return tree.problems
    types = dict(HIDDEN_COLUMNS) | dict(columns)
    problems = _unknown_columns(tree, types)
    return problems or check_types(tree, types, boolean)


def columns_of(sql: str) -> list[str]:
    """The columns that an allowed expression reads, in order, as written."""
    return list(dict.fromkeys(parsed(sql).columns))


def type_of(sql: str, columns: Mapping[str, str]) -> str:
    """The DuckDB type of an expression that check_expression has passed."""
    tree = parsed(sql)
    assert tree.root is not None, "type_of is for expressions that were checked"
    return types_of([tree.root], dict(HIDDEN_COLUMNS) | dict(columns))[0]


def _unknown_columns(tree: Parsed, types: Mapping[str, str]) -> list[str]:
    known = {name.lower() for name in types}
    problems = []
    for name in dict.fromkeys(tree.columns):
        if name.lower() not in known:
            near = did_you_mean(name, [n for n in types if n not in HIDDEN_COLUMNS])
            quoted = (
                " (texts stand in '…', \"…\" is a column)" if not near and f'"{name}"' in tree.sql else ""
            )
            problems.append(f"there is no column `{name}`" + (f" ({near})" if near else quoted))
    return problems
