"""The SQL dialect: what it lets pass, what it refuses, and how it says so."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.mapping.expr import check_expression, columns_of, parse_allowed, type_of
from migrate.mapping.sql_types import _ON_MOMENTS
from migrate.mapping.sql_words import FUNCTIONS

COLUMNS = {
    "id": "BIGINT",
    "deleted": "BIGINT",
    "name": "VARCHAR",
    "staff_count": "VARCHAR",
    "amount": "DECIMAL(18,2)",
    "created": "TIMESTAMP",
    "d": "DATE",
    "moved": "TIMESTAMP WITH TIME ZONE",
    "active": "BOOLEAN",
    "u": "UUID",
    "mix": "STRUCT(tag TINYINT, int BIGINT)",
    "First Name": "VARCHAR",
    "Größe": "VARCHAR",
    "kind": "ENUM('a','b')",
}


@pytest.mark.parametrize(
    "sql",
    [
        "deleted = 0",
        "name LIKE 'A%' AND NOT active",
        "staff_count = '5'",
        "CAST(staff_count AS INTEGER) >= 250",
        "TRY_CAST(staff_count AS INT) BETWEEN 1 AND 10",
        "d >= '2024-01-01'",
        "created > DATE '2024-01-01'",
        "moved > '2024-01-01 00:00+00'",
        "u = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "id IN (1,2,3)",
        "name NOT IN ('a','b')",
        "name IS NULL OR name = ''",
        "CASE WHEN id > 1 THEN true ELSE false END",
        "CASE name WHEN 'a' THEN true END",
        "coalesce(name,'') = 'x'",
        "\"First Name\" ILIKE '%x%'",
        "active",
        "active IS TRUE",
        "_line > 1",
        "regexp_matches(name, '^a')",
        "kind = 'a'",
        "extract(year from created) > 2000",
        "d > DATE '2024-01-01' - INTERVAL 3 DAY",
        "NULLIF(name, '') IS NOT NULL",
        "name IS DISTINCT FROM 'x'",
        "\"Größe\" = 'XL' AND amount > -1",
        "amount * 1.2 > 10",
        "name || 'x' = 'y'",
        "name = 'it''s -- fine; $1 /* x */'",
        "NAME = 'x'",
        "lpad(name, 5, '0') = '00001'",
    ],
)
def test_conditions_that_pass(sql: str) -> None:
    assert parse_allowed(sql) == []
    assert check_expression(sql, COLUMNS, boolean=True) == []


@pytest.mark.fineprint(37)
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("random() > 0.5", "another value every time"),
        ("uuid() = u", "another value every time"),
        ("now() > created", "another value tomorrow"),
        ("current_date > d", "another value tomorrow"),
        ("CURRENT_TIMESTAMP > moved", "another value tomorrow"),
        ("session_user = 'x'", "another value tomorrow"),
        ("getenv('HOME') = ''", "getenv() is not allowed"),
        ("current_setting('TimeZone') = 'x'", "current_setting() is not allowed"),
        ("getvariable('x') = 1", "not allowed"),
        ("version() = 'x'", "not allowed"),
        ("nextval('s') = 1", "not allowed"),
        ("sleep_ms(1) IS NULL", "not allowed"),
        ("(select 1) = 1", "subqueries"),
        ("id IN (select 1)", "subqueries"),
        ("id = ANY([1])", "subqueries"),
        ("exists (select 1)", "subqueries"),
        ("read_csv('x') = 1", "not allowed"),
        ("read_text('/etc/passwd') = 'x'", "not allowed"),
        ("count(*) > 1", "one row"),
        ("sum(id) > 1", "one row"),
        ("row_number() over () = 1", "one row"),
        ("upper(name) FILTER (WHERE active) = 'x'", "one row"),
        ("id = 1; drop table t", "several statements"),
        ("id = 1 -- x", "comments"),
        ("id = 1 /* x */", "comments"),
        ("1), (2", "one expression"),
        ("1) from t where (true", "one expression"),
        ("1) UNION SELECT (2", "one expression"),
        ("1) ORDER BY (1", "one expression"),
        ("1) LIMIT (1", "one expression"),
        ("* = 1", "name the columns"),
        ("columns('i') = 1", "name the columns"),
        ("#1 = 1", "name the column"),
        ("$1 = id", "write the value"),
        ("? = id", "write the value"),
        ("name = $$x$$", "write the value"),
        ("e'\\x' = name", "plain quotes"),
        ("[1][1] = 1", "not allowed"),
        ("{'a': 1}.a = 1", "not allowed"),
        ("list_transform([1], lambda x: x) = [1]", "not allowed"),
        ("lst -> 1", "lambda"),
        ("t.id = 1", "name the column alone"),
        ("name COLLATE nocase = 'x'", "compared exactly"),
        ("main.upper(name) = 'x'", "by their name alone"),
        ("name.upper() = 'X'", "by their name alone"),
        ("created AT TIME ZONE 'UTC' > moved", "AT TIME ZONE"),
        ("lpad(name, 100000000, 'x') = ''", "below 10000"),
        ("lpad(name, id, 'x') = ''", "below 10000"),
        ("repeat(name, 1000000000) = ''", "not allowed"),
        ("name::myt = 'x'", "cast to MYT"),
        ("id::VARCHAR[] = 'x'", "cast to"),
        ("CAST(name AS TIMESTAMPTZ) > moved", "depends on a time zone"),
        ("name = NULL", "IS NULL"),
        ("", "empty"),
        ("   ", "empty"),
        ("id =", "not an SQL expression"),
        ("upper(name", "not an SQL expression"),
        ("uper(name) = 'x'", "did you mean `upper`"),
        ("(" * 2000 + "1" + ")" * 2000, "nested too deeply"),
        ("id = " + "-" * 300 + "1", "comments"),
        ("NOT " * 300 + "active", "nested deeper"),
        ("x" * 10_001, "longer than"),
        ("name = 'a\0b'", "NUL"),
    ],
)
def test_f37_what_is_not_listed_is_refused(sql: str, words: str) -> None:
    found = parse_allowed(sql)
    assert found
    assert words in found[0]
    assert check_expression(sql, COLUMNS) == found


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("staff_count = 5", "staff_count is text, and 5 is a number; write '5' in quotes"),
        ("5 < staff_count", "staff_count is text"),
        ("deleted = '0'", "write the number without quotes"),
        ("staff_count IN ('1', 2)", "2 is a number"),
        ("id IN (1, '2')", "'2' is text"),
        ("staff_count BETWEEN 1 AND 5", "staff_count is text"),
        ("name > id", "name is text, and id is a number; cast one of them"),
        ("upper(name) = 5", "upper(name) is text"),
        ("CASE name WHEN 1 THEN true END", "name is text"),
        ("name IS DISTINCT FROM 5", "name is text"),
        ("active = 1", "compare a yes or no with true or false"),
        ("active = 'true'", "compare a yes or no"),
        ("created > name", "CAST(name AS DATE)"),
        ("d >= 'yesterday'", "cannot be read as one"),
        ("u = 'x'", "cannot be read as one"),
        ("DATE 'today' = d", "does not work"),
        ("CAST('x' AS INTEGER) = id", "does not work"),
        ("id IN (1, NULL)", "NULL in a list"),
        ("moved > '2024-01-01'", "names no time zone"),
        ("moved > d", "moved is a moment, and d is a date"),
        ("CAST(moved AS DATE) = d", "depends on a time zone"),
        ("date_trunc('day', moved) IS NULL", "depends on a time zone"),
        ("name || moved = 'x'", "depends on a time zone"),
        ("coalesce(name, 0) = '0'", "several kinds"),
        ("CASE WHEN active THEN 'x' ELSE 1 END IS NULL", "several kinds"),
        ("nullif(name, 0) IS NULL", "several kinds"),
        ("id AND active", "id is a number, and AND"),
        ("NOT id", "id is a number"),
        ("CASE WHEN name THEN true END", "WHEN needs"),
        ("name + 1 = 2", "arithmetic needs"),
        ("mix = 1", "a structure"),
        ("name", "a condition gives yes or no, and this gives text"),
        ("1", "this gives a number"),
        ("nam = 'x'", "there is no column `nam` (did you mean `name`?)"),
        ('name = "x"', "texts stand in '…'"),
        ("user = 'x'", "there is no column `user`"),
        ("name LIKE 5", "does not work"),
        ("regexp_matches(name, '(')", "does not work"),
    ],
)
def test_kinds_and_columns(sql: str, words: str) -> None:
    assert parse_allowed(sql) == []
    found = check_expression(sql, COLUMNS, boolean=True)
    assert words in found[0]
    assert all("Error" not in message and "\n" not in message for message in found)


def test_a_wrong_value_of_another_kind_is_told_once_per_place() -> None:
    assert len(check_expression("staff_count IN (1, 2, 3)", COLUMNS)) == 1
    assert len(check_expression("staff_count = 1 OR name = 2", COLUMNS)) == 2


def test_f37_every_listed_function_is_pure() -> None:
    rows = (
        duckdb.connect()
        .execute(
            "SELECT function_name, stability, function_type, parameter_types::VARCHAR FROM duckdb_functions()"
        )
        .fetchall()
    )
    known = {name for name, *_ in rows}
    assert set(FUNCTIONS) - known == {"coalesce", "ifnull"}  # operators of the parser
    changing = [r for r in rows if r[1] in ("VOLATILE", "CONSISTENT_WITHIN_QUERY") and r[0] in FUNCTIONS]
    # Where the zone extension is there, some take moments besides, by the session's zone: those are refused.
    of_moments = {r[0] for r in changing if "TIME ZONE" in r[3] or "TIMESTAMPTZ" in r[3]}
    assert not {r[0] for r in changing} - of_moments
    assert not of_moments & _ON_MOMENTS
    assert not {name for name, _, kind, _ in rows if kind in ("aggregate", "table", "pragma")} & FUNCTIONS


def test_columns_and_type() -> None:
    assert columns_of("\"First Name\" || name = 'x' AND name <> id::VARCHAR") == ["First Name", "name", "id"]
    assert type_of("amount * 2", COLUMNS).startswith("DECIMAL")
    assert type_of("_line", COLUMNS) == "BIGINT"


def test_names_with_quotes_and_case() -> None:
    columns = {'a "b" c': "VARCHAR", "Naïve": "INTEGER", "select": "VARCHAR"}
    assert check_expression('"a ""b"" c" = \'x\' AND "Naïve" = 1 AND "select" = \'y\'', columns) == []


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("ab1'\"()*,;-/$#?[]{}= \n.:|<>")), max_size=30))
def test_f37_noise_is_refused_or_one_expression(sql: str) -> None:
    found = check_expression(sql, {"a": "VARCHAR", "b": "BIGINT"})
    if not found:
        connection = duckdb.connect(config={"enable_external_access": "false"})
        connection.execute("CREATE TABLE t (a VARCHAR, b BIGINT)")
        connection.execute("INSERT INTO t VALUES ('x', 1), (NULL, NULL)")
        assert len(connection.execute(f"SELECT ({sql}) FROM t").fetchall()) == 2
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(2,)]
