"""The columns of a road, told from the mapping and the schemas alone: at plan time and at transform time alike."""

from __future__ import annotations

from collections.abc import Mapping as Dict

from migrate.mapping.model import Mapping
from migrate.model import Schema, Table


def road_table(mapping: Mapping, name: str, schemas: Dict[str, Schema]) -> Table:
    """The table that the fields of the entity `name` read. `schemas` by source; KeyError for a table that is not there."""
    entity = mapping.entities[name]
    return schemas[entity.source].table(entity.table)
