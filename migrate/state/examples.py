"""Examples of quarantined values for a report: shapes by default, the values themselves only for who asks for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from migrate.context import Context
from migrate.mapping.usage import source_columns
from migrate.rules.profiling_text import shape
from migrate.state.replays import open_quarantine

MOST = 3  # of one kind
LONGEST = 80  # characters of one
_BATCH = 2_000  # rows looked at together
_LOOKED_AT = 50_000  # rows of one file; what is rarer than that has no example

Kind = tuple[str, str, str]  # entity, field, code


def quarantine_examples(
    ctx: Context, names: Mapping[str, str], *, masked: bool = True
) -> dict[Kind, list[str]]:
    """(entity, field, code) → at most MOST different values that were set aside for it; `names`: file → entity.

    Of a field, what the columns it reads held; of a whole row, its key, or the broken record. `masked`: their shapes."""
    found: dict[Kind, list[str]] = {}
    say = shape if masked else str
    for path in sorted(open_quarantine(ctx).glob("*.parquet")):
        if path.name in names:
            for kind, values in _values(ctx, names[path.name], path):
                shown = " | ".join(_said(v, say) for v in values)
                examples = found.setdefault(kind, [])
                if shown and len(examples) < MOST and shown not in examples:
                    examples.append(shown)
    return found


def _values(ctx: Context, name: str, path: Path) -> Iterator[tuple[Kind, list[Any]]]:
    entity = ctx.mapping.entities.get(name)
    reads = {f: source_columns(entity, field) for f, field in entity.fields.items()} if entity else {}
    seen = 0
    for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=["key", "fields", "codes", "row", "raw"]):
        for row in batch.to_pylist():
            content = json.loads(row["row"]) if row["row"] else {}
            for field, code in zip(row["fields"], row["codes"], strict=True):
                yield (name, field or "", code), _value(row, content, reads.get(field or "", []))
        seen += batch.num_rows
        if seen >= _LOOKED_AT:
            return


def _value(row: Mapping[str, Any], content: Mapping[str, Any], columns: list[str]) -> list[Any]:
    told = [content.get(c) for c in columns if c in content]
    if told:
        return told
    if row["raw"] is not None and not content:
        return [row["raw"][:LONGEST].decode("utf-8", "replace")]
    return _key(row["key"])


def _key(key: str | None) -> list[Any]:
    """A source key is a JSON array of texts."""
    try:
        return list(json.loads(key or "[]"))
    except (ValueError, TypeError):
        return [key]


def _said(value: object, say: Callable[[str], str]) -> str:
    if value is None or value == "":
        return "(empty)"
    return say(_short(value)) or "(blank)"


def _short(value: object) -> str:
    return " ".join(str(value).split())[:LONGEST]
