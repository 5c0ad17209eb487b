"""PostgreSQL: every type and its nasty values."""

from __future__ import annotations

from tests.fidelity.case import (
    UNSIGNED,
    Case,
    Said,
    content,
    double,
    hexed,
    integer,
    loosely,
    moment,
    number,
    single,
    single_plainly,
    text,
    truth,
    uuid,
    written,
)


def _case(
    type_: str,
    values: tuple[str, ...],
    said: Said,
    sqlite: str | tuple[str, ...],
    label: str = "",
    needs: str = "",
    rule: str = "",
    expected: Said | None = None,
) -> Case:
    """Into the same type, into text, and into types of SQLite."""
    same = (type_,) if type_ == "text" else (type_, "text")
    into = {"postgresql": same, "sqlite": (sqlite,) if isinstance(sqlite, str) else sqlite}
    return Case(type_, values, said, into, label, needs, rule, expected)


DATES = ("'0001-01-01'", "'1969-12-31'", "'1900-02-28'", "'2000-02-29'", "'9999-12-31'")
STAMPS = ("'0001-01-01 00:00:00'", "'1969-12-31 23:59:59.999999'", "'2021-03-28 02:30:00'", "'9999-12-31 23:59:59.999999'")  # fmt: skip
MOMENTS = (
    "'0001-01-01 00:00:00+00'", "'1883-11-18 12:03:58-04:56:02'", "'2021-03-28 00:59:59.999999+00'", "'2021-03-28 01:00:00+00'",
    "'2021-10-31 02:30:00+02'", "'2021-10-31 02:30:00+01'", "'9999-12-31 23:59:59.999999+00'",
)  # fmt: skip

CASES: tuple[Case, ...] = (
    _case("smallint", ("-32768", "32767", "0"), integer, "INTEGER"),
    _case("integer", ("-2147483648", "2147483647"), integer, "INTEGER"),
    _case("bigint", ("-9223372036854775808", "9223372036854775807", "9007199254740993"), integer, "INTEGER"),
    _case("real", ("'-0'", "1.1", "3.4028235e38", "1e-45"), single, "REAL", rule=UNSIGNED, expected=single_plainly),
    _case("real", ("'NaN'", "'Infinity'", "'-Infinity'", "1.5"), single, "REAL", "not finite"),
    _case("double precision", ("'-0'", "0.1", "1.7976931348623157e308", "5e-324", "123456789012345680"), double, "REAL", rule=UNSIGNED, expected=loosely),
    _case("double precision", ("'NaN'", "'Infinity'", "'-Infinity'", "1.5"), double, "REAL", "not finite"),
    _case("numeric", ("1e-20", "1e300", "0.00", "1.50", "1.5", "12345678901234567890123456789012345678.9", "-0.0001000"), written, "DECIMAL_TEXT"),
    _case("numeric", ("'NaN'", "'Infinity'", "'-Infinity'", "1.50"), written, "DECIMAL_TEXT", "not finite"),
    _case("numeric(12,2)", ("9999999999.99", "-0.01", "0", "1.5"), number, ("DECIMAL(12, 2)", "NUMERIC(12, 2)")),
    _case("numeric(12,2)", ("'NaN'", "1.50"), number, "DECIMAL(12, 2)", "with NaN"),
    _case("numeric(38,10)", ("9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "-1e-10", "0"), number, ("DECIMAL_TEXT(38, 10)", "DECIMAL(38, 10)")),
    _case("numeric(70,5)", ("12345678901234567890123456789012345678901234567890123456789012345.12345", "-0.00001"), number, "DECIMAL_TEXT(70, 5)"),
    _case("numeric(200,1)", ("1e150", "-0.1"), number, "DECIMAL_TEXT(200, 1)"),
    _case("numeric(5,-2)", ("1234500", "-100"), number, "DECIMAL_TEXT"),
    _case("numeric(2,4)", ("0.0012", "-0.0099"), number, "DECIMAL_TEXT"),
    _case("boolean", ("true", "false"), truth, "BOOLEAN"),
    _case("text", ("''", "'NULL'", "' x '", "E'a\\tb\\r\\nc\\\\d\"e''f'", "'\U0001f600'", "E'e\\u0301'", "'\\N'", "repeat('ü', 500000)"), text, "TEXT"),
    _case("character varying(3)", ("'abc'", "''", "'  '", "'äöü'", "'\U0001f600\U0001f600\U0001f600'"), text, "VARCHAR(3)"),
    _case("character(4)", ("'a'", "'abcd'", "''", "' a'"), text, "TEXT"),
    _case("name", ("'abc'",), text, "TEXT"),
    _case("bytea", ("'\\x'", "'\\x00ff5c27'", "'\\x00'"), hexed, "BLOB"),
    _case("date", DATES, moment, "DATE"),
    _case("date", ("'4714-11-24 BC'", "'0044-03-15 BC'", "'10000-01-01'", "'5874897-12-31'", "'2000-02-29'"), moment, "DATE", "outside 1 to 9999"),
    _case("date", ("'infinity'", "'-infinity'", "'2000-02-29'"), moment, "DATE", "infinite"),
    _case("time without time zone", ("'00:00:00'", "'23:59:59.999999'"), moment, "TIME"),
    _case("time without time zone", ("'24:00:00'", "'12:00:00'"), moment, "TIME", "24:00"),
    _case("timestamp without time zone", STAMPS, moment, "TIMESTAMP"),
    _case("timestamp without time zone", ("'4714-11-24 00:00:00 BC'", "'0044-03-15 12:00:00.000001 BC'", "'10000-01-01 00:00:00'", "'2000-02-29 00:00:00'"), moment, "TIMESTAMP", "outside 1 to 9999"),
    _case("timestamp without time zone", ("'infinity'", "'-infinity'", "'2000-02-29 12:00:00.000001'"), moment, "TIMESTAMP", "infinite"),
    _case("timestamp with time zone", MOMENTS, moment, "TIMESTAMPTZ"),
    _case("timestamp with time zone", ("'infinity'", "'-infinity'", "'0001-01-01 00:00:00+00 BC'", "'2000-02-29 12:00:00+00'"), moment, "TIMESTAMPTZ", "infinite and BC"),
    _case("time with time zone", ("'12:00:00+05:30'", "'24:00:00-11'"), text, "TEXT"),
    _case("interval", ("'1 mon 2 days 03:04:05.000006'", "'-1 year -1 day +00:00:01'", "'178000000 years'", "'00:00:00'"), text, "TEXT"),
    _case("uuid", ("'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"), uuid, "UUID"),
    _case("json", ('\'{"b": 1,  "a":2, "a": 3}\'', "'null'", "'\"\\u00e4\"'", "'1e400'", "' [ ] '"), text, "JSON_TEXT"),
    _case("jsonb", ('\'{"b": 1,  "a":2, "a": 3}\'', "'null'", "'123456789012345678901234567890.10'", "'\"ü\"'"), content, "JSON_TEXT"),
    _case("xml", ("'<a b=\"1\">ü</a>'", "'text only'"), text, "TEXT", needs="xml"),
    _case("bit(3)", ("B'101'", "B'000'"), text, "TEXT"),
    _case("bit varying(9)", ("B''", "B'1011'"), text, "TEXT"),
    _case("inet", ("'192.168.0.1/24'", "'::1'", "'10.0.0.1'"), text, "TEXT"),
    _case("cidr", ("'10.0.0.0/8'", "'2001:db8::/32'"), text, "TEXT"),
    _case("macaddr", ("'08:00:2b:01:02:03'",), text, "TEXT"),
    _case("macaddr8", ("'08:00:2b:01:02:03:04:05'",), text, "TEXT"),
    _case("mood", ("'so so'", "'it''s \"ok\"'", "'Ü'"), text, "TEXT", "an enum"),
    _case("positive", ("1", "2147483647"), integer, "INTEGER", "a domain over integer"),
    _case("citext", ("'AbC'", "''"), text, "TEXT", needs="citext"),
    _case("hstore", ("'a=>1, b=>NULL'",), text, "TEXT", needs="hstore"),
    _case("point", ("'(0.1,-1e300)'",), text, "TEXT"),
    _case("polygon", ("'((0,0),(1,0.1),(1,1))'",), text, "TEXT"),
    _case("int4range", ("'[1,5)'", "'empty'", "'(,)'"), text, "TEXT"),
    _case("tstzrange", ("'[2020-01-01 00:00+00,infinity)'",), text, "TEXT"),
    _case("tsvector", ("'a:1A b:2'",), text, "TEXT"),
    _case("pg_lsn", ("'16/B374D848'",), text, "TEXT"),
    _case("integer[]", ("'{1,NULL,3}'", "'{}'"), text, "JSON_TEXT"),
    _case("integer[]", ("'{{1,2},{3,4}}'", "'[2:3]={7,8}'", "'{1}'"), text, "JSON_TEXT", "nested"),
    _case("text[]", ("ARRAY['a,b','\"',NULL,'','NULL']", "'{}'"), text, "JSON_TEXT"),
    _case("character varying(3)[]", ("ARRAY['abc',NULL]",), text, "JSON_TEXT"),
    _case("numeric(5,1)[]", ("ARRAY[1.5,NULL]",), text, "JSON_TEXT"),
    _case("numeric(5,1)[]", ("ARRAY['NaN'::numeric]", "ARRAY[1.5]"), text, "JSON_TEXT", "with NaN"),
    _case("date[]", ("ARRAY['2020-02-29'::date,NULL]",), text, "JSON_TEXT"),
    _case("date[]", ("ARRAY['infinity'::date]", "ARRAY['2020-02-29'::date]"), text, "JSON_TEXT", "infinite"),
    _case("timestamp with time zone[]", ("ARRAY['2020-02-29 00:00+00'::timestamptz]",), text, "JSON_TEXT"),
    _case("uuid[]", ("ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid,NULL]",), text, "JSON_TEXT"),
    _case("bytea[]", ("ARRAY['\\x00'::bytea,NULL]",), text, "JSON_TEXT"),
    _case("jsonb[]", ("ARRAY['{\"a\": [1, 2]}'::jsonb,NULL]",), text, "JSON_TEXT"),
    _case("inet[]", ("ARRAY['::1'::inet]",), text, "JSON_TEXT"),
    _case("mood[]", ("ARRAY['so so','Ü']::mood[]",), text, "JSON_TEXT", "of an enum"),
)  # fmt: skip

# Types that are refused, by name, when the plan is made.
REFUSED = ("money", "pair", "pair[]", '"char"', "regclass", "xid", "tid", "pg_snapshot")
PREPARE = (
    """CREATE TYPE mood AS ENUM ('so so', 'it''s "ok"', 'Ü')""",
    "CREATE TYPE pair AS (a int, b int)",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
)
EXTENSIONS = ("citext", "hstore")
