"""The JSON Schema accepts what the loader accepts, and marks what it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from migrate.errors import MappingError
from migrate.mapping.language import FILE
from migrate.mapping.load import load_mapping
from migrate.mapping.schema import json_schema
from migrate.mapping.shapes import records

HERE = Path(__file__).parent
SAMPLES = sorted((HERE / "samples").glob("*.yaml"))
ENVIRONMENT = {"ACME_URL": "files:exports/", "CRM_URL": "sqlite:///crm.db", "DEFAULT_OWNER": "a@b"}
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class _Typed(yaml.SafeLoader):
    """What an editor's YAML 1.2 reader makes of scalars: no dates."""


_Typed.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_schema_is_valid_and_plain_json() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("file", SAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("reader", [yaml.BaseLoader, _Typed], ids=["texts", "typed"])
def test_samples_are_accepted_by_both(file: Path, reader: Any) -> None:
    load_mapping(file, ENVIRONMENT)
    # Names are texts to an editor, also those that look like numbers.
    document = json.loads(json.dumps(yaml.load(file.read_text(encoding="utf-8"), Loader=reader)))
    assert [f"{e.json_path}: {e.message}" for e in VALIDATOR.iter_errors(document)] == []


_SHAPE_MISTAKES = [
    p
    for p in sorted((HERE / "goldens").glob("*.yaml"))
    if p.stem.startswith(
        (
            *("key_typo", "key_unknown", "kind_", "later_entity", "later_field", "later_top"),
            *("bands_", "choose_", "first_of_", "let_of_", "map_options", "recipe_origin"),
        )
    )
]


@pytest.mark.parametrize("file", _SHAPE_MISTAKES, ids=lambda p: p.stem)
def test_mistakes_of_shape_are_marked(file: Path) -> None:
    with pytest.raises(MappingError):
        load_mapping(file, {})
    assert list(VALIDATOR.iter_errors(yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)))


def test_later_keys_are_absent_and_every_key_is_described() -> None:
    for record in records(FILE):
        assert not record.later & set(record.keys), record.title
        assert all(key.doc.strip() for key in record.keys.values()), record.title


def _properties(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield schema["properties"]
        for value in schema.values():
            yield from _properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _properties(value)
