"""`split`: every row of one table is sent to the first road that it fits, left out for a reason, or quarantined."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from migrate import canon, failpoints
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import Problem
from migrate.mapping.model import Mapping as MappingFile
from migrate.mapping.road_model import Split
from migrate.model import PartRef, Table, added_columns
from migrate.parts import write_rows
from migrate.transform.expressions import Expressions, expressions_of
from migrate.transform.keys import combined
from migrate.transform.roads.rows import Tables
from migrate.transform.roads.stream import broken, true_of
from migrate.transform.said import Said
from migrate.transform.source_rows import SourceRows
from migrate.transform.sql import Prepared, prepare

NO_ROAD = "no_road"
INDEX = "split.json"
QUARANTINE = "quarantine.parquet"
_NOWHERE, _UNCLEAR, _BROKEN = -1, -2, -3
_WORDS = {
    _NOWHERE: "no condition of the split is true",
    _UNCLEAR: "a condition cannot be computed for this row",
}


@dataclass(frozen=True)
class SplitCounts:
    """Rows of a split table: all, by entity, by the reason for which they are left out, and quarantined."""

    rows: int
    roads: Mapping[str, int]
    left_out: Mapping[str, int]
    quarantined: int
    parts: tuple[int, ...]

    def outputs(self) -> list[str]:
        return [INDEX, QUARANTINE, *(_name(index) for index in self.parts)]


def read_split(mapping: MappingFile, split: Split, table: Table) -> tuple[list[Prepared], list[Problem]]:
    """The conditions in order, or what is wrong with them."""
    prepared, problems = [], []
    for branch in split.branches:
        path = f"split.{split.table}" + (
            f".leave_out.{branch.reason}" if branch.reason is not None else f".{branch.entity}"
        )
        one = prepare(branch.when or "true", table, boolean=True)
        prepared.append(one)
        for message in one.problems:
            code = "unknown_column" if message.startswith("there is no column") else "expression"
            problems.append(Problem(code, mapping.positions.get(path, path), message))
    return prepared, problems


def assign(mapping: MappingFile, split: Split, tables: Tables, folder: Path) -> SplitCounts:
    """Where every row of the table goes, part by part, in `folder`, which is emptied first."""
    if folder.exists():
        shutil.rmtree(folder)
        failpoints.hit("transform.split.cleared")
    make_private_folder(folder)
    table = tables.schema.table(split.table)
    conditions, _ = read_split(mapping, split, table)
    nulls = Said.of(mapping, split.source, split.table).nulls_of(table.columns)
    counts: dict[int, int] = {}
    lost = []
    parts = tables.parts[split.table]
    with expressions_of({p.sql: p.columns for p in conditions}) as expressions:
        for ref in parts:
            rows = SourceRows(tables.read(ref), table.types, nulls)
            places = _places(split, conditions, expressions, rows)
            write_rows(pa.table({"place": places}), folder / _name(ref.index), point="transform.split")
            for place, count in zip(*np.unique(places, return_counts=True), strict=True):
                counts[int(place)] = counts.get(int(place), 0) + int(count)
            lost.append(_lost(table, rows.batch, places, ref))
    write_rows(
        pa.concat_tables([_QUARANTINED.empty_table(), *lost]), folder / QUARANTINE, point="transform.split"
    )
    named = dict(enumerate(split.places))
    result = SplitCounts(
        rows=sum(p.rows for p in parts),
        roads={str(b.entity): counts.get(n, 0) for n, b in named.items() if b.entity is not None},
        left_out={str(b.reason): counts.get(n, 0) for n, b in named.items() if b.reason is not None},
        quarantined=sum(count for place, count in counts.items() if place < 0),
        parts=tuple(p.index for p in parts),
    )
    write_bytes(folder / INDEX, json.dumps(asdict(result), indent=1).encode(), point="transform.split.index")
    return result


def read_counts(folder: Path) -> SplitCounts | None:
    """What `assign` left in `folder`; None where it did not get to its end."""
    path = folder / INDEX
    if not path.is_file():
        return None
    data = json.loads(path.read_text())
    return SplitCounts(**{**data, "parts": tuple(data["parts"])})


def chosen(folder: Path, split: Split, entity: str, ref: PartRef) -> npt.NDArray[np.int64]:
    """The ordinals of a part's rows that go to an entity."""
    place = next(n for n, b in enumerate(split.places) if b.entity == entity)
    found = pq.read_table(folder / _name(ref.index))["place"].to_numpy()
    return np.flatnonzero(found == place)


def _name(index: int) -> str:
    return f"part-{index:05d}.parquet"


def _places(
    split: Split, conditions: Sequence[Prepared], expressions: Expressions, rows: SourceRows
) -> npt.NDArray[np.int16]:
    """Per row the number of its place, or why it has none. The first condition that is true decides; one that cannot
    be computed for a row leaves it undecided, whatever comes after."""
    numbers = {place: n for n, place in enumerate(split.places)}
    rest = numbers[split.otherwise] if split.otherwise is not None else _NOWHERE
    places = np.full(len(rows), rest, dtype=np.int16)
    open_ = ~broken(rows.batch)
    places[~open_] = _BROKEN
    for branch, condition in zip(split.branches, conditions, strict=True):
        true, failed = true_of(expressions, condition, rows)
        places[open_ & failed] = _UNCLEAR
        places[open_ & true] = numbers[branch.model_copy(update={"when": None})]
        open_ &= ~true & ~failed
    return places


_TEXTS = pa.list_(pa.string())
_FIELDS: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("key", pa.string()),
    pa.field("fields", _TEXTS),
    pa.field("codes", _TEXTS),
    pa.field("details", _TEXTS),
]
_QUARANTINED = pa.schema(_FIELDS)


def _lost(table: Table, rows: pa.Table, places: npt.NDArray[np.int16], ref: PartRef) -> pa.Table:
    """The rows of a part that go nowhere, as a quarantine keeps them; known by the table's primary key, if it has one."""
    at = np.flatnonzero(places < 0)
    mine = rows.take(pa.array(at))
    keys: Any = pa.nulls(len(at), pa.string())
    if table.primary_key:
        keys = combined(canon.source_keys(mine, table.primary_key, table.types)).cast(pa.string())
    codes, details = [], []
    bad = mine.column("_bad").to_pylist() if "_bad" in added_columns(rows.column_names) else [None] * len(at)
    for place, own in zip(places[at].tolist(), bad, strict=True):
        codes.append([own if place == _BROKEN else "type" if place == _UNCLEAR else NO_ROAD])
        details.append([_WORDS.get(place, "")])
    columns = [
        pa.array((np.int64(ref.index) << 32) + at),
        keys,
        pa.array([[""]] * len(at), _TEXTS),
        pa.array(codes, _TEXTS),
        pa.array(details, _TEXTS),
    ]
    return pa.Table.from_arrays(columns, schema=_QUARANTINED)
