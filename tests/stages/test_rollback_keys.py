"""Keys of rows that are undone: read from JSON as they were written, and taken in the order of the table's index."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from migrate import canon
from migrate.model import Column, Kind, Table, Type
from migrate.stages.rollback.victims import changed, key_table, sorted_entries

VALUES = st.text(st.characters(exclude_categories=["Cs"])) | st.text(alphabet='a",[]\\')


def a_table(kind: Kind, width: int) -> Table:
    columns = tuple(Column(f"k{i}", Type(kind)) for i in range(width))
    return Table("rows", columns, tuple(c.name for c in columns))


def as_json(*values: object) -> str:
    return json.dumps([str(v) for v in values], ensure_ascii=False, separators=(",", ":"))


def in_order(table: Table, texts: list[str]) -> list[str]:
    entries = pa.table({"target_key": pa.array(texts, pa.string()), "at": list(range(len(texts)))})
    found = sorted_entries(table, entries)
    assert [texts[i] for i in found["at"].to_numpy()] == found["target_key"].to_pylist()
    return [str(k) for k in found["target_key"].to_pylist()]


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=1)))
def test_keys_come_back_from_json_as_they_were(keys: list[list[str]]) -> None:
    table = a_table(Kind.TEXT, len(keys[0]))
    found = key_table(table, [as_json(*key) for key in keys])
    assert [list(row.values()) for row in found.to_pylist()] == keys


def test_no_keys_give_an_empty_table() -> None:
    assert key_table(a_table(Kind.INT, 2), []).num_rows == 0


@given(st.sets(st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 200))))
def test_whole_numbers_are_taken_in_their_order(keys: set[tuple[int, int]]) -> None:
    texts = [as_json(*key) for key in keys]
    assert in_order(a_table(Kind.INT, 2), texts) == [as_json(*key) for key in sorted(keys)]


def test_texts_are_taken_in_the_order_of_their_json() -> None:
    assert in_order(a_table(Kind.TEXT, 1), ['["b"]', '["10"]', '["2"]']) == ['["10"]', '["2"]', '["b"]']


def test_a_row_whose_key_somebody_spelt_otherwise_is_changed_under_the_key_that_we_gave_it() -> None:
    """Where a database takes Anna and anna for the same key: the row that is found stays, and not only in the list."""
    table = a_table(Kind.TEXT, 1)
    wrote = pa.table({"k0": ["anna", "ben", "cleo"]})
    entries = pa.table(
        {
            "target_key": [as_json(k) for k in wrote["k0"].to_pylist()],
            "row_hash": canon.as_binary(canon.row_hashes(wrote, table.types, ["k0"])),
        }
    )
    assert changed(table, wrote, entries, ["k0"]) == []
    gone = pa.table({"k0": ["ben"]})
    assert changed(table, gone, entries, ["k0"]) == [], "rows that are gone are nothing to undo"
    spelt = pa.table({"k0": ["Anna", "ben", "cleo"]})
    assert changed(table, spelt, entries, ["k0"]) == [as_json("anna")]
