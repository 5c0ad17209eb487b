"""A first mapping from a source and a target: both are looked at, nothing is written but the mapping."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from migrate.api.databases import place_of_source
from migrate.connectors.protocol import Database
from migrate.connectors.registry import engine_of, open_source
from migrate.durable import write_bytes
from migrate.errors import MappingError, Problem, UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.usage import read_tables
from migrate.model import Schema, added_columns
from migrate.rules.profiling import profile_table, value_counts
from migrate.rules.suggestion import Facts, Seen, Suggested, Suggestion, Written, written
from migrate.rules.suggestion import suggest as matched
from migrate.stages.plan import held_against, target_tables
from migrate.vault.capture import capture

_MOST_VALUES = 50_000  # distinct values of a column that are compared with others
_TRIES = 8  # how often what the plan refuses is taken out
_OPEN = ("sqlite", "files")  # URLs of these hold no password


def suggest(
    source: str, target: str, *, out: Path | str | None = None, force: bool = False, name: str = "first"
) -> dict[str, Any]:
    """A mapping that the plan accepts, from what is found in `source` and `target` (URLs, a SQLite file, a folder).

    {text, out, entities: [{entity, from, into, score, fields: [{column, from, score, doubts}], open, unused, doubts}],
    left, waiting, refused: {entity.column: why}}. The text names the places as `${SOURCE_URL}` and `${TARGET_URL}` where
    they might hold a password. `out`: written there too; a file that is there is only replaced under `force`. Raises
    UsageError, Unreachable, and what reading the two raises."""
    path = Path(out) if out is not None else None
    if path is not None and path.exists() and not force:
        raise UsageError(
            "there is a file of this name",
            where=str(path),
            kept="It was left as it is.",
            hint="Give another --out, or --force.",
        )
    if engine_of(place_of_source(target, None)[0]) == "files":  # said before anything is read
        raise UsageError("files cannot be a target", hint="Give a sqlite:///, postgresql:// or mysql:// URL.")
    with tempfile.TemporaryDirectory(prefix="migrate-suggest-") as folder:
        one, mine = _looked_at(source, Path(folder) / "source")
        other, theirs = _looked_at(target, Path(folder) / "target")
        if not theirs[1].tables:
            raise UsageError("there is no table in the target", where=target if _is_open(other) else "TARGET")
        found = matched(mine[1], theirs[1])
        environment = {"SOURCE_URL": one, "TARGET_URL": other}
        refused: dict[tuple[str, str], str] = {}
        text = _accepted(found, name, environment, (mine[0], theirs[0]), refused, Path(folder))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.text.encode(), point="suggest", mode=0o644)
    return {
        "text": text.text,
        "out": str(path) if path is not None else None,
        "entities": [_entity(e, refused) for e in found.entities if (e.name, "") not in refused],
        "left": list(found.left),
        "waiting": list(found.waiting),
        "refused": {".".join(filter(None, place)): why for place, why in refused.items()},
    }


def _entity(entity: Suggested, refused: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "entity": entity.name,
        "from": entity.source,
        "into": entity.into,
        "score": round(entity.score, 2),
        "fields": [
            {
                "column": c.column,
                "from": c.says.get("from"),
                "score": round(c.score, 2),
                "doubts": list(c.doubts),
            }
            for c in entity.fields
            if (entity.name, c.column) not in refused
        ],
        "open": [*entity.open, *(c.column for c in entity.fields if (entity.name, c.column) in refused)],
        "unused": list(entity.unused),
        "doubts": list(entity.doubts),
    }


def _looked_at(given: str, folder: Path) -> tuple[str, tuple[Schema, Facts]]:
    """The URL, the catalogue, and the facts of every table; what was read lies below `folder`."""
    url, only, options = place_of_source(given, None)
    folder.mkdir(mode=0o700)
    database = open_source(url, base=Path.cwd(), work=folder, options=options)
    try:
        schema = database.schema(list(only) or None)
        return url, (schema, _facts(database, schema, folder))
    finally:
        database.close()


def _facts(database: Database, schema: Schema, folder: Path) -> Facts:
    columns: dict[str, dict[str, Seen]] = {}
    rows: dict[str, int] = {}
    files: dict[str, list[Path]] = {}
    for number, name in enumerate(schema.table_names):
        place = folder / f"t{number}"
        taken = capture(database, [name], place, advance=lambda _: None, point="suggest.capture")
        files[name] = [place / p.path for p in taken.parts[name]]
        stored = taken.schema.table(
            name
        )  # the rows lie as they are stored, the columns are what they are declared
        seen = profile_table(files[name], stored, key=(), temp=folder / "temp") if files[name] else None
        rows[name] = taken.rows
        added = added_columns(schema.table(name).column_names)
        declared = [c for c in schema.table(name).columns if c.name not in added]
        columns[name] = {c.name: Seen(c, seen.column(c.name) if seen else None) for c in declared}

    @cache
    def values(table: str, column: str) -> list[tuple[str, int]]:
        counted = (
            value_counts(files[table], column, temp=folder / "temp", limit=_MOST_VALUES)
            if files[table]
            else []
        )
        return [(v, n) for v, n in counted if v is not None]

    return Facts({t.name: t for t in schema.tables}, columns, rows, values)


def _accepted(
    found: Suggestion,
    name: str,
    environment: Mapping[str, str],
    schemas: tuple[Schema, Schema],
    refused: dict[tuple[str, str], str],
    folder: Path,
) -> Written:
    """The text without what the plan does not take, which goes to `refused` with the reason."""
    shown = {k: v if _is_open(v) else f"${{{k}}}" for k, v in environment.items()}
    for _ in range(_TRIES):
        text = written(
            found,
            name=name,
            system="source",
            source=shown["SOURCE_URL"],
            target=shown["TARGET_URL"],
            refused=refused,
        )
        problems = _problems(text, environment, schemas, folder)
        fresh = {place: why for place, why in problems.items() if place not in refused}
        if not fresh:
            return text
        refused |= fresh
    return text


def _problems(
    text: Written, environment: Mapping[str, str], schemas: tuple[Schema, Schema], folder: Path
) -> dict[tuple[str, str], str]:
    """What is wrong with the mapping, by entity and column."""
    file = folder / "suggested.yaml"
    write_bytes(file, text.text.encode(), point="suggest.tried")
    try:
        mapping = load_mapping(file, {**os.environ, **environment})
    except MappingError as error:
        return _placed(text, error.problems)
    read = {name: _only(schemas[0], tables) for name, tables in read_tables(mapping).items()}
    target = _only(schemas[1], target_tables(mapping))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    held = held_against(mapping, read, target, engine=engine_of(mapping.target.url), now=now)
    return _placed(text, held.problems)


def _only(schema: Schema, tables: Collection[str]) -> Schema:
    return replace(schema, tables=tuple(t for t in schema.tables if t.name in tables))


def _placed(text: Written, problems: Sequence[Problem]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for problem in problems:
        _, _, tail = problem.where.rpartition("suggested.yaml:")
        line = int(tail.split(":")[0]) if tail.split(":")[0].isdigit() else 0
        place = text.places.get(line)
        if place is not None:
            found.setdefault(place, problem.message)
    return found


def _is_open(url: str) -> bool:
    return engine_of(url) in _OPEN
