"""The plan of a run: what was decided before anything was read or written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from migrate.model import Column, ForeignKey, Index, Kind, Table, Type


@dataclass(frozen=True)
class EntityPlan:
    """`key_from` says where a target key of a new row comes from: fields | uuid5 | reserved.
    `deferred` are the fields that the second pass fills. `digest` decides whether an earlier run's row is unchanged.
    `refs`: field → the entities it may point at."""

    source: str
    table: str
    into: str
    key_columns: tuple[str, ...]
    key_from: str
    deferred: tuple[str, ...]
    refs: dict[str, tuple[str, ...]]
    digest: str


@dataclass(frozen=True)
class Plan:
    run: str
    mapping_digest: str
    source_schemas: dict[str, str]  # source → digest of its schema
    target_schema: str
    order: tuple[str, ...]
    entities: dict[str, EntityPlan]
    source_tables: dict[str, tuple[str, ...]]
    touched: tuple[str, ...]  # target tables that are backed up, proven and watched for drift
    problems: tuple[dict[str, str], ...]  # warnings: the run goes on
    now: str
    # "side.table" → column → digest: to name drift
    shapes: dict[str, dict[str, str]] = field(default_factory=dict)
    # source → tables that nothing reads → rows, as `Database.others` counts them
    unread: dict[str, dict[str, int | None]] = field(default_factory=dict)
    # What is to be created in the target: whole tables (they have a primary key), and new columns of tables that are
    # there, each with the indexes and foreign keys that come with them.
    creates: tuple[Table, ...] = ()
    ddl: tuple[str, ...] = ()  # the statements, for people

    @property
    def digest(self) -> str:
        """What checkpoints of later stages depend on."""
        import hashlib
        import json

        content = [self.mapping_digest, self.source_schemas, self.target_schema, list(self.order)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        def tuples(value: Any) -> Any:
            return tuple(value) if isinstance(value, list) else value

        def entity(facts: dict[str, Any]) -> EntityPlan:
            plain = {k: tuples(v) for k, v in facts.items() if k != "refs"}
            return EntityPlan(refs={f: tuple(to) for f, to in facts["refs"].items()}, **plain)

        entities = {name: entity(facts) for name, facts in data["entities"].items()}
        rest = {k: tuples(v) for k, v in data.items() if k not in ("entities", "source_tables", "creates")}
        return cls(
            entities=entities,
            source_tables={k: tuple(v) for k, v in data["source_tables"].items()},
            creates=tuple(_table(t) for t in data.get("creates", ())),
            **rest,
        )


def _table(data: dict[str, Any]) -> Table:
    """A table as `creates` has it: columns, key, foreign keys and indexes, nothing else."""

    def columns(found: dict[str, Any], *names: str) -> dict[str, Any]:
        return {**found, **{n: tuple(found[n]) for n in names}}

    return Table(
        name=data["name"],
        columns=tuple(Column(**{**c, "type": _type(c["type"])}) for c in data["columns"]),
        primary_key=tuple(data["primary_key"]),
        foreign_keys=tuple(ForeignKey(**columns(f, "columns", "ref_columns")) for f in data["foreign_keys"]),
        indexes=tuple(Index(**columns(i, "columns")) for i in data["indexes"]),
    )


def _type(data: dict[str, Any]) -> Type:
    item = data["item"]
    kind, labels = Kind(data["kind"]), tuple(data["labels"])
    return Type(**{**data, "kind": kind, "labels": labels, "item": None if item is None else _type(item)})
