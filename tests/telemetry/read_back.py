"""Events as JSON, read back into the classes that openlineage-python generates from the specification's JSON Schema.

Stricter than that schema: a key that the facet's class does not have is refused too. The classes' own validators
look at URIs, UUIDs and moments."""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from typing import Any

import attr
from openlineage.client import generated
from openlineage.client.generated import base

_META = {"_producer", "_schemaURL", "_deleted"}


def run_event(event: dict[str, Any]) -> base.RunEvent:
    """Raises AssertionError or what the classes raise, where the event is not as the specification says."""
    for part in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        for kind in ("facets", "inputFacets", "outputFacets"):
            for name, facet in (part.get(kind) or {}).items():
                _read(_class_of(facet), facet, name)
    assert event["schemaURL"] == base.RunEvent._get_schema()
    plain = {k: v for k, v in event.items() if k != "schemaURL"}
    return base.RunEvent(
        **{
            **plain,
            "eventType": base.EventType(event["eventType"]),
            "run": base.Run(**event["run"]),
            "job": base.Job(**event["job"]),
            "inputs": [base.InputDataset(**d) for d in event["inputs"]],
            "outputs": [base.OutputDataset(**d) for d in event["outputs"]],
        }
    )


def _class_of(facet: dict[str, Any]) -> type:
    found = _facets().get(facet["_schemaURL"])
    assert found is not None, f"no facet of the specification: {facet['_schemaURL']}"
    return found


def _facets() -> dict[str, type]:
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for one in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(one, type) and issubclass(one, base.BaseFacet):
                found[one._get_schema()] = one
    return found


def _read(wanted: Any, value: Any, where: str) -> Any:
    """`value` as `wanted`: a generated class, a list, a mapping, one of several, or a plain type."""
    origin, inside = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _one_of(inside, value, where)
    if origin is list:
        assert isinstance(value, list), where
        return [_read(inside[0], v, f"{where}[{n}]") for n, v in enumerate(value)]
    if origin is dict:
        assert isinstance(value, dict), where
        return {k: _read(inside[1], v, f"{where}.{k}") for k, v in value.items()}
    if attr.has(wanted):
        assert isinstance(value, dict), where
        hints = typing.get_type_hints(wanted)
        known = {a.name: (a.alias or a.name, hints.get(a.name, Any)) for a in attr.fields(wanted) if a.init}
        extra = value.keys() - known.keys() - _META
        assert not extra, f"{where} has {sorted(extra)}, which {wanted.__name__} does not"
        return wanted(
            **{known[k][0]: _read(known[k][1], v, f"{where}.{k}") for k, v in value.items() if k in known}
        )
    assert isinstance(value, (int, float) if wanted is float else wanted), (
        f"{where}: {value!r} is no {wanted}"
    )
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    problems = []
    for kind in kinds:
        if kind is type(None):
            if value is None:
                return None
            continue
        try:
            return _read(kind, value, where)
        except (AssertionError, TypeError, ValueError) as problem:
            problems.append(str(problem))
    raise AssertionError("; ".join(problems) or f"{where}: {value!r}")
