"""The weights by which a run decides what is alike: its own, else those of the run before it (decision 0041).

`transform/ENTITY/weights.json` of the run's folder. They are used again as long as the rules are the same and there are not
more than twice the rows that they were trained on; so a run after a run decides about the same rows the same. How many
those were goes along from run to run: rows that grow a little every day come to twice as many too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migrate.context import Context
from migrate.durable import make_private_folder, write_bytes
from migrate.ledger.ledger import Ledger
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.model import Entity, Mapping
from migrate.rules.matching.similar import Model
from migrate.rules.matching.weights import packed, unpacked

_FILE = "weights.json"
_LENT = "weights"  # a folder that a plan is given
GROWN = 2  # times the rows: then they are trained anew


@dataclass(frozen=True)
class Trained:
    """`rows`: how many the model was trained on, in whatever run that was."""

    model: Model
    rows: int


def weights_file(folder: Path) -> Path:
    return folder / _FILE


def known_weights(ctx: Context, entity: Entity, rows: int) -> Trained | None:
    """What a run before a kill, or an earlier run of the mapping, was trained to; None: train. `rows`: to be compared."""
    rules = entity.duplicates
    if rules is None or not rules.similar:
        return None
    own = ctx.folder / "transform" / entity.name / _FILE
    if (document := _read(own)) is not None:
        return _fitting(document, rules)
    earlier = [
        ctx.home / _LENT / f"{entity.name}.json",
        *_of_runs(ctx.ledger, ctx.mapping.name, entity.name, but=ctx.run),
    ]
    for path in earlier:
        document = _read(path)
        known = None if document is None else _fitting(document, rules)
        if known is not None and rows <= GROWN * known.rows:
            return known
    return None


def keep_weights(folder: Path, rules: Duplicates, model: Model, rows: int) -> None:
    """`rows`: how many the model was trained on. Kept as they are where the run has them already."""
    path = folder / _FILE
    if not path.exists():
        write_bytes(path, json.dumps(packed(rules, model, rows)).encode(), point="transform.weights")


def lend_weights(home: Path, to: Path, mapping: Mapping) -> None:
    """What a plan in the folder `to` decides by: the weights that a run would take."""
    if not (home / "ledger.db").is_file():
        return
    with Ledger.open(home / "ledger.db") as ledger:
        for name, entity in mapping.entities.items():
            if entity.duplicates is None or not entity.duplicates.similar:
                continue
            path = next((p for p in _of_runs(ledger, mapping.name, name) if p.exists()), None)
            if path is not None:
                make_private_folder(to / _LENT)
                write_bytes(to / _LENT / f"{name}.json", path.read_bytes(), point="plan.weights")


def _of_runs(ledger: Ledger, mapping: str, entity: str, but: str = "") -> Iterator[Path]:
    """Where runs of the mapping have theirs, the newest first."""
    for run in ledger.runs():
        if run.mapping == mapping and run.run != but:
            yield ledger.root / run.run / "transform" / entity / _FILE


def _read(path: Path) -> dict[str, Any] | None:
    """None where it is not there, or is not to be read: then there are none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _fitting(document: dict[str, Any], rules: Duplicates) -> Trained | None:
    try:
        model = unpacked(document, rules)
        return None if model is None else Trained(model, int(document["rows"]))
    except (KeyError, TypeError, ValueError):
        return None
