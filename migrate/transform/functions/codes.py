"""Identifiers, fingerprints and JSON."""

from __future__ import annotations

import hashlib
import json as json_
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.values import (
    TEXT,
    Mask,
    Outcome,
    Values,
    as_series,
    emptied,
    mask_of,
    scattered,
    texts_of,
)

Arguments = Mapping[str, Any]

_SUFFIX = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype=np.uint8)
_BITS = np.array([1, 2, 4, 8, 16], dtype=np.uint8)


def _text(series: pl.Series, failed: Mask | None = None, detail: str = "") -> Outcome:
    return Outcome(Values(series, TEXT), failed, detail)


def salesforce_id(values: Values, arguments: Arguments) -> Outcome:
    """Three groups of five characters; a character of the suffix is made of which of its five are capitals.
    https://help.salesforce.com/s/articleView?id=000385008"""
    texts = texts_of(values)
    shaped = mask_of(texts.str.contains(r"\A(?:[0-9A-Za-z]{15}|[0-9A-Za-z]{18})\z"))
    given = texts.filter(as_series(shaped))
    short = given.str.slice(0, 15)
    suffix = _suffixes(short)
    wrong = mask_of((given.str.len_bytes() == 18) & (given.str.slice(15) != suffix))
    made = short if arguments["to"] == "15" else short + suffix
    failed = mask_of(texts.is_not_null()) & ~shaped
    failed[shaped] = wrong
    return _text(
        emptied(scattered(texts, shaped, made), failed),
        failed,
        "not a Salesforce id of 15 characters, or of 18 that fit",
    )


def _suffixes(ids: pl.Series) -> pl.Series:
    """The three characters that belong to ids of exactly 15 ASCII characters."""
    signs = np.frombuffer("".join(ids.to_list()).encode(), dtype=np.uint8).reshape(-1, 3, 5)
    places: npt.NDArray[np.uint8] = (((signs >= ord("A")) & (signs <= ord("Z"))) * _BITS).sum(
        axis=2, dtype=np.uint8
    )
    offsets = np.arange(len(ids) + 1, dtype=np.int64) * 3
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(_SUFFIX[places].tobytes())]
    return pl.Series("", pl.from_arrow(pa.Array.from_buffers(pa.large_string(), len(ids), buffers)))


def hash(values: Values, arguments: Arguments) -> Outcome:
    start = hashlib.new(arguments["algorithm"], arguments["salt"].encode(), usedforsecurity=False)

    def fingerprint(text: str) -> str:
        made = start.copy()
        made.update(text.encode())
        return made.hexdigest()

    return _text(by_distinct(texts_of(values), fingerprint, pl.String)[0])


def mask(values: Values, arguments: Arguments) -> Outcome:
    first, last, sign = int(arguments["first"]), int(arguments["last"]), arguments["with"]
    texts = texts_of(values)
    hidden = texts.str.replace_all(r"(?s).", "$$" if sign == "$" else sign)
    sizes = texts.str.len_chars()
    long = mask_of(sizes > first + last)
    if not long.any() or first + last == 0:
        return _text(hidden)
    inner = (sizes.cast(pl.Int64) - (first + last)).clip(0)
    frame = pl.DataFrame({"t": texts, "h": hidden, "n": inner})
    shown = frame.select(
        pl.col("t").str.head(first)
        + pl.col("h").str.head(pl.col("n"))
        + (pl.col("t").str.tail(last) if last else pl.lit(""))
    ).to_series()
    return _text(shown.alias("").zip_with(as_series(long), hidden))


def uuid5(values: Values, arguments: Arguments) -> Outcome:
    namespace: uuid.UUID = arguments["namespace"]
    return _text(by_distinct(texts_of(values), lambda name: str(uuid.uuid5(namespace, name)), pl.String)[0])


def json(values: Values, arguments: Arguments) -> Outcome:
    path: tuple[str | int, ...] = arguments["path"]

    def taken(text: str) -> str | None:
        try:
            found = json_.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_refuse)
            for step in path:
                found = _inside(found, step)
            return _written(found)
        except (ValueError, RecursionError):
            raise Refused from None

    return _text(*by_distinct(texts_of(values), taken, pl.String), "not JSON")


class _Number(str):
    """A number of JSON as it is written there: 12.50 stays so, and no digit gets lost."""

    __slots__ = ()


def _refuse(word: str) -> None:
    raise ValueError(word)


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    if isinstance(value, list) and -len(value) <= step < len(value):
        return value[step]
    return None


def _written(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        value.encode()  # a half of a surrogate pair is no text
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _json(value)
    text.encode()
    return text


def _json(value: Any) -> str:
    """Compact JSON with the numbers as they were written."""
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_json(k)}:{_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return json_.dumps(value, ensure_ascii=False)
