"""Around a mapping file: its examples tried out, its data dictionary."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from migrate.connectors.registry import open_target
from migrate.errors import GateClosed, UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.shapes import did_you_mean
from migrate.report.dictionary import data_dictionary
from migrate.transform.examples import Tried, try_examples


def examples(mapping: Path | str, *, entity: str | None = None) -> dict[str, Any]:
    """The examples of a mapping, or of one entity, tried out; no database is opened.

    {mapping, passed, failed, examples: [{entity, number, name, where, passed, differences: [{column ("" for what
    becomes of the row), expected, got, where}]}], without (entities that have none), exit_code (3 where one fails)}.
    Raises MappingError, UsageError for an entity that is not there."""
    loaded = load_mapping(mapping)
    if entity is not None and entity not in loaded.entities:
        near = did_you_mean(entity, loaded.entities, f"Entities: {', '.join(loaded.entities)}.")
        raise UsageError(f"the mapping has no entity {entity!r}", where=str(mapping), hint=near)
    chosen = [entity] if entity is not None else list(loaded.entities)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    tried = [one for name in chosen for one in try_examples(loaded, name, now=now)]
    failed = sum(not one.passed for one in tried)
    return {
        "mapping": loaded.name,
        "passed": len(tried) - failed,
        "failed": failed,
        "examples": [_example(one) for one in tried],
        "without": [name for name in chosen if not loaded.entities[name].examples],
        "exit_code": GateClosed.exit_code if failed else 0,
    }


def _example(one: Tried) -> dict[str, Any]:
    return {**asdict(one), "passed": one.passed, "differences": [asdict(d) for d in one.differences]}


def dictionary(mapping: Path | str, *, live: bool = False) -> dict[str, Any]:
    """What every target column is made of, see `migrate.report.dictionary`. `live` asks the target for the types of
    its columns; without it no database is opened. Raises MappingError, and Unreachable where `live` cannot be had."""
    loaded = load_mapping(mapping)
    if not live:
        return data_dictionary(loaded)
    with tempfile.TemporaryDirectory(prefix="migrate-dictionary-") as folder:
        target = open_target(loaded.target.url, base=Path(loaded.base), work=Path(folder))
        try:
            catalogue = target.schema(sorted({e.into for e in loaded.entities.values()}))
        finally:
            target.close()
    return data_dictionary(loaded, catalogue)
