"""Pages of the documentation that are made from the program. `python -m tests.docs` writes them all anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from migrate.mapping.language import FILE
from migrate.mapping.shapes import Key, Record, records

DOCS = Path(__file__).parents[2] / "docs"
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
    return "\n".join(parts)


def write() -> None:
    REFERENCE.write_text(reference(), encoding="utf-8")


def _all() -> Iterator[Record]:
    seen: set[str] = set()
    for record in records(FILE):
        if record.title not in seen and record.keys:
            seen.add(record.title)
            yield record


def _row(name: str, key: Key) -> str:
    shown = f"**`{name}`**" if key.required else f"`{name}`"
    instead = f" (or `{key.instead}`)" if key.instead else ""
    return f"| {shown}{instead} | {_cell(key.shape.words)} | {_cell(key.doc)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
