"""Questions to a restored copy: answered with the database's own types, and nothing else is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from migrate.connectors.protocol import Scratch
from migrate.errors import UsageError

from tests.contracts.conftest import Engine


@pytest.fixture
def copy(engine: Engine, make_scratch: Callable[[], Scratch], target: object) -> Scratch:
    engine.execute(
        "CREATE TABLE people (id bigint PRIMARY KEY, name text)",
        "INSERT INTO people VALUES (1, 'Ada'), (2, NULL)",
    )
    del target
    scratch = make_scratch()
    with engine.open().snapshot(["people"]) as snapshot:
        scratch.restore_schema(snapshot.schema)
        scratch.restore_rows(snapshot.schema.table("people"), iter(snapshot.read("people")))
        scratch.restore_constraints(snapshot.schema)
    return scratch


def ask(scratch: Scratch, sql: str, rows: int = 2, seconds: float = 20) -> list[tuple[object, ...]]:
    return scratch.ask(sql, rows=rows, seconds=seconds)


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT count(*) FROM people", [(2,)]),
        ("  -- how many\n /* really */ select count(*) from people ; ", [(2,)]),
        ("WITH p AS (SELECT name FROM people WHERE id = 1) SELECT name FROM p", [("Ada",)]),
        ("SELECT name FROM people WHERE id = 2", [(None,)]),
        ("(SELECT 1)", [(1,)]),
        ("SELECT id FROM people WHERE id > 5", []),
        ("SELECT '100%' , 'a;b'", [("100%", "a;b")]),
    ],
)
def test_a_question_is_answered(
    copy: Scratch, engine: Engine, sql: str, answer: list[tuple[object, ...]]
) -> None:
    if sql.startswith("(") and "sqlite" in type(engine).__name__.lower():
        pytest.skip("SQLite knows no SELECT in brackets")
    assert ask(copy, sql) == answer


def test_no_more_rows_than_asked_for(copy: Scratch) -> None:
    big = "SELECT a.id FROM people a, people b, people c, people d"
    assert len(ask(copy, big, rows=3)) == 3
    assert ask(copy, "SELECT count(*) FROM people") == [(2,)]


def test_decimals_keep_their_digits(copy: Scratch, engine: Engine) -> None:
    if "sqlite" in type(engine).__name__.lower():
        pytest.skip("SQLite has none")
    assert ask(copy, "SELECT CAST('1234567890123456789.01' AS decimal(30, 2))") == [
        (Decimal("1234567890123456789.01"),)
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM people",
        "INSERT INTO people VALUES (9, 'x')",
        "DROP TABLE people",
        "CREATE TABLE t (x int)",
        "SELECT 1; DELETE FROM people",
        "SELECT 1; COMMIT; DELETE FROM people",
        "WITH x AS (SELECT 1) DELETE FROM people",
        "/*! DELETE */ FROM people",
        "SELECT * FROM people INTO OUTFILE '/tmp/x'",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "PRAGMA query_only = OFF",
        "ATTACH ':memory:' AS other",
        "COPY people TO PROGRAM 'true'",
        "SELECT FROM WHERE",
        "",
        "-- nothing",
        "\0",
    ],
)
def test_what_is_no_question_is_refused_and_changes_nothing(copy: Scratch, sql: str) -> None:
    with pytest.raises(UsageError, match="cannot be asked"):
        ask(copy, sql)
    assert ask(copy, "SELECT count(*) FROM people") == [(2,)]


def test_writing_through_a_select_is_refused(copy: Scratch, engine: Engine) -> None:
    statement = {
        "PostgresEngine": "WITH gone AS (DELETE FROM people RETURNING id) SELECT count(*) FROM gone",
        "MysqlEngine": "SELECT id FROM people INTO @x",
        "SqliteEngine": "SELECT writefile('x', 'y')",
    }[type(engine).__name__]
    if "Mysql" not in type(engine).__name__:  # a variable of the session is no harm, and gives no row
        with pytest.raises(UsageError):
            ask(copy, statement)
    assert ask(copy, "SELECT count(*) FROM people") == [(2,)]


@pytest.mark.parametrize("sql", ["SELECT nam FROM people", "SELECT 1 FROM nowhere"])
def test_a_wrong_name_is_told(copy: Scratch, sql: str) -> None:
    with pytest.raises(UsageError, match=r"nam|nowhere"):
        ask(copy, sql)


def test_values_are_never_in_an_error(copy: Scratch, engine: Engine) -> None:
    sql = {
        "PostgresEngine": "SELECT CAST(name AS int) FROM people",
        "MysqlEngine": "SELECT ExtractValue('<a/>', concat('~', name)) FROM people WHERE id = 1",
        "SqliteEngine": "SELECT json(name) FROM people",
    }[type(engine).__name__]
    with pytest.raises(UsageError) as caught:
        ask(copy, sql)
    assert "Ada" not in str(caught.value)


def test_an_endless_question_ends(copy: Scratch) -> None:
    began = time.monotonic()
    sql = f"SELECT sum(p0.id + p35.id) FROM {', '.join(f'people p{n}' for n in range(36))}"
    with pytest.raises(UsageError, match="did not end within 1 seconds"):
        ask(copy, sql, seconds=1)
    assert time.monotonic() - began < 15
