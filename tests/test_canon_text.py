"""Texts of values and keys, and name-based UUIDs."""

from __future__ import annotations

import json
import math
import uuid
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate import canon
from migrate.arrow import MIXED
from migrate.canon.text import moment_text
from migrate.errors import Corrupt
from migrate.model import Kind, Type

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", '"', "\\", "\n", "\x00", "\x1f", "\x7f", "\u2028", "é🙂", '","', "a\tb", "\b\f\r"]
)
TEXT, INT = Type(Kind.TEXT), Type(Kind.INT)


def texts(array: pa.Array[Any], type_: Type) -> list[str | None]:
    result = canon.canonical_text(array, type_)
    assert isinstance(result, pa.Array)
    assert result.type == pa.string()
    return result.to_pylist()


@pytest.mark.parametrize(
    ("array", "type_", "expected"),
    [
        (pa.array([17, None, -(2**63)]), INT, ["17", None, "-9223372036854775808"]),
        (pa.array([17], pa.int16()), Type(Kind.INT, bits=16), ["17"]),
        (pa.array([True, False, None]), Type(Kind.BOOL), ["true", "false", None]),
        (
            pa.array([1.0, -0.0, 0.1, 1e20, 1e-7, math.nan, -math.inf, None]),
            Type(Kind.FLOAT),
            ["1", "0", "0.1", "100000000000000000000", "0.0000001", "NaN", "-Infinity", None],
        ),
        (pa.array([Decimal("1.50"), Decimal("-2.00"), None], pa.decimal128(12, 2)), Type(Kind.DECIMAL), ["1.5", "-2", None]),
        (pa.array([Decimal("0E-10"), Decimal("1E-10")], pa.decimal128(38, 10)), Type(Kind.DECIMAL), ["0", "0.0000000001"]),
        (pa.array(["007.10", "-0", "1E+3", "nan", None]), Type(Kind.DECIMAL), ["7.1", "0", "1000", "NaN", None]),
        (pa.array(["a ", None, ""]), TEXT, ["a ", None, ""]),
        (pa.array(["a ", None, ""]), Type(Kind.TEXT, fixed=True), ["a", None, ""]),
        (pa.array(["a", None], pa.large_string()), TEXT, ["a", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), TEXT, ["a", None, "a"]),
        (pa.array(["a", None], pa.string_view()), TEXT, ["a", None]),
        (pa.array([b"\x00\xff", None, b""]), Type(Kind.BYTES), ["\\x00ff", None, "\\x"]),
        (pa.array(['{"b":1.0,"a":2}', "oops", None]), Type(Kind.JSON), ['{"a":2,"b":1}', "oops", None]),
        (pa.array([[1, None], [], None]), Type(Kind.ARRAY, item=INT), ['["1",null]', "[]", None]),
        (pa.array([None, None]), INT, [None, None]),
        (pa.chunked_array([], pa.int64()), INT, []),
        (pa.chunked_array([[1], [2]]), INT, ["1", "2"]),
    ],
)  # fmt: skip
def test_canonical_text(array: pa.Array[Any], type_: Type, expected: list[str | None]) -> None:
    assert texts(array, type_) == expected


def test_mixed_values_of_one_meaning_have_one_text() -> None:
    empty: dict[str, Any] = {"tag": 0, "int": None, "real": None, "bytes": None}
    rows = [
        empty | {"tag": 1, "int": 17},
        empty | {"tag": 3, "bytes": b"17"},
        empty | {"tag": 2, "real": 17.0},
        empty | {"tag": 3, "bytes": b"\xff"},
        empty | {"tag": 4, "bytes": b"17"},
        empty,
        None,
    ]
    assert texts(pa.array(rows, MIXED), Type(Kind.MIXED)) == [
        "17",
        "17",
        "17",
        "\\xff",
        "\\x3137",
        None,
        None,
    ]


def test_dates_and_times_also_beyond_what_arrow_prints() -> None:
    days = pa.array([0, -1, 2**31 - 1, -(2**31 - 1), None, -719_529, 2_932_897, 2**31 - 2], pa.int32()).view(
        pa.date32()
    )
    assert texts(days, Type(Kind.DATE)) == [
        "1970-01-01", "1969-12-31", "infinity", "-infinity", None, "-0001-12-31", "10000-01-01", "5881580-07-10",
    ]  # fmt: skip
    times = pa.array([0, 1, 86_399_999_999, 86_400_000_000, None]).view(pa.time64("us"))
    assert texts(times, Type(Kind.TIME)) == [
        "00:00:00.000000", "00:00:00.000001", "23:59:59.999999", "24:00:00.000000", None,
    ]  # fmt: skip
    micros = pa.array([0, -1, 2**63 - 1, -(2**63 - 1), None, 9_223_371_331_200_000_000])
    assert texts(micros.view(pa.timestamp("us")), Type(Kind.TIMESTAMP)) == [
        "1970-01-01T00:00:00.000000", "1969-12-31T23:59:59.999999", "infinity", "-infinity", None, "294247-01-02T00:00:00.000000",
    ]  # fmt: skip
    assert (
        texts(micros.view(pa.timestamp("us", "UTC")), Type(Kind.TIMESTAMPTZ))[1]
        == "1969-12-31T23:59:59.999999Z"
    )
    berlin = pa.array([0]).view(pa.timestamp("us", "Europe/Berlin"))
    assert texts(berlin, Type(Kind.TIMESTAMPTZ)) == ["1970-01-01T00:00:00.000000Z"]
    whole_seconds = pa.array([0]).cast(pa.timestamp("s"))
    assert texts(whole_seconds, Type(Kind.TIMESTAMP)) == ["1970-01-01T00:00:00.000000"]


@settings(max_examples=200, deadline=None)
@given(days=st.integers(-10_000_000, 10_000_000), micros=st.integers(0, 86_399_999_999))
def test_both_ways_to_write_a_moment_agree(days: int, micros: int) -> None:
    date = pa.array([days], pa.int32()).view(pa.date32())
    assert texts(date, Type(Kind.DATE)) == [moment_text(days, Kind.DATE)]
    if abs(days) < 10_000_000:
        moment = pa.array([days * 86_400_000_000 + micros]).view(pa.timestamp("us"))
        assert texts(moment, Type(Kind.TIMESTAMP)) == [
            moment_text(days * 86_400_000_000 + micros, Kind.TIMESTAMP)
        ]
    assert texts(pa.array([micros]).view(pa.time64("us")), Type(Kind.TIME)) == [
        moment_text(micros, Kind.TIME)
    ]


def test_a_value_that_is_not_of_its_type_is_refused_without_showing_it() -> None:
    wrong: list[tuple[pa.Array[Any], Type]] = [
        (pa.array(["secret"]), Type(Kind.DECIMAL)),
        (pa.array(["secret"]), INT),
        (pa.array([1]), TEXT),
    ]
    for array, type_ in wrong:
        with pytest.raises(Corrupt) as caught:
            canon.canonical_text(array, type_)
        assert "secret" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.none() | TEXTS, st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=8),
    cut=st.integers(0, 8),
)
def test_source_keys_equal_json_dumps(rows: list[tuple[str | None, int | None]], cut: int) -> None:
    table = pa.table(
        {"t": pa.array([r[0] for r in rows], pa.string()), "n": pa.array([r[1] for r in rows], pa.int64())}
    )
    expected = [
        None if None in row else json.dumps([row[0], str(row[1])], ensure_ascii=False, separators=(",", ":"))
        for row in rows
    ]
    types = {"t": TEXT, "n": INT}
    assert canon.source_keys(table, ["t", "n"], types).to_pylist() == expected
    assert canon.source_keys(table[cut:], ["t", "n"], types).to_pylist() == expected[cut:]
    single = [
        None if r[0] is None else json.dumps([r[0]], ensure_ascii=False, separators=(",", ":")) for r in rows
    ]
    assert canon.source_keys(table, ["t"], types).to_pylist() == single
    for batch in table.to_batches():
        assert canon.source_keys(batch, ["t"], types).to_pylist() == single


def test_source_keys_refuse_unknown_columns() -> None:
    with pytest.raises(Corrupt, match="x: is missing"):
        canon.source_keys(pa.table({"a": [1]}), ["x"], {"a": INT})


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.none() | TEXTS, max_size=6), cut=st.integers(0, 6))
def test_uuid5_array_equals_uuid5(names: list[str | None], cut: int) -> None:
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:migrate:crm")
    expected = [None if n is None else str(uuid.uuid5(namespace, n)) for n in names]
    array = pa.array(names, pa.string())
    assert canon.uuid5_array(namespace, array).to_pylist() == expected
    assert canon.uuid5_array(namespace, array[cut:]).to_pylist() == expected[cut:]
    assert canon.uuid5_array(namespace, pa.chunked_array([array, array])).to_pylist() == expected * 2


@pytest.mark.fineprint(23)
def test_f23_uuid5_over_many_names_is_exact_at_block_borders() -> None:
    names = pa.array([f'["contact",["{n}"]]' for n in range(70_000)])
    made = canon.uuid5_array(uuid.NAMESPACE_DNS, names)
    assert len(made.unique()) == len(names)
    for at in (0, 65_535, 65_536, 69_999):
        assert made[at].as_py() == str(uuid.uuid5(uuid.NAMESPACE_DNS, names[at].as_py()))
