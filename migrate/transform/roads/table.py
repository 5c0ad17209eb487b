"""The columns of a road, told from the mapping and the schemas alone: at plan time and at transform time alike."""

from __future__ import annotations

from collections.abc import Mapping as Dict

from migrate.errors import MappingError
from migrate.mapping.model import Mapping
from migrate.model import Schema, Table
from migrate.transform.roads.read import read_road
from migrate.transform.roads.spec import RoadSpec


def road_table(mapping: Mapping, name: str, schemas: Dict[str, Schema]) -> Table:
    """The table that the fields of the entity `name` read, with every column of its joins (`home.city`). `schemas` by
    source. Raises MappingError with what `read_road` finds wrong."""
    return road_spec(mapping, name, schemas).table


def road_spec(mapping: Mapping, name: str, schemas: Dict[str, Schema]) -> RoadSpec:
    """The road itself. Raises as `road_table`."""
    spec, problems = read_road(mapping, name, schemas)
    if spec is None or problems:
        raise MappingError(problems)
    return spec
