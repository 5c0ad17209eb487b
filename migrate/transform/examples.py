"""Examples of an entity tried out: one batch of made-up rows through the very pipeline that a run uses.

No database is opened. A field has the type of its own result; references and lookups stay what they name. What is
decided over whole tables (double keys, `unique`, `match`, whether a reference finds its row) cannot be tried here.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import polars as pl

from migrate.canon import canonical_text
from migrate.errors import MappingError, Problem
from migrate.mapping.model import Entity, Example, Mapping, Ref
from migrate.mapping.usage import columns_named, columns_used, table_maps
from migrate.model import Type
from migrate.transform.apply import Transformed, apply
from migrate.transform.compile import compile_entity
from migrate.transform.convert import convert
from migrate.transform.entity import CompiledEntity
from migrate.transform.lookup import Lookup
from migrate.transform.made_up import GUESSES, MadeUp, columns_of_sql
from migrate.transform.row_values import row_values
from migrate.transform.values import TEXT, Values


@dataclass(frozen=True)
class Difference:
    """`column` is a target column, or "" for what becomes of the row; `where`: file:line:column of the expectation."""

    column: str
    expected: Any
    got: Any
    where: str


@dataclass(frozen=True)
class Tried:
    entity: str
    number: int  # from 1
    name: str
    where: str
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def try_examples(mapping: Mapping, name: str, *, now: str) -> list[Tried]:
    """All examples of the entity `name`, in the order of the file. `now` as for `compile_entity`.

    Raises MappingError with everything that is wrong with the mapping."""
    entity = mapping.entities[name]
    if not entity.examples:
        return []
    many = [join for join, spec in entity.with_.items() if spec.rows == "any"]
    read = set(columns_used(entity)) | columns_named(mapping, entity)
    rows = MadeUp.of(entity.examples, read - set(entity.let), many)
    compiled = _compiled(mapping, entity, rows, now)
    size = len(entity.examples)
    made = apply(
        compiled,
        rows.batch(compiled.types),
        np.arange(size, dtype=np.int64),
        rows.joined_rows(compiled.types),
    )
    fates = _Fates.of(compiled, made)
    return [
        Tried(
            entity=name,
            number=example.number + 1,
            name=example.name,
            where=_where(mapping, entity, example, ""),
            differences=tuple(_differences(mapping, entity, example, compiled, made, fates, rid)),
        )
        for rid, example in enumerate(entity.examples)
    ]


def _where(mapping: Mapping, entity: Entity, example: Example, path: str) -> str:
    """file:line:column of a place in an example."""
    place = f"entities.{entity.name}.examples.{example.number}"
    places = (f"{place}.expect.columns.{path}", f"{place}.expect.{path}", f"{place}.expect", place)
    return next((mapping.positions[p] for p in places if p in mapping.positions), place)


# ------------------------------------------------------------------ the row as it was made, against the example


@dataclass(frozen=True)
class _Fates:
    """By row: why it is left out, its reasons (field, code, detail), and what rules did to it (field, code)."""

    excluded: dict[int, str]
    reasons: dict[int, list[tuple[str, str, str]]]
    events: dict[int, list[tuple[str, str]]]

    @classmethod
    def of(cls, compiled: CompiledEntity, made: Transformed) -> _Fates:
        unread = {f.name for f in (*compiled.fields, *compiled.lets) if f.field.map and f.field.map.table}
        reasons: dict[int, list[tuple[str, str, str]]] = {}
        for row in made.reasons.to_pylist():
            if not (row["field"] in unread and row["code"] == "unmapped_value"):
                reasons.setdefault(row["rid"], []).append((row["field"], row["code"], row["detail"]))
        events: dict[int, list[tuple[str, str]]] = {}
        for row in made.events.to_pylist():
            events.setdefault(row["rid"], []).append((row["field"], row["code"]))
        return cls({row["rid"]: row["reason"] for row in made.excluded.to_pylist()}, reasons, events)


def _differences(
    mapping: Mapping,
    entity: Entity,
    example: Example,
    compiled: CompiledEntity,
    made: Transformed,
    fates: _Fates,
    rid: int,
) -> Iterator[Difference]:
    reasons = fates.reasons.get(rid, [])
    if not example.given.keys() & set(entity.key) and "key_missing" not in example.quarantine:
        reasons = [r for r in reasons if r[1] != "key_missing"]  # an example need not care for keys
    codes = {code for _, code, _ in reasons}
    if (left_out := fates.excluded.get(rid)) is not None:
        fate = f"excluded: {left_out}"
    elif reasons:
        fate = "quarantine: " + ", ".join(
            f"{code} ({f'{field}: ' if field else ''}{detail or code})" for field, code, detail in reasons
        )
    else:
        fate = "goes into the target"
    if example.excluded is not None or left_out is not None:
        if example.excluded != left_out:
            wanted = _wanted(example)
            yield Difference("", wanted, fate, _where(mapping, entity, example, "excluded"))
        return
    if codes != set(example.quarantine):
        yield Difference("", _wanted(example), fate, _where(mapping, entity, example, "quarantine"))
    types = {f.name: f.type for f in compiled.fields}
    unread = {n: f.map.table.table for n, f in entity.fields.items() if f.map is not None and f.map.table}
    values = row_values(compiled, made, rid)
    for column, expected in example.expect.items():
        got = _meant(entity.fields[column].ref, expected, values[column])
        if column in unread:
            got = f"what the map from the table {unread[column]} gives; no database is read here"
        elif same(expected, got, types.get(column, TEXT)):
            continue
        yield Difference(column, expected, got, _where(mapping, entity, example, column))
    for column, wanted_codes in example.events.items():
        found = sorted({code for field, code in fates.events.get(rid, []) if field == column})
        if found != sorted(set(wanted_codes)):
            where = _where(mapping, entity, example, f"events.{column}")
            yield Difference(column, {"events": list(wanted_codes)}, {"events": found}, where)


def _meant(ref: Ref | None, expected: Any, got: Any) -> Any:
    """A reference to one of several entities: which one has the row cannot be told here, so that each is right."""
    if ref is None or len(ref.to) < 2 or not (isinstance(expected, dict) and isinstance(got, dict)):
        return got
    wanted, key = expected.get("ref", [""]), got.get("ref", [""])[1:]
    return {"ref": [wanted[0], *key]} if wanted[0] in ref.to else got


def _wanted(example: Example) -> str:
    if example.excluded is not None:
        return f"excluded: {example.excluded}"
    return f"quarantine: {', '.join(example.quarantine)}" if example.quarantine else "goes into the target"


def same(expected: Any, got: Any, type_: Type = TEXT) -> bool:
    """Whether a value is the expected one: numbers by their value, others by the canonical text of the type."""
    if isinstance(expected, list):
        return (
            isinstance(got, list)
            and len(got) == len(expected)
            and all(same(e, g) for e, g in zip(expected, got, strict=True))
        )
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and got.keys() == expected.keys()
            and all(same(expected[key], got[key]) for key in expected)
        )
    if expected is None or got is None or isinstance(got, list | dict):
        return expected is None and got is None
    if isinstance(got, bool):
        return str(expected).lower() == str(got).lower()
    if str(expected) == str(got):
        return True
    if not isinstance(got, str):
        return _number(str(expected)) == _number(str(got)) is not None
    read = convert(Values(pl.Series("", [expected], dtype=pl.String), TEXT), type_)
    return type_ != TEXT and not read.failures and canonical_text(read.array, type_)[0].as_py() == got


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


# ------------------------------------------------------------------ the entity, made ready for made-up rows


def _compiled(mapping: Mapping, entity: Entity, rows: MadeUp, now: str) -> CompiledEntity:
    """With columns of text; in SQL over a database, columns are what their values look like. A column that no example
    gives is taken for what SQL asks of it."""
    known: dict[str, Type | None] = dict.fromkeys(rows.names, TEXT)
    if not mapping.sources[entity.source].url.startswith("files:"):
        known |= {n: rows.looks(n) for n in columns_of_sql(entity) & set(rows.names)}
    unknown = [name for name, type_ in known.items() if type_ is None]
    types = {name: type_ or TEXT for name, type_ in known.items()}
    compiled, problems = _try(mapping, entity, rows, types, now)
    for name in unknown:
        for guess in GUESSES[1:] if _wrong_sql(problems) else ():
            other, left = _try(mapping, entity, rows, types | {name: guess}, now)
            if len(_wrong_sql(left)) < len(_wrong_sql(problems)):
                compiled, problems, types = other, left, types | {name: guess}
    if compiled is None or problems:
        open_ = [n for n in unknown if any(n in p.message for p in _wrong_sql(problems))]
        hint = f"No example gives {', '.join(open_)}, so that the type is not known here." if open_ else ""
        raise MappingError(problems, hint=hint)
    return compiled.with_lookups({name: Lookup.of({}) for name in table_maps([entity])})


def _try(
    mapping: Mapping, entity: Entity, rows: MadeUp, types: Dict[str, Type], now: str
) -> tuple[CompiledEntity | None, list[Problem]]:
    table = rows.table(entity.table, types, line=entity.key_is_line)
    return compile_entity(mapping, entity.name, table, None, now=now, joined=rows.joined_tables(types))


def _wrong_sql(problems: list[Problem]) -> list[Problem]:
    return [p for p in problems if p.code == "expression"]
