"""Files: what cells of CSV say, values of JSON lines, and types of Parquet, into typed columns of a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.fidelity.case import (
    LOCAL,
    Case,
    Said,
    content,
    double,
    hexed,
    in_london,
    instant,
    integer,
    moment,
    number,
    text,
    truth,
    uuid,
    written,
)

# The same target types for all kinds of files: engine → its spelling.
INTO: dict[str, dict[str, tuple[str, ...]]] = {
    name: {"postgresql": (postgres,), "sqlite": (sqlite,)}
    for name, postgres, sqlite in (
        ("int", "bigint", "INTEGER"), ("int16", "smallint", "SMALLINT"), ("decimal", "numeric(38,10)", "DECIMAL_TEXT(38, 10)"),
        ("numeric", "numeric", "DECIMAL_TEXT"), ("money", "numeric(12,2)", "DECIMAL(12, 2)"), ("double", "double precision", "REAL"),
        ("bool", "boolean", "BOOLEAN"), ("text", "text", "TEXT"), ("short", "character varying(3)", "VARCHAR(3)"), ("bytes", "bytea", "BLOB"),
        ("date", "date", "DATE"), ("time", "time without time zone", "TIME"), ("timestamp", "timestamp without time zone", "TIMESTAMP"),
        ("moment", "timestamp with time zone", "TIMESTAMPTZ"), ("uuid", "uuid", "UUID"), ("json", "jsonb", "JSON_TEXT"),
    )
}  # fmt: skip


def _cell(kind: str, said: Said, *values: str, rule: str = "", expected: Said | None = None) -> Case:
    return Case("text", values, said, INTO[kind], rule=rule, expected=expected)


# A cell of CSV is text; the target column's type decides what it may say.
CSV: tuple[Case, ...] = (
    _cell("int", integer, "9223372036854775807", "9223372036854775808", "9007199254740993", "007", "-0", " 5", "1.0", "1e3", "٣"),
    _cell("int16", integer, "-32768", "32768"),
    _cell("decimal", number, "9999999999999999999999999999.9999999999", "0.00000000001", "1,5", "-1e-10", "NaN"),
    _cell("numeric", written, "1.50", "1e-20", "-0.00", "Infinity"),
    _cell("money", number, "9999999999.99", "10000000000.00", "1.005"),
    _cell("double", double, "0.1", "1e309", "NaN", "5e-324", "0.1000000000000000055511151231257827"),
    _cell("double", double, "-0", rule="a written -0 is 0", expected=lambda _: "0.0"),
    _cell("bool", truth, "true", "false", "1", "yes", "T"),
    _cell("text", text, " x ", "007", "NULL", "\U0001f600", "a\tb\r\nc\"d'\\N", "e\u0301", "ü" * 500_000),
    _cell("short", text, "abc", "abcd", "\U0001f600\U0001f600\U0001f600"),
    _cell("date", moment, "0001-01-01", "9999-12-31", "2000-02-30", "infinity", "28/03/2021", "2021-03-28 10:00:00"),
    _cell("time", moment, "23:59:59.999999", "24:00:00", "7:30"),
    _cell("timestamp", moment, "2021-03-28 02:30:00", "2021-03-28T02:30:00.5", "2021-03-28 02:30:00Z"),
    _cell("timestamp", moment, "2021-03-28", rule="a date alone is its midnight", expected=lambda d: f"{d} 00:00:00"),
    _cell("moment", instant, "2021-03-28 00:59:59", "2021-03-28 01:30:00", "2021-03-28 02:00:00", "2021-10-31 01:30:00", rule=LOCAL, expected=in_london),
    _cell("moment", instant, "2021-03-28 01:30:00Z", "2021-10-31 02:30:00+02:00", "2021-10-31T01:30:00+00:00"),
    _cell("uuid", uuid, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    _cell("json", content, '{"b": 1, "a": [1.10, null]}', "{", '"\\u0000"'),
)  # fmt: skip


def _json(kind: str, said: Said, *values: str, rule: str = "", expected: Said | None = None) -> Case:
    return Case("value", values, said, INTO[kind], rule=rule, expected=expected)


# Values as they stand in the file.
JSON: tuple[Case, ...] = (
    _json("int", integer, "9223372036854775807", "9007199254740993", "18446744073709551616", "1.0", "1e3", '"7"', "true"),
    _json("numeric", written, "12345678901234567890.123456789", "1.50", "1e-20"),
    _json("double", double, "0.1", "1e308"),
    _json("double", double, "-0.0", rule="a written -0 is 0", expected=lambda _: "0.0"),
    _json("bool", truth, "true", "false"),
    _json("text", text, '"007"', '""', '"\\ud83d\\ude00"', '"a\\u0000b"'),
    _json("date", moment, '"2000-02-29"', '"2000-02-30"', "20000229"),
    _json("moment", instant, '"2021-03-28T01:30:00Z"', '"2021-10-31T02:30:00+02:00"'),
    _json("json", content, '{"b": 1, "a": [1.10, null]}', "[]", "12345678901234567890.10"),
)  # fmt: skip


@dataclass(frozen=True)
class Typed:
    """A Parquet column: its Arrow type, and values as Arrow takes them."""

    case: Case
    arrow: pa.DataType
    values: tuple[Any, ...]


def _typed(arrow: Any, kind: str, said: Said, *values: Any, texts: Sequence[str] = ()) -> Typed:
    told = tuple(texts) or tuple(str(v) for v in values)
    return Typed(Case(str(arrow), told, said, INTO[kind]), arrow, values)


# Arrow types of Parquet files that are refused, by name, when the plan is made; and a value that is when it is read.
REFUSED: dict[str, pa.DataType] = {
    "struct": pa.struct([("a", pa.int64())]),
    "map": pa.map_(pa.string(), pa.int64()),
    "list of lists": pa.list_(pa.list_(pa.int64())),
    "duration": pa.duration("us"),
}
_NS = 1_616_898_600_000_000_000
PARQUET: tuple[Typed, ...] = (
    _typed(pa.int8(), "int16", integer, -128, 127),
    _typed(pa.int64(), "int", integer, -(2**63), 2**53 + 1),
    _typed(pa.uint16(), "int", integer, 65535),
    _typed(pa.uint64(), "int", integer, 2**63 - 1, 2**64 - 1),
    _typed(pa.float32(), "double", double, 1.5, texts=["1.5"]),
    _typed(pa.float64(), "double", double, 0.1, -0.0, float("inf"), float("nan")),
    _typed(pa.decimal128(38, 10), "decimal", number, Decimal("9999999999999999999999999999.9999999999")),
    _typed(pa.decimal256(60, 5), "numeric", number, Decimal("1234567890123456789012345678901234567890.12345")),
    _typed(pa.bool_(), "bool", truth, True, False, texts=["true", "false"]),
    _typed(pa.string(), "text", text, "", "\U0001f600"),
    _typed(pa.large_string(), "text", text, "x"),
    _typed(pa.dictionary(pa.int32(), pa.string()), "text", text, "x", "y", "x"),
    _typed(pa.binary(), "bytes", hexed, b"", b"\x00\xff", texts=["\\x", "\\x00ff"]),
    _typed(pa.binary(4), "bytes", hexed, b"\x00\xff\x00\xff", texts=["\\x00ff00ff"]),
    _typed(pa.date32(), "date", moment, -719162, 2932896, texts=["0001-01-01", "9999-12-31"]),
    _typed(pa.time32("ms"), "time", moment, 86_399_999, texts=["23:59:59.999"]),
    _typed(pa.time64("us"), "time", moment, 86_399_999_999, texts=["23:59:59.999999"]),
    _typed(pa.timestamp("ms"), "timestamp", moment, _NS // 1_000_000, texts=["2021-03-28 02:30:00"]),
    _typed(pa.timestamp("us"), "timestamp", moment, _NS // 1000, texts=["2021-03-28 02:30:00"]),
    _typed(pa.timestamp("ns"), "timestamp", moment, _NS, texts=["2021-03-28 02:30:00"]),
    _typed(pa.timestamp("us", "UTC"), "moment", instant, _NS // 1000, texts=["2021-03-28 02:30:00+00:00"]),
    _typed(pa.timestamp("us", "Europe/London"), "moment", instant, _NS // 1000, texts=["2021-03-28 02:30:00+00:00"]),
    _typed(pa.list_(pa.int64()), "json", content, [1, None], texts=["[1, null]"]),
)  # fmt: skip
