"""Types, snapshots, names: what every connector promises about reading."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.arrow import arrow_schema
from migrate.connectors import registry
from migrate.connectors.protocol import Target
from migrate.errors import Corrupt, Unreachable
from migrate.model import Column, Kind, Table, Type

from tests.contracts.conftest import Engine
from tests.contracts.rows import (
    EVERY_KIND,
    all_rows,
    digest_of,
    fetch,
    sample,
    sorted_rows,
    table_of,
    write,
)


def every_kind(target: Target) -> Table:
    target.create_tables([EVERY_KIND])
    return target.schema([EVERY_KIND.name]).table(EVERY_KIND.name)


@pytest.mark.promise(11)
@pytest.mark.promise(15)
def test_p11_p15_every_type_comes_back_exactly(engine: Engine, target: Target) -> None:
    table = every_kind(target)
    rows = sample(engine.first_instant)
    expected_kinds = [engine.kinds.get(c.name, c.type.kind) for c in EVERY_KIND.columns]
    assert [c.type.kind for c in table.columns] == expected_kinds
    assert arrow_schema(table.columns) == arrow_schema(EVERY_KIND.columns)
    assert write(target, table, rows) == []
    expected = sorted_rows(table_of(table, rows), "id")
    assert sorted_rows(all_rows(target, table.name), "id") == expected
    transaction = target.begin()
    assert sorted_rows(fetch(transaction, table, [r["id"] for r in rows]), "id") == expected
    transaction.rollback()


@pytest.mark.promise(18)
def test_p18_leading_zeros_and_numbers_in_text_stay_text(target: Target) -> None:
    table = every_kind(target)
    codes = ["007", "1e5", " 12", "0x10", "+49", "12.50", ""]
    write(target, table, [{"id": i, "code": c} for i, c in enumerate(codes)])
    assert [r["code"] for r in sorted_rows(all_rows(target, table.name), "id")] == codes


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "flag": st.booleans(),
            "number": st.integers(-(2**63), 2**63 - 1),
            "ratio": st.floats(allow_nan=False),
            "amount": st.decimals(-9999999999, 9999999999, places=2),
            "exact": st.decimals(-(10**27), 10**27, places=10, allow_nan=False),
            "name": _TEXT,
            "photo": st.binary(max_size=12),
            "born": st.dates(),
            "at_time": st.times(),
            "made": st.datetimes(),
            "token": st.uuids().map(str),
        },
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=_ROWS)
def test_p15_any_rows_come_back_exactly(
    engine: Engine, target: Target, rows: list[dict[str, object]]
) -> None:
    table = every_kind(target)
    rows = [{"id": i} | r for i, r in enumerate(rows)]
    rows = [r for r in rows if engine.holds(r)]
    transaction = target.begin()
    try:
        transaction.insert(table, table_of(table, rows), stop_after=0)
        found = fetch(transaction, table, [int(str(r["id"])) for r in rows])
    finally:
        transaction.rollback()
    assert found.schema == arrow_schema(table.columns)
    assert sorted_rows(found, "id") == sorted_rows(table_of(table, rows), "id")


@pytest.mark.promise(32)
def test_p32_a_snapshot_does_not_change_while_it_is_open(engine: Engine, target: Target) -> None:
    table = every_kind(target)
    write(target, table, [{"id": i, "name": "before"} for i in range(500)])
    with target.snapshot([table.name]) as snapshot:
        first = digest_of(snapshot, table.name)
        engine.execute(
            "UPDATE every_kind SET name = 'after' WHERE id < 250",
            "DELETE FROM every_kind WHERE id = 499",
            "INSERT INTO every_kind (id) VALUES (1000)",
            "INSERT INTO every_kind (id) VALUES (1001)",
        )
        assert digest_of(snapshot, table.name) == first
        assert snapshot.count(table.name) == 500
        assert sum(b.num_rows for b in snapshot.read(table.name)) == 500
        snapshot.verify_unchanged()
        assert snapshot.id
        assert snapshot.taken_at.endswith("Z") or "+00:00" in snapshot.taken_at
        assert list(snapshot.originals()) == []
    with target.snapshot([table.name]) as snapshot:
        assert snapshot.count(table.name) == 501
        assert digest_of(snapshot, table.name) != first


def test_rows_read_are_the_rows_counted_and_batches_have_the_layout(target: Target) -> None:
    table = every_kind(target)
    write(target, table, [{"id": i, "name": f"n{i}", "photo": b"x" * 2000} for i in range(12_000)])
    with target.snapshot([table.name]) as snapshot:
        layout = arrow_schema(snapshot.schema.table(table.name).columns)
        batches = list(snapshot.read(table.name))
        assert sum(b.num_rows for b in batches) == snapshot.count(table.name) == 12_000
        assert all(b.schema == layout for b in batches)
        assert max(b.nbytes for b in batches) <= 20 << 20
        some = list(snapshot.read(table.name, ["name", "id"]))
        assert all(b.schema.names == ["name", "id"] for b in some)
        assert sum(b.num_rows for b in some) == 12_000


def test_an_empty_table_has_a_layout_and_no_rows(target: Target) -> None:
    table = every_kind(target)
    with target.snapshot([table.name]) as snapshot:
        assert snapshot.count(table.name) == 0
        assert sum(b.num_rows for b in snapshot.read(table.name)) == 0
        assert snapshot.schema.table(table.name).column_names == table.column_names
    assert all_rows(target, table.name).schema == arrow_schema(table.columns)


ODD = ["Sales Leads", 'quote"d', "select", "größe", "per'cent %s", "dash-ed", "UPPER"]


def test_odd_names_of_tables_and_columns(target: Target) -> None:
    made = [
        Table(
            n,
            (
                Column("id", Type(Kind.INT, bits=64), nullable=False),
                *(Column(c, Type(Kind.TEXT)) for c in ODD),
            ),
            primary_key=("id",),
        )
        for n in ODD
    ]
    target.create_tables(made)
    assert set(ODD) <= set(target.schema().table_names)
    for name in ODD:
        table = target.schema([name]).table(name)
        assert table.column_names == ("id", *ODD)
        assert table.primary_key == ("id",)
        row = {"id": 7, **{c: f"{name}/{c}" for c in ODD}}
        assert write(target, table, [row]) == []
        transaction = target.begin()
        update = table_of(table, [{"id": 7, ODD[0]: "changed"}], ["id", ODD[0]])
        assert transaction.update(table, ["id"], update, stop_after=0) == []
        assert fetch(transaction, table, [7]).to_pylist() == [row | {ODD[0]: "changed"}]
        assert transaction.delete(table, ["id"], table_of(table, [{"id": 7}], ["id"])) == 1
        transaction.commit()
        with target.snapshot([name]) as snapshot:
            assert snapshot.count(name) == 0


def test_others_are_counted_and_ours_are_never_among_them(
    engine: Engine, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = every_kind(target)
    rows = sample(engine.first_instant)
    key = Column("id", Type(Kind.INT, bits=64), nullable=False)
    own = Table(target.meta("contract"), (key,), primary_key=("id",))
    target.create_tables([own, Table("quiet", (key,), primary_key=("id",))])
    write(target, table, rows)
    assert target.others(["quiet"]) == {table.name: len(rows)}
    assert target.others([table.name]) == {"quiet": 0}
    monkeypatch.setattr(sys.modules[type(target).__module__], "COUNTED", 2)
    assert target.others([])[table.name] == 2


def test_absent_tables_are_left_out_and_ours_are_never_shown(target: Target) -> None:
    table = every_kind(target)
    own = Table(
        target.meta("contract"), (Column("id", Type(Kind.INT, bits=64), nullable=False),), primary_key=("id",)
    )
    target.create_tables([own])
    target.create_tables([own])  # once more changes nothing
    assert write(target, own, [{"id": 1}]) == []
    transaction = target.begin()
    assert fetch(transaction, own, [1]).to_pylist() == [{"id": 1}]
    transaction.rollback()
    assert target.schema([table.name, "nowhere"]).table_names == (table.name,)
    assert target.schema().table_names == (table.name,)


def test_what_cannot_be_opened_is_an_error_of_ours_without_secrets(engine: Engine, tmp_path: Path) -> None:
    for url in engine.unreachable():
        with pytest.raises((Unreachable, Corrupt)) as caught:
            registry.open_target(url, base=tmp_path, work=tmp_path).schema()
        assert caught.value.exit_code in (5, 6)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None or "canary" not in str(caught.value.__cause__)
    assert "canary" not in engine.open().url
