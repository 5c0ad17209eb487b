"""Transactions, rejects, locks, keys: what every connector promises about writing."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.connectors.protocol import Target
from migrate.errors import Busy, GateClosed, MigrateError, TooManyQuarantined, Unreachable
from migrate.model import Table

from tests.contracts.conftest import Engine
from tests.contracts.rows import all_rows, fetch, sorted_rows, table_of, write

DDL = (
    "CREATE TABLE parent (id bigint PRIMARY KEY, name text)",
    "INSERT INTO parent VALUES (1, 'one'), (2, 'two')",
    """CREATE TABLE child (
         id bigint PRIMARY KEY, code varchar(20) NOT NULL, amount bigint,
         parent_id bigint, boss_id bigint,
         CONSTRAINT child_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES parent (id),
         FOREIGN KEY (boss_id) REFERENCES child (id), CONSTRAINT amount_ok CHECK (amount >= 0), CONSTRAINT code_once UNIQUE (code))""",
)


@pytest.fixture
def child(engine: Engine, target: Target) -> Table:
    engine.execute(*DDL)
    return target.schema(["child"]).table("child")


def good(count: int) -> list[dict[str, object]]:
    return [{"id": i, "code": f"c{i}", "amount": i, "parent_id": 1} for i in range(count)]


BAD: dict[str, dict[str, object]] = {
    "db_unique": {"id": 900, "code": "c3", "amount": 1},
    "db_not_null": {"id": 901, "code": None},
    "db_check": {"id": 902, "code": "check", "amount": -1},
    "db_foreign_key": {"id": 903, "code": "fk", "parent_id": 99},
}


@pytest.mark.fineprint(5)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("code", [c for c in BAD if c != "db_unique"])
def test_f05_one_refused_row_comes_back_by_its_place(
    target: Target, child: Table, place: str, code: str
) -> None:
    rows = good(21)
    at = {"first": 0, "middle": 10, "last": 21}[place]
    rows.insert(at, BAD[code])
    rejected = write(target, child, rows, stop_after=5)
    assert [(r.ordinal, r.code) for r in rejected] == [(at, code)]
    assert all_rows(target, "child").num_rows == 21
    assert "99" not in rejected[0].constraint


@pytest.mark.fineprint(5)
@pytest.mark.promise(19)
def test_f05_p19_many_refused_rows_and_the_good_ones_survive(target: Target, child: Table) -> None:
    rows = good(2000)
    expected = {}
    for step, (code, bad) in enumerate(BAD.items()):
        for at in range(100 + step, 2000, 200):
            rows[at] = bad | {"id": 10_000 + at}
            if code not in ("db_not_null", "db_unique"):
                rows[at]["code"] = f"bad{at}"
            expected[at] = code
    rejected = write(target, child, rows, stop_after=100)
    assert {r.ordinal: r.code for r in rejected} == expected
    assert [r.ordinal for r in rejected] == sorted(expected)
    found = {r["id"] for r in all_rows(target, "child").to_pylist()}
    assert found == {r["id"] for i, r in enumerate(rows) if i not in expected}


@pytest.mark.fineprint(8)
def test_f08_nothing_is_replaced_by_an_insert(target: Target, child: Table) -> None:
    assert write(target, child, good(3)) == []
    rejected = write(target, child, [{"id": 1, "code": "other"}, {"id": 50, "code": "c2"}], stop_after=2)
    assert [(r.ordinal, r.code) for r in rejected] == [(0, "db_unique"), (1, "db_unique")]
    assert [r["code"] for r in sorted_rows(all_rows(target, "child"), "id")] == ["c0", "c1", "c2"]


@pytest.mark.fineprint(1)
def test_f01_more_refusals_than_allowed_roll_everything_back(target: Target, child: Table) -> None:
    transaction = target.begin()
    assert transaction.insert(child, table_of(child, good(5)), stop_after=0) == []
    bad = [{"id": 100 + i, "code": None} for i in range(4)]
    with pytest.raises(TooManyQuarantined):
        transaction.insert(child, table_of(child, bad), stop_after=3)
    with pytest.raises(MigrateError):
        transaction.commit()
    transaction.rollback()
    assert all_rows(target, "child").num_rows == 0


@pytest.mark.fineprint(15)
def test_f15_texts_of_a_key_are_rewritten_as_a_whole(engine: Engine, target: Target) -> None:
    """Also texts with quotes and backslashes; what does not equal all of `where` stays; a clash changes nothing."""
    engine.execute("CREATE TABLE names (a varchar(40), b varchar(40), n bigint, PRIMARY KEY (a, b, n))")
    table = target.schema(["names"]).table("names")
    old, new = "it's", 'a\\b"'
    rows: list[dict[str, object]] = [{"a": old, "b": b, "n": n} for b in ("x", "y") for n in range(3)]
    assert write(target, table, rows) == []
    transaction = target.begin()
    assert transaction.rewrite(table, {"a": old, "b": "x"}, {"a": new, "b": "z"}) == 3
    assert transaction.rewrite(table, {"a": "nobody"}, {"a": "x"}) == 0
    transaction.commit()
    found = sorted((r["a"], r["b"], r["n"]) for r in all_rows(target, "names").to_pylist())
    assert found == sorted([(new, "z", n) for n in range(3)] + [(old, "y", n) for n in range(3)])
    transaction = target.begin()
    with pytest.raises(Exception):  # noqa: B017 - whatever the engine says: it is a defect, not data
        transaction.rewrite(table, {"a": old}, {"a": new, "b": "z"})
    transaction.rollback()
    assert sorted((r["a"], r["b"], r["n"]) for r in all_rows(target, "names").to_pylist()) == found


@pytest.mark.fineprint(11)
def test_f11_a_child_before_its_parent_in_one_batch_goes_in(target: Target, child: Table) -> None:
    rows = [{"id": i, "code": f"c{i}", "boss_id": i + 1 if i < 49 else None} for i in range(50)]
    rows[10] = rows[10] | {"boss_id": 12345}
    rejected = write(target, child, rows, stop_after=50)
    assert [(r.ordinal, r.code) for r in rejected] == [(i, "db_foreign_key") for i in range(11)]
    assert all_rows(target, "child").num_rows == 39


@pytest.mark.fineprint(11)
def test_f11_rows_that_point_at_each_other_go_in_together(
    engine: Engine, target: Target, child: Table
) -> None:
    """Where keys are checked row by row they are refused: the second pass sets such columns."""
    rows = [{"id": 1, "code": "a", "boss_id": 2}, {"id": 2, "code": "b", "boss_id": 1}]
    rejected = write(target, child, rows, stop_after=2)
    both = [(0, "db_foreign_key"), (1, "db_foreign_key")]
    assert [(r.ordinal, r.code) for r in rejected] == ([] if engine.whole_statements else both)


@pytest.mark.fineprint(5)
def test_f05_deferred_constraints_are_checked_before_insert_returns(engine: Engine, target: Target) -> None:
    if not engine.deferrable:
        pytest.skip("the engine has no deferred constraints")
    engine.execute(
        "CREATE TABLE parent (id bigint PRIMARY KEY)",
        "INSERT INTO parent VALUES (1)",
        "CREATE TABLE late (id bigint PRIMARY KEY, parent_id bigint REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    late = target.schema(["late"]).table("late")
    assert late.foreign_keys[0].initially_deferred
    rows: list[dict[str, Any]] = [
        {"id": 1, "parent_id": 1},
        {"id": 2, "parent_id": 5},
        {"id": 3, "parent_id": None},
    ]
    rejected = write(target, late, rows, stop_after=5)
    assert [(r.ordinal, r.code) for r in rejected] == [(1, "db_foreign_key")]
    assert {r["id"] for r in all_rows(target, "late").to_pylist()} == {1, 3}


@pytest.mark.promise(9)
def test_p09_all_or_nothing(target: Target, child: Table) -> None:
    transaction = target.begin()
    transaction.insert(child, table_of(child, good(10)), stop_after=0)
    assert all_rows(target, "child").num_rows == 0  # not seen from outside
    transaction.rollback()
    transaction.rollback()  # once more does no harm
    assert all_rows(target, "child").num_rows == 0
    with pytest.raises(MigrateError):
        transaction.commit()
    assert write(target, child, good(10)) == []
    assert all_rows(target, "child").num_rows == 10


def test_columns_that_are_not_given_get_their_defaults(engine: Engine, target: Target) -> None:
    engine.execute("CREATE TABLE d (id bigint PRIMARY KEY, state varchar(10) DEFAULT 'new', note text)")
    table = target.schema(["d"]).table("d")
    write(target, table, [{"id": 1}], ["id"])
    write(target, table, [{"id": 2}], ["id", "state"])
    assert sorted_rows(all_rows(target, "d"), "id") == [
        {"id": 1, "state": "new", "note": None},
        {"id": 2, "state": None, "note": None},
    ]


def test_update_sets_by_key_and_returns_what_is_refused(target: Target, child: Table) -> None:
    write(target, child, good(10))
    changes: list[dict[str, Any]] = [
        {"id": 3, "amount": 33, "code": "new3"},
        {"id": 4, "amount": -4, "code": "new4"},
        {"id": 5, "amount": None, "code": "c6"},
        {"id": 9, "amount": 99, "code": None},
        {"id": 0, "amount": None, "code": "new0"},
    ]
    transaction = target.begin()
    rejected = transaction.update(
        child, ["id"], table_of(child, changes, ["id", "amount", "code"]), stop_after=5
    )
    transaction.commit()
    assert [(r.ordinal, r.code) for r in rejected] == [(1, "db_check"), (2, "db_unique"), (3, "db_not_null")]
    found = {r["id"]: (r["amount"], r["code"]) for r in all_rows(target, "child").to_pylist()}
    assert found == {i: (i, f"c{i}") for i in range(10)} | {3: (33, "new3"), 0: (None, "new0")}


def test_update_by_a_key_without_an_index(target: Target, child: Table) -> None:
    write(target, child, good(10))
    transaction = target.begin()
    changes = table_of(child, [{"amount": 7, "parent_id": 2}], ["amount", "parent_id"])
    assert transaction.update(child, ["amount"], changes, stop_after=0) == []
    transaction.commit()
    assert [r["parent_id"] for r in sorted_rows(all_rows(target, "child"), "id")] == [1] * 7 + [2] + [1] * 2


def test_fetch_gives_each_row_once(target: Target, child: Table) -> None:
    write(target, child, good(100))
    transaction = target.begin()
    try:
        found = fetch(transaction, child, [5, 5, 7, 12345, 0], ["code", "id"])
        assert sorted_rows(found, "id") == [{"code": f"c{i}", "id": i} for i in (0, 5, 7)]
        keys = table_of(
            child, [{"code": "c1", "parent_id": 1}, {"code": "c2", "parent_id": 2}], ["code", "parent_id"]
        )
        assert transaction.fetch(child, ["code", "parent_id"], keys, ["id"], lock=True).to_pylist() == [
            {"id": 1}
        ]
        empty = fetch(transaction, child, [], ["id"])
        assert empty.num_rows == 0
        assert empty.schema.names == ["id"]
    finally:
        transaction.rollback()


@pytest.mark.promise(14)
def test_p14_delete_counts_what_is_gone_and_names_what_forbids_it(
    engine: Engine, target: Target, child: Table
) -> None:
    write(target, child, good(10))
    transaction = target.begin()
    assert (
        transaction.delete(child, ["id"], table_of(child, [{"id": i} for i in (1, 2, 2, 777)], ["id"])) == 2
    )
    transaction.commit()
    assert all_rows(target, "child").num_rows == 8
    parent = target.schema(["parent"]).table("parent")
    transaction = target.begin()
    with pytest.raises(GateClosed) as caught:
        transaction.delete(parent, ["id"], table_of(parent, [{"id": 1}], ["id"]))
    assert "child_parent_id_fkey" in str(caught.value)
    transaction.rollback()
    assert all_rows(target, "parent").num_rows == 2


@pytest.mark.fineprint(32)
def test_f32_references_to_finds_every_referring_row(engine: Engine, target: Target, child: Table) -> None:
    engine.execute(
        "CREATE TABLE note (a bigint, b varchar(40), child_id bigint, PRIMARY KEY (a, b), "
        "FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE)"
    )
    write(target, child, [*good(3), {"id": 7, "code": "seven", "boss_id": 1}])
    note = target.schema(["note"]).table("note")
    write(target, note, [{"a": 1, "b": 'x"y', "child_id": 1}, {"a": 2, "b": "z", "child_id": 2}])
    found = target.references_to(child, ["id"], table_of(child, [{"id": 0}, {"id": 1}], ["id"]))
    rows = {(r["table"], r["columns"], r["ref_key"], r["row_key"], r["on_delete"]) for r in found.to_pylist()}
    assert rows == {
        ("note", '["child_id"]', '["1"]', json.dumps(["1", 'x"y'], separators=(",", ":")), "CASCADE"),
        ("child", '["boss_id"]', '["1"]', '["7"]', "NO ACTION"),
    }
    assert target.references_to(child, ["id"], table_of(child, [{"id": 2000}], ["id"])).num_rows == 0


def other_process(code: str, url: str, folder: Path) -> subprocess.Popen[str]:
    script = f"""
        import sys
        from pathlib import Path
        from migrate.connectors import registry
        from migrate.errors import MigrateError
        target = registry.open_target({url!r}, base=Path({str(folder)!r}), work=Path({str(folder)!r}))
    """
    text = textwrap.dedent(script) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


HOLDER = """
with target.hold():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.fineprint(3)
def test_f03_a_held_target_is_busy_until_its_holder_dies(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    holder = other_process(HOLDER, engine.url, tmp_path)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy) as caught, target.hold():
            pytest.fail("two processes hold one target")
        assert caught.value.exit_code == 8
        holder.kill()
        holder.wait()
        with target.hold():
            pass
        with target.hold():
            pass
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.fineprint(3)
def test_f03_a_lock_that_was_lost_is_noticed_before_the_fence_is_raised(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    if engine.name == "sqlite":
        pytest.skip("the lock is a file's, which goes with the process alone")

    def cut() -> None:
        keeper = getattr(target, "_keeper")  # noqa: B009
        keeper.session("it is cut").close()  # as a server that restarts, or a firewall, ends it

    with target.hold():
        mine = target.raise_fence("first")
        cut()
        assert target.raise_fence("first") == mine + 1  # nobody else came: the lock is taken again
        other = engine.open()
        with pytest.raises(Busy), other.hold():
            pytest.fail("two processes hold one target")
        other.close()
        cut()
        taker = other_process(
            "with target.hold():\n    print(target.raise_fence('second'), flush=True)\n    sys.stdin.readline()",
            engine.url,
            tmp_path,
        )
        try:
            assert taker.stdout is not None
            assert taker.stdout.readline() == f"{mine + 2}\n"
            with pytest.raises(Busy):
                target.raise_fence("first")
            transaction = target.begin()
            assert transaction.fence() == mine + 2
            transaction.rollback()
        finally:
            taker.kill()
            taker.wait()


@pytest.mark.fineprint(3)
def test_f03_a_fence_raised_elsewhere_is_seen_in_the_next_transaction(
    engine: Engine, target: Target, tmp_path: Path
) -> None:
    with target.hold():
        mine = target.raise_fence("first")
        assert target.raise_fence("first") == mine + 1
        mine += 1
        transaction = target.begin()
        assert transaction.fence() == mine
        transaction.commit()
    taker = other_process(
        "with target.hold():\n    print(target.raise_fence('second'))", engine.url, tmp_path
    )
    out, _ = taker.communicate(timeout=60)
    assert int(out) == mine + 1
    transaction = target.begin()
    assert transaction.fence() == mine + 1
    transaction.rollback()


@pytest.mark.fineprint(7)
def test_f07_reserved_keys_are_never_handed_out_again(engine: Engine, target: Target, child: Table) -> None:
    write(target, child, [{"id": 41, "code": "a"}])
    with target.hold():
        first = target.reserve_keys(child, "id", 5).to_numpy().tolist()
        second = target.reserve_keys(child, "id", 3).to_numpy().tolist()
    assert first == sorted(set(first))
    assert len({*first, *second}) == 8
    assert min(first) > 41
    assert min(second) > max(first)
    again = engine.open()
    with again.hold():
        third = again.reserve_keys(child, "id", 2).to_numpy().tolist()
    again.close()
    assert min(third) > max(second)
    rows = [{"id": k, "code": f"k{k}"} for k in [*third, *first, *second]]
    assert write(target, child, rows) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "id": st.integers(0, 8),
                "code": st.one_of(st.none(), st.sampled_from("abcdefgh")),
                "amount": st.one_of(st.none(), st.integers(-1, 3)),
                "parent_id": st.one_of(st.none(), st.integers(1, 3)),
            }
        ),
        max_size=12,
    )
)
def test_f05_refused_and_written_rows_are_all_rows(
    target: Target, child: Table, rows: list[dict[str, object]]
) -> None:
    """Against a model: of equal keys the first good row stays, whatever else is wrong is refused."""
    ids: set[object] = set()
    codes: set[object] = set()
    good_rows = {}
    for ordinal, row in enumerate(rows):
        bad = row["code"] is None or row["amount"] == -1 or row["parent_id"] == 3
        if bad or row["id"] in ids or row["code"] in codes:
            continue
        ids.add(row["id"])
        codes.add(row["code"])
        good_rows[ordinal] = row
    transaction = target.begin()
    try:
        rejected = transaction.insert(child, table_of(child, rows), stop_after=len(rows))
        found = fetch(transaction, child, range(9), ["id", "code", "amount", "parent_id"])
    finally:
        transaction.rollback()
    assert {r.ordinal for r in rejected} == set(range(len(rows))) - set(good_rows)
    assert sorted_rows(found, "id") == sorted(good_rows.values(), key=lambda r: int(str(r["id"])))


@pytest.mark.fineprint(1)
def test_f01_any_error_in_a_part_ends_it(target: Target, child: Table) -> None:
    transaction = target.begin()
    transaction.insert(child, table_of(child, good(3)), stop_after=0)
    rows = pa.table({"nowhere": pa.array([1])})
    with pytest.raises((MigrateError, KeyError)):
        transaction.insert(child, rows, stop_after=0)
    with pytest.raises(Unreachable):
        transaction.commit()
    transaction.rollback()
    assert all_rows(target, "child").num_rows == 0


def test_errors_carry_no_values(target: Target, child: Table) -> None:
    write(target, child, [{"id": 1, "code": "canary-value", "parent_id": 1}])
    parent = target.schema(["parent"]).table("parent")
    rejected = write(target, child, [{"id": 2, "code": "canary-value"}], stop_after=1)
    assert "canary" not in repr(rejected)
    transaction = target.begin()
    with pytest.raises(MigrateError) as caught:
        transaction.delete(parent, ["id"], table_of(parent, [{"id": 1}], ["id"]))
    chain = [caught.value, caught.value.__cause__]
    assert not any("canary" in str(e) or "(1)" in str(e) for e in chain if e is not None)
    transaction.rollback()
