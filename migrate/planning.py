"""What several stages ask of mapping and schemas; pure, opens nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from migrate.connectors.registry import engine_of
from migrate.errors import MappingError, Problem
from migrate.mapping.known_as import DOMAIN_COLUMNS, KnownBy
from migrate.mapping.model import Entity, Find, Mapping
from migrate.mapping.references import values
from migrate.model import Kind, Schema, Table
from migrate.plan_model import Plan


def finds(entity: Entity) -> list[tuple[str, Find]]:
    """(field, lookup) of every `find` of an entity, also those behind a reference or another lookup."""
    return [(name, find) for name, field in values(entity) for find in field.lookups]


def key_from(entity: Entity, table: Table) -> str | None:
    """Where the target key of a new row comes from; None: nowhere."""
    if all(c in entity.fields for c in table.primary_key):
        return "fields"
    if len(table.primary_key) != 1:
        return None
    column = table.column(table.primary_key[0])
    if column.type.kind is Kind.UUID or (
        column.type.kind is Kind.TEXT and not column.type.labels and (column.type.length or 36) >= 36
    ):
        return "uuid5"
    return "reserved" if column.type.kind is Kind.INT else None


def known_table(mapping: Mapping, name: str) -> str:
    """The target table that a name under `known_as` means: an entity's, or its own."""
    entity = mapping.entities.get(name)
    return entity.into if entity is not None else name


def known_column(by: KnownBy, table: Table) -> str | None:
    """The column of a target table that rows are known by there; None: it has none of the names."""
    if by.column is not None:
        return by.column if by.column in table.column_names else None
    if not by.domain:
        return by.field if by.field in table.column_names else None
    lower = {name.lower(): name for name in table.column_names}
    return next((lower[name] for name in DOMAIN_COLUMNS if name in lower), None)


def known_columns(mapping: Mapping, schema: Schema) -> dict[str, set[str]]:
    """Target table → the columns by which rows of any entity are known there."""
    found: dict[str, set[str]] = {}
    for entity in mapping.entities.values():
        for name, rules in entity.known_as.tables.items() if entity.known_as else ():
            table = schema.table(known_table(mapping, name))
            named = (known_column(by, table) for by in rules)
            found.setdefault(table.name, set()).update(c for c in named if c is not None)
    return found


def scratch_url(mapping: Mapping, role: str, source: str = "") -> tuple[str, str | None]:
    """(engine, url or None for a local file) of the scratch database for a restore test.

    Raises MappingError where there is none, or one of another engine. One URL for both sides is for those that it fits."""
    given = mapping.scratch.source if role == "source" else mapping.scratch.target
    url = mapping.sources[source].url if role == "source" else mapping.target.url
    engine = engine_of(url)
    wanted = "sqlite" if engine == "files" else engine
    if given and engine_of(given) != wanted:
        if mapping.scratch.source != mapping.scratch.target:
            raise MappingError([_other_engine(mapping, role, wanted, engine_of(given))])
        given = None
    if given or wanted == "sqlite":
        return engine, given
    if engine == engine_of(mapping.target.url):
        return engine, mapping.target.url  # never on the source's server unless stated
    raise MappingError(
        [
            Problem(
                "scratch",
                mapping.positions.get("scratch", "scratch"),
                f"no place for the restore test of the {role} ({engine})",
                "set scratch: {source: URL} to a server where databases may be created",
            )
        ]
    )


def _other_engine(mapping: Mapping, role: str, wanted: str, given: str) -> Problem:
    return Problem(
        "scratch",
        mapping.positions.get(f"scratch.{role}", mapping.positions.get("scratch", "scratch")),
        f"the {role} is {wanted}, and its backup cannot be restored into {given} to prove it",
        f"name a scratch place of {wanted} there, or leave `{role}` out for the default",
    )


def digest_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def schema_digest(schema: Schema, tables: Sequence[str] | None = None) -> str:
    """SHA-256 over what the catalogue declares of `tables`; positions of sequences do not count."""
    chosen = [t for t in schema.tables if tables is None or t.name in tables]
    return digest_of([repr(t) for t in sorted(chosen, key=lambda t: t.name)])


def shapes_of(side: str, schema: Schema) -> dict[str, dict[str, str]]:
    """Per table ("side.table") a short digest of each column, and of the rest under ""; so that a drift can be named."""
    return {
        f"{side}.{t.name}": {"": digest_of(repr(replace(t, columns=())))[:16]}
        | {c.name: digest_of(repr(c))[:16] for c in t.columns}
        for t in schema.tables
    }


def what_changed(plan: Plan, side: str, schema: Schema) -> str:
    """The tables and columns of `side` that are not as they were planned, in words; no values."""
    now = shapes_of(side, schema)
    found = []
    for name, before in plan.shapes.items():
        if not name.startswith(f"{side}."):
            continue
        table = name.removeprefix(f"{side}.")
        after = now.get(name)
        if after is None:
            found.append(f"{table} is gone")
        elif after != before:
            words = [f"{c} is gone" for c in before if c not in after]
            words += [f"{c} is new" for c in after if c not in before]
            words += [f"{c} changed" for c in before if c and c in after and after[c] != before[c]]
            found.append(f"{table} ({', '.join(words[:8]) or 'keys, constraints or indexes'})")
    return "; ".join(found[:8]) or "something that is not a column"


def state_columns(mapping: Mapping, table: Table) -> list[str]:
    """Columns by which a target row is the same as before: all but those the target sets itself."""
    free = {c for e in mapping.entities.values() if e.into == table.name for c in e.target_sets}
    return [c for c in table.column_names if c not in free]


def compared_columns(entity: Entity) -> list[str]:
    """Columns that the mapping writes and that must be found as written."""
    return [f for f in entity.fields if f not in entity.target_sets]


def owned_columns(entity: Entity) -> list[str]:
    """Compared columns whose values are the mapping's, in rows that are there too: an edit of another one is none of
    its business."""
    return [c for c in compared_columns(entity) if entity.on_existing(c) == "overwrite"]


def yielding_columns(entity: Entity) -> list[str]:
    """Fields that `existing` leaves, wholly or where they are filled, to rows that are there."""
    return [f for f in entity.fields if entity.on_existing(f) != "overwrite"] if entity.updates else []


def at_least_columns(entity: Entity) -> list[str]:
    """Fields of which the target must hold at least what was written."""
    return [c for c, rule in entity.target_sets.items() if rule == "at_least" and c in entity.fields]


Identity = tuple[str, str]  # system, entity: what the crosswalk knows rows by, beside their key


def identity_of(mapping: Mapping, name: str) -> Identity:
    return mapping.sources[mapping.entities[name].source].system, name


def earlier_identities(mapping: Mapping, name: str) -> tuple[Identity, ...]:
    """Names under which earlier runs knew the rows of an entity (`was`), the newest first."""
    system, _ = identity_of(mapping, name)
    return tuple((was.system or system, was.entity or name) for was in mapping.entities[name].was)


_NOT_OF_ROWS = {
    "name", "source", "was", "max_quarantine", "max_gone", "on_parent_excluded", "on_gone", "on_conflict", "create", "min_quality",
    "known_as",
}  # fmt: skip


def entity_digest(entity: Entity, table: Table, names: dict[str, str]) -> str:
    """What decides the values of an entity's rows: its part of the mapping and the target table's columns.

    A key of the language that the mapping does not use does not count, so that a version which learns one does not
    take all rows for changed. `names`: entity → the name that it had first; another name is no change."""
    content = entity.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_OF_ROWS)
    return digest_of([_by_first_names(content, names), repr(table.columns)])


def _by_first_names(value: Any, names: dict[str, str], *, in_ref: bool = False) -> Any:
    """`value` with the entities that references point at called by their first names."""
    if isinstance(value, list):
        return [_by_first_names(v, names) for v in value]
    if not isinstance(value, dict):
        return value
    return {
        k: _first_names(v, names)
        if in_ref and k in ("to", "kinds")
        else _by_first_names(v, names, in_ref=k == "ref")
        for k, v in value.items()
    }


def _first_names(value: Any, names: dict[str, str]) -> Any:
    match value:
        case str():
            return names.get(value, value)
        case dict():
            return {k: _first_names(v, names) for k, v in value.items()}
        case list():
            return [_first_names(v, names) for v in value]
        case _:
            return value


def plan_number(digest: str) -> int:
    """The first 8 bytes of a plan digest as the crosswalk keeps them."""
    return int.from_bytes(bytes.fromhex(digest)[:8], "little", signed=True)


def limit_of(mapping: Mapping, entity: Entity) -> float:
    """The share of an entity's rows that may be quarantined."""
    return mapping.policy.max_quarantine if entity.max_quarantine is None else entity.max_quarantine


def limit_of_gone(mapping: Mapping, entity: Entity) -> float:
    """The share of an entity's loaded rows that a run may flag or delete because they are gone at the source."""
    return mapping.policy.max_gone if entity.max_gone is None else entity.max_gone


def may_be_quarantined(mapping: Mapping, entity: Entity, rows: int) -> int:
    """How many of an entity's `rows` may be quarantined or rejected before the run stops."""
    return int(limit_of(mapping, entity) * rows + 1e-9)  # 0.29 * 100 is 28.999…
