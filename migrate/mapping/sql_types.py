"""Types of an expression: operands of different kinds need a cast, and nothing may depend on the session's time zone.

DuckDB would cast silently, and fail on the first row that does not fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from migrate.mapping.sql_tree import (
    Parsed,
    Tree,
    children_of,
    is_null,
    is_text_constant,
    kind_of_type,
    literal_of,
    query,
    said,
)
from migrate.mapping.sql_words import ARITHMETIC, WITH_OFFSET

_SAME_KIND = frozenset(["greatest", "least", "nullif"])  # arguments of one kind, as COALESCE
_ON_MOMENTS = frozenset(["epoch", "epoch_ms", "epoch_us", "greatest", "least", "nullif", "if", "isfinite"])
# Kinds that a text constant stands for without a cast, and the type that reads it.
_FROM_TEXT: Mapping[str, str] = {
    "a date": "TIMESTAMP",
    "a time": "TIME",
    "a UUID": "UUID",
    "an interval": "INTERVAL",
    "a moment": "TIMESTAMPTZ",
}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def types_of(nodes: list[Tree], columns: Mapping[str, str]) -> list[str]:
    """DuckDB's types of expressions over a table. Raises duckdb.Error where one cannot be bound."""
    return [str(row[1]) for row in query(f"DESCRIBE {_select(nodes, columns)}")]


def _select(nodes: list[Tree], columns: Mapping[str, str]) -> str:
    """SQL that gives the expressions over one row of NULLs."""
    distinct = {name.lower(): (name, type_) for name, type_ in columns.items()}
    table = ", ".join(f"CAST(NULL AS {type_}) AS {_quoted(name)}" for name, type_ in distinct.values())
    frame = json.loads(
        query("SELECT json_serialize_sql(?::VARCHAR)", [f"SELECT 1 FROM (SELECT {table}) AS t"])[0][0]
    )
    frame["statements"][0]["node"]["select_list"] = [
        {**node, "alias": f"c{index}"} for index, node in enumerate(nodes)
    ]
    return str(query("SELECT json_deserialize_sql(?::JSON)", [json.dumps(frame)])[0][0])


@dataclass(frozen=True)
class _Group:
    """Operands that must be of one kind, or each of the kind `only`."""

    nodes: tuple[Tree, ...]
    what: str
    only: str = ""
    null_is_wrong: bool = False


def _groups(node: Tree) -> Iterator[_Group]:
    kind, children = node["class"], children_of(node)
    if kind == "COMPARISON" or kind == "BETWEEN" or node.get("type") in ("COMPARE_IN", "COMPARE_NOT_IN"):
        yield _Group(tuple(children), "comparing", null_is_wrong=kind != "COMPARISON")
    elif kind == "CONJUNCTION" or node.get("type") == "OPERATOR_NOT":
        yield _Group(tuple(children), "AND, OR and NOT", only="a yes or no")
    elif kind == "CASE":
        yield _Group(tuple(check["when_expr"] for check in node["case_checks"]), "WHEN", only="a yes or no")
        yield _Group(
            (*(check["then_expr"] for check in node["case_checks"]), node["else_expr"]), "the results of CASE"
        )
    elif node.get("type") in ("OPERATOR_COALESCE", "OPERATOR_NULLIF"):
        yield _Group(tuple(children), "the arguments of COALESCE")
    elif kind == "FUNCTION" and node["function_name"].lower() in _SAME_KIND:
        yield _Group(tuple(children), f"the arguments of {node['function_name'].upper()}")
    elif kind == "FUNCTION" and node["function_name"].lower() == "if" and len(children) == 3:
        yield _Group((children[0],), "IF", only="a yes or no")
        yield _Group(tuple(children[1:]), "the results of IF")
    elif kind == "FUNCTION" and node["function_name"] in ARITHMETIC:
        yield _Group(tuple(children), "arithmetic", only="no text")
    for child in children:
        yield from _groups(child)


def check_types(parsed: Parsed, columns: Mapping[str, str], boolean: bool) -> list[str]:
    assert parsed.root is not None
    found = Parsed(parsed.sql)
    kinds = _Kinds(columns)
    for group in _groups(parsed.root):
        _check_group(group, kinds, found)
    for node in _all(parsed.root):
        _check_moments(node, kinds, found)
    if found.problems:
        return found.problems
    try:
        result = types_of([parsed.root], columns)[0]
        query(
            f"SELECT c0 IS NULL FROM ({_select([parsed.root], columns)})"
        )  # constants that cannot be cast show only when it runs
    except duckdb.Error as error:
        return [f"the expression does not work: {said(str(error))}"]
    if boolean and kind_of_type(result) != "a yes or no":
        return [f"a condition gives yes or no, and this gives {kind_of_type(result)}"]
    return []


def _all(node: Tree) -> Iterator[Tree]:
    yield node
    for child in children_of(node):
        yield from _all(child)


class _Kinds:
    """Kinds of operands, "" where DuckDB cannot bind one by itself (the whole then tells why)."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = columns
        self.known: dict[int, tuple[Tree, str]] = {}

    def of(self, *nodes: Tree) -> list[str]:
        return [self._one(node) for node in nodes]

    def _one(self, node: Tree) -> str:
        if id(node) not in self.known:
            self.known[id(node)] = (node, self._find(node))
        return self.known[id(node)][1]

    def _find(self, node: Tree) -> str:
        if is_null(node):
            return "nothing"
        if node["class"] == "COLUMN_REF":
            name = node["column_names"][0].lower()
            return next(
                kind_of_type(type_) for column, type_ in self.columns.items() if column.lower() == name
            )
        if is_text_constant(node):
            return "text"
        try:
            return kind_of_type(types_of([node], self.columns)[0])
        except duckdb.Error:
            return ""


def _check_group(group: _Group, kinds: _Kinds, found: Parsed) -> None:
    pairs = list(zip(group.nodes, kinds.of(*group.nodes), strict=True))
    if group.null_is_wrong and any(kind == "nothing" for _, kind in pairs):
        found.wrong("NULL in a list or a range is never equal to anything; write IS NULL besides")
        return
    pairs = [(node, kind) for node, kind in pairs if kind not in ("", "nothing")]
    if group.only == "no text":
        for node, kind in pairs:
            if kind in ("text", "a yes or no"):
                found.wrong(
                    f"{found.text(node)} is {kind}, and {group.what} needs numbers or dates; cast it, as in {_cast_example(node, found)}"
                )
        return
    if group.only:
        for node, kind in pairs:
            if kind != group.only:
                found.wrong(
                    f"{found.text(node)} is {kind}, and {group.what} needs {group.only}; compare it with something"
                )
        return
    if not pairs:
        return
    # A column tells the kind better than a constant does.
    first, wanted = next(((n, k) for n, k in pairs if n["class"] != "CONSTANT"), pairs[0])
    if wanted in ("a structure", "a list") and group.what == "comparing":
        found.wrong(f"{found.text(first)} is {wanted}; cast it before comparing")
        return
    for node, kind in pairs:
        if kind == wanted or node is first:
            continue
        if is_text_constant(node) and (
            wanted in _FROM_TEXT and (wanted != "a moment" or WITH_OFFSET.fullmatch(literal_of(node)[1]))
        ):
            if query(f"SELECT TRY_CAST(? AS {_FROM_TEXT[wanted]}) IS NULL", [literal_of(node)[1]])[0][0]:
                found.wrong(f"{found.text(first)} is {wanted}, and {found.text(node)} cannot be read as one")
            continue
        if wanted == "a moment" and is_text_constant(node):
            found.wrong(
                f"{found.text(node)} names no time zone, and {found.text(first)} is a moment; write its distance from UTC, as in '2024-01-01 00:00+00'"
            )
        elif group.what == "comparing":
            found.wrong(
                f"{found.text(first)} is {wanted}, and {found.text(node)} is {kind}; {_way_out(first, wanted, node, kind, found)}"
            )
        else:
            found.wrong(
                f"{group.what} are of several kinds: {found.text(first)} is {wanted}, {found.text(node)} is {kind}; cast one of them"
            )
        return


def _way_out(first: Tree, wanted: str, node: Tree, kind: str, found: Parsed) -> str:
    """How to make two operands of different kinds alike."""
    if "a yes or no" in (wanted, kind):
        return "compare a yes or no with true or false"
    if kind == "text" and is_text_constant(node) and wanted == "a number":
        return "write the number without quotes"
    if wanted == "text" and kind == "a number" and node["class"] == "CONSTANT":
        return f"write '{found.text(node)}' in quotes, or {_cast_example(first, found)}"
    text = first if wanted == "text" else node
    type_ = {"a number": "DECIMAL(18, 2)", "a date": "DATE"}.get(kind if text is first else wanted)
    return (
        f"cast one of them, as in CAST({found.text(text)} AS {type_})"
        if type_ and "text" in (wanted, kind)
        else "cast one of them"
    )


def _cast_example(node: Tree, found: Parsed) -> str:
    return f"CAST({found.text(node)} AS DECIMAL(18, 2))"


def _check_moments(node: Tree, kinds: _Kinds, found: Parsed) -> None:
    """A moment (timestamptz) becomes text or a date only by the session's time zone."""
    name = node["function_name"].lower() if node["class"] == "FUNCTION" else ""
    if node["class"] != "CAST" and (not name or name in _ON_MOMENTS):
        return
    for child in children_of(node):
        if kinds.of(child)[0] == "a moment":
            found.wrong(
                f"{found.text(child)} is a moment; {name + '()' if name else 'a cast'} of it depends on a time zone"
            )
