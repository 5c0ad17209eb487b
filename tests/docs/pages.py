"""Pages of the documentation that are made from the program. `python -m tests.docs` writes them all anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from migrate.connectors.about import about, capabilities
from migrate.mapping.check_shapes import PLAIN_CHECKS
from migrate.mapping.check_specs import CHECK_SPECS
from migrate.mapping.language import FILE
from migrate.mapping.language.bands import BandsShape
from migrate.mapping.language.examples import Expected
from migrate.mapping.language.lists import ItemShape
from migrate.mapping.language.split import Splitting
from migrate.mapping.reference_shapes import Finding
from migrate.mapping.shapes import Key, Record, Schema, Shape, all_shapes, records

from tests.docs.functions_table import parameters

DOCS = Path(__file__).parents[2] / "docs"
# Maps with keys of the language among names of the user's own, which no record declares.
FREE: dict[type[Shape], str] = {
    Finding: "find",
    BandsShape: "bands",
    ItemShape: "an item of a list",
    Splitting: "split",
    Expected: "expect of an example",
}
REFERENCE = DOCS / "mapping-reference.md"
_MADE = "<!-- made by `python -m tests.docs` from the program; changes here are lost -->\n"


def reference() -> str:
    """Every key of the mapping language, from the declarations that read mappings."""
    parts = [
        "# Every key\n",
        _MADE,
        "From the declarations that read a mapping, so that it cannot say anything else. [The mapping](mapping.md) explains what they are "
        "for, with examples, and lists [every function](mapping.md#functions) with its examples. Bold keys are required. `why` may stand "
        "among the keys of everything. `migrate schema` gives the same to editors.\n",
    ]
    for record in _all():
        parts += [f"## {record.title}\n", "| key | expects | is |", "|---|---|---|"]
        parts += [_row(name, key) for name, key in record.keys.items()]
        if record.later:
            parts.append(f"\nNot built yet: {', '.join(f'`{name}`' for name in sorted(record.later))}.")
        parts.append("")
    for title, described in _free():
        parts += [f"## {title}\n", "| key | is |", "|---|---|"]
        parts += [f"| `{name}` | {_cell(doc)} |" for name, doc in described.items()]
        parts.append("")
    parts += ["## Rules of check\n", "| rule | passes | parameters |", "|---|---|---|"]
    parts += [f"| `{name}` | {_cell(doc)} | none |" for name, doc in PLAIN_CHECKS.items()]
    parts += [f"| `{s.name}` | {_cell(s.summary)} | {parameters(s)} |" for s in CHECK_SPECS.values()]
    return "\n".join([*parts, ""])


def connectors() -> str:
    """What each connector can do, as its classes have it, and what it says of itself."""
    engines = {engine: about(engine) for engine in ("postgresql", "mysql", "sqlite", "files")}
    able = {engine: capabilities(engine) for engine in engines}
    parts = [
        "# Connectors\n",
        _MADE,
        "| | " + " | ".join(a.title for a in engines.values()) + " |",
        "|---" * (len(engines) + 1) + "|",
        *(f"| {what} | " + " | ".join("yes" if able[e][what] else "no" for e in engines) + " |" for what in able["files"]),
        "| its backups are proven in | " + " | ".join(a.restored_in for a in engines.values()) + " |",
        "| URLs begin with | " + " | ".join(", ".join(f"`{u}`" for u in a.urls) for a in engines.values()) + " |",
        "",
        CONNECTORS_SAY,
    ]  # fmt: skip
    for one in engines.values():
        oldest = f" Older than {one.oldest} is refused." if one.oldest else ""
        kinds = "versions" if one.oldest else "kinds"
        parts += [
            f"## {one.title}\n",
            f"Tried by the tests, these {kinds} and no others: {', '.join(one.tried)}.{oldest} All rows are of one moment: {one.moment}.\n",
            "| trap | what stands against it |",
            "|---|---|",
            *(f"| {_cell(t.what)} | {_cell(t.answer)} |" for t in one.traps),
            "",
        ]
    return "\n".join(parts)


CONNECTORS = DOCS / "connectors.md"
CONNECTORS_SAY = """\
Which values arrive exactly, which are set aside and what is refused is not promised but tried: [the table of types](fidelity.md) is written
by a test from what the databases themselves say, for every source and target.

- [Addresses and options of sources](mapping.md#source), [of files](mapping.md#files), [of targets and scratch](mapping.md#target-and-scratch)
- [Rights that each needs](security.md#rights), tried out by `migrate doctor MAPPING`
- Vaults: a local folder or an [S3 bucket](backups.md#in-a-bucket)

There are no connectors to cloud CRMs' web interfaces. Their exports are files, and files are sources.
"""


def write() -> None:
    REFERENCE.write_text(reference(), encoding="utf-8")
    CONNECTORS.write_text(connectors(), encoding="utf-8")


def _all() -> Iterator[Record]:
    seen: set[str] = set()
    for record in records(FILE):
        if record.title not in seen and record.keys:
            seen.add(record.title)
            yield record


def _free() -> Iterator[tuple[str, dict[str, str]]]:
    seen: set[str] = set()
    for shape in all_shapes(FILE):
        title = FREE.get(type(shape), "")
        if title and title not in seen:
            seen.add(title)
            definitions: dict[str, Any] = {}
            yield title, dict(described(shape.schema(definitions), definitions))


def described(schema: Schema, definitions: Schema) -> Iterator[tuple[str, str]]:
    """Keys of the objects that a schema is, or is one of, with their descriptions."""
    if "$ref" in schema:
        yield from described(definitions[schema["$ref"].removeprefix("#/$defs/")], {})
    for name, key in schema.get("properties", {}).items():
        if name != "why":
            yield name, key["description"]
    for form in schema.get("anyOf", []):
        if "$ref" not in form:
            yield from described(form, {})


def _row(name: str, key: Key) -> str:
    shown = f"**`{name}`**" if key.required else f"`{name}`"
    instead = f" (or `{key.instead}`)" if key.instead else ""
    return f"| {shown}{instead} | {_cell(key.shape.words)} | {_cell(key.doc)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
