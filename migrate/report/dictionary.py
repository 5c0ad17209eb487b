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
from migrate.mapping.usage import columns_read, origins_of, source_columns
from migrate.model import Schema

ENTRIES_SHOWN = 50  # of one map
_ORIGINS = ("from", "value", "expr", "first_of", "text", "choose")
_OWN = frozenset((*_ORIGINS, "check", "default"))
# Keys of an entity that have a place of their own in the document, or say nothing of the data.
_ENTITY_KEYS = frozenset(
    ("name", "source", "table", "into", "key", "write", "match", "where", "target_sets", "fields", "let")
)


def data_dictionary(mapping: Mapping, target: Schema | None = None) -> dict[str, Any]:
    """The dictionary as one JSON-able document; `type` and `nullable` are null without the `target`'s catalogue.

    `entities`: a list of {entity, why, from, into, key, write, match, where, rules, columns}; `columns`: {column, type,
    nullable, from (source columns), origin, steps, default, checks, why}. `maps`: {map, used_by, size, entries (at
    most ENTRIES_SHOWN)}. `checks`: {check, within} over tables. `lineage`: source column → target columns. `left_behind`, `reasons` (`why` of everything
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
        "from": f"{entity['from']['source']}.{entity['from']['table']}",
        "into": entity["into"],
        "why": entity["why"],
        "columns": columns,
    }


def says(column: Dict[str, Any]) -> str:
    """What happens to a column's values, in one line."""
    parts = [column["origin"], *column["steps"]]
    if column["default"] is not None:
        parts.append(f"if empty: {column['default']}")
    if column["checks"]:
        parts.append(f"checked: {', '.join(column['checks'])}")
    return "; ".join(part for part in parts if part)


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
        "rules": [f"let {name}: {says(_field(mapping, field))}" for name, field in entity.let.items()]
        + [_said(k, v) for k, v in content.items() if k not in _ENTITY_KEYS],
        "columns": columns,
    }


def _field(mapping: Mapping, field: Field) -> dict[str, Any]:
    content = _as_written(mapping, _dumped(field))
    return {
        "from": columns_read(field),
        "origin": next((_origin(key, content[key]) for key in _ORIGINS if content.get(key) is not None), ""),
        "steps": [step for key, value in content.items() if key not in _OWN for step in _steps(key, value)],
        "default": content.get("default"),
        "checks": [_check(check) for check in content.get("check", ())],
        "why": field.why,
    }


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


# ------------------------------------------------------------------ in words


def _origin(key: str, value: Any) -> str:
    """Where a value comes from."""
    match key:
        case "value":
            return f'always "{value}"'
        case "first_of":
            return f"first of {', '.join(value)}"
        case "choose":
            return "; ".join(f"{_case(case)} if {case['when']}" for case in value)
        case _:
            return str(value)


def _case(case: Dict[str, Any]) -> str:
    key = next(key for key in ("from", "value", "expr") if case.get(key) is not None)
    return _origin(key, case[key]).removeprefix("always ")


def _steps(key: str, value: Any) -> list[str]:
    """One key of a field in words; a key without words of its own says what the file says."""
    match key:
        case "when":
            return [f"only where {value}"]
        case "otherwise":
            return [f"no case fits: {value if isinstance(value, str) else _case(value)}"]
        case "do_if_text":
            return []
        case "bands":
            bands = [f"up to {limit}: {_flow(result)}" for limit, result in value["limits"]]
            above = [f"above: {_flow(value.get('above'))}"] if value.get("has_above") else []
            return [f"bands {', '.join([*bands, *above])}"]
        case "read_as":
            return [f"read as {value}"]
        case "do":
            return [_function(step) for step in value]
        case "map":
            return [f"map {value['name']}" if value.get("name") else f"map of {len(value['values'])} values"]
        case "unmapped":
            return [f"not in the map: {_flow(value)}"]
        case "ref":
            return [_reference(value)]
        case "find":
            return [_lookup(value)]
        case _:
            return [_said(key, value)]


def _function(step: Dict[str, Any]) -> str:
    arguments = step.get("arguments")
    return str(step["name"]) if arguments is None else f"{step['name']}: {_flow(arguments)}"


def _reference(ref: Dict[str, Any]) -> str:
    to = ref.get("to") or " or ".join(dict.fromkeys(ref.get("kinds", {}).values()))
    words = f"the row of {to}" + (f" (which one: {ref['kind']})" if ref.get("kind") else "")
    return words + _outcomes(ref, known=("to", "kind", "kinds"))


def _lookup(find: Dict[str, Any]) -> str:
    conditions = [str(find["by"])] if find.get("by") else []
    conditions += [f"{column} = {value}" for column, value in find.get("where", {}).items()]
    return f"found in {find['table']} by {', '.join(conditions)}" + _outcomes(
        find, known=("table", "by", "where")
    )


def _outcomes(given: Dict[str, Any], known: tuple[str, ...]) -> str:
    rest = [_said(key, value) for key, value in given.items() if key not in known]
    return f" ({', '.join(rest)})" if rest else ""


def _check(check: Dict[str, Any]) -> str:
    words = str(check["name"])
    if check.get("argument") is not None:
        words += f": {_flow(check['argument'])}"
    return words + (f" (else {_flow(check['on_fail'])})" if "on_fail" in check else "")


def _said(key: str, value: Any) -> str:
    return f"{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    """A value as the file would write it on one line."""
    if isinstance(value, dict):
        if "on" not in value and (value.keys() == {"table", "by"} or value.keys() >= {"table", "where"}):
            return _lookup(value)
        if "text" in value and value.keys() <= {"text", "literal"}:  # an item of explode
            return _flow(value["text"])
        return "{" + ", ".join(_said(key, inner) for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return "null" if value is None else f'"{value}"' if value == "" else str(value)


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
        "rules": [_said(key, value) for key, value in extra.items()],
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
