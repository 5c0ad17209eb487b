"""The SQL of `where`, `when`, `expr` and `match`: checked here before it is run over the extracted copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from migrate.mapping.shapes import did_you_mean
from migrate.mapping.sql_tree import Parsed, no_such_part, parsed, with_whole_names
from migrate.mapping.sql_types import check_types, types_of

HIDDEN_COLUMNS: Mapping[str, str] = {"_line": "BIGINT"}


def parse_allowed(sql: str, joined: Collection[str] | None = ()) -> list[str]:
    """What is wrong with an expression, in plain words, as far as it shows without knowing columns. `joined`: names of
    joined tables, whose columns are named as in `home.city`; None: they are not known either."""
    tree = parsed(sql)
    if joined is None:
        return tree.problems
    strange = [
        name for name in tree.dotted if name.partition(".")[0].lower() not in {j.lower() for j in joined}
    ]
    return [*tree.problems, *(_no_such_join(name, joined) for name in dict.fromkeys(strange))]


def _no_such_join(name: str, joined: Collection[str]) -> str:
    near = did_you_mean(name.partition(".")[0], joined)
    return f"there is no join of that name: `{name}` ({near})" if near else no_such_part(name)


def check_expression(sql: str, columns: Mapping[str, str], *, boolean: bool = False) -> list[str]:
    """What is wrong with an expression over a table. `columns`: name → DuckDB type (`_line` is known besides);
    `boolean`: the result must be yes or no, as for `where`. Empty: it can be used as `whole_names` writes it."""
    tree = parsed(sql)
    if tree.problems or tree.root is None:
        return tree.problems
    types = dict(HIDDEN_COLUMNS) | dict(columns)
    problems = _unknown_columns(tree, types)
    return problems or check_types(tree, types, boolean)


def whole_names(sql: str) -> str:
    """The expression as it can run: `home.city` is the column "home.city"."""
    return with_whole_names(parsed(sql))


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
        if name in tree.dotted and not any(k.startswith(name.lower().partition(".")[0] + ".") for k in known):
            problems.append(no_such_part(name))
        elif name.lower() not in known:
            near = did_you_mean(name, [n for n in types if n not in HIDDEN_COLUMNS])
            quoted = (
                " (texts stand in '…', \"…\" is a column)" if not near and f'"{name}"' in tree.sql else ""
            )
            problems.append(f"there is no column `{name}`" + (f" ({near})" if near else quoted))
    return problems
