"""Schemas restored as they were; only what carries the mark, or nothing at all, is dropped."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from migrate.connectors.mysql.place import open_place
from migrate.connectors.mysql.scratch import drop_leftovers, open_scratch
from migrate.errors import GateClosed, Unreachable, UsageError
from migrate.vault.expressions import without_expressions

from tests import mariadb
from tests.connectors.mysql_world import assert_restored, filled, opened, scratch_of
from tests.runs import at_point

SHOP = (
    """CREATE TABLE region (code char(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, name varchar(50) NOT NULL,
         PRIMARY KEY (code)) COMMENT='where they are; it''s "all"'""",
    """CREATE TABLE customer (
         id bigint unsigned NOT NULL AUTO_INCREMENT, email varchar(190) NOT NULL COLLATE utf8mb4_unicode_ci COMMENT 'it''s\\nhere',
         region char(2) CHARACTER SET ascii COLLATE ascii_bin, parent_id bigint unsigned, note text,
         made datetime(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
         seen timestamp NULL DEFAULT NULL ON UPDATE current_timestamp(), flags bit(3) DEFAULT b'101',
         level enum('low','it''s') NOT NULL DEFAULT 'it''s', old date DEFAULT '0000-00-00', token varchar(36) DEFAULT (uuid()),
         price decimal(10,2) DEFAULT 1.50 CHECK (price > 0), extra json,
         whole decimal(12,2) GENERATED ALWAYS AS (price * 2) STORED, half decimal(12,4) GENERATED ALWAYS AS (price / 2) VIRTUAL,
         PRIMARY KEY (id), UNIQUE KEY once (email, region), KEY pre (note(10), made DESC), FULLTEXT KEY words (note),
         KEY computed (whole),
         CONSTRAINT region_fk FOREIGN KEY (region) REFERENCES region (code) ON DELETE SET NULL ON UPDATE CASCADE,
         CONSTRAINT parent_fk FOREIGN KEY (parent_id) REFERENCES customer (id) ON DELETE CASCADE,
         CONSTRAINT `either or` CHECK (note <> '' OR level = 'low'))""",
    """CREATE TABLE counted (id int NOT NULL, n int NOT NULL AUTO_INCREMENT, PRIMARY KEY (id), KEY counts (n))
         AUTO_INCREMENT=500""",
    "CREATE TABLE heap (id int, v varchar(5))",
    "INSERT INTO region VALUES ('DE', 'Germany'), ('de', 'other')",
    """INSERT INTO customer (id, email, region, parent_id, note, price, extra) VALUES
         (1, 'a@x', 'DE', NULL, 'n', 2, '{"a": 1}'), (5, 'b@x', 'de', 1, 'n', 3, NULL), (0, 'z@x', NULL, 0, NULL, 1, NULL)""",
    "INSERT INTO counted (id) VALUES (7)",
    "INSERT INTO heap VALUES (1, 'x'), (1, 'x'), (NULL, NULL)",
)
TABLES = ["counted", "customer", "region"]
_OWN = " CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci"


@pytest.mark.promise(30)
def test_p30_every_part_of_a_schema_is_restored(my_database: str) -> None:
    """Collations, prefix, full-text and descending indexes, positions of AUTO_INCREMENT, generated columns, comments,
    defaults of every kind, checks of columns and of tables, foreign keys to the same table."""
    filled(my_database, *SHOP)
    with opened(my_database) as source, scratch_of(my_database) as scratch:
        assert_restored(source, scratch, TABLES)
        customer = source.schema(["customer"]).table("customer")
        assert {i.name for i in customer.indexes} == {"pre", "words", "computed", "region_fk", "parent_fk"}
        assert [s.last_value for s in source.schema(TABLES).sequences] == [500, 5]
        shown = [
            mariadb.query(f"{u}", f"SHOW CREATE TABLE {t}")[0]["Create Table"]
            for t in TABLES
            for u in (my_database, scratch._url)
        ]
        for before, after in zip(shown[::2], shown[1::2], strict=True):
            # MySQL shows a character set that was stated, though it is the table's own
            before, after = (text.replace(_OWN, "") for text in (before, after))
            assert sorted(before.split("\n")[:-1]) == sorted(after.split("\n")[:-1])


@pytest.mark.fineprint(25)
def test_f25_a_copy_keeps_what_its_source_breaks(my_database: str) -> None:
    enforced = mariadb.is_mysql(my_database)  # there is no way around a check there
    broken = "NULL, 1" if enforced else "'', -1"
    filled(
        my_database,
        *SHOP,
        f"SET SESSION foreign_key_checks = 0{'' if enforced else ', check_constraint_checks = 0'}",
        f"INSERT INTO customer (id, email, region, note, price) VALUES (8, 'c@x', 'XX', {broken}), (9, 'd@x', 'YY', 'n', 1)",
    )
    with opened(my_database) as source, scratch_of(my_database) as scratch:
        with source.snapshot(TABLES) as snapshot:
            found = list(snapshot.violations() or ())
        checks = [] if enforced else ["customer: either or: 1 row", "customer: price: 1 row"]
        assert found == [*checks, "customer: region_fk: 2 rows"]
        with source.snapshot(TABLES) as snapshot:
            scratch.restore_schema(snapshot.schema)
            for table in snapshot.schema.tables:
                scratch.restore_rows(table, snapshot.read(table.name))
            scratch.restore_constraints(snapshot.schema)
        assert scratch.violations() == found


@pytest.mark.fineprint(26)
def test_f26_nothing_of_an_untrusted_schema_runs_as_sql(my_database: str) -> None:
    filled(my_database, *SHOP)
    with opened(my_database) as source, scratch_of(my_database) as scratch:
        with source.snapshot(TABLES) as snapshot:
            schema, left_out = without_expressions(snapshot.schema)
            scratch.restore_schema(schema, trusted=False)
            for table in schema.tables:
                assert scratch.restore_rows(table, snapshot.read(table.name)) == snapshot.count(table.name)
            scratch.restore_constraints(schema)
        assert any("check either or" in line for line in left_out)
        copy = scratch.schema(["customer"]).table("customer")
        assert copy.checks == ()
        assert all(c.generated is None and c.default is None for c in copy.columns)


def test_a_table_without_a_key_keeps_its_repeated_rows(my_database: str) -> None:
    filled(my_database, *SHOP)
    with (
        opened(my_database) as source,
        scratch_of(my_database) as scratch,
        source.snapshot(["heap"]) as snapshot,
    ):
        scratch.restore_schema(snapshot.schema)
        scratch.restore_rows(snapshot.schema.table("heap"), snapshot.read("heap"))
        with scratch.snapshot(["heap"]) as copy:
            rows = pa.Table.from_batches(list(copy.read("heap"))).to_pylist()
    assert sorted(rows, key=str) == sorted(
        [{"id": 1, "v": "x"}, {"id": 1, "v": "x"}, {"id": None, "v": None}], key=str
    )


@pytest.mark.fineprint(27)
def test_f27_a_drop_that_is_killed_leaves_the_mark(my_database: str, mariadb_server: str) -> None:
    """DROP DATABASE goes table by table: what is left of it must be known as ours."""
    name = f"{mariadb.name_of(my_database)}_k"
    mariadb.create_database(mariadb_server, name)
    url = f"{mariadb_server.rpartition('/')[0]}/{name}"
    mariadb.execute(url, "CREATE TABLE _migrate_marker AS SELECT 'run' AS run")
    mariadb.execute(url, "CREATE TABLE a (id int PRIMARY KEY)")
    mariadb.execute(url, "CREATE TABLE z (id int PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES a (id))")
    try:
        with pytest.raises(KeyboardInterrupt), at_point("mysql.scratch.drop.tables", _interrupt):
            drop_leftovers(my_database, [name])
        assert [list(row.values()) for row in mariadb.query(url, "SHOW TABLES")] == [["_migrate_marker"]]
        assert drop_leftovers(my_database, [name]) == (name,)
    finally:
        mariadb.drop_database(mariadb_server, name)


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.fineprint(27)
def test_f27_only_marked_databases_are_dropped(my_database: str, mariadb_server: str) -> None:
    name = f"{mariadb.name_of(my_database)}_x"
    mariadb.create_database(mariadb_server, name)
    try:
        assert drop_leftovers(my_database, [name, "t_not_there"]) == ("t_not_there",)
        with pytest.raises(Unreachable) as caught:
            open_scratch(my_database, folder=Path(), name=name, run="run")
        assert caught.value.exit_code == 5
        mariadb.execute(
            f"{mariadb_server.rpartition('/')[0]}/{name}",
            "CREATE TABLE _migrate_marker AS SELECT 'other' AS run",
        )
        with scratch_of(my_database) as mine:
            mine.name = name
            with pytest.raises(GateClosed):
                mine.drop()
            mine.name = f"{mariadb.name_of(my_database)}_s"
        assert drop_leftovers(my_database, [name]) == (name,)
    finally:
        mariadb.drop_database(mariadb_server, name)


@pytest.mark.fineprint(27)
def test_f27_an_unmarked_scratch_of_a_killed_process_goes_only_if_it_is_empty(
    my_database: str, mariadb_server: str
) -> None:
    names = [f"migrate_scratch_{i}{mariadb.name_of(my_database)[-11:]}" for i in "ab"]
    try:
        for name in names:
            mariadb.create_database(mariadb_server, name)
        mariadb.execute(f"{mariadb_server.rpartition('/')[0]}/{names[1]}", "CREATE TABLE mine (id int)")
        assert drop_leftovers(my_database, names) == (names[0],)
    finally:
        for name in names:
            mariadb.drop_database(mariadb_server, name)


@pytest.mark.fineprint(27)
def test_f27_a_user_without_rights_is_told_the_grant(my_database: str) -> None:
    user = f"u_{mariadb.name_of(my_database)[-12:]}"
    base = mariadb.name_of(my_database)
    mariadb.execute(
        my_database,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'canary'",
        f"GRANT SELECT ON `{base}`.* TO '{user}'@'%'",
    )
    try:
        url = my_database.replace("//root@", f"//{user}:canary@")
        with pytest.raises(Unreachable) as caught:
            open_scratch(url, folder=Path(), name=f"{base}_s", run="run")
        assert r"GRANT ALL ON `migrate\_scratch\_%`.* TO '" + user in caught.value.hint
        assert "canary" not in str(caught.value)
    finally:
        mariadb.execute(my_database, f"DROP USER '{user}'@'%'")


def test_a_scratch_needs_a_server() -> None:
    with pytest.raises(UsageError, match="needs a server"):
        open_scratch(None, folder=Path(), name="x", run="run")


def test_expressions_with_quotes_and_backslashes_are_restored(my_database: str) -> None:
    """MySQL's catalogue has them in another spelling than its SQL, MariaDB's has not."""
    functional = ", KEY f ((concat(n, 'x''y\\\\')))" if mariadb.is_mysql(my_database) else ""
    filled(
        my_database,
        "CREATE TABLE q (id int PRIMARY KEY, n varchar(20), d varchar(20) DEFAULT (concat('a''b', '\\\\')), "
        "g varchar(50) GENERATED ALWAYS AS (concat(n, 'it''s \\\\ \\n \"q\"')) STORED, "
        f"CONSTRAINT c CHECK (n <> 'it''s \\\\ \"x\"' OR n = ''){functional})",
        "INSERT INTO q (id, n) VALUES (1, 'it''s'), (2, '')",
    )
    with opened(my_database) as source, scratch_of(my_database) as scratch:
        assert_restored(source, scratch, ["q"])
        found = mariadb.query(scratch._url, "SELECT d, g FROM q WHERE id = 1")
    assert found == [{"d": "a'b\\", "g": "it'sit's \\ \n \"q\""}]


def test_an_invisible_column_is_carried_and_listed(my_database: str) -> None:
    filled(
        my_database,
        "CREATE TABLE q (id int PRIMARY KEY, a int INVISIBLE DEFAULT 5)",
        "INSERT INTO q (id) VALUES (1)",
    )
    with opened(my_database) as source, source.snapshot(["q"]) as snapshot:
        assert [r for b in snapshot.read("q") for r in b.to_pylist()] == [{"id": 1, "a": 5}]
        assert snapshot.schema.table("q").not_carried == (
            "column a is invisible (it is restored as a visible one)",
        )


def test_a_restores_mark_may_be_longer_than_a_text(my_database: str, tmp_path: Path) -> None:
    place = open_place(my_database, base=tmp_path)
    try:
        for said in ("x" * 300_000, "é" * 70_000, "short"):
            place.remove_mark()
            place.put_mark(said)
            assert place.mark() == said
        place.put_mark("y" * 300_000)
        assert place.mark() == "y" * 300_000
    finally:
        place.close()
