"""SQLite: every declared type, and all storage classes in every affinity."""

from __future__ import annotations

from tests.fidelity.case import (
    LOCAL,
    UNSIGNED,
    Case,
    Said,
    content,
    double,
    hexed,
    in_london,
    instant,
    integer,
    loose,
    loosely,
    moment,
    number,
    plain_bytes,
    text,
    truth,
    uuid,
    written,
)

INF = "9e999"
MIXED = (
    "1",
    "-0.0",
    "1.5",
    "'1'",
    "'abc'",
    "''",
    "x'00ff'",
    "9223372036854775807",
    INF,
    "CAST(x'ff41' AS TEXT)",
)
ALL = "every storage class"


def _case(
    type_: str,
    values: tuple[str, ...],
    said: Said,
    postgres: str | tuple[str, ...],
    label: str = "",
    rule: str = "",
    expected: Said | None = None,
) -> Case:
    into = {"sqlite": (type_,), "postgresql": (postgres,) if isinstance(postgres, str) else postgres}
    return Case(type_, values, said, into, label, rule=rule, expected=expected)


CASES: tuple[Case, ...] = (
    _case("INTEGER", ("-9223372036854775808", "9223372036854775807", "9007199254740993"), integer, "bigint"),
    _case("INTEGER", MIXED, integer, "bigint", ALL),
    _case("SMALLINT", ("32767", "32768"), integer, "smallint"),
    _case("REAL", ("-0.0", "0.1", "1.7976931348623157e308", "5e-324"), double, "double precision"),
    _case("REAL", (INF, "-9e999", "1.5"), double, "double precision", "infinite"),
    _case("REAL", MIXED, double, "double precision", ALL),
    _case("NUMERIC", MIXED, loose, "numeric", ALL),
    _case("DECIMAL(12, 2)", ("9999999999.99", "-0.01", "0", "1.5"), number, "numeric(12,2)"),
    _case("DECIMAL_TEXT(38, 10)", ("'9999999999999999999999999999.9999999999'", "'-0.0000000001'", "'0'"), number, "numeric(38,10)"),
    _case("DECIMAL_TEXT", ("'1.50'", "'1e300'", "'NaN'", "'-0.0001000'"), written, "numeric"),
    _case("TEXT", ("''", "'NULL'", "' x '", "'a' || char(9, 10, 13) || 'b'", "'\U0001f600'", "'007'", "replace(hex(zeroblob(250000)), '0', 'ü')"), text, "text"),
    _case("TEXT", MIXED, text, "text", ALL),
    _case("TEXT", ("'a' || char(0) || 'b'", "'ok'"), text, "text", "with NUL"),
    _case("VARCHAR(3)", ("'abc'", "''", "'  '", "'abcd'"), text, "character varying(3)"),
    _case("BLOB", ("x''", "x'00ff5c27'"), hexed, "bytea"),
    _case("BLOB", MIXED, hexed, "bytea", ALL, "text and numbers become the bytes of their text", plain_bytes),
    _case("", MIXED, loose, "text", f"no type; {ALL}", UNSIGNED, loosely),
    _case("BOOLEAN", ("0", "1"), truth, "boolean"),
    _case("BOOLEAN", ("1", "2", "'t'", "'true'"), truth, "boolean", "neither 0 nor 1"),
    _case("DATE", ("'0001-01-01'", "'1969-12-31'", "'2000-02-29'", "'9999-12-31'"), moment, "date"),
    _case("DATE", ("'2000-02-29'", "'2001-02-29'", "'infinity'", "20000229", "2451604.5", "'2000-02-29 10:00:00'"), moment, "date", "not dates"),
    _case("TIME", ("'00:00:00'", "'23:59:59.999999'", "'24:00:00'"), moment, "time without time zone"),
    _case("TIMESTAMP", ("'0001-01-01 00:00:00'", "'2021-03-28 02:30:00'", "'9999-12-31 23:59:59.999999'"), moment, "timestamp without time zone"),
    _case("DATETIME", ("'2021-03-28T02:30:00'", "1616898600", "'2021-03-28 02:30:00Z'", "'2021-03-28 02:30:00.1234567'"), moment, "timestamp without time zone", "not timestamps"),
    _case("TIMESTAMP", ("'2021-03-28 00:59:59'", "'2021-03-28 01:30:00'", "'2021-03-28 02:00:00'", "'2021-10-31 01:30:00'", "'2021-10-31 02:00:00'"), instant, "timestamp with time zone",
          "across DST", LOCAL, in_london),
    _case("TIMESTAMPTZ", ("'2021-03-28 01:30:00+00:00'", "'2021-03-28 02:30:00+01:00'", "'1969-12-31T23:59:59.999999Z'"), instant, "timestamp with time zone"),
    _case("UUID", ("'00000000-0000-0000-0000-000000000000'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'no'"), uuid, "uuid"),
    _case("JSON", ('\'{"b": 1,  "a":2, "a": 3}\'', "'null'", "1", "'{'"), content, ("json", "jsonb")),
)  # fmt: skip
