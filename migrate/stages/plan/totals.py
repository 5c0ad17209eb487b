"""Checks over tables held against the target's catalogue: sums are of numbers, and groups are values that can be named."""

from __future__ import annotations

from migrate.errors import Problem
from migrate.mapping.model import Mapping
from migrate.model import Kind, Schema

_NUMBERS = (Kind.INT, Kind.DECIMAL, Kind.FLOAT, Kind.MIXED)
_NO_NAMES = (Kind.ARRAY, Kind.JSON, Kind.BYTES)


def check_totals(mapping: Mapping, target: Schema) -> list[Problem]:
    """`target` has the tables of all entities; columns that are not there are told by others."""
    problems: list[Problem] = []
    for check in mapping.checks:
        table = target.table(mapping.entities[check.of].into)

        def wrong(key: str, message: str, hint: str, number: int = check.number) -> None:
            places = (f"checks.{number}.{key}", f"checks.{number}")
            where = next((mapping.positions[p] for p in places if p in mapping.positions), places[0])
            problems.append(Problem("type", where, message, hint))

        types = table.types
        if check.kind == "sum" and check.column in types and types[check.column].kind not in _NUMBERS:
            words = f'"{check.column}" holds {types[check.column].kind.value} values, which make no sum'
            wrong("sum", words, f"count them: {{count: {check.column}, of: {check.of}}}")
        for column in check.by:
            if column in types and types[column].kind in _NO_NAMES:
                words = f'"{column}" holds {types[column].kind.value} values, which name no group'
                wrong("by", words, "take a column of single values")
    return problems
