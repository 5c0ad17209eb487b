"""Expected against found: digests, sets of rows, cells and catalogues.

Digests say whether, sets of row hashes say which rows, cells say what. A difference is a result
here, never an exception; an exception means that the comparison could not be made.
"""

from migrate.compare.cells import SHOWN, CellDifference, cell_differences
from migrate.compare.digests import compare_digests
from migrate.compare.schemas import compare_schemas
from migrate.compare.sets import SetDifference, compare_sets

__all__ = [
    "SHOWN",
    "CellDifference",
    "SetDifference",
    "cell_differences",
    "compare_digests",
    "compare_schemas",
    "compare_sets",
]
