"""The data dictionary: what every target column is made of, in the words of the mapping; without any database.

`data_dictionary` reads the mapping and, where they are at hand, the target's types. Texts that came from the
environment are shown as the file says them: a dictionary is handed on.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import Any

from migrate.mapping.every_field import every_field
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Entity, Field, Mapping
from migrate.mapping.road_model import Split
from migrate.mapping.usage import columns_read, origins_of, source_columns
from migrate.model import Schema
from migrate.report.dictionary_words import branch_words, entity_rules, field_words, in_one_line, said

ENTRIES_SHOWN = 50  # of one map
# Keys of an entity that have a place of their own in the document, or say nothing of the data.
_ENTITY_KEYS = frozenset(
    ("name", "source", "table", "into", "key", "write", "match", "where", "target_sets", "fields")
)


def data_dictionary(mapping: Mapping, target: Schema | None = None) -> dict[str, Any]:
    """The dictionary as one JSON-able document; `type` and `nullable` are null without the `target`'s catalogue.

    `entities`: a list of {entity, why, from, into, key, write, match, where, rules, columns}; `columns`: {column, type,
    nullable, from (source columns), origin, steps, default, checks, why}. `maps`: {map, used_by, size, entries (at
    most ENTRIES_SHOWN)}. `splits`: tables with several roads. `checks`: {check, within} over tables. `lineage`: source column → target columns. `left_behind`, `reasons` (`why` of everything
    else, with its place), `functions` (those used) and `glossary` as the file has them."""
    entities = [_entity(mapping, name, entity, target) for name, entity in mapping.entities.items()]
    used = {s.name for e in mapping.entities.values() for _, f in every_field(e) for s in f.do}
    return {
        "mapping": mapping.name,
        "description": mapping.description,
        "digest": mapping.digest,
        "sources": [{"source": name, "system": s.system} for name, s in mapping.sources.items()],
        "entities": entities,
        "maps": _maps(mapping),
        "splits": [_split(mapping, split) for split in mapping.split.values()],
        "checks": [{"check": c.words, "within": c.allowed} for c in mapping.checks],
        "lineage": _lineage(mapping),
        "left_behind": [item.model_dump() for item in mapping.left_behind],
        "reasons": [{"where": w or "the mapping", "why": why} for w, why in mapping.reasons.items()],
        "functions": {name: FUNCTIONS[name].summary for name in sorted(used) if name in FUNCTIONS},
        "glossary": dict(mapping.glossary),
    }


def brief(document: Dict[str, Any]) -> dict[str, Any]:
    """The dictionary in few words, for plan and report.

    `entities`: per entity {from, into, why, columns: [{column, type and nullable where known, from, says, why}]};
    `reasons`: [{where, why}] of everything that says why, also of entities and columns."""
    reasons = []
    for entity in document["entities"]:
        reasons.append({"where": entity["entity"], "why": entity["why"]})
        reasons += [
            {"where": f"{entity['entity']}.{c['column']}", "why": c["why"]} for c in entity["columns"]
        ]
    return {
        "entities": {entity["entity"]: _in_brief(entity) for entity in document["entities"]},
        "reasons": [r for r in (*document["reasons"], *reasons) if r["why"]],
    }


def _in_brief(entity: Dict[str, Any]) -> dict[str, Any]:
    columns = []
    for column in entity["columns"]:
        known = {key: column[key] for key in ("type", "nullable") if column[key] is not None}
        columns.append(
            {
                "column": column["column"],
                **known,
                "from": column["from"],
                "says": says(column),
                "why": column["why"],
            }
        )
    return {
        "from": f"{entity['from']['source']}.{entity['from']['table'] or 'query'}",
        "into": entity["into"],
        "why": entity["why"],
        "columns": columns,
    }


def says(column: Dict[str, Any]) -> str:
    """What happens to a column's values, in one line."""
    return in_one_line(column)


def _entity(mapping: Mapping, name: str, entity: Entity, target: Schema | None) -> dict[str, Any]:
    content = _as_written(mapping, _dumped(entity))
    declared = target.table(entity.into) if target and entity.into in target.table_names else None
    columns = []
    for column, field in entity.fields.items():
        known = declared.column(column) if declared and column in declared.column_names else None
        columns.append(
            {
                "column": column,
                "type": (known.type.native or known.type.kind.value) if known else None,
                "nullable": known.nullable if known else None,
                **_field(mapping, field),
            }
        )
    return {
        "entity": name,
        "why": entity.why,
        "from": {"source": entity.source, "table": entity.table},
        "into": entity.into,
        "key": list(entity.key),
        "write": entity.write,
        "match": dict(entity.match),
        "where": entity.where,
        "set_by_target": dict(entity.target_sets),
        "rules": [rule for k, v in content.items() if k not in _ENTITY_KEYS for rule in entity_rules(k, v)],
        "columns": columns,
    }


def _split(mapping: Mapping, split: Split) -> dict[str, Any]:
    """{source, table, branches: [{when, goes}], otherwise}: each row takes the first that fits."""
    branches = [b.model_dump(mode="json") for b in split.branches]
    rest = split.otherwise.model_dump(mode="json") if split.otherwise is not None else {}
    return {
        "source": split.source,
        "table": split.table,
        "branches": [{"when": b["when"], "goes": branch_words(b)} for b in branches],
        "otherwise": branch_words(rest),
    }


def _field(mapping: Mapping, field: Field) -> dict[str, Any]:
    words = field_words(_as_written(mapping, _dumped(field)))
    return {"from": columns_read(field), **words, "why": field.why}


def _dumped(model: Entity | Field) -> dict[str, Any]:
    """What the file says, without what it leaves to the defaults."""
    return dict(model.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def _as_written(mapping: Mapping, value: Any) -> Any:
    """Texts from the environment as references again."""
    if isinstance(value, str):
        return mapping.resolved.get(value, value)
    if isinstance(value, dict):
        return {key: _as_written(mapping, inner) for key, inner in value.items()}
    return [_as_written(mapping, inner) for inner in value] if isinstance(value, list) else value


# ------------------------------------------------------------------ maps and lineage


def _maps(mapping: Mapping) -> list[dict[str, Any]]:
    """Named maps, also those that nothing uses, then those that stand in a field."""
    used: dict[str, list[str]] = {name: [] for name in mapping.maps}
    own: dict[str, Any] = {}
    for name, entity in mapping.entities.items():
        for path, field in every_field(entity):
            place = ".".join(map(str, (name, *(path[1:] if path[0] == "fields" else path))))
            if field.map is not None and field.map.name:
                used.setdefault(field.map.name, []).append(place)
            elif field.map is not None:
                own[place] = field.map
    named = [_map(name, value_map, used[name]) for name, value_map in mapping.maps.items()]
    return named + [_map(place, value_map, [place]) for place, value_map in own.items()]


def _map(name: str, value_map: Any, used_by: list[str]) -> dict[str, Any]:
    entries = list(value_map.values.items())
    extra = value_map.model_dump(mode="json", exclude_defaults=True, exclude={"name", "values"})
    return {
        "map": name,
        "used_by": used_by,
        "rules": [said(key, value) for key, value in extra.items()],
        "size": len(entries),
        "entries": [[key, value] for key, value in entries[:ENTRIES_SHOWN]],
    }


def _lineage(mapping: Mapping) -> dict[str, list[str]]:
    """Where the values of a source column go: `source.table.column` → `target table.column`."""
    found: dict[str, list[str]] = {}
    for entity in mapping.entities.values():
        for path, field in every_field(entity):
            if path[0] == "let":
                continue
            column = str(path[1])
            for read in source_columns(entity, field):
                for origin in origins_of(entity, read):
                    goes = found.setdefault(".".join(origin), [])
                    if (place := f"{entity.into}.{column}") not in goes:
                        goes.append(place)
    return dict(sorted(found.items()))
