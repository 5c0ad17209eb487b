"""Around a mapping file: its data dictionary."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from migrate.connectors.registry import open_target
from migrate.mapping.load import load_mapping
from migrate.report.dictionary import data_dictionary


def dictionary(mapping: Path | str, *, live: bool = False) -> dict[str, Any]:
    """What every target column is made of, see `migrate.report.dictionary`. `live` asks the target for the types of
    its columns; without it no database is opened. Raises MappingError, and Unreachable where `live` cannot be had."""
    loaded = load_mapping(mapping)
    if not live:
        return data_dictionary(loaded)
    with tempfile.TemporaryDirectory(prefix="migrate-dictionary-") as folder:
        target = open_target(loaded.target.url, base=Path(loaded.base), work=Path(folder))
        try:
            catalogue = target.schema(sorted({e.into for e in loaded.entities.values()}))
        finally:
            target.close()
    return data_dictionary(loaded, catalogue)
