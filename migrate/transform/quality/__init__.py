"""The rules of `check` that have parameters of their own (`migrate.mapping.check_specs`), as masks of the rows that break them."""

from __future__ import annotations

from migrate.transform.quality.found import About, Broken
from migrate.transform.quality.table import QUALITY, broken_rows

__all__ = ["QUALITY", "About", "Broken", "broken_rows"]
