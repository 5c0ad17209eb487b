"""The SQL of `where`, `expr` and `match`: an allow-list over DuckDB's own parse tree.

One row in, one value out, the same value every time: no subqueries, no aggregates, no settings, no clock, no
chance, no files; nothing that depends on the time zone of the session. What is not listed here is refused.
Comparing text with a number (or anything else of another kind) needs a cast: DuckDB would cast silently
and fail on the first row that does not fit.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

from migrate.mapping.shapes import did_you_mean

MAX_LENGTH = 10_000
MAX_DEPTH = 100
HIDDEN_COLUMNS: Mapping[str, str] = {"_line": "BIGINT"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARITHMETIC = frozenset(["+", "-", "*", "/", "//", "%", "**", "^"])
_LIKE = frozenset(
    [
        "~~",
        "!~~",
        "~~*",
        "!~~*",
        "~~~",
        "like_escape",
        "not_like_escape",
        "ilike_escape",
        "not_ilike_escape",
        "regexp_matches",
        "regexp_full_match",
    ]
)
# Pure, deterministic, independent of settings, and bounded in what they give back.
FUNCTIONS = _words(
    """
    lower lcase upper ucase trim ltrim rtrim length len strlen substring substr left right replace
    translate reverse concat concat_ws contains prefix suffix starts_with ends_with position instr
    strpos split_part lpad rpad ascii unicode chr ord strip_accents nfc_normalize regexp_extract
    regexp_replace regexp_matches regexp_full_match levenshtein md5 sha256 abs ceil ceiling floor
    round trunc sign mod power pow sqrt greatest least nullif if ifnull coalesce isfinite isnan
    year month day hour minute second quarter week dayofweek isodow dayofyear last_day date_part
    date_trunc date_diff datediff date_add make_date make_timestamp epoch epoch_ms epoch_us
    strptime try_strptime strftime to_years to_months to_weeks to_days to_hours to_minutes
    to_seconds
    """
)
_SAME_KIND = frozenset(["greatest", "least", "nullif"])  # arguments of one kind, as COALESCE
_ON_MOMENTS = frozenset(["epoch", "epoch_ms", "epoch_us", "greatest", "least", "nullif", "if", "isfinite"])
_CLOCK_AND_USER = re.compile(r"(?i)current_\w+|localtime|localtimestamp|session_user")

_NUMBERS = _words(
    """
    TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT DECIMAL FLOAT DOUBLE
    REAL BIGNUM VARINT NUMERIC INT INT1 INT2 INT4 INT8 SHORT LONG SIGNED FLOAT4 FLOAT8
    """
)
_KINDS: Mapping[str, str] = (
    dict.fromkeys(_NUMBERS, "a number")
    | dict.fromkeys(["VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR", "ENUM"], "text")
    | dict.fromkeys(["BOOLEAN", "BOOL", "LOGICAL"], "a yes or no")
    | dict.fromkeys(
        ["DATE", "TIMESTAMP", "DATETIME", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_US", "TIMESTAMP_NS"],
        "a date",
    )
    | dict.fromkeys(["TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"], "a moment")
    | {
        "TIME": "a time",
        "UUID": "a UUID",
        "INTERVAL": "an interval",
        "BLOB": "bytes",
        "BYTEA": "bytes",
        '"NULL"': "nothing",
        "NULL": "nothing",
    }
)
_FROM_TEXT = frozenset(
    ["a date", "a time", "a UUID", "an interval"]
)  # kinds that a text constant stands for without a cast
_CAST_KINDS = frozenset(
    ["a number", "text", "a yes or no", "a date", "a time", "a UUID", "an interval", "a moment"]
)
_WITH_OFFSET = re.compile(r".*:[0-9.]+\s*(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)\s*")
_REFUSED_CLASSES: Mapping[str, str] = {
    "SUBQUERY": "subqueries are not allowed",
    "WINDOW": "window functions are not allowed; an expression sees one row",
    "STAR": "* is not allowed; name the columns",
    "LAMBDA": "-> and lambda are not allowed",
    "COLLATE": "COLLATE is not allowed; texts are compared exactly, lower() compares without case",
    "PARAMETER": "? and $ are not allowed; write the value",
    "POSITIONAL_REFERENCE": "# is not allowed; name the column",
    "DEFAULT": "DEFAULT is not allowed",
}

Tree = dict[str, Any]


def parse_allowed(sql: str) -> list[str]:
    """What is wrong with an expression, in plain words, as far as it shows without knowing columns."""
    return _parsed(sql).problems


def check_expression(sql: str, columns: Mapping[str, str], *, boolean: bool = False) -> list[str]:
    """What is wrong with an expression over a table. `columns`: name → DuckDB type (`_line` is known besides);
    `boolean`: the result must be yes or no, as for `where`. Empty: it can be used as it stands."""
    parsed = _parsed(sql)
    if parsed.problems or parsed.root is None:
        return parsed.problems
    types = dict(HIDDEN_COLUMNS) | dict(columns)
    problems = _unknown_columns(parsed, types)
    return problems or _check_types(parsed, types, boolean)


def columns_of(sql: str) -> list[str]:
    """The columns that an allowed expression reads, in order, as written."""
    return list(dict.fromkeys(_parsed(sql).columns))


def type_of(sql: str, columns: Mapping[str, str]) -> str:
    """The DuckDB type of an expression that check_expression has passed."""
    parsed = _parsed(sql)
    assert parsed.root is not None, "type_of is for expressions that were checked"
    return _types([parsed.root], dict(HIDDEN_COLUMNS) | dict(columns))[0]


# --- parse tree


@dataclass
class _Parsed:
    sql: str
    root: Tree | None = None
    problems: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)

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


def _query(sql: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with _lock:
        return _connection().execute(sql, values or []).fetchall()


def _parsed(sql: str) -> _Parsed:
    result = _Parsed(sql)
    trick = _trick(sql)
    if trick:
        result.wrong(trick)
        return result
    try:
        document = json.loads(_query("SELECT json_serialize_sql(?::VARCHAR)", [f"{_BEFORE}{sql}\n)"])[0][0])
    except (duckdb.Error, RecursionError, ValueError) as error:
        result.wrong(f"this is not an SQL expression: {_said(str(error))}")
        return result
    if document["error"]:
        result.wrong(f"this is not an SQL expression: {_said(str(document.get('error_message', '')))}")
        return result
    root = _only_expression(document)
    if root is None:
        result.wrong("one expression is expected, nothing before or after it")
        return result
    _walk(root, result, 0)
    result.root = root
    return result


def _trick(sql: str) -> str | None:
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
            return (
                f"{what} are not allowed in an expression" if sign != "$" else _REFUSED_CLASSES["PARAMETER"]
            )
    if re.search(r"(?i)(?<![\w])e'", sql):
        return "e'…' is not allowed; write the text in plain quotes"
    return None


def _said(message: str) -> str:
    """The first line of what DuckDB says, without its kind of error."""
    first = message.strip().split("\n")[0]
    if "expression depth" in first:
        return "it is nested too deeply"
    return re.sub(r"^(?:\w+ )+Error:\s*", "", first).rstrip(". ") or "unreadable"


_PLAIN_SELECT = {"type", "select_list", "from_table"}


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


def _children(node: Tree) -> list[Tree]:
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


def _walk(node: Tree, result: _Parsed, depth: int) -> None:
    kind = node.get("class", "")
    if depth > MAX_DEPTH:
        result.wrong(f"the expression is nested deeper than {MAX_DEPTH} levels")
        return
    if kind in _REFUSED_CLASSES:
        result.wrong(_REFUSED_CLASSES[kind])
        return
    if kind == "COLUMN_REF":
        _column(node, result)
    elif kind == "FUNCTION":
        if not _function(node, result):
            return
    elif kind == "OPERATOR":
        if node["type"] not in _OPERATORS:
            result.wrong("[…], {…} and GROUPING are not allowed")
            return
    elif kind == "CAST":
        _cast(node, result)
    elif kind == "COMPARISON":
        _null_compared(node, result)
    elif kind not in ("CONSTANT", "CONJUNCTION", "BETWEEN", "CASE"):
        result.wrong(f"{kind.lower().replace('_', ' ') or 'this'} is not allowed in an expression")
        return
    for child in _children(node):
        _walk(child, result, depth + 1)


_OPERATORS = frozenset(
    [
        "OPERATOR_NOT",
        "OPERATOR_IS_NULL",
        "OPERATOR_IS_NOT_NULL",
        "OPERATOR_COALESCE",
        "OPERATOR_NULLIF",
        "COMPARE_IN",
        "COMPARE_NOT_IN",
        "OPERATOR_TRY",
    ]
)


def _column(node: Tree, result: _Parsed) -> None:
    names = node["column_names"]
    if len(names) != 1:
        result.wrong(
            f'"{".".join(names)}" names a table or a part of a column; name the column alone (a dot in a name needs "quotes")'
        )
        return
    result.columns.append(names[0])
    if _CLOCK_AND_USER.fullmatch(names[0]):
        result.wrong(f"{names[0]} is not allowed: it gives another value tomorrow")


def _function(node: Tree, result: _Parsed) -> bool:
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
    if name in _ARITHMETIC | _LIKE or name == "||" or name in FUNCTIONS:
        if name in ("lpad", "rpad"):
            _bounded_width(name, node, result)
        return True
    result.wrong(_why_not(name))
    return False


def _why_not(name: str) -> str:
    if name in ("random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed"):
        return f"{name}() is not allowed: it gives another value every time"
    if name in (
        "now",
        "today",
        "get_current_timestamp",
        "transaction_timestamp",
        "current_date",
        "age",
        "get_current_time",
    ):
        return f"{name}() is not allowed: it gives another value tomorrow"
    if name in (
        "count",
        "count_star",
        "sum",
        "min",
        "max",
        "avg",
        "first",
        "last",
        "any_value",
        "list",
        "string_agg",
        "group_concat",
    ):
        return f"{name.removesuffix('_star')}() is not allowed: an expression sees one row"
    if name == "timezone":
        return "AT TIME ZONE is not allowed; state the zone in the source, or use the function timestamp"
    if name in ("list_value", "struct_pack", "row", "map", "unnest", "list_contains"):
        return "lists and structures are not allowed"
    near = did_you_mean(name, FUNCTIONS)
    return f"the function {name}() is not allowed in an expression" + (f" ({near})" if near else "")


def _bounded_width(name: str, node: Tree, result: _Parsed) -> None:
    arguments = _children(node)
    text = _literal(arguments[1])[1] if len(arguments) > 1 and arguments[1].get("class") == "CONSTANT" else ""
    if not re.fullmatch(r"[0-9]{1,4}", text):
        result.wrong(f"{name}(): the width is a number below 10000")


def _literal(node: Tree) -> tuple[str, str]:
    """Kind and text of a constant; DuckDB 1 and 2 write it differently."""
    literal = node.get("literal")
    if literal is not None:
        return literal["kind"], str(literal.get("text", ""))
    value = node.get("value") or {}
    if value.get("is_null"):
        return "NULL_LITERAL", ""
    kind = (value.get("type") or {}).get("id", "")
    return "STRING" if kind == "VARCHAR" else kind, str(value.get("value", ""))


def _is_null(node: Tree) -> bool:
    return node.get("class") == "CONSTANT" and _literal(node)[0] == "NULL_LITERAL"


def _null_compared(node: Tree, result: _Parsed) -> None:
    if node["type"] not in ("COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM") and (
        _is_null(node["left"]) or _is_null(node["right"])
    ):
        result.wrong("a comparison with NULL is never true; write IS NULL or IS NOT NULL")


def _type_name(node: Tree) -> str:
    wanted = node.get("type_expr") or {}
    return str(wanted.get("type_name") or (node.get("cast_type") or {}).get("id", "")).upper()


def _cast(node: Tree, result: _Parsed) -> None:
    name = _type_name(node)
    kind = _KINDS.get(name, "")
    if name in ("ENUM",) or kind not in _CAST_KINDS:
        near = did_you_mean(
            name, ["INTEGER", "BIGINT", "DECIMAL", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN"]
        )
        result.wrong(f"a cast to {name} is not allowed" + (f" ({near})" if near else ""))
    elif kind == "a moment" and not (
        _is_text_constant(node["child"]) and _WITH_OFFSET.fullmatch(_literal(node["child"])[1])
    ):
        result.wrong(
            f"a cast to {name} depends on a time zone; write it with its distance from UTC, as in TIMESTAMPTZ '2024-01-01 00:00+00'"
        )


def _is_text_constant(node: Tree) -> bool:
    return node.get("class") == "CONSTANT" and _literal(node)[0] == "STRING"


# --- columns and types


def _unknown_columns(parsed: _Parsed, types: Mapping[str, str]) -> list[str]:
    known = {name.lower() for name in types}
    problems = []
    for name in dict.fromkeys(parsed.columns):
        if name.lower() not in known:
            near = did_you_mean(name, [n for n in types if n not in HIDDEN_COLUMNS])
            quoted = (
                " (texts stand in '…', \"…\" is a column)" if not near and f'"{name}"' in parsed.sql else ""
            )
            problems.append(f"there is no column `{name}`" + (f" ({near})" if near else quoted))
    return problems


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _types(nodes: list[Tree], columns: Mapping[str, str]) -> list[str]:
    """DuckDB's types of expressions over a table. Raises duckdb.Error where one cannot be bound."""
    return [str(row[1]) for row in _query(f"DESCRIBE {_select(nodes, columns)}")]


def _select(nodes: list[Tree], columns: Mapping[str, str]) -> str:
    """SQL that gives the expressions over one row of NULLs."""
    distinct = {name.lower(): (name, type_) for name, type_ in columns.items()}
    table = ", ".join(f"CAST(NULL AS {type_}) AS {_quoted(name)}" for name, type_ in distinct.values())
    frame = json.loads(
        _query("SELECT json_serialize_sql(?::VARCHAR)", [f"SELECT 1 FROM (SELECT {table}) AS t"])[0][0]
    )
    frame["statements"][0]["node"]["select_list"] = [
        {**node, "alias": f"c{index}"} for index, node in enumerate(nodes)
    ]
    return str(_query("SELECT json_deserialize_sql(?::JSON)", [json.dumps(frame)])[0][0])


def _kind(type_: str) -> str:
    if type_.endswith("]"):
        return "a list"
    name = type_.upper().split("(")[0].strip()
    return _KINDS.get(name, "a structure" if name in ("STRUCT", "MAP", "UNION") else f"a {name}")


@dataclass(frozen=True)
class _Group:
    """Operands that must be of one kind, or each of the kind `only`."""

    nodes: tuple[Tree, ...]
    what: str
    only: str = ""
    null_is_wrong: bool = False


def _groups(node: Tree) -> Iterator[_Group]:
    kind, children = node["class"], _children(node)
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
    elif kind == "FUNCTION" and node["function_name"] in _ARITHMETIC:
        yield _Group(tuple(children), "arithmetic", only="no text")
    for child in children:
        yield from _groups(child)


def _check_types(parsed: _Parsed, columns: Mapping[str, str], boolean: bool) -> list[str]:
    assert parsed.root is not None
    found = _Parsed(parsed.sql)
    kinds = _Kinds(columns)
    for group in _groups(parsed.root):
        _check_group(group, kinds, found)
    for node in _all(parsed.root):
        _check_moments(node, kinds, found)
    if found.problems:
        return found.problems
    try:
        result = _types([parsed.root], columns)[0]
        _query(_select([parsed.root], columns))  # constants that cannot be cast show only when it runs
    except duckdb.Error as error:
        return [f"the expression does not work: {_said(str(error))}"]
    if boolean and _kind(result) != "a yes or no":
        return [f"a condition gives yes or no, and this gives {_kind(result)}"]
    return []


def _all(node: Tree) -> Iterator[Tree]:
    yield node
    for child in _children(node):
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
        if _is_null(node):
            return "nothing"
        if node["class"] == "COLUMN_REF":
            name = node["column_names"][0].lower()
            return next(_kind(type_) for column, type_ in self.columns.items() if column.lower() == name)
        if _is_text_constant(node):
            return "text"
        try:
            return _kind(_types([node], self.columns)[0])
        except duckdb.Error:
            return ""


def _check_group(group: _Group, kinds: _Kinds, found: _Parsed) -> None:
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
        if _is_text_constant(node) and (
            wanted in _FROM_TEXT or (wanted == "a moment" and _WITH_OFFSET.fullmatch(_literal(node)[1]))
        ):
            continue
        if wanted == "a moment" and _is_text_constant(node):
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


def _way_out(first: Tree, wanted: str, node: Tree, kind: str, found: _Parsed) -> str:
    """How to make two operands of different kinds alike."""
    if "a yes or no" in (wanted, kind):
        return "compare a yes or no with true or false"
    if kind == "text" and _is_text_constant(node) and wanted == "a number":
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


def _cast_example(node: Tree, found: _Parsed) -> str:
    return f"CAST({found.text(node)} AS DECIMAL(18, 2))"


def _check_moments(node: Tree, kinds: _Kinds, found: _Parsed) -> None:
    """A moment (timestamptz) becomes text or a date only by the session's time zone."""
    name = node["function_name"].lower() if node["class"] == "FUNCTION" else ""
    if node["class"] != "CAST" and (not name or name in _ON_MOMENTS):
        return
    for child in _children(node):
        if kinds.of(child)[0] == "a moment":
            found.wrong(
                f"{found.text(child)} is a moment; {name + '()' if name else 'a cast'} of it depends on a time zone"
            )
