"""What MySQL would store as something else is refused; transactions that are over are not committed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from migrate.connectors.mysql import write
from migrate.connectors.mysql.errors import SqlError, from_driver, raised, reject_code
from migrate.connectors.mysql.session import WRITING, Session
from migrate.connectors.mysql.target import MysqlTarget
from migrate.connectors.mysql.transaction import _led
from migrate.errors import Busy, GateClosed, MigrateError, TooManyQuarantined, Unreachable
from migrate.model import Rejected
from pymysql.err import DataError, IntegrityError, OperationalError

from tests import mariadb
from tests.connectors.mysql_world import filled, opened
from tests.contracts.rows import table_of


def insert(
    target: MysqlTarget, table: str, rows: list[dict[str, Any]], stop_after: int = 100
) -> list[Rejected]:
    declared = target.schema([table]).table(table)
    transaction = target.begin()
    try:
        found = transaction.insert(declared, table_of(declared, rows, list(rows[0])), stop_after=stop_after)
        transaction.commit()
    finally:
        transaction.rollback()
    return found


# declared type → (value that the server would change without an error, value that it keeps)
CHANGED: dict[str, tuple[Any, Any]] = {
    "varchar(3)": ("abc ", "ab "),
    "enum('new','old')": ("NEW", "new"),
    "enum('a','b')": ("1", "b"),
    "set('a','b')": ("A", "a,b"),
    "year": (5, 2005),
    "binary(3)": (b"ab", b"ab\0"),
    "datetime": (dt.datetime(2024, 1, 1, 0, 0, 0, 1), dt.datetime(2024, 1, 1)),
    "time(3)": (dt.time(1, 2, 3, 4), dt.time(1, 2, 3, 4000)),
    "double": (-0.0, 0.5),
    "float": (float("inf"), -0.5),
    "varchar(9) CHARACTER SET latin1": ("漢", "ä"),
    "varchar(9) CHARACTER SET utf8mb3": ("😀", "漢"),
    "timestamp NULL": (dt.datetime(1969, 1, 1, tzinfo=dt.UTC), dt.datetime(1971, 1, 1, tzinfo=dt.UTC)),
    "bit(3)": (8, 7),
    "tinyint(3) unsigned": (-1, 255),
    "json": ("{", "{}"),
}


@pytest.mark.fineprint(2)
@pytest.mark.promise(15)
@pytest.mark.parametrize("declared", CHANGED)
def test_f02_p15_what_would_be_stored_as_something_else_is_refused(my_database: str, declared: str) -> None:
    bad, good = CHANGED[declared]
    filled(my_database, f"CREATE TABLE t (id int PRIMARY KEY, v {declared})")
    with opened(my_database) as target:
        refused = insert(target, "t", [{"id": 1, "v": bad}, {"id": 2, "v": good}, {"id": 3, "v": None}])
        assert [(r.ordinal, r.code) for r in refused] in ([(0, "db_value")], [(0, "db_check")])
        with target.snapshot(["t"]) as snapshot:
            rows = pa.Table.from_batches(list(snapshot.read("t"))).sort_by("id").to_pylist()
    assert rows == [{"id": 2, "v": good}, {"id": 3, "v": None}]


@pytest.mark.fineprint(2)
def test_f02_a_warning_while_a_file_is_loaded_ends_the_part(
    my_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOAD DATA LOCAL has no strict mode: were a value to change on its way, only a warning would tell."""
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY, v text)")
    monkeypatch.setattr(write, "file_of", lambda rows, types: [b"0\t1\tx\n1\tgarbage\ty\n"])
    with opened(my_database) as target:
        with pytest.raises(Unreachable, match="warnings"):
            insert(target, "t", [{"id": 1, "v": "x"}, {"id": 2, "v": "y"}])
        assert mariadb.query(my_database, "SELECT * FROM t") == []


@pytest.mark.fineprint(1)
@pytest.mark.parametrize(
    "ended", ["ROLLBACK", "COMMIT", "CREATE TABLE made (id int)", "START TRANSACTION", "ROLLBACK AND CHAIN"]
)
def test_f01_only_the_transaction_that_was_begun_is_committed(my_database: str, ended: str) -> None:
    """Whatever ends it, DDL among it, even where another one is open by then."""
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY)")
    with opened(my_database) as target:
        transaction = target.begin()
        transaction._session.execute(ended)
        transaction._session.execute(
            "INSERT INTO t VALUES (1)"
        ) if "CHAIN" in ended or "START" in ended else None
        with pytest.raises(Unreachable, match="nothing was committed"):
            transaction.commit()
        assert mariadb.query(my_database, "SELECT * FROM t") == []


@pytest.mark.fineprint(1)
def test_f01_a_lock_that_is_not_had_in_time_ends_the_whole_part(my_database: str) -> None:
    """MariaDB itself would undo but the statement, and keep the receipt."""
    filled(
        my_database,
        "CREATE TABLE r (id int PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, v int)",
        "INSERT INTO t VALUES (1, 1)",
    )
    other = mariadb.connect(my_database)
    try:
        with opened(my_database) as target, other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE t SET v = 2")
            declared = target.schema(["r", "t"])
            transaction = target.begin()
            transaction._session.execute("SET SESSION innodb_lock_wait_timeout = 1")
            transaction.insert(declared.table("r"), table_of(declared.table("r"), [{"id": 1}]), stop_after=0)
            with pytest.raises(Unreachable) as caught:
                transaction.update(
                    declared.table("t"),
                    ["id"],
                    table_of(declared.table("t"), [{"id": 1, "v": 5}]),
                    stop_after=9,
                )
            assert "lock" in caught.value.hint
            with pytest.raises(Unreachable):
                transaction.commit()
    finally:
        other.close()
    assert mariadb.query(my_database, "SELECT * FROM r") == []


@pytest.mark.fineprint(8)
def test_f08_keys_follow_the_equality_of_their_column(my_database: str) -> None:
    """In a case-insensitive column 'A' is 'a'; what its character set lacks equals nothing; blanks at the end count by
    the column's collation."""
    filled(
        my_database,
        f"CREATE TABLE t (id int PRIMARY KEY, v varchar(9) CHARACTER SET latin1, w varchar(9) COLLATE {mariadb.bytewise(my_database)})",
        "INSERT INTO t VALUES (1, 'Ab', 'x'), (2, '?', 'x '), (3, 'cd', 'X')",
    )
    with opened(my_database) as target:
        table = target.schema(["t"]).table("t")
        transaction = target.begin()

        def found(column: str, *texts: str) -> list[int]:
            keys = table_of(table, [{column: t} for t in texts], [column])
            rows = transaction.fetch(table, [column], keys, ["id"], lock=True)
            return sorted(int(str(i)) for i in rows["id"].to_pylist())

        assert found("v", "aB", "AB", "CD") == [1, 3]
        assert found("v", "漢", "😀") == []
        assert found("w", "x") == [1]
        assert found("w", "x ", "X") == [2, 3]
        update = table_of(table, [{"v": "漢", "w": "no"}, {"v": "AB", "w": "yes"}], ["v", "w"])
        assert transaction.update(table, ["v"], update, stop_after=0) == []
        transaction.commit()
    assert [r["w"] for r in mariadb.query(my_database, "SELECT w FROM t ORDER BY id")] == ["yes", "x ", "X"]


@pytest.mark.fineprint(7)
def test_f07_nobody_gets_a_reserved_key_while_it_waits(my_database: str) -> None:
    """AUTO_INCREMENT goes beyond reserved keys by an insert that is rolled back, whatever the table demands of a row."""
    filled(
        my_database,
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, p_id int NOT NULL, v varchar(9) NOT NULL CHECK (v <> ''), "
        "FOREIGN KEY (p_id) REFERENCES p (id))",
        "INSERT INTO p VALUES (1)",
    )
    with opened(my_database) as target:
        table = target.schema(["t"]).table("t")
        with pytest.raises(Busy):
            target.reserve_keys(table, "id", 1)
        with target.hold():
            assert target.reserve_keys(table, "id", 3).to_pylist() == [1, 2, 3]
            mariadb.execute(my_database, "INSERT INTO t (p_id, v) VALUES (1, 'user')")
            assert target.reserve_keys(table, "id", 2).to_pylist() == [5, 6]
    assert [r["id"] for r in mariadb.query(my_database, "SELECT id FROM t")] == [4]


def test_a_table_keyed_by_an_unsigned_number_is_written_and_read(my_database: str) -> None:
    filled(my_database, "CREATE TABLE t (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, v int)")
    with opened(my_database) as target, target.hold():
        table = target.schema(["t"]).table("t")
        keys = target.reserve_keys(table, "id", 2).to_pylist()
        assert insert(target, "t", [{"id": k, "v": 1} for k in keys]) == []
        transaction = target.begin()
        assert transaction.delete(table, ["id"], table_of(table, [{"id": keys[0]}], ["id"])) == 1
        transaction.commit()
    assert mariadb.query(my_database, "SELECT id, v FROM t") == [{"id": keys[1], "v": 1}]


def test_without_rights_the_grant_is_named(my_database: str) -> None:
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY)")
    user = f"u_{mariadb.name_of(my_database)[-12:]}"
    mariadb.execute(
        my_database,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'canary'",
        f"GRANT SELECT, CREATE TEMPORARY TABLES ON `{mariadb.name_of(my_database)}`.* TO '{user}'@'%'",
    )
    try:
        with opened(my_database.replace("//root@", f"//{user}:canary@")) as target:
            with pytest.raises(Unreachable) as caught:
                insert(target, "t", [{"id": 1}])
            assert (
                f"GRANT INSERT ON `{mariadb.name_of(my_database)}`.`t` TO '{user}'@'%'" in caught.value.hint
            )
    finally:
        mariadb.execute(my_database, f"DROP USER '{user}'@'%'")


@pytest.mark.parametrize("files", [True, False])
def test_a_row_that_is_larger_than_a_packet(my_database: str, files: bool) -> None:
    """As a file it goes in; as a statement it would end the connection, so it is told before."""
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY, v longblob)")
    with opened(my_database) as target:
        table = target.schema(["t"]).table("t")
        transaction = target.begin()
        transaction._session.takes_files &= files
        value = b"x" * (transaction._session.max_packet + 5)
        rows = table_of(table, [{"id": 1, "v": value}])
        if not transaction._session.takes_files:
            with pytest.raises(Unreachable) as caught:
                transaction.insert(table, rows, stop_after=0)
            assert "max_allowed_packet" in caught.value.hint
            return
        assert transaction.insert(table, rows, stop_after=0) == []
        transaction.commit()
        with target.snapshot(["t"]) as snapshot:
            (batch,) = snapshot.read("t", ["v"])
        assert batch.column(0)[0].as_py() == value


def test_more_refusals_than_allowed_stop_the_part(my_database: str) -> None:
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY, v float)")
    with opened(my_database) as target, pytest.raises(TooManyQuarantined):
        insert(target, "t", [{"id": i, "v": float("nan")} for i in range(5)], stop_after=4)


MESSAGES: dict[str, tuple[Exception, str | None, str]] = {
    "unique": (IntegrityError(1062, "Duplicate entry 'canary' for key 'x'' for key 'once'"), "db_unique", "once"),
    "unique of MySQL": (IntegrityError(1062, "Duplicate entry 'canary' for key 't.once'"), "db_unique", "once"),
    "foreign key": (
        IntegrityError(1452, "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `fk` FOREIGN KEY (`a`) REFERENCES `p` (`id`))"),
        "db_foreign_key",
        "fk",
    ),
    "check": (OperationalError(4025, "CONSTRAINT `ok` failed for `d`.`t`"), "db_check", "ok"),
    "check of MySQL": (OperationalError(3819, "Check constraint 'ok' is violated."), "db_check", "ok"),
    "not null": (IntegrityError(1048, "Column 'c' cannot be null"), "db_not_null", "c"),
    "text": (DataError(1366, "Incorrect string value: 'canary' for column `d`.`t`.`c` at row 1"), "db_value", "c"),
    "date": (DataError(1292, "Incorrect datetime value: 'canary'"), "db_value", ""),
    "a value that looks like a name": (
        DataError(1292, "Truncated incorrect datetime value: 'CONSTRAINT `canary` FOREIGN KEY'"),
        "db_value",
        "",
    ),
    "a value that looks like a column": (
        DataError(1366, "Incorrect string value: 'for column 'canary' at row 1' for column `d`.`t`.`c` at row 1"),
        "db_value",
        "c",
    ),
    "row too wide": (OperationalError(1118, "Row size too large. canary"), "db_value", ""),
    "too long": (DataError(1406, "Data too long for column 'c' at row 3"), "db_value", "c"),
    "trigger": (OperationalError(1644, "canary may not"), "db_other", ""),
    "syntax": (OperationalError(1064, "near 'canary'"), None, ""),
}  # fmt: skip


@pytest.mark.promise(26)
@pytest.mark.parametrize("name", MESSAGES)
def test_p26_of_an_error_only_its_number_and_a_name_are_kept(name: str) -> None:
    error, code, place = MESSAGES[name]
    found = from_driver(error, "MariaDB")
    assert (reject_code(found), found.place) == (code, place)
    told: MigrateError = raised(found, "writing t", where="t")
    assert "canary" not in repr((found, str(told), found.args, vars(found)))
    assert isinstance(told, GateClosed if code else Unreachable)


def test_a_lost_connection_is_told_as_such(my_database: str) -> None:
    with Session(my_database, WRITING) as session:
        mariadb.execute(my_database, f"KILL CONNECTION {session.id}")
        with pytest.raises(SqlError) as caught:
            session.execute("DO 1")
        assert caught.value.lost
        assert session.broken
        assert raised(caught.value, "writing").exit_code == 5


@pytest.mark.parametrize(
    ("declared", "key", "led"),
    [
        ("a int PRIMARY KEY, b int", ["a"], True),
        ("a varchar(9) CHARACTER SET latin1, b varchar(9), PRIMARY KEY (b, a)", ["a", "b"], True),
        ("a int PRIMARY KEY, b varchar(9), KEY (b)", ["b"], True),
        ("a int, b int, PRIMARY KEY (b, a)", ["a"], False),
        ("a enum('x', 'y') PRIMARY KEY, b int", ["a"], False),
        ("a int PRIMARY KEY, b varchar(9)", ["b"], False),
        ("a int PRIMARY KEY, b text, KEY (b(5))", ["b"], False),
    ],
)
def test_an_index_that_serves_begins_with_the_key(
    my_database: str, declared: str, key: list[str], led: bool
) -> None:
    filled(my_database, f"CREATE TABLE t ({declared})")
    with opened(my_database) as target:
        assert _led(target.schema(["t"]).table("t"), key) is led


@pytest.mark.parametrize("kind", ["int", "varchar(20)", "varchar(20) CHARACTER SET latin1"])
def test_rows_are_found_by_their_index_and_not_by_reading_the_whole_table(
    my_database: str, kind: str
) -> None:
    """A part of a load would read all that is loaded already, and the load take the square of its rows."""
    filled(
        my_database,
        f"CREATE TABLE t (k {kind} PRIMARY KEY, v int)",
        f"INSERT INTO t SELECT n, n FROM {mariadb.numbers(20_000)}",
        "ANALYZE TABLE t",
    )
    with opened(my_database) as target:
        table = target.schema(["t"]).table("t")
        wanted = [{"k": n if kind == "int" else str(n), "v": -1} for n in range(1, 8_000)]
        keys = table_of(table, wanted, ["k"])
        transaction = target.begin()
        scanned = "SHOW SESSION STATUS LIKE 'Handler_read_rnd_next'"
        before = int(transaction._session.rows(scanned)[0][1])
        assert transaction.fetch(table, ["k"], keys, ["v"]).num_rows == len(wanted)
        assert transaction.update(table, ["k"], table_of(table, wanted), stop_after=0) == []
        assert transaction.delete(table, ["k"], keys) == len(wanted)
        steps = int(transaction._session.rows(scanned)[0][1]) - before
        transaction.rollback()
    # the staged keys, a few times over; three readings of the table would be 60,000 more
    assert steps < 12 * len(wanted)
