"""docs/mapping.md is held to the program: its table of functions, its YAML, its keys, codes and lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from migrate.mapping.check_shapes import CHECKS, LATER_CHECKS
from migrate.mapping.drill_file import load_drill_file
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.language import ENTITY, FIELD, FILE
from migrate.mapping.load import load_mapping
from migrate.mapping.rules_file import load_rules
from migrate.mapping.schedule_file import load_schedule
from migrate.mapping.shapes import Schema, records
from migrate.report.meanings import MEANINGS

from tests.docs.functions_table import MAPPING, step, table, written
from tests.docs.pages import REFERENCE

ROOT = MAPPING.parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- checked: (\w+) -->\n)?```yaml\n(.*?)```", re.DOTALL)
BLOCKS = [
    pytest.param(kind, text, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (kind, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]
ENVIRONMENT = dict.fromkeys(("ACME_URL", "CRM_URL", "SCRATCH_URL"), "postgresql://me@host/db")
SKELETON = {
    "migrate": "migrate: 1",
    "name": "name: example",
    "source": 'source: {system: acme, url: "sqlite:///acme.db"}',
    "target": 'target: {url: "sqlite:///crm.db"}',
    "entities": "entities: {accounts: {from: a, key: id, into: a, fields: {name: name}}}",
}
OTHERS = (
    "  accounts: {from: a, key: id, into: accounts, fields: {name: name}}\n"
    "  users: {from: u, key: id, into: users, fields: {name: name}}\n"
)


def whole(kind: str, text: str) -> str:
    """The mapping that a block is, or is a part of."""
    if kind == "whole":
        return text
    if kind in ("fields", "lists"):
        inner = "".join(f"      {line}\n" for line in text.splitlines())
        rest = "\n".join(v for k, v in SKELETON.items() if k != "entities")
        joined = "    with: {tag: {table: tags, on: {id: owner}, rows: any}}\n" if kind == "lists" else ""
        mine = f"  mine:\n    from: m\n{joined}    key: id\n    into: m\n    fields:\n{inner}"
        return f"{rest}\nentities:\n{OTHERS}{mine}"
    given = yaml.safe_load(text)
    return "\n".join(v for k, v in SKELETON.items() if k not in given) + "\n" + text


def page() -> str:
    return MAPPING.read_text(encoding="utf-8")


def section(title: str) -> str:
    return page().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_every_yaml_block_loads(kind: str, text: str, tmp_path: Path) -> None:
    assert kind in ("whole", "part", "fields", "lists", "drill", "schedule", "rules"), (
        "say what the block is: <!-- checked: whole|part|fields|lists|drill|schedule|rules -->"
    )
    file = tmp_path / "mapping.yaml"
    if kind == "drill":
        file.write_text(text, encoding="utf-8")
        assert load_drill_file(file, ENVIRONMENT).queries
        return
    if kind == "rules":
        file.write_text(text, encoding="utf-8")
        assert load_rules(file).same
        return
    if kind == "schedule":
        file.write_text(text, encoding="utf-8")
        assert load_schedule(file, ENVIRONMENT).jobs
        return
    file.write_text(whole(kind, text), encoding="utf-8")
    assert load_mapping(file, ENVIRONMENT).entities


def test_blocks_are_found() -> None:
    assert len(BLOCKS) >= 10


def test_the_table_of_functions_is_the_programs() -> None:
    assert written() == table(), "run: python -m tests.docs.functions_table"
    assert table().count("\n") == len(FUNCTIONS) + 2


def test_examples_of_functions_can_be_written_so(tmp_path: Path) -> None:
    """The short forms of the table, read by the loader, are the arguments of the examples."""
    given = [(s.name, a) for s in FUNCTIONS.values() for _, a, _ in s.examples if a is not None]
    steps = "".join(f"\nf{n}: {{from: a, do: [{step(name, a)}]}}" for n, (name, a) in enumerate(given))
    file = tmp_path / "mapping.yaml"
    file.write_text(whole("fields", steps), encoding="utf-8")
    fields = load_mapping(file).entities["mine"].fields
    assert [(f.do[0].name, f.do[0].arguments) for f in fields.values()] == given


def test_every_key_is_explained() -> None:
    said = set(re.findall(r"`(\w+)`", page().partition("\n## Functions\n")[0] + section("Checks")))
    said |= set(re.findall(r"`(\w+)`", section("ref and find") + section("left_behind") + section("maps")))
    said |= set(re.findall(r"`(\w+)`", section("Checks over tables") + section("Lists")))
    said |= set(re.findall(r"(?<!\w)(\w+): …", page()))
    said |= set(re.findall(r"`\{?(\w+): [\w]+\}?`", section("entities")))
    missing = {name for record in records(FILE) for name in record.keys} - said - {"find", "values"}
    assert not missing


def test_every_check_is_explained() -> None:
    assert not [
        name
        for name in CHECKS
        if f"`{name}`" not in section("Checks") and f"{{{name}:" not in section("Checks")
    ]


def test_every_code_has_advice() -> None:
    codes = {
        code
        for line in section("Quarantine").splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`(\w+)`", line.split(" | ")[0])
    }
    assert codes == set(MEANINGS)


def test_what_is_not_built_is_the_programs_list() -> None:
    lines = {line.split(":")[0]: line for line in section("Not built yet").replace("\n  ", " ").splitlines()}

    def named(start: str) -> set[str]:
        return set(re.findall(r"`(\w+)`", lines[start].split(";")[0]))

    assert named("- in the file") == FILE.later
    assert named("- in an entity") == ENTITY.later
    assert not FIELD.later
    assert named("- checks") == LATER_CHECKS


def test_links_lead_somewhere() -> None:
    for file in PAGES:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
            assert "://" in link or (file.parent / link).exists(), f"{file.name}: {link}"


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    """Functions have a table of their own, in docs/mapping.md."""
    shown = set(re.findall(r"`(\w+)`", REFERENCE.read_text(encoding="utf-8")))
    definitions: Schema = {}
    root = FILE.schema(definitions)
    del definitions["step"]
    assert set(_keys([root, definitions])) - {"why"} <= shown


def _keys(schema: Any) -> Iterator[str]:
    """Names of all properties in a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            yield from schema["properties"]
        for value in schema.values():
            yield from _keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _keys(value)
