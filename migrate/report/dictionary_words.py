"""What the keys of entities and fields say, in words: from what the models dump, without what is left to the defaults.

A key without words of its own says what the file says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Dump = Mapping[str, Any]
ORIGINS = ("from", "from_columns", "value", "expr", "first_of", "text", "choose", "list")
_OWN = frozenset((*ORIGINS, "check", "default"))


def field_words(content: Dump) -> dict[str, Any]:
    """{origin, steps, default, checks} of one field."""
    return {
        "origin": next((_origin(key, content[key]) for key in ORIGINS if content.get(key) is not None), ""),
        "steps": [step for key, value in content.items() if key not in _OWN for step in _steps(key, value)],
        "default": content.get("default"),
        "checks": [_check(check) for check in content.get("check", ())],
    }


def in_one_line(words: Dump) -> str:
    """What happens to the values of a field, all of it."""
    parts = [words["origin"], *words["steps"]]
    if words["default"] is not None:
        parts.append(f"if empty: {words['default']}")
    if words["checks"]:
        parts.append(f"checked: {', '.join(words['checks'])}")
    return "; ".join(part for part in parts if part)


def entity_rules(key: str, value: Any) -> list[str]:
    """One key of an entity, as "what: how"."""
    match key:
        case "let":
            return [f"let {name}: {in_one_line(field_words(field))}" for name, field in value.items()]
        case "with" | "with_":
            return [f"with {name}: {_join(join)}" for name, join in value.items()]
        case "explode":
            return [f"one row for each: {_explode(value)}"]
        case "one_per":
            return [f"one row per: {', '.join(value)}"]
        case "pivot":
            return [f"columns of a table of names and values: {_pivot(value)}"]
        case _:
            return [said(key, value)]


def branch_words(branch: Dump) -> str:
    """Where the rows of one branch of a split go."""
    if branch.get("entity") is not None:
        return str(branch["entity"])
    return f"left out: {branch['reason']}" if branch.get("reason") is not None else "quarantine"


def said(key: str, value: Any) -> str:
    return f"{key}: {flow(value)}"


def flow(value: Any) -> str:
    """A value as the file would write it on one line."""
    if isinstance(value, dict):
        if "on" not in value and "table" in value and value.keys() & {"by", "where"}:
            return _lookup(value)
        return "{" + ", ".join(said(key, inner) for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return "null" if value is None else f'"{value}"' if value == "" else str(value)


# ------------------------------------------------------------------ fields


def _origin(key: str, value: Any) -> str:
    """Where a value comes from."""
    match key:
        case "value":
            return f'always "{value}"'
        case "first_of":
            return f"first of {', '.join(value)}"
        case "from_columns":
            return ", ".join(value)
        case "choose":
            return "; ".join(f"{_case(case)} if {case['when']}" for case in value)
        case "list":
            return _list(value)
        case _:
            return str(value)


def _case(case: Dump) -> str:
    key = next(key for key in ("from", "value", "expr") if case.get(key) is not None)
    return _origin(key, case[key]).removeprefix("always ")


def _steps(key: str, value: Any) -> list[str]:
    match key:
        case "when":
            return [f"only where {value}"]
        case "otherwise":
            return [f"no case fits: {value if isinstance(value, str) else _case(value)}"]
        case "do_if_text":
            return []
        case "bands":
            bands = [f"up to {limit}: {flow(result)}" for limit, result in value["limits"]]
            above = [f"above: {flow(value.get('above'))}"] if value.get("has_above") else []
            return [f"bands {', '.join([*bands, *above])}"]
        case "read_as":
            return [f"read as {value}"]
        case "do":
            return [_function(step) for step in value]
        case "map":
            return [f"map {value['name']}" if value.get("name") else f"map of {len(value['values'])} values"]
        case "unmapped":
            return [f"not in the map: {flow(value)}"]
        case "ref":
            return [_reference(value)]
        case "find":
            return [_lookup(value)]
        case _:
            return [said(key, value)]


def _list(value: Dump) -> str:
    """Its items, each in one line; then where they come from and which of them stay."""
    items = value.get("items") or ([value["each"]] if value.get("each") is not None else [])
    words = "; ".join(_item(item) for item in items)
    made = f"a list of {words}" if words else "a list of its pieces"
    if value.get("of") is not None:
        made += f", one for each row of {value['of']}"
    if value.get("split") is not None:
        made += f", one for each piece of {value['split']} between {flow(value.get('on', ''))}"
    rest = [said(k, v) for k, v in value.items() if k in ("one_per", "order")]
    return ", ".join([made, *rest])


def _item(item: Dump) -> str:
    if item.get("field") is not None:
        return in_one_line(field_words(item["field"]))
    named = [f"{name}: {in_one_line(field_words(field))}" for name, field in item["keys"].items()]
    return "{" + ", ".join(named) + "}"


def _function(step: Dump) -> str:
    arguments = step.get("arguments")
    return str(step["name"]) if arguments is None else f"{step['name']}: {flow(arguments)}"


def _reference(ref: Dump) -> str:
    to = ref.get("to") or list(dict.fromkeys(ref.get("kinds", {}).values()))
    words = f"the row of {to if isinstance(to, str) else ' or '.join(to)}"
    if ref.get("by"):
        words += f" with this {', '.join(ref['by'])}"
    words += f" (which one: {ref['kind']})" if ref.get("kind") else ""
    return words + _outcomes(ref, known=("to", "by", "kind", "kinds"))


def _lookup(find: Dump) -> str:
    conditions = [str(find["by"])] if find.get("by") else []
    conditions += [f"{column} = {value}" for column, value in find.get("where", {}).items()]
    given = f"{find['give']} of what is found" if find.get("give") else "found"
    words = f"{given} in {find['table']} by {', '.join(conditions)}"
    return words + _outcomes(find, known=("table", "by", "where", "give"))


def _outcomes(given: Dump, known: tuple[str, ...]) -> str:
    rest = [said(key, value) for key, value in given.items() if key not in known]
    return f" ({', '.join(rest)})" if rest else ""


def _check(check: Dump) -> str:
    words = str(check["name"])
    if check.get("argument") is not None:
        words += f": {flow(check['argument'])}"
    return words + (f" (else {flow(check['on_fail'])})" if "on_fail" in check else "")


# ------------------------------------------------------------------ roads


def _join(join: Dump) -> str:
    pairs = [left if left == right else f"{left} = {right}" for left, right in join["on"].items()]
    words = f"{join['rows'].replace('_', ' ')} of {join['table']} by {', '.join(pairs)}"
    words += f", only where {join['where']}" if join.get("where") else ""
    words += f", in the order of {', '.join(join['order'])}" if join.get("order") else ""
    return words + (
        f", with its names as columns {', '.join(join['pivot']['columns'])}" if join.get("pivot") else ""
    )


def _explode(explode: Dump) -> str:
    if explode.get("split") is not None:
        return f"piece of {explode['split']} between {flow(explode.get('on', ''))}"
    lists = explode.get("lists", {})
    return "; ".join(f"{name} from {', '.join(s['text'] for s in slots)}" for name, slots in lists.items())


def _pivot(pivot: Dump) -> str:
    columns = ", ".join(pivot["columns"])
    return f"{columns} from {pivot['value']} by {pivot['name']}, a row per {', '.join(pivot['per'])}"
