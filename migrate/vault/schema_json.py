"""`schema.json`: the typed schema of a backup, versioned, strict on reading."""

from __future__ import annotations

import hashlib
from typing import Any

from migrate.errors import Corrupt, UsageError
from migrate.model import Schema
from migrate.vault import strict_json

FORMAT = 1


def schema_to_json(schema: Schema) -> dict[str, Any]:
    """A JSON value with the format's number; the same for the same schema."""
    return {"format": FORMAT, "schema": strict_json.encode(schema)}


def schema_from_json(document: Any, where: str = "schema.json") -> Schema:
    """The opposite of `schema_to_json`. Corrupt where it is not one, UsageError where a newer program wrote it."""
    if not isinstance(document, dict) or document.keys() != {"format", "schema"}:
        raise Corrupt("it must hold format and schema.", where=where)
    if type(document["format"]) is not int:
        raise Corrupt("its format is no number.", where=where)
    if document["format"] != FORMAT:
        raise UsageError(
            f"the schema has format {str(document['format'])[:20]}, this program knows {FORMAT}.", where=where
        )
    schema = strict_json.decode(Schema, document["schema"], where)
    if len(set(schema.table_names)) != len(schema.tables):
        raise Corrupt("a table is named twice.", where=where)
    for table in schema.tables:
        if len(set(table.column_names)) != len(table.columns):
            raise Corrupt("a column is named twice.", where=f"{where}: {table.name[:80]}")
    return schema


def dump(schema: Schema) -> bytes:
    """The bytes of `schema.json`."""
    return strict_json.readable(schema_to_json(schema))


def load(data: bytes, where: str = "schema.json") -> Schema:
    """The opposite of `dump`; raises as `schema_from_json`."""
    return schema_from_json(strict_json.parse(data, where), where)


def digest(schema: Schema) -> str:
    """SHA-256 of `dump(schema)`: the schema's revision."""
    return hashlib.sha256(dump(schema)).hexdigest()
