"""The SELECT of `query`: an allow-list over what DuckDB's own parser makes of it, before it is run over the extracted copy.

Tables, joins, conditions, groups, aggregates, CTEs and subqueries in FROM; the functions of expressions. No files, no
table functions, no settings, no clock, no chance, nothing whose result depends on the order of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from migrate.mapping.sql_tree import (
    MAX_DEPTH,
    Parsed,
    Tree,
    allowed,
    children_of,
    query,
    said,
    trick,
)
from migrate.mapping.sql_words import CLOCK_AND_USER

# Their result does not depend on the order of rows (string_agg: with an ORDER BY of its own).
AGGREGATES = frozenset(
    ["count", "count_star", "count_if", "sum", "min", "max", "avg", "bool_and", "bool_or", "string_agg"]
)
_ORDERED = frozenset(["string_agg"])
_WORDS = "an SQL SELECT"


@dataclass
class ParsedQuery(Parsed):
    """`tables`: as the SQL names them, "schema.table" or "table", each once. `columns`: names without their table;
    `star`: all columns of some table are asked for. `ordered`: the outermost SELECT says ORDER BY."""

    tables: list[str] = field(default_factory=list)
    star: bool = False
    ordered: bool = False


def parse_query(sql: str) -> ParsedQuery:
    """Never raises: what is wrong stands in `problems`."""
    result = ParsedQuery(sql)
    if found := trick(sql):
        result.wrong(found.replace("the expression", "the query").replace("an expression", "a query"))
        return result
    try:
        document = json.loads(query("SELECT json_serialize_sql(?::VARCHAR)", [sql])[0][0])
    except (duckdb.Error, RecursionError, ValueError) as error:
        result.wrong(f"this is not {_WORDS}: {said(str(error))}")
        return result
    if document["error"]:
        message = said(str(document.get("error_message", "")))
        only = message.startswith("Only SELECT")
        result.wrong(f"this is not {_WORDS}" + ("" if only else f": {message}"))
    elif len(document["statements"]) != 1:
        result.wrong("one SELECT is expected, nothing before or after it")
    else:
        root = document["statements"][0]["node"]
        result.root = root
        result.ordered = any(m["type"] == "ORDER_MODIFIER" for m in root.get("modifiers") or [])
        _select(root, result, frozenset(), 0)
    result.tables = list(dict.fromkeys(result.tables))
    result.columns = list(dict.fromkeys(result.columns))
    return result


def _select(node: Tree, result: ParsedQuery, ctes: frozenset[str], depth: int) -> None:
    """One SELECT, or several set together. `ctes`: names, in small letters, that stand for no table."""
    if depth > MAX_DEPTH:
        result.wrong(f"the query is nested deeper than {MAX_DEPTH} levels")
        return
    for entry in (node.get("cte_map") or {}).get("map") or []:
        _cte(entry, result, ctes, depth)
        ctes = ctes | {entry["key"].lower()}
    for modifier in node.get("modifiers") or []:
        _modifier(modifier, node, result, depth)
    kind = node.get("type")
    if kind == "SET_OPERATION_NODE":
        for child in node.get("children") or [node.get("left"), node.get("right")]:
            if child:
                _select(child, result, ctes, depth + 1)
        return
    if kind != "SELECT_NODE":
        result.wrong(f"{str(kind).lower().replace('_node', '').replace('_', ' ')} is not allowed in a query")
        return
    for name, words in (("sample", "SAMPLE"), ("qualify", "QUALIFY")):
        if node.get(name):
            result.wrong(f"{words} is not allowed in a query")
    for one in node["select_list"]:
        if one.get("class") == "STAR":
            _star(one, result)
        else:
            _expression(one, result, depth)
    for one in (node.get("where_clause"), node.get("having"), *(node.get("group_expressions") or [])):
        if one:
            _expression(one, result, depth)
    _from(node["from_table"], result, ctes, depth + 1)


def _cte(entry: Tree, result: ParsedQuery, ctes: frozenset[str], depth: int) -> None:
    value = entry["value"]
    inner = value.get("query_node") or (value.get("query") or {}).get("node") or {}
    if inner.get("type") == "RECURSIVE_CTE_NODE":
        result.wrong("WITH RECURSIVE is not allowed in a query")
        return
    _select(inner, result, ctes, depth + 1)


def _modifier(modifier: Tree, node: Tree, result: ParsedQuery, depth: int) -> None:
    kind = modifier["type"]
    if kind == "ORDER_MODIFIER":
        for order in modifier["orders"]:
            if order["expression"].get("class") == "STAR":
                result.wrong("ORDER BY ALL is not allowed; name the columns")
            else:
                _expression(order["expression"], result, depth)
    elif kind == "DISTINCT_MODIFIER":
        if modifier.get("distinct_on_targets"):
            result.wrong("DISTINCT ON is not allowed; `one_per` of the entity takes one row per value")
    elif kind == "LIMIT_MODIFIER":
        if not any(m["type"] == "ORDER_MODIFIER" for m in node["modifiers"]):
            result.wrong("LIMIT without ORDER BY takes other rows every time")
        if any(
            one and one.get("class") != "CONSTANT" for one in (modifier.get("limit"), modifier.get("offset"))
        ):
            result.wrong("LIMIT and OFFSET are numbers")
    else:
        result.wrong("LIMIT … % is not allowed in a query")


def _star(node: Tree, result: ParsedQuery) -> None:
    result.star = True
    if node.get("expr") or node.get("columns") or node.get("replace_list"):
        result.wrong("COLUMNS(…) and REPLACE are not allowed in a query; name the columns")


def _from(node: Tree, result: ParsedQuery, ctes: frozenset[str], depth: int) -> None:
    kind = node.get("type")
    if depth > MAX_DEPTH:
        result.wrong(f"the query is nested deeper than {MAX_DEPTH} levels")
        return
    if node.get("sample"):
        result.wrong("SAMPLE is not allowed in a query")
    if kind == "BASE_TABLE":
        _table(node, result, ctes)
    elif kind == "JOIN":
        if node.get("ref_type") in ("ASOF", "POSITIONAL", "NEAREST"):
            result.wrong(f"a {node['ref_type'].lower()} join is not allowed: it depends on the order of rows")
        _from(node["left"], result, ctes, depth + 1)
        _from(node["right"], result, ctes, depth + 1)
        if node.get("condition"):
            _expression(node["condition"], result, depth)
        result.columns += [str(c) for c in node.get("using_columns") or []]
        result.star = result.star or node.get("ref_type") == "NATURAL"
    elif kind == "SUBQUERY":
        _select(node["subquery"]["node"], result, ctes, depth + 1)
    elif kind == "EMPTY":
        result.wrong("a query reads a table: SELECT … FROM table")
    elif kind == "TABLE_FUNCTION":
        name = (node.get("function") or {}).get("function_name", "")
        result.wrong(f"{name}(): a query reads the source's tables only, no functions and no files in FROM")
    else:
        words = str(kind).lower().replace("_ref", "").replace("_", " ")
        result.wrong(f"{words} is not allowed in FROM; name a table or write a SELECT in brackets")


def _table(node: Tree, result: ParsedQuery, ctes: frozenset[str]) -> None:
    path = (node.get("qualified_name") or {}).get("path") or [
        p for p in (node.get("schema_name"), node.get("table_name")) if p
    ]
    if node.get("at_clause"):
        result.wrong("AT is not allowed in FROM")
    if len(path) > 2 or node.get("catalog_name"):
        result.wrong(f"{'.'.join(path)}: a table has its name, or schema.name, and nothing before that")
    elif len(path) == 1 and path[0].lower() in ctes:
        return
    else:
        result.tables.append(".".join(path))


def _expression(node: Tree, result: ParsedQuery, depth: int) -> None:
    if depth > MAX_DEPTH:
        result.wrong(f"the query is nested deeper than {MAX_DEPTH} levels")
        return
    if node.get("class") == "COLUMN_REF":
        name = node["column_names"][-1]
        result.columns.append(name)
        if CLOCK_AND_USER.fullmatch(name):
            result.wrong(f"{name} is not allowed: it gives another value tomorrow")
        return
    if node.get("class") == "SUBQUERY":
        result.wrong("a subquery stands in FROM or WITH; here, join it")
        return
    if node.get("class") == "WINDOW":
        result.wrong("window functions are not allowed in a query")
        return
    name = node.get("function_name", "").lower() if node.get("class") == "FUNCTION" else ""
    if name in AGGREGATES and _plain(node):
        _aggregate(name, node, result, depth)
        return
    problems = len(result.problems)
    if not allowed(node, result):
        result.problems[problems:] = [
            p.replace("in an expression", "in a query").replace(
                "an expression sees one row", "it depends on the order of rows"
            )
            for p in result.problems[problems:]
        ]
        return
    for child in children_of(node):
        _expression(child, result, depth + 1)


def _plain(node: Tree) -> bool:
    path = (node.get("qualified_name") or {}).get("path") or [""]
    return len(path) == 1 and not node.get("schema") and not node.get("catalog")


def _aggregate(name: str, node: Tree, result: ParsedQuery, depth: int) -> None:
    orders: list[Any] = (node.get("order_bys") or {}).get("orders") or []
    if name in _ORDERED and not orders:
        result.wrong(f"{name}() needs an ORDER BY of its own: {name}(a, ', ' ORDER BY a)")
    inner: Iterable[Tree] = [*children_of(node), *(o["expression"] for o in orders)]
    for child in [*inner, *([node["filter"]] if node.get("filter") else [])]:
        _expression(child, result, depth + 1)
