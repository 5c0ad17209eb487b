"""The rows of a shaped road, made from the tables of the sources and written down as parts.

Everything that has to see a whole table happens in DuckDB, out of core; rows pass in batches. The same
tables give the same parts.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon, failpoints
from migrate.arrow import arrow_schema, layout
from migrate.duck import workspace
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import Corrupt, Unreachable
from migrate.mapping.model import Mapping as MappingFile
from migrate.model import Column, Kind, PartRef, Type
from migrate.parts import MAX_ROWS, read_part, write_one_part, write_parts
from migrate.transform.conversion import nulls
from migrate.transform.keys import combined
from migrate.transform.own_columns import BASE, LEFT_OUT, ROW, WITH
from migrate.transform.roads import pivoting
from migrate.transform.roads.exploding import EMPTY, exploded
from migrate.transform.roads.joining import JoinCounts, Joiner
from migrate.transform.roads.one_per import first_of_each
from migrate.transform.roads.query import run_query
from migrate.transform.roads.rows import EntityRows, Tables, no_joins
from migrate.transform.roads.spec import OWN_COLUMNS, JoinSpec, RoadSpec
from migrate.transform.roads.stream import Stream, broken, chunks, own_columns
from migrate.transform.said import Said

INDEX = "road.json"
_QUERY = "query"
_PIVOT = "pivoted"  # its tables in DuckDB
_BESIDE = 4 * MAX_ROWS  # rows of a join of any number beside the rows of one part, roughly
Chosen = Callable[[PartRef], npt.NDArray[np.int64]]  # ordinals of a part's rows that a split sends here


@dataclass(frozen=True)
class Shaped:
    """What lies in the folder of a road. `joins`: counts by join; `pivot`: counts of a pivoted table."""

    parts: tuple[PartRef, ...]
    joined: Mapping[str, tuple[PartRef, ...]]
    joins: Mapping[str, Mapping[str, Any]]
    pivot: Mapping[str, Any]

    def outputs(self) -> list[str]:
        """Every file, relative to the folder of the road."""
        paths = [p.path for p in self.parts]
        return [INDEX, *paths, *(f"{name}/{p.path}" for name, parts in self.joined.items() for p in parts)]


def shape(
    mapping: MappingFile,
    spec: RoadSpec,
    tables: Mapping[str, Tables],
    chosen: Chosen | None,
    folder: Path,
    temp: Path,
    advance: Callable[[int], None] = lambda rows: None,
) -> Shaped:
    """Makes the road of an entity in `folder`, which is emptied first. `tables` by source; `chosen` where the table is
    split. Raises GateClosed where a join finds more rows than the mapping says."""
    if folder.exists():
        shutil.rmtree(folder)
        failpoints.hit("transform.road.cleared")
    make_private_folder(folder)
    with _space(temp) as db:
        counts: dict[str, JoinCounts] = {}
        joiner = Joiner(
            db,
            spec.entity.name,
            dict(tables),
            spec.where,
            lambda path: _place(mapping, spec.entity.name, path),
            counts,
        )
        stream, pivot = _start(mapping, spec, tables, chosen, db, folder / _QUERY, temp)
        nulls = spec.nulls
        if spec.before:
            stream = joiner.single(stream, spec.before, nulls, "before")
        if spec.explode is not None:
            stream = exploded(stream, spec.explode, nulls)
        if spec.after:
            stream = joiner.single(stream, spec.after, nulls, "after")
        if spec.entity.one_per:
            stream = first_of_each(db, stream, spec)
        beside = {j.name: joiner.many(stream, j) for j in spec.lists}
        failpoints.hit("transform.road.matched")
        result = _write(spec, stream, joiner, beside, folder, advance)
        if (folder / _QUERY).exists():
            shutil.rmtree(folder / _QUERY)
    shaped = Shaped(*result, {n: c.as_json() for n, c in counts.items()}, pivot)
    write_bytes(folder / INDEX, json.dumps(asdict(shaped), indent=1).encode(), point="transform.road.index")
    return shaped


def read_shaped(folder: Path) -> Shaped | None:
    """What `shape` left in `folder`; None where it did not get to its end."""
    path = folder / INDEX
    if not path.is_file():
        return None
    data = json.loads(path.read_text())
    joined = {n: tuple(PartRef(**p) for p in parts) for n, parts in data["joined"].items()}
    return Shaped(tuple(PartRef(**p) for p in data["parts"]), joined, data["joins"], data["pivot"])


def shaped_rows(spec: RoadSpec, shaped: Shaped, folder: Path) -> EntityRows:
    """The rows of a road that `shape` made."""

    def joined(ref: PartRef, name: str) -> pa.Table:
        if name not in shaped.joined:
            return no_joins(ref, name)
        side = next((p for p in shaped.joined[name] if p.index == ref.index), None)
        if side is None:
            raise Corrupt(f"the rows of the join {name} are missing.", where=f"{ref.table} part {ref.index}")
        return read_part(folder / name / side.path, side)

    return EntityRows(
        spec.table, shaped.parts, lambda ref: read_part(folder / ref.path, ref), joined, spec.beside
    )


def _place(mapping: MappingFile, entity: str, path: str) -> str:
    full = f"entities.{entity}.{path}"
    return mapping.positions.get(full, full)


@contextmanager
def _space(temp: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB's messages may hold values of rows, so they are never shown."""
    with workspace(temp) as db:
        try:
            yield db
        except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
            raise Unreachable(
                f"putting rows together failed ({type(error).__name__}).",
                where=str(temp),
                hint="Make room on the disk and run the same command again.",
            ) from None
        except duckdb.Error as error:
            raise RuntimeError(f"putting rows together failed ({type(error).__name__})") from None


# ------------------------------------------------------------------ where the rows come from


def _start(
    mapping: MappingFile,
    spec: RoadSpec,
    tables: Mapping[str, Tables],
    chosen: Chosen | None,
    db: duckdb.DuckDBPyConnection,
    place: Path,
    temp: Path,
) -> tuple[Stream, Mapping[str, Any]]:
    """The stream that the road begins with, and counts of its pivot. `place`: a folder for what a query gives."""
    entity = spec.entity
    source = tables[entity.source]
    columns = (*spec.base.columns, *OWN_COLUMNS)
    nulls = Said.of(mapping, entity.source, entity.table).nulls_of(spec.base.columns)
    if spec.query is not None:
        query, base = spec.query, spec.base
        made = write_parts(
            (b for t in run_query(query, mapping, entity, source, base, temp) for b in t.to_batches()),
            table=entity.name,
            columns=base.columns,
            folder=place,
            point="transform.query",
        )
        stream = Stream(
            columns,
            nulls,
            lambda: _based(made.parts, lambda ref: read_part(place / ref.path, ref), None),
        )
    else:
        parts = source.parts[entity.table]
        stream = Stream(columns, nulls, lambda: _based(parts, source.read, chosen))
    if spec.pivot is None:
        return stream, {}
    return _pivoted(spec, stream, db)


def _based(parts: Any, read: Callable[[PartRef], pa.Table], chosen: Chosen | None) -> Iterator[pa.Table]:
    for ref in parts:
        rows = read(ref)
        ordinals = np.arange(rows.num_rows, dtype=np.int64) if chosen is None else chosen(ref)
        if chosen is not None:
            rows = rows.take(pa.array(ordinals))
        own = own_columns(rows.num_rows, pa.array((np.int64(ref.index) << 32) + ordinals))
        for name, values in own.items():
            rows = rows.append_column(name, values)
        yield from chunks(rows)


def _pivoted(
    spec: RoadSpec, stream: Stream, db: duckdb.DuckDBPyConnection
) -> tuple[Stream, Mapping[str, Any]]:
    """Pivoted rows, then rows that belong to nobody (left out), then records that could not be read."""
    assert spec.pivot is not None
    pivot = spec.pivot
    plain = [*pivot.table.columns, Column(BASE, Type(Kind.INT, bits=64))]
    counts = pivoting.load(
        db,
        _PIVOT,
        pivot,
        (b.filter(pa.array(~broken(b))).select([c.name for c in plain]) for b in stream.rows()),
    )
    whole = pivoting.made(db, _PIVOT, pivot)
    columns = (*pivot.after.columns, *OWN_COLUMNS)

    def rows() -> Iterator[pa.Table]:
        names = [c.name for c in columns]
        for batch in whole():
            yield batch.select(names)
        for base in pivoting.lost(db, _PIVOT):
            empties = {LEFT_OUT: pa.repeat(pa.scalar(EMPTY), len(base))}
            nothing = {c.name: nulls(len(base), layout(c.type)) for c in pivot.after.columns}
            yield pa.table(nothing | own_columns(len(base), base) | empties)
        for batch in stream.rows():
            bad = batch.filter(pa.array(broken(batch)))
            if bad.num_rows:
                given = {n: combined(bad.column(n)) for n in names if n in bad.column_names}
                none = {c.name: nulls(bad.num_rows, layout(c.type)) for c in pivot.after.columns}
                for made in pivot.pivot.columns:
                    given.pop(made, None)  # a column of the table may have the name of a new one
                yield pa.table(none | given).select(names)

    facts: dict[str, Any] = {"used": counts.listed, "unused": counts.others, "empty": counts.nobodys}
    return stream.then(columns, spec.nulls, rows), facts | {"names": counts.names}


# ------------------------------------------------------------------ written down


def _write(
    spec: RoadSpec,
    stream: Stream,
    joiner: Joiner,
    beside: Mapping[str, float],
    folder: Path,
    advance: Callable[[int], None],
) -> tuple[tuple[PartRef, ...], dict[str, tuple[PartRef, ...]]]:
    """The parts of the road, and for each join of any number a part beside every one of them."""
    names = [c.name for c in spec.stored]
    schema = arrow_schema(spec.stored)

    def batches() -> Iterator[pa.RecordBatch]:
        for first, rows in stream.numbered():
            for join in spec.lists:
                rows = rows.append_column(WITH + join.name, _digests(joiner, join, first, rows.num_rows))
            yield from rows.select(names).cast(schema).to_batches()
            advance(rows.num_rows)

    # Fewer rows where many others come beside them, so that a part with all that belongs to it stays small.
    most = max(beside.values(), default=0.0)
    limits: dict[str, Any] = {"max_rows": max(1, int(_BESIDE / most))} if most > _BESIDE / MAX_ROWS else {}
    made = write_parts(
        batches(),
        table=spec.entity.name,
        columns=spec.stored,
        folder=folder,
        point="transform.road",
        **limits,
    )
    joined = {}
    for join in spec.lists:
        columns = (Column(ROW, Type(Kind.INT, bits=64)), *join.columns)
        parts, first = [], 0
        for ref in made.parts:
            rows = joiner.rows_of(join, first, ref.rows).cast(arrow_schema(columns))
            place = folder / join.name
            point = "transform.road.joined"
            parts.append(
                write_one_part(
                    rows, table=join.name, columns=columns, folder=place, index=ref.index, point=point
                )
            )
            first += ref.rows
        joined[join.name] = tuple(parts)
    return made.parts, joined


def _digests(joiner: Joiner, join: JoinSpec, first: int, count: int) -> pa.Array[Any]:
    """Per row, 16 bytes over the joined rows in their order; NULL where there are none."""
    rows = joiner.rows_of(join, first, count)
    at = combined(rows.column(ROW)).to_numpy()
    starts = np.flatnonzero(np.diff(at, prepend=-1))
    place = np.arange(len(at)) - np.repeat(starts, np.diff(np.append(starts, len(at))))
    types = {c.name: c.type for c in join.columns} | {ROW: Type(Kind.INT, bits=64)}
    hashed = rows.set_column(0, ROW, pa.array(place)) if len(at) else rows
    hashes = canon.row_hashes(hashed, types)
    sums = [np.add.reduceat(lane, starts) if len(at) else lane for lane in (hashes.low, hashes.high)]
    data = np.zeros((count, 2), "<u8")
    found = np.zeros(count, dtype=np.bool_)
    if len(at):
        data[at[starts]] = np.stack(sums, axis=1)
        found[at[starts]] = True
    buffers = [None, pa.py_buffer(data.tobytes())]
    digests = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, buffers).cast(pa.binary())
    given: pa.Array[Any] = pc.if_else(pa.array(found), digests, pa.scalar(None, pa.binary()))
    return given
