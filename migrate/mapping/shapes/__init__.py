"""Shapes: what may stand at a place of the mapping. One declaration reads the tree and gives the JSON Schema.

Reading never stops at the first mistake: a shape reports to `Reading.problems` and gives BAD, its parent
goes on with the rest.
"""

from migrate.mapping.shapes.composed import (
    ByKind,
    Key,
    KeysAndNames,
    Many,
    MapOf,
    Record,
    Then,
    all_shapes,
    records,
)
from migrate.mapping.shapes.plain import WHY, WHY_DOC, Choice, Shape, Share, Whole, Words
from migrate.mapping.shapes.reading import (
    BAD,
    Bad,
    Reading,
    Schema,
    build,
    did_you_mean,
    kind_of,
    later,
    nearest,
    one_line,
    place,
)

__all__ = [
    "BAD",
    "WHY",
    "WHY_DOC",
    "Bad",
    "ByKind",
    "Choice",
    "Key",
    "KeysAndNames",
    "Many",
    "MapOf",
    "Reading",
    "Record",
    "Schema",
    "Shape",
    "Share",
    "Then",
    "Whole",
    "Words",
    "all_shapes",
    "build",
    "did_you_mean",
    "kind_of",
    "later",
    "nearest",
    "one_line",
    "place",
    "records",
]
