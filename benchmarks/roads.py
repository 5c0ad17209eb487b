"""How fast rows get onto shaped roads, and in how much memory: joins, lists of joined rows, explode, one_per, pivot, a query.

    python benchmarks/roads.py [--rows 1000000]

Every road is made in a process of its own, so that its peak is its own. Prints rows of the base table per second
(reading the parts, shaping, writing the road's parts) and the largest resident size.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from migrate.mapping.load import load_mapping
from migrate.model import Column, Kind, PartRef, Schema, Table, Type
from migrate.parts import read_part, write_parts
from migrate.transform.roads.shape import shape
from migrate.transform.roads.table import road_spec

INT, TEXT = Type(Kind.INT, bits=64), Type(Kind.TEXT)
PEOPLE = Table("people", tuple(Column(n, INT if n == "id" else TEXT) for n in ("id", "name", "mail", "tel", "mobile", "fax", "city", "note")), ("id",))  # fmt: skip
ADDRESSES = Table("addresses", tuple(Column(n, INT if n in ("aid", "pid") else TEXT) for n in ("aid", "pid", "street", "city", "zip")), ("aid",))  # fmt: skip
TAGS = Table("tags", tuple(Column(n, INT if n == "pid" else TEXT) for n in ("pid", "name")))
CELLS = Table("cells", tuple(Column(n, INT if n == "pid" else TEXT) for n in ("pid", "field", "value")))
ROADS = {
    "join": "from: people, with: {home: {table: addresses, on: {id: pid}, rows: one_or_none}}, key: id, fields: {a: home.city, b: home.street}",
    "list": "from: people, with: {tag: {table: tags, on: {id: pid}, rows: any}}, key: id, fields: {a: tag.name}",
    "explode": "from: people, explode: {number: [tel, mobile, fax], kind: [office, hand, paper]}, key: [id, kind], fields: {a: number}",
    "one_per": "from: people, one_per: city, key: city, fields: {a: city}",
    "pivot": "from: cells, pivot: {per: pid, name: field, value: value, columns: [a, b, c]}, key: pid, fields: {a: a}",
    "query": "query: 'SELECT city, count(*) AS n FROM people GROUP BY city', key: city, fields: {a: n}",
}


@dataclass(frozen=True)
class Tables:
    schema: Schema
    parts: Mapping[str, Sequence[PartRef]]
    read: Callable[[PartRef], pa.Table]


def texts(word: str, numbers: np.ndarray) -> pa.Array[Any]:
    return pa.array(np.char.add(word, numbers.astype("U")))


def batches(table: Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Rows in no order, the same every time."""
    random = np.random.default_rng(1)
    for start in range(0, rows, 100_000):
        n = np.arange(start, min(start + 100_000, rows))
        mixed = (n * 7_919_993) % rows
        columns: list[pa.Array[Any]] = []
        for column in table.columns:
            if column.name in ("id", "aid"):
                columns.append(pa.array(n))
            elif column.name == "pid":
                columns.append(pa.array(mixed // (3 if table.name == "cells" else 1)))
            elif column.name == "city":
                columns.append(texts("city ", random.integers(0, 20_000, len(n))))
            elif column.name == "field":
                columns.append(pa.array(np.array(["a", "b", "c"])[mixed % 3]))
            else:
                columns.append(texts(f"{column.name} ", mixed))
        yield pa.RecordBatch.from_arrays(columns, names=list(table.column_names))


def prepare(folder: Path, rows: int) -> Tables:
    parts = {}
    for table in (PEOPLE, ADDRESSES, TAGS, CELLS):
        place = folder / table.name
        if place.exists():
            raise SystemExit(f"{place} is there already")
        refs = write_parts(batches(table, rows), table=table.name, columns=table.columns, folder=place).parts
        parts[table.name] = refs
    return Tables(Schema("sqlite", "3", (PEOPLE, ADDRESSES, TAGS, CELLS)), parts, lambda r: read_part(folder / r.table / r.path, r))  # fmt: skip


def make(folder: Path, name: str, rows: int) -> None:
    tables = prepare(folder / name, rows)
    file = folder / f"{name}.yaml"
    file.write_text(
        'migrate: 1\nname: b\nsource: {system: s, url: "sqlite:///s.db"}\ntarget: {url: "sqlite:///t.db"}\n'
        f"entities: {{e: {{{ROADS[name]}, into: x}}}}\n"
    )
    mapping = load_mapping(file, {})
    spec = road_spec(mapping, "e", {"source": tables.schema})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    started, cpu = time.perf_counter(), time.process_time()
    shaped = shape(mapping, spec, {"source": tables}, None, folder / name / "road", folder / name / "temp")
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    made = sum(p.rows for p in shaped.parts)
    print(
        f"{name:8} {rows / seconds:10,.0f} rows/s  {seconds:6.1f} s ({used:.1f} s of processor)  "
        f"{made:,} rows of the road  peak {peak} MB (before: {before})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=list(ROADS))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.folder is not None:
        make(options.folder, options.only, options.rows)
        return
    for name in [options.only] if options.only else ROADS:
        with tempfile.TemporaryDirectory(prefix="migrate-roads-") as folder:
            command = [sys.executable, __file__, "--rows", str(options.rows), "--only", name]
            subprocess.run([*command, "--folder", folder], check=True)


if __name__ == "__main__":
    main()
