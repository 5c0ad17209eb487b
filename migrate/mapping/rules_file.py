"""A file of rules for duplicates alone: what a mapping says under `duplicates`, by itself."""

from __future__ import annotations

import os
from pathlib import Path

from migrate.mapping.duplicates import Duplicates
from migrate.mapping.language.duplicates import DUPLICATES
from migrate.mapping.shapes import Reading
from migrate.mapping.tree import Problems, read_tree


def load_rules(path: Path | str) -> Duplicates:
    """The rules in a YAML file. Raises MappingError with every problem found."""
    file = Path(path).absolute()
    reading = Reading(Problems(str(path)), os.environ, file.parent)
    rules = DUPLICATES.read(read_tree(file, str(path)), reading, ())
    reading.problems.raise_any()
    assert isinstance(rules, Duplicates), "no problem was found, yet there are no rules"
    return rules
