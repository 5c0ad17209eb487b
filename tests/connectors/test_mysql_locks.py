"""A lock that is waited for in vain: who holds it, as far as this server and this user can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from migrate.connectors.locked import Locked
from migrate.connectors.mysql import session
from migrate.connectors.mysql.target import MysqlTarget

from tests import mariadb
from tests.connectors.mysql_world import filled, opened
from tests.connectors.test_mysql_reading import reader_of
from tests.contracts.rows import table_of


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lock_wait_timeout", "innodb_lock_wait_timeout"):
        monkeypatch.setitem(session._SETTINGS, name, "1")


@pytest.fixture
def url(my_database: str) -> str:
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    return my_database


@contextmanager
def busy(url: str, *statements: str) -> Iterator[int]:
    """Another program's session that holds what the statements took; its number."""
    other = mariadb.connect(url)
    try:
        with other.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            yield other.thread_id()
    finally:
        other.close()


@contextmanager
def telling(url: str) -> Iterator[None]:
    """MariaDB with its plugin; MySQL tells anyway."""
    if mariadb.query(url, "SELECT @@performance_schema AS tells")[0]["tells"]:
        yield
        return
    try:
        mariadb.execute(url, "INSTALL SONAME 'metadata_lock_info'")
    except pymysql.MySQLError:
        pytest.skip("this MariaDB has no plugin METADATA_LOCK_INFO")
    try:
        yield
    finally:
        mariadb.execute(url, "UNINSTALL SONAME 'metadata_lock_info'")


def deleting(target: MysqlTarget) -> str:
    """The hint of a delete that does not get its row."""
    table = target.schema(["t"]).table("t")
    transaction = target.begin()
    with pytest.raises(Locked) as caught:
        transaction.delete(table, ["id"], table_of(table, [{"id": 1}]).select(["id"]))
    assert caught.value.exit_code == 5
    return caught.value.hint


def test_who_holds_a_row_is_named(url: str) -> None:
    with telling(url), opened(url) as target, busy(url, "BEGIN", "UPDATE t SET v = 9") as number:
        hint = deleting(target)
    assert hint.startswith(f"t is locked by connection {number} (root@")
    assert "SHARED_WRITE, idle for " in hint
    assert "9" not in hint.replace(str(number), "")


def test_who_holds_a_table_is_named_to_its_reader(url: str) -> None:
    with telling(url), opened(url) as target, busy(url, "LOCK TABLES t WRITE") as number:
        with pytest.raises(Locked) as caught, target.snapshot(["t"]):
            raise AssertionError("a snapshot of a table that is locked")
        assert caught.value.hint.startswith(f"t is locked by connection {number} (root@")


def test_a_reader_is_in_the_way_of_who_changes_the_table_and_of_nobody_else(url: str) -> None:
    with telling(url), opened(url) as target, busy(url, "BEGIN", "SELECT * FROM t") as number:
        with pytest.raises(Locked) as caught, target.changing() as connection:
            connection.execute(sa.text("ALTER TABLE `t` ADD COLUMN w int"))
        assert caught.value.hint.startswith(f"t is locked by connection {number} (root@")
        assert "SHARED_READ" in caught.value.hint
        with busy(url, "BEGIN", "UPDATE t SET v = 9") as writer:
            hint = deleting(target)
        assert f"connection {writer} " in hint
        assert f"connection {number} " not in hint


def test_our_own_sessions_are_not_named(url: str) -> None:
    with telling(url), opened(url) as target:
        table, first = target.schema(["t"]).table("t"), target.begin()
        first.delete(table, ["id"], table_of(table, [{"id": 1}]).select(["id"]))
        assert deleting(target) == (
            "t was locked, but no session besides ours is seen to hold it now: run the same command again."
        )
        first.rollback()


def test_where_the_server_does_not_tell_the_open_transactions_are_named_as_such(url: str) -> None:
    found: list[dict[str, Any]] = mariadb.query(url, "SELECT @@performance_schema AS tells")
    if found[0]["tells"]:
        pytest.skip("this server tells")
    with opened(url) as target, busy(url, "BEGIN", "UPDATE t SET v = 9") as number:
        hint = deleting(target)
    assert hint.startswith(
        f"This server does not tell who holds the lock on t; it may be connection {number} (root@"
    )


def test_who_may_not_see_others_is_told_what_it_takes(url: str) -> None:
    with reader_of(url) as reader:
        user = reader.split("//")[1].split(":")[0]
        mariadb.execute(
            url,
            f"GRANT DELETE, CREATE TEMPORARY TABLES ON `{mariadb.name_of(url)}`.* TO '{user}'@'%'",
        )
        with opened(reader) as target, busy(url, "BEGIN", "UPDATE t SET v = 9"):
            hint = deleting(target)
    assert hint.startswith("Who holds the lock on t is not seen")
    assert "GRANT PROCESS" in hint
