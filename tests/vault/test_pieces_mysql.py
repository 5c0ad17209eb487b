"""Large tables of MariaDB and MySQL: captured in ranges of their key, by several sessions that see the same moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from migrate import canon, failpoints
from migrate.connectors.mysql import pieces, read
from migrate.connectors.mysql.target import MysqlTarget
from migrate.connectors.protocol import Divided
from migrate.vault.capture import Capture, capture

from tests import mariadb
from tests.connectors.mysql_world import filled, opened
from tests.vault.test_pieces import passed, rows_of

ROWS = 3_000
PEOPLE = (
    "CREATE TABLE people (id bigint PRIMARY KEY, name varchar(200), latin varchar(40) CHARACTER SET latin1, amount decimal(12,2), "
    "ratio double, raw varbinary(40), at datetime(6), born date)",
    "INSERT INTO people WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000) "
    "SELECT i * 7 - 2000, CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE CONCAT('N', i, REPEAT('x', 150)) END, 'é', i * 1.10, i / 3, "
    "NULLIF(UNHEX(LPAD(HEX(i), 8, '0')), UNHEX('00000005')), TIMESTAMP('2020-01-01') + INTERVAL i MICROSECOND, DATE '1950-01-01' + INTERVAL i DAY FROM s",
    "INSERT INTO people SELECT id + 100000, name, latin, amount, ratio, raw, at, born FROM people",
    "INSERT INTO people SELECT id + 500000, name, latin, amount, ratio, raw, at, born FROM people WHERE id > 100000 - 2000",
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 64 << 10)


@pytest.fixture
def url(my_database: str) -> str:
    filled(my_database, *PEOPLE, "ANALYZE TABLE people")
    return my_database


@pytest.fixture
def database(url: str) -> Iterator[MysqlTarget]:
    with opened(url) as target:
        yield target


def taken(database: MysqlTarget, folder: Path, workers: int = 3, table: str = "people") -> Capture:
    return capture(database, [table], folder, advance=lambda _: None, point="extract", workers=workers)


def whole(database: MysqlTarget, table: str = "people") -> canon.Digest:
    with database.snapshot([table]) as snapshot:
        return canon.digest(snapshot.read(table), snapshot.schema.table(table).types)


@contextmanager
def logged(log: Path) -> Iterator[None]:
    failpoints.arm(log_path=str(log))
    try:
        yield
    finally:
        failpoints.arm()


@pytest.mark.fineprint(19)
@pytest.mark.promise(32)
def test_every_row_is_in_exactly_one_piece(database: MysqlTarget, tmp_path: Path) -> None:
    found = taken(database, tmp_path / "rows")
    assert len(found.parts["people"]) > 3
    assert [p.index for p in found.parts["people"]] == list(range(len(found.parts["people"])))
    assert found.rows == ROWS
    assert found.digests["people"] == whole(database).text()
    ids = [row[0] for row in rows_of(tmp_path / "rows", found)]
    assert ids == sorted(ids)
    with database.snapshot(["people"]) as snapshot:
        assert isinstance(snapshot, Divided)
        names = snapshot.pieces("people")
        assert names[0].startswith("[null,")
        assert names[-1].endswith(",null]")


@pytest.mark.fineprint(19)
@pytest.mark.parametrize(
    "key",
    [
        "a varchar(20) COLLATE utf8mb4_general_ci, b int, PRIMARY KEY (a, b)",
        "a varchar(20) CHARACTER SET latin1, b int, PRIMARY KEY (a, b)",
        "a char(20) CHARACTER SET ucs2, b decimal(9,2), PRIMARY KEY (b, a)",
        "a varbinary(20), b bigint unsigned, PRIMARY KEY (a, b)",
        "a varchar(20) CHARACTER SET utf8mb3, b int, c datetime(3) DEFAULT '2024-02-03 04:05:06.007', PRIMARY KEY (a, c, b)",
    ],
)
def test_any_key_that_has_an_exact_order_is_cut(my_database: str, tmp_path: Path, key: str) -> None:
    """Texts that their collation takes for equal, quotes and backslashes, keys of several columns."""
    filled(
        my_database,
        f"CREATE TABLE t ({key.replace('PRIMARY', 'v text, PRIMARY')})",
        "INSERT INTO t (a, b, v) WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < 999) "
        r"SELECT CASE i % 5 WHEN 0 THEN '' WHEN 1 THEN 'aé' WHEN 2 THEN 'AÉ''\\' WHEN 3 THEN '\\_%\'' ELSE CONCAT('k', i) END, i, REPEAT('y', 300) FROM s",
        "ANALYZE TABLE t",
    )
    with opened(my_database) as database:
        found = taken(database, tmp_path / "rows", table="t")
        assert len(found.parts["t"]) > 3
        assert (found.rows, found.digests["t"]) == (1_000, whole(database, "t").text())
        with database.snapshot(["t"]) as snapshot:
            assert isinstance(snapshot, Divided)
            piece = snapshot.pieces("t")[2]
            where = pieces.within(pieces.key_of(snapshot.schema.table("t")), piece)
        plan = mariadb.query(my_database, f"EXPLAIN FORMAT=TRADITIONAL SELECT * FROM t{where}")[0]
        assert (plan["type"], plan["key"]) == ("range", "PRIMARY")  # the index finds it: no scan per piece


@pytest.mark.parametrize(
    "table",
    [
        "a int",
        "a enum('z', 'b', 'a') PRIMARY KEY",
        "a double PRIMARY KEY",
        "a varchar(600), PRIMARY KEY (a(5))",
    ],
)
def test_a_table_without_such_a_key_is_read_as_a_whole(my_database: str, table: str) -> None:
    filled(my_database, f"CREATE TABLE t ({table})")
    with opened(my_database) as database, database.snapshot(["t"]) as snapshot:
        assert isinstance(snapshot, Divided)
        assert snapshot.pieces("t") == (pieces.WHOLE,)


def test_pieces_are_read_at_the_same_time_as_of_one_moment(database: MysqlTarget, url: str) -> None:
    met = threading.Barrier(2)

    def two_readers(snapshot: Divided, piece: str) -> int:
        rows = snapshot.read_piece("people", piece)
        first = next(rows)
        met.wait(timeout=20)  # both are in the middle of their piece
        return first.num_rows + sum(batch.num_rows for batch in rows)

    with database.snapshot(["people"], readers=2) as snapshot:
        assert isinstance(snapshot, Divided)
        assert snapshot.alone == ""
        mariadb.execute(url, "UPDATE people SET name = 'later'", "DELETE FROM people WHERE id > 0")
        names, found = snapshot.pieces("people"), {}
        threads = [
            threading.Thread(target=lambda n=n: found.update({n: two_readers(snapshot, n)}))
            for n in names[-2:]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted(names[-2:])
        rest = [batch for n in names[:-2] for batch in snapshot.read_piece("people", n)]
        assert sum(found.values()) + sum(b.num_rows for b in rest) == ROWS
        assert "later" not in {v for b in rest for v in b["name"].to_pylist()}


@pytest.mark.fineprint(21)
def test_without_the_read_lock_one_connection_reads_the_pieces_and_says_so(
    database: MysqlTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions that began their snapshots one after the other would not see the same."""
    monkeypatch.setattr(read, "_LOCK_SECONDS", 1)
    locker, said = mariadb.connect(str(database._url)), list[str]()
    try:
        with locker.cursor() as cursor:
            cursor.execute("CREATE TABLE other (id int)")
            cursor.execute("LOCK TABLES other WRITE")
            with database.snapshot(["people"], readers=3) as snapshot:
                assert len(snapshot._together.sessions) == 1
            found = capture(
                database, ["people"], tmp_path / "rows", advance=lambda _: None, point="extract", workers=3, note=said.append
            )  # fmt: skip
    finally:
        locker.close()
    assert len(found.parts["people"]) > 3
    assert found.digests["people"] == whole(database).text()
    assert [s.partition(": ")[2] for s in said] == [
        "large tables are read over one connection: FLUSH TABLES WITH READ LOCK was not to be had within 1 s"
    ]


@pytest.mark.fineprint(20)
@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("", False),
        ("UPDATE people SET name = '' WHERE name IS NULL AND id < 100 LIMIT 1", True),
        ("UPDATE people SET name = 'NULL' WHERE name IS NULL LIMIT 1", True),
        ("UPDATE people SET ratio = ratio + 1e-13 WHERE ratio = 1 LIMIT 1", True),
        ("UPDATE people SET raw = NULL WHERE raw IS NOT NULL LIMIT 1", True),
        ("UPDATE people SET latin = 'e' LIMIT 1", True),
        ("UPDATE people SET latin = 'É' LIMIT 1", True),
        ("UPDATE people SET at = at + INTERVAL 1 MICROSECOND LIMIT 1", True),
        ("UPDATE people SET name = CONCAT(name, ' ') WHERE name = '' LIMIT 1", True),
        ("DELETE FROM people WHERE id = 16", True),
        ("INSERT INTO people SELECT id + 3, name, latin, amount, ratio, raw, at, born FROM people WHERE id = 16", True),
    ],
)  # fmt: skip
def test_a_mark_is_of_all_values(database: MysqlTarget, url: str, change: str, seen: bool) -> None:
    with database.snapshot(["people"]) as snapshot:
        names = snapshot.pieces("people")
        before = [snapshot.mark("people", name) for name in names]
    if change:
        mariadb.execute(url, change)
    with database.snapshot(["people"]) as snapshot:
        assert ([snapshot.mark("people", name) for name in names] != before) is seen


@pytest.mark.fineprint(20)
@pytest.mark.parametrize("type_", ["longblob", "longtext"])
@pytest.mark.parametrize("change", ["'b'", "NULL"])
def test_a_mark_tells_values_that_no_packet_could_print(my_database: str, type_: str, change: str) -> None:
    long = "(SELECT @@max_allowed_packet) DIV 2 + 1"
    filled(
        my_database,
        f"CREATE TABLE t (id int PRIMARY KEY, v {type_})",
        f"INSERT INTO t VALUES (1, REPEAT('a', {long}))",
    )
    with opened(my_database) as database:
        with database.snapshot(["t"]) as snapshot:
            before = snapshot.mark("t", pieces.WHOLE)
            assert snapshot.mark("t", pieces.WHOLE) == before
        mariadb.execute(my_database, f"UPDATE t SET v = REPEAT({change}, {long})")
        with database.snapshot(["t"]) as snapshot:
            assert snapshot.mark("t", pieces.WHOLE) != before


def test_a_mark_that_the_server_could_not_take_equals_none(
    database: MysqlTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = pieces.mark_sql

    def unhashed(*given: Any) -> str:
        return sql(*given).replace("SHA2(CONCAT_WS", "NULLIF(1, 1) + SHA2(CONCAT_WS")

    monkeypatch.setattr(read, "mark_sql", unhashed)
    with database.snapshot(["people"]) as snapshot:
        assert snapshot.mark("people", pieces.WHOLE) != snapshot.mark("people", pieces.WHOLE)


@pytest.mark.fineprint(19)
@pytest.mark.fineprint(23)
@pytest.mark.promise(21)
@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        ([], 4, 4),
        (["UPDATE people SET name = 'changed' WHERE id = 16"], 3, 3),
        (
            ["INSERT INTO people (id) VALUES (-9999)"],
            3,
            3,
        ),  # bounds stay where they were: one piece is another
        (["INSERT INTO people (id) VALUES (9999999)"], 4, 4),
        (["DELETE FROM people"], 0, 0),
        (["ALTER TABLE people DROP PRIMARY KEY, ADD PRIMARY KEY (at, id)"], 0, 0),
    ],
)
def test_a_capture_that_was_cut_off_keeps_what_is_still_the_same(
    database: MysqlTarget, url: str, tmp_path: Path, change: list[str], least: int, most: int
) -> None:
    folder, log = tmp_path / "rows", tmp_path / "log"
    failpoints.arm("extract.piece.renamed:4:raise")
    try:
        with pytest.raises(failpoints.FailpointError):
            taken(database, folder, workers=1)
    finally:
        failpoints.arm()
    mariadb.execute(url, *change)
    with logged(log):
        found = taken(database, folder)
    assert least <= passed(log, "extract.piece_kept") <= most
    assert found.digests["people"] == whole(database).text()
    assert all("piece-" in p.path and "-9999" not in p.path for p in found.parts["people"])


def test_a_table_that_grew_is_cut_further_at_its_end(database: MysqlTarget, url: str, tmp_path: Path) -> None:
    with database.snapshot(["people"]) as snapshot:
        before = snapshot.pieces("people")
        mariadb.execute(url, "INSERT INTO people (id, name) SELECT id + 2000000, name FROM people")
    with database.snapshot(["people"]) as snapshot:
        after = snapshot.pieces("people", before)
        assert len(after) > len(before)
        assert after[: len(before) - 1] == before[:-1]
        assert snapshot.pieces("people", ['[null,["5","6"]]', '[["5","6"],null]']) != before[:0]
        counted: list[Any] = [b.num_rows for n in after for b in snapshot.read_piece("people", n)]
        assert sum(counted) == 2 * ROWS


def test_small_tables_take_no_further_sessions(my_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1 << 30)
    filled(my_database, "CREATE TABLE t (id int PRIMARY KEY)")
    with opened(my_database) as database, database.snapshot(["t"], readers=4) as snapshot:
        assert (len(snapshot._together.sessions), snapshot.alone) == (1, "")
        assert snapshot.pieces("t") == (pieces.WHOLE,)
