"""An invented acquisition in one folder: Acme's CRM, its export, our CRM, and the mapping between them.

    DIR/acme.db                 Acme's CRM (SQLite)
    DIR/exports/prospects.csv   a list of prospects (cp1252, semicolons)
    DIR/crm.db                  our CRM, with rows of its own
    DIR/mappings/demo.yaml      what becomes of what

The same seed gives the same rows. A folder that is there already is used as it is, so that the demo can
be interrupted, resumed and run a second time; a folder with anything else in it is left alone.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from random import Random

from migrate.demo.exports import write_prospects
from migrate.demo.source import acme, write_database
from migrate.demo.target import write_target
from migrate.durable import TEMPORARY_PREFIX, disk_errors, sweep_temporaries, write_bytes
from migrate.errors import UsageError

MARKER = "demo.json"
_MADE = ("acme.db", "crm.db", "exports/prospects.csv", "mappings/demo.yaml")


def generate(folder: Path, seed: int = 7) -> Path:
    """The path of the mapping; everything it needs is beside it. Idempotent for the same seed.

    Raises UsageError where the folder holds something else or another seed's demo, Unreachable where it
    cannot be written."""
    mapping = folder / "mappings" / "demo.yaml"
    if _state(folder, seed) == "ready":
        return mapping
    with disk_errors("Making the demo", folder):
        folder.mkdir(parents=True, exist_ok=True)
        _mark(folder, seed, "half made")  # first of all: what follows can be made anew after a kill
        sweep_temporaries(folder)
        for name in ("exports", "mappings"):
            (folder / name).mkdir(exist_ok=True)
        for name in _MADE:
            (folder / name).unlink(missing_ok=True)
        random = Random(seed)
        made = acme(random)
        write_database(folder / "acme.db", made)
        write_prospects(folder / "exports" / "prospects.csv", random, made)
        write_target(folder / "crm.db", random, made)
        mapping.write_text(mapping_text(), encoding="utf-8")
        _mark(folder, seed, "ready")
    return mapping


def mapping_text() -> str:
    """The demo's mapping, the same as `mappings/demo.yaml` of the project."""
    return resources.files("migrate.demo").joinpath("mapping.yaml").read_text(encoding="utf-8")


def _state(folder: Path, seed: int) -> str:
    """`ready`, `half made` (by a process that died) or `empty`; everything else is not ours to touch."""
    marker = folder / MARKER
    if not marker.is_file():
        if folder.exists() and (
            not folder.is_dir() or any(not p.name.startswith(TEMPORARY_PREFIX) for p in folder.iterdir())
        ):
            raise UsageError(
                "this is not an empty folder.", where=str(folder), hint="Name another one: migrate demo DIR"
            )
        return "empty"
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
        seed_found, state = int(found["seed"]), str(found["state"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "this file is not the demo's.", where=str(marker), hint="Name another folder."
        ) from error
    if seed_found != seed:
        raise UsageError(
            f"the demo here was made with seed {seed_found}.",
            where=str(folder),
            hint="Name another folder, or the same seed.",
        )
    return state


def _mark(folder: Path, seed: int, state: str) -> None:
    write_bytes(folder / MARKER, json.dumps({"seed": seed, "state": state}).encode(), point="demo.marker")
