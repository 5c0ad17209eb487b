"""Comparison: nothing hides a difference, and a difference is named."""

from __future__ import annotations

import dataclasses
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate import canon
from migrate.arrow import MIXED
from migrate.compare import (
    CellDifference,
    SetDifference,
    cell_differences,
    compare_digests,
    compare_schemas,
    compare_sets,
)
from migrate.errors import Corrupt, GateClosed
from migrate.model import Check, Column, ForeignKey, Index, Kind, Schema, Sequence, Table, Type, Unique

INT, TEXT = Type(Kind.INT, "bigint"), Type(Kind.TEXT, "text")
TYPES = {"id": INT, "name": TEXT}


def people(*rows: tuple[int, str | None]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([r[0] for r in rows], pa.int64()),
            "name": pa.array([r[1] for r in rows], pa.string()),
        }
    )


def digest(*rows: tuple[int, str | None]) -> canon.Digest:
    return canon.digest([people(*rows)], TYPES, ["id"])


# -- digests ------------------------------------------------------------------------------------


def test_equal_digests_pass_and_carry_both_texts() -> None:
    verdict = compare_digests("L5", digest((1, "a"), (2, "b")), digest((2, "b"), (1, "a")), table="people")
    assert verdict.passed
    assert verdict.expected == verdict.found == digest((1, "a"), (2, "b")).text()
    assert verdict.reason == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (digest((1, "a")), "people: 1 row missing; 1 of 64 buckets differ"),
        (digest((1, "a"), (2, "b"), (3, "c")), "people: 1 row extra; 1 of 64 buckets differ"),
        (
            digest((1, "a"), (2, "B")),
            "people: 2 rows on both sides, of different content; 1 of 64 buckets differ",
        ),
        (canon.Digest.parse(digest((1, "a")).text()), "people: 1 row missing"),
        (canon.Digest.EMPTY, "people: 2 rows missing; 2 of 64 buckets differ"),
    ],
)
def test_a_difference_is_a_failed_verdict_with_its_reason(found: canon.Digest, reason: str) -> None:
    verdict = compare_digests("L5", digest((1, "a"), (2, "b")), found, table="people")
    assert not verdict.passed
    assert verdict.reason == reason
    assert verdict.evidence["rows_expected"] == 2


@pytest.mark.promise(22)
def test_p22_null_instead_of_empty_text_fails() -> None:
    assert not compare_digests("L5", digest((1, "")), digest((1, None)), table="people").passed


def test_digests_of_other_algorithms_could_not_be_compared() -> None:
    other = dataclasses.replace(digest((1, "a")), algorithm="canon-9")
    with pytest.raises(GateClosed, match="cannot be compared"):
        compare_digests("L5", digest((1, "a")), other, table="people")


# -- sets ---------------------------------------------------------------------------------------

Row = tuple[str | None, bytes]


def write(path: Path, rows: list[Row]) -> Path:
    hashes = pa.array([h.ljust(16, b"\0") for _, h in rows], pa.binary(16))
    pq.write_table(pa.table({"key": pa.array([k for k, _ in rows], pa.string()), "hash": hashes}), path)
    return path


def sets(folder: Path, expected: list[Row], found: list[Row], limit: int = 20) -> SetDifference:
    temp = folder / "temp"
    result = compare_sets(
        [write(folder / "e.parquet", expected)], [write(folder / "f.parquet", found)], limit=limit, temp=temp
    )
    assert list(temp.iterdir()) == []
    return result


def test_missing_extra_and_different_rows_are_named(tmp_path: Path) -> None:
    expected: list[Row] = [('["1"]', b"a"), ('["2"]', b"b"), ('["3"]', b"c")]
    found: list[Row] = [('["3"]', b"C"), ('["1"]', b"a"), ('["4"]', b"d")]
    assert sets(tmp_path, expected, found) == SetDifference(
        matched=1, missing=1, extra=1, different=1, duplicates=0,
        missing_keys=('["2"]',), extra_keys=('["4"]',), different_keys=('["3"]',),
    )  # fmt: skip


def test_equal_sets_in_another_order_and_split_over_files(tmp_path: Path) -> None:
    rows: list[Row] = [(f'["{n}"]', str(n).encode()) for n in range(1000)]
    parts = [write(tmp_path / "it's 1.parquet", rows[500:]), write(tmp_path / "2.parquet", rows[:500])]
    whole = write(tmp_path / "whole.parquet", rows)
    result = compare_sets([whole], parts, temp=tmp_path / "t")
    assert result == SetDifference(1000, 0, 0, 0, 0)
    assert result.equal


@pytest.mark.promise(22)
def test_p22_duplicates_never_hide_a_difference(tmp_path: Path) -> None:
    k = '["1"]'
    twice = sets(tmp_path, [(k, b"a"), (k, b"a")], [(k, b"a")])
    assert (twice.matched, twice.missing, twice.duplicates, twice.equal) == (1, 1, 1, False)
    swapped = sets(tmp_path, [(k, b"a"), (k, b"b")], [(k, b"a"), (k, b"a")])
    assert (swapped.matched, swapped.different, swapped.duplicates) == (1, 1, 1)
    pairs = sets(tmp_path, [(k, b"a"), (k, b"a")], [(k, b"b"), (k, b"b")])
    assert (pairs.matched, pairs.different, pairs.different_keys) == (0, 2, (k,))
    same = sets(tmp_path, [(k, b"a"), (k, b"b")], [(k, b"b"), (k, b"a")])
    assert (same.matched, same.duplicates, same.equal) == (2, 1, True)


def test_null_keys_and_empty_sides(tmp_path: Path) -> None:
    null = sets(tmp_path, [(None, b"a")], [(None, b"b")])
    assert (null.different, null.different_keys) == (1, (None,))
    assert sets(tmp_path, [(None, b"a")], [(None, b"a")]).equal
    one = [write(tmp_path / "one.parquet", [("k", b"a")])]
    assert compare_sets(one, [], temp=tmp_path).missing_keys == ("k",)
    assert compare_sets([], one, temp=tmp_path).extra_keys == ("k",)
    assert compare_sets([], [], temp=tmp_path) == SetDifference(0, 0, 0, 0, 0)


def test_only_the_first_keys_are_listed_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    rows: list[Row] = [(k, b"a") for k in ("b", "B", "a", "ä", "10", "9")]
    assert sets(tmp_path, rows, [], limit=4).missing_keys == ("10", "9", "B", "a")
    assert sets(tmp_path, rows, [], limit=4).missing == 6


KEYS = st.sampled_from([None, "a", "b", "c", "a ", "A"])
ROWS = st.lists(st.tuples(KEYS, st.sampled_from([b"1", b"2", b"3"])), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expected=ROWS, found=ROWS)
def test_sets_equal_the_plain_multiset_comparison(
    tmp_path: Path, expected: list[Row], found: list[Row]
) -> None:
    result = sets(tmp_path, expected, found)
    left, right = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    keys = {k for k, _ in [*left, *right]}
    per_key = {
        k: [sum(n for (key, _), n in side.items() if key == k) for side in (left, right)] for k in keys
    }
    assert result.matched == len(expected) - left.total() == len(found) - right.total()
    assert result.different == sum(min(p) for p in per_key.values())
    assert result.missing == sum(max(a - b, 0) for a, b in per_key.values())
    assert result.extra == sum(max(b - a, 0) for a, b in per_key.values())
    counts = [Counter(k for k, _ in side) for side in (expected, found)]
    assert result.duplicates == len({k for c in counts for k, n in c.items() if n > 1})
    assert set(result.missing_keys) == {k for k, (a, b) in per_key.items() if a > b}
    assert set(result.different_keys) == {k for k, (a, b) in per_key.items() if a and b}


def test_a_file_that_is_no_parquet_could_not_be_compared(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", [("k", b"a")])
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 nothing")
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"id": [1]}), other)
    for paths in ([bad], [other], [tmp_path / "gone.parquet"]):
        with pytest.raises(Corrupt):
            compare_sets([good], paths, temp=tmp_path / "t")
    assert list((tmp_path / "t").iterdir()) == []


# -- cells --------------------------------------------------------------------------------------


def test_cells_name_key_column_and_both_values() -> None:
    expected = people((1, "a"), (2, "b"), (3, None), (5, "only here"))
    found = people((3, ""), (2, "b"), (1, "A"), (4, "new"))
    assert cell_differences(expected, found, "id", TYPES, 10) == [
        CellDifference("1", "name", "a", "A"),
        CellDifference("3", "name", None, ""),
        CellDifference("4", "", None, "a row"),
        CellDifference("5", "", "a row", None),
    ]
    assert len(cell_differences(expected, found, "id", TYPES, 2)) == 2


def test_cells_compare_canonical_forms_not_spellings() -> None:
    types = {"id": INT, "amount": Type(Kind.DECIMAL, precision=12, scale=2), "doc": Type(Kind.JSON)}
    one = pa.table(
        {"id": [1], "amount": pa.array([Decimal("1.50")], pa.decimal128(12, 2)), "doc": ['{"a": 1.0}']}
    )
    two = pa.table(
        {"id": [1], "amount": pa.array([Decimal("1.5")], pa.decimal128(20, 4)), "doc": ['{"a":1}']}
    )
    assert cell_differences(one, two, "id", types, 10) == []


def test_cells_that_look_alike_are_told_apart() -> None:
    empty: dict[str, Any] = {"tag": 0, "int": None, "real": None, "bytes": None}
    types = {"id": INT, "v": Type(Kind.MIXED)}
    one, two = (
        pa.table({"id": [1], "v": pa.array([empty | v], MIXED)})
        for v in ({"tag": 1, "int": 17}, {"tag": 3, "bytes": b"17"})
    )
    (difference,) = cell_differences(one, two, "id", types, 10)
    assert difference.expected == "17 (kind int, bytes 1100000000000000)"
    assert difference.found == "17 (kind text, bytes 3137)"


def test_long_values_are_shortened_with_the_difference_in_sight() -> None:
    (difference,) = cell_differences(
        people((1, "x" * 5000 + "a" + "y" * 900)), people((1, "x" * 5000 + "b")), "id", TYPES, 10
    )
    assert difference.expected is not None
    assert difference.found is not None
    assert len(difference.expected) <= 200
    assert len(difference.found) <= 200
    assert "xa" in difference.expected
    assert "xb" in difference.found


def test_a_column_on_one_side_only_and_repeated_keys() -> None:
    one, two = people((1, "a")), people((1, "a")).append_column("more", pa.array(["x"]))
    assert cell_differences(one, two, "id", TYPES | {"more": TEXT}, 10) == [
        CellDifference("1", "more", None, "a column")
    ]
    assert cell_differences(people((1, "a"), (1, "b")), people((1, "b"), (1, "a")), "id", TYPES, 10) == []
    assert cell_differences(people((1, "a"), (1, "b")), people((1, "b"), (1, "b")), "id", TYPES, 10) == [
        CellDifference("1", "name", "a", "b")
    ]
    with pytest.raises(Corrupt, match="nokey"):
        cell_differences(one, two, "nokey", TYPES, 10)


# -- catalogues ---------------------------------------------------------------------------------

ACCOUNT = Table(
    "account",
    (
        Column("id", INT, nullable=False, identity="by default", sequence="account_id_seq"),
        Column("name", TEXT, default="''::text"),
    ),
    primary_key=("id",),
    uniques=(Unique("account_name_key", ("name",)),),
)
CONTACT = Table(
    "contact",
    (Column("id", INT, nullable=False), Column("account_id", INT), Column("email", TEXT, collation="C")),
    primary_key=("id",),
    foreign_keys=(ForeignKey("contact_account_fk", ("account_id",), "account", ("id",), validated=False),),
    checks=(Check("email_has_at", "CHECK ((email ~~ '%@%'::text))"),),
    indexes=(Index("contact_email", "CREATE INDEX contact_email ON contact (lower(email))"),),
)
SCHEMA = Schema(
    "postgresql",
    "18",
    (ACCOUNT, CONTACT),
    sequences=(Sequence("account_id_seq", 17),),
    enums={"stage": ("open", "won")},
)


def with_table(table: Table) -> Schema:
    return dataclasses.replace(
        SCHEMA, tables=tuple(table if t.name == table.name else t for t in SCHEMA.tables)
    )


def with_column(table: Table, at: str, /, **changes: Any) -> Schema:
    columns = tuple(dataclasses.replace(c, **changes) if c.name == at else c for c in table.columns)
    return with_table(dataclasses.replace(table, columns=columns))


def test_equal_schemas_have_no_differences_in_any_order_of_tables() -> None:
    shuffled = dataclasses.replace(SCHEMA, tables=(CONTACT, ACCOUNT), version="17", not_carried=("view v",))
    assert compare_schemas(SCHEMA, shuffled) == []


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (dataclasses.replace(SCHEMA, tables=(ACCOUNT,)), "table contact is missing"),
        (dataclasses.replace(SCHEMA, engine="sqlite"), "engine: expected postgresql, found sqlite"),
        (with_column(CONTACT, "account_id", nullable=False), "table contact: column account_id: expected bigint null, found bigint not null"),
        (with_column(CONTACT, "account_id", type=Type(Kind.INT, "integer")), "table contact: column account_id: expected bigint null, found integer null"),
        (with_column(CONTACT, "email", collation=None), "table contact: column email: expected text null collate C, found text null"),
        (with_column(ACCOUNT, "name", default=None), "table account: column name: expected text null default ''::text, found text null"),
        (with_column(CONTACT, "email", generated="lower(x)"), "table contact: column email: expected text null collate C, found text null generated as lower(x) collate C"),
        (
            with_column(ACCOUNT, "id", identity="always"),
            "table account: column id: expected bigint not null identity by default sequence account_id_seq, found bigint not null identity always sequence account_id_seq",
        ),
        (with_column(CONTACT, "email", name="mail"), "table contact: column email is missing"),
        (with_column(CONTACT, "email", name="mail"), "table contact: column mail is extra"),
        (with_table(dataclasses.replace(CONTACT, columns=CONTACT.columns[::-1])), "table contact: column order: expected id, account_id, email, found email, account_id, id"),
        (with_table(dataclasses.replace(CONTACT, primary_key=())), "table contact: primary key: expected id, found none"),
        (with_table(dataclasses.replace(ACCOUNT, uniques=(Unique("account_name_key1", ("name",)),))), "table account: unique account_name_key is missing"),
        (with_table(dataclasses.replace(ACCOUNT, uniques=(Unique("account_name_key", ("name",), "NULLS NOT DISTINCT"),))), "table account: unique account_name_key: expected (name), found (name) NULLS NOT DISTINCT"),
        (
            with_table(dataclasses.replace(CONTACT, foreign_keys=(dataclasses.replace(CONTACT.foreign_keys[0], validated=True),))),
            "table contact: foreign key contact_account_fk: expected (account_id) references account (id) on delete NO ACTION on update NO ACTION not deferrable not valid,"
            " found (account_id) references account (id) on delete NO ACTION on update NO ACTION not deferrable",
        ),
        (
            with_table(dataclasses.replace(CONTACT, foreign_keys=(dataclasses.replace(CONTACT.foreign_keys[0], deferrable=True, initially_deferred=True),))),
            "table contact: foreign key contact_account_fk: expected (account_id) references account (id) on delete NO ACTION on update NO ACTION not deferrable not valid,"
            " found (account_id) references account (id) on delete NO ACTION on update NO ACTION deferrable initially deferred not valid",
        ),
        (with_table(dataclasses.replace(CONTACT, checks=())), "table contact: check email_has_at is missing"),
        (with_table(dataclasses.replace(CONTACT, indexes=())), "table contact: index contact_email is missing"),
        (with_table(dataclasses.replace(CONTACT, options="STRICT")), "table contact: options: expected none, found STRICT"),
        (dataclasses.replace(SCHEMA, sequences=(Sequence("account_id_seq", 16),)), "sequence account_id_seq: expected at 17, found at 16"),
        (dataclasses.replace(SCHEMA, sequences=(Sequence("account_id_seq", None),)), "sequence account_id_seq: expected at 17, found never used"),
        (dataclasses.replace(SCHEMA, enums={"stage": ("won", "open")}), "enum stage: expected open, won, found won, open"),
        (dataclasses.replace(SCHEMA, enums={}), "enum stage is missing"),
    ],
)  # fmt: skip
def test_every_difference_of_a_catalogue_is_a_line(found: Schema, line: str) -> None:
    assert line in compare_schemas(SCHEMA, found)
    assert compare_schemas(found, SCHEMA) != []
