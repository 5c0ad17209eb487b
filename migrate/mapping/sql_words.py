"""What an expression may say: functions, operators and types, and why the others may not stand in it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from migrate.mapping.shapes import did_you_mean


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARITHMETIC = frozenset(["+", "-", "*", "/", "//", "%", "**", "^"])


LIKE = frozenset(
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


CLOCK_AND_USER = re.compile(r"(?i)current_\w+|localtime|localtimestamp|session_user")


NUMBERS = _words(
    """
    TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT DECIMAL FLOAT DOUBLE
    REAL BIGNUM VARINT NUMERIC INT INT1 INT2 INT4 INT8 SHORT LONG SIGNED FLOAT4 FLOAT8
    """
)


KINDS: Mapping[str, str] = (
    dict.fromkeys(NUMBERS, "a number")
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


CAST_KINDS = frozenset(
    ["a number", "text", "a yes or no", "a date", "a time", "a UUID", "an interval", "a moment"]
)


WITH_OFFSET = re.compile(r".*:[0-9.]+\s*(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)\s*")


REFUSED_CLASSES: Mapping[str, str] = {
    "SUBQUERY": "subqueries are not allowed",
    "WINDOW": "window functions are not allowed; an expression sees one row",
    "STAR": "* is not allowed; name the columns",
    "LAMBDA": "-> and lambda are not allowed",
    "COLLATE": "COLLATE is not allowed; texts are compared exactly, lower() compares without case",
    "PARAMETER": "? and $ are not allowed; write the value",
    "POSITIONAL_REFERENCE": "# is not allowed; name the column",
    "DEFAULT": "DEFAULT is not allowed",
}


OPERATORS = frozenset(
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


def why_not(name: str) -> str:
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
