"""Profiles, keys, values and orphans over real Parquet parts, against plain Python."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate import failpoints
from migrate.arrow import MIXED
from migrate.errors import Corrupt, Unreachable, UsageError
from migrate.model import Column, Kind, Table, Type
from migrate.rules import profiling
from migrate.rules.profiling import duplicate_keys, orphans, profile_table, value_counts
from migrate.rules.profiling_text import shape

TEXT = Type(Kind.TEXT)


def parts(folder: Path, *tables: pa.Table, name: str = "part") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, table in enumerate(tables):
        paths.append(folder / f"{name}-{i:05d}.parquet")
        pq.write_table(table, paths[-1], write_statistics=False)
    return paths


def texts(**columns: Sequence[str | None]) -> pa.Table:
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def declared(**kinds: Type) -> Table:
    return Table("t", tuple(Column(name, type_) for name, type_ in kinds.items()))


def test_text_column_facts(tmp_path: Path) -> None:
    values = [
        "Ada",
        " Bob",
        "Zoë ",
        "",
        None,
        "Ada",
        "tab\there",
        "😀",
        "\u00a0nbsp",
        "x@y.co",
        "12",
        "1,234.50",
    ]
    values += ["2021-03-04", "yes", "3.5", "\u0085"]
    paths = parts(tmp_path / "p", texts(a=values[:7]), texts(a=values[7:]))
    profile = profile_table(paths, declared(a=TEXT), key=[], temp=tmp_path / "t")
    a = profile.column("a")
    assert (profile.rows, a.rows, a.nulls, a.empty, a.distinct, a.distinct_exact) == (16, 16, 1, 1, 14, True)
    assert (a.min_length, a.max_length) == (0, 10)
    assert a.top[0] == ("Ada", 2)
    assert (a.leading_space, a.trailing_space) == (3, 2)  # " Bob", no-break space, U+0085; "Zoë ", U+0085
    assert (a.non_ascii, a.emoji, a.control) == (4, 1, 2)
    assert a.looks_like == {"integer": 1, "decimal": 2, "date": 1, "email": 1, "boolean": 1}
    assert ("Aaa", 2) in a.patterns
    assert a.shares["integer"] == pytest.approx(1 / 14)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+44 (020) 794-6018", "+99 (999) 999-9999"),
        ("Łódź-7", "Aaaa-9"),
        ("李小龙", "xxx"),
        ("٣", "9"),
        ("a\tb\x00", "a?a?"),
        ("naïve 😀", "aaaaa *"),
        ("e\u0301", "a"),
        ("", ""),
        ("b" * 300, "a" * 100),
    ],
)
def test_shapes_show_no_character_of_the_value(value: str, expected: str) -> None:
    assert shape(value) == expected


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_shapes_hold_nothing_but_marks_and_ascii_punctuation(value: str) -> None:
    found = shape(value)
    assert all(c in "Aax9*?" or (c.isascii() and not c.isalnum() and c in value) for c in found)


def test_json_without_samples_holds_no_value(tmp_path: Path) -> None:
    secret = ["canary-Smith", "canary-Jones", "李canary"]
    mixed = pa.array([{"tag": 3, "int": None, "real": None, "bytes": s.encode()} for s in secret], MIXED)
    table = pa.table({"a": pa.array(secret), "n": pa.array([1234567, 7654321, 5]), "m": mixed})
    shown = declared(a=TEXT, n=Type(Kind.INT, bits=64), m=Type(Kind.MIXED))
    profile = profile_table(parts(tmp_path / "p", table), shown, key=["a"], temp=tmp_path / "t")
    masked = json.dumps(profile.as_json(), ensure_ascii=False)
    assert not [s for s in ("canary", "Smith", "李", "1234567", "7654321") if s in masked]
    assert "aaaaaa-Aaaaa" in masked
    assert "canary-Smith" in json.dumps(profile.as_json(samples=True), ensure_ascii=False)


def test_typed_columns_have_minimum_and_maximum_by_value(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": pa.array([9, 10, None, -3], pa.int32()),
            "d": pa.array([Decimal("9.50"), Decimal("10.00"), None, Decimal("9.50")], pa.decimal256(60, 2)),
            "b": pa.array([b"\x00\xff", b"", None, b"abc"]),
            "t": pa.array([0, 86_400_000_000, None, 0], pa.timestamp("us", "UTC")),
            "ok": pa.array([True, False, None, True]),
        }
    )
    types = declared(
        n=Type(Kind.INT, bits=32),
        d=Type(Kind.DECIMAL, precision=60, scale=2),
        b=Type(Kind.BYTES),
        t=Type(Kind.TIMESTAMPTZ),
        ok=Type(Kind.BOOL),
    )
    profile = profile_table(parts(tmp_path / "p", table), types, key=[], temp=tmp_path / "t")
    assert (profile.column("n").min, profile.column("n").max) == ("-3", "10")
    assert (profile.column("d").min, profile.column("d").max, profile.column("d").distinct) == (
        "9.5",
        "10",
        2,
    )
    b = profile.column("b")
    assert (b.nulls, b.empty, b.distinct, b.min_length, b.max_length, b.top) == (1, 1, 3, 0, 3, ())
    assert profile.column("t").max == "1970-01-02T00:00:00.000000Z"
    assert profile.column("ok").top == (("true", 2), ("false", 1))


@pytest.mark.fineprint(22)
def test_f22_mixed_columns_are_counted_by_storage_class(tmp_path: Path) -> None:
    cells: list[tuple[Any, ...] | None] = [
        (1, 17, None, None),
        (2, None, 17.0, None),
        (3, None, None, b"17"),
        (4, None, None, b"\xff"),
        None,
    ]
    cells += [(0, None, None, None), (3, None, None, b"not utf-8 \xff")]
    mixed = pa.array(
        [None if c is None else dict(zip(("tag", "int", "real", "bytes"), c, strict=True)) for c in cells],
        MIXED,
    )
    paths = parts(tmp_path / "p", pa.table({"m": mixed}))
    m = profile_table(paths, declared(m=Type(Kind.MIXED)), key=[], temp=tmp_path / "t").column("m")
    assert m.classes == {"null": 2, "integer": 1, "real": 1, "text": 2, "blob": 1}
    assert (m.nulls, m.top[0]) == (2, ("17", 3))


@pytest.mark.promise(17)
def test_p17_null_and_empty_are_counted_apart(tmp_path: Path) -> None:
    paths = parts(tmp_path / "p", texts(a=["", None, None, "x"]))
    a = profile_table(paths, declared(a=TEXT), key=[], temp=tmp_path / "t").column("a")
    assert (a.nulls, a.empty, a.distinct) == (2, 1, 2)


def test_broken_rows_are_counted_by_code_and_not_in_the_columns(tmp_path: Path) -> None:
    bad = [None, "ragged_row", None, "bad_row"]
    table = texts(a=["1", None, "1", None], _line=list("1234"), _bad=bad, _raw=bad)
    paths = parts(tmp_path / "p", table)
    columns = declared(a=TEXT, _line=TEXT, _bad=TEXT, _raw=TEXT)
    profile = profile_table(paths, columns, key=["a"], temp=tmp_path / "t")
    assert (profile.rows, dict(profile.bad)) == (4, {"bad_row": 1, "ragged_row": 1})
    assert (profile.column("a").rows, profile.column("a").nulls) == (2, 0)
    assert [c.name for c in profile.columns] == ["a"]
    assert profile.keys is not None
    assert profile.keys.as_json() == {"rows": 2, "not_unique": 2, "repeated": 1, "missing": 0}


def test_above_the_bound_distinct_is_flagged_as_an_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "EXACT_DISTINCT", 50)
    paths = parts(tmp_path / "p", texts(a=[str(i) for i in range(1000)] + ["x y"] * 500))
    a = profile_table(paths, declared(a=TEXT), key=[], temp=tmp_path / "t", top=3).column("a")
    assert not a.distinct_exact
    assert a.distinct == pytest.approx(1001, rel=0.3)
    assert (a.top[0], a.patterns[0], a.max_length) == (("x y", 500), ("999", 900), 3)


def test_names_that_differ_by_case_and_odd_file_names(tmp_path: Path) -> None:
    table = pa.table([pa.array(["1"]), pa.array(["2"]), pa.array(["3"])], names=["Name", "name", 'na"me'])
    paths = parts(tmp_path / "it's [odd] *", table)
    profile = profile_table(
        paths,
        Table("t", tuple(Column(n, TEXT) for n in table.column_names)),
        key=["name"],
        temp=tmp_path / "t",
    )
    assert [c.top for c in profile.columns] == [(("1", 1),), (("2", 1),), (("3", 1),)]


def test_no_parts_and_absent_columns(tmp_path: Path) -> None:
    profile = profile_table([], declared(a=TEXT), key=["a"], temp=tmp_path / "t")
    assert (profile.rows, profile.column("a").rows) == (0, 0)
    with pytest.raises(UsageError, match="b"):
        profile_table(parts(tmp_path / "p", texts(a=["1"])), declared(b=TEXT), key=[], temp=tmp_path / "t")
    with pytest.raises(KeyError):
        profile.column("zzz")


def test_temporary_files_go_away(tmp_path: Path) -> None:
    profile_table(parts(tmp_path / "p", texts(a=["1"])), declared(a=TEXT), key=["a"], temp=tmp_path / "t")
    assert list((tmp_path / "t").iterdir()) == []


ROWS = st.lists(
    st.tuples(st.sampled_from([None, "", "1", "01", "a", '"']), st.sampled_from([None, 1, 2])), max_size=30
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 7))
def test_duplicate_keys_against_plain_counting(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str | None, int | None]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    cut = [rows[i : i + size] for i in range(0, len(rows), size)]
    tables = [
        pa.table(
            {"a": pa.array([r[0] for r in c], pa.string()), "n": pa.array([r[1] for r in c], pa.int64())}
        )
        for c in cut
    ]
    types = {"a": TEXT, "n": Type(Kind.INT, bits=64)}
    found = duplicate_keys(
        parts(folder / "p", *tables), ["a", "n"], types, out=folder / "d.parquet", temp=folder
    )
    counts = Counter(r for r in rows if None not in r)
    expected = {
        (p << 32 | i): "key_missing" if None in row else "key_not_unique"
        for p, c in enumerate(cut)
        for i, row in enumerate(c)
        if None in row or counts[row] > 1
    }
    written = pq.read_table(folder / "d.parquet")
    assert list(zip(written.schema.names, written.schema.types, strict=True)) == [
        ("rid", pa.int64()),
        ("code", pa.string()),
    ]
    assert list(zip(written["rid"].to_pylist(), written["code"].to_pylist(), strict=True)) == sorted(
        expected.items()
    )
    assert found.rows == len(rows)
    assert found.missing == sum(None in r for r in rows)
    assert found.not_unique == sum(n for n in counts.values() if n > 1)
    assert found.repeated == sum(n > 1 for n in counts.values())
    assert found.unique is (not expected)


@pytest.mark.fineprint(15)
def test_f15_keys_are_equal_by_canonical_text(tmp_path: Path) -> None:
    decimals = pa.array([Decimal("1.50"), Decimal("2.00"), Decimal("1.50")], pa.decimal128(10, 2))
    paths = parts(tmp_path / "p", pa.table({"d": decimals}))
    out = tmp_path / "d.parquet"
    found = duplicate_keys(
        paths, ["d"], {"d": Type(Kind.DECIMAL, precision=10, scale=2)}, out=out, temp=tmp_path / "t"
    )
    assert (found.not_unique, pq.read_table(out)["rid"].to_pylist()) == (2, [0, 2])
    assert out.stat().st_mode & 0o777 == 0o600


def test_broken_rows_are_not_judged_by_key(tmp_path: Path) -> None:
    paths = parts(tmp_path / "p", texts(a=["1", None, None], _bad=[None, "bad_row", None]))
    out = tmp_path / "d.parquet"
    found = duplicate_keys(paths, ["a"], {"a": TEXT}, out=out, temp=tmp_path / "t")
    assert (found.rows, found.missing, pq.read_table(out)["rid"].to_pylist()) == (2, 1, [2])


def test_a_full_disk_leaves_no_half_file_of_duplicates(tmp_path: Path) -> None:
    paths = parts(tmp_path / "p", texts(a=["1", "1"]))
    failpoints.arm("profile.duplicates.written:1:enospc")
    try:
        with pytest.raises(Unreachable):
            duplicate_keys(paths, ["a"], {"a": TEXT}, out=tmp_path / "d.parquet", temp=tmp_path / "t")
    finally:
        failpoints.arm()
    assert not (tmp_path / "d.parquet").exists()


def test_a_part_that_is_no_parquet_is_corrupt(tmp_path: Path) -> None:
    good = parts(tmp_path / "p", texts(a=["1"]))
    bad = tmp_path / "p" / "part-00001.parquet"
    bad.write_bytes(b"PAR1 no")
    for paths in ([bad], [*good, bad]):
        with pytest.raises(Corrupt, match="part-00001"):
            duplicate_keys(paths, ["a"], {"a": TEXT}, out=tmp_path / "d.parquet", temp=tmp_path / "t")
        with pytest.raises(Corrupt, match="part-00001"):
            profile_table(paths, declared(a=TEXT), key=[], temp=tmp_path / "t")


def test_value_counts(tmp_path: Path) -> None:
    paths = parts(tmp_path / "p", texts(a=["x", "y", "x", None]), texts(a=["", "y", None, "x"]))
    assert value_counts(paths, "a", temp=tmp_path / "t") == [("x", 3), (None, 2), ("y", 2), ("", 1)]
    assert value_counts(paths, "a", temp=tmp_path / "t", limit=1) == [("x", 3)]
    numbers = parts(tmp_path / "n", pa.table({"n": pa.array([1.0, 1.0, 2.5, None])}))
    assert value_counts(numbers, "n", temp=tmp_path / "t") == [("1", 2), (None, 1), ("2.5", 1)]
    assert value_counts([], "a", temp=tmp_path / "t") == []


@pytest.mark.promise(1)
def test_p1_orphans_are_counted_across_types(tmp_path: Path) -> None:
    children = parts(tmp_path / "c", texts(parent=["1", "2", "9", "9", None, "x'y"]), name="child")
    parents = parts(tmp_path / "p", pa.table({"id": pa.array([1, 2, None], pa.int64())}))
    assert orphans(children, "parent", parents, "id", tmp_path / "t") == (3, ["9", "x'y"])
    assert orphans(children, "parent", [], "id", tmp_path / "t")[0] == 5
    assert orphans([], "parent", parents, "id", tmp_path / "t") == (0, [])


def test_dates_are_counted_by_year_and_a_rare_year_is_not_told(tmp_path: Path) -> None:
    days = [*["2019-03-01"] * 7, *["2020-12-31"] * 5, "1931-05-05", None]
    written = [*["1.3.2019"] * 7, *["31/12/2020 10:00"] * 5, "05.05.31", ""]
    moments = [*["2019-12-31T23:30:00Z"] * 7, *["2020-12-31T23:59:59Z"] * 5, "1931-01-01T00:00:00Z", None]
    taken = pa.table(
        {
            "day": pa.array(days).cast(pa.date32()),
            "said": pa.array(written),
            "moment": pc.strptime(pa.array(moments), format="%Y-%m-%dT%H:%M:%SZ", unit="us").cast(pa.timestamp("us", tz="UTC")),
            "name": pa.array(["2019-03-01", *["x"] * 13]),
        }
    )  # fmt: skip
    kinds = declared(day=Type(Kind.DATE), said=TEXT, moment=Type(Kind.TIMESTAMPTZ), name=TEXT)
    profile = profile_table(parts(tmp_path, taken), kinds, key=(), temp=tmp_path / "temp")
    for name, rare in (("day", 1), ("said", 0), ("moment", 1)):  # of 31 nobody knows the century
        found = profile.column(name).as_json()
        assert found["years"] == [{"year": 2019, "rows": 7}, {"year": 2020, "rows": 5}], name
        assert found["years_rare"] == rare
    assert profile.column("name").as_json()["years"] == []
    assert "1931" not in json.dumps(profile.as_json())


def test_of_endless_dates_and_of_many_years_the_fullest_are_told(tmp_path: Path) -> None:
    endless = [2**63 - 1, -(2**63) + 1] * 5
    years = [f"{year}-01-01" for year in range(1900, 2000) for _ in range(5 + year % 2)]
    moments = pa.chunked_array([pa.array(endless, pa.int64()).cast(pa.timestamp("us"))])
    ended = profile_table(
        parts(tmp_path / "a", pa.table({"at": moments})), declared(at=Type(Kind.TIMESTAMP)), key=(), temp=tmp_path / "temp",
    ).column("at")  # fmt: skip
    assert (ended.years.told, ended.years.rare) == ((), 0)
    many = profile_table(
        parts(tmp_path / "b", texts(day=years)), declared(day=TEXT), key=(), temp=tmp_path / "temp"
    ).column("day")
    assert len(many.years.told) == 60
    assert [y for y, n in many.years.told if n == 6] == list(range(1901, 2000, 2))
    assert many.years.rare + sum(n for _, n in many.years.told) == len(years)
