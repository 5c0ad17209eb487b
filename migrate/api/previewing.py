"""One row of the source, step by step, into what it would be in the target. Reads both sides, writes nothing anywhere.

What the row alone does not tell is not said: double keys, `unique`, and what other rows of a run do to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.api.keys import key_text, source_key
from migrate.api.live_maps import live_lookups
from migrate.api.road_rows import RoadRows, rows_with_key
from migrate.api.target_looks import Ask, found_rows, known_rows
from migrate.connectors.protocol import Target
from migrate.connectors.registry import open_target
from migrate.errors import MappingError, UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Entity, Mapping
from migrate.mapping.references import match_references
from migrate.mapping.shapes import did_you_mean
from migrate.model import Schema, Type, added_columns
from migrate.planning import finds
from migrate.transform.apply import Transformed, apply
from migrate.transform.compile import compile_entity
from migrate.transform.entity import LET, CompiledEntity, CompiledField, CompiledList
from migrate.transform.row_values import Said, row_values
from migrate.transform.watched import Watched

ROWS_SHOWN = 20

_Known = tuple[str, str, str]  # system, entity, source key


def preview(mapping: Path | str, entity: str, key: str) -> dict[str, Any]:
    """The row of `entity` with the source key `key` (the bare value, or a JSON array).

    {mapping, entity, key, table, rows: [{key, source (column → text), fate, reasons, events, target: {loaded_as, match,
    found}, lets, fields}]}; rows are several where the road makes several of one, or where a key is not unique
    (ROWS_SHOWN at most). A field: {column, type, nullable, steps: [{step, value, broken}], value, found}, of a
    list also items: [{name, steps}]; `found` are the target keys that a reference or lookup finds there now. Values are
    those of the row: personal data.

    Raises MappingError, UsageError where entity or row are not there, Unreachable."""
    loaded = load_mapping(mapping)
    if entity not in loaded.entities:
        near = did_you_mean(entity, loaded.entities, f"Entities: {', '.join(loaded.entities)}.")
        raise UsageError(f"the mapping has no entity {entity!r}", where=str(mapping), hint=near)
    with tempfile.TemporaryDirectory(prefix="migrate-preview-") as name:
        work = Path(name)
        target = open_target(loaded.target.url, base=Path(loaded.base), work=work)
        try:
            return _previewed(loaded, loaded.entities[entity], source_key(key), target, work)
        finally:
            target.close()


def _previewed(mapping: Mapping, entity: Entity, key: str, target: Target, work: Path) -> dict[str, Any]:
    declared = target.schema(list(dict.fromkeys([entity.into, *(find.table for _, find in finds(entity))])))
    if entity.into not in declared.table_names:
        raise UsageError(f"the target has no table {entity.into}", where=target.url)
    road = rows_with_key(mapping, entity, key, work)
    compiled = _compiled(mapping, entity, road, declared, target.engine)
    compiled = compiled.with_lookups(live_lookups(mapping, entity, work))
    if not road.rows.num_rows:
        said = f"{road.elsewhere[:1].upper()}{road.elsewhere[1:]}." if road.elsewhere else ""
        raise UsageError(
            f"no row of {entity.name} has the key {key}",
            where=f"{entity.source}.{entity.table or 'query'}",
            hint=said or 'It is the key at the source; one of several columns is written as \'["a","b"]\'.',
        )
    watched = Watched()
    made = apply(compiled, road.rows, np.arange(road.rows.num_rows, dtype=np.int64), road.joined, watched)
    seen = _Seen(mapping, compiled, made, watched, declared, road.rows)
    return {
        "mapping": mapping.name,
        "entity": entity.name,
        "key": key,
        "table": f"{entity.source}.{entity.table or 'query'}",
        "rows": seen.rows(target),
    }


def _compiled(
    mapping: Mapping, entity: Entity, road: RoadRows, declared: Schema, engine: str
) -> CompiledEntity:
    compiled, problems = compile_entity(
        mapping,
        entity.name,
        road.table,
        declared.table(entity.into),
        now=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=engine,
        joined=road.beside,
    )
    if compiled is None or problems:
        raise MappingError(problems, hint="`migrate plan` shows all that is wrong with the mapping.")
    return compiled


@dataclass(frozen=True)
class _Seen:
    """All that is known of the rows of one preview; the id of a row is its place in `source`."""

    mapping: Mapping
    compiled: CompiledEntity
    made: Transformed
    watched: Watched
    declared: Schema
    source: pa.Table

    def rows(self, target: Target) -> list[dict[str, Any]]:
        places = {rid: place for place, rid in enumerate(self.made.rows["__rid"].to_numpy().tolist())}
        shown = range(min(self.source.num_rows, ROWS_SHOWN))
        values = {rid: row_values(self.compiled, self.made, rid) for rid in shown if rid in places}
        matches = {rid: self._match(places[rid]) for rid in values}
        asks = [ask for row in values.values() for said in row.values() for ask in _asks(said)]
        looked = found_rows(target, self.declared, [*asks, *(m for m in matches.values() if m is not None)])
        references = [
            self._named(*ref) for row in values.values() for said in row.values() for ref in _refs(said)
        ]
        known = known_rows(target, [*references, *(self._own(places[rid]) for rid in values)])
        found = []
        for rid in shown:
            row: dict[str, Any] = {"source": self._source(rid)}
            if rid not in places:
                reason = next(r["reason"] for r in self.made.excluded.to_pylist() if r["rid"] == rid)
                found.append({"key": None, **row, "fate": f"left out: {reason}", "reasons": [], "events": []})
                continue
            own, match = self._own(places[rid]), matches[rid]
            there = looked[match] if match is not None else None
            reasons = _of(self.made.reasons, rid, ("field", "code", "detail"))
            fields = [
                self._field(f, values[rid][f.name], places[rid], looked, known) for f in self.compiled.fields
            ]
            lists = [self._list(f, values[rid][f.name], looked, known) for f in self.compiled.lists]
            found.append(
                {
                    "key": own[2],
                    **row,
                    "fate": "quarantine" if reasons else _fate(self.compiled.entity, known.get(own), there),
                    "reasons": reasons,
                    "events": _of(self.made.events, rid, ("field", "code")),
                    "target": {
                        "loaded_as": known.get(own),
                        "match": dict(match.values) if match is not None else None,
                        "found": there,
                    },
                    "lets": [
                        {"name": let.name.removeprefix(LET), "steps": self._steps(let.name, places[rid])}
                        for let in self.compiled.lets
                    ],
                    "fields": [*fields, *lists],
                }
            )
        return found

    def _source(self, rid: int) -> dict[str, str | None]:
        added = added_columns(self.source.column_names)
        names = [n for n in self.source.column_names if n not in added and not n.startswith("__")]
        row = self.source.slice(rid, 1)
        return {n: canon.canonical_text(row[n], self.compiled.types[n])[0].as_py() for n in names}

    def _own(self, place: int) -> _Known:
        key = self.made.rows["__key"][place].as_py()
        return self._named(self.compiled.name, key or "")

    def _named(self, entity: str, key: str) -> _Known:
        spec = self.mapping.entities.get(entity)
        return (self.mapping.sources[spec.source].system if spec else "", entity, key)

    def _match(self, place: int) -> Ask | None:
        """What decides whether the row is there already; None where nothing does, or a part of it is empty."""
        texts: dict[str, str] = {}
        for column in self.compiled.entity.match:
            type_ = self.declared.table(self.compiled.entity.into).column(column).type
            name = f"__match.{column}" if f"__match.{column}" in self.made.rows.column_names else column
            text = canon.canonical_text(self.made.rows[name], type_)[place].as_py()
            if text is None:
                return None
            texts[column] = text
        return Ask.of(self.compiled.entity.into, texts) if texts else None

    def _steps(self, name: str, place: int) -> list[dict[str, Any]]:
        return [asdict(step) for step in self.watched.steps(name, place)]

    def _field(
        self,
        field: CompiledField,
        value: Said,
        place: int,
        looked: Dict[Ask, list[str]],
        known: Dict[_Known, str],
    ) -> dict[str, Any]:
        return {
            **_column(field.name, field.type, field.column.nullable),
            "steps": self._steps(field.name, place),
            "value": value,
            "found": self._found([field], value, looked, known),
        }

    def _list(
        self, one: CompiledList, value: Said, looked: Dict[Ask, list[str]], known: Dict[_Known, str]
    ) -> dict[str, Any]:
        """`items`: the steps of every value of every item, where the preview has one row only: which row an item came
        from is not known here."""
        names = [n for n in self.watched.fields if n == one.name or n.startswith(f"{one.name}.")]
        alone = self.made.rows.num_rows == 1
        return {
            **_column(one.name, one.type, one.column.nullable),
            "steps": [],
            "items": [
                {"name": name, "steps": self._steps(name, place)}
                for name in (names if alone else ())
                for place in range(self.watched.count(name))
            ],
            "value": value,
            "found": self._found(list(one.references.values()), value, looked, known),
        }

    def _found(
        self,
        fields: Sequence[CompiledField],
        value: Said,
        looked: Dict[Ask, list[str]],
        known: Dict[_Known, str],
    ) -> list[str] | None:
        """Target keys that the references and lookups in a value find; None where there are none in it, or where a
        reference names its row by other columns than its key: which row that is, is known in a run only."""
        references, asks = list(_refs(value)), list(_asks(value))
        if (not references and not asks) or any(f.field.ref and f.field.ref.by for f in fields):
            return None
        keys = [known[name] for name in (self._named(*ref) for ref in references) if name in known]
        return keys + [key for ask in asks for key in looked[ask]]


def _column(name: str, type_: Type, nullable: bool) -> dict[str, Any]:
    return {"column": name, "type": type_.native or type_.kind.value, "nullable": nullable}


def _of(rows: pa.Table, rid: int, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [dict(r) for r in rows.filter(pc.equal(rows["rid"], rid)).select(list(names)).to_pylist()]


def _refs(value: Said) -> list[tuple[str, str]]:
    """(entity, source key) of every reference in a value."""
    if isinstance(value, list):
        return [ref for item in value for ref in _refs(item)]
    if not isinstance(value, dict):
        return []
    if value.keys() == {"ref"}:
        entities, *parts = value["ref"]
        return [(entity, key_text(parts)) for entity in entities.split(" or ")]  # one of several has the row
    return [ref for inner in value.values() for ref in _refs(inner)]


def _asks(value: Said) -> list[Ask]:
    """Every lookup in a value."""
    if isinstance(value, list):
        return [ask for item in value for ask in _asks(item)]
    if not isinstance(value, dict):
        return []
    if value.keys() == {"find"}:
        table, *pairs = value["find"]
        return [Ask.of(table, dict(zip(pairs[::2], pairs[1::2], strict=True)))]
    return [ask for inner in value.values() for ask in _asks(inner)]


def _fate(entity: Entity, loaded_as: str | None, found: list[str] | None) -> str:
    """What a run would do with a row that nothing speaks against, as far as the row alone tells."""
    if loaded_as is not None:
        return f"is in the target already, as {entity.into} {loaded_as}"
    if found and len(found) > 1:
        return f"quarantine: several rows of {entity.into} match"
    if found:
        done = {"link": "linked to", "add": "in conflict with", "add_or_link": "linked to"}
        return f"{done.get(entity.write, 'written over')} {entity.into} {found[0]}, which matches"
    if match_references(entity):
        return f"added to {entity.into}, or found there by what it refers to: that is known in a run only"
    if entity.write in ("link", "update"):
        return f"quarantine: no row of {entity.into} matches"
    return f"added to {entity.into}"
