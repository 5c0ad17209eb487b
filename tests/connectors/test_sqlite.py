"""SQLite: storage classes, snapshots, scratch files, and what only this engine does."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.canon import digest
from migrate.connectors.sqlite.scratch import SqliteScratch, drop_leftovers, open_scratch
from migrate.connectors.sqlite.snapshot import PREFIX, SqliteSnapshot, drop_snapshot_leftovers
from migrate.connectors.sqlite.target import SqliteTarget, open_database
from migrate.errors import Corrupt, Drift, GateClosed, TooManyQuarantined, Unreachable, UsageError
from migrate.model import Kind, Rejected

from tests.contracts.rows import all_rows, fetch, table_of, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "crm.db"
    run(found, "VACUUM")
    return found


def run(
    path: Path, *statements: str, rows: list[tuple[object, ...]] | None = None
) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if rows is not None:
            connection.execute("BEGIN")
            connection.executemany(statements[0], rows)
            connection.execute("COMMIT")
            return []
        return [row for statement in statements for row in connection.execute(statement).fetchall()]


def opened(path: Path) -> SqliteTarget:
    return open_database(f"sqlite:///{path}", work=path.parent / "work")


def restored(
    snapshot: SqliteSnapshot, folder: Path, *, name: str = "s1", trusted: bool = True
) -> SqliteScratch:
    scratch = open_scratch(None, folder=folder, name=name, run="run")
    scratch.restore_schema(snapshot.schema, trusted=trusted)
    for table in snapshot.schema.tables:
        scratch.restore_rows(table, iter(snapshot.read(table.name)))
    scratch.restore_constraints(snapshot.schema)
    return scratch


def assert_equal(scratch: SqliteScratch, snapshot: SqliteSnapshot) -> None:
    with scratch.snapshot(snapshot.schema.table_names) as found:
        without_triggers = tuple(replace(t, triggers=(), not_carried=()) for t in snapshot.schema.tables)
        assert found.schema.tables == without_triggers  # triggers are listed, not carried
        assert found.schema.sequences == snapshot.schema.sequences
        for table in snapshot.schema.tables:
            want, got = (digest(s.read(table.name), table.types).text() for s in (snapshot, found))
            assert want == got


# --- reading ---

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=6),
    st.sampled_from(["12", "1.0", "007", " 5", "1e5", "0x10", ""]),
    st.binary(max_size=6),
)
AFFINITIES = ["TEXT", "NUMERIC", "INTEGER", "REAL", "BLOB", "", "DATE", "VARCHAR(3)"]


@pytest.mark.fineprint(22)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*[VALUES] * len(AFFINITIES)), max_size=8))
def test_f22_mixed_storage_classes_restore_exactly_through_every_affinity(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[object, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("f22")
    path = folder / "a.db"
    run(path, f"CREATE TABLE t ({', '.join(f'c{i} {a}' for i, a in enumerate(AFFINITIES))})")
    marks = ", ".join("?" for _ in AFFINITIES)
    clean = [tuple(v.replace("\ud800", "") if isinstance(v, str) else v for v in r) for r in rows]
    run(path, f"INSERT INTO t VALUES ({marks})", rows=clean)
    with opened(path).snapshot(["t"]) as snapshot:
        scratch = restored(snapshot, folder)
        assert scratch.not_restored == []
        assert_equal(scratch, snapshot)
    typed = ", ".join(f"typeof(c{i}), quote(c{i})" for i in range(len(AFFINITIES)))
    assert run(path, f"SELECT {typed} FROM t ORDER BY rowid") == run(
        scratch.path, f"SELECT {typed} FROM t ORDER BY rowid"
    )
    scratch.drop()


@pytest.mark.fineprint(22)
def test_f22_text_that_is_not_utf8_travels_as_bytes(path: Path, tmp_path: Path) -> None:
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
    run(
        path,
        "INSERT INTO t VALUES (1, CAST(x'ff41' AS TEXT), 'ok'), (2, 'fine', CAST(x'c3' AS TEXT)), (3, NULL, CAST(x'a9' AS TEXT))",
    )
    with opened(path).snapshot(["t"]) as snapshot:
        assert [c.type.kind for c in snapshot.schema.table("t").columns] == [Kind.INT, Kind.MIXED, Kind.MIXED]
        rows = [r for b in snapshot.read("t") for r in b.to_pylist()]
        assert rows[0]["a"] == {"tag": 3, "int": None, "real": None, "bytes": b"\xffA"}
        scratch = restored(snapshot, tmp_path)
        assert_equal(scratch, snapshot)
    with opened(path).snapshot(["t"], declared=True) as snapshot, pytest.raises(GateClosed) as caught:
        list(snapshot.read("t"))
    assert "t.a" in str(caught.value)


def test_broken_text_is_found_in_a_table_without_rowid_and_far_inside(path: Path) -> None:
    run(path, "CREATE TABLE t (k TEXT PRIMARY KEY, a TEXT) WITHOUT ROWID", "CREATE TABLE u (a TEXT, b TEXT)")
    for table in ("t", "u"):
        run(path, f"INSERT INTO {table} VALUES (?, ?)", rows=[(f"k{i}", "x") for i in range(40_000)])
    run(
        path,
        "UPDATE t SET a = CAST(x'80' AS TEXT) WHERE k = 'k39999'",
        "UPDATE u SET b = CAST(x'80' AS TEXT) WHERE a = 'k33333'",
    )
    with opened(path).snapshot(["t", "u"]) as snapshot:
        kinds = {t.name: [c.type.kind for c in t.columns] for t in snapshot.schema.tables}
    assert kinds == {"t": [Kind.TEXT, Kind.MIXED], "u": [Kind.TEXT, Kind.MIXED]}


@pytest.mark.fineprint(22)
def test_f22_stored_types_and_declared_types_are_two_readings(path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, born DATE, made DATETIME, ok BOOLEAN, sum DECIMAL(8,2), x, n NUMERIC)",
        "INSERT INTO t VALUES (1, '2024-01-31', '2024-01-31T10:00:00.5', 1, 12.5, 'a', 5), (2, NULL, '2024-01-31 10:00:00', 0, 3, 2, 0.1)",
    )
    target = opened(path)
    with target.snapshot(["t"]) as snapshot:
        stored = snapshot.schema.table("t")
        assert [c.type.kind.value for c in stored.columns] == [
            "int",
            "text",
            "text",
            "int",
            "mixed",
            "mixed",
            "mixed",
        ]
        assert [c.type.native for c in stored.columns] == [
            "INTEGER",
            "DATE",
            "DATETIME",
            "BOOLEAN",
            "DECIMAL(8,2)",
            "",
            "NUMERIC",
        ]
        rows = pa.Table.from_batches(list(snapshot.read("t")))
    declared = target.schema(["t"]).table("t")
    assert [c.type.kind.value for c in declared.columns] == [
        "int",
        "date",
        "timestamp",
        "bool",
        "decimal",
        "mixed",
        "decimal",
    ]
    decoded = target.as_declared(rows, stored, declared)
    with target.snapshot(["t"], declared=True) as snapshot:
        assert snapshot.schema.table("t") == declared
        assert pa.Table.from_batches(list(snapshot.read("t"))).equals(decoded)
    first = decoded.to_pylist()[0]
    assert str(first["born"]) == "2024-01-31"
    assert str(first["made"]) == "2024-01-31 10:00:00.500000"
    assert (first["ok"], str(first["sum"]), first["n"]) == (True, "12.50", "5")


@pytest.mark.promise(8)
@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("DATE", "'31.01.2024'"), ("DATE", "'2024-02-30'"), ("DATE", "'2024-01-31 00:00:00'"), ("DATE", "20240131"),
        ("TIMESTAMP", "'2024-01-31'"), ("TIMESTAMP", "'2024-01-31 10:00:00Z'"), ("TIMESTAMP", "1706695200"),
        ("BOOLEAN", "2"), ("BOOLEAN", "'yes'"), ("INTEGER", "1.5"), ("INTEGER", "'canary'"), ("DECIMAL(8,2)", "1.005"),
        ("DECIMAL(8,2)", "'abc'"), ("UUID", "'canary'"), ("TIME", "'25:00:00'"), ("TEXT", "x'00'"), ("REAL", "'canary'"),
    ],
)  # fmt: skip
def test_p08_what_its_declared_type_cannot_say_is_an_error_naming_the_column(
    path: Path, declared: str, value: str
) -> None:
    run(
        path,
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})",
        f"INSERT INTO t VALUES (1, NULL), (2, {value})",
    )
    target = opened(path)
    with target.snapshot(["t"], declared=True) as snapshot, pytest.raises(GateClosed) as caught:
        list(snapshot.read("t"))
    assert "t.c" in str(caught.value)
    assert value.strip("'") not in str(caught.value)
    with target.snapshot(["t"]) as snapshot:
        stored = snapshot.schema.table("t")
        rows = pa.Table.from_batches(list(snapshot.read("t")))
    with pytest.raises(GateClosed):
        target.as_declared(rows, stored, target.schema(["t"]).table("t"))
    transaction = target.begin()
    table = target.schema(["t"]).table("t")
    assert fetch(transaction, table, [2], ["id"]).num_rows == 1  # columns not asked for do not matter
    with pytest.raises(GateClosed):
        fetch(transaction, table, [2])


def test_catalogue(path: Path) -> None:
    run(
        path,
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, mail TEXT COLLATE NOCASE UNIQUE, n INT DEFAULT (1 + 1),"
        " full TEXT GENERATED ALWAYS AS (mail || 'x') STORED, v INT AS (n * 2), CHECK (n > 0), CONSTRAINT c CHECK (mail <> 'a,)('))",
        "CREATE TABLE [b c] (x TEXT, y INT, a_id INT REFERENCES A, z INT, PRIMARY KEY (x, y),"
        " FOREIGN KEY (z) REFERENCES a (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED) WITHOUT ROWID",
        "CREATE TABLE s (id INTEGER PRIMARY KEY DESC, t TEXT NOT NULL) STRICT",
        "CREATE UNIQUE INDEX part ON a (n) WHERE n > 5",
        "CREATE INDEX expr ON a (lower(mail))",
        "CREATE VIEW w AS SELECT 1",
        "CREATE TRIGGER trg AFTER INSERT ON a BEGIN SELECT 1; END",
        "INSERT INTO a (id, mail) VALUES (41, 'm')",
        "DELETE FROM a",
    )
    schema = opened(path).schema()
    a, bc, s = (schema.table(n) for n in ("a", "b c", "s"))
    assert [c.identity for c in a.columns] == ["by default", None, None, None, None]
    assert not a.column("id").nullable
    assert a.column("mail").collation == "NOCASE"
    assert a.column("n").default == "1 + 1"
    assert a.column("full").generated == "mail || 'x' STORED"
    assert a.column("v").generated == "n * 2 VIRTUAL"
    assert [c.name for c in a.checks] == ["check_1", "c"]
    assert a.checks[1].sql == "mail <> 'a,)('"
    assert a.options == "AUTOINCREMENT"
    assert [u.columns for u in a.uniques] == [("mail",)]
    assert [(i.name, i.unique) for i in a.indexes] == [("expr", False), ("part", True)]
    assert "WHERE n > 5" in a.indexes[1].sql
    assert a.triggers == ("trg",)
    assert a.not_carried == ("trigger trg",)
    assert schema.not_carried == ("view w",)
    assert [(q.name, q.last_value) for q in schema.sequences] == [("a", 41)]
    assert bc.primary_key == ("x", "y")
    assert bc.options == "WITHOUT ROWID"
    keys = {fk.columns: fk for fk in bc.foreign_keys}
    assert (keys["a_id",].ref_table, keys["a_id",].ref_columns, keys["a_id",].initially_deferred) == (
        "a",
        ("id",),
        False,
    )
    assert (keys["z",].on_delete, keys["z",].initially_deferred) == ("SET NULL", True)
    assert s.options == "STRICT"
    assert s.column("id").identity is None


def test_everything_declared_is_restored_and_equal(path: Path, tmp_path: Path) -> None:
    test_catalogue(path)
    run(
        path,
        "INSERT INTO a (mail, n) VALUES ('x', 7), (NULL, 8)",
        "INSERT INTO [b c] VALUES ('k', 1, 42, NULL)",
        "INSERT INTO s VALUES (5, 't')",
    )
    target = opened(path)
    with target.snapshot(target.schema().table_names) as snapshot:
        scratch = restored(snapshot, tmp_path)
        assert_equal(scratch, snapshot)
        assert scratch.violations() == snapshot.violations() == []
    assert scratch.schema().sequences == target.schema().sequences


# --- snapshots ---


def test_a_snapshot_is_a_private_copy_and_goes_also_on_error(path: Path) -> None:
    run(path, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    work = path.parent / "work"
    with pytest.raises(ZeroDivisionError), opened(path).snapshot(["t"]):
        (folder,) = work.iterdir()
        assert folder.name.startswith(PREFIX)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(f.stat().st_mode) == 0o600 for f in folder.iterdir())
        assert drop_snapshot_leftovers(work) == []  # in use
        raise ZeroDivisionError
    assert list(work.iterdir()) == []


def test_copies_of_killed_processes_are_found_and_removed(path: Path) -> None:
    run(path, "CREATE TABLE t (a)")
    work = path.parent / "work"
    code = (
        "import sys; from pathlib import Path; from migrate.connectors.sqlite.target import open_database\n"
        f"with open_database('sqlite:///{path}', work=Path('{work}')).snapshot(['t']): pass"
    )
    environment = os.environ | {"MIGRATE_FAILPOINT": "sqlite.snapshot.copied:1:kill"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == -9
    assert len(list(work.iterdir())) == 1
    assert len(drop_snapshot_leftovers(work)) == 1
    assert list(work.iterdir()) == []


def test_a_changed_schema_is_drift(path: Path) -> None:
    run(path, "CREATE TABLE t (a)", "CREATE TABLE u (a)")
    target = opened(path)
    with target.snapshot(["t"]) as snapshot:
        run(path, "ALTER TABLE u ADD COLUMN b", "INSERT INTO t VALUES (1)")
        snapshot.verify_unchanged()
        run(path, "ALTER TABLE t ADD COLUMN b")
        with pytest.raises(Drift):
            snapshot.verify_unchanged()
        run(path, "DROP TABLE t")
        with pytest.raises(Drift):
            snapshot.verify_unchanged()


def test_wal_databases_are_read_with_what_is_in_the_log(path: Path) -> None:
    run(path, "CREATE TABLE t (a)")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO t VALUES (1)")
        with opened(path).snapshot(["t"]) as snapshot:
            assert snapshot.count("t") == 1


# --- writing ---


@pytest.mark.fineprint(1)
def test_f01_a_full_disk_ends_the_transaction_and_nothing_autocommits(path: Path) -> None:
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", "CREATE TABLE receipt (part INTEGER)")
    target = opened(path)
    table, receipt = (target.schema([n]).table(n) for n in ("t", "receipt"))
    transaction = target.begin()
    connection = transaction._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0] + 5}")
    transaction.insert(receipt, table_of(receipt, [{"part": 1}]), stop_after=0)
    with pytest.raises(Unreachable) as caught:
        transaction.insert(
            table, table_of(table, [{"id": i, "a": "x" * 500} for i in range(2000)]), stop_after=2000
        )
    assert caught.value.exit_code == 5
    with pytest.raises(Unreachable):
        transaction.insert(receipt, table_of(receipt, [{"part": 2}]), stop_after=0)
    with pytest.raises(Unreachable):
        transaction.commit()
    assert run(path, "SELECT count(*) FROM receipt", "SELECT count(*) FROM t") == [(0,), (0,)]


@pytest.mark.fineprint(1)
def test_f01_a_transaction_that_was_replaced_is_not_committed(path: Path) -> None:
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    target = opened(path)
    table = target.schema(["t"]).table("t")
    transaction = target.begin()
    transaction.insert(table, table_of(table, [{"id": 1}]), stop_after=0)
    transaction._connection.execute("ROLLBACK")
    transaction._connection.execute("BEGIN")
    with pytest.raises(Unreachable):
        transaction.commit()
    assert run(path, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.fineprint(1)
def test_f01_a_trigger_that_rolls_back_is_noticed(path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER g BEFORE INSERT ON t WHEN NEW.id = 3 BEGIN SELECT RAISE(ROLLBACK, 'canary'); END",
    )
    target = opened(path)
    table = target.schema(["t"]).table("t")
    transaction = target.begin()
    with pytest.raises(Unreachable) as caught:
        transaction.insert(table, table_of(table, [{"id": i} for i in range(5)]), stop_after=5)
    assert "canary" not in str(caught.value)
    with pytest.raises(Unreachable):
        transaction.commit()
    assert run(path, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.fineprint(8)
def test_f08_conflict_clauses_of_the_table_replace_nothing(path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, a TEXT UNIQUE ON CONFLICT IGNORE, b INT NOT NULL ON CONFLICT IGNORE)",
        "INSERT INTO t VALUES (1, 'one', 1)",
    )
    target = opened(path)
    table = target.schema(["t"]).table("t")
    rows = [{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "one", "b": 1}, {"id": 3, "a": "c", "b": None}]
    rejected = write(target, table, rows, stop_after=3)
    assert [(r.ordinal, r.code) for r in rejected] == [(0, "db_unique"), (1, "db_unique"), (2, "db_not_null")]
    assert run(path, "SELECT * FROM t") == [(1, "one", 1)]


@pytest.mark.promise(14)
@pytest.mark.fineprint(10)
def test_p14_f10_a_row_that_a_trigger_drops_is_missed_by_reading_back(path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER g BEFORE INSERT ON t WHEN NEW.id = 2 BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER h BEFORE INSERT ON t WHEN NEW.id = 4 BEGIN SELECT RAISE(ABORT, 'canary'); END",
    )
    target = opened(path)
    table = target.schema(["t"]).table("t")
    transaction = target.begin()
    rejected = transaction.insert(table, table_of(table, [{"id": i} for i in range(6)]), stop_after=5)
    assert [(r.ordinal, r.code, r.constraint) for r in rejected] == [(4, "db_other", "")]
    assert sorted(fetch(transaction, table, range(6)).column("id").to_numpy().tolist()) == [0, 1, 3, 5]
    transaction.rollback()


@pytest.mark.fineprint(22)
@pytest.mark.parametrize(
    ("declared", "value", "exact"),
    [
        ("DECIMAL(20,2)", "123456789012345.67", False), ("DECIMAL(20,2)", "1234567890123.67", True),
        ("DECIMAL(20,2)", "123456789012345678.00", True), ("DECIMAL_TEXT(20,2)", "123456789012345678.99", True),
        ("NUMERIC", "0.1234567890123456", False), ("NUMERIC", "0.123456789012345", True), ("NUMERIC", "1E+30", True),
    ],
)  # fmt: skip
def test_f22_decimals_are_exact_or_refused(path: Path, declared: str, value: str, exact: bool) -> None:
    from decimal import Decimal

    run(path, f"CREATE TABLE t (id INTEGER PRIMARY KEY, c {declared})")
    target = opened(path)
    table = target.schema(["t"]).table("t")
    given_value = value if table.column("c").type.precision is None else Decimal(value)
    if not exact:
        rows: list[dict[str, Any]] = [{"id": 1, "c": given_value}, {"id": 2, "c": None}]
        refused = write(target, table, rows, stop_after=1)
        assert refused == [Rejected(0, "db_value", "c")]
        assert all_rows(target, "t").column("id").to_pylist() == [2]
        return
    write(target, table, [{"id": 1, "c": given_value}])
    kept: Any = all_rows(target, "t").column("c").to_pylist()[0]
    assert Decimal(kept) == Decimal(value)


@pytest.mark.promise(18)
def test_p18_text_that_affinity_would_change_is_refused(path: Path) -> None:
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, phone STRING)")
    target = opened(path)
    table = target.schema(["t"]).table("t")
    assert table.column("phone").type.kind is Kind.TEXT
    refused = write(target, table, [{"id": 1, "phone": "0049301"}], stop_after=1)
    assert refused == [Rejected(0, "db_value", "phone")]
    assert write(target, table, [{"id": 1, "phone": "0049-301"}]) == []


def test_nan_and_dates_out_of_range_are_refused(path: Path) -> None:
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, d DATE, m TIMESTAMP)")
    target = opened(path)
    table = target.schema(["t"]).table("t")
    bad: list[dict[str, Any]] = [
        {"r": pa.array([float("nan")])},
        {"r": pa.array([-0.0])},
        {"d": pa.array([2**31 - 1], pa.int32()).cast(pa.date32())},
        {"m": pa.array([2**63 - 1], pa.int64()).cast(pa.timestamp("us"))},
    ]
    for columns in bad:
        transaction = target.begin()
        rows = pa.table({"id": pa.array([1]), **columns})
        assert transaction.insert(table, rows, stop_after=1) == [Rejected(0, "db_value", next(iter(columns)))]
        assert transaction.update(table, ["id"], rows, stop_after=1) == [
            Rejected(0, "db_value", next(iter(columns)))
        ]
        with pytest.raises(TooManyQuarantined):
            transaction.insert(table, rows, stop_after=0)
        transaction.rollback()


@pytest.mark.fineprint(5)
def test_f05_a_locked_database_is_unreachable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(path, "CREATE TABLE t (a)")
    monkeypatch.setattr("migrate.connectors.sqlite.connect.LOCK_SECONDS", 0.1)
    target = opened(path)
    first = target.begin()
    with pytest.raises(Unreachable) as caught:
        target.begin()
    assert "locked" in str(caught.value)
    first.rollback()
    target.begin().rollback()


@pytest.mark.fineprint(7)
def test_f07_reserved_keys_stay_above_autoincrement(path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
        "INSERT INTO t VALUES (90, 1)",
        "DELETE FROM t",
    )
    target = opened(path)
    table = target.schema(["t"]).table("t")
    with target.hold():
        assert target.reserve_keys(table, "id", 3).to_pylist() == [91, 92, 93]
    run(path, "INSERT INTO t (a) VALUES (1)")
    assert run(path, "SELECT id FROM t") == [(94,)]
    with target.hold():
        assert target.reserve_keys(table, "id", 1).to_pylist() == [95]


def test_deferred_self_reference_to_a_refused_row_is_refused_too(path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT CHECK (n > 0), up INT REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    target = opened(path)
    table = target.schema(["t"]).table("t")
    rows = [
        {"id": 1, "n": -1},
        {"id": 2, "n": 1, "up": 1},
        {"id": 3, "n": 1, "up": 2},
        {"id": 4, "n": 1, "up": 4},
    ]
    rejected = write(target, table, rows, stop_after=9)
    assert [(r.ordinal, r.code) for r in rejected] == [
        (0, "db_check"),
        (1, "db_foreign_key"),
        (2, "db_foreign_key"),
    ]
    assert run(path, "SELECT id FROM t") == [(4,)]


def test_deleting_a_row_with_deferred_children_is_refused(path: Path) -> None:
    run(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INT REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (1, 1)",
    )
    target = opened(path)
    table = target.schema(["p"]).table("p")
    transaction = target.begin()
    assert transaction.delete(table, ["id"], table_of(table, [{"id": 2}])) == 1
    with pytest.raises(GateClosed) as caught:
        transaction.delete(table, ["id"], table_of(table, [{"id": 1}]))
    assert "c_p_id_fkey" in str(caught.value)
    assert run(path, "SELECT count(*) FROM p") == [(2,)]


# --- files and permissions ---


def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        open_database("sqlite:///nothing.db", base=tmp_path)
    assert list(tmp_path.iterdir()) == []
    for url in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        with pytest.raises(UsageError):
            open_database(url, base=tmp_path)


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is a text file, not a database" * 100)
    with pytest.raises(Corrupt):
        open_database("sqlite:///x.db", base=tmp_path)


_AS_NOBODY = """
import os
from migrate.connectors.sqlite.target import open_database
from migrate.errors import Unreachable
if os.getuid() == 0:
    os.setuid(65534)
os.chdir("/")
try:
    target = open_database("sqlite:///{path}")
    print("opened", target.schema().table_names)
    target.begin()
except Unreachable as error:
    print(error)
"""


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that other users reach too; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder


def as_nobody(path: Path) -> subprocess.CompletedProcess[str]:
    code = _AS_NOBODY.format(path=path)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_file_without_write_permission_is_unreachable(shared_folder: Path) -> None:
    path = shared_folder / "crm.db"
    run(path, "CREATE TABLE t (a)")
    path.chmod(0o444)
    shared_folder.chmod(0o555)  # a folder of one's own, too, takes no file then
    done = as_nobody(path)
    shared_folder.chmod(0o755)
    assert "opened ('t',)" in done.stdout, done.stderr
    assert "permission" in done.stdout, done.stderr


def test_a_folder_that_may_not_be_entered_is_unreachable(shared_folder: Path) -> None:
    path = shared_folder / "closed" / "crm.db"
    path.parent.mkdir()
    run(path, "CREATE TABLE t (a)")
    path.parent.chmod(0o600 if os.getuid() == 0 else 0o000)
    done = as_nobody(path)
    path.parent.chmod(0o700)
    assert "no permission to reach" in done.stdout, done.stderr


# --- scratch ---


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[SqliteScratch]:
    made = open_scratch(None, folder=tmp_path / "scratch", name="one", run="r1")
    yield made
    made.drop()


def test_a_scratch_is_private_and_marked(scratch: SqliteScratch) -> None:
    assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o600
    assert scratch.schema().tables == ()
    with pytest.raises(Unreachable):
        open_scratch(None, folder=scratch.path.parent, name="one", run="r1")
    for name in ("../x", "", "a/b", ".hidden"):
        with pytest.raises(UsageError):
            open_scratch(None, folder=scratch.path.parent, name=name, run="r1")


@pytest.mark.fineprint(27)
def test_f27_only_marked_files_that_nobody_uses_are_dropped(tmp_path: Path) -> None:
    users = tmp_path / "users.sqlite"
    run(users, "CREATE TABLE t (a)")
    alive = open_scratch(None, folder=tmp_path, name="alive", run="r")
    dead = open_scratch(None, folder=tmp_path, name="dead", run="r")
    dead.close()
    assert drop_leftovers(tmp_path, ["users", "alive", "dead", "never"]) == ["dead", "never"]
    assert users.exists()
    assert alive.path.exists()
    assert not dead.path.exists()
    run(alive.path, "DROP TABLE _migrate_scratch")
    with pytest.raises(GateClosed):
        alive.drop()
    assert alive.path.exists()


@pytest.mark.fineprint(25)
def test_f25_the_source_s_own_violations_are_restored_and_said(path: Path, tmp_path: Path) -> None:
    run(
        path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INT REFERENCES p, n INT CHECK (n > 0))",
        "PRAGMA ignore_check_constraints = ON",
        "INSERT INTO c VALUES (1, 7, 1), (2, 8, 1), (3, NULL, -1)",
    )
    with opened(path).snapshot(["c", "p"]) as snapshot:
        scratch = restored(snapshot, tmp_path)
        assert scratch.violations() == snapshot.violations()
        assert scratch.violations() == [
            "CHECK constraint failed in c: 1 row",
            "c: foreign key (p_id) -> p: 2 rows",
        ]
        assert_equal(scratch, snapshot)


@pytest.mark.fineprint(26)
def test_f26_expressions_of_a_stranger_s_manifest_do_not_run(path: Path, tmp_path: Path) -> None:
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT DEFAULT (abs(-1)) CHECK (n > 0), g INT AS (n + 1) STORED, u TEXT UNIQUE)",
        "CREATE INDEX i ON t (n)",
        "INSERT INTO t (id, n, u) VALUES (1, 5, 'x')",
    )
    with opened(path).snapshot(["t"]) as snapshot:
        hostile = replace(snapshot.schema.table("t"), sql="ATTACH 'x' AS y")
        with pytest.raises(GateClosed):
            open_scratch(None, folder=tmp_path, name="h", run="r").restore_schema(
                replace(snapshot.schema, tables=(hostile,))
            )
        scratch = restored(snapshot, tmp_path, trusted=False)
        assert scratch.not_restored == [
            "t: check check_1", "t.g: generated column", "t.n: default", "t: index i"
        ]  # fmt: skip
    found = scratch.schema(["t"]).table("t")
    assert found.checks == ()
    assert [u.columns for u in found.uniques] == [("u",)]
    assert run(scratch.path, "SELECT id, n, u FROM t") == [(1, 5, "x")]


def test_a_declared_type_of_a_stranger_cannot_carry_sql(path: Path, tmp_path: Path) -> None:
    run(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
    with opened(path).snapshot(["t"]) as snapshot:
        table = snapshot.schema.table("t")
        for native in ("INT DEFAULT (randomblob(5))", "INT CHECK (1)", "INT) STRICT --", "INT, x INT"):
            column = replace(table.columns[1], type=replace(table.columns[1].type, native=native))
            schema = replace(snapshot.schema, tables=(replace(table, columns=(table.columns[0], column)),))
            scratch = open_scratch(None, folder=tmp_path, name="n", run="r")
            scratch.restore_schema(schema, trusted=False)
            assert run(scratch.path, "SELECT name, type, dflt_value FROM pragma_table_info('t')") == [
                ("id", "INTEGER", None),
                ("n", "", None),
            ]
            scratch.drop()


@pytest.mark.fineprint(22)
def test_f22_a_storage_class_that_affinity_takes_away_is_named(path: Path, tmp_path: Path) -> None:
    """Such rows exist where somebody changed a declared type afterwards."""
    run(
        path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)",
        "INSERT INTO t VALUES (1, '12'), (2, 'x')",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a NUMERIC)' WHERE name = 't'",
    )
    with opened(path).snapshot(["t"]) as snapshot:
        scratch = restored(snapshot, tmp_path)
    assert scratch.not_restored == ["t.a: storage class changed by its affinity (numeric)"]
