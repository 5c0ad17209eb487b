"""Conversions are exact, or have a reason, or are marked: against Python's decimal and datetime as reference."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.arrow import DATE_INFINITY, TIMESTAMP_INFINITY, layout
from migrate.mapping.model import Check, SourceTable, Step
from migrate.model import Kind, Type
from migrate.transform.apply import apply

from tests.transform.crm import (
    TEXT,
    codes,
    compiled,
    events,
    field,
    found,
    mapping,
    one_column,
    source_table,
    target_table,
)

INT = Type(Kind.INT, bits=64)
FLOAT = Type(Kind.FLOAT, bits=64)
DATE, TIMESTAMP, MOMENT = Type(Kind.DATE), Type(Kind.TIMESTAMP), Type(Kind.TIMESTAMPTZ)
MIXED = Type(Kind.MIXED)
LONDON = {"timezone": "Europe/London"}


def decimal_type(precision: int, scale: int) -> Type:
    return Type(Kind.DECIMAL, precision=precision, scale=scale)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numerals = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12).map(
        lambda d: format(d, "f")
    ),
    st.from_regex(r"\A-?[0-9]{1,12}(\.[0-9]{1,6})?\Z"),
    st.text(string.digits + " .,-+e", max_size=8),
)


def reference_decimal(text: str, precision: int, scale: int) -> tuple[Decimal | None, str]:
    import re

    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", text, re.ASCII):
        return None, "type"
    with localcontext() as context:
        context.prec = 1100
        number = Decimal(text)
        rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_EVEN)
    if abs(rounded) >= Decimal(10) ** (precision - scale):
        return None, "type"
    return rounded, "" if rounded == number else "lossy"


@pytest.mark.promise(15)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(numerals, min_size=1, max_size=8),
    st.sampled_from([(10, 2), (18, 4), (5, 0), (38, 9), (50, 3), (3, 3)]),
)
def test_p15_decimals_are_exact_or_lossy_by_name(texts: list[str], shape: tuple[int, int]) -> None:
    allowed = one_column(texts, TEXT, decimal_type(*shape), lossy="allow")
    strict = one_column(texts, TEXT, decimal_type(*shape), lossy="quarantine")
    expected = [reference_decimal(t, *shape) for t in texts]
    assert found(allowed) == [value for value, _ in expected]
    assert codes(allowed) == [
        (i, "b", "type") for kind in ("type",) for i in _in_order(allowed, expected, kind)
    ]
    assert events(allowed) == [
        (i, "lossy_allowed", texts[i]) for i, (_, why) in enumerate(expected) if why == "lossy"
    ]
    assert found(strict) == [value if why == "" else None for value, why in expected]
    assert {(i, code) for i, _, code in codes(strict)} == {
        (i, why) for i, (_, why) in enumerate(expected) if why
    }


def _in_order(result: Any, expected: list[tuple[Any, str]], kind: str) -> list[int]:
    """Rows of that reason, in the order of the result (which lists one rule after the other)."""
    rows = [i for i, _, code in codes(result) if code == kind]
    assert sorted(rows) == [i for i, (_, why) in enumerate(expected) if why == kind]
    return rows


@settings(max_examples=100, deadline=None)
@given(st.lists(numerals, min_size=1, max_size=8), st.sampled_from([16, 32, 64]))
def test_whole_numbers_from_text(texts: list[str], bits: int) -> None:
    import re

    expected = []
    for text in texts:
        number = int(text) if re.fullmatch(r"-?[0-9]+", text, re.ASCII) else None
        expected.append(
            number if number is not None and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None
        )
    result = one_column(texts, TEXT, Type(Kind.INT, bits=bits))
    assert found(result) == expected
    assert sorted(codes(result)) == [(i, "b", "type") for i, e in enumerate(expected) if e is None]


def test_whole_numbers_take_leading_zeros_but_no_blanks() -> None:
    result = one_column(["007", " 7", "7.0", "-0", "99999999999999999999"], TEXT, INT)
    assert found(result) == [7, None, None, 0, None]
    assert events(result) == []


@pytest.mark.promise(15)
@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=8))
def test_p15_floats_to_decimals_by_their_shortest_text(numbers: list[float]) -> None:
    result = one_column(numbers, FLOAT, decimal_type(38, 6), lossy="quarantine")
    expected = []
    for number in numbers:
        text = format(Decimal(repr(number)), "f") if np.isfinite(number) else "NaN"
        value, why = reference_decimal(text, 38, 6)
        expected.append(value if not why else None)
    assert found(result) == expected


@pytest.mark.promise(15)
def test_p15_a_lossy_cast_stops_by_default_and_keeps_the_original_where_allowed() -> None:
    values, target = ["1.255", "1.25", "-1.245"], decimal_type(8, 2)
    stopped = one_column(values, TEXT, target)
    assert tuple(map(str, stopped.stops)) == (
        "contacts.b: lossy (more than 2 digits after the point) in 2 rows",
    )
    assert sorted(codes(stopped)) == [(0, "b", "lossy"), (2, "b", "lossy")]
    allowed = one_column(values, TEXT, target, lossy="allow")
    assert [str(v) for v in found(allowed)] == ["1.26", "1.25", "-1.24"]
    assert events(allowed) == [(0, "lossy_allowed", "1.255"), (2, "lossy_allowed", "-1.245")]
    big = 2**53 + 1
    assert found(one_column([big], INT, TEXT)) == [str(big)]
    assert codes(one_column([big], INT, FLOAT, lossy="quarantine")) == [(0, "b", "lossy")]
    assert found(one_column(["12.50"], TEXT, Type(Kind.DECIMAL))) == ["12.50"]


def test_too_long_is_cut_only_where_allowed() -> None:
    target = Type(Kind.TEXT, length=3)
    assert codes(one_column(["äöüß", "äöü"], TEXT, target)) == [(0, "b", "too_long")]
    allowed = one_column(["äöüß", "äöü"], TEXT, target, lossy="allow")
    assert (found(allowed), events(allowed)) == (["äöü", "äöü"], [(0, "lossy_allowed", "äöüß")])


# -- dates


@pytest.mark.promise(8)
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dates(), min_size=1, max_size=6),
    st.sampled_from(["Pacific/Auckland", "America/Los_Angeles", "UTC"]),
)
def test_p8_a_date_stays_the_date_whatever_the_zone(days: list[date], zone: str) -> None:
    source = {"timezone": zone}
    assert found(one_column(days, DATE, DATE, source=source)) == days
    assert found(one_column([d.isoformat() for d in days], TEXT, DATE, source=source)) == days
    assert found(one_column([d.isoformat() for d in days], TEXT, DATE, source=source, do=["date"])) == days
    assert (
        found(
            one_column(
                [f"{d:%d}/{d:%m}/{d.year:04d}" for d in days],
                TEXT,
                DATE,
                source=source | {"dates": ("DD/MM/YYYY",)},
                read_as="date",
            )
        )
        == days
    )
    midnights = [datetime(d.year, d.month, d.day) for d in days]
    assert found(one_column(midnights, TIMESTAMP, DATE, source=source)) == days


@pytest.mark.promise(8)
def test_p8_infinite_dates_and_lost_times() -> None:
    raw = pa.array([DATE_INFINITY, -DATE_INFINITY], pa.int32()).cast(pa.date32())
    made = compiled(
        mapping({"b": field("a", check=["required"])}), source_table(id=INT, a=DATE), target_table(b=DATE)
    )
    result = apply(made, pa.table({"id": [1, 2], "a": raw}), np.arange(2))
    assert result.rows.column("b").cast(pa.int32()).to_pylist() == [DATE_INFINITY, -DATE_INFINITY]
    evening = [datetime(2024, 2, 3, 23, 30), datetime(2024, 2, 3)]
    lost = one_column(evening, TIMESTAMP, DATE, lossy="quarantine", source=LONDON)
    assert (found(lost), codes(lost)) == ([None, date(2024, 2, 3)], [(0, "b", "lossy")])


def test_a_date_that_two_formats_read_differently_is_quarantined() -> None:
    formats = {"tables": {"people": SourceTable(dates=("M/D/YYYY", "D/M/YYYY"))}}
    result = one_column(
        ["2/3/2024", "13/3/2024", "3/3/2024", "2024-03-03"], TEXT, DATE, read_as="date", source=formats
    )
    assert found(result) == [None, date(2024, 3, 13), date(2024, 3, 3), None]
    assert result.reasons.column("detail").to_pylist() == [
        "two formats read it differently",
        "no date format of the source reads it",
    ]


# -- moments


@pytest.mark.promise(11)
@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.datetimes(datetime(1975, 1, 1), datetime(2035, 1, 1)), min_size=1, max_size=8),
    st.sampled_from(["Europe/London", "America/New_York"]),
)
def test_p11_local_times_become_moments_by_the_stated_zone(times: list[datetime], zone: str) -> None:
    place, expected = ZoneInfo(zone), []
    for time in times:
        ways = {time.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
        whole = [w for w in ways if w.astimezone(place).replace(tzinfo=None) == time]
        expected.append(whole[0] if len(ways) == 1 and whole else None)
    for values, type_ in ((times, TIMESTAMP), ([t.isoformat() for t in times], TEXT)):
        result = one_column(values, type_, MOMENT, source={"timezone": zone})
        assert found(result) == expected
        assert [i for i, _, _ in codes(result)] == [i for i, e in enumerate(expected) if e is None]


@pytest.mark.promise(11)
def test_p11_a_plain_timestamp_never_becomes_utc_or_a_date_by_itself() -> None:
    texts = ["2024-07-03T10:30:00", "2024-07-03T10:30:00Z", "2024-07-03 10:30:00.250+02:00"]
    result = one_column(texts, TEXT, MOMENT)
    assert found(result) == [
        None,
        datetime(2024, 7, 3, 10, 30, tzinfo=UTC),
        datetime(2024, 7, 3, 8, 30, 0, 250000, tzinfo=UTC),
    ]
    assert codes(result) == [(0, "b", "type")]
    assert codes(one_column(texts, TEXT, TIMESTAMP)) == [(1, "b", "type"), (2, "b", "type")]
    for zone_free in (datetime(2024, 3, 31, 1, 30), datetime(2024, 10, 27, 1, 30)):
        assert codes(one_column([zone_free], TIMESTAMP, MOMENT, source=LONDON)) == [(0, "b", "type")]


@pytest.mark.promise(11)
def test_p11_infinite_timestamps_stay_infinite() -> None:
    raw = pa.array([TIMESTAMP_INFINITY, -TIMESTAMP_INFINITY], pa.int64()).cast(pa.timestamp("us"))
    made = compiled(
        mapping({"b": field("a")}, source=LONDON), source_table(id=INT, a=TIMESTAMP), target_table(b=MOMENT)
    )
    result = apply(made, pa.table({"id": [1, 2], "a": raw}), np.arange(2))
    assert result.rows.column("b").cast(pa.int64()).to_pylist() == [TIMESTAMP_INFINITY, -TIMESTAMP_INFINITY]


@pytest.mark.promise(15)
def test_p15_hour_24_is_exact_or_refused_by_name_and_never_empty() -> None:
    """PostgreSQL has 24:00:00; the library that values go through has not, and would make NULL of it."""
    raw = pa.array([86_400_000_000, 43_200_000_000, None], pa.int64()).cast(pa.time64("us"))
    time, batch = Type(Kind.TIME), pa.table({"id": [1, 2, 3], "a": raw})
    for keys, target, values, reasons in (
        ({}, time, [86_400_000_000, 43_200_000_000, None], []),
        ({"check": ["required"]}, time, [None, 43_200_000_000, None], [(0, "b", "type"), (2, "b", "required")]),
        ({}, TEXT, ["24:00:00.000000", "12:00:00.000000", None], []),
    ):  # fmt: skip
        made = compiled(
            mapping({"b": field("a", **keys)}), source_table(id=INT, a=time), target_table(b=target)
        )
        result = apply(made, batch, np.arange(3))
        column = result.rows.column("b")
        assert (column if target is TEXT else column.cast(pa.int64())).to_pylist() == values
        assert sorted(codes(result)) == reasons


def test_moments_of_far_years() -> None:
    times = [datetime(1, 1, 1), datetime(9999, 12, 30) + timedelta(hours=3)]
    assert found(one_column(times, TIMESTAMP, TIMESTAMP, check=["required"])) == times


# -- text first


@pytest.mark.promise(17)
@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), words, st.sampled_from(["", "NULL", "#N/A"])), min_size=1, max_size=8))
def test_p17_only_stated_words_are_null_whatever_the_chunks(values: list[str | None]) -> None:
    values = [v if v is None else v.replace("\0", "") for v in values]
    assert found(one_column(values, TEXT, TEXT)) == values
    stated = {"nulls": ("", "NULL")}
    expected = [None if v in ("", "NULL") else v for v in values]
    assert found(one_column(values, TEXT, TEXT, source=stated)) == expected
    made = compiled(
        mapping({"b": field("a", do=["lower"])}, source=stated),
        source_table(id=INT, a=TEXT),
        target_table(b=TEXT),
    )
    batch = pa.table({"id": pa.array(range(len(values)), pa.int64()), "a": pa.array(values, pa.string())})
    whole = apply(made, batch, np.arange(len(values)))
    for size in (1, 3):
        cut = pa.Table.from_batches(batch.to_batches(max_chunksize=size), batch.schema)
        assert apply(made, cut, np.arange(len(values))).rows.to_pylist() == whole.rows.to_pylist()


@pytest.mark.promise(18)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.from_regex(r"\A0[0-9]{0,9}\Z"), min_size=1, max_size=6))
def test_p18_leading_zeros_survive_as_text(codes_: list[str]) -> None:
    for keys in (
        {},
        {"do": ["trim"]},
        {"do": ["digits"]},
        {"check": [Check(name="pattern", argument="[0-9]+")]},
    ):
        assert found(one_column(codes_, TEXT, TEXT, **keys)) == codes_
    raw = [{"tag": 3, "int": None, "real": None, "bytes": c.encode()} for c in codes_]
    assert found(one_column(raw, MIXED, TEXT)) == codes_


def test_mixed_storage_classes_become_text_by_value() -> None:
    raw = [
        {"tag": 1, "int": 17, "real": None, "bytes": None},
        {"tag": 2, "int": None, "real": 0.1, "bytes": None},
        {"tag": 2, "int": None, "real": 17.0, "bytes": None},
        {"tag": 3, "int": None, "real": None, "bytes": "ü".encode()},
        {"tag": 4, "int": None, "real": None, "bytes": b"ok"},
        {"tag": 4, "int": None, "real": None, "bytes": b"\xff"},
        {"tag": 0, "int": None, "real": None, "bytes": None},
        None,
    ]
    result = one_column(raw, MIXED, TEXT)
    assert found(result) == ["17", "0.1", "17", "ü", "ok", None, None, None]
    assert codes(result) == [(5, "b", "bad_encoding")]
    assert found(one_column(raw, MIXED, Type(Kind.BYTES)))[3:6] == ["ü".encode(), b"ok", b"\xff"]


def test_mixed_storage_classes_pass_as_they_are_between_mixed_columns() -> None:
    raw = [
        {"tag": 1, "int": 17, "real": None, "bytes": None},
        {"tag": 4, "int": None, "real": None, "bytes": b"\xff"},
        None,
    ]
    assert found(one_column(raw, MIXED, MIXED)) == raw


def test_text_that_the_target_cannot_hold() -> None:
    assert codes(one_column(["a\0b", "ab"], TEXT, TEXT)) == [(0, "b", "nul_byte")]
    assert codes(one_column(["x"], TEXT, Type(Kind.UUID))) == [(0, "b", "type")]
    assert codes(
        one_column(['{"a":', '{"a":1}', "NaN", r'"\u0000"', r'"\\u0000"'], TEXT, Type(Kind.JSON))
    ) == [(0, "b", "type"), (2, "b", "type"), (3, "b", "nul_byte")]
    assert codes(one_column(["a", "c"], TEXT, Type(Kind.TEXT, labels=("a", "b")))) == [(1, "b", "type")]
    assert found(one_column(["ab  "], TEXT, Type(Kind.TEXT, length=2, fixed=True))) == ["ab"]


# -- no row is lost


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), words),
            st.one_of(st.none(), numerals),
            st.sampled_from([None, 0, 1]),
            st.sampled_from([None, None, None, "bad_row"]),
        ),
        max_size=12,
    ),
    st.sampled_from([None, "flag = 0", "CAST(b AS INTEGER) > 0", "a IS NOT NULL"]),
)
def test_rows_and_excluded_are_all_rows_once(rows: list[tuple[Any, ...]], where: str | None) -> None:
    source = source_table(id=INT, a=TEXT, b=TEXT, flag=INT)
    fields = {
        "t": field("a", do=["trim", "lower"], map={"x": "y"}, unmapped="keep", check=["required"]),
        "n": field("b", do=["decimal"], check=[Check(name="range", argument={"min": "0", "max": "100"})]),
        "e": field(expr="CAST(b AS INTEGER) * 2"),
    }
    made = compiled(mapping(fields, where=where), source, target_table(t=TEXT, n=decimal_type(12, 2), e=INT))
    read = [r[3] is None for r in rows]
    columns = {
        "id": pa.array([i if ok else None for i, ok in enumerate(read)], pa.int64()),
        "a": pa.array([r[0] if ok else None for r, ok in zip(rows, read, strict=True)], pa.string()),
        "b": pa.array([r[1] if ok else None for r, ok in zip(rows, read, strict=True)], pa.string()),
        "flag": pa.array([r[2] if ok else None for r, ok in zip(rows, read, strict=True)], pa.int64()),
        "_bad": pa.array([r[3] for r in rows], pa.string()),
    }
    rids = np.arange(len(rows), dtype=np.int64) * 7 + (3 << 32)
    result = apply(made, pa.table(columns), rids)
    kept, out = result.rows.column("__rid").to_numpy(), result.excluded.column("rid").to_numpy()
    assert sorted([*kept, *out]) == rids.tolist()
    assert set(result.reasons.column("rid").to_pylist()) <= set(kept)
    bad = {int(r) for r, ok in zip(rids, read, strict=True) if not ok}
    assert {r["rid"] for r in result.reasons.to_pylist() if r["code"] == "bad_row"} == bad
    assert all(r["code"] == "bad_row" for r in result.reasons.to_pylist() if r["rid"] in bad)
    assert not bad & {e["rid"] for e in result.events.to_pylist()}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_passes_to_its_own_kind(kind: Kind) -> None:
    samples: dict[Kind, Any] = {
        Kind.BOOL: True, Kind.INT: 7, Kind.FLOAT: 0.1, Kind.DECIMAL: Decimal("1.50"), Kind.TEXT: "a", Kind.BYTES: b"\xff",
        Kind.DATE: date(2024, 2, 29), Kind.TIME: datetime(2024, 1, 1, 10, 30).time(), Kind.TIMESTAMP: datetime(2024, 1, 1, 10),
        Kind.TIMESTAMPTZ: datetime(2024, 1, 1, 10, tzinfo=UTC), Kind.UUID: "00000000-0000-4000-8000-000000000000",
        Kind.JSON: '{"a": 1}', Kind.ARRAY: ["a", None], Kind.OPAQUE: "10.0.0.1/8",
        Kind.MIXED: {"tag": 3, "int": None, "real": None, "bytes": b"a"},
    }  # fmt: skip
    type_ = Type(
        kind, bits=64 if kind in (Kind.INT, Kind.FLOAT) else None, item=TEXT if kind is Kind.ARRAY else None
    )
    if kind is Kind.DECIMAL:
        type_ = decimal_type(8, 2)
    result = one_column([samples[kind], None], type_, type_)
    assert result.rows.schema.field("b").type == layout(type_)
    assert found(result) == [
        samples[kind],
        None,
    ]
    assert codes(result) == []


def test_steps_read_numbers_exactly() -> None:
    result = one_column(
        ["0.1", "1e5", "12345678901234567890.5"],
        TEXT,
        Type(Kind.DECIMAL),
        do=[Step(name="round", arguments="3")],
    )
    assert found(result) == ["0.1", None, "12345678901234567890.5"]
