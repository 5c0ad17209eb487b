"""From canonical text back to typed values: for keys and references, which travel as text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate.arrow import layout
from migrate.errors import UsageError
from migrate.model import Kind, Type

_PLAIN = (Kind.TEXT, Kind.UUID, Kind.JSON, Kind.OPAQUE)
_CAST = (Kind.INT, Kind.DECIMAL, Kind.DATE)


def from_text(texts: pa.Array[Any], type_: Type) -> pa.Array[Any]:
    """The inverse of `canonical_text` for kinds that serve as keys; null stays null.

    Raises UsageError where a text is not of the type, or the kind serves as no key."""
    target = layout(type_)
    if type_.kind in _PLAIN or pa.types.is_null(texts.type):
        return texts.cast(target)
    try:
        if type_.kind is Kind.BOOL:
            truths: pa.Array[Any] = pc.equal(texts, "true")
            return truths
        if type_.kind is Kind.INT:
            return texts.cast(pa.int64()).cast(target)
        if type_.kind in _CAST:
            return texts.cast(target)
    except pa.ArrowInvalid as error:
        raise UsageError(f"a key or default is no {type_.kind.value} ({type_.native})") from error
    raise UsageError(f"{type_.kind.value} ({type_.native}) cannot be a key or a reference")
