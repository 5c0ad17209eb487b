"""The JSON Schema of a mapping file, made from the same declarations that read it; for editors."""

from __future__ import annotations

from typing import Any

from migrate.mapping.language import FILE

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Draft 2020-12, with a description for every key. It accepts the short forms, and scalars that YAML 1.1 readers
    take for numbers or booleans; keys that are not built yet are absent, so editors mark them."""
    definitions: dict[str, Any] = {}
    root = FILE.schema(definitions)
    return {
        "$schema": DRAFT,
        "title": "migrate mapping",
        "description": "What goes where: one file in mappings/, versioned and reviewed like code.",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
