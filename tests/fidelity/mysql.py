"""MariaDB: every type and its nasty values; and what the types of PostgreSQL become there."""

from __future__ import annotations

from tests.fidelity.case import (
    Case,
    Said,
    content,
    double,
    hexed,
    integer,
    moment,
    number,
    single,
    text,
    truth,
    uuid,
)


def _case(
    type_: str,
    values: tuple[str, ...],
    said: Said,
    postgres: str | tuple[str, ...],
    sqlite: str | tuple[str, ...],
    label: str = "",
) -> Case:
    """Into the same type, and into types of PostgreSQL and of SQLite."""
    into = {
        "mysql": (type_,),
        "postgresql": (postgres,) if isinstance(postgres, str) else postgres,
        "sqlite": (sqlite,) if isinstance(sqlite, str) else sqlite,
    }
    return Case(type_, values, said, into, label)


CASES: tuple[Case, ...] = (
    _case("tinyint(1)", ("1", "0", "-7"), integer, "smallint", "INTEGER"),
    _case("tinyint(1)", ("1", "0"), truth, "boolean", "BOOLEAN", "as a boolean"),
    _case("smallint(5) unsigned", ("65535", "0"), integer, "integer", "INTEGER"),
    _case("mediumint(8) unsigned zerofill", ("16777215", "7"), integer, "integer", "INTEGER"),
    _case("int(10) unsigned", ("4294967295",), integer, "bigint", "INTEGER"),
    _case("bigint(20)", ("-9223372036854775808", "9223372036854775807", "9007199254740993"), integer, "bigint", "INTEGER"),
    _case("bigint(20) unsigned", ("9223372036854775807", "0"), integer, "bigint", "INTEGER"),
    _case("bigint(20) unsigned", ("18446744073709551615", "5"), integer, ("numeric(20,0)", "bigint"), ("DECIMAL_TEXT(20, 0)", "INTEGER"), "beyond 2^63"),
    _case("bit(1)", ("b'1'", "b'0'"), truth, "boolean", "BOOLEAN"),
    _case("bit(12)", ("b'101010101010'", "0"), integer, "integer", "INTEGER"),
    _case("bit(64)", ("0xFFFFFFFFFFFFFFFF", "1"), integer, "numeric(20,0)", "DECIMAL_TEXT(20, 0)"),
    _case("year(4)", ("1901", "2155", "0"), integer, "smallint", "INTEGER"),
    _case("decimal(12,2)", ("9999999999.99", "-0.01", "0"), number, "numeric(12,2)", "DECIMAL(12, 2)"),
    _case("decimal(65,30)", ("9" * 35 + "." + "9" * 30, "-1e-30"), number, "numeric(65,30)", "DECIMAL_TEXT(65, 30)"),
    _case("float", ("1.1", "3.4028234e38", "16777217"), single, "real", "REAL"),
    _case("double", ("0.1", "1.7976931348623157e308", "5e-324", "123456789012345680"), double, "double precision", "REAL"),
    _case("char(4)", ("'a'", "'abcd'", "''", "' a'", "'a  '"), text, "text", "TEXT"),
    _case("varchar(9)", ("'ab  '", "''", "'äöü'", "'a\\tb\\r\\n\\\\N'", "'NULL'"), text, "character varying(9)", "VARCHAR(9)"),
    _case("varchar(9) CHARACTER SET latin1", ("'Zoë €'",), text, "text", "TEXT"),
    _case("varchar(9) CHARACTER SET utf16", ("'😀ü'",), text, "text", "TEXT"),
    _case("longtext", ("REPEAT('ü', 500000)", "'it''s \"x\"'", "'e\u0301'"), text, "text", "TEXT"),
    _case("text", ("'a\\0b'", "'ab'"), text, "text", "TEXT", "with NUL"),
    _case("enum('so so','it''s \"ok\"','Ü','1')", ("'so so'", "'it''s \"ok\"'", "'Ü'", "'1'"), text, "text", "TEXT"),
    _case("set('a','b c','d')", ("'d,a'", "''", "'b c'"), text, "text", "TEXT"),
    _case("binary(4)", ("X'FF5C27'", "''"), hexed, "bytea", "BLOB"),
    _case("varbinary(9)", ("X'00095C0A0DFF27'", "''"), hexed, "bytea", "BLOB"),
    _case("longblob", ("X'C3285C4E'", "X'00'"), hexed, "bytea", "BLOB"),
    _case("date", ("'0001-01-01'", "'2000-02-29'", "'9999-12-31'"), moment, "date", "DATE"),
    _case("date", ("'0000-00-00'", "'2024-02-00'", "'2023-02-29'", "'2000-02-29'"), moment, ("date", "text"), ("DATE", "TEXT"), "no dates among them"),
    _case("time(6)", ("'00:00:00'", "'23:59:59.999999'"), moment, "time without time zone", "TIME"),
    _case("time", ("'-01:00:00'", "'838:59:59'", "'12:00:00'"), moment, ("time without time zone", "text"), ("TIME", "TEXT"), "beyond a day"),
    _case("datetime(6)", ("'0001-01-01 00:00:00'", "'1969-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.999999'"), moment, "timestamp without time zone", "TIMESTAMP"),
    _case("datetime", ("'0000-00-00 00:00:00'", "'2000-02-29 12:00:00'"), moment, ("timestamp without time zone", "text"), ("TIMESTAMP", "TEXT"), "no dates among them"),
    _case("timestamp(6) NULL", ("'1970-01-01 00:00:01.000001'", "'2021-03-28 01:30:00'", "'2038-01-19 03:14:07.999999'"), moment, "timestamp with time zone", "TIMESTAMPTZ"),
    _case("json", ('\'{"b": 1,  "a": [null, "ü"]}\'', "'null'"), content, ("json", "jsonb"), "JSON_TEXT"),
    _case("uuid", ("'6D71B252-C310-4AB3-AE1A-8FAE23938EC8'", "'00000000-0000-0000-0000-000000000000'"), uuid, "uuid", "UUID"),
    _case("inet6", ("'2001:db8::ff00:42:8329'",), text, ("inet", "text"), "TEXT"),
)  # fmt: skip

REFUSED = ("point", "geometry", "polygon")

# Type of PostgreSQL → type of MariaDB that its values, and those that would go there, are loaded into.
FROM_POSTGRES: dict[str, str] = {
    "smallint": "smallint",
    "integer": "int",
    "bigint": "bigint",
    "real": "float",
    "double precision": "double",
    "numeric(12,2)": "decimal(12,2)",
    "numeric(38,10)": "decimal(38,10)",
    "boolean": "tinyint(1)",
    "text": "longtext",
    "character varying(3)": "varchar(3)",
    "character(4)": "char(4)",
    "bytea": "longblob",
    "date": "date",
    "time without time zone": "time(6)",
    "timestamp without time zone": "datetime(6)",
    "timestamp with time zone": "timestamp(6) NULL",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "json",
    "inet": "varchar(50)",
    "interval": "varchar(50)",
    "mood": "enum('so so','it''s \"ok\"','Ü')",
}
