"""Python functions over a column: once per distinct value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from migrate.transform.values import Mask, as_series, emptied, mask_of, nulls_of, scattered


class Refused(Exception):
    """The function cannot read the value. Never leaves this package."""


def by_distinct(
    series: pl.Series, function: Callable[[Any], Any], dtype: pl.DataType | type[pl.DataType]
) -> tuple[pl.Series, Mask]:
    """`function` over every distinct value that is not NULL; rows where it raises `Refused` are NULL and marked."""
    distinct = series.drop_nulls().unique()
    results: list[Any] = []
    refused: list[bool] = []
    for value in distinct.to_list():
        try:
            results.append(function(value))
            refused.append(False)
        except Refused:
            results.append(None)
            refused.append(True)
    if len(distinct) == 0:
        return pl.Series("", [None] * len(series), dtype=dtype), nulls_of(series) & False
    keys = pl.DataFrame(
        {"k": distinct, "v": pl.Series(results, dtype=dtype), "r": pl.Series(refused, dtype=pl.Boolean)}
    )
    joined = series.alias("k").to_frame().join(keys, on="k", how="left", maintain_order="left")
    return joined["v"].alias(""), mask_of(joined["r"])


def where_distinct(series: pl.Series, mask: Mask, function: Callable[[Any], Any]) -> tuple[pl.Series, Mask]:
    """`by_distinct` for the rows of the mask only; the others stay as they are. Same dtype in and out."""
    failed = mask & False
    if not mask.any():
        return series, failed
    changed, refused = by_distinct(series.filter(as_series(mask)), function, series.dtype)
    failed[mask] = refused
    return emptied(scattered(series, mask, changed), failed), failed
