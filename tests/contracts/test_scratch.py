"""Restore into a scratch database: equal schema, equal rows, the source's own violations; only marked things are dropped."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from migrate.connectors.protocol import Scratch, Snapshot, Target
from migrate.errors import MigrateError

from tests.contracts.conftest import Engine
from tests.contracts.rows import EVERY_KIND, digest_of, sample, write

DDL = (
    "CREATE TABLE parent (id bigint PRIMARY KEY, name varchar(40) DEFAULT 'x')",
    """CREATE TABLE child (
         id bigint PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, amount numeric(12, 2),
         parent_id bigint, FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE,
         CONSTRAINT amount_ok CHECK (amount >= 0))""",
    "CREATE INDEX child_amount ON child (amount)",
    "INSERT INTO parent VALUES (1, NULL), (2, '')",
    "INSERT INTO child VALUES (1, 'a', 1.50, 1), (2, 'b', NULL, NULL), (3, 'c', 10, 2)",
)


def restore(scratch: Scratch, snapshot: Snapshot) -> None:
    scratch.restore_schema(snapshot.schema)
    for table in snapshot.schema.tables:
        assert scratch.restore_rows(table, iter(snapshot.read(table.name))) == snapshot.count(table.name)
    scratch.restore_constraints(snapshot.schema)


def assert_equal(scratch: Scratch, snapshot: Snapshot) -> None:
    names = snapshot.schema.table_names
    with scratch.snapshot(names) as restored:
        assert restored.schema.tables == snapshot.schema.tables
        assert restored.schema.sequences == snapshot.schema.sequences
        for name in names:
            assert restored.count(name) == snapshot.count(name)
            assert digest_of(restored, name) == digest_of(snapshot, name)


@pytest.mark.promise(30)
def test_p30_a_restored_schema_and_its_rows_are_equal(
    engine: Engine, target: Target, make_scratch: Callable[[], Scratch]
) -> None:
    engine.execute(*DDL, *engine.indexes)
    target.create_tables([EVERY_KIND])
    table = target.schema([EVERY_KIND.name]).table(EVERY_KIND.name)
    assert write(target, table, sample(engine.first_instant)) == []
    scratch = make_scratch()
    with target.snapshot(["child", "every_kind", "parent"]) as snapshot:
        restore(scratch, snapshot)
        assert scratch.violations() == []
        assert_equal(scratch, snapshot)


@pytest.mark.promise(27)
def test_p27_a_restore_goes_into_an_empty_place_only(
    engine: Engine, target: Target, make_scratch: Callable[[], Scratch]
) -> None:
    engine.execute(*DDL)
    scratch = make_scratch()
    with target.snapshot(["parent"]) as snapshot:
        restore(scratch, snapshot)
        with pytest.raises(MigrateError):
            scratch.restore_schema(snapshot.schema)
        assert_equal(scratch, snapshot)


def test_a_restored_scratch_can_be_written_like_a_target(
    engine: Engine, target: Target, make_scratch: Callable[[], Scratch]
) -> None:
    engine.execute(*DDL, *engine.indexes)
    scratch = make_scratch()
    with target.snapshot(["child", "parent"]) as snapshot:
        restore(scratch, snapshot)
    child = scratch.schema(["child"]).table("child")
    rows = [
        {"id": 9, "code": "A", "amount": 1},
        {"id": 10, "code": "z", "parent_id": 77},
        {"id": 11, "code": "y"},
    ]
    rejected = write(scratch, child, rows, ["id", "code", "parent_id"], stop_after=5)
    assert [(r.ordinal, r.code) for r in rejected] == [(0, "db_unique"), (1, "db_foreign_key")]
    with target.snapshot(["child"]) as snapshot:
        assert snapshot.count("child") == 3  # the database itself is untouched


def test_changed_rows_are_noticed(
    engine: Engine, target: Target, make_scratch: Callable[[], Scratch]
) -> None:
    engine.execute(*DDL)
    scratch = make_scratch()
    with target.snapshot(["parent"]) as snapshot:
        table = snapshot.schema.table("parent")
        scratch.restore_schema(snapshot.schema)
        rows = pa.Table.from_batches(list(snapshot.read("parent"))).slice(1)
        scratch.restore_rows(table, iter(rows.to_batches()))
        scratch.restore_constraints(snapshot.schema)
        with pytest.raises(AssertionError):
            assert_equal(scratch, snapshot)


def test_dropping_twice_does_no_harm(make_scratch: Callable[[], Scratch]) -> None:
    scratch, other = make_scratch(), make_scratch()
    scratch.drop()
    scratch.drop()
    assert other.schema().table_names == ()
