"""What similarity was trained to, as a file: numbers and names of columns, no values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from migrate.mapping.duplicates import Duplicates
from migrate.rules.matching.comparisons import Compared, comparison
from migrate.rules.matching.similar import Model


def compared_of(rules: Duplicates) -> list[Compared]:
    """The columns of `similar`, each with the place of its cleaned form."""
    return [Compared(column, f"s{n}", kind) for n, (column, kind) in enumerate(rules.similar.items())]


def packed(rules: Duplicates, model: Model, rows: int) -> dict[str, Any]:
    """`rows`: how many it was trained on."""
    return {"similar": dict(rules.similar), "steps": _steps(rules), "rows": rows, "model": model}


def unpacked(document: Mapping[str, Any], rules: Duplicates) -> Model | None:
    """The model; None where it was made for other columns or kinds, or by a program that compares otherwise.

    Raises KeyError, TypeError, ValueError for what is no such document."""
    model = dict(document["model"])
    fits = document["similar"] == dict(rules.similar) and document["steps"] == _steps(rules)
    return model if fits else None


def _steps(rules: Duplicates) -> str:
    """A digest of how values are compared."""
    columns = compared_of(rules)
    said = json.dumps([comparison(one, columns) for one in columns], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
