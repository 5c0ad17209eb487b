"""Frozen dataclasses to JSON and back, strictly: no unknown field, no missing one, no value of another type.

What is read may come from a hostile hand: everything wrong is Corrupt, nothing is evaluated.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from migrate.errors import Corrupt

T = TypeVar("T")


def encode(value: Any) -> Any:
    """As JSON values; fields that hold their default are left out."""
    if dataclasses.is_dataclass(value):
        return {
            f.name: encode(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if _default(f) is dataclasses.MISSING or getattr(value, f.name) != _default(f)
        }
    if isinstance(value, tuple | list):
        return [encode(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    return str(value) if isinstance(value, StrEnum) else value


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value that is hashed."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def readable(value: Any) -> bytes:
    """For files that people open, too; the same bytes for the same value."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def parse(data: bytes, where: str) -> Any:
    """JSON without repeated keys, NaN or endless nesting. Raises Corrupt."""
    try:
        return json.loads(data.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Corrupt("the file is not the JSON that was written.", where=where) from error


def decode(cls: type[T], value: Any, where: str) -> T:
    """A dataclass out of parsed JSON. Raises Corrupt naming the field."""
    try:
        return typing.cast(T, _decode(cls, value, where))
    except RecursionError as error:
        raise Corrupt("the file is nested too deeply.", where=where) from error


def _decode(wanted: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(wanted):
        return _decode_dataclass(typing.cast(type, wanted), value, where)
    origin = typing.get_origin(wanted)
    if origin is types.UnionType:
        options = typing.get_args(wanted)
        if value is None and type(None) in options:
            return None
        (only,) = (o for o in options if o is not type(None))
        return _decode(only, value, where)
    if origin is tuple:
        item = typing.get_args(wanted)[0]
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return tuple(_decode(item, v, f"{where}[{n}]") for n, v in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        item = typing.get_args(wanted)[1]
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        return {k: _decode(item, v, f"{where}.{k[:80]}") for k, v in value.items()}
    if wanted is object:  # evidence of a verdict: any JSON
        return value
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        if not isinstance(value, str) or value not in set(wanted):
            raise _wrong(where, f"one of {', '.join(wanted)}", value)
        return wanted(value)
    if type(value) is not wanted:  # exactly: bool is an int otherwise
        raise _wrong(where, wanted.__name__, value)
    return value


def _decode_dataclass(cls: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(value.keys() - fields.keys())
    if unknown:
        raise Corrupt(f"unknown field {unknown[0][:80]!r}.", where=where)
    hints = _hints(cls)
    for name, field in fields.items():
        if name not in value and _default(field) is dataclasses.MISSING:
            raise Corrupt(f"field {name!r} is missing.", where=where)
    return cls(**{name: _decode(hints[name], v, f"{where}.{name}") for name, v in value.items()})


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _wrong(where: str, wanted: str, value: Any) -> Corrupt:
    return Corrupt(f"expected {wanted}, found {type(value).__name__}.", where=where)
