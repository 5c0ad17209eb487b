"""Value maps made ready: exact, without case, large, and from the rows of a table."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from migrate.errors import GateClosed
from migrate.mapping.model import MapTable, SourceTable, ValueMap
from migrate.model import Column as TableColumn
from migrate.model import Kind, Type
from migrate.transform.apply import apply
from migrate.transform.lookup import Lookup, folded
from migrate.transform.said import Said
from migrate.transform.table_maps import table_lookup

from tests.transform.crm import TEXT, compiled, field, found, mapping, source_table, table, target_table

TEXTS = st.lists(st.one_of(st.none(), st.text(alphabet="aAßẞﬀF éÉıİ", max_size=3)), max_size=30)
OF = MapTable(table="types", from_="id", to="name")
INT = Type(Kind.INT, bits=64)


@given(st.dictionaries(st.text(alphabet="ab ", max_size=3), st.one_of(st.none(), st.text(max_size=2))), TEXTS)
def test_a_lookup_is_what_a_dict_is(values: dict[str, str | None], texts: list[str | None]) -> None:
    mapped, known = Lookup.of(values).find(pl.Series("", texts, dtype=pl.String))
    assert mapped.to_list() == [values.get(t) if t is not None else None for t in texts]
    assert known.tolist() == [t in values for t in texts]


@given(TEXTS)
def test_folding_is_unicodes(texts: list[str | None]) -> None:
    assert folded(pl.Series("", texts, dtype=pl.String)).to_list() == [t and t.casefold() for t in texts]


def test_without_case() -> None:
    lookup = Lookup.of({"Straße": "street", "STRASSE": "street", "Ａ": "wide"}, ignore_case=True)
    mapped, known = lookup.find(pl.Series(["strasse", "STRAẞE", "ａ", "a", None]))
    assert mapped.to_list() == ["street", "street", "wide", None, None]
    assert known.tolist() == [True, True, True, False, False]


def test_a_large_map_is_made_once_and_asked_fast() -> None:
    """Seconds only tell what runs away: a batch that paid for the whole map would take far longer."""
    numbers = pl.int_range(300_000, eager=True).cast(pl.String)
    lookup = Lookup("k" + numbers, "v" + numbers)
    some = numbers.gather_every(30)
    started = time.process_time()
    for _ in range(20):
        mapped, known = lookup.find("k" + some)
    assert time.process_time() - started < 3
    assert mapped.to_list() == ("v" + some).to_list()
    assert known.all()


# --- from a table


def made_from(
    *batches: dict[str, list[Any]], ignore: Any = None, nulls: tuple[str, ...] = (), id_: Type = TEXT
) -> Lookup:
    types = table("types", TableColumn("id", id_), TableColumn("name", TEXT))
    said = Said(None, SourceTable(nulls=nulls))
    value_map = ValueMap(name="kinds", ignore=ignore, table=OF)
    return table_lookup(value_map, OF, types, said, (pa.table(b) for b in batches))


def test_a_map_from_a_table() -> None:
    lookup = made_from(
        {"id": ["1", None, "-", "3"], "name": ["one", "x", "y", None]},
        {"id": ["2", "1"], "name": ["-", "one"]},
        nulls=("-",),
    )
    mapped, known = lookup.find(pl.Series(["1", "2", "3", "4", "-"]))
    assert mapped.to_list() == ["one", None, None, None, None]
    assert known.tolist() == [True, True, True, False, False]
    assert made_from({"id": [7, 8], "name": ["a", "b"]}, id_=INT).find(pl.Series(["7"]))[0].to_list() == ["a"]
    assert len(made_from()) == 0


@pytest.mark.parametrize(
    ("batches", "ignore", "words"),
    [
        (
            [{"id": ["1", "2", "2"], "name": ["a", "b", "c"]}, {"id": ["1"], "name": [None]}],
            None,
            "several results for 2 values",
        ),
        ([{"id": ["a", "A"], "name": ["x", "y"]}], "case", "several results for 1 values"),
        (
            [{"id": ["a", None], "name": ["x", None], "_bad": [None, "ragged_row"]}],
            None,
            "1 records that cannot be read",
        ),
    ],
)
def test_a_table_that_is_no_map_stops_the_run(batches: Any, ignore: Any, words: str) -> None:
    with pytest.raises(GateClosed) as caught:
        made_from(*batches, ignore=ignore)
    assert "the map kinds cannot be made: types (id to name)" in caught.value.message
    assert words in caught.value.message


def test_what_a_table_says_of_a_row_is_part_of_its_hash() -> None:
    value_map = ValueMap(name="kinds", table=OF)
    let = {"kind": field("t").model_copy(update={"map": value_map})}
    entity = compiled(
        mapping({"a": field("kind")}, let=let), source_table(id=INT, t=TEXT), target_table(a=TEXT)
    )
    batch = pa.table({"id": [1, 2], "t": ["x", "y"]})

    def hashes(values: dict[str, str | None]) -> list[bytes]:
        ready = entity.with_lookups({"kinds": Lookup.of(values)})
        return found(apply(ready, batch, np.arange(2)), "__hash")

    before, after = hashes({"x": "1", "y": "2"}), hashes({"x": "1", "y": "3"})
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert hashes({"x": "1"})[1] != hashes({"x": "1", "y": "1"})[1]
