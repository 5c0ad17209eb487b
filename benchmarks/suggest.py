"""How much of a first mapping `migrate suggest` gets right: the columns of mappings that people wrote, found again.

    python benchmarks/suggest.py                    # the demo, and what ../shared/data has: Chinook, NPSP
    python benchmarks/suggest.py --json figures.json

A column is right where the suggestion fills it from the same source column as the mapping does. Counted are columns
that the mapping fills from one column of the table that it reads; wrong ones are those that are filled from another.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from migrate.api.suggesting import suggest  # noqa: E402
from migrate.demo.generate import generate  # noqa: E402
from migrate.mapping.load import load_mapping  # noqa: E402

SHARED = Path(os.environ.get("MIGRATE_SHARED", ROOT.parent / "shared")) / "data"
# mapping → its source below the shared folder
REAL = {"chinook": "chinook/chinook.sqlite", "npsp": "npsp/npsp_1k.sqlite"}


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args(words)
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="migrate-suggest-") as name:
        folder = Path(name)
        mapping = generate(folder / "demo")
        found["demo"] = measure(mapping, folder / "demo" / "acme.db", folder / "demo" / "crm.db")
        for name, source in REAL.items():
            if not (SHARED / source).is_file():
                sys.stderr.write(f"{name}: left out, {SHARED / source} is not there\n")
                continue
            target = folder / f"{name}.db"
            with sqlite3.connect(target) as made:
                made.executescript((ROOT / "mappings" / name / "crm_sqlite.sql").read_text())
            found[name] = measure(ROOT / "mappings" / f"{name}.yaml", SHARED / source, target)
    for name, figures in found.items():
        sys.stdout.write(
            f"{name:<10}{figures['right']:>5} of {figures['columns']} columns right ({figures['share']:.0%}), "
            f"{figures['wrong']} wrong; {figures['tables_right']} of {figures['tables']} tables; plan accepts: {figures['accepted']}\n"
        )
        for line in figures["missed"]:
            sys.stdout.write(f"    {line}\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(mapping: Path, source: Path, target: Path) -> dict[str, Any]:
    places = {"DEMO_FOLDER": str(source.parent)}
    named = {
        word: f"sqlite:///{place}"
        for word, place in (
            (w, target if "TARGET" in w or "CRM" in w else source) for w in _variables(mapping)
        )
    }
    truth = load_mapping(mapping, {**os.environ, **named, **places})
    made = suggest(str(source), str(target))
    got = {e["into"]: e for e in made["entities"]}
    tables = [
        e for e in truth.entities.values() if e.table and truth.sources[e.source].url.startswith("sqlite")
    ]
    right = wrong = columns = 0
    missed: list[str] = []
    for entity in tables:
        mine = got.get(entity.into)
        fields = (
            {f["column"]: f["from"] for f in mine["fields"]} if mine and mine["from"] == entity.table else {}
        )
        for column, wanted in entity.fields.items():
            if wanted.from_ is None or "." in wanted.from_:
                continue
            columns += 1
            right += fields.get(column) == wanted.from_
            wrong += column in fields and fields[column] != wanted.from_
            if fields.get(column) != wanted.from_:
                missed.append(f"{entity.into}.{column}: {wanted.from_}, found {fields.get(column)}")
    return {
        "columns": columns,
        "right": right,
        "wrong": wrong,
        "share": right / columns if columns else 0.0,
        "tables": len({(e.table, e.into) for e in tables}),
        "tables_right": sum(
            got.get(e.into, {}).get("from") == e.table for e in {x.into: x for x in tables}.values()
        ),
        "accepted": not made["refused"] or all("." in place for place in made["refused"]),
        "missed": missed,
    }


def _variables(mapping: Path) -> set[str]:
    import re

    return set(re.findall(r"\$\{(\w+)", mapping.read_text()))


if __name__ == "__main__":
    raise SystemExit(main())
