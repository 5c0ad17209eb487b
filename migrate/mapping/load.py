"""From a file to a Mapping: read, check alone, check together. All problems come at once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping as Environment
from pathlib import Path
from typing import Any

from migrate.mapping.cross import check_together
from migrate.mapping.cross_roads import source_of_split
from migrate.mapping.every_field import with_every_field
from migrate.mapping.language import FILE, homes, read_ahead
from migrate.mapping.language.defaults import with_defaults
from migrate.mapping.model import Entity, Field, Mapping, Policy, Scratch, Source, Target, ValueMap
from migrate.mapping.shapes import Reading, build
from migrate.mapping.tree import Pairs, Problems, plain, read_tree


def load_mapping(
    path: Path | str,
    environment: Environment[str, str] = os.environ,
    *,
    base: Path | None = None,
    kept: Path | None = None,
) -> Mapping:
    """The mapping in a file, with references to `environment` replaced, and the files of its maps read.

    `base` is the folder that relative paths resolve against; by default the parent of the `mappings` folder
    that the file lies in, else the file's own. `kept`: a folder of copies of the maps' files. Connects to nothing. Raises MappingError with every problem found: file:line:column, what is wrong, the
    nearest right name. Messages never hold values of the environment."""
    shown, file = str(path), Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would leave the folder of a linked file
    tree = read_tree(file, shown)
    if base is None:
        base = file.parent.parent if file.parent.name == "mappings" else file.parent
    reading = Reading(Problems(shown), environment, base, homes(), kept=kept)
    read_ahead(tree, reading)
    values = FILE.read(tree, reading, ())
    _one_source(tree, reading)
    parts = values if isinstance(values, dict) else {}
    mapping = _assemble(parts, tree, reading) if parts else None
    check_together(parts or _good_parts(tree, reading), tree, reading)
    reading.problems.raise_any()
    assert isinstance(mapping, Mapping), "no problem was found, yet there is no mapping"
    where = {".".join(map(str, name)): f"{shown}:{at[0]}:{at[1]}" for name, at in reading.keys.items()}
    return mapping.model_copy(
        update={
            "path": str(file),
            "base": str(base),
            "digest": digest_of(tree, reading.files),
            "files": dict(reading.files),
            "positions": where,
            "reasons": {".".join(map(str, name)): text for name, text in reading.reasons.items()},
            "resolved": dict(reading.resolved),
        }
    )


def digest_of(tree: Pairs, files: Environment[str, str]) -> str:
    """SHA-256 of what the file says, and of the bytes of the files that it names (name → their SHA-256): names sorted,
    without comments, layout and values of the environment."""
    content = [plain(tree), dict(files)] if files else plain(tree)
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _one_source(tree: Pairs, reading: Reading) -> None:
    if tree.get("source") is None and tree.get("sources") is None:
        reading.wrong("missing_key", tree.at, "a mapping needs `source`", "or `sources` by name")
    elif tree.get("source") is not None and tree.get("sources") is not None:
        reading.wrong(
            "conflict",
            reading.key_at("sources"),
            "`source` and `sources` exclude each other",
            "move the one among the others",
        )


def _good_parts(tree: Pairs, reading: Reading) -> dict[str, Any]:
    """What can be read of a file that lacks a required key, so that its other problems are told too."""
    quiet = Reading(
        Problems(reading.problems.file),
        reading.environment,
        reading.base,
        kept=reading.kept,
        ahead=reading.ahead,
    )
    return {
        name.value: FILE.keys[name.value].shape.read(node, quiet, (name.value,))
        for name, node in tree.pairs
        if name.value in FILE.keys
    }


def _of_source(value_map: ValueMap, only: str | None) -> ValueMap:
    """A map of a table belongs to the one source, where there is one and it names none."""
    table = value_map.table
    if table is None or only is None or "source" in table.model_fields_set:
        return value_map
    return value_map.model_copy(update={"table": table.model_copy(update={"source": only})})


def _with_map(field: Field, maps: dict[str, ValueMap]) -> Field:
    """The field with its map looked up by name."""
    known = maps.get(field.map.name) if field.map is not None else None
    return field.model_copy(update={"map": known}) if known is not None else field


def _with_joins(entity: Entity) -> Entity:
    """The entity with the source of every join: its own, unless the join says another."""
    joins = {n: j.model_copy(update={"source": j.source or entity.source}) for n, j in entity.with_.items()}
    return entity.model_copy(update={"with_": joins}) if joins else entity


def _assemble(parts: dict[str, Any], tree: Pairs, reading: Reading) -> Any:
    sources: dict[str, Source] = parts.get("sources") or (
        {"source": parts["source"]} if isinstance(parts.get("source"), Source) else {}
    )
    only = next(iter(sources)) if len(sources) == 1 else None
    maps = {name: _of_source(value_map, only) for name, value_map in (parts.get("maps") or {}).items()}
    entities: dict[str, Entity] = {}
    for name, entity in parts["entities"].items():
        if only and "source" not in entity.model_fields_set:
            entity = entity.model_copy(update={"source": only})
        entity = _with_joins(with_defaults(entity, parts.get("defaults") or {}))
        entities[name] = with_every_field(entity, lambda field: _with_map(field, maps))
    values = {
        "name": parts["name"],
        "description": parts.get("description", ""),
        "sources": sources,
        "target": parts["target"] if isinstance(parts["target"], Target) else None,
        "scratch": parts.get("scratch") or Scratch(),
        "policy": parts.get("policy") or Policy(),
        "maps": maps,
        "entities": entities,
        "split": {
            table: split.model_copy(update={"source": source_of_split(split, entities) or only or ""})
            for table, split in (parts.get("split") or {}).items()
        },
        "left_behind": parts.get("left_behind") or (),
        "checks": parts.get("checks") or (),
        "glossary": parts.get("glossary") or {},
    }
    return build(Mapping, values, tree, reading)
