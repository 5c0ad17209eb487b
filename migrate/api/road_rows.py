"""The rows of an entity's road that one source key names, made from the sources as they are now.

Of every table only rows are kept that can have to do with the key: those of the entity's own table by the columns of the
key that stand there, those of a joined table by the values that they are joined by. Where that cannot be told before the
road is made (a query, a join by what `pivot` or a separator makes) the whole table is laid down for the moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Mapping as Dict
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.api.few_rows import FewRows
from migrate.api.keys import key_text
from migrate.api.live_maps import live_lookups
from migrate.arrow import arrow_schema
from migrate.connectors.registry import open_source
from migrate.errors import MappingError
from migrate.mapping.model import Entity, Mapping
from migrate.mapping.usage import read_tables
from migrate.model import Table
from migrate.transform.apply import made_keys
from migrate.transform.compile import compile_entity
from migrate.transform.keys import keys_of
from migrate.transform.own_columns import ROW
from migrate.transform.roads import EntityRows
from migrate.transform.roads.read import read_road
from migrate.transform.roads.rows import no_joins
from migrate.transform.roads.shape import shape, shaped_rows
from migrate.transform.roads.spec import RoadSpec
from migrate.transform.roads.splitting import assign, chosen, read_counts
from migrate.transform.roads.stream import texts_of
from migrate.transform.said import Said
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import Mask

Keys = Callable[[pa.Table], "pa.Array[Any]"]


@dataclass(frozen=True)
class RoadRows:
    """`table`: the columns of the road; `rows`: those of the key; `joined`, `beside`: the rows and the columns of joins
    with many rows, by name, as `apply` and `compile_entity` want them. `elsewhere`: where the split of the table sends
    the row, if not here."""

    table: Table
    rows: pa.Table
    joined: Dict[str, pa.Table] = field(default_factory=dict)
    beside: Dict[str, Table] = field(default_factory=dict)
    elsewhere: str = ""


def rows_with_key(mapping: Mapping, entity: Entity, key: str, work: Path) -> RoadRows:
    """The rows of `key`, inside one snapshot of every source that the road reads. `work`: a private folder, which the
    caller removes.

    Raises MappingError where the road is wrong, GateClosed where a join finds more rows than was said, Unreachable."""
    alone = mapping.model_copy(update={"entities": {entity.name: entity}, "split": {}})
    with ExitStack() as stack:
        few = {s: _few(mapping, s, tables, work, stack) for s, tables in read_tables(alone).items()}
        spec, problems = read_road(mapping, entity.name, {s: one.schema for s, one in few.items()})
        if spec is None or problems:
            raise MappingError(problems, hint="`migrate plan` shows all that is wrong with the mapping.")
        base: pa.Table | None = None
        if spec.query is None:
            base = few[entity.source].take(spec.base.name, _nulls(mapping, spec), _has_key(spec, key))
            _take_joined(mapping, spec, base, few)
        else:
            for source, tables in read_tables(alone).items():
                few[source].take_all(tables)
        found = _with_key(_road(mapping, spec, few, work), key, _keys(mapping, spec, work))
        if spec.split and not found.rows.num_rows and base is not None and base.num_rows:
            return replace(found, elsewhere=_elsewhere(mapping, spec, work))
        return found


def _few(mapping: Mapping, source: str, tables: tuple[str, ...], work: Path, stack: ExitStack) -> FewRows:
    spec = mapping.sources[source]
    database = open_source(spec.url, base=Path(mapping.base), work=work, options=spec)
    stack.callback(database.close)
    there = database.schema(list(tables)).table_names
    snapshot = stack.enter_context(database.snapshot(list(there)))
    return FewRows(snapshot, work / "tables" / source)


def _nulls(mapping: Mapping, spec: RoadSpec) -> dict[str, tuple[str, ...]]:
    """NULL words of the entity's own table."""
    return Said.of(mapping, spec.entity.source, spec.entity.table).nulls_of(spec.base.columns)


# ------------------------------------------------------------------ rows of single tables


def _has_key(spec: RoadSpec, key: str) -> Callable[[SourceRows], Mask]:
    """Rows of the entity's own table that have the part of the key that stands in it; all, where none does."""
    entity = spec.entity
    if entity.key_is_content:
        return (lambda rows: _equal(keys_of(rows, ()), key)) if spec.plain else _every
    parts = json.loads(key)
    names = ("_line",) if entity.key_is_line else entity.key
    if len(parts) != len(names):
        return lambda rows: np.zeros(len(rows), dtype=np.bool_)
    made = {*entity.let, *(entity.pivot.columns if entity.pivot is not None else ())}
    made |= set(entity.explode.makes) if entity.explode is not None else set()
    own = {n: p for n, p in zip(names, parts, strict=True) if n in spec.base.column_names and n not in made}
    if not own:
        return _every
    return lambda rows: _equal(keys_of(rows, list(own)), key_text([str(p) for p in own.values()]))


def _every(rows: SourceRows) -> Mask:
    return np.ones(len(rows), dtype=np.bool_)


def _equal(keys: pa.Array[Any], key: str) -> Mask:
    same: Mask = pc.fill_null(pc.equal(keys, key), False).to_numpy(zero_copy_only=False)
    return same


def _take_joined(mapping: Mapping, spec: RoadSpec, base: pa.Table, few: Dict[str, FewRows]) -> None:
    """Rows of joined tables, by the values on the left side of the joins, as far as they are known already."""
    seen = {"": SourceRows(base, spec.base.types, _nulls(mapping, spec))}
    for join in spec.joins:
        sought = {right: _values(spec, left, seen) for left, right in zip(join.left, join.right, strict=True)}
        known = {right: values for right, values in sought.items() if values is not None}
        rows = few[join.join.source]
        if not known:
            rows.take_all([join.join.table])
            continue
        taken = rows.take(join.join.table, join.nulls, lambda r, known=known: _among(r, known))  # type: ignore[misc]
        if join.pivot is None:
            seen[join.name] = SourceRows(taken, join.table.types, join.nulls)


def _values(spec: RoadSpec, name: str, seen: Dict[str, SourceRows]) -> set[str] | None:
    """The texts that a column of the road may have for the rows seen so far; None: it cannot be told."""
    if spec.explode is not None and name in spec.explode.lists:
        found: set[str] = set()
        for text, is_column in spec.explode.lists[name]:
            values = _values(spec, text, seen) if is_column else {text}
            if values is None:
                return None
            found |= values
        return found
    if spec.explode is not None and name == spec.explode.explode.split:
        return None
    join, dot, column = name.partition(".")
    whose, column = (join, column) if dot and join in spec.entity.with_ else ("", name)
    if whose not in seen or column not in seen[whose].types:
        return None
    return {str(v) for v in texts_of(seen[whose], column).drop_null().to_pylist()}


def _among(rows: SourceRows, known: Dict[str, set[str]]) -> Mask:
    mask: Mask = np.ones(len(rows), dtype=np.bool_)
    for column, values in known.items():
        found = pc.is_in(texts_of(rows, column), value_set=pa.array(sorted(values), pa.string()))
        mask &= found.to_numpy(zero_copy_only=False)
    return mask


# ------------------------------------------------------------------ the road


def _road(mapping: Mapping, spec: RoadSpec, few: Dict[str, FewRows], work: Path) -> EntityRows:
    entity = spec.entity
    if spec.plain:
        rows = few[entity.source]
        return EntityRows(spec.table, tuple(rows.parts[entity.table]), rows.read, no_joins)
    given = None
    if spec.split:
        split = mapping.split[entity.table]
        assign(mapping, split, few[entity.source], work / "split")
        given = partial(chosen, work / "split", split, entity.name)
    shaped = shape(mapping, spec, few, given, work / "road", work / "temp")
    return shaped_rows(spec, shaped, work / "road")


def _elsewhere(mapping: Mapping, spec: RoadSpec, work: Path) -> str:
    """Where the split sends the rows of the key."""
    split = mapping.split[spec.entity.table]
    counts = read_counts(work / "split")
    assert counts is not None, "the split was made for this road"
    roads = [f"goes to {name}" for name, count in counts.roads.items() if count]
    left = [f"is left out: {reason}" for reason, count in counts.left_out.items() if count]
    return f"the split of {split.table}: it {', '.join([*roads, *left]) or 'fits no road'}"


def _keys(mapping: Mapping, spec: RoadSpec, work: Path) -> Keys:
    """What gives the source keys of the road's rows; a key that is made of let values takes the entity's own pipeline."""
    entity = spec.entity
    if not entity.let.keys() & set(entity.key):
        columns = () if entity.key_is_content else ("_line",) if entity.key_is_line else entity.key
        return lambda rows: keys_of(SourceRows(rows, spec.table.types, spec.nulls), columns)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    compiled, problems = compile_entity(mapping, entity.name, spec.table, None, now=now, joined=spec.beside)
    if compiled is None:
        raise MappingError(problems, hint="`migrate plan` shows all that is wrong with the mapping.")
    ready = compiled.with_lookups(live_lookups(mapping, entity, work))
    return lambda rows: made_keys(ready, rows)


def _with_key(road: EntityRows, key: str, keys: Keys) -> RoadRows:
    """The rows of the key, with those that joins put beside them."""
    found: list[pa.Table] = []
    beside: dict[str, list[pa.Table]] = {name: [] for name in road.beside}
    first = 0
    for ref in road.parts:
        rows = road.read(ref)
        mask = _equal(keys(rows), key)
        found.append(rows.filter(pa.array(mask)))
        for name, parts in beside.items():
            side = road.joined(ref, name)
            mine = mask[side[ROW].to_numpy()]
            now = first + (np.cumsum(mask) - 1)[side[ROW].to_numpy()[mine]]
            kept = side.filter(pa.array(mine))
            parts.append(kept.set_column(kept.column_names.index(ROW), ROW, pa.array(now, pa.int64())))
        first += int(mask.sum())
    rows = (
        pa.concat_tables(found).combine_chunks() if found else arrow_schema(road.table.columns).empty_table()
    )
    joined = {name: pa.concat_tables(parts) for name, parts in beside.items() if parts}
    return RoadRows(road.table, rows, joined, road.beside)
