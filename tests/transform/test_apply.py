"""The pipeline over batches: every row comes out, every reason is heard, the original is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from migrate.mapping.model import Check, Default, Ref, Step
from migrate.model import Column, Kind, Type
from migrate.transform.apply import apply
from migrate.transform.expressions import _halve, locked_connection

from tests.transform.crm import (
    TEXT,
    codes,
    compiled,
    events,
    field,
    found,
    mapping,
    one_column,
    problems,
    source_table,
    target_table,
)

INT = Type(Kind.INT, bits=64)
SOURCE = source_table(id=INT, name=TEXT, country=TEXT, rep=TEXT, deleted=INT)


def batch(**columns: list[Any]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    given: dict[str, Any] = {
        "id": range(rows),
        "name": [None] * rows,
        "country": [None] * rows,
        "rep": [None] * rows,
        "deleted": [0] * rows,
    }
    given |= columns
    return pa.table(
        {n: pa.array(v, pa.int64() if n in ("id", "deleted") else pa.string()) for n, v in given.items()}
    )


def run(fields: dict[str, Any], types: dict[str, Type], rows: pa.Table, **entity: Any) -> Any:
    made = compiled(mapping(fields, **entity), SOURCE, target_table(**types))
    return apply(made, rows, np.arange(rows.num_rows, dtype=np.int64) + 100)


def test_identity_columns_come_first() -> None:
    result = run({"name": field("name")}, {"name": TEXT}, batch(id=[7, None], name=["Ada", "Bo"]))
    assert result.rows.column_names == ["__rid", "__key", "__hash", "name"]
    assert found(result, "__rid") == [100, 101]
    assert found(result, "__key") == ['["7"]', None]
    assert result.rows.schema.field("__hash").type == pa.binary(16)
    assert codes(result) == [(101, "", "key_missing")]


def test_where_null_is_excluded_and_named() -> None:
    rows = batch(deleted=[0, 1, None, 0], name=["a", "b", "c", "d"])
    result = run({"name": field("name")}, {"name": TEXT}, rows, where="deleted = 0")
    assert found(result, "name") == ["a", "d"]
    assert result.excluded.to_pylist() == [
        {"rid": 101, "key": '["1"]', "reason": "where"},
        {"rid": 102, "key": '["2"]', "reason": "where"},
    ]


def test_where_that_one_row_breaks_keeps_the_others() -> None:
    rows = batch(name=["1", "x", "3", None])
    result = run({"name": field("name")}, {"name": TEXT}, rows, where="CAST(name AS INTEGER) > 2")
    assert found(result, "__rid") == [101, 102]
    assert codes(result) == [(101, "where", "type")]
    assert result.excluded.column("rid").to_pylist() == [100, 103]


def test_expression_that_one_row_breaks_keeps_the_others() -> None:
    rows = batch(name=["1", "x", "3", None])
    fields = {"n": field(expr="CAST(name AS INTEGER) + CAST(name AS INTEGER)", check=["required"])}
    result = run(fields, {"n": INT}, rows)
    assert found(result, "n") == [2, None, 6, None]
    assert codes(result) == [(101, "n", "type"), (103, "n", "required")]


def test_every_reason_of_a_row_is_heard() -> None:
    fields = {
        "name": field(
            "name",
            check=[
                "required",
                Check(name="pattern", argument="[A-Z]+"),
                Check(name="max_length", argument="3"),
            ],
        ),
        "country": field("country", map={"UK": "GB"}),
    }
    result = run(
        fields, {"name": TEXT, "country": TEXT}, batch(name=["abcd", None, "ABC"], country=["FR", "UK", None])
    )
    assert sorted(codes(result)) == [
        (100, "country", "unmapped_value"),
        (100, "name", "max_length"),
        (100, "name", "pattern"),
        (101, "name", "required"),
    ]
    assert found(result, "country") == [None, "GB", None]
    assert result.reasons.to_pylist()[-1]["detail"] == "the map does not name it"
    assert result.stops == ()


@pytest.mark.parametrize(
    ("outcome", "value", "expected_codes", "expected_events", "stops"),
    [
        ("quarantine", None, [(0, "b", "unmapped_value")], [], 0),
        ("keep", "x", [], [], 0),
        ("stop", None, [(0, "b", "unmapped_value")], [], 1),
        (Default(default="GB"), "GB", [], [(0, "defaulted", "x")], 0),
        (Default(default=None), None, [], [(0, "defaulted", "x")], 0),
    ],
)
def test_unmapped(outcome: Any, value: Any, expected_codes: Any, expected_events: Any, stops: int) -> None:
    result = one_column(["x", None, "UK"], TEXT, TEXT, map={"UK": "GB"}, unmapped=outcome)
    assert found(result) == [value, None, "GB"]
    assert codes(result) == expected_codes
    assert events(result) == expected_events
    assert len(result.stops) == stops


@pytest.mark.parametrize(
    ("on_fail", "value", "expected_codes", "expected_events", "stops"),
    [
        ("quarantine", "x", [(0, "b", "in")], [], 0),
        ("stop", "x", [(0, "b", "in")], [], 1),
        ("warn", "x", [], [(0, "warned", "x")], 0),
        ("empty_and_flag", None, [], [(0, "emptied", "x")], 0),
        ("default", "a", [], [(0, "defaulted", "x")], 0),
    ],
)
def test_on_fail(on_fail: Any, value: Any, expected_codes: Any, expected_events: Any, stops: int) -> None:
    rule = Check(name="in", argument=("a", "b"), on_fail=on_fail)
    result = one_column(["x", "a"], TEXT, TEXT, check=[rule], default="a")
    assert found(result) == [value, "a"]
    assert codes(result) == expected_codes
    assert events(result) == expected_events
    assert len(result.stops) == stops


def test_a_failed_step_silences_the_later_ones_of_its_field() -> None:
    result = one_column(
        ["x", "12", None],
        TEXT,
        INT,
        do=["integer"],
        check=["required", Check(name="range", argument={"min": "13"})],
    )
    assert codes(result) == [(0, "b", "type"), (2, "b", "required"), (1, "b", "range")]


def test_default_fills_null_only() -> None:
    result = one_column(["x", None, ""], TEXT, TEXT, default="none")
    assert found(result) == ["x", "none", ""]
    assert one_column([1, None], INT, INT, default="7").rows.column("b").to_pylist() == [1, 7]


def test_bad_records_have_their_own_reason_only() -> None:
    made = compiled(
        mapping({"name": field("name", check=["required"])}, where="name <> 'x'"),
        SOURCE,
        target_table(name=TEXT),
    )
    rows = batch(id=[None, 1], name=[None, "a"], deleted=[None, 0])
    rows = rows.append_column("_line", pa.array([2, 3], pa.int64())).append_column(
        "_bad", pa.array(["ragged_row", None], pa.string())
    )
    rows = rows.append_column("_raw", pa.array([b"1,2", None], pa.binary()))
    result = apply(made, rows, np.array([0, 1]))
    assert codes(result) == [(0, "", "ragged_row")]
    assert found(result, "__rid") == [0, 1]
    assert result.excluded.num_rows == 0


HIDDEN = (
    Column("_line", Type(Kind.INT, bits=64)),
    Column("_bad", Type(Kind.TEXT)),
    Column("_raw", Type(Kind.BYTES)),
)
A_FILE = replace(SOURCE, columns=SOURCE.columns + HIDDEN)


def test_key_by_line() -> None:
    by_line = mapping({"name": field("name")}, key=("line",), key_is_line=True)
    made = compiled(by_line, A_FILE, target_table(name=TEXT))
    rows = batch(name=["a"]).append_column("_line", pa.array([2], pa.int64()))
    assert found(apply(made, rows, np.array([0])), "__key") == ['["2"]']
    (problem,) = problems(by_line, SOURCE, target_table(name=TEXT))
    assert "no line" in problem.message
    assert "content" in problem.hint


def test_key_by_content() -> None:
    """Where a row stands says nothing about it; a record that could not be read has no content."""
    made = compiled(
        mapping({"name": field("name")}, key=("content",), key_is_content=True),
        A_FILE,
        target_table(name=TEXT),
    )
    rows = batch(id=[1, 1, 1, None], name=["a", "a", "b", None])
    rows = rows.append_column("_line", pa.array([2, 3, 4, 5], pa.int64()))
    rows = rows.append_column("_bad", pa.array([None, None, None, "ragged_row"], pa.string()))
    rows = rows.append_column("_raw", pa.array([None, None, None, b"1"], pa.binary()))
    result = apply(made, rows, np.arange(4))
    keys, hashes = found(result, "__key"), found(result, "__hash")
    assert keys == [*(f'["{h.hex()}"]' for h in hashes[:3]), None]
    assert keys[0] == keys[1] != keys[2]
    assert codes(result) == [(3, "", "ragged_row")]


def test_references_are_left_to_the_settlement() -> None:
    fields = {
        "owner": field("rep", do=["trim"], ref=Ref(to="users"), check=["required", "unique"]),
        "name": field("name"),
    }
    result = run(fields, {"owner": INT, "name": TEXT}, batch(rep=[" 7", None, 'a"b']))
    assert found(result, "__ref.owner") == ['["7"]', None, '["a\\"b"]']
    assert found(result, "__ref_to.owner") == ["users", None, "users"]
    assert found(result, "__unique.owner") == ['["7"]', None, '["a\\"b"]']
    assert found(result, "owner") == [None, None, None]
    assert codes(result) == [(101, "owner", "required")]


def test_polymorphic_reference_of_an_unknown_kind_stays_visible() -> None:
    fields = {"owner": field("rep", ref=Ref(kind="country", kinds={"A": "accounts"}))}
    result = run(fields, {"owner": INT}, batch(rep=["1", "2", None], country=["A", "B", "A"]))
    assert found(result, "__ref_to.owner") == ["accounts", "", None]


def test_match_expressions() -> None:
    fields = {"name": field("name")}
    result = run(
        fields,
        {"name": TEXT, "code": TEXT, "old": INT},
        batch(name=["a"], rep=["7"]),
        match={"code": "upper(name)", "old": "rep"},
    )
    assert (found(result, "__match.code"), found(result, "__match.old")) == (["A"], [7])


def test_slices_and_empty_batches() -> None:
    fields = {
        "name": field("name", do=["trim", "lower"], map={"a": "A"}, unmapped="keep", check=["required"])
    }
    made = compiled(mapping(fields, where="deleted = 0"), SOURCE, target_table(name=TEXT))
    rows = batch(name=["x", "a", "b", None], deleted=[0, 0, 1, 0])
    whole = apply(made, rows, np.arange(4))
    pieces = [apply(made, rows.slice(i, 1), np.array([i])) for i in range(4)]
    assert pa.concat_tables([p.rows for p in pieces]).to_pylist() == whole.rows.to_pylist()
    assert pa.concat_tables([p.reasons for p in pieces]).to_pylist() == whole.reasons.to_pylist()
    assert pa.concat_tables([p.excluded for p in pieces]).to_pylist() == whole.excluded.to_pylist()
    empty = apply(made, rows.slice(0, 0), np.array([], dtype=np.int64))
    assert empty.rows.schema == whole.rows.schema
    assert (empty.rows.num_rows, empty.excluded.num_rows) == (0, 0)


def test_steps_with_arguments() -> None:
    result = one_column(
        ["£1,200.50", "x"],
        TEXT,
        Type(Kind.DECIMAL, precision=10, scale=0),
        do=["currency", Step(name="round", arguments="0")],
    )
    assert [None if v is None else str(v) for v in found(result)] == ["1201", None]
    assert codes(result) == [(1, "b", "type")]


def test_many_rows_that_an_expression_breaks_are_found_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated part of an expression must not be computed outside of TRY: halving would take minutes."""

    def never(*given: Any) -> None:
        raise AssertionError("rows were searched one by one")

    monkeypatch.setattr("migrate.transform.expressions._halve", never)
    rows = batch(name=["x" if i % 3 else "5" for i in range(3000)])
    result = run({"n": field(expr="CAST(name AS INTEGER) + CAST(name AS INTEGER)")}, {"n": INT}, rows)
    assert result.reasons.num_rows == 2000
    assert found(result, "n")[:4] == [10, None, None, 10]


def test_halving_finds_the_same_rows() -> None:
    with locked_connection() as connection:
        table = pa.table({"a": ["1", "x", "3", "y"], "__ordinal": range(4)})
        failed = np.zeros(4, dtype=np.bool_)
        _halve(connection, "CAST(a AS INTEGER)", table, 0, 4, failed)
        assert failed.tolist() == [False, True, False, True]


def test_the_connection_reaches_nothing() -> None:
    with locked_connection() as connection:
        for sql in (
            "SELECT * FROM read_csv('/etc/passwd')",
            "SET enable_external_access = true",
            "SET TimeZone = 'Europe/London'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
