"""How rows get onto an entity's road: what lies between the tables of a source and `apply`.

A plain entity's road is its source table as it is. Every other road is made part by part before values
are transformed, written down as parts, and read back like them.
"""

from migrate.transform.roads.rows import EntityRows
from migrate.transform.roads.table import road_table

__all__ = ["EntityRows", "road_table"]
