"""The parse tree of an expression: an allow-list over what DuckDB's own parser makes of it.

One row in, one value out, the same value every time: no subqueries, no aggregates, no settings, no clock, no
chance, no files. What is not listed here is refused.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

from migrate.mapping.shapes import did_you_mean
from migrate.mapping.sql_words import (
    ARITHMETIC,
    CAST_KINDS,
    CLOCK_AND_USER,
    FUNCTIONS,
    KINDS,
    LIKE,
    OPERATORS,
    REFUSED_CLASSES,
    WITH_OFFSET,
    why_not,
)

Tree = dict[str, Any]

MAX_LENGTH = 10_000
MAX_DEPTH = 100


@dataclass
class Parsed:
    sql: str
    root: Tree | None = None
    problems: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    dotted: list[str] = field(default_factory=list)  # names of two words, which joined tables have

    def wrong(self, message: str) -> None:
        if message not in self.problems:
            self.problems.append(message)

    def text(self, node: Tree) -> str:
        """The node as written, shortened; what kind of thing it is where that is not known."""
        start, length = node.get("query_location", 0) - len(_BEFORE), node.get("query_location_length", 0)
        data = self.sql.encode()
        if not 0 <= start < len(data) or not length:
            return "a part of it"
        found = " ".join(data[start : start + length].decode(errors="replace").split())
        return found if len(found) <= 50 else found[:49] + "…"


_lock = threading.Lock()
_BEFORE = "SELECT (\n"


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "200MB"})
    for setting in (
        "SET enable_external_access = false",
        "SET TimeZone = 'UTC'",
        "SET lock_configuration = true",
    ):
        try:
            connection.execute(setting)
        except duckdb.CatalogException:  # TimeZone belongs to an extension that may not be there
            continue
    return connection


def query(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with _lock:
        return _connection().execute(sql, values or []).fetchall()


def parsed(sql: str) -> Parsed:
    result = Parsed(sql)
    if found := trick(sql):
        result.wrong(found)
        return result
    try:
        document = json.loads(query("SELECT json_serialize_sql(?::VARCHAR)", [f"{_BEFORE}{sql}\n)"])[0][0])
    except (duckdb.Error, RecursionError, ValueError) as error:
        result.wrong(f"this is not an SQL expression: {said(str(error))}")
        return result
    if document["error"]:
        result.wrong(f"this is not an SQL expression: {said(str(document.get('error_message', '')))}")
        return result
    root = _only_expression(document)
    if root is None:
        result.wrong("one expression is expected, nothing before or after it")
        return result
    _walk(root, result, 0)
    result.root = root
    return result


def trick(sql: str) -> str | None:
    """What must not reach the parser: comments, statements, dollar quotes; found outside of '…' and "…"."""
    if not sql.strip():
        return "the expression is empty"
    if len(sql) > MAX_LENGTH:
        return f"the expression is longer than {MAX_LENGTH} characters"
    if "\0" in sql:
        return "the expression holds a NUL character"
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "''", sql)
    for sign, what in (
        ("--", "comments (--)"),
        ("/*", "comments (/*)"),
        (";", "several statements (;)"),
        ("$", "$"),
    ):
        if sign in bare:
            return f"{what} are not allowed in an expression" if sign != "$" else REFUSED_CLASSES["PARAMETER"]
    if re.search(r"(?i)(?<![\w])e'", sql):
        return "e'…' is not allowed; write the text in plain quotes"
    return None


def said(message: str) -> str:
    """The first line of what DuckDB says, without its kind of error."""
    first = message.strip().split("\n")[0]
    if "expression depth" in first:
        return "it is nested too deeply"
    return re.sub(r"^(?:\w+ )+Error:\s*", "", first).rstrip(". ") or "unreadable"


def _only_expression(document: Tree) -> Tree | None:
    if len(document["statements"]) != 1:
        return None
    node = document["statements"][0]["node"]
    if (
        node.get("type") != "SELECT_NODE"
        or len(node["select_list"]) != 1
        or node["from_table"].get("type") != "EMPTY"
    ):
        return None
    for name in (
        "modifiers",
        "where_clause",
        "group_expressions",
        "group_sets",
        "having",
        "sample",
        "qualify",
    ):
        if node.get(name):
            return None
    root = node["select_list"][0]
    return root if isinstance(root, dict) else None


def children_of(node: Tree) -> list[Tree]:
    """The expressions below a node of an allowed class."""
    kind = node.get("class")
    if kind == "COMPARISON":
        return [node["left"], node["right"]]
    if kind == "BETWEEN":
        return [node["input"], node["lower"], node["upper"]]
    if kind == "CASE":
        return [one for check in node["case_checks"] for one in (check["when_expr"], check["then_expr"])] + [
            node["else_expr"]
        ]
    if kind == "CAST":
        return [node["child"]]
    if kind == "FUNCTION":
        return (
            [argument["expression"] for argument in node["arguments"]]
            if "arguments" in node
            else list(node["children"])
        )
    return list(node.get("children", []))


def _walk(node: Tree, result: Parsed, depth: int) -> None:
    if depth > MAX_DEPTH:
        result.wrong(f"the expression is nested deeper than {MAX_DEPTH} levels")
        return
    if node.get("class") == "COLUMN_REF":
        _column(node, result)
    elif not allowed(node, result):
        return
    for child in children_of(node):
        _walk(child, result, depth + 1)


def allowed(node: Tree, result: Parsed) -> bool:
    """Reports what is wrong with a node that is no column. False: what is below it is not worth looking at."""
    kind = node.get("class", "")
    if kind in REFUSED_CLASSES:
        result.wrong(REFUSED_CLASSES[kind])
        return False
    if kind == "FUNCTION":
        return _function(node, result)
    if kind == "OPERATOR":
        if node["type"] not in OPERATORS:
            result.wrong("[…], {…} and GROUPING are not allowed")
            return False
    elif kind == "CAST":
        _cast(node, result)
    elif kind == "COMPARISON":
        _null_compared(node, result)
    elif kind not in ("CONSTANT", "CONJUNCTION", "BETWEEN", "CASE"):
        result.wrong(f"{kind.lower().replace('_', ' ') or 'this'} is not allowed in an expression")
        return False
    return True


def no_such_part(name: str) -> str:
    return f'"{name}" names a table or a part of a column; name the column alone (a dot in a name needs "quotes")'


def with_whole_names(parsed: Parsed) -> str:
    """The expression with every name of two words as the name of one column; as it was where there is none."""
    if not parsed.dotted or parsed.root is None:
        return parsed.sql
    frame = json.loads(query("SELECT json_serialize_sql('SELECT 1')")[0][0])
    frame["statements"][0]["node"]["select_list"] = [parsed.root]
    text = str(query("SELECT json_deserialize_sql(?::JSON)", [json.dumps(frame)])[0][0])
    return text.removeprefix("SELECT ")


def _column(node: Tree, result: Parsed) -> None:
    names = node["column_names"]
    if len(names) > 2:
        result.wrong(no_such_part(".".join(names)))
        return
    if len(names) == 2:
        # The column of a joined table is one column, with a dot in its name.
        node["column_names"] = names = [".".join(names)]
        result.dotted.append(names[0])
    result.columns.append(names[0])
    if CLOCK_AND_USER.fullmatch(names[0]):
        result.wrong(f"{names[0]} is not allowed: it gives another value tomorrow")


def _function(node: Tree, result: Parsed) -> bool:
    name = node["function_name"].lower()
    path = (node.get("qualified_name") or {}).get("path") or [name]
    if len(path) > 1 or node.get("schema") or node.get("catalog"):
        result.wrong(f"{'.'.join(path)}(): functions are called by their name alone")
        return False
    if (
        node.get("distinct")
        or node.get("filter")
        or (node.get("order_bys") or {}).get("orders")
        or node.get("export_state")
    ):
        result.wrong(f"{name}(): DISTINCT, FILTER and ORDER BY are not allowed; an expression sees one row")
        return False
    if any(argument.get("name") for argument in node.get("arguments", [])):
        result.wrong(f"{name}(): named arguments are not allowed")
        return False
    if name in ARITHMETIC | LIKE or name == "||" or name in FUNCTIONS:
        if name in ("lpad", "rpad"):
            _bounded_width(name, node, result)
        return True
    result.wrong(why_not(name))
    return False


def _bounded_width(name: str, node: Tree, result: Parsed) -> None:
    arguments = children_of(node)
    text = (
        literal_of(arguments[1])[1] if len(arguments) > 1 and arguments[1].get("class") == "CONSTANT" else ""
    )
    if not re.fullmatch(r"[0-9]{1,4}", text):
        result.wrong(f"{name}(): the width is a number below 10000")


def literal_of(node: Tree) -> tuple[str, str]:
    """Kind and text of a constant; DuckDB 1 and 2 write it differently."""
    literal = node.get("literal")
    if literal is not None:
        return literal["kind"], str(literal.get("text", ""))
    value = node.get("value") or {}
    if value.get("is_null"):
        return "NULL_LITERAL", ""
    kind = (value.get("type") or {}).get("id", "")
    return "STRING" if kind == "VARCHAR" else kind, str(value.get("value", ""))


def is_null(node: Tree) -> bool:
    return node.get("class") == "CONSTANT" and literal_of(node)[0] == "NULL_LITERAL"


def _null_compared(node: Tree, result: Parsed) -> None:
    if node["type"] not in ("COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM") and (
        is_null(node["left"]) or is_null(node["right"])
    ):
        result.wrong("a comparison with NULL is never true; write IS NULL or IS NOT NULL")


def _type_name(node: Tree) -> str:
    wanted = node.get("type_expr") or {}
    return str(wanted.get("type_name") or (node.get("cast_type") or {}).get("id", "")).upper()


def _cast(node: Tree, result: Parsed) -> None:
    name = _type_name(node)
    kind = KINDS.get(name, "")
    if name in ("ENUM",) or kind not in CAST_KINDS:
        near = did_you_mean(
            name, ["INTEGER", "BIGINT", "DECIMAL", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN"]
        )
        result.wrong(f"a cast to {name} is not allowed" + (f" ({near})" if near else ""))
    elif kind == "a moment" and not (
        is_text_constant(node["child"]) and WITH_OFFSET.fullmatch(literal_of(node["child"])[1])
    ):
        result.wrong(
            f"a cast to {name} depends on a time zone; write it with its distance from UTC, as in TIMESTAMPTZ '2024-01-01 00:00+00'"
        )


def is_text_constant(node: Tree) -> bool:
    return node.get("class") == "CONSTANT" and literal_of(node)[0] == "STRING"


def kind_of_type(type_: str) -> str:
    if type_.endswith("]"):
        return "a list"
    name = type_.upper().split("(")[0].strip()
    return KINDS.get(name, "a structure" if name in ("STRUCT", "MAP", "UNION") else f"a {name}")
