"""To text, bytes, uuid, JSON, and SQLite's mixed storage classes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from migrate.arrow import MIXED
from migrate.model import Kind, Type
from migrate.transform.conversion import Conversion, failures
from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.values import Values, as_series, emptied, mask_of, nulls_of, scattered, texts_of

_UUID = r"\A(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z"
_NUL_DETAIL = "the target's text holds no NUL character"


def to_text(values: Values, target: Type, *, nul_allowed: bool) -> Conversion:
    """Lossy (code too_long) where the text is longer than the column; the result is cut then."""
    texts = values.series
    nul = nulls_of(texts) & False
    if not nul_allowed:
        nul = mask_of(texts.str.contains("\0", literal=True))
    if target.fixed:
        texts = texts.str.strip_chars_end(" ")
    bad = nul & False
    if target.labels:
        bad = ~mask_of(texts.is_in(list(target.labels))) & ~nulls_of(texts) & ~nul
    long = nul & False
    if target.length is not None and not target.labels:
        # A text has at least as many bytes as characters, so most columns need the cheap look only.
        longest = texts.str.len_bytes().max()
        if isinstance(longest, int) and longest > target.length:
            long = mask_of(texts.str.len_chars() > target.length) & ~nul
            if long.any():
                texts = scattered(texts, long, texts.filter(as_series(long)).str.head(target.length))
    return Conversion(
        texts,
        failures((nul, "nul_byte", _NUL_DETAIL), (bad, "type", "not one of the labels of its type")),
        long if long.any() else None,
        "too_long",
        f"longer than {target.length}",
    )


def to_bytes(values: Values) -> Conversion:
    return Conversion(values.series if values.series.dtype == pl.Binary else texts_of(values).cast(pl.Binary))


def to_uuid(values: Values) -> Conversion:
    texts = texts_of(values)
    bad = ~mask_of(texts.str.contains(_UUID)) & ~nulls_of(texts)
    return Conversion(emptied(texts, bad).str.to_lowercase(), failures((bad, "type", "not a uuid")))


def to_json(values: Values, *, textual: bool, nul_allowed: bool) -> Conversion:
    """The text as it is, where it is JSON by RFC 8259."""
    texts = texts_of(values)
    kinds, _ = by_distinct(texts, lambda t: _json_kind(t, strict=not textual and not nul_allowed), pl.String)
    bad, nul = mask_of(kinds == "bad"), mask_of(kinds == "nul")
    return Conversion(texts, failures((bad, "type", "not JSON"), (nul, "nul_byte", _NUL_DETAIL)))


def _json_kind(text: str, *, strict: bool) -> str:
    """`strict`: as PostgreSQL's jsonb, whose texts hold neither NUL nor half a surrogate pair."""
    if "\0" in text:
        return "nul"
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError, Refused):
        return "bad"
    if strict and "\\u" in text:
        written = json.dumps(value, ensure_ascii=False).replace("\\\\", "")
        if "\\u0000" in written:
            return "nul"
        try:
            written.encode()
        except UnicodeEncodeError:
            return "bad"
    return "ok"


def _refuse(word: str) -> Any:
    raise Refused


def to_mixed(values: Values) -> pa.Array[Any]:
    """Storage class by kind: whole numbers and booleans integer, floats real, bytes blob, all else text."""
    series, size = values.series, len(values.series)
    given = ~nulls_of(series)
    whole = values.kind in (Kind.INT, Kind.BOOL)
    real, blob = values.kind is Kind.FLOAT, values.kind is Kind.BYTES
    tag = 1 if whole else 2 if real else 4 if blob else 3
    content = None if whole or real else (series if blob else texts_of(values).cast(pl.Binary))
    return pa.StructArray.from_arrays(
        [
            pa.array(np.where(given, tag, 0).astype(np.int8)),
            series.cast(pl.Int64).to_arrow() if whole else pa.nulls(size, pa.int64()),
            series.cast(pl.Float64).to_arrow() if real else pa.nulls(size, pa.float64()),
            pa.nulls(size, pa.binary()) if content is None else content.to_arrow().cast(pa.binary()),
        ],
        fields=list(MIXED),
    )
