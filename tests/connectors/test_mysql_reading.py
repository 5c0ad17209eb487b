"""Snapshots, results that are not read to their end, rows of many packets, URLs."""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pymysql
import pytest
from migrate.connectors.mysql import read
from migrate.connectors.mysql.errors import SqlError
from migrate.connectors.mysql.session import Session
from migrate.connectors.mysql.url import mask, parameters
from migrate.connectors.mysql.wire import Rows
from migrate.errors import Drift, Transient, Unreachable, UsageError

from tests import mariadb
from tests.connectors.mysql_world import filled, opened

T = (
    "CREATE TABLE t (id int PRIMARY KEY, v text)",
    f"INSERT INTO t SELECT n, REPEAT('x', 200) FROM {mariadb.numbers(30_000)}",
)


@contextmanager
def reader_of(url: str, *grants: str) -> Iterator[str]:
    """The URL of a user who may read its database, and what is granted besides."""
    user = f"u_{mariadb.name_of(url)[-12:]}"
    mariadb.execute(
        url,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'canary'",
        f"GRANT SELECT ON `{mariadb.name_of(url)}`.* TO '{user}'@'%'",
        *(f"GRANT {g} TO '{user}'@'%'" for g in grants),
    )
    try:
        yield url.replace("//root@", f"//{user}:canary@")
    finally:
        mariadb.execute(url, f"DROP USER '{user}'@'%'")


def locks(url: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of the wish for the read lock while a snapshot was opened."""
    told: list[str] = []
    plain = Session.execute

    def execute(self: Session, sql: str | bytes) -> int:
        try:
            found = plain(self, sql)
        except SqlError as error:
            told.append(f"{sql!r}: {error.number}")
            raise
        if sql in ("FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES"):
            told.append(str(sql))
        return found

    monkeypatch.setattr(Session, "execute", execute)
    with opened(url) as target, target.snapshot(["t"]) as snapshot:
        assert snapshot.count("t") == 30_000
    return told


@pytest.mark.fineprint(21)
def test_f21_a_snapshot_is_begun_under_the_read_lock_and_the_lock_goes_at_once(
    my_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(my_database, *T)
    assert locks(my_database, monkeypatch) == ["FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES"]


@pytest.mark.fineprint(21)
def test_f21_without_the_right_one_connection_s_snapshot_serves(
    my_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(my_database, *T)
    with reader_of(my_database) as url:
        assert locks(url, monkeypatch) == ["'FLUSH TABLES WITH READ LOCK': 1227"]


@pytest.mark.fineprint(21)
def test_f21_a_server_that_is_busy_waits_for_us_no_longer_than_two_seconds(
    my_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that another session has locked keeps the read lock away: after the time-out it is done without."""
    filled(my_database, *T, "CREATE TABLE other (id int)")
    assert read._LOCK_SECONDS <= 2
    monkeypatch.setattr(read, "_LOCK_SECONDS", 1)
    locker = mariadb.connect(my_database)
    try:
        with locker.cursor() as cursor:
            cursor.execute("LOCK TABLES other WRITE")
            assert locks(my_database, monkeypatch) == ["'FLUSH TABLES WITH READ LOCK': 1205"]
    finally:
        locker.close()


@pytest.mark.fineprint(21)
def test_f21_a_table_cannot_be_altered_while_it_is_read(my_database: str) -> None:
    """Instant ADD COLUMN would be seen inside the snapshot: the metadata lock keeps it out."""
    filled(my_database, *T)
    with opened(my_database) as target, target.snapshot(["t"]) as snapshot:
        with pytest.raises(pymysql.OperationalError):
            mariadb.execute(
                my_database, "SET lock_wait_timeout = 1", "ALTER TABLE t ADD COLUMN w int DEFAULT 5"
            )
        snapshot.verify_unchanged()
        assert sum(b.num_rows for b in snapshot.read("t")) == 30_000


@pytest.mark.fineprint(21)
def test_f21_a_schema_that_changed_all_the_same_is_noticed(
    my_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(my_database, *T)
    with opened(my_database) as target, target.snapshot(["t"]) as snapshot:
        monkeypatch.setitem(snapshot._signature, "t", None)
        with pytest.raises(Drift) as caught:
            snapshot.verify_unchanged()
        assert caught.value.where == "t"


def test_triggers_that_a_user_is_not_shown_are_not_taken_for_none(my_database: str) -> None:
    filled(my_database, *T, "CREATE TRIGGER quiet BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'x'")
    with reader_of(my_database) as url, opened(url) as target:
        table = target.schema(["t"]).table("t")
        assert table.triggers == ()
        assert any("GRANT TRIGGER" in note for note in table.not_carried)
        user = url.split("//")[1].split(":")[0]
        mariadb.execute(my_database, f"GRANT TRIGGER ON `{mariadb.name_of(my_database)}`.* TO '{user}'@'%'")
        with opened(url) as again:
            table = again.schema(["t"]).table("t")
    assert (table.triggers, table.not_carried) == (("quiet",), ())


def test_a_result_that_is_not_read_to_its_end_leaves_the_snapshot_usable(my_database: str) -> None:
    filled(my_database, *T)
    with opened(my_database) as target, target.snapshot(["t"]) as snapshot:
        rows = snapshot.read("t")
        assert next(rows).num_rows > 0
        rows.close()  # type: ignore[attr-defined]
        mariadb.execute(my_database, "DELETE FROM t WHERE id < 100")
        assert sum(b.num_rows for b in snapshot.read("t", ["id"])) == 30_000
        last = snapshot.read("t", ["id"])
        while True:  # all of its rows are there, but not its end
            if next(last).column(0)[-1].as_py() == 30_000:
                break
        last.close()  # type: ignore[attr-defined]
        assert sum(b.num_rows for b in snapshot.read("t", ["id"])) == 30_000


def test_a_connection_that_ends_while_rows_come_is_an_error(my_database: str) -> None:
    """More rows than may be on their way already."""
    filled(
        my_database,
        "CREATE TABLE t (id int PRIMARY KEY, v longtext)",
        f"INSERT INTO t SELECT n, REPEAT('x', 1000000) FROM {mariadb.numbers(40)}",
    )
    with opened(my_database) as target, target.snapshot(["t"]) as snapshot:
        rows = snapshot.read("t")
        next(rows)
        snapshot._reader._connection._sock.shutdown(2)
        with pytest.raises(Transient) as caught:
            list(rows)
        assert caught.value.exit_code == 5


def test_rows_of_more_than_one_packet(my_database: str) -> None:
    """A value of 16 MB and more comes in several packets, and may end with one."""
    sizes = [2**24 - 1 - n for n in (0, 4, 5, 6)] + [5, 2**24 + 70_000]
    before = mariadb.query(my_database, "SELECT @@max_allowed_packet AS size")[0]["size"]
    mariadb.execute(my_database, "SET GLOBAL max_allowed_packet = 67108864")
    try:
        filled(
            my_database,
            "CREATE TABLE t (id int PRIMARY KEY, v longtext)",
            *(f"INSERT INTO t VALUES ({i}, REPEAT('{i}', {n}))" for i, n in enumerate(sizes)),
        )
        with opened(my_database) as target, target.snapshot(["t"]) as snapshot:
            found = pa.Table.from_batches(list(snapshot.read("t"))).sort_by("id")
    finally:
        mariadb.execute(my_database, f"SET GLOBAL max_allowed_packet = {before}")
    for row, size in enumerate(sizes):
        value = found["v"][row].as_py()
        assert (len(value), set(value)) == (size, {str(row)})


def packets(*payloads: bytes) -> bytes:
    return b"".join(len(p).to_bytes(3, "little") + bytes([n]) + p for n, p in enumerate(payloads))


class Drip(io.BytesIO):
    """A stream that gives a few bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        del size
        return super().read1(3)


EOF = b"\xfe\x00\x00\x22\x00"


def test_the_text_protocol_s_lengths() -> None:
    """One byte, two, three and eight; NULL; an empty text; however the bytes happen to come."""
    values = [b"", b"a" * 250, b"b" * 251, b"c" * 65535, b"d" * 65536]
    led = [b"\x00", b"\xfa", b"\xfc\xfb\x00", b"\xfc\xff\xff", b"\xfd\x00\x00\x01"]
    rows = [lead + value + b"\xfb" for lead, value in zip(led, values, strict=True)]
    rows.append(b"\xfb\xfe" + (4).to_bytes(8, "little") + b"long")
    for stream in (io.BytesIO(packets(*rows, EOF)), Drip(packets(*rows, EOF))):
        (block,) = list(Rows(stream, 2).blocks())
        assert block[0].to_pylist() == [*values, None]
        assert block[1].to_pylist() == [None] * 5 + [b"long"]


def test_an_error_in_the_middle_of_a_result_is_raised() -> None:
    stream = io.BytesIO(packets(b"\x01a", b"\xff\x25\x05#70100Query execution was interrupted"))
    with pytest.raises(pymysql.MySQLError) as caught:
        list(Rows(stream, 1).blocks())
    assert caught.value.args[0] == 1317
    with pytest.raises(pymysql.OperationalError):
        list(Rows(io.BytesIO(packets(b"\x01a")), 1).blocks())


def test_a_server_that_asks_for_a_file_gets_none(
    my_database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any statement may be answered with a wish for a file of this machine."""
    secret = tmp_path_factory.mktemp("here") / "secret"
    secret.write_text("canary\n")
    filled(my_database, "CREATE TABLE t (v text)")
    with Session(my_database) as open_session:
        with pytest.raises(SqlError) as caught:
            open_session.execute(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE t")
        assert caught.value.lost
    assert mariadb.query(my_database, "SELECT * FROM t") == []


def test_many_sessions_read_at_once(my_database: str) -> None:
    filled(my_database, *T)
    counts: list[int] = []

    def count() -> None:
        with opened(my_database) as target, target.snapshot(["t"]) as snapshot:
            counts.append(sum(b.num_rows for b in snapshot.read("t")))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [30_000] * 4


def test_what_a_url_says() -> None:
    found = parameters(
        "mariadb://us%40er:p%2Fw@db.example:3307/crm?unix_socket=/run/db.sock&connect_timeout=3"
    )
    assert found == {
        "host": "db.example", "port": 3307, "user": "us@er", "password": "p/w", "database": "crm",
        "connect_timeout": 3, "unix_socket": "/run/db.sock",
    }  # fmt: skip
    assert parameters("mysql://h/d?ssl-mode=DISABLED")["ssl_disabled"] is True
    assert "ssl" not in parameters("mysql://h/d")
    required, verified = (
        parameters(f"mysql://h/d?ssl_mode={m}")["ssl"] for m in ("required", "verify_identity")
    )
    assert (required.verify_mode, required.check_hostname) == (ssl.CERT_NONE, False)
    assert (verified.verify_mode, verified.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:canary@h",
        "mysql://u:canary@h:port/d",
        "mysql://u:canary@h/d?charset=latin1",
        "mysql://u:canary@h/d?ssl_mode=perhaps",
        "mysql://u:canary@h/d?ssl_ca=/nowhere.pem",
        "mysql://u:canary@h/d?connect_timeout=soon",
    ],
)
def test_urls_that_say_too_little_or_too_much(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parameters(url)
    assert "canary" not in str(caught.value)


def test_only_what_may_pass_is_tried_again() -> None:
    """A host that does not exist stays so; one that does not answer may be starting."""
    with pytest.raises(Unreachable) as caught:
        Session("mysql://u:canary@no-such-host.invalid/d?connect_timeout=5")
    assert not isinstance(caught.value, Transient)
    assert "host name" in caught.value.hint
    with pytest.raises(Transient) as refused:
        Session("mysql://u:canary@127.0.0.1:1/d")
    assert "canary" not in f"{caught.value} {refused.value}"


def test_passwords_are_masked() -> None:
    assert mask("mysql://u:canary@h/d?ssl_key_password=canary&ssl_mode=required") == (
        "mysql://u:***@h/d?ssl_key_password=***&ssl_mode=required"
    )
