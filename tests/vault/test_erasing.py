"""What erasures take out of a backup, against a plain model of it, for many small databases."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate import canon
from migrate.arrow import arrow_schema
from migrate.model import Column, ForeignKey, PartRef, Schema, Table
from migrate.vault.erasing import effects_of
from migrate.vault.erasures import Requests, _keyed

from tests.vault.building import INT

SECRET = b"s" * 32
PERSON = Table(
    "person",
    (Column("id", INT, nullable=False), Column("boss", INT)),
    primary_key=("id",),
    foreign_keys=(ForeignKey("f", ("boss",), "person", ("id",)),),
)
NOTE = Table(
    "note",
    (Column("id", INT, nullable=False), Column("who", INT, nullable=False), Column("reader", INT)),
    primary_key=("id",),
    foreign_keys=(
        ForeignKey("a", ("who",), "person", ("id",)),
        ForeignKey("b", ("reader",), "person", ()),  # the primary key, as SQLite may leave it unsaid
    ),
)
LIKE = Table(
    "like",
    (Column("id", INT, nullable=False), Column("note", INT, nullable=False)),
    primary_key=("id",),
    foreign_keys=(ForeignKey("c", ("note",), "note", ("id",)),),
)
SCHEMA = Schema("sqlite", "3", (LIKE, NOTE, PERSON))
PEOPLE = range(6)
someone = st.one_of(st.none(), st.sampled_from(PEOPLE))


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, list[tuple[int | None, ...]]]:
    bosses = draw(st.lists(someone, min_size=6, max_size=6))
    notes = draw(st.lists(st.tuples(st.sampled_from(PEOPLE), someone), max_size=6))
    likes = draw(st.lists(st.integers(0, max(0, len(notes) - 1)), max_size=6 if notes else 0))
    return {
        "person": list(enumerate(bosses)),
        "note": [(n, *rest) for n, rest in enumerate(notes)],
        "like": list(enumerate(likes)),
    }


def model(
    rows: dict[str, list[tuple[int | None, ...]]], erased: set[int]
) -> dict[str, list[tuple[int | None, ...]]]:
    notes = [n for n in rows["note"] if n[1] not in erased]
    left = {n[0] for n in notes}
    return {
        "person": [(i, None if b in erased else b) for i, b in rows["person"] if i not in erased],
        "note": [(i, w, None if r in erased else r) for i, w, r in notes],
        "like": [k for k in rows["like"] if k[1] in left],
    }


def as_table(table: Table, rows: list[tuple[int | None, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(table.columns)
    arrays = [pa.array(list(c), pa.int64()) for c in columns]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table.columns))


@settings(max_examples=120, deadline=None)
@given(rows=worlds(), erased=st.sets(st.sampled_from(range(8)), max_size=3), cut=st.integers(1, 4))
def test_what_is_left_is_what_the_model_leaves(
    rows: dict[str, list[tuple[int | None, ...]]], erased: set[int], cut: int
) -> None:
    parts: dict[str, list[PartRef]] = {}
    stored: dict[tuple[str, int], pa.Table] = {}
    for table in SCHEMA.tables:
        all_rows, refs = rows[table.name], []
        for index, at in enumerate(range(0, len(all_rows), cut)):
            stored[table.name, index] = as_table(table, all_rows[at : at + cut])
            refs.append(PartRef(table.name, index, "", stored[table.name, index].num_rows, 0, "", ""))
        parts[table.name] = refs
    keyed = {_keyed(SECRET, "crm", "person", ("id",), f'["{n}"]') for n in erased}
    requests = Requests(SECRET, "crm", {"person": {("id",): frozenset(keyed)}})
    found = effects_of(requests, SCHEMA, parts, lambda ref: stored[ref.table, ref.index])
    wanted = model(rows, erased)
    for table in SCHEMA.tables:
        left = [
            tuple(r.values())
            for ref in parts[table.name]
            for r in found.applied(ref, stored[table.name, ref.index]).to_pylist()
        ]
        assert left == wanted[table.name]
        whole = canon.digest([as_table(table, rows[table.name])], table.types)
        assert found.expected(table.name, whole) == canon.digest([as_table(table, left)], table.types)
        assert found.rows.get(table.name, 0) == len(rows[table.name]) - len(left)
    assert bool(found.mark) == any(wanted[n] != rows[n] for n in rows)
