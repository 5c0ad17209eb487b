"""One target transaction: refusals, savepoints, fence, commit guard, keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest
from migrate import failpoints
from migrate.connectors.postgres.session import Session
from migrate.connectors.postgres.target import PostgresTarget, open_database
from migrate.errors import Busy, GateClosed, MigrateError, TooManyQuarantined, Unreachable
from migrate.model import Rejected, Table

SCHEMA = """
CREATE TABLE account (id int PRIMARY KEY, name varchar(8) NOT NULL, email text, parent int REFERENCES account(id) DEFERRABLE INITIALLY DEFERRED,
  size int CONSTRAINT size_positive CHECK (size > 0), CONSTRAINT one_email UNIQUE (email), note text DEFAULT 'by default');
CREATE TABLE contact (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id int REFERENCES account(id) ON DELETE CASCADE, name text);
CREATE TABLE deal (id uuid PRIMARY KEY, account_id int REFERENCES account(id), body jsonb);
"""


@pytest.fixture
def target(pg_database: str) -> Iterator[PostgresTarget]:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
    database = open_database(pg_database)
    yield database
    database.close()
    failpoints.arm()


def sql(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def table(target: PostgresTarget, name: str) -> Table:
    return target.schema([name]).table(name)


def accounts(ids: list[int], **columns: list[object]) -> pa.Table:
    made = {
        "id": pa.array(ids, pa.int32()),
        "name": pa.array(columns.pop("name", ["n"] * len(ids)), pa.string()),
    }
    types = {"email": pa.string(), "note": pa.string(), "parent": pa.int32(), "size": pa.int32()}
    return pa.table(made | {name: pa.array(values, types[name]) for name, values in columns.items()})


@pytest.mark.fineprint(5)
@pytest.mark.promise(19)
def test_f5_p19_refused_rows_are_named_and_the_others_are_in(
    target: PostgresTarget, pg_database: str
) -> None:
    sql(pg_database, "INSERT INTO account (id, name, email) VALUES (1, 'old', 'taken@x')")
    rows = accounts(
        [10, 11, 1, 13, 14, 15, 16, 17, 18],
        name=["fine", "far too long", "same id", None, "n\0l", "fine", "fine", "fine", "last"],
        email=["a@x", "b@x", "c@x", "d@x", "e@x", "taken@x", "f@x", "a@x", "z@x"],
        parent=[1, None, None, None, None, None, 999, None, 10],
        size=[1, None, None, None, None, None, None, None, 0],
    )
    transaction = target.begin()
    refused = transaction.insert(table(target, "account"), rows, stop_after=20)
    transaction.commit()
    assert refused == [
        Rejected(1, "db_value"),
        Rejected(2, "db_unique", "account_pkey"),
        Rejected(3, "db_not_null", "name"),
        Rejected(4, "db_value"),
        Rejected(5, "db_unique", "one_email"),
        Rejected(6, "db_foreign_key", "account_parent_fkey"),
        Rejected(7, "db_unique", "one_email"),
        Rejected(8, "db_check", "size_positive"),
    ]
    assert sql(pg_database, "SELECT id, note FROM account ORDER BY id") == [
        (1, "by default"),
        (10, "by default"),
    ]


@pytest.mark.fineprint(5)
def test_f5_child_before_parent_goes_in_even_when_rows_are_refused(
    target: PostgresTarget, pg_database: str
) -> None:
    rows = accounts([1, 2, 3, 4], parent=[2, 3, 4, None], size=[1, 1, 1, 1])
    bad = accounts([5], name=["far too long"], parent=[None], size=[1])
    transaction = target.begin()
    refused = transaction.insert(table(target, "account"), pa.concat_tables([rows, bad]), stop_after=1)
    transaction.commit()
    assert [r.ordinal for r in refused] == [4]
    assert sql(pg_database, "SELECT count(*) FROM account") == [(4,)]


@pytest.mark.fineprint(5)
def test_f5_more_refusals_than_allowed_stop_and_nothing_is_left(
    target: PostgresTarget, pg_database: str
) -> None:
    rows = accounts(list(range(1000)), size=[0 if i % 10 == 0 else 1 for i in range(1000)])
    transaction = target.begin()
    with pytest.raises(TooManyQuarantined):
        transaction.insert(table(target, "account"), rows, stop_after=99)
    transaction.rollback()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(0,)]
    transaction = target.begin()
    assert len(transaction.insert(table(target, "account"), rows, stop_after=100)) == 100
    transaction.commit()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(900,)]


@pytest.mark.fineprint(5)
def test_f5_values_never_reach_a_message(target: PostgresTarget, pg_database: str) -> None:
    sql(pg_database, "INSERT INTO account (id, name) VALUES (7654321, 'canary')")
    sql(pg_database, "INSERT INTO deal VALUES (gen_random_uuid(), 7654321, '{}')")
    transaction = target.begin()
    with pytest.raises(GateClosed) as refused:
        transaction.delete(table(target, "account"), ["id"], accounts([7654321]).select(["id"]))
    transaction.rollback()
    assert "deal_account_id_fkey" in str(refused.value)
    assert "7654321" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.fineprint(10)
def test_f10_a_trigger_that_drops_a_row_shows_in_fetch(target: PostgresTarget, pg_database: str) -> None:
    sql(
        pg_database,
        "CREATE FUNCTION eat() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; IF NEW.id = 3 THEN RAISE 'no % here', NEW.name; END IF; RETURN NEW; END$$",
    )
    sql(pg_database, "CREATE TRIGGER eat BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION eat()")
    found = table(target, "account")
    assert found.triggers == ("eat",)
    transaction = target.begin()
    rows = accounts([1, 2, 3])
    assert transaction.insert(found, rows, stop_after=5) == [Rejected(2, "db_other")]
    assert transaction.fetch(found, ["id"], rows.select(["id"]), ["id"])["id"].to_pylist() == [1]
    transaction.rollback()


@pytest.mark.promise(15)
def test_p15_a_wrong_layout_never_reaches_the_driver(target: PostgresTarget) -> None:
    """The driver would store an int64's bytes in a column of equal width without a word."""
    transaction = target.begin()
    for wrong in (
        pa.table({"id": pa.array([1], pa.int64()), "name": ["n"]}),
        pa.table({"id": pa.array([1], pa.float32()), "name": ["n"]}),
        pa.table({"id": pa.array([1], pa.int32()), "name": pa.array([b"n"])}),
        pa.table({"id": pa.array([1], pa.int32()), "unknown": ["n"]}),
    ):
        with pytest.raises(MigrateError, match=r"travels as|does not have"):
            transaction.insert(table(target, "account"), wrong, stop_after=0)
    transaction.rollback()


def test_update_sets_by_key_and_names_refusals(target: PostgresTarget, pg_database: str) -> None:
    sql(pg_database, "INSERT INTO account (id, name, size) SELECT i, 'n', 1 FROM generate_series(1, 5) i")
    transaction = target.begin()
    rows = accounts([1, 2, 3, 99], name=["new", "new", "far too long", "new"], size=[5, 0, 5, 5])
    assert transaction.update(table(target, "account"), ["id"], rows, stop_after=5) == [
        Rejected(1, "db_check", "size_positive"),
        Rejected(2, "db_value"),
    ]
    transaction.commit()
    assert sql(pg_database, "SELECT id, name, size FROM account ORDER BY id") == [
        (1, "new", 5),
        (2, "n", 1),
        (3, "n", 1),
        (4, "n", 1),
        (5, "n", 1),
    ]


@pytest.mark.fineprint(4)
def test_f4_everything_of_a_part_is_one_transaction(target: PostgresTarget, pg_database: str) -> None:
    deal, account = table(target, "deal"), table(target, "account")
    ids = pa.array(["00000000-0000-0000-0000-00000000000a"])
    transaction = target.begin()
    transaction.insert(account, accounts([1]), stop_after=0)
    transaction.insert(account, accounts([1, 2]), stop_after=5)  # a failed COPY in the middle
    transaction.insert(
        deal,
        pa.table({"id": ids, "account_id": pa.array([2], pa.int32()), "body": ['{"a": 1}']}),
        stop_after=0,
    )
    assert sql(pg_database, "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM deal)") == [(0,)]
    transaction.rollback()
    assert sql(pg_database, "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM deal)") == [(0,)]


@pytest.mark.fineprint(1)
def test_f1_commit_is_refused_when_the_transaction_is_another(
    target: PostgresTarget, pg_database: str
) -> None:
    transaction = target.begin()
    transaction.insert(table(target, "account"), accounts([1]), stop_after=0)
    transaction._session.execute("ROLLBACK")
    transaction._session.execute("BEGIN")
    transaction.insert(table(target, "account"), accounts([2]), stop_after=0)
    with pytest.raises(Unreachable, match="not the one"):
        transaction.commit()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(0,)]


@pytest.mark.fineprint(1)
def test_f1_a_failed_transaction_cannot_be_committed(target: PostgresTarget, pg_database: str) -> None:
    transaction = target.begin()
    transaction.insert(table(target, "account"), accounts([1]), stop_after=0)
    with pytest.raises(MigrateError):
        transaction._run("SELECT 1/0", table(target, "account"))
    with pytest.raises(Unreachable):
        transaction.commit()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(0,)]
    assert (
        target.begin().insert(table(target, "account"), accounts([3]), stop_after=0) == []
    )  # the target goes on working


@pytest.mark.fineprint(1)
def test_f1_a_killed_connection_is_unreachable_and_leaves_nothing(
    target: PostgresTarget, pg_database: str
) -> None:
    transaction = target.begin()
    transaction.insert(table(target, "account"), accounts([1]), stop_after=0)
    pid = transaction._session.query("SELECT pg_backend_pid() AS pid")["pid"][0].as_py()
    sql(pg_database, f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(Unreachable) as lost:
        transaction.insert(table(target, "account"), accounts([2]), stop_after=0)
    assert lost.value.exit_code == 5
    transaction.rollback()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(0,)]


@pytest.mark.fineprint(3)
def test_f3_one_holder_and_the_fence(
    target: PostgresTarget, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_database(pg_database)
    with pytest.raises(Busy):
        other.raise_fence("without hold")
    with target.hold():
        assert target.raise_fence("one") == 1
        with pytest.raises(Busy) as busy, other.hold():
            pass
        assert busy.value.exit_code == 8
        transaction = target.begin()
        assert transaction.fence() == 1
        # a taker-over waits for the part that still holds the fence
        done = threading.Event()
        monkeypatch.setattr(other._keeper, "session", lambda _: other._side())

        def take_over() -> None:
            assert other.raise_fence("two") == 2
            done.set()

        thread = threading.Thread(target=take_over)
        thread.start()
        assert not done.wait(0.5)
        transaction.commit()
        assert done.wait(10)
        thread.join()
        late = target.begin()
        assert late.fence() == 2
        late.rollback()
    with other.hold():
        assert other.raise_fence("three") == 3
    other.close()


@pytest.mark.fineprint(7)
def test_f7_reserved_keys_are_new_and_the_sequence_never_goes_back(
    target: PostgresTarget, pg_database: str
) -> None:
    contact = table(target, "contact")
    sql(
        pg_database,
        "INSERT INTO contact (id, name) OVERRIDING SYSTEM VALUE SELECT i, 'x' FROM generate_series(3, 40) i",
    )
    keys = target.reserve_keys(contact, "id", 5)
    assert keys.type == pa.int32()
    assert keys.to_pylist() == [1, 2, 41, 42, 43]
    assert min(target.reserve_keys(contact, "id", 2).to_numpy()) > 43
    transaction = target.begin()
    assert transaction.insert(contact, pa.table({"id": keys, "name": ["n"] * 5}), stop_after=0) == []
    transaction.commit()
    sql(pg_database, "INSERT INTO contact (name) VALUES ('by a user')")
    (last,) = sql(pg_database, "SELECT last_value FROM contact_id_seq")
    assert sql(pg_database, "SELECT max(id) FROM contact") == [last]
    assert len(set(target.reserve_keys(contact, "id", 200_000).to_pylist())) == 200_000


@pytest.mark.fineprint(7)
def test_f7_integer_keys_without_a_sequence(target: PostgresTarget, pg_database: str) -> None:
    account = table(target, "account")
    sql(pg_database, "INSERT INTO account (id, name) VALUES (17, 'n')")
    assert target.reserve_keys(account, "id", 3).to_pylist() == [18, 19, 20]
    again = open_database(pg_database)
    assert again.reserve_keys(account, "id", 2).to_pylist() == [21, 22]
    sql(pg_database, "INSERT INTO account (id, name) VALUES (100, 'n')")
    assert again.reserve_keys(account, "id", 1).to_pylist() == [101]
    again.close()


@pytest.mark.fineprint(8)
def test_f8_match_look_up_locks_and_compares_bytes(target: PostgresTarget, pg_database: str) -> None:
    sql(
        pg_database,
        "INSERT INTO account (id, name, email) VALUES (1, 'a', 'A@x'), (2, 'b', 'a@x'), (3, 'c', NULL)",
    )
    account = table(target, "account")
    transaction = target.begin()
    emails = pa.table({"email": ["a@x", "a@x", "b@x", None]})
    found = transaction.fetch(account, ["email"], emails, ["id", "email"], lock=True)
    assert found.to_pylist() == [{"id": 2, "email": "a@x"}]
    with psycopg.connect(pg_database) as other:
        other.execute("SET lock_timeout = '200ms'")
        other.execute("UPDATE account SET name = 'z' WHERE id = 1")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("UPDATE account SET name = 'z' WHERE id = 2")
    transaction.rollback()


@pytest.mark.fineprint(32)
def test_f32_references_to_a_victim_are_found_from_the_catalogue(
    target: PostgresTarget, pg_database: str
) -> None:
    sql(
        pg_database,
        "INSERT INTO account (id, name, parent) VALUES (1, 'a', NULL), (2, 'b', 1), (3, 'c', NULL)",
    )
    sql(pg_database, "INSERT INTO contact (account_id) VALUES (1), (3)")
    sql(pg_database, "INSERT INTO deal VALUES ('00000000-0000-0000-0000-00000000000A', 1, '{}')")
    found = target.references_to(table(target, "account"), ["id"], accounts([1, 2]).select(["id"]))
    assert found.schema.types == [pa.string()] * 5
    assert sorted(found.to_pylist(), key=lambda r: r["table"]) == [
        {
            "table": "account",
            "columns": '["parent"]',
            "ref_key": '["1"]',
            "row_key": '["2"]',
            "on_delete": "NO ACTION",
        },
        {
            "table": "contact",
            "columns": '["account_id"]',
            "ref_key": '["1"]',
            "row_key": '["1"]',
            "on_delete": "CASCADE",
        },
        {
            "table": "deal",
            "columns": '["account_id"]',
            "ref_key": '["1"]',
            "row_key": '["00000000-0000-0000-0000-00000000000a"]',
            "on_delete": "NO ACTION",
        },
    ]


def test_delete_counts_what_is_really_gone(target: PostgresTarget, pg_database: str) -> None:
    sql(pg_database, "INSERT INTO account (id, name) VALUES (1, 'a'), (2, 'b')")
    transaction = target.begin()
    assert transaction.delete(table(target, "account"), ["id"], accounts([1, 2, 3]).select(["id"])) == 2
    transaction.commit()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(0,)]


@pytest.mark.promise(21)
@pytest.mark.parametrize(
    "point",
    ["postgres.insert.copied", "postgres.stage.filled", "postgres.search.before", "postgres.commit.before"],
)
def test_p21_a_crash_at_any_point_before_commit_leaves_nothing(
    target: PostgresTarget, pg_database: str, point: str
) -> None:
    failpoints.arm(f"{point}:1:raise")
    transaction = target.begin()
    account = table(target, "account")

    def part() -> None:
        transaction.insert(account, accounts([1]), stop_after=0)
        transaction.insert(account, accounts([1, 2]), stop_after=5)
        transaction.commit()

    with pytest.raises(failpoints.FailpointError):
        part()
    transaction.rollback()
    assert sql(pg_database, "SELECT count(*) FROM account") == [(0,)]


def test_missing_rights_name_the_grant(target: PostgresTarget, pg_database: str) -> None:
    sql(pg_database, "DROP ROLE IF EXISTS t_pg_poor")
    sql(pg_database, "CREATE ROLE t_pg_poor LOGIN")
    try:
        poor = open_database(pg_database.replace("postgres@", "t_pg_poor@"))
        transaction = poor.begin()
        with pytest.raises(Unreachable, match="GRANT INSERT ON"):
            transaction.insert(table(target, "account"), accounts([1]), stop_after=0)
        transaction.rollback()
        with pytest.raises(Unreachable, match="GRANT SELECT ON"), poor.snapshot(["account"]):
            pass
        with poor.hold(), pytest.raises(Unreachable, match="GRANT CREATE ON DATABASE"):
            poor.raise_fence("r")
        with pytest.raises(Unreachable, match="GRANT USAGE ON SEQUENCE"):
            poor.reserve_keys(table(target, "contact"), "id", 1)
        poor.close()
    finally:
        sql(pg_database, "DROP OWNED BY t_pg_poor; DROP ROLE t_pg_poor")


@pytest.mark.promise(9)
@pytest.mark.parametrize(("server", "ours"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_p9_a_commit_that_was_answered_is_on_disk(pg_database: str, server: str, ours: str) -> None:
    """Also on a server that is set to answer earlier; one that waits for more keeps doing so."""
    with psycopg.connect(pg_database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = {server}'.encode())
    session = Session(pg_database)
    try:
        found = session.query("SELECT current_setting('synchronous_commit') AS v")["v"][0].as_py()
    finally:
        session.close()
    assert found == ours
