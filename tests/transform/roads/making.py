"""Roads made in a test: tables as lists of rows, cut into small parts, and what the mapping makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from migrate.arrow import arrow_schema
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping as MappingFile
from migrate.model import Column, Kind, PartRef, Schema, Table, Type
from migrate.transform.roads.read import read_road
from migrate.transform.roads.rows import EntityRows
from migrate.transform.roads.shape import Chosen, Shaped, read_shaped, shape, shaped_rows
from migrate.transform.roads.spec import RoadSpec
from migrate.transform.roads.table import road_spec

TEXT = Type(Kind.TEXT)
INT = Type(Kind.INT, bits=64)
HEAD = """
migrate: 1
name: roads
source: {system: old, url: "sqlite:///s.db", nulls: ["NULL"]}
target: {url: "sqlite:///t.db"}
"""


@dataclass
class Given:
    """The tables of a source, in parts of `rows_per_part` rows."""

    schema: Schema
    content: dict[str, pa.Table]
    rows_per_part: int = 3
    parts: dict[str, tuple[PartRef, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = {
            name: tuple(
                PartRef(name, n, "", min(self.rows_per_part, rows.num_rows - start), 0, "", "")
                for n, start in enumerate(range(0, rows.num_rows, self.rows_per_part))
            )
            for name, rows in self.content.items()
        }

    def read(self, ref: PartRef) -> pa.Table:
        return self.content[ref.table].slice(ref.index * self.rows_per_part, ref.rows)


def table(name: str, columns: Mapping[str, Type], key: Sequence[str] = ()) -> Table:
    return Table(name, tuple(Column(n, t) for n, t in columns.items()), primary_key=tuple(key))


def given(tables: Mapping[Table, Sequence[Sequence[Any]]], rows_per_part: int = 3) -> Given:
    """Tables with their rows."""
    content = {}
    for one, rows in tables.items():
        schema = arrow_schema(one.columns)
        columns = [pa.array([r[n] for r in rows], f.type) for n, f in enumerate(schema)]
        content[one.name] = pa.Table.from_arrays(columns, schema=schema)
    return Given(Schema("sqlite", "3", tuple(tables)), content, rows_per_part)


def mapping(folder: Path, entities: str, more: str = "") -> MappingFile:
    file = folder / "m.yaml"
    file.write_text(HEAD + more + "\nentities:\n" + entities, encoding="utf-8")
    return load_mapping(file, {})


@dataclass(frozen=True)
class Made:
    spec: RoadSpec
    shaped: Shaped
    rows: EntityRows

    def all(self) -> list[dict[str, Any]]:
        return [row for ref in self.rows.parts for row in self.rows.read(ref).to_pylist()]

    def visible(self) -> list[dict[str, Any]]:
        """Rows that are on the road, without our own columns."""
        rows = (r for r in self.all() if r["__left_out"] is None)
        return [{k: v for k, v in r.items() if not k.startswith("__")} for r in rows]

    def out(self) -> dict[str, int]:
        """Rows that are left out, by reason."""
        found: dict[str, int] = {}
        for row in self.all():
            if row["__left_out"] is not None:
                found[row["__left_out"]] = found.get(row["__left_out"], 0) + 1
        return found

    def codes(self) -> dict[int, list[str]]:
        """`__base` → codes, of rows that have some."""
        return {r["__base"]: r["__codes"] for r in self.all() if r["__codes"] is not None}

    def beside(self, name: str) -> list[list[dict[str, Any]]]:
        """Per row of the road the rows of a join of any number."""
        found: list[list[dict[str, Any]]] = []
        for ref in self.rows.parts:
            mine: list[list[dict[str, Any]]] = [[] for _ in range(ref.rows)]
            for row in self.rows.joined(ref, name).to_pylist():
                mine[row.pop("__row")].append(row)
            found += mine
        return found


def made(
    folder: Path,
    entities: str,
    source: Given,
    name: str = "e",
    *,
    more: str = "",
    chosen: Chosen | None = None,
    temp: str = "temp",
) -> Made:
    """The road of an entity as the transform stage makes it, read back from its files."""
    file = mapping(folder, entities, more)
    spec = road_spec(file, name, {"source": source.schema})
    place = folder / "road"
    shape(file, spec, {"source": source}, chosen, place, folder / temp)
    shaped = read_shaped(place)
    assert shaped is not None
    listed = {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()}
    assert listed == set(shaped.outputs())
    return Made(spec, shaped, shaped_rows(spec, shaped, place))


def problems(folder: Path, entities: str, source: Given, name: str = "e") -> list[str]:
    file = mapping(folder, entities)
    _, found = read_road(file, name, {"source": source.schema})
    return [f"{p.where.rpartition('m.yaml:')[2]} [{p.code}] {p.message} ({p.hint})" for p in found]


@contextmanager
def small_parts(rows: int) -> Iterator[None]:
    """Parts of at most `rows` rows."""
    from migrate import parts

    keywords = parts.write_parts.__kwdefaults__
    assert keywords is not None
    before = keywords["max_rows"]
    keywords["max_rows"] = rows
    try:
        yield
    finally:
        keywords["max_rows"] = before
