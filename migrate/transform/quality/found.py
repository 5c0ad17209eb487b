"""What a rule is told about the rows, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from migrate.mapping.function_spec import FromColumn
from migrate.model import Type
from migrate.transform.quality.mail_servers import MailServers
from migrate.transform.values import TEXT, Mask, Values, as_series, mask_of


@dataclass(frozen=True)
class Broken:
    """Rows that break a rule: `code` is stable and names the way, `detail` never holds a value. `outcome`: what happens
    with them, where the rule has its own word for that way; None: as its `on_fail` says."""

    mask: Mask
    code: str
    detail: str
    outcome: str | None = None


@dataclass(frozen=True)
class About:
    """`column`: the values of another column of the rows; `alike`: the same, its texts read as the field's own are.
    `today`: the day of the plan. `servers`: the name servers that may be asked. `conditions`: SQL → rows for which it is
    false. `target`: the type that the value goes into."""

    target: Type = TEXT
    zone: str | None = None
    today: date = date(1970, 1, 1)
    servers: MailServers | None = None
    column: Callable[[str], Values] | None = None
    alike: Callable[[str], Values] | None = None
    conditions: Mapping[str, Mask] = field(default_factory=dict)

    def of_column(self, given: object) -> Values | None:
        """The values that an argument names; None where it is no column."""
        if not isinstance(given, FromColumn) or self.column is None:
            return None
        return self.column(given.from_)


@dataclass(frozen=True)
class Distinct:
    """The distinct texts of a column, so that work is done once for each: `values`, and their place for every row (NULL:
    -1 of the mask)."""

    values: pl.Series
    _rows: pl.Series

    @classmethod
    def of(cls, texts: pl.Series) -> Distinct:
        values = texts.drop_nulls().unique(maintain_order=True)
        return cls(values, texts)

    def spread(self, masks: Sequence[Mask]) -> list[Mask]:
        """Masks over the distinct values as masks over the rows."""
        if not len(self.values):
            return [np.zeros(len(self._rows), dtype=np.bool_) for _ in masks]
        keys = pl.DataFrame({"k": self.values} | {str(n): as_series(m) for n, m in enumerate(masks)})
        joined = self._rows.alias("k").to_frame().join(keys, on="k", how="left", maintain_order="left")
        return [mask_of(joined[str(n)]) for n in range(len(masks))]


def spread(distinct: Distinct, found: Sequence[Broken]) -> list[Broken]:
    """What was found among distinct values, for all rows; what nothing breaks is left out."""
    found = [one for one in found if one.mask.any()]
    masks = distinct.spread([one.mask for one in found])
    return [Broken(m, one.code, one.detail, one.outcome) for m, one in zip(masks, found, strict=True)]
