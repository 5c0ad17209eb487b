"""Scratch databases: restored equal, with the source's own violations; dropped only with their mark."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from migrate import failpoints
from migrate.connectors.postgres.scratch import PostgresScratch, drop_leftovers, open_scratch
from migrate.connectors.postgres.target import open_database
from migrate.errors import Corrupt, GateClosed, Unreachable
from migrate.model import Schema, Sequence

from tests.connectors.test_postgres_catalog import DDL

TABLES = ["account", "sales dept.Deal", "event"]


@pytest.fixture
def source(pg_database: str) -> str:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(DDL.encode())
        connection.execute(
            "INSERT INTO account (name, a, b, nick) SELECT 'n' || i, i, i, 'N' FROM generate_series(1, 50) i"
        )
        connection.execute(
            b"INSERT INTO account (name, a) VALUES ('x', NULL); SELECT setval('shared', 400, false)"
        )
        connection.execute(
            """INSERT INTO "sales dept"."Deal" VALUES (1, 100, 'won', '[1,5)'), (2, NULL, 'new', NULL)"""
        )
        connection.execute("INSERT INTO event VALUES (1, '2010-01-01'), (2, '2030-01-01')")
    return pg_database


@contextmanager
def new_scratch(url: str, tmp_path: Path) -> Iterator[PostgresScratch]:
    scratch = open_scratch(url, folder=tmp_path, name=f"t_pg_{secrets.token_hex(6)}", run="run-1")
    try:
        yield scratch
    finally:
        scratch.drop()


def restore(url: str, scratch: PostgresScratch, tables: list[str], *, trusted: bool = True) -> Schema:
    database = open_database(url)
    with database.snapshot(tables) as snapshot:
        scratch.restore_schema(snapshot.schema, trusted)
        for table in snapshot.schema.tables:
            assert scratch.restore_rows(table, snapshot.read(table.name)) == snapshot.count(table.name)
        scratch.restore_constraints(snapshot.schema)
        schema = snapshot.schema
    database.close()
    return schema


@pytest.mark.fineprint(25)
@pytest.mark.promise(30)
def test_p30_f25_a_restore_equals_its_source(source: str, tmp_path: Path) -> None:
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("INSERT INTO account (name, a, b) VALUES ('fine', 77, 1)")
        connection.execute(
            b"ALTER TABLE account DROP CONSTRAINT late; UPDATE account SET b = -1 WHERE a = 77; ALTER TABLE account ADD CONSTRAINT late CHECK (b > 0) NOT VALID"
        )
    with new_scratch(source, tmp_path) as scratch:
        schema = restore(source, scratch, TABLES)
        assert scratch.not_restored == []
        assert scratch.violations() == ["account: late: 1 row"]
        with scratch.snapshot(TABLES) as again:
            plain = tuple(
                replace(
                    t,
                    options="",
                    not_carried=(),
                    comment=None,
                    columns=tuple(replace(c, comment=None) for c in t.columns),
                )
                for t in schema.tables
            )
            found = tuple(replace(t, not_carried=()) for t in again.schema.tables)
            assert found == plain
            assert (again.schema.sequences, again.schema.enums, again.schema.extensions) == (
                schema.sequences,
                schema.enums,
                schema.extensions,
            )
        with psycopg.connect(scratch._url) as inside, psycopg.connect(source) as outside:
            for statement in (
                "SELECT nextval('shared')",
                "SELECT nextval('account_id_seq')",
                "SELECT nextval('account_legacy_seq')",
            ):
                assert (
                    inside.execute(statement.encode()).fetchone()
                    == outside.execute(statement.encode()).fetchone()
                )
            assert inside.execute(
                "SELECT relpersistence FROM pg_class WHERE relname = 'account'"
            ).fetchone() == ("u",)


@pytest.mark.fineprint(25)
def test_f25_foreign_keys_that_leave_the_set_are_listed(source: str, tmp_path: Path) -> None:
    with new_scratch(source, tmp_path) as scratch:
        restore(source, scratch, ["sales dept.Deal"])
        assert scratch.not_restored == [
            "sales dept.Deal: Deal_account_id_fkey (it refers to account, which is not among the tables)"
        ]


@pytest.mark.fineprint(26)
def test_f26_untrusted_expressions_do_not_run_and_are_listed(source: str, tmp_path: Path) -> None:
    with new_scratch(source, tmp_path) as scratch:
        restore(source, scratch, TABLES, trusted=False)
        left_out = " | ".join(scratch.not_restored)
        for name in (
            "account.name: default",
            "account.upper_name: generated column",
            "check positive",
            "check late",
            "index deal_lower",
            "index deal_open",
        ):
            assert name in left_out
        assert "a_once" not in left_out
        with psycopg.connect(scratch._url) as inside:
            assert inside.execute("SELECT upper_name FROM account WHERE a = 3").fetchone() == ("N3",)


@pytest.mark.fineprint(26)
@pytest.mark.parametrize("trusted", [True, False])
def test_f26_a_hostile_type_or_sequence_is_corrupt(source: str, tmp_path: Path, trusted: bool) -> None:
    database = open_database(source)
    schema = database.schema(["account"])
    database.close()
    table = schema.tables[0]
    evil = replace(table.columns[0], type=replace(table.columns[0].type, native="int); DROP TABLE x; --"))
    hostile = [
        replace(schema, tables=(replace(table, columns=(evil, *table.columns[1:])),)),
        replace(schema, sequences=(Sequence("shared", 1, "AS bigint; DROP TABLE x"), *schema.sequences[:2])),
    ]
    for one in hostile:
        with new_scratch(source, tmp_path) as scratch, pytest.raises(Corrupt):
            scratch.restore_schema(one, trusted)


def test_data_that_breaks_a_key_closes_the_gate(source: str, tmp_path: Path) -> None:
    database = open_database(source)
    with database.snapshot(["event", "account"]) as snapshot, new_scratch(source, tmp_path) as scratch:
        scratch.restore_schema(snapshot.schema)
        account = snapshot.schema.table("account")
        rows = pa.Table.from_batches(snapshot.read("account"))
        scratch.restore_rows(account, iter([*rows.to_batches(), *rows.slice(0, 1).to_batches()]))
        with pytest.raises(GateClosed, match="account: primary key"):
            scratch.restore_constraints(snapshot.schema)
    database.close()


@pytest.mark.promise(27)
def test_p27_a_place_that_is_not_empty_is_refused(source: str, tmp_path: Path) -> None:
    with new_scratch(source, tmp_path) as scratch:
        schema = restore(source, scratch, ["event"])
        with pytest.raises(GateClosed, match="not empty"):
            scratch.restore_schema(schema)


def test_an_error_of_the_batches_comes_through_as_it_is(source: str, tmp_path: Path) -> None:
    database = open_database(source)
    with database.snapshot(["event"]) as snapshot, new_scratch(source, tmp_path) as scratch:
        scratch.restore_schema(snapshot.schema)

        def torn() -> Iterator[pa.RecordBatch]:
            yield from snapshot.read("event")
            raise Corrupt("the part is damaged")

        with pytest.raises(Corrupt, match="damaged"):
            scratch.restore_rows(snapshot.schema.table("event"), torn())
        assert scratch.restore_rows(snapshot.schema.table("event"), snapshot.read("event")) == 2
    database.close()


@pytest.mark.fineprint(27)
def test_f27_only_what_carries_the_mark_is_dropped(
    source: str, make_pg_database: object, tmp_path: Path
) -> None:
    assert callable(make_pg_database)
    foreign = make_pg_database().rpartition("/")[2]
    scratch = open_scratch(source, folder=tmp_path, name=f"t_pg_{secrets.token_hex(6)}", run="run-1")
    scratch.close()
    assert drop_leftovers(source, [foreign, scratch.name, "t_pg_never_made"]) == (
        scratch.name,
        "t_pg_never_made",
    )
    with psycopg.connect(source) as connection:
        names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    assert foreign in names
    assert scratch.name not in names
    scratch.drop()  # gone already: no harm
    other = PostgresScratch(make_pg_database(), server_url=source, name=foreign, run="run-1")
    with pytest.raises(GateClosed, match="mark"):
        other.drop()


@pytest.mark.fineprint(27)
def test_f27_a_drop_that_was_interrupted_is_ended(source: str, make_pg_database: object) -> None:
    """Ctrl-C or a kill within DROP DATABASE leaves a database that nobody can connect to: only one of our name goes."""
    assert callable(make_pg_database)
    foreign = make_pg_database().rpartition("/")[2]
    ours = f"migrate_scratch_{secrets.token_hex(6)}"
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {ours}")
        connection.execute(
            "UPDATE pg_database SET datconnlimit = -2 WHERE datname IN (%s, %s)", [ours, foreign]
        )
        assert drop_leftovers(source, [ours, foreign]) == (ours,)
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname IN (%s, %s)", [ours, foreign]
        )
        assert left.fetchall() == [(foreign,)]


@pytest.mark.fineprint(27)
def test_f27_without_the_right_to_create_the_hint_names_it(source: str, tmp_path: Path) -> None:
    with psycopg.connect(source, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS t_pg_nodb")
        connection.execute("CREATE ROLE t_pg_nodb LOGIN")
    try:
        with pytest.raises(Unreachable, match=r"ALTER ROLE .* CREATEDB.*scratch:"):
            open_scratch(source.replace("postgres@", "t_pg_nodb@"), folder=tmp_path, name="t_pg_x", run="r")
    finally:
        with psycopg.connect(source, autocommit=True) as connection:
            connection.execute("DROP ROLE t_pg_nodb")


def test_failpoints_of_a_restore_are_passed(source: str, tmp_path: Path) -> None:
    log = tmp_path / "points"
    failpoints.arm(log_path=str(log))
    try:
        with new_scratch(source, tmp_path) as scratch:
            restore(source, scratch, ["event"])
    finally:
        failpoints.arm()
    passed = set(log.read_text().split())
    assert {
        "postgres.scratch.before",
        "postgres.scratch.created",
        "postgres.scratch.marked",
        "postgres.scratch.batch",
        "postgres.scratch.constraints",
        "postgres.scratch.drop",
    } <= passed
