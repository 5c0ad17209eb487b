"""Every example of the mapping language's functions, run against the implementation."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from migrate.mapping.function_spec import Row
from migrate.mapping.functions import FAILS, FUNCTIONS, arguments_of
from migrate.mapping.model import Step
from migrate.transform.entity import CompiledStep
from migrate.transform.functions.dates import Surroundings
from migrate.transform.functions.table import IMPLEMENTATIONS
from migrate.transform.parameters import run_step
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import BOOLEAN, DATE, DECIMAL, INTEGER, TEXT, TIMESTAMP, Values

EXAMPLES = [
    pytest.param(name, given, arguments, expected, id=f"{name}-{number}")
    for name, spec in FUNCTIONS.items()
    for number, (given, arguments, expected) in enumerate(spec.examples)
]


def as_values(items: list[Any]) -> Values:
    sample = next((i for i in items if i is not None), None)
    if isinstance(sample, bool):
        return Values(pl.Series("", items, dtype=pl.Boolean), BOOLEAN)
    if isinstance(sample, int):
        return Values(pl.Series("", items, dtype=pl.Int64), INTEGER)
    if isinstance(sample, Decimal):
        return Values(
            pl.Series("", [None if i is None else format(i, "f") for i in items], dtype=pl.String), DECIMAL
        )
    if isinstance(sample, datetime):
        return Values(pl.Series("", items, dtype=pl.Datetime("us")), TIMESTAMP)
    if isinstance(sample, date):
        return Values(pl.Series("", items, dtype=pl.Date), DATE)
    return Values(pl.Series("", items, dtype=pl.String), TEXT)


def outcome(
    name: str, items: list[Any], arguments: Any, around: Surroundings = Surroundings()
) -> tuple[list[Any], list[bool]]:
    """Values and what failed. An item may be a `Row` with other columns; without them these are NULL."""
    others = {name for item in items if isinstance(item, Row) for name in item.columns}
    columns = {
        name: pa.array([i.columns.get(name) if isinstance(i, Row) else None for i in items], pa.string())
        for name in others
    }
    columns["_"] = pa.nulls(len(items), pa.string())
    rows = SourceRows(pa.table(columns), dict.fromkeys(columns, TEXT), {})
    step = CompiledStep(name, arguments_of(Step(name=name, arguments=arguments)), arguments)
    values, failures = run_step(
        step, as_values([i.value if isinstance(i, Row) else i for i in items]), rows, around
    )
    found = values.series.to_list()
    if FUNCTIONS[name].returns == "decimal":
        found = [None if f is None else Decimal(f) for f in found]
    return found, [any(f.mask[place] for f in failures) for place in range(len(items))]


def test_functions_and_implementations_agree_by_name() -> None:
    assert set(IMPLEMENTATIONS) == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "given", "arguments", "expected"), EXAMPLES)
def test_examples(name: str, given: Any, arguments: Any, expected: Any) -> None:
    for items in ([given], [given, None, given]):
        found, failed = outcome(name, items, arguments)
        assert len(found) == len(items)
        for place, item in enumerate(items):
            if item is None:
                nothing = False if name == "consent" else None  # saying nothing is an answer there
                assert (found[place], failed[place]) == (nothing, False)
            elif expected is FAILS:
                assert (found[place], failed[place]) == (None, True)
            else:
                assert (found[place], failed[place]) == (expected, False)
                assert type(found[place]) is type(expected)
